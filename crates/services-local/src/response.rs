//! The cache's disk tier: bodies as files, and a SQLite index of what they belong to.
//!
//! ```text
//! DIR/
//!   lock          locked while a process uses the directory
//!   index.db      one row for each response: its key, its head, its body if that is small
//!   NN/RUN-NUMBER a larger body, a file each; RUN is drawn anew by each process
//!   damaged       written when the index turns out to be: the next start begins with nothing
//! ```
//!
//! **Nothing here is data.** Whatever is lost is fetched again, so nothing is flushed but the purges
//! that an operator asked for: after `kill -9` everything is there, after a loss of power the index lacks
//! its last commits and files may hold anything. What matters is that nothing wrong is ever served. So
//! each piece of a body has its SHA-256 in the row, and is checked each time before it leaves; a file
//! belongs to one row, has a name that no other process gives again, and never changes once it is
//! written. Who reads a file has it open, and goes on when its name is gone.
//!
//! **Room** is counted in the index and made with each put: what was not used for longest goes, of the
//! app if it has more than its share, else of all. Uses are noted in memory and written along with the
//! next put.
//!
//! **Purging everything** of an app is one number: rows of an earlier generation are no longer found, and
//! are removed in the background. A soft purge of everything is one as well: rows with a number up to the
//! purge's are stale since then. What is renewed gets a new number. A purge of a prefix or a tag that finds
//! much is written down in the same manner ([`mark`]).

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Rng;
use cache::{Key, Purge, Store, StoreError, Stored, Usage, Variants};
use futures_util::future::BoxFuture;

use crate::data_dir::{Released, Releasing, released};
use crate::disk;
use crate::pool::{Lane, Pool, Threads};

mod body;
mod index;
mod mark;
mod room;

use body::Bodies;
use index::Index;

/// Bodies up to this are in the index: a file costs a block and three operations.
const INLINE_BYTES_MAX: u64 = 16 << 10;
/// Bodies up to this are at hand when they are found; larger ones are read in pieces.
const WHOLE_BYTES_MAX: u64 = 256 << 10;
/// Threads, of which what waits for the disk to write has some and never all.
const THREADS: usize = 6;
const LANE_THREADS: usize = 4;
/// Keys whose use is not written yet.
const USED_MAX: usize = 4_096;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseLimits {
    /// All apps together.
    pub bytes: u64,
    pub app_bytes: u64,
    /// The body of one response.
    pub entry_bytes: u64,
    /// Bodies that are being written at the same time.
    pub filling_bytes: u64,
}

/// Responses on disk.
pub struct LocalResponses {
    shelf: Arc<Shelf>,
    reads: Lane,
    writes: Lane,
    pool: Pool,
    released: Released,
    /// Ends them when it goes, after what is queued.
    _threads: Threads,
}

/// What the threads work on.
struct Shelf {
    path: PathBuf,
    index: Mutex<Index>,
    readers: Mutex<Vec<Index>>,
    bodies: Arc<Bodies>,
    limits: ResponseLimits,
    writing_bytes: AtomicU64,
    used: Mutex<HashSet<Key>>,
    /// Locked as long as it is open.
    _lock: File,
    _releasing: Releasing,
}

impl LocalResponses {
    /// Opens or makes the directory. What is in it is found at once. Blocks.
    pub fn open(path: &Path, limits: ResponseLimits, rng: &dyn Rng) -> Result<Self, StoreError> {
        let fail = |error: std::io::Error| StoreError::Failed(format!("{}: {error}", path.display()));
        disk::create_dir(path).map_err(fail)?;
        let lock = disk::create_file(&path.join("lock")).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Failed(format!("another node uses the cache directory {}", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        if path.join(DAMAGED).exists() {
            tracing::warn!(path = %path.display(), "the index of the cache was damaged; it begins with nothing");
            clear(path).map_err(fail)?;
        }
        let index = match Index::open(&path.join(INDEX)) {
            Ok(index) => index,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the cache can't be read; it begins with nothing");
                clear(path).map_err(fail)?;
                Index::open(&path.join(INDEX))?
            }
        };
        let threads = Threads::start_shared("cache", THREADS, LANE_THREADS).map_err(fail)?;
        let pool = threads.pool();
        let bodies = Arc::new(Bodies::new(path, rng, pool.clone()));
        let (releasing, released) = released::pair();
        let shelf = Arc::new(Shelf {
            path: path.to_owned(),
            index: Mutex::new(index),
            readers: Mutex::default(),
            bodies,
            limits,
            writing_bytes: AtomicU64::new(0),
            used: Mutex::default(),
            _lock: lock,
            _releasing: releasing,
        });
        let sweeping = shelf.clone();
        let _ = pool.spawn(Lane::default(), move || sweeping.sweep());
        Ok(Self { shelf, reads: Lane::default(), writes: Lane::default(), pool, released, _threads: threads })
    }

    /// Tells when nothing of the directory is open any more, and its lock is free.
    pub fn released(&self) -> Released {
        self.released.clone()
    }

    async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce(&Shelf) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shelf = self.shelf.clone();
        let answer = self.pool.run(lane, move || shelf.judged(job(&shelf))).await;
        answer.map_err(|error| StoreError::Busy(error.to_string()))?
    }
}

/// What a cache leaves of the disk to those who can't get again what they write.
const FREE_BYTES: u64 = 64 << 20;

const INDEX: &str = "index.db";
const DAMAGED: &str = "damaged";

/// Removes all but the lock.
fn clear(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == "lock" => {}
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    /// Notes if an answer means that the index is damaged.
    fn judged<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Failed(what)) = &answer
            && what.starts_with(index::DAMAGE)
        {
            tracing::error!(%what, "the index of the cache is damaged; the next start begins with nothing");
            let _ = fs::write(self.path.join(DAMAGED), b"");
        }
        answer
    }

    /// Runs a question on a connection that only reads.
    fn read<T>(&self, ask: impl FnOnce(&Index) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = lock(&self.readers).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Index::open_reader(&self.path.join(INDEX))?,
        };
        let answer = ask(&reader);
        let mut readers = lock(&self.readers);
        if readers.len() < THREADS && answer.is_ok() {
            readers.push(reader);
        }
        answer
    }

    fn find(&self, key: &Key) -> Result<Variants, StoreError> {
        let found = self.read(|index| index.find(key))?;
        let mut variants = Vec::with_capacity(found.len());
        let mut lost = Vec::new();
        for row in found {
            match self.bodies.content(&row, WHOLE_BYTES_MAX) {
                Ok(body) => variants.push(Arc::new(Stored { body, ..row.stored })),
                Err(error) => {
                    tracing::warn!(%error, url = %key.url, "a response of the cache is damaged or lost, and removed");
                    lost.push(row.id);
                }
            }
        }
        if !lost.is_empty() {
            let removed = lock(&self.index).remove(&lost)?;
            self.bodies.remove(removed);
        }
        if !variants.is_empty() {
            self.used_key(key);
        }
        Ok(variants.into())
    }

    fn used_key(&self, key: &Key) {
        let mut used = lock(&self.used);
        if used.len() < USED_MAX {
            used.insert(key.clone());
        }
    }

    /// Takes its share of what may be written, or says that there is none.
    fn begin_write(self: &Arc<Self>, bytes: u64) -> Result<Writing, StoreError> {
        let before = self.writing_bytes.fetch_add(bytes, Ordering::Relaxed);
        let writing = Writing { shelf: self.clone(), bytes };
        if before > 0 && before + bytes > self.limits.filling_bytes {
            let max = self.limits.filling_bytes;
            return Err(StoreError::Busy(format!("more than {max} bytes are being written (cache_filling_bytes)")));
        }
        let free = disk::free_bytes(&self.path);
        if free < FREE_BYTES.saturating_add(bytes) {
            return Err(StoreError::Busy(format!(
                "the disk has {free} bytes left, and {FREE_BYTES} are not for a cache"
            )));
        }
        Ok(writing)
    }

    fn put(&self, key: &Key, response: &Stored, body: Option<bytes::Bytes>) -> Result<(), StoreError> {
        let body = match body {
            Some(body) => Some(self.bodies.write(&body, INLINE_BYTES_MAX)?),
            None => None,
        };
        let used = std::mem::take(&mut *lock(&self.used));
        let written = body.as_ref().and_then(|body| body.file.clone());
        let outcome = lock(&self.index).put(key, response, body, &self.limits, &used);
        match outcome {
            Ok(removed) => {
                self.bodies.remove(removed);
                Ok(())
            }
            Err(error) => {
                self.bodies.remove(written);
                Err(error)
            }
        }
    }
}

/// Bytes that are being written.
struct Writing {
    shelf: Arc<Shelf>,
    bytes: u64,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shelf.writing_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Store for LocalResponses {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>> {
        Box::pin(async move {
            let asked = key.clone();
            match self.run(self.reads, move |shelf| shelf.find(&asked)).await {
                Ok(found) => Ok(found),
                // A cache that can't be read is one that has nothing.
                Err(error) => {
                    tracing::warn!(%error, url = %key.url, "the cache was not read");
                    Ok(Vec::new().into())
                }
            }
        })
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (bytes, max) = (response.body.len(), self.body_bytes_max());
            if bytes > max as u64 {
                return Err(StoreError::TooLarge { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), max });
            }
            let writing = self.shelf.begin_write(bytes)?;
            // The body of what is renewed is here already.
            let (asked, body_id) = (key.clone(), response.body_id);
            let vary = response.vary.encode();
            let has = body_id != 0
                && self
                    .run(self.reads, move |shelf| shelf.read(|index| index.has_body(&asked, &vary, body_id, bytes)))
                    .await?;
            let body = if has { None } else { Some(response.body.read().await?) };
            self.run(self.writes, move |shelf| {
                let _writing = writing;
                shelf.put(&key, &response, body)
            })
            .await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>> {
        let key = key.clone();
        Box::pin(self.run(self.writes, move |shelf| {
            let removed = lock(&shelf.index).delete(&key)?;
            let any = !removed.is_empty();
            shelf.bodies.remove(removed.into_iter().flatten());
            Ok(any)
        }))
    }

    fn used(&self, key: &Key) {
        self.shelf.used_key(key);
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let (asked, shelf) = (purge.clone(), self.shelf.clone());
            let purged = self.run(self.writes, move |shelf| {
                let purged = lock(&shelf.index).purge(&asked)?;
                shelf.bodies.remove(purged.files);
                Ok((purged.count, purged.leaves_rows))
            });
            let (count, leaves_rows) = purged.await?;
            if leaves_rows {
                // What is no longer found is removed when there is time.
                let _ = self.pool.spawn(Lane::default(), move || shelf.sweep_rows());
            }
            Ok(count)
        })
    }

    fn keys<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        let (app, url) = (app.to_owned(), url.to_owned());
        Box::pin(self.run(self.reads, move |shelf| shelf.read(|index| index.keys(&app, &url))))
    }

    fn usage<'a>(&'a self, app: Option<&'a str>) -> BoxFuture<'a, Result<Usage, StoreError>> {
        let app = app.map(str::to_owned);
        Box::pin(self.run(self.reads, move |shelf| {
            let disk = Some(lock(&shelf.index).amount(app.as_deref()));
            Ok(Usage { disk, ..Usage::default() })
        }))
    }

    fn body_bytes_max(&self) -> usize {
        usize::try_from(self.shelf.limits.entry_bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests;
