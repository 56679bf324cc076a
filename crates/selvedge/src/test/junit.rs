//! Reports for build servers, in the format that JUnit gave them.

use std::fmt::Write as _;

use super::outcome::{FileOutcome, Run, Status, TestOutcome};
use super::report::text;

pub fn write(run: &Run) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = run.files.iter().map(Counts::of).fold(Counts::default(), Counts::and);
    let _ = writeln!(out, "<testsuites name=\"selvedge test\" {}>", counts.attributes(run.elapsed.as_secs_f64()));
    for file in &run.files {
        suite(&mut out, file);
    }
    out += "</testsuites>\n";
    out
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of(file: &FileOutcome) -> Self {
        let errors = file.problems.len() + file.uncaught.len() + usize::from(file.unbuilt.is_some());
        Self {
            tests: file.tests.len() + errors,
            failures: file.count(Status::Failed),
            errors,
            skipped: file.count(Status::Skipped) + file.count(Status::Todo),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
        }
    }

    fn attributes(&self, seconds: f64) -> String {
        let Self { tests, failures, errors, skipped } = self;
        format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{seconds:.3}\""
        )
    }
}

fn suite(out: &mut String, file: &FileOutcome) {
    let name = escape(&file.file);
    let _ = writeln!(out, "  <testsuite name=\"{name}\" {}>", Counts::of(file).attributes(file.elapsed.as_secs_f64()));
    for test in &file.tests {
        case(out, &name, test);
    }
    let mut error = |what: &str, message: &str, whole: &str| {
        let (what, message, whole) = (escape(what), escape(message), escape(whole));
        let _ = writeln!(
            out,
            "    <testcase classname=\"{name}\" name=\"{what}\" time=\"0\">\n      <error message=\"{message}\">{whole}</error>\n    </testcase>"
        );
    };
    if let Some(errors) = &file.unbuilt {
        error("(build)", "the file could not be built", &errors.render(false));
    }
    for of in &file.problems {
        error(&format!("{} (hooks)", of.path.join(" > ")), &of.problem.message, &text(&of.problem));
    }
    for of in &file.uncaught {
        error(&format!("{} (uncaught)", of.path.join(" > ")), &of.problem.message, &text(&of.problem));
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, file: &str, test: &TestOutcome) {
    let name = escape(&test.full_name(" > "));
    let seconds = test.elapsed.as_secs_f64();
    let _ = write!(out, "    <testcase classname=\"{file}\" name=\"{name}\" time=\"{seconds:.3}\"");
    match test.status {
        Status::Passed => out.push_str("/>\n"),
        Status::Skipped | Status::Todo => out.push_str(">\n      <skipped/>\n    </testcase>\n"),
        Status::Failed => {
            out.push_str(">\n");
            for problem in &test.problems {
                let (kind, message, whole) = (escape(&problem.name), escape(&problem.message), escape(&text(problem)));
                let _ = writeln!(out, "      <failure type=\"{kind}\" message=\"{message}\">{whole}</failure>");
            }
            out.push_str("    </testcase>\n");
        }
    }
}

/// Text for XML 1.0, which has no place for most control characters.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
