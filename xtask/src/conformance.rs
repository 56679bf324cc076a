//! `cargo xtask conformance SUITE`: other people's tests against our engine. Each suite has a
//! folder under `conformance/` that says where it comes from and which of its tests fail here, with
//! a reason for each; a test that fails or passes against that record fails the run.

mod autobahn;
mod cachetests;
mod expected;
mod frameworks;
mod h2spec;
mod s3;
mod server;
mod wpt;

use anyhow::{Context as _, Result, bail};

use crate::repo::Repo;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    json: bool,
    /// Folders or files of the suite; empty for all.
    only: Vec<String>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--json" => options.json = true,
                "--only" => {
                    let only = rest.next().context("--only wants a folder or a file of the suite")?;
                    options.only.push(only.trim_matches('/').to_owned());
                }
                other => bail!("a conformance suite has no {other:?}: it takes --json and --only DIR"),
            }
        }
        Ok(options)
    }
}

pub fn run(repo: &Repo, suite: &str, options: &Options) -> Result<()> {
    match suite {
        "autobahn" => autobahn::run(repo, options),
        "cache-tests" => cachetests::run(repo, options),
        "frameworks" => frameworks::run(repo, options),
        "h2spec" => h2spec::run(repo, options),
        "s3" => s3::run(repo, options),
        "wpt" => wpt::run(repo, options),
        other => {
            bail!(
                "there is no conformance suite {other:?}: there are autobahn, cache-tests, frameworks, h2spec, s3 and wpt"
            )
        }
    }
}
