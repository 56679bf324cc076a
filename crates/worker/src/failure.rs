//! Why an invocation gave no response.

use base::{Code, Problem};

/// What went wrong, in two strings: the code's title is for the client, `detail` and `stack` are
/// for the log and, in `dev`, for the developer's browser.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", self.code.name, self.detail)]
pub struct Failure {
    pub code: Code,
    pub detail: String,
    /// A stack trace of guest code, mapped to the original source.
    pub stack: Option<String>,
    /// The place in the original source, if one is known.
    pub frame: Option<Frame>,
}

/// A position in a source file; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

impl Frame {
    /// The topmost position in a stack trace whose lines end in `file:line:column`, in parentheses
    /// or not. The platform's own modules, `selvedge:…`, are passed over: nobody can mend those.
    pub fn first(stack: &str) -> Option<Self> {
        stack.lines().find_map(|line| {
            let place = line.trim().trim_end_matches(')');
            let place = place.rsplit_once('(').map_or_else(|| place.trim_start_matches("at "), |(_, inner)| inner);
            let (rest, column) = place.rsplit_once(':')?;
            let (file, line) = rest.rsplit_once(':')?;
            if file.starts_with("selvedge:") {
                return None;
            }
            Some(Self { file: file.to_owned(), line: line.parse().ok()?, column: column.parse().ok()? })
        })
    }
}

impl Failure {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), stack: None, frame: None }
    }

    pub fn with_stack(mut self, stack: impl Into<String>) -> Self {
        self.stack = Some(stack.into());
        self
    }

    /// What the client may know.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.code);
        if self.code.status == 503 { problem.retry_after_s(1) } else { problem }
    }
}

#[cfg(test)]
mod tests;
