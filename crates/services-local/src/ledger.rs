//! The ledger: one log for all the databases of the node that commit at the same time.
//!
//! A database that flushes its own log costs a flush for each commit, and a thousand databases
//! that write at once cost a thousand. A *journaled* database is an ordinary SQLite file whose
//! commits are appended to the ledger, as images of the pages that they changed, and one flush of
//! the ledger keeps what a thousand of them committed meanwhile
//! (`docs/decisions/0008-commit-log.md` has the figures).
//!
//! ```text
//! COMMIT ──▶ -wal (never flushed) ──frames──▶ batch ──flush──▶ ledger ──▶ ticket resolves
//!                │                                               │
//!                └──copied, once durable in the ledger──▶ .db ◀──┘ at the next start
//! ```
//!
//! **Committing.** The writing connection runs with `synchronous = OFF` and never copies its
//! write-ahead log by itself. After each COMMIT, [`Journal::committed`] reads the frames that it
//! appended (`wal`), and adds one record to the batch that gathers (`log`). A thread writes and
//! flushes the batch (`segment`), and its tickets resolve.
//!
//! **Reading.** A commit is visible to other connections at once, before it is durable. Whoever
//! lets out what a read saw waits for [`Journal::last_ticket`].
//!
//! **Copying.** The write-ahead log is copied into the file only when everything in it is durable
//! in the ledger. The file is flushed when it holds up an old segment, and then the ledger is told
//! so; segments that no database needs go (`care`).
//!
//! **Recovering.** At the start, the newest image of each page is written into its file, and what
//! SQLite keeps beside it is removed (`recovery`). A commit that was not acknowledged is there as a
//! whole or not at all.
//!
//! **Failing.** After a failed write or flush of the log, what was not known to be flushed is in
//! doubt, its tickets fail, and nothing is taken until a new segment is begun. Then each database
//! in doubt appends what its write-ahead log holds, before it goes on. After a failed flush of a
//! database's file, that database takes no more commits until all that the file may lack was written
//! to it anew, from the ledger, and flushed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use services::StoreError;
use services::care::ArchiveCopy;

use crate::care::Removals;
use crate::data_dir::Root;
use crate::database::store_error;
use crate::{DataDirError, disk};

mod archive;
mod begun;
mod care;
mod elsewhere;
mod journal;
mod log;
mod ltx;
mod record;
mod recovery;
mod restore;
mod segment;
mod totals;
mod wal;

use archive::Shelf;
pub use archive::{REMOVED, check as check_archive};
use base::Clock;
use begun::Begun;
use care::{Care, Sort};
use elsewhere::{Carrier, Elsewhere};
pub use elsewhere::{CheckedCopy, Copied, Listing, at_once, list as list_archive};
pub use journal::{Journal, LOG_BYTES_KEPT};
use journal::{Member, beside, copy_to, new_name, open_beside};
use log::Log;
pub use log::Ticket;
pub use restore::{AHEAD_MS, RestoreError, Restored, build_copied};
use segment::SEGMENT_BYTES;
use totals::{Total, Totals};

/// How long a transaction waits for a log that is twice as long as it may be.
const SHORTEN_WAIT: Duration = Duration::from_secs(5);
/// How copies are called that are made on the way to the archive, or fetched for a moment.
const SCRATCH: &str = "whole-";

/// The log of a data directory. One exists for each, and is opened before any journaled database.
pub struct Ledger {
    inner: Arc<Inner>,
    /// Before the others, since it sorts.
    carrier: Option<Carrier>,
    /// Before the thread of the log, since it appends.
    care: Option<Care>,
    thread: Option<JoinHandle<()>>,
    root: Arc<Root>,
}

struct Inner {
    log: Arc<Log>,
    dir: PathBuf,
    bytes_max: u64,
    /// The oldest segment there is, and who waits for it to go.
    oldest: Mutex<u64>,
    shortened: Condvar,
    members: Mutex<Members>,
    /// Whose archive begins in which segment of the log.
    begun: Mutex<Begun>,
    totals: Totals,
    clock: Arc<dyn Clock>,
    /// Where what the log no longer needs goes, and how long it is kept.
    archive: Option<PathBuf>,
    archive_ms: u64,
    /// Up to which batch it was sorted, and the first segment with a commit whose end was not found then.
    sorted: Mutex<(u64, u64)>,
    sorting_is_over: AtomicBool,
    /// Where the archive is copied to.
    elsewhere: Option<Arc<Elsewhere>>,
    /// While it is held, the archive's files stay.
    removals: Arc<Removals>,
    /// Held while segments move or are sorted, and while someone reads them.
    moving: Mutex<()>,
}

#[derive(Default)]
struct Members {
    by_path: HashMap<PathBuf, Arc<Member>>,
    ids: u32,
    /// Removed in the log that is kept: whoever is called so again is announced first.
    forgotten: HashSet<String>,
    /// Those that the archive knows from a whole on.
    archived: HashSet<String>,
    /// Those of which a whole lay in the log at the start.
    begun: HashSet<String>,
    /// Databases that were closed, and whose next commit is not before this moment, which is to come.
    ahead: HashMap<PathBuf, u64>,
    /// Those that were closed, so that their files hold everything durably; not all of them.
    whole: HashSet<String>,
}

/// Closed databases of which is remembered that their files need no flush.
const WHOLE_MAX: usize = 65_536;

/// A database in the books.
struct Entered {
    id: u32,
    member: Arc<Member>,
    /// One of the same name, from before.
    before: Option<Arc<Member>>,
    announced: bool,
    archived: bool,
}

/// Removes what the last process was copying when it died. The power may have left it torn, and no
/// copy of the next process begins with the bytes of one.
fn clear_scratch(archive: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(archive)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH)) {
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => drop(disk::remove(&entry.path())?),
            }
        }
    }
    Ok(())
}

impl Ledger {
    /// Opens the ledger, and brings every database up to date that the last process left behind.
    /// Blocks.
    pub(crate) fn open(root: &Arc<Root>) -> Result<Arc<Self>, DataDirError> {
        let dir = root.create_dir(&["ledger"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let archive = match root.options.limits.archive_days {
            0 => None,
            _ => {
                let fail = |error| DataDirError::from_io(&root.path, error);
                root.create_dir(&["archive", "log"]).map_err(fail)?;
                let archive = root.path.join("archive");
                clear_scratch(&archive).map_err(fail)?;
                Some(archive)
            }
        };
        let elsewhere = archive.as_ref().zip(root.options.archive.clone()).map(|(archive, depot)| {
            let options = &root.options;
            let (limits, rng, now_ms) = (&options.limits, options.rng.clone(), options.clock.unix_ms());
            Arc::new(Elsewhere::new(depot, archive.clone(), limits, rng, now_ms))
        });
        let recovered = recovery::run(&root.path, &dir)?;
        let mut begun: HashSet<String> = recovered.begun.names().map(str::to_owned).collect();
        if let Some(archive) = &archive {
            let log = archive.join(archive::LOG);
            begun.extend(begun::read(&log).map_err(|error| DataDirError::from_io(&log, error))?);
        }
        let log = Log::new(dir.clone(), recovered.last_batch, recovered.next_segment, root.reserve.clone());
        let inner = Arc::new(Inner {
            log: log.clone(),
            dir,
            bytes_max: root.options.limits.ledger_bytes,
            oldest: Mutex::new(recovered.next_segment),
            shortened: Condvar::new(),
            members: Mutex::new(Members { begun, whole: recovered.whole, ..Members::default() }),
            begun: Mutex::new(recovered.begun),
            totals: Totals::default(),
            clock: root.options.clock.clone(),
            archive,
            archive_ms: root.options.limits.archive_days * 24 * 3_600_000,
            sorted: Mutex::new((0, u64::MAX)),
            sorting_is_over: AtomicBool::new(false),
            elsewhere: elsewhere.clone(),
            removals: root.removals.clone(),
            moving: Mutex::default(),
        });
        let builder = std::thread::Builder::new().name("ledger".into());
        let thread = builder.spawn(move || log.run(recovered.writer)).map_err(DataDirError::Threads)?;
        let care = Care::start(inner.clone()).map_err(DataDirError::Threads)?;
        let start = |elsewhere| Carrier::start(inner.clone(), elsewhere).map_err(DataDirError::Threads);
        let carrier = elsewhere.map(start).transpose()?;
        Ok(Arc::new(Self { inner, carrier, care: Some(care), thread: Some(thread), root: root.clone() }))
    }

    /// Makes a database journaled. `connection` is the only one that writes from here on, and was
    /// opened with SQLite's own defaults; `path` lies in the data directory.
    pub fn adopt(self: &Arc<Self>, path: &Path, connection: &Connection) -> Result<Journal, StoreError> {
        let name = self.name(path)?;
        let known = self.inner.members().by_path.get(path).cloned();
        if let Some(known) = known.filter(|known| !known.is_held() && known.is_in_doubt()) {
            self.inner.mend(&known)?;
        }
        let is_whole = self.inner.members().whole.remove(&name);
        let Entered { id, member, before, announced, archived } = self.enter(path, &name, connection, is_whole)?;
        if announced {
            member.announce()?.wait()?;
        }
        if let (Some(archive), false) = (&self.inner.archive, archived) {
            self.begin_archive(archive, &name, id, &member, connection)?;
        }
        member.inherit(before.as_deref())?;
        Ok(Journal::new(self.clone(), member))
    }

    /// Enters a database in the books.
    fn enter(&self, path: &Path, name: &str, connection: &Connection, is_durable: bool) -> Result<Entered, StoreError> {
        let (id, announced, archived) = {
            let mut members = self.inner.members();
            members.ids += 1;
            (members.ids, members.forgotten.remove(name), members.archived.contains(name))
        };
        let (clock, named) = (self.root.options.clock.clone(), new_name(id, name.to_owned()));
        let total = self.total(path)?;
        let member = Arc::new(Member::open(&self.inner.log, clock, path, named, total, connection, is_durable)?);
        let mut members = self.inner.members();
        if members.by_path.get(path).is_some_and(|known| known.is_held()) {
            return Err(StoreError::Failed(format!("{} is journaled already", path.display())));
        }
        let before = members.by_path.insert(path.into(), member.clone());
        let ahead_ms = members.ahead.remove(path);
        drop(members);
        if let Some(at_ms) = ahead_ms {
            member.not_before(at_ms);
        }
        Ok(Entered { id, member, before, announced, archived })
    }

    /// Sees that the archive has the whole that later changes build upon.
    fn begin_archive(
        &self,
        archive: &Path,
        name: &str,
        id: u32,
        member: &Member,
        connection: &Connection,
    ) -> Result<(), StoreError> {
        let shelf = Shelf::of(archive, name);
        let is_begun = self.inner.members().begun.contains(name);
        if !shelf.goes_on(is_begun)? {
            let scratch = archive.join(format!("{SCRATCH}{id}.tmp"));
            if let Some(place) = member.append_whole(connection, &scratch)? {
                self.inner.begun().note(place.segment, place.batch, name);
                if shelf.is_marked_removed() {
                    self.log().ticket(place.batch).wait()?;
                    shelf.unmark_removed()?;
                }
            }
        }
        self.inner.members().archived.insert(name.to_owned());
        Ok(())
    }

    /// Copies a database, which may be in use, to a new file as it is at one moment: a branch.
    /// Answers whether the two share what they hold, as far as neither changes it. Blocks.
    pub fn branch(&self, path: &Path, into: &Path) -> Result<bool, StoreError> {
        let temporary = beside(into, ".tmp");
        let fail = |error| disk::store_error(into, &error);
        let member = self.inner.members().by_path.get(path).cloned();
        let mut file = disk::create_file(&temporary).map_err(fail)?;
        let shared = member.map_or(Ok(false), |member| member.share(&file))?;
        if !shared {
            let copied = open_beside(path).and_then(|source| copy_to(&source, &temporary));
            copied.map_err(|error| store_error(path, &error))?;
            file = File::open(&temporary).map_err(fail)?;
        }
        disk::publish(&file, &temporary, into).map_err(fail)?;
        Ok(shared)
    }

    /// Removes a database that no connection is open to, durably.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let name = self.name(path)?;
        let mut members = self.inner.members();
        if members.by_path.get(path).is_some_and(|member| member.is_held()) {
            return Err(StoreError::Failed(format!("{} is in use", path.display())));
        }
        let known = members.by_path.remove(path).map(|member| member.bytes());
        members.ids += 1;
        members.forgotten.insert(name.clone());
        members.archived.remove(&name);
        members.begun.remove(&name);
        members.whole.remove(&name);
        let id = members.ids;
        drop(members);
        if let Some(archive) = &self.inner.archive {
            Shelf::of(archive, &name).mark_removed(archive, self.inner.clock.unix_ms())?;
        }
        let name = new_name(id, name);
        let mut bytes = Vec::new();
        record::forget(&mut bytes, name.id);
        let place = self.log().append(&name, &bytes)?;
        self.log().ticket(place.batch).wait()?;
        let fail = |error| disk::store_error(path, &error);
        let bytes = known.unwrap_or_else(|| path.metadata().map_or(0, |metadata| metadata.len()));
        self.total(path)?.resize(bytes, 0);
        for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
            disk::remove(&file).map_err(fail)?;
        }
        disk::sync_dir(path.parent().unwrap_or(path)).map_err(fail)
    }

    /// What the databases of this kind and app take, of which this path is one or would be.
    pub fn used(&self, path: &Path) -> Result<u64, StoreError> {
        Ok(self.total(path)?.bytes())
    }

    /// A file was made, or a part of one, without a commit.
    pub fn made(&self, path: &Path, bytes: u64) -> Result<(), StoreError> {
        self.total(path)?.resize(0, bytes);
        Ok(())
    }

    fn total(&self, path: &Path) -> Result<Arc<Total>, StoreError> {
        let name = self.name(path)?;
        self.inner.totals.of(&self.root.path, Path::new(&name))
    }

    /// How the log calls a file.
    fn name(&self, path: &Path) -> Result<String, StoreError> {
        let inside = path.strip_prefix(&self.root.path).ok().and_then(Path::to_str);
        let outside = || StoreError::Failed(format!("{} lies outside of the data directory", path.display()));
        inside.map(str::to_owned).ok_or_else(outside)
    }

    /// Sorts all that is durable, so that the archive's files hold every commit that was made by now. Blocks.
    pub fn sort(&self) -> Result<(), StoreError> {
        self.inner.sort(Sort::Durable)
    }

    /// How the copy of the archive elsewhere is doing, if there is to be one.
    pub fn archive_copy(&self) -> Option<ArchiveCopy> {
        self.inner.archive_copy()
    }

    /// Reads the copy elsewhere. Blocks for as long as that place lets it.
    pub fn check_copy(&self) -> Result<Vec<CheckedCopy>, StoreError> {
        self.inner.elsewhere.as_ref().map_or(Ok(Vec::new()), |elsewhere| elsewhere.check())
    }

    fn log(&self) -> &Arc<Log> {
        &self.inner.log
    }

    /// A database of the ledger has found the disk full.
    pub fn found_full(&self) {
        self.root.reserve.give_up();
    }

    /// Why no transaction should begin now, if so. Waits for a while if the log is too long.
    fn refusal(&self, removes: bool) -> Result<(), StoreError> {
        match removes {
            true => self.root.reserve.check_removal()?,
            false => self.root.reserve.check()?,
        }
        self.inner.log.refusal()?;
        let most = 2 * self.inner.bytes_max / SEGMENT_BYTES;
        let too_long = |oldest: &mut u64| self.inner.log.segment().saturating_sub(*oldest) > most;
        let mut oldest = self.inner.oldest();
        if !too_long(&mut oldest) {
            return Ok(());
        }
        // Copying does not keep up, or someone reads for too long.
        let waited = self.inner.shortened.wait_timeout_while(oldest, SHORTEN_WAIT, too_long);
        match waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            true => Err(StoreError::Busy { in_flight: most as usize }),
            false => Ok(()),
        }
    }

    /// Lets go of a database whose file is whole. Its next commit is not before `ahead_ms`.
    fn release(&self, member: &Member, ahead_ms: u64) {
        let now_ms = self.inner.clock.unix_ms();
        let mut members = self.inner.members();
        members.by_path.remove(&member.path);
        members.ahead.retain(|_, at_ms| *at_ms >= now_ms);
        if ahead_ms >= now_ms {
            members.ahead.insert(member.path.clone(), ahead_ms);
        }
        if members.whole.len() >= WHOLE_MAX {
            members.whole.clear();
        }
        members.whole.insert(member.name().to_owned());
    }
}

impl Inner {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Member>> {
        self.members().by_path.values().cloned().collect()
    }

    /// Forgets a database that nobody holds and that needs nothing.
    fn let_go(&self, member: &Arc<Member>) {
        let mut members = self.members();
        let same = members.by_path.get(&member.path).is_some_and(|known| Arc::ptr_eq(known, member));
        if same && !member.is_held() {
            members.by_path.remove(&member.path);
        }
    }

    fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sorted(&self) -> MutexGuard<'_, (u64, u64)> {
        self.sorted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is sorted any more when this returns.
    fn stop_sorting(&self) {
        self.sorting_is_over.store(true, Ordering::Relaxed);
        drop(self.moving());
    }

    fn oldest(&self) -> MutexGuard<'_, u64> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_oldest(&self, segment: u64) {
        *self.oldest() = segment;
        self.shortened.notify_all();
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.carrier.take());
        drop(self.care.take());
        self.inner.log.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
