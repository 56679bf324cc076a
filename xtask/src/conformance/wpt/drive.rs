//! Runs tests in the engine, which is a program of its own: what is built here must not be, before
//! xtask is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::plan::{self, Test};
use super::{Outcome, Subtest};
use crate::repo::{self, Repo};

const SUITE: &str = "conformance/wpt/suite.js";
const BUILD: [&str; 7] =
    ["build", "--quiet", "--package", "selvedge-engine", "--example", "answers", "--message-format=json"];
const PROCESSES_MAX: usize = 4;

/// What an answer without results means.
const SILENT: &str = "the engine's process ended before it answered";

pub fn run(repo: &Repo, root: &Path, tests: Vec<Test>) -> Result<Vec<Outcome>> {
    let engine = build(repo)?;
    let folder = repo.path("target").join(format!("conformance-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let ran = run_in(&|| start(repo, &engine, root), root, tests, &folder);
    // The bodies are of no use to anybody.
    let _ = fs::remove_dir_all(&folder);
    ran
}

/// The engine's program, built anew if need be.
fn build(repo: &Repo) -> Result<PathBuf> {
    let messages = repo::output(repo.cargo().args(BUILD))?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    executable.context("cargo names no executable of the example")
}

type Start<'a> = &'a dyn Fn() -> Result<Child>;

fn run_in(start: Start<'_>, root: &Path, tests: Vec<Test>, folder: &Path) -> Result<Vec<Outcome>> {
    let harness = plan::read(root, plan::HARNESS)?;
    let mut bodies: Vec<PathBuf> = Vec::new();
    for (index, test) in tests.iter().enumerate() {
        let path = folder.join(format!("{index}.json"));
        fs::write(&path, test.body(root, &harness)?).with_context(|| format!("writing {}", path.display()))?;
        bodies.push(path);
    }
    let mut answers = ask(start, &bodies)?;
    let outcome = |(index, test): (usize, Test)| {
        let answer = answers.remove(bodies[index].to_string_lossy().as_ref());
        outcome(test, answer.unwrap_or_else(|| serde_json::json!({ "failure": SILENT })))
    };
    Ok(tests.into_iter().enumerate().map(outcome).collect())
}

/// Every answer that came, by its file.
fn ask(start: Start<'_>, bodies: &[PathBuf]) -> Result<BTreeMap<String, Value>> {
    let processes = std::thread::available_parallelism().map_or(1, usize::from).min(PROCESSES_MAX).min(bodies.len());
    let mut running = Vec::new();
    for share in 0..processes {
        let mut child = start()?;
        let files: Vec<&PathBuf> = bodies.iter().skip(share).step_by(processes).collect();
        let mut input = child.stdin.take().context("no standard input")?;
        let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
        // All of it fits a pipe, or is taken line by line while answers are still being made.
        let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = child.stdout.take().context("no standard output")?;
        let reader = std::thread::spawn(move || -> Result<Vec<Value>> {
            BufReader::new(output).lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
        });
        running.push((child, writer, reader));
    }
    let mut answers = BTreeMap::new();
    for (mut child, writer, reader) in running {
        // A process that ended early shows in the answers that are missing.
        let _ = writer.join();
        let all = reader.join().ok().context("the reader of answers panicked")??;
        child.wait().context("waiting for the engine")?;
        answers.extend(all.into_iter().filter_map(|answer| Some((answer.get("file")?.as_str()?.to_owned(), answer))));
    }
    Ok(answers)
}

fn start(repo: &Repo, engine: &Path, root: &Path) -> Result<Child> {
    let mut command = Command::new(engine);
    command.arg(repo.path(SUITE)).arg(root).arg(repo.cache_folder().join("conformance/engine"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting the engine")
}

/// Reads what `suite.js` answered.
pub fn outcome(test: Test, answer: Value) -> Outcome {
    let broken = |failure: String| Outcome { test: test.clone(), subtests: vec![], failure: Some(failure) };
    if let Some(failure) = answer["failure"].as_str() {
        return broken(failure.trim_end().to_owned());
    }
    let Ok(results) = serde_json::from_str::<Value>(answer["body"].as_str().unwrap_or_default()) else {
        return broken(format!("the answer is no result: {answer}"));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subtest = |row: &Value| Subtest {
        name: text(&row[0]),
        passed: row[1] == "PASS",
        message: if row[2].is_null() { text(&row[1]) } else { text(&row[2]) },
    };
    let subtests = results["tests"].as_array().map(|rows| rows.iter().map(subtest).collect()).unwrap_or_default();
    let status = text(&results["status"]);
    let failure = (status != "OK").then(|| format!("{status} {}", text(&results["message"])));
    Outcome { test, subtests, failure }
}
