//! The project's own chores, run as `cargo xtask CHORE`: the rules of the house, the test run, the
//! script engine's guest, the benches.
//!
//! What it is not: part of the product. It is kept small to compile, for it is built before
//! everything else on a fresh machine, and it installs nothing: what a chore needs and the machine
//! lacks is named, with the command that brings it.

mod bench;
mod conformance;
mod dist;
mod fuzz;
mod guest;
mod needs;
mod repo;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

use repo::Repo;

const USAGE: &str = "\
usage: cargo xtask CHORE

  tidy [--ratchet]                          check the rules of the house; --ratchet lowers what has shrunk
  test [--require-all] [-p CRATE]...        run every test; --require-all fails when a test's tool is missing
  needs                                     print the commands that bring what the tests need and this machine lacks
  lint                                      clippy over everything
  engine-guest [--verify]                   build what changed of the script engine's guest, or compare a fresh build
  dist                                      build what is released: optimised by a profile of itself at work
  bench functions [--json] [--quick] [--alone] [--only CASE]...
                                            measure Selvedge beside its peers
  bench data [--json] [--quick] [--alone] [--only CASE]...
                                            the same for operations on data
  bench cdn [--json] [--quick] [--alone] [--only CASE]...
                                            the same for an edge: cache, proxy, TLS
  fuzz [--seconds N] [--only TARGET]... [--seed S] [--input FILE]
                                            feed mutated input to what parses a stranger's data; --input replays one
  conformance cache-tests [--json]         run the HTTP caching tests against their record
  conformance frameworks [--json] [--only APP]...
                                            drive packages from npm, and compare with node
  conformance h2spec [--json] [--only clear|tls]  run h2spec against HTTP/2, in the clear and under TLS
  conformance s3 [--json] [--only CLIENT/SCENARIO]...
                                            drive boto3 and the AWS SDK for JavaScript against the S3 listener
  conformance wpt [--json] [--only DIR]...  run the Web Platform Tests against their record
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    let repo = Repo::find()?;
    match arguments {
        ["tidy"] => tidy::run(&repo),
        ["tidy", "--ratchet"] => tidy::lower_ratchet(&repo),
        ["test", rest @ ..] => test::run(&repo, &test::Options::parse(rest)?),
        ["needs"] => needs::print_commands(&repo),
        ["lint"] => repo::run(repo.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        ["engine-guest"] => guest::build(&repo),
        ["engine-guest", "--verify"] => guest::verify(&repo),
        ["dist"] => dist::run(&repo),
        ["bench", "functions", rest @ ..] => bench::run(&repo, rest),
        ["bench", "data", rest @ ..] => bench::data::run(&repo, rest),
        ["bench", "cdn", rest @ ..] => bench::cdn::run(&repo, rest),
        ["fuzz", rest @ ..] => fuzz::run(&repo, &fuzz::Options::parse(rest)?),
        ["conformance", suite, rest @ ..] => conformance::run(&repo, suite, &conformance::Options::parse(rest)?),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("no such chore: {}\n\n{USAGE}", other.join(" ")),
    }
}
