//! `cargo xtask dist`: the binary as it is released, optimised by a profile of itself at work.
//!
//! Three steps, each in a folder of `guided` below cargo's target folder: a build that counts how often each
//! part of it runs, the benches' own cases with that build and no peer, and the build that uses the counts. A
//! function that has changed since is compiled as without a profile, so a profile is never wrong, only old;
//! here it is always made anew. It takes twice the time of a plain build, and some minutes of load.
//!
//! The profile covers what is compiled from Rust. The guest's code is compiled by the node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::bench::process::PROFILE;
use crate::repo::{self, Repo};

/// What the profile is taken from: each bench with its cases.
const TRAINING: [(&str, &[&str]); 3] = [
    ("functions", &["hello", "echo", "echo-100k", "hono", "proxy", "kv", "kv-put"]),
    (
        "data",
        &["kv-get", "kv-put", "sql-query", "sql-commit", "blob-get", "blob-put", "object-read", "object-increment"],
    ),
    ("cdn", &["hit-1k", "hit-64k", "tls-hit-1k", "h2-hit-1k", "proxy-1k", "proxy-64k", "h2-proxy-1k", "handshakes"]),
];

/// What merges profiles, newest first. It may be older than the compiler as long as their format is the same; a
/// name without a version may be any.
const MERGERS: [&str; 6] = [
    "llvm-profdata-23",
    "llvm-profdata-22",
    "llvm-profdata-21",
    "llvm-profdata-20",
    "llvm-profdata-19",
    "llvm-profdata",
];

pub fn run(repo: &Repo) -> Result<()> {
    let merger = MERGERS.into_iter().find_map(repo::on_path);
    let merger = merger.context("llvm-profdata is missing; to get it: apt-get install llvm-19")?;
    let folder = repo.target_folder()?.join("guided");
    let counts = folder.join("counts");
    if counts.exists() {
        fs::remove_dir_all(&counts).with_context(|| format!("removing {}", counts.display()))?;
    }
    let target = host(repo)?;

    // Whole-program optimisation comes after the counters, so the build that counts does without.
    let mut counting =
        build(repo, &folder.join("counting"), &target, &format!("-Cprofile-generate={}", counts.display()));
    repo::run(counting.env("CARGO_PROFILE_DIST_LTO", "off"))?;
    train(repo, &program(&folder.join("counting"), &target), &counts)?;

    let profile = folder.join("selvedge.profdata");
    repo::run(Command::new(merger).arg("merge").arg("--output").arg(&profile).arg(&counts))?;
    let built = folder.join("built");
    repo::run(&mut build(repo, &built, &target, &format!("-Cprofile-use={}", profile.display())))?;
    println!("{}", program(&built, &target).display());
    Ok(())
}

/// With the target named, cargo's flags are for the program alone, and not for what runs while it is built.
fn build(repo: &Repo, folder: &Path, target: &str, flag: &str) -> Command {
    let mut command = repo.cargo();
    command.args(["build", "--profile", "dist", "--package", "selvedge", "--target", target, "--target-dir"]);
    command.arg(folder).env("CARGO_ENCODED_RUSTFLAGS", flag);
    command
}

fn program(folder: &Path, target: &str) -> PathBuf {
    folder.join(target).join("dist/selvedge")
}

/// One file takes the counts of all servers, one after the other.
fn train(repo: &Repo, program: &Path, counts: &Path) -> Result<()> {
    for (bench, cases) in TRAINING {
        let mut command = repo.cargo();
        command.args(["xtask", "bench", bench, "--quick", "--alone"]);
        command.args(cases.iter().flat_map(|case| ["--only", case]));
        command.env("SELVEDGE_BENCH_BINARY", program).env(PROFILE, counts.join("%m.profraw"));
        repo::run(&mut command)?;
    }
    Ok(())
}

fn host(repo: &Repo) -> Result<String> {
    let said = repo::output(Command::new("rustc").arg("-vV").current_dir(repo.root()))?;
    let target = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(target.context("rustc does not say what it is for")?.to_owned())
}
