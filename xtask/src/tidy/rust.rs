//! Just enough of Rust's surface to judge it: where code ends and comments and strings begin, and
//! where each function starts and stops.

#[cfg(test)]
mod tests;

/// The text with everything inside comments, strings and characters replaced by spaces. Lines and
/// columns stay where they were.
pub fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skipped(&characters, at);
        if end == at {
            masked.push(characters[at]);
            at += 1;
        } else {
            masked.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    masked
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none does.
fn skipped(text: &[char], at: usize) -> usize {
    let next = |offset: usize| text.get(at + offset).copied();
    match text[at] {
        '/' if next(1) == Some('/') => find(text, at, |c| c == '\n'),
        '/' if next(1) == Some('*') => block_comment(text, at),
        '"' => quoted(text, at + 1),
        'r' | 'b' | 'c' if at == 0 || !is_word(text[at - 1]) => prefixed(text, at),
        '\'' => character(text, at),
        _ => at,
    }
}

fn find(text: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    let offset = text.iter().skip(from).position(|c| wanted(*c));
    offset.map_or(text.len(), |offset| from + offset)
}

fn block_comment(text: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted(text: &[char], mut at: usize) -> usize {
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// A literal such as `r#"…"#`, `b"…"`, `br"…"`, `c"…"` or `b'…'`.
fn prefixed(text: &[char], start: usize) -> usize {
    let mut at = start;
    while at < text.len() && at - start < 2 && matches!(text[at], 'r' | 'b' | 'c') {
        at += 1;
    }
    let raw = text[start..at].contains(&'r');
    let hashes = text[at..].iter().take_while(|c| **c == '#').count();
    match text.get(at + hashes) {
        Some('"') if raw => raw_end(text, at + hashes + 1, hashes),
        Some('"') if hashes == 0 => quoted(text, at + 1),
        Some('\'') if hashes == 0 && !raw => character(text, at),
        _ => start,
    }
}

fn raw_end(text: &[char], from: usize, hashes: usize) -> usize {
    let ends = |at: &usize| text[*at] == '"' && text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (from..text.len()).find(ends).map_or(text.len(), |at| at + 1 + hashes)
}

/// A character, and not a lifetime.
fn character(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => find(text, at + 3, |c| c == '\'').saturating_add(1).min(text.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in `code` as a word of its own.
pub fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// From the line of `fn` to that of its last brace.
    pub lines: usize,
}

/// The functions with a body in text that went through [`code_only`].
pub fn functions(code: &str) -> Vec<Function> {
    let characters: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for (at, c) in characters.iter().enumerate() {
        if *c == '\n' {
            line += 1;
        }
        let starts = *c == 'f' && characters.get(at + 1) == Some(&'n') && (at == 0 || !is_word(characters[at - 1]));
        if starts && let Some((name, lines)) = function_at(&characters, at + 2) {
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// The name and length of the function whose `fn` ends before `at`; `None` for a type such as
/// `fn(u8)`, or a declaration without a body.
fn function_at(code: &[char], at: usize) -> Option<(String, usize)> {
    code.get(at).filter(|c| c.is_whitespace())?;
    let start = find(code, at, |c| !c.is_whitespace());
    let end = find(code, start, |c| !is_word(c));
    if start == end {
        return None;
    }
    let open = body(code, end)?;
    let mut depth = 0;
    let mut lines = 1 + code[at..open].iter().filter(|c| **c == '\n').count();
    for c in &code[open..] {
        match c {
            '\n' => lines += 1,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    Some((code[start..end].iter().collect(), lines))
}

/// The brace that opens the body: the first outside every parenthesis and bracket of the signature.
fn body(code: &[char], from: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, c) in code[from..].iter().enumerate() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(from + offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}
