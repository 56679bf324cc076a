//! Brings the suite onto this machine: its source at one commit, built with the libraries of Debian,
//! which are newer than those that it names.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::repo::{self, Repo};

const URL: &str = "https://github.com/summerwind/h2spec";
const COMMIT: &str = "af83a65f0b6273ef38bf778d400d98892e7653d8";
/// Where Go looks for the package.
const PACKAGE: &str = "src/github.com/summerwind/h2spec";
/// Where Debian's packages of libraries lie.
const LIBRARIES: &str = "/usr/share/gocode";

/// Names a built h2spec to run instead.
const BINARY: &str = "SELVEDGE_H2SPEC";

/// The program, fetched and built the first time.
pub fn bring(repo: &Repo) -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os(BINARY) {
        return PathBuf::from(binary).canonicalize().context(BINARY);
    }
    let root = repo.cache_folder().join("conformance").join(format!("h2spec-{}", &COMMIT[..12]));
    let program = root.join("h2spec");
    if program.is_file() {
        return Ok(program);
    }
    if repo::on_path("go").is_none() || repo::on_path("git").is_none() {
        bail!(
            "go and git are missing; to get them and the suite's libraries: apt-get install git golang-go \
             golang-golang-x-net-dev golang-github-fatih-color-dev golang-github-spf13-cobra-dev; or {BINARY}=FILE"
        );
    }
    let source = root.join(PACKAGE);
    std::fs::create_dir_all(&source).with_context(|| format!("creating {}", source.display()))?;
    let git = |arguments: &[&str]| repo::run(Command::new("git").arg("-C").arg(&source).args(arguments));
    git(&["init", "--quiet"])?;
    git(&["fetch", "--quiet", "--depth", "1", URL, COMMIT])
        .with_context(|| format!("the suite could not be fetched; {BINARY}=FILE names one that is built"))?;
    git(&["checkout", "--quiet", "--force", COMMIT])?;
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg("./cmd/h2spec").current_dir(&source);
    go.env("GO111MODULE", "off").env("GOPATH", format!("{}:{LIBRARIES}", root.display()));
    repo::run(&mut go)?;
    Ok(program)
}
