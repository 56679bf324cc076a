//! What came of it: the words that all reports share.

use std::path::PathBuf;
use std::time::Duration;

use script::{BuildErrors, SnippetLine};
use worker::Frame;

use super::UNUSABLE;

/// One run of the command.
pub struct Run {
    /// In the order of their names.
    pub files: Vec<FileOutcome>,
    pub elapsed: Duration,
}

/// What came of one file.
pub struct FileOutcome {
    /// Relative to the project.
    pub file: String,
    pub elapsed: Duration,
    /// Why the file could not be built.
    pub unbuilt: Option<BuildErrors>,
    /// What went wrong outside of any test.
    pub problems: Vec<SuiteProblem>,
    /// Errors that nobody caught.
    pub uncaught: Vec<SuiteProblem>,
    pub tests: Vec<TestOutcome>,
    pub console: Vec<ConsoleLine>,
    /// Snapshots that were written into it.
    pub snapshots: usize,
    /// Every file that was read for it, absolute.
    pub inputs: Vec<PathBuf>,
    /// Whether it calls the app's workers.
    pub calls_app: bool,
}

/// A problem of a suite's hooks, or of a file as a whole; also one that came up while a test ran.
pub struct SuiteProblem {
    /// Names of the suites, or those and the test's; empty for the file.
    pub path: Vec<String>,
    pub problem: Problem,
}

pub struct TestOutcome {
    pub path: Vec<String>,
    pub name: String,
    pub status: Status,
    pub elapsed: Duration,
    pub problems: Vec<Problem>,
    /// Where it was declared.
    pub place: Option<Frame>,
    /// What `skip()` was told.
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Passed,
    Failed,
    Skipped,
    Todo,
}

/// An error, in terms of the original source.
#[derive(Debug, Clone, Default)]
pub struct Problem {
    pub name: String,
    pub message: String,
    /// Calls outside of the platform's own modules, innermost first.
    pub stack: Vec<Line>,
    /// Lines that begin with `- `, `+ ` or two spaces.
    pub diff: Option<Vec<String>>,
    pub frame: Option<Frame>,
    pub snippet: Vec<SnippetLine>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A line of a stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `name file:line:column`.
    Call(String),
    /// `caused by: …`: the calls that follow are those of another error.
    Cause(String),
}

/// A line that a test, or the app, wrote to its console.
pub struct ConsoleLine {
    /// Names of the suites and of the test that ran.
    pub during: Vec<String>,
    /// The worker that wrote it; `None` for the test itself.
    pub worker: Option<String>,
    pub is_error: bool,
    pub text: String,
    pub source: Option<String>,
}

impl FileOutcome {
    pub fn new(file: String) -> Self {
        Self {
            file,
            elapsed: Duration::ZERO,
            unbuilt: None,
            problems: Vec::new(),
            uncaught: Vec::new(),
            tests: Vec::new(),
            console: Vec::new(),
            snapshots: 0,
            inputs: Vec::new(),
            calls_app: false,
        }
    }

    pub fn count(&self, status: Status) -> usize {
        self.tests.iter().filter(|test| test.status == status).count()
    }

    pub fn failed(&self) -> bool {
        self.unbuilt.is_some() || !self.problems.is_empty() || self.count(Status::Failed) > 0
    }

    /// Nothing of it ran, and nothing is wrong with it.
    pub fn skipped(&self) -> bool {
        !self.failed() && self.tests.iter().all(|test| matches!(test.status, Status::Skipped | Status::Todo))
    }
}

impl TestOutcome {
    /// With `separator` between the names.
    pub fn full_name(&self, separator: &str) -> String {
        let names = self.path.iter().chain([&self.name]);
        names.map(String::as_str).collect::<Vec<_>>().join(separator)
    }
}

impl Run {
    pub fn count(&self, status: Status) -> usize {
        self.files.iter().map(|file| file.count(status)).sum()
    }

    /// 0 if all is well, 1 if a test failed, 2 if something could not be built.
    pub fn exit_code(&self) -> u8 {
        if self.files.iter().any(|file| file.unbuilt.is_some()) {
            return UNUSABLE;
        }
        u8::from(self.files.iter().any(|file| file.failed() || !file.uncaught.is_empty()))
    }
}
