//! Files of empty objects, made in advance.
//!
//! An object that stores something for the first time does so on its core, which can't wait for the
//! disk. So a few files are kept whose content is durable, and to make an object is to give one of
//! them its name: a power cut leaves all of it under that name, or under none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk;
use crate::pool::{Lane, Pool};

/// Files kept, and how few are left when more are made.
const KEPT: usize = 256;
const FEW: usize = 128;

pub struct Stock {
    dir: PathBuf,
    template: Arc<[u8]>,
    pool: Pool,
    lane: Lane,
    shelf: Mutex<Shelf>,
    scratches: AtomicU64,
}

#[derive(Default)]
struct Shelf {
    ready: Vec<PathBuf>,
    made: u64,
    /// More are being made, or could not be.
    busy: bool,
}

impl Stock {
    /// What another run has left is thrown away: nobody knows whether it is whole.
    pub fn open(dir: PathBuf, template: Arc<[u8]>, pool: Pool) -> io::Result<Arc<Self>> {
        for entry in fs::read_dir(&dir)? {
            disk::remove(&entry?.path())?;
        }
        let (shelf, scratches) = (Mutex::default(), AtomicU64::default());
        Ok(Arc::new(Self { dir, template, pool, lane: Lane::default(), shelf, scratches }))
    }

    /// A file whose content is durable, to be renamed; `None` while there is none.
    pub fn take(self: &Arc<Self>) -> Option<PathBuf> {
        let mut shelf = self.shelf();
        let taken = shelf.ready.pop();
        if shelf.ready.len() < FEW && !shelf.busy {
            shelf.busy = true;
            drop(shelf);
            let stock = self.clone();
            // Where no thread takes it, the node stops.
            let _ = self.pool.spawn(self.lane, move || stock.fill());
        }
        taken
    }

    /// Where a file of one moment may be, that nobody else has. What stays of it is removed when the
    /// directory is opened again.
    pub fn scratch(&self) -> PathBuf {
        self.dir.join(format!("{}.tmp", self.scratches.fetch_add(1, Ordering::Relaxed)))
    }

    /// Makes what is lacking. Blocks.
    fn fill(&self) {
        loop {
            let path = {
                let mut shelf = self.shelf();
                if shelf.ready.len() >= KEPT {
                    shelf.busy = false;
                    return;
                }
                shelf.made += 1;
                self.dir.join(format!("{}.new", shelf.made))
            };
            if let Err(error) = self.make(&path) {
                tracing::warn!(%error, "no files of objects can be made in advance");
                let _ = disk::remove(&path);
                self.shelf().busy = false;
                return;
            }
            self.shelf().ready.push(path);
        }
    }

    fn make(&self, path: &Path) -> io::Result<()> {
        let mut file = disk::create_file(path)?;
        io::Write::write_all(&mut file, &self.template)?;
        file.sync_all()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
