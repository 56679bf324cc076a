//! `cargo xtask fuzz`: runs the tests that are fed mutated input (`testkit::fuzz`), each in a
//! process of its own, for as long as it is told. Whatever ends such a process early is a failure:
//! a panic, an abort, a stack that overflows, an input that takes too long or too much memory. Its
//! input is made smaller while it still fails in the same way, and kept with the command that
//! replays it.

mod shrink;
mod target;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::repo::Repo;
use target::{Ended, Target};

/// The crates that have targets.
const PACKAGES: [&str; 6] =
    ["selvedge-manifest", "selvedge-net", "selvedge-script", "selvedge-engine", "selvedge-s3", "selvedge-cache"];

/// A target that fails so often is left, for one cause is likely behind most.
const FAILURES_MAX: usize = 5;

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// For all targets together.
    seconds: u64,
    /// Empty for every target.
    only: Vec<String>,
    seed: u64,
    /// A file to try once, on the one target that is named.
    input: Option<PathBuf>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self { seconds: 60, only: Vec::new(), seed: 1, input: None };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} wants a value"));
            match *argument {
                "--seconds" => options.seconds = value()?.parse().context("--seconds wants a number")?,
                "--seed" => options.seed = value()?.parse().context("--seed wants a number")?,
                "--only" => options.only.push((*value()?).to_owned()),
                "--input" => options.input = Some(value()?.into()),
                other => bail!("`cargo xtask fuzz` has no {other:?}: it takes --seconds, --only, --seed and --input"),
            }
        }
        ensure!(options.input.is_none() || options.only.len() == 1, "--input wants one target, named by --only");
        Ok(options)
    }
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let folder = target::folder(repo)?;
    let mut targets = target::find(repo, &PACKAGES, &folder)?;
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    for name in &options.only {
        ensure!(names.contains(name), "there is no target {name}; there are: {}", names.join(", "));
    }
    targets.retain(|target| options.only.is_empty() || options.only.contains(&target.name));
    if let (Some(input), [target]) = (&options.input, targets.as_slice()) {
        let input = fs::canonicalize(input).with_context(|| format!("{}", input.display()))?;
        return match target.replay(&folder, &input)? {
            None => {
                println!("{}: this input is no failure", target.name);
                Ok(())
            }
            Some(failure) => bail!("{}: {}", target.name, failure.told),
        };
    }
    let share = Duration::from_secs(options.seconds / targets.len().max(1) as u64);
    let mut failures = 0;
    for target in &targets {
        failures += search(target, &folder, share, options.seed)?;
    }
    match failures {
        0 => Ok(()),
        _ => bail!("{failures} inputs failed"),
    }
}

/// Runs a target for its share of the time, and keeps what fails.
fn search(target: &Target, folder: &Path, share: Duration, seed: u64) -> Result<usize> {
    let (mut failures, mut left, mut tried) = (0, share, 0);
    let mut known: Vec<String> = Vec::new();
    while left > Duration::from_millis(100) && failures < FAILURES_MAX {
        let (ended, took) = target.run(folder, left, seed + tried)?;
        tried += 1;
        left = left.saturating_sub(took);
        match ended {
            Ended::Over { inputs, kept } => {
                println!("{}: {inputs} inputs in {} s, {kept} came to something new", target.name, took.as_secs());
            }
            Ended::Failed(failure) => {
                failures += 1;
                println!("{}: FAILED after {} s: {}", target.name, took.as_secs(), failure.told);
                if known.contains(&failure.cause) {
                    continue;
                }
                let small = shrink::shrink(&failure.input, |input| {
                    target.fails(folder, input).is_ok_and(|cause| cause.as_deref() == Some(&failure.cause))
                });
                known.push(failure.cause);
                let file = folder.join(format!("{}-{failures}-{seed}.input", target.name));
                fs::write(&file, &small).with_context(|| format!("writing {}", file.display()))?;
                println!("  {} bytes, made smaller from {}: {}", small.len(), failure.input.len(), file.display());
                println!("  to replay it: cargo xtask fuzz --only {} --input {}", target.name, file.display());
                println!("  once it is mended, keep it as fuzz/{}/WHAT-IT-SHOWED", target.name);
            }
        }
    }
    Ok(failures)
}
