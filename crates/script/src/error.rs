//! Errors of a build: what, where, and what to do, as data, as a line, and as a code frame.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Errors that one build reports at most; the rest would repeat the first.
pub(crate) const ERRORS_MAX: usize = 20;
/// Characters of a line that a frame shows; minified files have lines of megabytes.
const FRAME_COLUMNS_MAX: usize = 140;
/// Lines shown before and after the one with the error.
const FRAME_LINES_BEFORE: u32 = 2;
const FRAME_LINES_AFTER: u32 = 1;

/// What went wrong, for a program to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The entry file is missing or is no script.
    Entry,
    /// A file can't be read.
    Read,
    /// A file is not UTF-8.
    Utf8,
    /// The source breaks the grammar, or an early error of the language.
    Syntax,
    /// A JSON file does not parse.
    Json,
    /// A specifier resolves to nothing.
    Unresolved,
    /// A module has no export of that name, or two of them.
    Export,
    /// A package.json or tsconfig.json is broken.
    Config,
    /// Something that this version can't do.
    Unsupported,
    /// A limit of [`Options`](crate::Options).
    Limit,
}

/// One error of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuildError {
    /// The stable code of the platform: a script that does not build is `bad_script`.
    pub code: &'static str,
    pub kind: ErrorKind,
    /// Path relative to the app, with forward slashes.
    pub file: String,
    /// From 1; 0 if the error is about the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0 if the error is about the file as a whole.
    pub column: u32,
    /// How many characters of the line are meant; at least 1.
    pub length: u32,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line with the error and its neighbours, shortened if long; empty without a position.
    pub snippet: Vec<SnippetLine>,
}

/// A line of source in a frame. Control characters are replaced and tabs are spaces, so that it can
/// be printed as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnippetLine {
    pub number: u32,
    pub text: String,
    /// For the line with the error: characters of `text` before and under the mark.
    pub mark: Option<(u32, u32)>,
}

impl BuildError {
    pub(crate) fn new(kind: ErrorKind, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: base::code::BAD_SCRIPT.name,
            kind,
            file: file.into(),
            line: 0,
            column: 0,
            length: 1,
            message: message.into(),
            help: None,
            snippet: Vec::new(),
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Places the error at bytes `start..end` of `source`.
    pub(crate) fn at(mut self, source: &str, start: usize, end: usize) -> Self {
        let start = floor_boundary(source, start);
        let end = floor_boundary(source, end.max(start));
        let (line, column) = position(source, start);
        self.line = line;
        self.column = column;
        let meant = source[start..end].lines().next().unwrap_or("");
        self.length = (meant.chars().count() as u32).max(1);
        self.snippet = frame(source, line, column, self.length);
        self
    }

    /// Places the error at a line and a column in bytes, both from 1, as other parsers give them.
    pub(crate) fn at_line(self, source: &str, line: usize, column_bytes: usize) -> Self {
        let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let offset = (start + column_bytes.saturating_sub(1)).min(source.len());
        self.at(source, offset, offset)
    }

    /// The error as a person reads it in a terminal, with a frame.
    pub fn render(&self, color: bool) -> String {
        let paint = |code: &str, text: &str| match color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        };
        let width = self.snippet.last().map_or(1, |l| l.number.to_string().len());
        let gutter = " ".repeat(width);
        let mut out = format!("{}: {}\n", paint("1;31", "error"), paint("1", &printable(&self.message)));
        out += &format!("{gutter}{} {}\n", paint("34", "-->"), printable(&self.place()));
        for line in &self.snippet {
            let number = format!("{:>width$} |", line.number);
            out += &format!("{} {}\n", paint("34", &number), line.text);
            if let Some((before, under)) = line.mark {
                let mark = format!("{}{}", " ".repeat(before as usize), "^".repeat(under as usize));
                out += &format!("{} {}\n", paint("34", &format!("{gutter} |")), paint("1;31", &mark));
            }
        }
        if let Some(help) = &self.help {
            for (i, text) in printable(help).lines().enumerate() {
                let lead = if i == 0 { paint("36", "help") + ":" } else { "     ".into() };
                out += &format!("{gutter} {} {lead} {text}\n", paint("34", "="));
            }
        }
        out
    }

    fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)
    }
}

impl std::error::Error for BuildError {}

/// Everything that a failed build has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuildErrors {
    /// At least one.
    pub errors: Vec<BuildError>,
    /// Every file that was read before the build gave up, absolute and sorted.
    pub inputs: Vec<PathBuf>,
}

impl BuildErrors {
    pub fn render(&self, color: bool) -> String {
        self.errors.iter().map(|e| e.render(color)).collect::<Vec<_>>().join("\n")
    }
}

impl From<Vec<BuildError>> for BuildErrors {
    fn from(mut errors: Vec<BuildError>) -> Self {
        errors.truncate(ERRORS_MAX);
        Self { errors, inputs: Vec::new() }
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

/// Line and column of a byte, both from 1, the column in characters. Lines end at LF, CR LF or CR.
pub(crate) fn position(source: &str, offset: usize) -> (u32, u32) {
    let before = &source[..floor_boundary(source, offset)];
    let bytes = before.as_bytes();
    let mut line = 1;
    let mut start = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let ends = byte == b'\n' || (byte == b'\r' && source.as_bytes().get(i + 1) != Some(&b'\n'));
        if ends {
            line += 1;
            start = i + 1;
        }
    }
    (line, before[start..].chars().count() as u32 + 1)
}

fn floor_boundary(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

pub(crate) fn frame(source: &str, line: u32, column: u32, length: u32) -> Vec<SnippetLine> {
    let first = line.saturating_sub(FRAME_LINES_BEFORE).max(1);
    let lines = split_lines(source).skip(first as usize - 1).take((line - first + 1 + FRAME_LINES_AFTER) as usize);
    let mut frame: Vec<_> = lines
        .zip(first..)
        .map(|(text, number)| match number == line {
            true => marked_line(text, number, column, length),
            false => SnippetLine { number, text: shorten(text, 0).0, mark: None },
        })
        .collect();
    while frame.last().is_some_and(|l| l.mark.is_none() && l.text.trim().is_empty()) {
        frame.pop();
    }
    frame
}

fn split_lines(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(source);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else { return rest.take() };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

fn marked_line(text: &str, number: u32, column: u32, length: u32) -> SnippetLine {
    let column = column as usize - 1;
    let from = if column + 20 > FRAME_COLUMNS_MAX { column.saturating_sub(FRAME_COLUMNS_MAX / 2) } else { 0 };
    let (shown, lead) = shorten(text, from);
    let wide = |from: usize, count: usize| text.chars().skip(from).take(count).map(wide_of).sum::<usize>();
    let before = lead + wide(from, column - from);
    let under = wide(column, length as usize).clamp(1, FRAME_COLUMNS_MAX);
    let under = under.min(shown.chars().count().saturating_sub(before).max(1));
    SnippetLine { number, text: shown, mark: Some((before as u32, under as u32)) }
}

/// The visible part of a line from character `from`, and how many characters were put in front.
fn shorten(text: &str, from: usize) -> (String, usize) {
    let (mut out, lead) = if from > 0 { ("… ".to_string(), 2) } else { (String::new(), 0) };
    let mut rest = text.chars().skip(from);
    out.extend(rest.by_ref().take(FRAME_COLUMNS_MAX).flat_map(shown));
    if rest.next().is_some() {
        out.push_str(" …");
    }
    (out, lead)
}

fn wide_of(c: char) -> usize {
    if c == '\t' { 4 } else { 1 }
}

fn shown(c: char) -> impl Iterator<Item = char> {
    let c_shown = if c == '\t' {
        ' '
    } else if c.is_control() {
        '\u{fffd}'
    } else {
        c
    };
    std::iter::repeat_n(c_shown, wide_of(c))
}

/// Text for a terminal: a file name or a message may carry control characters of its author.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
