//! Why an invocation gave no response.

use std::time::Duration;

use base::{Code, Problem};

use crate::{Call, Event};

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
    /// When it is worth another try, if whoever failed knows.
    pub retry_after_s: Option<u32>,
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
        Self { code, detail: detail.into(), stack: None, frame: None, retry_after_s: None }
    }

    pub fn with_stack(mut self, stack: impl Into<String>) -> Self {
        self.stack = Some(stack.into());
        self
    }

    pub fn with_retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// What the client may know. A 503 always says when to come back.
    pub fn problem(&self) -> Problem {
        let problem = Problem::new(self.code);
        match self.retry_after_s {
            Some(seconds) => problem.retry_after_s(seconds),
            None if self.code.status == 503 => problem.retry_after_s(1),
            None => problem,
        }
    }
}

/// How a run in an instance ended without a response.
#[derive(thiserror::Error)]
#[error("{failure}")]
pub struct Ended {
    pub failure: Failure,
    /// The instance was lost to another event, and this one may run once more in another instance.
    pub again: Option<Box<Again>>,
}

/// An event that left no trace, as it was before it entered its instance.
pub struct Again {
    pub call: Call,
    pub event: Event,
    /// How much of `head_ms` is over.
    pub spent: Duration,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self { failure, again: None }
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        ended.failure
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ended").field("failure", &self.failure).field("again", &self.again.is_some()).finish()
    }
}

#[cfg(test)]
mod tests;
