//! The report for people.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use script::SnippetLine;

use super::outcome::{ConsoleLine, FileOutcome, Line, Problem, Run, Status, TestOutcome};

/// Columns of the rules between the parts of a report.
const WIDTH: usize = 78;
/// Calls of a stack trace that are shown.
const CALLS_MAX: usize = 10;
/// Tests that took so long are told with their time in a colour.
const SLOW: Duration = Duration::from_millis(300);

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const DIM: &str = "2";
const BOLD_RED: &str = "1;31";

pub struct Pretty {
    pub color: bool,
    /// Only tests of a name run; of the others nothing is told but their number.
    pub named: bool,
}

impl Pretty {
    fn paint(&self, code: &str, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    pub fn begin(&self, app: &str, dir: &Path) -> String {
        format!("\n {} {app} {}\n\n", self.paint("1;36", "RUN"), self.paint(DIM, &dir.display().to_string()))
    }

    pub fn changed(&self, names: &[String]) -> String {
        format!("\n {} {}\n", self.paint("1;36", "CHANGED"), names.join(", "))
    }

    pub fn waiting(&self) -> String {
        format!("\n {} waiting for changes; Ctrl-C ends\n", self.paint(DIM, "…"))
    }

    /// One file, when it is done; `alone` if no other runs.
    pub fn file(&self, file: &FileOutcome, alone: bool) -> String {
        let mut out = String::new();
        for line in &file.console {
            out += &self.console(&file.file, line);
        }
        let mark = match (file.failed(), file.skipped()) {
            (true, _) => self.paint(RED, "❯"),
            (false, true) => self.paint(DIM, "↓"),
            (false, false) => self.paint(GREEN, "✓"),
        };
        let mut counts = vec![count(file.tests.len(), "test")];
        let failed = file.count(Status::Failed);
        if failed > 0 {
            counts.push(self.paint(RED, &format!("{failed} failed")));
        }
        let skipped = file.count(Status::Skipped) + file.count(Status::Todo);
        if skipped > 0 {
            counts.push(self.paint(YELLOW, &format!("{skipped} skipped")));
        }
        let counts = if file.unbuilt.is_some() { self.paint(RED, "not built") } else { counts.join(" | ") };
        let _ = writeln!(out, " {mark} {} ({counts}){}", printable(&file.file), self.time(file.elapsed));
        // Among others, a file in which all is well says so in one line.
        let told = |test: &&TestOutcome| !(self.named && test.status == Status::Skipped);
        for test in file.tests.iter().filter(|_| file.failed() || alone).filter(told) {
            out += &self.test(test);
        }
        out
    }

    fn test(&self, test: &TestOutcome) -> String {
        let name = printable(&test.full_name(" > "));
        let note = if test.note.is_empty() {
            String::new()
        } else {
            self.paint(DIM, &format!(" [{}]", printable(&test.note)))
        };
        match test.status {
            Status::Passed => format!("   {} {name}{}\n", self.paint(GREEN, "✓"), self.time(test.elapsed)),
            Status::Skipped => format!("   {} {name}{note}\n", self.paint(DIM, "↓")),
            Status::Todo => format!("   {} {name} {}\n", self.paint(DIM, "□"), self.paint(DIM, "[todo]")),
            Status::Failed => {
                let mut out =
                    format!("   {} {}{}\n", self.paint(RED, "×"), self.paint(RED, &name), self.time(test.elapsed));
                for problem in &test.problems {
                    let first = printable(problem.message.lines().next().unwrap_or_default());
                    let _ = writeln!(out, "     {}", self.paint(RED, &format!("→ {first}")));
                }
                out
            }
        }
    }

    fn time(&self, elapsed: Duration) -> String {
        let code = if elapsed >= SLOW { YELLOW } else { DIM };
        self.paint(code, &format!(" {}", time(elapsed)))
    }

    fn console(&self, file: &str, line: &ConsoleLine) -> String {
        let (stream, code) = if line.is_error { ("stderr", YELLOW) } else { ("stdout", DIM) };
        let during =
            std::iter::once(file).chain(line.during.iter().map(String::as_str)).collect::<Vec<_>>().join(" > ");
        let worker = line.worker.as_ref().map(|worker| format!(" ({worker})")).unwrap_or_default();
        let source = line.source.as_ref().map(|source| format!(" {source}")).unwrap_or_default();
        let head = self.paint(code, &format!("{stream} | {}{worker}{source}", printable(&during)));
        format!("{head}\n{}\n\n", printable(&line.text))
    }

    /// What failed, and the sums.
    pub fn end(&self, run: &Run, name: Option<&str>) -> String {
        let mut out = String::new();
        self.broken_files(&mut out, run);
        self.failed_tests(&mut out, run);
        self.uncaught(&mut out, run);
        out += &self.sums(run);
        let none_ran = run.count(Status::Passed) + run.count(Status::Failed) == 0;
        if let Some(name) = name.filter(|_| none_ran && run.exit_code() == 0) {
            let _ = writeln!(out, "\n {} no test has {name:?} in its name", self.paint(YELLOW, "note:"));
        }
        out
    }

    fn rule(&self, title: &str) -> String {
        let dashes = WIDTH.saturating_sub(title.chars().count() + 2) / 2;
        let line = "⎯".repeat(dashes);
        format!("\n{}\n\n", self.paint(RED, &format!("{line} {title} {line}")))
    }

    fn broken_files(&self, out: &mut String, run: &Run) {
        let broken = run.files.iter().filter(|file| file.unbuilt.is_some() || !file.problems.is_empty());
        let broken: Vec<_> = broken.collect();
        if broken.is_empty() {
            return;
        }
        *out += &self.rule(&format!("Failed files and suites {}", broken.len()));
        for file in broken {
            if let Some(errors) = &file.unbuilt {
                let _ = writeln!(out, " {} {}\n", self.paint(BOLD_RED, "FAIL"), printable(&file.file));
                let _ = writeln!(out, "{}", errors.render(self.color));
            }
            for of in &file.problems {
                let path = std::iter::once(&file.file).chain(&of.path).map(String::as_str).collect::<Vec<_>>();
                let _ = writeln!(out, " {} {}", self.paint(BOLD_RED, "FAIL"), printable(&path.join(" > ")));
                *out += &self.problem(&of.problem);
            }
        }
    }

    fn failed_tests(&self, out: &mut String, run: &Run) {
        let failed = run.count(Status::Failed);
        if failed == 0 {
            return;
        }
        *out += &self.rule(&format!("Failed tests {failed}"));
        for file in &run.files {
            for test in file.tests.iter().filter(|test| test.status == Status::Failed) {
                let name = format!("{} > {}", file.file, test.full_name(" > "));
                let _ = writeln!(out, " {} {}", self.paint(BOLD_RED, "FAIL"), printable(&name));
                for problem in &test.problems {
                    *out += &self.problem(problem);
                }
            }
        }
    }

    fn uncaught(&self, out: &mut String, run: &Run) {
        let all: Vec<_> = run.files.iter().flat_map(|file| file.uncaught.iter().map(move |of| (file, of))).collect();
        if all.is_empty() {
            return;
        }
        *out += &self.rule(&format!("Uncaught errors {}", all.len()));
        *out += " They came up while tests ran, and nobody caught them. What passed may be wrong for it.\n\n";
        for (file, of) in all {
            let path = std::iter::once(&file.file).chain(&of.path).map(String::as_str).collect::<Vec<_>>();
            let _ = writeln!(out, " {} {}", self.paint(BOLD_RED, "ERROR"), printable(&path.join(" > ")));
            *out += &self.problem(&of.problem);
        }
    }

    fn problem(&self, problem: &Problem) -> String {
        let head = format!("{}: {}", problem.name, problem.message);
        let mut out = format!("{}\n", self.paint(RED, &printable(&head)));
        if let Some(diff) = &problem.diff {
            out += &self.diff(diff);
        }
        if let Some(help) = &problem.help {
            let _ = writeln!(out, " {} {help}", self.paint(CYAN, "help:"));
        }
        out.push('\n');
        let here =
            problem.frame.as_ref().map(|at| format!("{}:{}:{}", at.file, at.line, at.column)).unwrap_or_default();
        let mut shown = problem.snippet.is_empty();
        for line in problem.stack.iter().take(CALLS_MAX) {
            let _ = match line {
                Line::Call(call) => {
                    let code = if call.contains("node_modules/") { DIM } else { CYAN };
                    writeln!(out, " {}", self.paint(code, &format!("❯ {}", printable(call))))
                }
                Line::Cause(cause) => {
                    let gap = if out.ends_with("\n\n") { "" } else { "\n" };
                    writeln!(out, "{gap} {}", self.paint(RED, &printable(cause)))
                }
            };
            if !shown && matches!(line, Line::Call(call) if call.ends_with(&here)) {
                shown = true;
                out += &self.snippet(&problem.snippet);
            }
        }
        if problem.stack.len() > CALLS_MAX {
            let _ =
                writeln!(out, " {}", self.paint(DIM, &format!("❯ … {} more calls", problem.stack.len() - CALLS_MAX)));
        }
        out.truncate(out.trim_end().len());
        out + "\n\n"
    }

    fn diff(&self, lines: &[String]) -> String {
        let mut out = format!("\n{}\n{}\n\n", self.paint(GREEN, "- Expected"), self.paint(RED, "+ Received"));
        for line in lines {
            let code = match line.as_bytes().first() {
                Some(b'-') => GREEN,
                Some(b'+') => RED,
                Some(b'@') => CYAN,
                _ => DIM,
            };
            let _ = writeln!(out, "{}", self.paint(code, &printable(line)));
        }
        out
    }

    fn snippet(&self, lines: &[SnippetLine]) -> String {
        let width = lines.last().map_or(1, |line| line.number.to_string().len());
        let mut out = String::new();
        for line in lines {
            let number = self.paint(DIM, &format!("{:>width$}|", line.number));
            let _ = writeln!(out, "    {}", format!("{number} {}", line.text).trim_end());
            if let Some((before, _)) = line.mark {
                let gutter = self.paint(DIM, &format!("{}|", " ".repeat(width)));
                let _ = writeln!(out, "    {gutter} {}{}", " ".repeat(before as usize), self.paint(RED, "^"));
            }
        }
        out.push('\n');
        out
    }

    fn sums(&self, run: &Run) -> String {
        let failed = run.files.iter().filter(|file| file.failed()).count();
        let skipped = run.files.iter().filter(|file| file.skipped()).count();
        let files = self.sum(failed, run.files.len() - failed - skipped, skipped, 0);
        let of = |status| run.count(status);
        let tests = self.sum(of(Status::Failed), of(Status::Passed), of(Status::Skipped), of(Status::Todo));
        let mut out =
            format!("\n {} {files}\n {} {tests}\n", self.paint(DIM, "Test Files "), self.paint(DIM, "     Tests "));
        let written: usize = run.files.iter().map(|file| file.snapshots).sum();
        if written > 0 {
            let text = self.paint("1;32", &format!("{written} written"));
            let _ = writeln!(out, " {} {text}", self.paint(DIM, " Snapshots "));
        }
        let uncaught: usize = run.files.iter().map(|file| file.uncaught.len()).sum();
        if uncaught > 0 {
            let text = self.paint(BOLD_RED, &count(uncaught, "error"));
            let _ = writeln!(out, " {} {text}", self.paint(DIM, "  Uncaught "));
        }
        let _ = writeln!(out, " {} {}", self.paint(DIM, "  Duration "), time(run.elapsed));
        out
    }

    fn sum(&self, failed: usize, passed: usize, skipped: usize, todo: usize) -> String {
        let parts = [
            (failed, "failed", BOLD_RED),
            (passed, "passed", "1;32"),
            (skipped, "skipped", YELLOW),
            (todo, "todo", DIM),
        ];
        let named = parts.iter().filter(|(count, ..)| *count > 0);
        let text: Vec<_> = named.map(|(count, word, code)| self.paint(code, &format!("{count} {word}"))).collect();
        let total = failed + passed + skipped + todo;
        let text = if text.is_empty() { "none".to_owned() } else { text.join(" | ") };
        format!("{text} {}", self.paint(DIM, &format!("({total})")))
    }
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn time(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        ms if ms < 1_000 => format!("{ms}ms"),
        _ => format!("{:.2}s", elapsed.as_secs_f64()),
    }
}

/// Text of an app for a terminal: no control characters but line breaks and tabs.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
