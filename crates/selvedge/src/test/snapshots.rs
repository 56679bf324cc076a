//! Inline snapshots that a run writes into the files of tests.

use std::collections::BTreeMap;
use std::path::Path;

use script::InlineSnapshot;
use serde::Deserialize;

use super::file::problems::Places;
use super::outcome::Problem;

/// Which snapshots are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Those that differ, too.
    All,
    /// Those that are not there yet.
    New,
    /// None: a build server has nobody who would look at them.
    None,
}

impl Update {
    pub fn chosen(all: bool) -> Self {
        match std::env::var_os("CI") {
            _ if all => Self::All,
            Some(value) if !value.is_empty() && value != "false" && value != "0" => Self::None,
            _ => Self::New,
        }
    }

    /// As the runner calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::New => "new",
            Self::None => "none",
        }
    }
}

/// A snapshot that the guest wants to be written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Written {
    stack: String,
    text: String,
}

/// Those of one file of tests, by the file that they stand in.
#[derive(Default)]
pub struct Snapshots {
    files: BTreeMap<String, BTreeMap<(u32, u32), String>>,
    problems: Vec<Problem>,
}

impl Snapshots {
    pub fn note(&mut self, written: &[Written], places: &Places) {
        for Written { stack, text } in written {
            let Some(frame) = places.of_stack(stack) else { continue };
            let known = self.files.entry(frame.file.clone()).or_default();
            match known.get(&(frame.line, frame.column)) {
                Some(other) if other != text => {
                    let message = "one inline snapshot can't stand for different values";
                    let help = "compare within the loop by other means, or give each value a call of its own";
                    let problem = Problem { help: Some(help.into()), ..Problem::plain(message) };
                    self.problems.push(places.or_at(problem, Some(frame)));
                }
                Some(_) => {}
                None => drop(known.insert((frame.line, frame.column), text.clone())),
            }
        }
    }

    /// Writes them. Answers how many, and what went wrong.
    pub fn write(self, dir: &Path) -> (usize, Vec<Problem>) {
        let mut problems = self.problems;
        if !problems.is_empty() {
            return (0, problems);
        }
        let mut written = 0;
        for (file, places) in self.files {
            let snapshots: Vec<_> =
                places.into_iter().map(|((line, column), text)| InlineSnapshot { line, column, text }).collect();
            match write_into(dir, &file, &snapshots) {
                Ok(()) => written += snapshots.len(),
                Err(why) => problems.push(Problem::plain(&format!("snapshots of {file} can't be written: {why}"))),
            }
        }
        (written, problems)
    }
}

fn write_into(dir: &Path, file: &str, snapshots: &[InlineSnapshot]) -> Result<(), String> {
    let path = dir.join(file).canonicalize().map_err(|error| error.to_string())?;
    if !path.starts_with(dir) || file.contains("node_modules/") {
        return Err("it is no file of the project".into());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let text = script::write_snapshots(file, &text, snapshots)?;
    std::fs::write(&path, text).map_err(|error| error.to_string())
}
