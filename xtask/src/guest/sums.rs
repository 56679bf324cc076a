//! `SHA256SUMS`: the sums of what was built, in the form that `sha256sum --check` reads, and as
//! comments a sum over the sources of each, so that a stale build shows without building.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{ARTIFACT, DIST, LOCALES, PRELUDE, WASM, quickjs};
use crate::repo::Repo;

pub const FILE: &str = "SHA256SUMS";

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sums {
    files: BTreeMap<String, String>,
    sources: BTreeMap<String, String>,
}

impl Sums {
    /// Of the checkout as it is; a file that was not built yet has no sum.
    pub fn take(repo: &Repo) -> Result<Self> {
        let mut sums = Self::default();
        for name in [ARTIFACT, LOCALES, WASM] {
            match fs::read(repo.path(DIST).join(name)) {
                Ok(content) => sums.files.insert(name.to_owned(), hex::encode(Sha256::digest(content))),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error).with_context(|| format!("reading {DIST}/{name}")),
            };
        }
        sums.sources.insert(WASM.to_owned(), sum_of(&wasm_sources(repo)?, &wasm_settings())?);
        sums.sources.insert(LOCALES.to_owned(), sum_of(&[repo.path("engine-guest/intl/extract.mjs")], "")?);
        sums.sources.insert(ARTIFACT.to_owned(), sum_of(&prelude_sources(&repo.path(PRELUDE))?, "")?);
        Ok(sums)
    }

    pub fn parse(text: &str) -> Self {
        let mut sums = Self::default();
        for line in text.lines() {
            let (into, line) = match line.strip_prefix("# sources: ") {
                Some(line) => (&mut sums.sources, line),
                None if line.starts_with('#') => continue,
                None => (&mut sums.files, line),
            };
            if let Some((sum, name)) = line.split_once("  ") {
                into.insert(name.to_owned(), sum.to_owned());
            }
        }
        sums
    }

    /// Whether both say the same of one file and of its sources.
    pub fn agree(&self, here: &Self, name: &str) -> bool {
        let known = self.files.contains_key(name) && self.sources.contains_key(name);
        known && self.files.get(name) == here.files.get(name) && self.sources.get(name) == here.sources.get(name)
    }

    /// How `self`, as committed, differs from what is here.
    pub fn differences(&self, here: &Self) -> Vec<String> {
        let names = here.sources.keys();
        let files = names
            .clone()
            .filter(|name| !here.files.contains_key(*name) || self.files.get(*name) != here.files.get(*name));
        let sources = names.filter(|name| self.sources.get(*name) != here.sources.get(*name));
        let files = files.map(|name| format!("{name} is missing or has another sum"));
        files.chain(sources.map(|name| format!("the sources of {name} have changed since it was built"))).collect()
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|(name, sum)| writeln!(f, "{sum}  {name}"))?;
        self.sources.iter().try_for_each(|(name, sum)| writeln!(f, "# sources: {sum}  {name}"))
    }
}

/// The shim, the patches, and the lock file that pins QuickJS by its checksum.
fn wasm_sources(repo: &Repo) -> Result<Vec<PathBuf>> {
    let shim = repo.path(quickjs::SHIM);
    let mut paths = quickjs::by_end(&shim, "c")?;
    paths.extend(quickjs::by_end(&shim, "h")?);
    paths.extend(quickjs::by_end(&repo.path(quickjs::PATCHES), "patch")?);
    paths.push(repo.path("engine-guest/quickjs/Cargo.lock"));
    Ok(paths)
}

fn wasm_settings() -> String {
    let flags = quickjs::COMPILER_FLAGS.iter().chain(&quickjs::LINKER_FLAGS).copied();
    std::iter::once(quickjs::ZIG_VERSION).chain(flags).collect::<Vec<_>>().join(" ")
}

/// Every module, by its path; the tests are no part of the artifact.
fn prelude_sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    super::scripts_below(folder, Path::new(""), &mut paths)?;
    paths.sort();
    Ok(paths.iter().map(|path| folder.join(path)).collect())
}

/// One sum over the settings and every file's name and content.
fn sum_of(paths: &[PathBuf], settings: &str) -> Result<String> {
    let mut sum = Sha256::new();
    sum.update(settings);
    for path in paths {
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        sum.update([0]);
        sum.update(name.as_bytes());
        sum.update([0]);
        sum.update(Sha256::digest(content));
    }
    Ok(hex::encode(sum.finalize()))
}
