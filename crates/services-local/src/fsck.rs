//! Checks a data directory from end to end: every database, every large value against the row that
//! names it, every artifact against its digest, and the archive.
//!
//! It only reads, so it may run beside a node that serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use base::Digest;
use serde::Serialize;
use services::StoreError;

use crate::backup::{is_database, is_kv, named_values, open_beside, values_dir, walk};
use crate::ledger;

/// What was looked at and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    pub databases: usize,
    pub values: usize,
    pub artifacts: usize,
    pub archived: usize,
    pub problems: Vec<Problem>,
    /// Large values that no row names: left by a crash, and removed by the node in time.
    pub orphans: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub path: String,
    pub what: String,
}

/// Checks everything below `data`. Blocks.
pub fn fsck(data: &Path) -> Result<FsckReport, StoreError> {
    let mut report = FsckReport::default();
    let names = walk(data)?;
    let sizes: BTreeMap<&str, u64> =
        names.iter().filter_map(|name| Some((name.as_str(), fs::metadata(data.join(name)).ok()?.len()))).collect();
    for name in names.iter().filter(|name| is_database(name)) {
        report.databases += 1;
        let checked = check_database(&data.join(name));
        report.note(name, checked);
        if is_kv(name) {
            report.check_values(data, name, &sizes);
        }
    }
    for name in names.iter().filter(|name| name.starts_with("artifacts/")) {
        report.artifacts += 1;
        let checked = check_artifact(&data.join(name), name);
        report.note(name, checked);
    }
    report.check_archive(data)?;
    Ok(report)
}

impl FsckReport {
    fn note(&mut self, path: &str, checked: Result<(), String>) {
        self.problems.extend(checked.err().map(|what| Problem { path: path.to_owned(), what }));
    }

    /// Each value that a row names is there, and as long as the row says. One that was replaced
    /// since its row was read is looked up once more.
    fn check_values(&mut self, data: &Path, name: &str, sizes: &BTreeMap<&str, u64>) {
        let Ok(named) = named_values(&data.join(name)) else { return };
        let dir = values_dir(name);
        let found: BTreeSet<String> = named.iter().map(|(id, _)| format!("{dir}/{}", id.file_name())).collect();
        for (id, bytes) in named {
            self.values += 1;
            let path = format!("{dir}/{}", id.file_name());
            let size = fs::metadata(data.join(&path)).ok().map(|metadata| metadata.len());
            if size == Some(bytes) {
                continue;
            }
            let still = named_values(&data.join(name)).is_ok_and(|named| named.iter().any(|(now, _)| *now == id));
            if still {
                let what = match size {
                    Some(size) => format!("it has {size} bytes where {bytes} were stored"),
                    None => "an entry names it, and it is gone".to_owned(),
                };
                self.note(&path, Err(what));
            }
        }
        let prefix = format!("{dir}/");
        let there = sizes.keys().filter(|path| path.starts_with(&prefix));
        self.orphans += there.filter(|path| !found.contains(**path)).count();
    }

    /// Every file of the archive can be read, and none is missing between two others.
    fn check_archive(&mut self, data: &Path) -> Result<(), StoreError> {
        for (path, checked) in ledger::check_archive(&data.join("archive"))? {
            self.archived += 1;
            let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
            self.note(&name, checked);
        }
        Ok(())
    }
}

fn check_database(path: &Path) -> Result<(), String> {
    let check = || -> rusqlite::Result<String> {
        let connection = open_beside(path)?;
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(sound) if sound == "ok" => Ok(()),
        Ok(damage) => Err(damage),
        // It was removed meanwhile.
        Err(_) if !path.exists() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn check_artifact(path: &Path, name: &str) -> Result<(), String> {
    let Some(digest) = name.rsplit('/').next().and_then(Digest::parse) else {
        return Err("it is no artifact".into());
    };
    match fs::read(path) {
        Ok(bytes) if Digest::of(&bytes) == digest => Ok(()),
        Ok(_) => Err("its content is not what its name says".into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
