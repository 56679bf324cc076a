//! `cargo xtask test`: the rules, the format, the committed guest, every Rust test, and the
//! prelude's tests in node. Building and testing are timed apart.

mod runner;
#[cfg(test)]
mod tests;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::repo::{self, Repo};
use crate::{guest, needs, tidy};

/// Tests that skip themselves where a tool is missing fail instead when this is set.
const REQUIRE_ALL: &str = "SELVEDGE_REQUIRE_ALL";

/// How node marks a line with a count.
const NODE_COUNT: &str = "ℹ ";

const PRELUDE_TESTS: &str = "engine-guest/prelude/tests";

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    require_all: bool,
    /// Empty for the whole workspace.
    packages: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--require-all" => options.require_all = true,
                "-p" | "--package" => {
                    options.packages.push(package_name(rest.next().context("-p wants the name of a crate")?));
                }
                other => bail!("`cargo xtask test` has no {other:?}: it takes --require-all and -p CRATE"),
            }
        }
        Ok(options)
    }

    fn is_whole(&self) -> bool {
        self.packages.is_empty()
    }
}

/// `manifest` is short for `selvedge-manifest`.
fn package_name(name: &str) -> String {
    match name {
        "xtask" | "selvedge" => name.to_owned(),
        name if name.starts_with("selvedge-") => name.to_owned(),
        name => format!("selvedge-{name}"),
    }
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    report_missing(repo, options.require_all)?;

    if options.is_whole() {
        check_sources(repo)?;
    }
    let runner = runner::Runner::find(repo, options);
    step(&format!("build, for {}", runner.name()));
    let began = Instant::now();
    runner.build()?;
    let build = began.elapsed();

    step("test");
    let began = Instant::now();
    let rust = runner.test()?;
    let prelude = if options.is_whole() { prelude_tests(repo)? } else { None };
    let test = began.elapsed();

    println!();
    println!("build time: {}", minutes(build));
    println!("test time:  {}", minutes(test));
    if let Some(prelude) = prelude {
        println!("prelude:    {prelude}");
    }
    println!("{rust}");
    Ok(())
}

/// What needs no build of the product comes first, for it is soon known.
fn check_sources(repo: &Repo) -> Result<()> {
    step("tidy");
    tidy::run(repo)?;
    step("format");
    repo::run(repo.cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
    step("engine guest");
    guest::check_committed(repo)
}

fn report_missing(repo: &Repo, require_all: bool) -> Result<()> {
    let missing = needs::missing(repo);
    for need in &missing {
        println!("missing: {} (for {}); to get it: {}", need.name, need.purpose, need.command(repo));
    }
    if require_all && !missing.is_empty() {
        bail!("--require-all: {} tools are missing", missing.len());
    }
    Ok(())
}

/// The counts that node printed; `None` where node or `typescript` is missing, which was reported.
fn prelude_tests(repo: &Repo) -> Result<Option<String>> {
    let Some(folder) = needs::prelude_folder(repo) else {
        println!("prelude: not tested, for want of what was named above");
        return Ok(None);
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(repo.path(PRELUDE_TESTS)).with_context(|| format!("reading {PRELUDE_TESTS}"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    let mut node = Command::new("node");
    node.args(["--no-warnings", "--expose-internals", "--test", "--test-reporter=spec"]).args(files);
    let mut child =
        node.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("starting node")?;
    let counts = runner::relay(child.stdout.take(), |line| line.starts_with(NODE_COUNT))?;
    let summary = node_summary(&counts);
    if !child.wait()?.success() {
        bail!("the prelude's tests failed\n{summary}");
    }
    Ok(Some(summary))
}

/// One line for the counts that node's reporter ends with.
fn node_summary(counts: &[String]) -> String {
    let count = |name: &str| {
        let found = counts.iter().find_map(|line| line.strip_prefix(NODE_COUNT)?.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or("?").to_owned()
    };
    let (all, passed, failed, skipped) = (count("tests"), count("pass"), count("fail"), count("skipped"));
    format!("{all} tests run: {passed} passed, {failed} failed, {skipped} skipped")
}

fn step(name: &str) {
    println!("\n== {name}");
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}
