//! Why an app could not be built: for a terminal, for a program, and for a page in the browser.

use std::fmt;
use std::path::PathBuf;

use base::WorkerName;
use manifest::{Diagnostic, Report};
use script::{BuildErrors, SnippetLine};
use serde::Serialize;

/// The stable codes of the problems that building itself finds; the others come from the manifest
/// and from the scripts.
pub mod code {
    pub const NO_DIRECTORY: &str = "build::no_directory";
    pub const NO_MANIFEST: &str = "build::no_manifest";
    pub const UNREADABLE: &str = "build::unreadable";
    pub const TOO_LARGE: &str = "build::too_large";
    pub const ASSET: &str = "build::asset";
    pub const BAD_MIGRATION: &str = "build::migration";
}

/// Lines shown before and after the one with the problem.
const LINES_AROUND: usize = 2;
/// Characters of a line that are shown.
const COLUMNS_MAX: usize = 140;

/// Everything that stopped a build.
#[derive(Debug, Clone)]
pub struct BuildFailure {
    /// At least one.
    pub faults: Vec<BuildFault>,
    /// What to watch: a change of any of these may mend the build. Absolute and sorted.
    pub inputs: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
pub enum BuildFault {
    Manifest(Report),
    Script { worker: WorkerName, errors: BuildErrors },
    File(FileFault),
}

/// A problem with a file as a whole, or with the lack of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    pub code: &'static str,
    pub message: String,
    /// Relative to the app's directory.
    pub file: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// One problem in the form that all kinds share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultView {
    pub code: String,
    pub message: String,
    pub worker: Option<WorkerName>,
    /// Relative to the app's directory.
    pub file: Option<String>,
    /// From 1; none if the file as a whole is meant.
    pub line: Option<u32>,
    /// In characters, from 1.
    pub column: Option<u32>,
    pub help: Option<String>,
    /// The lines around the place.
    pub snippet: Vec<SnippetLine>,
}

impl FileFault {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), file: None, help: None }
    }

    pub(super) fn file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(super) fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }

    fn render(&self, color: bool) -> String {
        let paint = |code: &str, text: &str| match color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        };
        let mut text = format!("{}: {}\n", paint("1;31", "error"), paint("1", &self.message));
        if let Some(help) = &self.help {
            text += &format!(" {} {}: {help}\n", paint("34", "="), paint("36", "help"));
        }
        text
    }
}

impl From<FileFault> for BuildFault {
    fn from(fault: FileFault) -> Self {
        Self::File(fault)
    }
}

impl BuildFailure {
    /// For a person: each problem with the lines of the file around it.
    pub fn render(&self, color: bool) -> String {
        let render = |fault: &BuildFault| match fault {
            BuildFault::Manifest(report) => report.render(color),
            BuildFault::Script { errors, .. } => errors.render(color),
            BuildFault::File(fault) => fault.render(color),
        };
        self.faults.iter().map(render).collect::<Vec<_>>().join("\n")
    }

    /// For a program: `{"problems": [` [`FaultView`] `]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "problems": self.views() })
    }

    /// Every problem, in one form; for a page that shows them.
    pub fn views(&self) -> Vec<FaultView> {
        let mut views = Vec::new();
        for fault in &self.faults {
            match fault {
                BuildFault::Manifest(report) => views.extend(report.problems.iter().map(of_manifest)),
                BuildFault::Script { worker, errors } => {
                    views.extend(errors.errors.iter().map(|error| of_script(worker, error)));
                }
                BuildFault::File(fault) => views.push(FaultView {
                    file: fault.file.clone(),
                    help: fault.help.clone(),
                    ..FaultView::new(fault.code, &fault.message)
                }),
            }
        }
        views
    }
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views = self.views();
        let Some(first) = views.first() else { return f.write_str("the app could not be built") };
        match (&first.file, first.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {}", first.message)?,
            _ => f.write_str(&first.message)?,
        }
        match views.len() - 1 {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl std::error::Error for BuildFailure {}

impl FaultView {
    fn new(code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { code, message, worker: None, file: None, line: None, column: None, help: None, snippet: Vec::new() }
    }
}

fn of_script(worker: &WorkerName, error: &script::BuildError) -> FaultView {
    let known = |number: u32| (number > 0).then_some(number);
    FaultView {
        worker: Some(worker.clone()),
        file: Some(error.file.clone()),
        line: known(error.line),
        column: known(error.column),
        help: error.help.clone(),
        snippet: error.snippet.clone(),
        ..FaultView::new(error.code, &error.message)
    }
}

fn of_manifest(problem: &Diagnostic) -> FaultView {
    let view = FaultView { help: problem.help.clone(), ..FaultView::new(problem.code, &problem.message) };
    let Some(place) = &problem.place else { return view };
    let (line, column) = place.line_column();
    let length = place.file.text().get(place.span.clone()).and_then(|text| text.lines().next());
    let length = length.map_or(1, |text| text.chars().count().max(1));
    FaultView {
        file: Some(place.file.path().to_owned()),
        line: Some(line as u32),
        column: Some(column as u32),
        snippet: snippet(place.file.text(), line, column, length),
        ..view
    }
}

/// The lines around a place; `line` and `column` count from 1.
fn snippet(text: &str, line: usize, column: usize, length: usize) -> Vec<SnippetLine> {
    let first = line.saturating_sub(LINES_AROUND).max(1);
    let lines = text.lines().enumerate().skip(first - 1).take(line + LINES_AROUND + 1 - first);
    let shown = |text: &str| -> String {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        text.chars().take(COLUMNS_MAX).map(printable).collect()
    };
    let mark = |number: usize| (number == line).then_some(((column - 1) as u32, length as u32));
    let is_shown = |mark: &(u32, u32)| mark.0 < COLUMNS_MAX as u32;
    lines
        .map(|(at, text)| SnippetLine { number: at as u32 + 1, text: shown(text), mark: mark(at + 1).filter(is_shown) })
        .collect()
}
