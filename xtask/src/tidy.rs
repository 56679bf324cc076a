//! The rules of the house that a machine can hold. Each rule is a pure function over the text of a
//! file or over what `cargo metadata` says; every finding says where it is and what to do.

mod graph;
mod layout;
mod rust;
mod size;
mod words;

use std::fmt;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::repo::Repo;

const RATCHET: &str = "xtask/ratchet.txt";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    /// From 1; 0 when the finding is about the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Checks the whole checkout; every finding is printed.
pub fn run(repo: &Repo) -> Result<()> {
    let texts = repo.texts()?;
    let crates = graph::crates(&repo.metadata()?)?;
    let ratchet = size::Ratchet::parse(&read_ratchet(repo)?)?;

    let mut findings = graph::check(&crates);
    findings.extend(size::check(&texts, &ratchet));
    findings.extend(layout::check(&crates, &texts));
    findings.extend(texts.iter().flat_map(words::check));
    findings.sort();
    if findings.is_empty() {
        println!("tidy: {} crates and {} files keep the rules", crates.len(), texts.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("tidy: {} findings", findings.len());
}

/// Rewrites the ratchet with what has shrunk since. Nothing is ever added or raised.
pub fn lower_ratchet(repo: &Repo) -> Result<()> {
    let before = size::Ratchet::parse(&read_ratchet(repo)?)?;
    let after = before.lowered(&size::long_things(&repo.texts()?));
    fs::write(repo.path(RATCHET), after.to_string()).with_context(|| format!("writing {RATCHET}"))
}

fn read_ratchet(repo: &Repo) -> Result<String> {
    fs::read_to_string(repo.path(RATCHET)).with_context(|| format!("reading {RATCHET}"))
}
