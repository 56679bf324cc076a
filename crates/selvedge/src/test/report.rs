//! Where reports go: while it runs, to the terminal; at the end, to the terminal or a file.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::outcome::{FileOutcome, Run, Status};
use super::pretty::Pretty;
use super::{junit, outcome};
use crate::cli::Reporter;
use crate::command;
use crate::terminal;

pub struct Reports {
    reporter: Reporter,
    output: Option<PathBuf>,
    dir: PathBuf,
    /// A single file runs.
    alone: bool,
    /// What is shown while it runs; a machine that reads standard output gets the report alone.
    pretty: Option<Pretty>,
}

impl Reports {
    pub fn new(reporter: Reporter, output: Option<PathBuf>, dir: PathBuf, named: bool) -> Self {
        let color = terminal::color(std::io::stdout().is_terminal());
        let shows = reporter == Reporter::Pretty || output.is_some();
        Self { reporter, output, dir, alone: false, pretty: shows.then_some(Pretty { color, named }) }
    }

    pub fn begin(&mut self, app: &str, files: usize) {
        self.alone = files == 1;
        self.show(|pretty| pretty.begin(app, &self.dir));
    }

    pub fn file(&self, outcome: &FileOutcome) {
        self.show(|pretty| pretty.file(outcome, self.alone));
    }

    pub fn end(&self, run: &Run, name: Option<&str>) -> Result<()> {
        self.show(|pretty| pretty.end(run, name));
        let text = match self.reporter {
            Reporter::Pretty if self.output.is_none() => return Ok(()),
            Reporter::Pretty => {
                let plain = Pretty { color: false, named: name.is_some() };
                let files: String = run.files.iter().map(|file| plain.file(file, self.alone)).collect();
                files + &plain.end(run, name)
            }
            Reporter::Json => format!("{:#}\n", json(run, &self.dir)),
            Reporter::Junit => junit::write(run),
        };
        match &self.output {
            Some(path) => std::fs::write(path, text).with_context(|| format!("can't write {}", path.display())),
            None => command::print(text.trim_end()),
        }
    }

    pub fn changed(&self, changed: &[PathBuf]) {
        let names: Vec<String> =
            changed.iter().map(|path| path.strip_prefix(&self.dir).unwrap_or(path).display().to_string()).collect();
        if !names.is_empty() {
            self.show(|pretty| pretty.changed(&names));
        }
    }

    pub fn waiting(&self) {
        self.show(Pretty::waiting);
    }

    fn show(&self, text: impl FnOnce(&Pretty) -> String) {
        if let Some(pretty) = &self.pretty {
            let text = text(pretty);
            let mut out = std::io::stdout().lock();
            // A reader that left has seen enough.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// The shape that Jest gave such reports, which the tools around tests read.
fn json(run: &Run, dir: &Path) -> serde_json::Value {
    let failed_files = run.files.iter().filter(|file| file.failed()).count();
    let files: Vec<_> = run.files.iter().map(|file| json_file(file, dir)).collect();
    let pending = run.count(Status::Skipped);
    serde_json::json!({
        "success": run.exit_code() == 0,
        "durationMs": ms(run.elapsed),
        "numTotalTestSuites": run.files.len(),
        "numPassedTestSuites": run.files.len() - failed_files,
        "numFailedTestSuites": failed_files,
        "numTotalTests": run.files.iter().map(|file| file.tests.len()).sum::<usize>(),
        "numPassedTests": run.count(Status::Passed),
        "numFailedTests": run.count(Status::Failed),
        "numPendingTests": pending,
        "numTodoTests": run.count(Status::Todo),
        "testResults": files,
    })
}

fn json_file(file: &FileOutcome, dir: &Path) -> serde_json::Value {
    let tests: Vec<_> = file.tests.iter().map(json_test).collect();
    let unbuilt = file.unbuilt.iter().flat_map(|errors| &errors.errors).map(ToString::to_string);
    let problems = file.problems.iter().chain(&file.uncaught).map(|of| text(&of.problem));
    serde_json::json!({
        "name": dir.join(&file.file),
        "file": file.file,
        "status": if file.failed() { "failed" } else { "passed" },
        "durationMs": ms(file.elapsed),
        "message": unbuilt.chain(problems).collect::<Vec<_>>().join("\n"),
        "assertionResults": tests,
    })
}

fn json_test(test: &outcome::TestOutcome) -> serde_json::Value {
    let status = match test.status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
        Status::Todo => "todo",
    };
    let place = test.place.as_ref().map(|at| serde_json::json!({ "line": at.line, "column": at.column }));
    serde_json::json!({
        "ancestorTitles": test.path,
        "title": test.name,
        "fullName": test.full_name(" "),
        "status": status,
        "duration": ms(test.elapsed),
        "location": place,
        "failureMessages": test.problems.iter().map(text).collect::<Vec<_>>(),
    })
}

/// A problem as plain text: what it says, the difference, and the calls.
pub fn text(problem: &outcome::Problem) -> String {
    let mut text = format!("{}: {}", problem.name, problem.message);
    for line in problem.diff.iter().flatten() {
        text += &format!("\n{line}");
    }
    for line in &problem.stack {
        text += &match line {
            outcome::Line::Call(call) => format!("\n    at {call}"),
            outcome::Line::Cause(cause) => format!("\n{cause}"),
        };
    }
    text
}

fn ms(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}
