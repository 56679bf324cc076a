//! The journaled databases: what beside each one's writing connection keeps it in the log.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::Clock;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use services::StoreError;

use super::Ledger;
use super::archive::Commit;
use super::log::{Log, Name, Place, Ticket};
use super::record::{self, PagesHead};
use super::totals::Total;
use super::wal::{Frame, Wal};
use crate::database::store_error;
use crate::disk;

mod born;

use born::Born;

/// Frames in the write-ahead log before they are copied into the database, if all are durable; and
/// before a transaction waits until they are, as it must where something is always under way. An object
/// holds up all of its core while it waits, so it does so rarely.
const COPY_FRAMES: u64 = 128;
const COPY_FRAMES_MAX: u64 = 2_048;
/// Bytes that the write-ahead log keeps on disk once it is copied: what a busy database fills before.
pub const LOG_BYTES_KEPT: u32 = 9 << 20;
/// Pages in one part of a whole database.
const WHOLE_PART_PAGES: u32 = 256;
/// Stands for a commit that is in no batch.
const IN_DOUBT: u64 = u64::MAX;
/// How long the ledger waits for a lock when it copies on its own.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// A database that the ledger knows.
pub struct Member {
    pub path: PathBuf,
    name: Name,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    /// Open as long as the database is: to close it would drop SQLite's locks.
    file: File,
    held: AtomicBool,
    /// Of its app's databases.
    total: Arc<Total>,
    state: Mutex<State>,
}

struct State {
    wal: Wal,
    /// The batch of the last commit; 0 before the first, [`IN_DOUBT`] if it could not be appended.
    last: u64,
    /// The database file holds every commit up to this batch, if not durably.
    copied: u64,
    /// The oldest segments that hold a commit which the file does not hold durably, and one which
    /// it does not hold at all.
    needed_from: Option<u64>,
    uncopied_from: Option<u64>,
    /// When the last commit was made.
    time_ms: u64,
    /// What it takes of its app's total.
    bytes: u64,
    /// Bytes of pages that were logged, ever; those of them that the file holds; and that it holds durably.
    logged: u64,
    logged_copied: u64,
    logged_flushed: u64,
    /// A flush of the file failed: nobody knows what it holds, until all that it may lack was
    /// written anew from the ledger.
    failure: Option<StoreError>,
    /// Another has taken over, or the file is whole: whoever still holds this one does nothing.
    retired: bool,
    /// What the file began with, until its name is durable.
    born: Option<Born>,
}

/// Keeps one database in the ledger. It lives beside the one connection that writes, and goes
/// before it does.
///
/// ```text
/// let mut journal = ledger.adopt(&path, &connection)?;
/// journal.ready(&connection)?;                 refuses what could not be kept
///   BEGIN IMMEDIATE … COMMIT                   visible to readers from here on
/// let ticket = journal.committed(&connection)?;
/// ticket.await?;                               durable: now tell somebody
/// journal.close(&connection)?;                 or drop it: the ledger does the rest in time
/// ```
///
/// SQL of strangers on the connection must not reach `PRAGMA journal_mode`, `synchronous`,
/// `wal_autocheckpoint`, `locking_mode` or `wal_checkpoint`: what is copied into the file before it
/// is durable in the ledger is not mended after a power cut.
pub struct Journal {
    ledger: Arc<Ledger>,
    member: Arc<Member>,
}

impl Member {
    /// `is_durable` tells that what the file holds was flushed already.
    pub fn open(
        log: &Arc<Log>,
        clock: Arc<dyn Clock>,
        path: &Path,
        name: Name,
        total: Arc<Total>,
        connection: &Connection,
        is_durable: bool,
    ) -> Result<Self, StoreError> {
        let fail = |error| disk::store_error(path, &error);
        // As the total has it: of one that is new, nothing yet.
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        prepare(path, connection)?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        // What the file holds by now is what everything in the log builds upon.
        if !is_durable {
            file.sync_all().map_err(fail)?;
            disk::sync_dir(path.parent().unwrap_or(path)).map_err(fail)?;
        }
        let wal = File::open(beside(path, "-wal")).map_err(fail)?;
        let state = State {
            wal: Wal::new(wal),
            last: 0,
            copied: 0,
            needed_from: None,
            uncopied_from: None,
            time_ms: 0,
            bytes,
            logged: 0,
            logged_copied: 0,
            logged_flushed: 0,
            failure: None,
            retired: false,
            born: None,
        };
        Ok(Self {
            path: path.into(),
            name,
            log: log.clone(),
            clock,
            file,
            held: AtomicBool::new(true),
            total,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io_error(&self, error: std::io::Error) -> StoreError {
        disk::store_error(&self.path, &error)
    }

    /// Records that the database is there, after one of its name was removed.
    pub fn announce(&self) -> Result<Ticket, StoreError> {
        let mut bytes = Vec::new();
        record::adopt(&mut bytes, self.name.id);
        let place = self.log.append(&self.name, &bytes)?;
        Ok(self.log.ticket(place.batch))
    }

    /// Appends the whole database, for the archive, which knows nothing of it yet. `scratch` is a
    /// file that is made for the time being. Answers where it ends.
    pub fn append_whole(&self, connection: &Connection, scratch: &Path) -> Result<Option<Place>, StoreError> {
        let copied = copy_to(connection, scratch).map_err(|error| store_error(&self.path, &error));
        let appended = copied.and_then(|()| self.append_file(scratch));
        disk::remove(scratch).map_err(|error| disk::store_error(scratch, &error))?;
        appended
    }

    fn append_file(&self, path: &Path) -> Result<Option<Place>, StoreError> {
        let fail = |error| disk::store_error(path, &error);
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut size = [0; 2];
        if length == 0 {
            return Ok(None);
        }
        // The page size, as the header has it; 1 stands for what two bytes can't hold.
        file.read_exact_at(&mut size, 16).map_err(fail)?;
        let page_bytes = match u16::from_be_bytes(size) {
            1 => 65_536,
            bytes => u32::from(bytes),
        };
        let database_pages = (length / u64::from(page_bytes)) as u32;
        let mut state = self.state();
        state.time_ms = state.time_ms.max(self.clock.unix_ms());
        let head = PagesHead {
            id: self.name.id,
            time_ms: state.time_ms,
            page_bytes,
            last: false,
            base: true,
            born: false,
            database_pages,
        };
        let (mut first, mut place) = (1, None);
        while first <= database_pages {
            let count = (database_pages - first + 1).min(WHOLE_PART_PAGES);
            let mut bytes = vec![0; count as usize * page_bytes as usize];
            file.read_exact_at(&mut bytes, u64::from(first - 1) * u64::from(page_bytes)).map_err(fail)?;
            let images = (first..).zip(bytes.chunks_exact(page_bytes as usize)).collect();
            first += count;
            let mut record = Vec::new();
            record::pages(&mut record, PagesHead { last: first > database_pages, ..head }, &images);
            place = Some(self.log.append(&self.name, &record)?);
        }
        Ok(place)
    }

    /// Appends what was committed since the last look; after a failure of the log, everything
    /// that the write-ahead log holds, which is all since the file was last whole.
    fn catch_up(&self, state: &mut State) -> Result<(), StoreError> {
        if self.log.in_doubt(state.last) {
            self.bear_again(state)?;
            state.wal.rewind();
            state.last = state.copied.max(Self::birth(state));
        }
        let logged = self.log_commits(state);
        if logged.is_err() {
            state.last = IN_DOUBT;
        }
        logged
    }

    fn log_commits(&self, state: &mut State) -> Result<(), StoreError> {
        let fail = |error| disk::store_error(&self.path, &error);
        let Some(commits) = state.wal.look().map_err(fail)? else { return Ok(()) };
        state.time_ms = state.time_ms.max(self.clock.unix_ms());
        let head = PagesHead {
            id: self.name.id,
            time_ms: state.time_ms,
            page_bytes: commits.page_bytes as u32,
            last: false,
            base: false,
            born: false,
            database_pages: commits.database_pages,
        };
        let (mut last, mut first_segment, mut logged) = (state.last, None, 0);
        let mut bytes = Vec::new();
        state
            .wal
            .read(&commits, |frames: &[Frame<'_>], is_last| {
                let images: BTreeMap<u32, &[u8]> = frames.iter().map(|frame| (frame.page, frame.image)).collect();
                logged += images.len() as u64 * commits.page_bytes as u64;
                bytes.clear();
                record::pages(&mut bytes, PagesHead { last: is_last, ..head }, &images);
                let place = self.log.append(&self.name, &bytes)?;
                first_segment.get_or_insert(place.segment);
                last = place.batch;
                Ok::<(), Broken>(())
            })
            .map_err(|broken| broken.0.unwrap_or_else(fail))?;
        state.wal.advance(&commits);
        let bytes = commits.page_bytes as u64 * u64::from(commits.database_pages);
        self.total.resize(std::mem::replace(&mut state.bytes, bytes), bytes);
        state.last = last;
        state.logged += logged;
        state.needed_from = state.needed_from.or(first_segment);
        state.uncopied_from = state.uncopied_from.or(first_segment);
        Ok(())
    }

    /// Copies the write-ahead log into the file, not durably. Never before the commits in it are
    /// durable in the ledger: what a crash leaves of this copy is mended from there.
    fn copy(&self, state: &mut State, connection: &Connection) -> Result<bool, StoreError> {
        if state.copied == state.last {
            return Ok(true);
        }
        if !self.log.is_durable(state.last) {
            return Ok(false);
        }
        let copied = checkpoint(connection, "PASSIVE").map_err(|error| store_error(&self.path, &error))?;
        if copied {
            state.copied = state.last;
            state.logged_copied = state.logged;
            state.uncopied_from = None;
        }
        Ok(copied)
    }

    /// The oldest segment that recovery of this database needs.
    pub fn needed_from(&self) -> Option<u64> {
        self.state().needed_from
    }

    /// What recovery would write into its file at most: no page more than once.
    pub fn recovered_bytes(&self) -> u64 {
        let state = self.state();
        (state.logged - state.logged_flushed).min(state.bytes)
    }

    /// Makes the file durable as far as it was copied, and records it.
    pub fn flush(&self) -> Result<Option<Ticket>, StoreError> {
        let (copied, logged_copied, is_named) = {
            let state = self.state();
            state.refusal()?;
            (if state.retired { 0 } else { state.copied }, state.logged_copied, state.born.is_none())
        };
        if copied == 0 {
            return Ok(None);
        }
        let flushed = self.flush_file(is_named).map_err(|error| self.io_error(error));
        let mut bytes = Vec::new();
        record::checkpoint(&mut bytes, self.name.id, copied);
        let mut state = self.state();
        if let Err(error) = flushed {
            tracing::error!(file = %self.path.display(), %error, "a flush failed; the database takes no commits");
            state.failure = Some(error);
        }
        state.refusal()?;
        state.born = None;
        state.logged_flushed = logged_copied;
        let place = self.log.append(&self.name, &bytes)?;
        if state.copied == copied {
            state.needed_from = state.uncopied_from;
        }
        Ok(Some(self.log.ticket(place.batch)))
    }

    /// What it takes of its app's total.
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Whether a flush of the file failed.
    pub fn is_in_doubt(&self) -> bool {
        self.state().failure.is_some()
    }

    /// After a failed flush: writes again all that the file may lack, from the ledger, and flushes
    /// that. `commits` are those of this database that the ledger still has, and it has every one
    /// since the last flush that succeeded.
    pub fn mend(&self, commits: &[Commit]) -> Result<(), StoreError> {
        let mut state = self.state();
        let known = commits.iter().rev().skip_while(|commit| commit.batch > state.copied);
        let write = || -> std::io::Result<()> {
            let (mut size, mut written) = (None, HashSet::new());
            // From the last one on, so that those who read meanwhile never see an older page.
            for commit in known {
                let page_bytes = u64::from(commit.page_bytes);
                let last = *size.get_or_insert(commit.database_pages);
                commit.each(|page, image| match page <= last && written.insert(page) {
                    true => self.file.write_all_at(image, u64::from(page - 1) * page_bytes),
                    false => Ok(()),
                })?;
            }
            self.file.sync_all()
        };
        write().map_err(|error| self.io_error(error))?;
        tracing::info!(file = %self.path.display(), "the database takes commits again");
        state.failure = None;
        Ok(())
    }

    /// Copies from outside of the writing connection, for databases that hold an old segment and
    /// write nothing. Answers whether everything is copied.
    pub fn copy_idle(&self) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.retired || state.copied == state.last {
            return Ok(true);
        }
        self.copy_beside(&mut state)
    }

    /// Copies by connections of the ledger's own. The first one's read transaction holds the copy back
    /// at what it sees, so that a commit of the owner's that comes meanwhile is not copied before it
    /// was appended; what it sees is appended first. The owner is never in the way, nor it in the
    /// owner's: to lock out writers would fail a transaction of theirs that began with a read.
    fn copy_beside(&self, state: &mut State) -> Result<bool, StoreError> {
        let fail = |error| store_error(&self.path, &error);
        let (guard, other) = (open_beside(&self.path).map_err(fail)?, open_beside(&self.path).map_err(fail)?);
        let view = guard.unchecked_transaction().map_err(fail)?;
        view.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(fail)?;
        self.catch_up(state)?;
        self.copy(state, &other)
    }

    /// How the log calls it.
    pub fn name(&self) -> &str {
        &self.name.path
    }

    /// A journal exists.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Makes a copy that shares what it holds with the file, where the file system can do that and
    /// nobody is reading what is not copied into the file yet. Answers whether it did.
    pub fn share(&self, into: &File) -> Result<bool, StoreError> {
        let last = {
            let mut state = self.state();
            if state.retired {
                return Ok(false);
            }
            self.catch_up(&mut state)?;
            state.last
        };
        self.log.ticket(last).wait()?;
        // Nothing is copied while the state is held but here, so the file stays as it is meanwhile.
        let mut state = self.state();
        Ok(!state.retired && self.copy_beside(&mut state)? && reflink(&self.file, into))
    }

    /// No commit is made before this moment: a mark stands there.
    pub fn not_before(&self, at_ms: u64) {
        let mut state = self.state();
        state.time_ms = state.time_ms.max(at_ms);
    }

    /// Goes on where a journal that was dropped without being closed has left off, and appends what
    /// the write-ahead log holds: nobody knows whether all of that was appended.
    pub fn inherit(&self, before: Option<&Member>) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(before) = before {
            let mut before = before.state();
            before.retired = true;
            (state.copied, state.last) = (before.copied, before.copied);
            state.needed_from = before.needed_from.into_iter().chain(state.needed_from).min();
            state.time_ms = state.time_ms.max(before.time_ms);
            state.bytes = before.bytes;
            state.born = before.born.take();
            state.logged += before.logged - before.logged_flushed;
            state.wal.rewind();
        }
        self.catch_up(&mut state)
    }
}

impl State {
    fn refusal(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(StoreError::Failed(what)) => Err(StoreError::ReadOnly(what.clone())),
            Some(cause) => Err(cause.clone()),
            None => Ok(()),
        }
    }
}

impl Journal {
    pub(super) fn new(ledger: Arc<Ledger>, member: Arc<Member>) -> Self {
        Self { ledger, member }
    }

    /// Before each write transaction on the connection: refuses while the ledger can't keep what
    /// would be committed, and makes room in the write-ahead log.
    pub fn ready(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.make_ready(connection, false)
    }

    /// The same before what removes something, which is let through on a full disk.
    pub fn ready_to_remove(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.make_ready(connection, true)
    }

    fn make_ready(&mut self, connection: &Connection, removes: bool) -> Result<(), StoreError> {
        self.ledger.refusal(removes)?;
        let mut state = self.member.state();
        state.refusal()?;
        if self.ledger.log().in_doubt(state.last) {
            self.member.catch_up(&mut state)?;
        }
        let frames = state.wal.frames();
        if frames > COPY_FRAMES_MAX && state.copied != state.last {
            self.ledger.log().ticket(state.last).wait()?;
        }
        if frames > COPY_FRAMES {
            self.member.copy(&mut state, connection)?;
        }
        Ok(())
    }

    /// After each COMMIT on the connection: appends what it wrote. The ticket resolves when that
    /// is durable. After an error the commit is in doubt: it is visible to readers, and may or may
    /// not be found after a crash.
    pub fn committed(&mut self, connection: &Connection) -> Result<Ticket, StoreError> {
        if !connection.is_autocommit() {
            return Err(StoreError::Failed(format!("{} is inside of a transaction", self.member.path.display())));
        }
        let mut state = self.member.state();
        self.member.catch_up(&mut state)?;
        Ok(self.ledger.log().ticket(state.last))
    }

    /// Bytes of the database as it was last committed.
    pub fn bytes(&self) -> u64 {
        self.member.bytes()
    }

    /// How much the app's databases of this kind may grow, if they may have so many bytes.
    pub fn room(&self, bytes_max: u64) -> u64 {
        bytes_max.saturating_sub(self.member.total.bytes())
    }

    /// A moment by which everything is made that was committed so far, and nothing that is committed
    /// later on this database.
    pub fn mark(&mut self) -> u64 {
        let mut state = self.member.state();
        let at_ms = state.time_ms.max(self.member.clock.unix_ms());
        state.time_ms = at_ms + 1;
        at_ms
    }

    /// Resolves when everything that was committed so far is durable. Who lets out what a read
    /// saw waits for this, since readers see a commit before it is durable.
    pub fn last_ticket(&self) -> Ticket {
        self.ledger.log().ticket(self.member.state().last)
    }

    /// Makes the file whole without the ledger, and lets go of it. All other connections to it are
    /// closed by now; this one is closed after. Once the ticket resolves, the file may be copied
    /// or replaced.
    pub fn close(self, connection: &Connection) -> Result<Ticket, StoreError> {
        self.committed_and_durable()?;
        let member = &self.member;
        let fail = |error| store_error(&member.path, &error);
        let mut state = member.state();
        if !member.copy(&mut state, connection)? {
            let path = member.path.display();
            return Err(StoreError::Failed(format!("{path} is still being read; close its readers first")));
        }
        drop(state);
        let flushed = member.flush()?;
        // Nothing is left to copy when the connection closes, but the files beside it go then.
        let on_close = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(on_close, false).map_err(fail)?;
        let ahead_ms = {
            let mut state = member.state();
            state.retired = true;
            state.time_ms
        };
        self.ledger.release(member, ahead_ms);
        Ok(flushed.unwrap_or_else(|| self.ledger.log().ticket(0)))
    }

    fn committed_and_durable(&self) -> Result<(), StoreError> {
        let mut state = self.member.state();
        self.member.catch_up(&mut state)?;
        self.ledger.log().ticket(state.last).wait()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Without `close`, the ledger goes on holding what the file lacks, and copies it in time.
        self.member.held.store(false, Ordering::Release);
    }
}

/// An error in the middle of reading a write-ahead log: of the log being written, or of the read.
struct Broken(Result<StoreError, std::io::Error>);

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self(Ok(error))
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self(Err(error))
    }
}

/// Sets the connection up so that every change goes through the write-ahead log, and nothing but
/// the ledger decides when the file changes.
fn prepare(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let set = || -> rusqlite::Result<String> {
        let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // The first look opens the log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(mode)
    };
    match set().map_err(|error| store_error(path, &error))?.as_str() {
        "wal" => Ok(()),
        mode => Err(StoreError::Failed(format!("{} is in journal mode {mode}", path.display()))),
    }
}

/// Lets two files share their content until one changes; not every file system can.
#[cfg(target_os = "linux")]
fn reflink(from: &File, into: &File) -> bool {
    rustix::fs::ioctl_ficlone(into, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn reflink(_: &File, _: &File) -> bool {
    false
}

/// Copies the database as readers see it, page by page.
pub fn copy_to(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(path)?;
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    Backup::new(connection, &mut copy)?.run_to_completion(WHOLE_PART_PAGES as i32, Duration::ZERO, None)
}

/// Copies the write-ahead log into the file; answers whether all of it.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    // Never from the cache: on a connection that a tenant's statements run on, one that says the
    // same would find it there, and be allowed what it is not.
    let mut statement = connection.prepare(&sql)?;
    statement.query_row([], |row| {
        let (busy, frames, copied): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(!busy && frames == copied)
    })
}

/// A connection of the ledger's own, which never changes anything by closing.
pub fn open_beside(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// The files that SQLite keeps beside a database.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A name that no segment was told yet.
pub fn new_name(id: u32, path: String) -> Name {
    Name { id, path, told: AtomicU64::new(0) }
}

#[cfg(test)]
mod tests;
