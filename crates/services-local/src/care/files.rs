//! Which files of a data directory are the data.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use services::StoreError;

use crate::disk;

/// Entries of the directory itself that are no data: the lock, what a node tells the command line, what
/// can be made again, room, the log of commits that are in the databases, and their past, which a backup
/// takes by itself.
pub const LEFT_OUT: [&str; 9] =
    ["lock", "cache", "admin.token", "admin.json", "limits.toml", "ledger", "archive", "starts", "reserve"];
/// Endings of what is on its way to its name, and of what belongs to an open database.
const PASSING: [&str; 4] = ["tmp", "new", "db-wal", "db-shm"];
const DATABASE: &str = "db";

/// The files, by their paths below `root`, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub databases: Vec<PathBuf>,
    pub others: Vec<PathBuf>,
}

pub fn list(root: &Path) -> Result<Files, StoreError> {
    let mut files = Files::default();
    let mut next = vec![PathBuf::new()];
    while let Some(below) = next.pop() {
        let dir = root.join(&below);
        let fail = |error: io::Error| disk::store_error(&dir, &error);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // Gone since its parent was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let path = below.join(&name);
            let at_top = below.as_os_str().is_empty();
            if at_top && LEFT_OUT.iter().any(|left_out| name == *left_out) {
                continue;
            }
            let kind = entry.file_type().map_err(fail)?;
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            match extension {
                _ if kind.is_dir() => next.push(path),
                _ if !kind.is_file() || PASSING.contains(&extension) => {}
                DATABASE => files.databases.push(path),
                _ => files.others.push(path),
            }
        }
    }
    files.databases.sort();
    files.others.sort();
    Ok(files)
}
