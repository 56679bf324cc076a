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
//! database's file, that database takes no more commits until the next start writes the file anew.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use services::StoreError;

use crate::data_dir::Root;
use crate::{DataDirError, disk};

mod care;
mod journal;
mod log;
mod record;
mod recovery;
mod segment;
mod wal;

use care::Care;
pub use journal::Journal;
use journal::{Member, beside, new_name};
use log::Log;
pub use log::Ticket;
use segment::SEGMENT_BYTES;

/// The log of a data directory. One exists for each, and is opened before any journaled database.
pub struct Ledger {
    inner: Arc<Inner>,
    /// Before the thread of the log, since it appends.
    care: Option<Care>,
    thread: Option<JoinHandle<()>>,
    root: Arc<Root>,
}

struct Inner {
    log: Arc<Log>,
    dir: PathBuf,
    bytes_max: u64,
    /// The oldest segment there is.
    oldest: AtomicU64,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    by_path: HashMap<PathBuf, Arc<Member>>,
    ids: u32,
    /// Removed in the log that is kept: whoever is called so again is announced first.
    forgotten: HashSet<String>,
    txids: HashMap<String, u64>,
}

impl Ledger {
    /// Opens the ledger, and brings every database up to date that the last process left behind.
    /// Blocks.
    pub(crate) fn open(root: &Arc<Root>) -> Result<Arc<Self>, DataDirError> {
        let dir = root.create_dir(&["ledger"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let recovered = recovery::run(&root.path, &dir)?;
        let log = Log::new(dir.clone(), recovered.last_batch, recovered.next_segment);
        let members = Members { txids: recovered.txids, ..Members::default() };
        let inner = Arc::new(Inner {
            log: log.clone(),
            dir,
            bytes_max: root.options.limits.ledger_bytes,
            oldest: AtomicU64::new(recovered.next_segment),
            members: Mutex::new(members),
        });
        let builder = std::thread::Builder::new().name("ledger".into());
        let thread = builder.spawn(move || log.run(recovered.writer)).map_err(DataDirError::Threads)?;
        let care = Care::start(inner.clone()).map_err(DataDirError::Threads)?;
        Ok(Arc::new(Self { inner, care: Some(care), thread: Some(thread), root: root.clone() }))
    }

    /// Makes a database journaled. `connection` is the only one that writes from here on, and was
    /// opened with SQLite's own defaults; `path` lies in the data directory.
    pub fn adopt(self: &Arc<Self>, path: &Path, connection: &Connection) -> Result<Journal, StoreError> {
        let name = self.name(path)?;
        let (id, last_txid, announced) = {
            let mut members = self.inner.members();
            members.ids += 1;
            let known = members.by_path.get(path).map(|member| member.last_txid());
            let last_txid = known.or_else(|| members.txids.get(&name).copied()).unwrap_or(0);
            (members.ids, last_txid, members.forgotten.remove(&name))
        };
        let clock = self.root.options.clock.clone();
        let opened = Member::open(&self.inner.log, clock, path, new_name(id, name), last_txid, connection)?;
        let member = Arc::new(opened);
        let before = {
            let mut members = self.inner.members();
            if members.by_path.get(path).is_some_and(|known| known.is_held()) {
                return Err(StoreError::Failed(format!("{} is journaled already", path.display())));
            }
            members.by_path.insert(path.into(), member.clone())
        };
        if announced {
            member.announce()?.wait()?;
        }
        member.inherit(before.as_deref())?;
        Ok(Journal::new(self.clone(), member))
    }

    /// Removes a database that no connection is open to, durably.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let name = self.name(path)?;
        let mut members = self.inner.members();
        if members.by_path.get(path).is_some_and(|member| member.is_held()) {
            return Err(StoreError::Failed(format!("{} is in use", path.display())));
        }
        members.by_path.remove(path);
        members.ids += 1;
        members.forgotten.insert(name.clone());
        let name = new_name(members.ids, name);
        drop(members);
        let mut bytes = Vec::new();
        record::forget(&mut bytes, name.id);
        let place = self.log().append(&name, &bytes)?;
        self.log().ticket(place.batch).wait()?;
        let fail = |error| disk::store_error(path, &error);
        for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
            disk::remove(&file).map_err(fail)?;
        }
        disk::sync_dir(path.parent().unwrap_or(path)).map_err(fail)
    }

    /// How the log calls a file.
    fn name(&self, path: &Path) -> Result<String, StoreError> {
        let inside = path.strip_prefix(&self.root.path).ok().and_then(Path::to_str);
        let outside = || StoreError::Failed(format!("{} lies outside of the data directory", path.display()));
        inside.map(str::to_owned).ok_or_else(outside)
    }

    fn log(&self) -> &Arc<Log> {
        &self.inner.log
    }

    /// Why no transaction should begin now, if so.
    fn refusal(&self) -> Result<(), StoreError> {
        self.inner.log.refusal()?;
        let segments = self.inner.log.segment().saturating_sub(self.inner.oldest.load(Ordering::Relaxed));
        match segments * SEGMENT_BYTES > 2 * self.inner.bytes_max {
            // Copying does not keep up, or someone reads for too long.
            true => Err(StoreError::Busy { in_flight: segments as usize }),
            false => Ok(()),
        }
    }

    /// Lets go of a database whose file is whole.
    fn release(&self, member: &Member) {
        let mut members = self.inner.members();
        members.by_path.remove(&member.path);
        members.txids.insert(member.name().to_owned(), member.last_txid());
    }
}

impl Inner {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn set_oldest(&self, segment: u64) {
        self.oldest.store(segment, Ordering::Relaxed);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.care.take());
        self.inner.log.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
