//! What the journaled databases of each app take on the disk.
//!
//! An app's databases of one kind lie below one directory, its *area*: `sql/TENANT/APP`,
//! `objects/TENANT/APP`. An area is measured once, when it is first asked for; from then on each commit
//! says how large its database is, and each file that is made or removed says so. So the total costs a commit
//! an addition. It leaves out what SQLite keeps beside a file.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use services::StoreError;

use crate::disk;

/// The parts of a path, from the data directory on, that name an area.
const AREA_PARTS: usize = 3;

#[derive(Default)]
pub struct Totals {
    areas: Mutex<HashMap<PathBuf, Arc<Total>>>,
}

/// Bytes of one area.
#[derive(Default)]
pub struct Total(AtomicU64);

impl Total {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A file has another size than before.
    pub fn resize(&self, before: u64, now: u64) {
        let change = |total: u64| Some(total.saturating_sub(before).saturating_add(now));
        // The closure always has an answer.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

impl Totals {
    /// The total of the area that a database of this path, from the data directory on, lies in or would.
    pub fn of(&self, root: &Path, inside: &Path) -> Result<Arc<Total>, StoreError> {
        let dir = inside.parent().unwrap_or(inside);
        let area: PathBuf = dir.components().take(AREA_PARTS).collect();
        let mut areas = self.areas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(total) = areas.get(&area) {
            return Ok(total.clone());
        }
        let dir = root.join(&area);
        let bytes = measure(&dir).map_err(|error| disk::store_error(&dir, &error))?;
        let total = Arc::new(Total(AtomicU64::new(bytes)));
        areas.insert(area, total.clone());
        Ok(total)
    }
}

/// Bytes of the databases below a directory.
fn measure(dir: &Path) -> io::Result<u64> {
    let (mut bytes, mut dirs) = (0, vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => dirs.push(entry.path()),
                false if entry.path().extension().is_some_and(|extension| extension == "db") => {
                    // One that went meanwhile has no size.
                    bytes += entry.metadata().map_or(0, |metadata| metadata.len());
                }
                false => {}
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
