//! Builds and runs the Rust tests, with nextest where it is installed.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::{Options, REQUIRE_ALL};
use crate::repo::{self, Repo};

#[derive(Debug)]
pub struct Runner<'a> {
    repo: &'a Repo,
    options: &'a Options,
    nextest: bool,
}

impl<'a> Runner<'a> {
    pub fn find(repo: &'a Repo, options: &'a Options) -> Self {
        let nextest = repo::runs(repo.cargo().args(["nextest", "--version"]));
        if !nextest {
            println!("\nwithout nextest, which is faster: cargo install --locked cargo-nextest");
        }
        Self { repo, options, nextest }
    }

    pub fn name(&self) -> &'static str {
        if self.nextest { "cargo nextest" } else { "cargo test" }
    }

    pub fn build(&self) -> Result<()> {
        repo::run(self.command().arg("--no-run"))
    }

    /// Runs every test, with its output on ours, and gives the summary.
    pub fn test(&self) -> Result<String> {
        let mut command = self.command();
        if self.nextest {
            if std::io::stderr().is_terminal() {
                command.arg("--color=always");
            }
            let mut child = command.stderr(Stdio::piped()).spawn().context("starting cargo nextest")?;
            let summary = relay(child.stderr.take(), |line| line.contains("Summary ["))?.pop();
            ended(child.wait()?, summary.as_deref().unwrap_or("cargo nextest printed no summary"))?;
            summary.context("cargo nextest printed no summary")
        } else {
            let mut child =
                command.arg("--no-fail-fast").stdout(Stdio::piped()).spawn().context("starting cargo test")?;
            let results = relay(child.stdout.take(), |line| line.starts_with("test result:"))?;
            let summary = added_up(&results);
            ended(child.wait()?, &summary)?;
            Ok(summary)
        }
    }

    fn command(&self) -> Command {
        let mut command = self.repo.cargo();
        if self.nextest {
            command.args(["nextest", "run"])
        } else {
            command.arg("test")
        };
        if self.options.is_whole() {
            command.arg("--workspace");
        }
        for package in &self.options.packages {
            command.args(["-p", package]);
        }
        if self.options.require_all {
            command.arg("--locked").env(REQUIRE_ALL, "1");
        }
        command.stdin(Stdio::null());
        command
    }
}

fn ended(status: std::process::ExitStatus, summary: &str) -> Result<()> {
    if !status.success() {
        bail!("tests failed\n{}", summary.trim());
    }
    Ok(())
}

/// Passes everything on to stderr, and keeps the lines that matter.
pub fn relay(from: Option<impl Read>, matters: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    let mut lines = BufReader::new(from.context("a pipe is missing")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stderr().write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        if matters(&text) {
            kept.push(text.trim().to_owned());
        }
        line.clear();
    }
    Ok(kept)
}

/// One line for the many that `cargo test` prints.
pub fn added_up(results: &[String]) -> String {
    let total = |what: &str| -> usize {
        let counts = results.iter().flat_map(|line| line.split(['.', ';']));
        counts.filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok()).sum()
    };
    let (passed, failed, skipped) = (total("passed"), total("failed"), total("ignored"));
    format!("Summary: {} tests run: {passed} passed, {failed} failed, {skipped} skipped", passed + failed)
}
