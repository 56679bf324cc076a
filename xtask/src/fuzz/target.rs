//! One target: the test that it is, and its runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::repo::{self, Repo};

/// What of its path makes a test a target.
const MARK: &str = "fuzz::";

/// The environment that `testkit::fuzz` reads.
const FOLDER: &str = "SELVEDGE_FUZZ_FOLDER";
const SECONDS: &str = "SELVEDGE_FUZZ_SECONDS";
const SEED: &str = "SELVEDGE_FUZZ_SEED";
const INPUT: &str = "SELVEDGE_FUZZ_INPUT";

#[derive(Debug)]
pub struct Target {
    pub name: String,
    program: PathBuf,
    /// The folder of its package, where tests run.
    package: PathBuf,
    test: String,
}

#[derive(Debug)]
pub struct Failure {
    pub input: Vec<u8>,
    /// The same for inputs that fail in the same way.
    pub cause: String,
    pub told: String,
}

#[derive(Debug)]
pub enum Ended {
    Over { inputs: u64, kept: u64 },
    Failed(Failure),
}

/// Builds the tests of the packages and finds the targets among them. The programs are copied to
/// `folder`, so that who builds during a long run does not disturb it.
pub fn find(repo: &Repo, packages: &[&str], folder: &Path) -> Result<Vec<Target>> {
    let mut build = repo.cargo();
    build.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    for package in packages {
        build.args(["-p", package]);
    }
    let output = build.stdin(Stdio::null()).output().context("starting cargo")?;
    ensure!(output.status.success(), "the tests do not build");
    let messages = String::from_utf8(output.stdout).context("cargo printed something that is not text")?;
    let mut targets = Vec::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (Some(program), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str())
        else {
            continue;
        };
        if message["profile"]["test"] != true {
            continue;
        }
        let package = Path::new(manifest).parent().context("a manifest lies in a folder")?;
        let tests = repo::output(Command::new(program).args(["--list", "--format", "terse"]))?;
        if names(&tests).next().is_none() {
            continue;
        }
        let kept = folder.join(Path::new(program).file_name().context("a program has a name")?);
        // Another run may be at work with the last copy.
        let new = kept.with_extension("new");
        fs::copy(program, &new).and_then(|_| fs::rename(&new, &kept)).with_context(|| format!("copying {program}"))?;
        targets.extend(names(&tests).map(|test| Target {
            name: test.rsplit("::").next().unwrap_or(test).to_owned(),
            program: kept.clone(),
            package: package.to_owned(),
            test: test.to_owned(),
        }));
    }
    Ok(targets)
}

/// The targets among the tests that a test binary lists.
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    tests.filter(|test| {
        test.strip_prefix(MARK).is_some_and(is_plain)
            || test.rsplit_once("::fuzz::").is_some_and(|(_, name)| is_plain(name))
    })
}

fn is_plain(name: &str) -> bool {
    !name.contains("::")
}

/// Where inputs lie: beside what is built.
pub fn folder(repo: &Repo) -> Result<PathBuf> {
    let metadata = repo.metadata()?;
    let folder =
        Path::new(metadata["target_directory"].as_str().context("cargo has no target_directory")?).join("fuzz");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

impl Target {
    /// Runs until the time is over or something fails.
    pub fn run(&self, folder: &Path, time: Duration, seed: u64) -> Result<(Ended, Duration)> {
        let place = folder.join(&self.name);
        fs::create_dir_all(&place).with_context(|| format!("creating {}", place.display()))?;
        for stale in ["input", "report"] {
            // What was never there need not go.
            let _ = fs::remove_file(place.join(stale));
        }
        let began = Instant::now();
        let mut command = self.command();
        command.env(FOLDER, &place).env(SECONDS, time.as_secs().to_string()).env(SEED, seed.to_string());
        let (status, said) = finished(command, &place.join("output"))?;
        let took = began.elapsed();
        if status.success() {
            let report = fs::read_to_string(place.join("report")).context("the target made no report")?;
            let mut numbers = report.split(' ').map_while(|number| number.parse().ok());
            let (inputs, kept) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            return Ok((Ended::Over { inputs, kept }, took));
        }
        let input = fs::read(place.join("input")).with_context(|| format!("{} failed at once\n{said}", self.name))?;
        Ok((Ended::Failed(failure(input, status, &said)), took))
    }

    /// Tries one file.
    pub fn replay(&self, folder: &Path, input: &Path) -> Result<Option<Failure>> {
        let mut command = self.command();
        command.env(INPUT, input);
        let (status, said) = finished(command, &folder.join(format!("{}.output", self.name)))?;
        let content = fs::read(input).with_context(|| format!("reading {}", input.display()))?;
        Ok((!status.success()).then(|| failure(content, status, &said)))
    }

    /// The cause, if the input is a failure.
    pub fn fails(&self, folder: &Path, input: &[u8]) -> Result<Option<String>> {
        let file = folder.join(format!("{}.smaller", self.name));
        fs::write(&file, input).with_context(|| format!("writing {}", file.display()))?;
        Ok(self.replay(folder, &file)?.map(|failure| failure.cause))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--exact", &self.test, "--nocapture", "--test-threads", "1"]).current_dir(&self.package);
        command
    }
}

/// Runs a program to its end; what it said goes through a file, for it may say a great deal.
fn finished(mut command: Command, output: &Path) -> Result<(ExitStatus, String)> {
    let file = File::create(output).with_context(|| format!("creating {}", output.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .status()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    Ok((status, String::from_utf8_lossy(&fs::read(output)?).into_owned()))
}

fn failure(input: Vec<u8>, status: ExitStatus, said: &str) -> Failure {
    let told = told(said);
    let first = told.lines().next().unwrap_or_default();
    Failure { input, cause: format!("{status} {first}"), told: format!("{told} ({status})") }
}

/// What of a process's last words tells why: where it panicked and with what, or its end.
pub fn told(said: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let marks = ["panicked at", "the watch ended", "has overflowed its stack"];
    let start = lines.iter().position(|line| marks.iter().any(|mark| line.contains(mark)));
    let start = start.unwrap_or(lines.len().saturating_sub(LINES));
    let mut kept: Vec<String> = lines[start..].iter().take(LINES).map(|line| (*line).to_owned()).collect();
    if let Some(first) = kept.first_mut() {
        // The number of the thread differs from run to run.
        *first = match first.split_once("panicked at") {
            Some((_, place)) => format!("panicked at{place}"),
            None => first.split(" (").next().unwrap_or_default().to_owned(),
        };
    }
    kept.join("\n  ")
}
