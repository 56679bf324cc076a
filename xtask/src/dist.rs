//! `cargo xtask dist`: the binary as it is released, optimised by a profile of itself at work.
//!
//! It is done in a folder of `guided` below cargo's target folder, in two rounds:
//!
//! 1. **What is compiled how.** A build counts how often each part of it runs while it serves the benches' own
//!    cases, without a peer; the next is compiled by the counts. A function that has changed since is compiled as
//!    without a profile, so a profile is never wrong, only old; here it is always made anew.
//! 2. **What lies where.** That build is made to count the branches that it takes, serves the same cases, and is
//!    laid out by them: what requests run through lies together and in its order, 2 MiB of 43. A request is not
//!    held up in one place but in all of them, by code that has to be fetched.
//!
//! It takes twice the time of a plain build, and twice some minutes of load. The guest's code is compiled by the
//! node, and no part of it. What comes out keeps its symbols and lines: `strip` and `objcopy` do not know what to
//! do with where its parts lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

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

/// The tools of the LLVM project, newest first. They may be older than the compiler as long as the formats are the
/// same; a name without a version may be any.
const VERSIONS: [&str; 6] = ["-23", "-22", "-21", "-20", "-19", ""];

pub fn run(repo: &Repo) -> Result<()> {
    let merger = tool("llvm-profdata", "llvm-19")?;
    let layout = Layout { bolt: tool("llvm-bolt", "bolt-19")?, merger: tool("merge-fdata", "bolt-19")? };
    let folder = repo.target_folder()?.join("guided");
    let counts = folder.join("counts");
    empty(&counts)?;
    let target = host(repo)?;

    // Whole-program optimisation comes after the counters, so the build that counts does without.
    let mut counting =
        build(repo, &folder.join("counting"), &target, &format!("-Cprofile-generate={}", counts.display()));
    repo::run(counting.env("CARGO_PROFILE_DIST_LTO", "off"))?;
    train(repo, &program(&folder.join("counting"), &target), &counts)?;

    let profile = folder.join("selvedge.profdata");
    repo::run(Command::new(merger).arg("merge").arg("--output").arg(&profile).arg(&counts))?;
    let built = folder.join("built");
    let mut guided = build(repo, &built, &target, &format!("-Cprofile-use={}", profile.display()));
    // The places that name another are kept, so that what they name can be moved.
    repo::run(guided.args(["--", "-Clink-arg=-Wl,--emit-relocs"]))?;
    println!("{}", layout.apply(repo, &program(&built, &target), &folder.join("layout"))?.display());
    Ok(())
}

/// The second round.
struct Layout {
    bolt: PathBuf,
    merger: PathBuf,
}

impl Layout {
    /// The program as it is laid out by what it runs through, in `folder`.
    fn apply(&self, repo: &Repo, program: &Path, folder: &Path) -> Result<PathBuf> {
        let (counts, counting) = (folder.join("counts"), folder.join("counting"));
        empty(&counts)?;
        let mut instrument = self.bolt(program, &counting);
        instrument.arg("--instrument").arg(format!("--instrumentation-file={}", counts.join("server").display()));
        // Each process has its own file, which it writes as it ends.
        repo::run(instrument.arg("--instrumentation-file-append-pid"))?;
        train(repo, &counting, &folder.join("unused"))?;

        let (merged, laid_out) = (folder.join("selvedge.fdata"), folder.join("selvedge"));
        let mut merge = Command::new(&self.merger);
        for entry in fs::read_dir(&counts).with_context(|| format!("reading {}", counts.display()))? {
            merge.arg(entry?.path());
        }
        let counted = repo::output(&mut merge)?;
        let counted: String = counted.split_inclusive('\n').filter(|branch| is_moved(branch)).collect();
        if counted.is_empty() {
            bail!("no server told of {TAKEN_MIN} requests or more which way they went (see {})", counts.display());
        }
        fs::write(&merged, counted).with_context(|| format!("writing {}", merged.display()))?;
        let mut reorder = self.bolt(program, &laid_out);
        reorder.arg(format!("--data={}", merged.display())).args(["--reorder-blocks=ext-tsp", "--split-functions"]);
        reorder.args(["--reorder-functions=cdsort", "--split-all-cold", "--split-eh", "--icf=1"]);
        repo::run(reorder.arg("--update-debug-sections"))?;
        Ok(laid_out)
    }

    fn bolt(&self, program: &Path, to: &Path) -> Command {
        let mut command = Command::new(&self.bolt);
        command.arg(program).arg("-o").arg(to);
        command
    }
}

/// How often a branch is taken while thousands of requests are served, at least, if it is on their way. What only
/// starting takes would lie in the midst of it.
const TAKEN_MIN: u64 = 1_000;

/// Whether a branch says where something is to lie: one on the way of requests, and Rust's, or from outside of the
/// program. What was compiled from C, and what was written by hand, stays where it is: cryptography's has tables
/// in its midst, and does not say how long it is.
///
/// A line of a profile is `KIND NAME OFFSET KIND NAME OFFSET MISPREDICTED TAKEN`.
fn is_moved(branch: &str) -> bool {
    let fields: Vec<&str> = branch.split_whitespace().collect();
    let [_, from, _, _, to, _, _, taken] = fields[..] else { return false };
    let is_of_rust = |name: &str| ["_ZN", "_R", "[unknown]"].iter().any(|start| name.starts_with(start));
    is_of_rust(from) && is_of_rust(to) && taken.parse().is_ok_and(|taken: u64| taken >= TAKEN_MIN)
}

/// The newest of a tool, where it lies: it looks for its libraries beside itself.
fn tool(name: &str, package: &str) -> Result<PathBuf> {
    let found = VERSIONS.into_iter().find_map(|version| repo::on_path(&format!("{name}{version}")));
    let found = found.with_context(|| format!("{name} is missing; to get it: apt-get install {package}"))?;
    found.canonicalize().with_context(|| format!("following {}", found.display()))
}

/// An empty folder in its place.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

/// With the target named, cargo's flags are for the program alone, and not for what runs while it is built.
fn build(repo: &Repo, folder: &Path, target: &str, flag: &str) -> Command {
    let mut command = repo.cargo();
    command.args(["rustc", "--profile", "dist", "--package", "selvedge", "--bin", "selvedge"]);
    command.args(["--target", target, "--target-dir"]);
    command.arg(folder).env("CARGO_ENCODED_RUSTFLAGS", flag);
    command
}

fn program(folder: &Path, target: &str) -> PathBuf {
    folder.join(target).join("dist/selvedge")
}

/// A build that is compiled to count adds up all servers in one file, and a server that finds the variable ends by
/// itself, as one must that is to write what it counted.
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

#[cfg(test)]
mod tests {
    use super::is_moved;

    #[test]
    fn what_is_of_rust_and_on_the_way_of_requests_is_laid_out() {
        assert!(is_moved("1 _ZN4edge6answer17h0E/1 1f 1 _ZN3net4read17h1E 0 0 36400\n"));
        assert!(is_moved("0 [unknown] 0 1 _RNvC4edge6answer 0 0 1000\n"));
        assert!(!is_moved("0 [unknown] 0 1 _RNvC4edge5start 0 0 12\n"));
        assert!(!is_moved("1 _ZN4edge6answer17h0E 1f 1 mi_free 0 0 7000\n"));
        assert!(!is_moved("1 bn_powerx5/1 1f 1 bn_powerx5/1 30 0 7000\n"));
        assert!(!is_moved("boltedcollection\n"));
    }
}
