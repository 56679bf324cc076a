//! `.dev.vars`: variables for development, in the manner of `.env` files, which stand over those of
//! the manifest and in for its secrets.
//!
//! A line is `KEY=value`, with `export ` before it if one likes. A value without quotes ends at the
//! line or at ` #`; in single quotes or backticks it is taken as it stands; in double quotes `\n`,
//! `\r`, `\t`, `\"` and `\\` stand for what they stand for in a string. A quoted value may go on
//! over several lines. Empty lines and lines that begin with `#` say nothing. A later line for the
//! same key wins.

use std::collections::BTreeMap;
use std::ops::Range;

use base::{BindingName, Secret};

use crate::bounds::{MANIFEST_BYTES, VAR_BYTES};
use crate::origin::Place;
use crate::report::{Diagnostic, Report, Source, SourceFile, code};

#[derive(Debug, Default)]
pub(crate) struct DevVars {
    pub vars: BTreeMap<BindingName, (Secret<String>, Place)>,
}

pub(crate) fn parse(source: Source<'_>) -> Result<DevVars, Report> {
    if source.text.len() as u64 > MANIFEST_BYTES.max {
        let size = source.text.len();
        let message = format!("{} has {size} bytes; at most {} (manifest_bytes)", source.path, MANIFEST_BYTES.max);
        return Err(Diagnostic::new(code::TOO_LARGE, message).into());
    }
    let mut parser = Parser { text: source.text, at: 0, faults: Vec::new(), vars: BTreeMap::new() };
    if parser.text.starts_with('\u{feff}') {
        parser.at = '\u{feff}'.len_utf8();
    }
    while parser.at < parser.text.len() {
        parser.line();
    }
    let Parser { faults, vars, .. } = parser;
    let shown = redact(source.text, vars.values().map(|(_, span)| span));
    let file = SourceFile::new(Source { path: source.path, text: &shown });
    if !faults.is_empty() {
        let problems = faults.into_iter().map(|(span, fault)| fault.at(file.place(span)));
        return Err(Report { problems: problems.collect() });
    }
    let placed = vars.into_iter().map(|(name, (value, span))| (name, (value, file.place(span))));
    Ok(DevVars { vars: placed.collect() })
}

/// The text for showing. A report prints the lines around a fault, and it must not print a secret:
/// only the names of variables stay, everything else becomes asterisks, byte for byte.
fn redact<'a>(text: &str, names: impl Iterator<Item = &'a Range<usize>>) -> String {
    let blank = |b: u8| if matches!(b, b'\n' | b'\r' | b' ' | b'=') { b as char } else { '*' };
    let mut shown: String = text.bytes().map(blank).collect();
    for span in names {
        shown.replace_range(span.clone(), &text[span.clone()]);
    }
    shown
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    faults: Vec<(Range<usize>, Diagnostic)>,
    vars: BTreeMap<BindingName, (Secret<String>, Range<usize>)>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn line(&mut self) {
        let start = self.at;
        let line = self.rest().split('\n').next().unwrap_or_default();
        let next = start + line.len() + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            self.at = next;
            return;
        }
        let Some(equals) = line.find('=') else {
            let lead = line.len() - line.trim_start().len();
            let span = start + lead..start + lead + trimmed.len();
            let fault = Diagnostic::new(code::SYNTAX, "this line has no `=`").help("each line is KEY=value");
            self.faults.push((span, fault));
            self.at = next;
            return;
        };
        let left = &line[..equals];
        let left = left.strip_prefix("export ").unwrap_or(left);
        let key = left.trim();
        let key_start = start + equals - left.len() + (left.len() - left.trim_start().len());
        let key_span = key_start..key_start + key.len();
        self.at = start + equals + 1;
        let Some(value) = self.value() else { return };
        match BindingName::parse(key) {
            Ok(_) if value.len() as u64 > VAR_BYTES.max => {
                let message = format!("`{key}` has {} bytes; at most {} (var_bytes)", value.len(), VAR_BYTES.max);
                self.faults.push((key_span, Diagnostic::new(code::TOO_LARGE, message)));
            }
            Ok(name) => {
                self.vars.insert(name, (Secret::new(value), key_span));
            }
            // Without the name: what looks like one may be a line of a key without quotes.
            Err(error) => {
                let message = format!("what stands before the `=` is no name for a variable: {error}");
                self.faults.push((key_span, Diagnostic::new(code::BAD_NAME, message)));
            }
        }
    }

    /// Reads the value after the equals sign and passes its line. None if it is reported as wrong.
    fn value(&mut self) -> Option<String> {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let lead = line.len() - line.trim_start().len();
        if let Some(quote) = line.trim_start().chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
            self.at += lead;
            return self.quoted(quote);
        }
        self.at += line.len() + 1;
        let comment = line
            .char_indices()
            .find(|&(i, c)| c == '#' && line[..i].chars().next_back().is_none_or(char::is_whitespace));
        let value = comment.map_or(line, |(at, _)| &line[..at]);
        Some(value.trim().to_owned())
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let open = self.at;
        let inner = &self.rest()[1..];
        let mut value = String::new();
        let mut chars = inner.char_indices();
        let close = loop {
            match chars.next() {
                None => {
                    let message = format!("the quote {quote} is never closed");
                    self.faults.push((open..open + 1, Diagnostic::new(code::SYNTAX, message)));
                    self.at = self.text.len();
                    return None;
                }
                Some((at, c)) if c == quote => break at,
                Some((_, '\\')) if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => {}
                },
                Some((_, c)) => value.push(c),
            }
        };
        let after_at = open + 1 + close + 1;
        let after = self.text[after_at..].split('\n').next().unwrap_or_default();
        self.at = after_at + after.len() + 1;
        let tail = after.trim();
        if !tail.is_empty() && !tail.starts_with('#') {
            let lead = after.len() - after.trim_start().len();
            let span = after_at + lead..after_at + lead + tail.len();
            self.faults.push((span, Diagnostic::new(code::SYNTAX, "something follows the closing quote")));
            return None;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests;
