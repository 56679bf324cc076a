//! The archive elsewhere: a copy of it in a depot, which does not go with the disk of the data.
//!
//! ```text
//! ELSEWHERE/ID/format                   "selvedge-archive 1", and which data directory it is of
//! ELSEWHERE/ID/PATH/FIRST-LAST.BATCH.ltx
//! ```
//!
//! The archive beside the data stays what it is: nothing that commits, opens or removes a database
//! looks elsewhere. A thread of its own sorts what is durable (`care`) and copies every file that is
//! not there yet, each whole under its name or not at all. If that fails it is tried again, after
//! a pause that grows, and how far the copy is behind is told. The copy has days of its own: what goes
//! beside the data for its age stays here until these are over, and a moment that is asked for and can't
//! be had from the archive is fetched from here (`restore`).
//!
//! Each archive has an id: a data directory that is lost and made anew, or restored, begins another
//! one, and no two ever write into the same place. `DATA/archive/elsewhere` has the id and the
//! name of the depot. If that place can't be found it is an error rather than begun anew, for what is not mounted
//! looks like an empty directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use base::Rng;
use services::StoreError;
use services::care::ArchiveCopy;

use super::archive::{Entry, REMOVED, shelves};
use super::care::Sort;
use super::{Inner, SCRATCH};
use crate::depot::Depot;
use crate::disk;

mod copied;

pub use copied::{CheckedCopy, Copied, Fetched};

/// Before the first round, so that a command on the data of a node that is stopped begins none.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// Pause after a failure; doubles up to the most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How often what is too old is looked for.
const PRUNE_EVERY_MS: u64 = 24 * 3_600_000;
/// How long a stop waits for a thread that may hang on a disk far away.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// Databases that are copied at once: each file waits for a place far away, not for a core.
const THREADS: usize = 4;

/// The names of the files of each shelf, by its path below the archive.
pub type Listing = BTreeMap<String, BTreeSet<String>>;

pub struct Elsewhere {
    depot: Arc<dyn Depot>,
    /// The archive beside the data.
    archive: PathBuf,
    keep_ms: u64,
    every: Duration,
    rng: Arc<dyn Rng>,
    told: Mutex<Told>,
    /// Held by whoever copies: what lies there, if that is known.
    there: Mutex<Option<Listing>>,
    pruned_ms: AtomicU64,
    fetched: AtomicU64,
    stopping: AtomicBool,
}

/// How it went.
struct Told {
    /// What was durable at this time lies there, up to this batch.
    since_ms: u64,
    batch: u64,
    failures: u64,
    problem: Option<String>,
}

impl Elsewhere {
    pub fn new(
        depot: Arc<dyn Depot>,
        archive: PathBuf,
        limits: &base::NodeLimits,
        rng: Arc<dyn Rng>,
        now_ms: u64,
    ) -> Self {
        Self {
            depot,
            archive,
            keep_ms: limits.archive_copy_days * 24 * 3_600_000,
            every: Duration::from_millis(limits.archive_copy_ms),
            rng,
            told: Mutex::new(Told { since_ms: now_ms, batch: 0, failures: 0, problem: None }),
            there: Mutex::default(),
            pruned_ms: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy of this archive; begins one if the depot has none yet.
    fn copied(&self) -> Result<Copied<'_>, StoreError> {
        if let Some(copied) = self.known()? {
            return match copied.is_begun()? {
                true => Ok(copied),
                false => Err(StoreError::Failed(format!(
                    "{}/{} is not there: is it mounted? If it is lost, remove {} to begin another copy",
                    self.depot.name(),
                    copied.id,
                    self.note().display()
                ))),
            };
        }
        let data = self.archive.parent().unwrap_or(&self.archive);
        self.depot.check_new(data)?;
        let copied = Copied { depot: &*self.depot, id: format!("{:016x}", self.rng.next_u64()) };
        copied.begin(data, &self.archive.join(format!("{SCRATCH}format")))?;
        let (note, text) = (self.note(), format!("{}\n{}\n", copied.id, self.depot.name()));
        let noted = disk::write_whole(&note.with_extension("tmp"), &note, text.as_bytes());
        noted.map_err(|error| disk::store_error(&note, &error))?;
        Ok(copied)
    }

    fn note(&self) -> PathBuf {
        self.archive.join("elsewhere")
    }

    /// The copy that was begun in the depot, if one was.
    fn known(&self) -> Result<Option<Copied<'_>>, StoreError> {
        let note = self.note();
        let text = match fs::read_to_string(&note) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk::store_error(&note, &error)),
        };
        let known = text.trim_end().split_once('\n').filter(|(_, name)| *name == self.depot.name());
        Ok(known.map(|(id, _)| Copied { depot: &*self.depot, id: id.to_owned() }))
    }

    /// Copies what is not there yet.
    fn copy(&self, now_ms: u64) -> Result<(), StoreError> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = self.copied()?;
        // After a failure it is looked at again.
        let mut listing = match there.take() {
            Some(listing) => listing,
            None => copied.list("")?,
        };
        let is_due = |names: &BTreeSet<String>, there: &BTreeSet<String>| {
            names.difference(there).next().is_some() || (there.contains(REMOVED) && !names.contains(REMOVED))
        };
        let mut work = Vec::new();
        for (shelf, names) in list(&self.archive)? {
            let known = listing.entry(shelf.clone()).or_default();
            if is_due(&names, known) {
                work.push((shelf, names, std::mem::take(known)));
            }
        }
        let done = at_once(work, |(shelf, names, mut known)| {
            self.copy_shelf(&copied, &shelf, &names, &mut known)?;
            Ok((shelf, known))
        })?;
        listing.extend(done);
        if now_ms.saturating_sub(self.pruned_ms.load(Ordering::Relaxed)) >= PRUNE_EVERY_MS {
            let kept = at_once(listing.into_iter().collect(), |(shelf, names)| {
                if self.stopping.load(Ordering::Relaxed) {
                    return Err(StoreError::Closed);
                }
                let names = copied.prune(&shelf, names, now_ms.saturating_sub(self.keep_ms))?;
                Ok((shelf, names))
            })?;
            self.pruned_ms.store(now_ms, Ordering::Relaxed);
            listing = kept.into_iter().collect();
        }
        *there = Some(listing);
        Ok(())
    }

    fn copy_shelf(
        &self,
        copied: &Copied<'_>,
        shelf: &str,
        names: &BTreeSet<String>,
        there: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let from = self.archive.join(shelf);
        let entry = |name: &String| Entry::parse(from.join(name));
        // In the order of the commits, so that what a failure leaves is a past without a gap.
        let mut new: Vec<String> = names.difference(there).cloned().collect();
        new.sort_by_cached_key(|name| entry(name).map(|entry| entry.order()));
        let mut merged = Vec::new();
        for name in new {
            if self.stopping.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            let path = from.join(&name);
            let mut file = match File::open(&path) {
                Ok(file) => file,
                // It is in another by now, or too old.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(disk::store_error(&path, &error)),
            };
            copied.depot.put(&copied.name(shelf, &name), &mut file)?;
            merged.extend(entry(&name).filter(|entry| entry.first > 1));
            there.insert(name);
        }
        let is_in_one = |name: &String| {
            let Some(part) = entry(name) else { return name == REMOVED && !names.contains(name) };
            merged.iter().any(|whole| part.path != whole.path && whole.covers(&part))
        };
        for name in there.iter().filter(|name| is_in_one(name)).cloned().collect::<Vec<_>>() {
            copied.depot.remove(&copied.name(shelf, &name))?;
            there.remove(&name);
        }
        Ok(())
    }

    /// Fetches what is needed for a database as it was at a moment, and of which the archive beside the data
    /// holds nothing so old; nothing, if there is none of it here either.
    pub fn fetch(&self, name: &str, at_ms: u64) -> Result<Option<Fetched>, StoreError> {
        let Some(copied) = self.known()? else { return Ok(None) };
        let number = self.fetched.fetch_add(1, Ordering::Relaxed);
        copied.fetch(name, at_ms, self.archive.join(format!("{SCRATCH}fetched-{number}")))
    }

    /// Reads what lies there; each file with what is wrong with it.
    pub fn check(&self) -> Result<Vec<CheckedCopy>, StoreError> {
        self.known()?.map_or(Ok(Vec::new()), |copied| copied.check())
    }
}

/// Does all of it, by a few threads; the first that fails ends it.
pub fn at_once<T: Send, D: Send>(
    work: Vec<T>,
    each: impl Fn(T) -> Result<D, StoreError> + Sync,
) -> Result<Vec<D>, StoreError> {
    let threads = THREADS.min(work.len());
    let (left, failed) = (Mutex::new(work), AtomicBool::new(false));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let run = || -> Result<Vec<D>, StoreError> {
        let mut done = Vec::new();
        while let Some(one) = next().filter(|_| !failed.load(Ordering::Relaxed)) {
            done.push(each(one).inspect_err(|_| failed.store(true, Ordering::Relaxed))?);
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let join = |thread: ScopedJoinHandle<'_, Result<Vec<D>, StoreError>>| {
            thread.join().unwrap_or_else(|_| Err(StoreError::Failed("copying the archive panicked".into())))
        };
        let outcomes: Vec<_> = threads.into_iter().map(join).collect();
        outcomes.into_iter().collect::<Result<Vec<_>, _>>().map(|done| done.into_iter().flatten().collect())
    })
}

impl Inner {
    /// Brings the copy up to date.
    pub(super) fn copy_archive(&self, elsewhere: &Elsewhere) -> Result<(), StoreError> {
        let (now_ms, batch) = (self.clock.unix_ms(), self.log.durable());
        let copied = self.sort(Sort::Durable).and_then(|()| elsewhere.copy(now_ms));
        let mut told = elsewhere.told();
        match &copied {
            Ok(()) => (told.since_ms, told.batch, told.problem) = (now_ms, batch, None),
            Err(StoreError::Closed) => {}
            Err(error) => {
                told.failures += 1;
                told.problem = Some(error.to_string());
            }
        }
        copied
    }

    /// How the copy elsewhere is doing, if there is to be one.
    pub(super) fn archive_copy(&self) -> Option<ArchiveCopy> {
        let elsewhere = self.elsewhere.as_ref()?;
        let told = elsewhere.told();
        let behind_ms = match self.log.durable() > told.batch {
            true => self.clock.unix_ms().saturating_sub(told.since_ms),
            false => 0,
        };
        let (failures, problem) = (told.failures, told.problem.clone());
        Some(ArchiveCopy { place: elsewhere.depot.name(), behind_ms, failures, problem })
    }
}

/// The thread; it ends soon after this is dropped, or when the disk far away lets go of it.
pub struct Carrier {
    elsewhere: Arc<Elsewhere>,
    inner: Arc<Inner>,
    stop: Option<Sender<()>>,
    ended: Mutex<Receiver<()>>,
}

impl Carrier {
    pub fn start(inner: Arc<Inner>, elsewhere: Arc<Elsewhere>) -> io::Result<Self> {
        let ((stop, stopped), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let (own, place) = (inner.clone(), elsewhere.clone());
        let work = move || {
            run(&own, &place, &stopped);
            drop(end);
        };
        std::thread::Builder::new().name("archive-copy".into()).spawn(work)?;
        Ok(Self { elsewhere, inner, stop: Some(stop), ended: Mutex::new(ended) })
    }
}

fn run(inner: &Inner, elsewhere: &Elsewhere, stopped: &Receiver<()>) {
    let (mut wait, mut pause) = (FIRST_AFTER.min(elsewhere.every), PAUSE);
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        match inner.copy_archive(elsewhere) {
            Ok(()) => (wait, pause) = (elsewhere.every, PAUSE),
            Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "the archive could not be copied; it is tried again");
                (wait, pause) = (pause, (pause * 2).min(PAUSE_MAX));
            }
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.elsewhere.stopping.store(true, Ordering::Relaxed);
        drop(self.stop.take());
        // Whoever sorts writes beside the data, which may have another owner from here on.
        self.inner.stop_sorting();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(STOP_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(place = %self.elsewhere.depot.name(), "the copy of the archive hangs and is left behind");
        }
    }
}

/// The files of an archive.
pub fn list(archive: &Path) -> Result<Listing, StoreError> {
    let mut listing = Listing::new();
    for dir in shelves(archive)? {
        let Some(shelf) = dir.strip_prefix(archive).ok().and_then(Path::to_str) else { continue };
        let mut names = BTreeSet::new();
        let found = match fs::read_dir(&dir) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(disk::store_error(&dir, &error)),
        };
        for file in found {
            let name = file.map_err(|error| disk::store_error(&dir, &error))?.file_name();
            let ours = |name: &&str| *name == REMOVED || Entry::parse(dir.join(name)).is_some();
            names.extend(name.to_str().filter(ours).map(str::to_owned));
        }
        if !names.is_empty() {
            listing.insert(shelf.to_owned(), names);
        }
    }
    Ok(listing)
}
