//! Which databases began in which segment of the log, as long as the archive knows them only from there.
//!
//! ```text
//! DATA/archive/log/NNN.begun      beside a segment that is not sorted yet: names, one a line
//! ```
//!
//! What the archive has of a database begins with a whole of it, which lies in the log until that is sorted.
//! A start has to know of it, or each database that is used again would append another one, and who asks a
//! large database first would wait for that. What the ledger still holds is found by recovery; beside a
//! segment that moves to the archive lies this list. Where one is missing, a whole more is kept.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::segment;
use crate::disk;

const EXTENSION: &str = "begun";

/// By segment: each database whose whole ends there, and in which batch.
#[derive(Debug, Default)]
pub struct Begun(BTreeMap<u64, Vec<(String, u64)>>);

impl Begun {
    pub fn note(&mut self, segment: u64, batch: u64, name: &str) {
        self.0.entry(segment).or_default().push((name.to_owned(), batch));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().flatten().map(|(name, _)| name.as_str())
    }

    /// Writes down, durably, what is known of a segment that moves to this directory.
    pub fn write(&self, log: &Path, number: u64, is_durable: impl Fn(u64) -> bool) -> io::Result<()> {
        let known = self.0.get(&number).into_iter().flatten();
        let names: Vec<&str> = known
            .filter(|(name, batch)| is_durable(*batch) && !name.contains('\n'))
            .map(|(name, _)| name.as_str())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        disk::write_whole(&log.join("begun.tmp"), &path(log, number), names.join("\n").as_bytes())
    }

    pub fn forget(&mut self, number: u64) {
        self.0.remove(&number);
    }
}

fn path(log: &Path, number: u64) -> PathBuf {
    segment::path(log, number).with_extension(EXTENSION)
}

/// All names beside segments of this directory. A list whose segment is gone goes.
pub fn read(log: &Path) -> io::Result<HashSet<String>> {
    let mut names = HashSet::new();
    for entry in fs::read_dir(log)? {
        let list = entry?.path();
        if list.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        if !list.with_extension("log").exists() {
            disk::remove(&list)?;
            continue;
        }
        names.extend(fs::read_to_string(&list)?.lines().map(str::to_owned));
    }
    Ok(names)
}

/// The segment is sorted: the archive knows these by itself.
pub fn remove(log: &Path, number: u64) -> io::Result<()> {
    disk::remove(&path(log, number)).map(drop)
}
