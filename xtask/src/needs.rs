//! What the tests need and a machine may lack, with the command that brings it. Nothing is
//! installed here: a person, or `.ci/run`, runs the command.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::repo::{self, Repo};

const NEEDS: &[Need] = &[
    Need::of("strace", "the power-loss tests", |_| repo::on_path("strace").is_some(), Bring::Apt("strace")),
    Need::of("postgresql", "the tests of PostgreSQL", |_| postgres_server().is_some(), Bring::Apt("postgresql")),
    Need::of("curl", "the tests of the recipes and of TLS", |_| repo::on_path("curl").is_some(), Bring::Apt("curl")),
    Need::of("pebble", "the tests of ACME", |_| repo::on_path("pebble").is_some(), Bring::Apt("pebble")),
    Need::of("chromium", "the browser tests", |_| browser().is_some(), Bring::Apt("chromium")),
    Need::of("node", "the prelude's tests", |_| repo::on_path("node").is_some(), Bring::Apt("nodejs npm")),
    Need::of("typescript", "the prelude's tests", |repo| prelude_folder(repo).is_some(), Bring::TypeScript),
];

/// The last line of versions with an API for JavaScript, which the prelude's tests strip types with.
const TYPESCRIPT: &str = "typescript@5";
const TYPESCRIPT_API: &str = "node_modules/typescript/lib/typescript.js";

const NODE_STRIPS_TYPES: &str = "process.exit(require('node:module').stripTypeScriptTypes ? 0 : 1)";

#[derive(Debug)]
pub struct Need {
    pub name: &'static str,
    pub purpose: &'static str,
    present: fn(&Repo) -> bool,
    bring: Bring,
}

#[derive(Debug)]
enum Bring {
    /// Packages of Debian and its descendants.
    Apt(&'static str),
    /// From npm, into the cache folder.
    TypeScript,
}

impl Need {
    const fn of(name: &'static str, purpose: &'static str, present: fn(&Repo) -> bool, bring: Bring) -> Self {
        Self { name, purpose, present, bring }
    }

    /// The command that brings it on a machine with apt and npm.
    pub fn command(&self, repo: &Repo) -> String {
        match self.bring {
            Bring::Apt(packages) => apt_install(packages),
            Bring::TypeScript => {
                format!("npm install --prefix {} {TYPESCRIPT}", node_folder(repo).display())
            }
        }
    }
}

/// What this machine lacks.
pub fn missing(repo: &Repo) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.present)(repo)).collect()
}

/// Prints the commands that bring everything missing, one a line, for a shell.
pub fn print_commands(repo: &Repo) -> Result<()> {
    for command in commands(repo, &missing(repo)) {
        println!("{command}");
    }
    Ok(())
}

fn commands(repo: &Repo, missing: &[&Need]) -> Vec<String> {
    let packages = missing.iter().filter_map(|need| match need.bring {
        Bring::Apt(packages) => Some(packages),
        Bring::TypeScript => None,
    });
    let packages = packages.collect::<Vec<_>>().join(" ");
    let mut commands = Vec::new();
    if !packages.is_empty() {
        commands.push("apt-get update".to_owned());
        commands.push(apt_install(&packages));
    }
    commands
        .extend(missing.iter().filter(|need| matches!(need.bring, Bring::TypeScript)).map(|need| need.command(repo)));
    commands
}

fn apt_install(packages: &str) -> String {
    format!("apt-get install --yes --no-install-recommends {packages}")
}

/// Debian and its descendants keep the server of each version outside of the path.
fn postgres_server() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let own = versions.map(|version| version.path().join("bin/postgres")).find(|server| server.is_file());
    own.or_else(|| repo::on_path("postgres"))
}

fn browser() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(repo::on_path)
}

fn node_folder(repo: &Repo) -> PathBuf {
    repo.cache_folder().join("node")
}

/// The folder to run the prelude's tests from: one that has `typescript`, or any if node strips
/// types by itself.
pub fn prelude_folder(repo: &Repo) -> Option<PathBuf> {
    let folders = [repo.root().to_owned(), node_folder(repo)];
    let own = folders.into_iter().find(|folder| folder.join(TYPESCRIPT_API).is_file());
    own.or_else(|| {
        let strips = repo::runs(Command::new("node").args(["-e", NODE_STRIPS_TYPES]));
        strips.then(|| repo.root().to_owned())
    })
}
