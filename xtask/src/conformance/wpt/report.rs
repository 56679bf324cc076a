//! What a run comes to: figures for each directory, and what is not as expected.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::Outcome;
use super::expected::{Expected, Known, WHOLE, matches};

#[derive(Debug, Default)]
pub struct Report {
    directories: Vec<Figures>,
    /// By file: names and messages of subtests that should have passed.
    failed: BTreeMap<String, Vec<(String, String)>>,
    /// Known failures that are none any more: the file and the pattern.
    passed: Vec<(String, String)>,
    took: Duration,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub name: String,
    pub passed: usize,
    pub total: usize,
    pub files: usize,
    pub bar: Option<usize>,
}

impl Figures {
    fn is_short(&self) -> bool {
        self.bar.is_some_and(|bar| self.passed < bar)
    }
}

impl Report {
    /// `whole`: all of every directory was run, so that the bars can be asked for.
    pub fn make(expected: &Expected, outcomes: &[Outcome], took: Duration, whole: bool) -> Self {
        let mut report = Self { took, ..Self::default() };
        for directory in &expected.directories {
            let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.test.directory == directory.name).collect();
            if !own.is_empty() {
                let subtests = || own.iter().flat_map(|outcome| &outcome.subtests);
                report.directories.push(Figures {
                    name: directory.name.clone(),
                    passed: subtests().filter(|subtest| subtest.passed).count(),
                    total: subtests().count(),
                    files: own.len(),
                    bar: directory.bar.filter(|_| whole).map(|bar| bar as usize),
                });
            }
        }
        let mut by_file: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in outcomes {
            by_file.entry(&outcome.test.file).or_default().push(outcome);
        }
        for (file, outcomes) in by_file {
            let known: Vec<&Known> = expected.known.iter().filter(|known| known.file == file).collect();
            report.judge(file, &known, &outcomes);
        }
        report
    }

    fn judge(&mut self, file: &str, known: &[&Known], outcomes: &[&Outcome]) {
        let mut results: Vec<(&str, bool, &str)> = Vec::new();
        for outcome in outcomes {
            let failure = outcome.failure.as_deref();
            results.push((WHOLE, failure.is_none(), failure.unwrap_or_default()));
            results.extend(outcome.subtests.iter().map(|s| (s.name.as_str(), s.passed, s.message.as_str())));
        }
        let patterns = || known.iter().flat_map(|known| &known.tests);
        for (name, passed, message) in &results {
            if !passed && !patterns().any(|pattern| matches(pattern, name)) {
                let failed = self.failed.entry(file.to_owned()).or_default();
                failed.push(((*name).to_owned(), (*message).to_owned()));
            }
        }
        for pattern in patterns() {
            let mut matching = results.iter().filter(|(name, ..)| matches(pattern, name)).map(|(_, passed, _)| *passed);
            let holds = if pattern.contains('*') {
                // A pattern that takes in what passes would hide it the day it fails.
                let all: Vec<bool> = matching.collect();
                !all.is_empty() && all.iter().all(|passed| !passed)
            } else {
                matching.any(|passed| !passed)
            };
            if !holds {
                self.passed.push((file.to_owned(), pattern.clone()));
            }
        }
    }

    pub fn surprises(&self) -> usize {
        let failed: usize = self.failed.values().map(Vec::len).sum();
        failed + self.passed.len() + self.directories.iter().filter(|directory| directory.is_short()).count()
    }

    pub fn json(&self) -> serde_json::Value {
        let directories: Vec<_> = self
            .directories
            .iter()
            .map(|d| {
                let Figures { name, passed, total, files, bar } = d;
                serde_json::json!({ "name": name, "passed": passed, "total": total, "files": files, "bar": bar })
            })
            .collect();
        serde_json::json!({
            "directories": directories,
            "unexpectedFailures": self.failed,
            "unexpectedPasses": self.passed,
            "tookMs": self.took.as_millis() as u64,
        })
    }
}

/// The failures are printed as `expected.toml` would have them, so that they can be put there, with
/// a reason.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (file, failed) in &self.failed {
            writeln!(f, "[[known]]\nfile = {}\ntests = [", quoted(file))?;
            for (name, message) in failed {
                writeln!(f, "  # {}\n  {},", message.replace(['\n', '\r'], " ⏎ "), quoted(name))?;
            }
            writeln!(f, "]\nreason = \"\"\n")?;
        }
        for (file, pattern) in &self.passed {
            writeln!(f, "passes now, or matches what passes: {file}: {pattern}")?;
        }
        writeln!(f, "{:<32} {:>8} {:>8} {:>8}  {:>5}", "directory", "passed", "subtests", "bar", "files")?;
        for directory in &self.directories {
            let Figures { name, passed, total, files, bar } = directory;
            let bar = bar.map(|bar| bar.to_string()).unwrap_or_default();
            let short = if directory.is_short() { "  below the bar" } else { "" };
            writeln!(f, "{name:<32} {passed:>8} {total:>8} {bar:>8}  {files:>5}{short}")?;
        }
        let passed: usize = self.directories.iter().map(|directory| directory.passed).sum();
        let total: usize = self.directories.iter().map(|directory| directory.total).sum();
        writeln!(f, "{:<32} {passed:>8} {total:>8}", "all")?;
        writeln!(f, "in {:.1} s", self.took.as_secs_f64())
    }
}

/// As TOML has it: JSON's escapes, and the one character that JSON leaves as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
