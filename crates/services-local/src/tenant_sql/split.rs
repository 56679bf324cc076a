//! Where a statement of a text ends: at a semicolon outside of quotes and comments, and that of a trigger after
//! its `END`. SQLite says so only of what it can compile, and a statement may need the one before it for that.

/// The statement that a text ends with, and what goes before it; `None` if it has no more than one.
pub fn last(sql: &str) -> Option<(&str, &str)> {
    let (mut at, mut rest) = (0, sql);
    while let Some(length) = first(rest) {
        if at + length >= sql.len() || first(&rest[length..]).is_none() {
            break;
        }
        (at, rest) = (at + length, &rest[length..]);
    }
    (at > 0).then(|| sql.split_at(at))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A space, a comment, or a mark of the byte order.
    Nothing,
    Semicolon,
    Word(&'a str),
    Other,
}

/// How long the first statement is, its semicolon included; `None` if there is none.
fn first(sql: &str) -> Option<usize> {
    let (mut at, mut head) = (0, Head::Begins);
    let mut before = [Token::Nothing; 2];
    while at < sql.len() {
        let (token, length) = next(&sql[at..]);
        at += length;
        match token {
            Token::Nothing => continue,
            // An empty one is none.
            Token::Semicolon if before[1] == Token::Nothing => continue,
            Token::Semicolon if head != Head::Trigger => return Some(at),
            Token::Semicolon if before[0] == Token::Semicolon && is(before[1], "END") => return Some(at),
            Token::Semicolon | Token::Word(_) | Token::Other => head = head.then(token),
        }
        before = [before[1], token];
    }
    (before[1] != Token::Nothing).then_some(at)
}

/// What the first words make of a statement: `[EXPLAIN [QUERY PLAN]] CREATE [TEMP] TRIGGER` begins a trigger.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Begins,
    Create,
    Trigger,
    Other,
}

impl Head {
    fn then(self, token: Token<'_>) -> Self {
        let any = |words: &[&str]| words.iter().any(|word| is(token, word));
        match self {
            Head::Begins if any(&["EXPLAIN", "QUERY", "PLAN"]) => Head::Begins,
            Head::Begins if any(&["CREATE"]) => Head::Create,
            Head::Create if any(&["TEMP", "TEMPORARY"]) => Head::Create,
            Head::Create if any(&["TRIGGER"]) => Head::Trigger,
            Head::Trigger => Head::Trigger,
            _ => Head::Other,
        }
    }
}

fn is(token: Token<'_>, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word))
}

/// The token that a text begins with, and its length.
fn next(text: &str) -> (Token<'_>, usize) {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let first = text.chars().next().unwrap_or(' ');
    match first {
        '-' if text.starts_with("--") => (Token::Nothing, until(2, "\n")),
        '/' if text.starts_with("/*") => (Token::Nothing, until(2, "*/")),
        // A quote within is written twice, which is two that follow each other.
        '\'' => (Token::Other, until(1, "'")),
        '"' => (Token::Other, until(1, "\"")),
        '`' => (Token::Other, until(1, "`")),
        '[' => (Token::Other, until(1, "]")),
        ';' => (Token::Semicolon, 1),
        c if c.is_whitespace() || c == '\u{feff}' => (Token::Nothing, c.len_utf8()),
        c if is_of_a_word(c) => {
            let length = text.find(|c| !is_of_a_word(c)).unwrap_or(text.len());
            (Token::Word(&text[..length]), length)
        }
        c => (Token::Other, c.len_utf8()),
    }
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || (!c.is_ascii() && !c.is_whitespace() && c != '\u{feff}')
}

#[cfg(test)]
mod tests;
