//! The Web Platform Tests, as far as a Debian source package carries them, each file in an
//! instance of the script engine. How, and what is left out, stands in conformance/wpt/README.md.

mod drive;
mod expected;
mod plan;
mod report;
mod source;
#[cfg(test)]
mod tests;

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::Options;
use crate::repo::Repo;
use expected::Expected;
use plan::Test;
use report::Report;

const EXPECTED: &str = "conformance/wpt/expected.toml";

/// What became of one test file, in one of its variants.
#[derive(Debug)]
struct Outcome {
    test: Test,
    subtests: Vec<Subtest>,
    /// Why the file as a whole failed: its harness, its time, its instance.
    failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subtest {
    name: String,
    passed: bool,
    message: String,
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let text = fs::read_to_string(repo.path(EXPECTED)).with_context(|| format!("reading {EXPECTED}"))?;
    let expected = Expected::parse(&text).with_context(|| format!("in {EXPECTED}"))?;
    let root = source::bring(repo)?;
    let tests = plan::find(&root, &expected, &options.only)?;
    if tests.is_empty() {
        bail!("no test of the suite is in {}", options.only.join(", "));
    }
    let begun = Instant::now();
    let outcomes = drive::run(repo, &root, tests)?;
    let report = Report::make(&expected, &outcomes, begun.elapsed(), options.only.is_empty());
    if options.json {
        println!("{}", report.json());
    } else {
        print!("{report}");
    }
    let surprises = report.surprises();
    if surprises > 0 {
        bail!("{surprises} results are not those of {EXPECTED}");
    }
    Ok(())
}
