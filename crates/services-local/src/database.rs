//! One SQLite file: a single writer that groups commits, and readers that never wait for it.
//!
//! **Writing.** A write is a closure, queued. When the file's turn comes, a thread of the writer
//! pool takes what is queued into one transaction, each closure in a savepoint of its own, commits
//! once, and only then answers them all. While one commit is being flushed the next group gathers,
//! so that thirty-two writers pay for one flush between them; a lone writer waits for nobody.
//!
//! **Gathering.** A group costs its flush, several switches between threads and the pages that all
//! its writes share, whatever its size. So a turn is asked for only when the tasks that are ready
//! beside the writer's have run, and the thread that takes it first lets others run that want its
//! core. On a core that has nothing else to do neither takes any time. For the same reason the writer
//! wakes one task of a thread, and that one the others of its group.
//!
//! **Flushing.** WAL with `synchronous=FULL`: each commit flushes the log before it is answered. What is
//! flushed is the data and the length (`.cargo/config.toml` builds SQLite so): a log that is written over
//! itself, as most are, then changes no record of the file system.
//!
//! **Failing.** After a failed write or flush nobody knows which of the file's cached pages the
//! disk has. So nothing is retried on that connection: the group is answered with an error, the
//! file takes no more writes, and after a pause it is opened again, what its log holds of committed
//! writes is copied into the database and the log is cut off (so that no page in doubt is built
//! upon), and a probe is committed. Only then does it take writes again. Readers go on all the
//! while; the failed connection stays open for their sake, since the last one to close takes the
//! index of the log with it.
//!
//! Nothing else in the process may open and close the file: POSIX would drop SQLite's locks.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use base::Clock;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use services::StoreError;
use tokio::sync::oneshot;

use crate::answer::Told;
use crate::data_dir::Reserve;
use crate::pool::{self, Lane, Pool};

mod group;

use group::{ClosureJob, Job, Writer};
pub use group::{Fate, Tx};

/// Writes in one group; with [`GROUP_BYTES_MAX`] it bounds how long neighbours wait for a turn.
const GROUP_JOBS_MAX: usize = 512;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Writes, and bytes of them, that may wait for one file.
const QUEUE_JOBS_MAX: usize = 4_096;
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Read connections kept open per file. More may exist for as long as they are in use.
const IDLE_READERS_MAX: usize = 2;
/// Pages of the log before it is copied into the database, and bytes it keeps on disk after that.
const CHECKPOINT_PAGES: u32 = 4_000;
const LOG_BYTES_KEPT: u32 = 20 << 20;
/// The page cache of one connection.
const CACHE_KIB: u32 = 1_024;
/// How long a statement waits for a lock; one is only ever held briefly, while a log is recovered.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// SQLite's door to the files of one process. The data directory has one owner, so nobody else need
/// see a lock: a read then asks the kernel for none, which is half of what a small one costs. The
/// index of the log lies in memory, and is made anew from the log when the file is opened.
pub const ONE_PROCESS: &str = "unix-excl";

/// What distinguishes one kind of file from another.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Written into the header, so that a file in the wrong place is noticed.
    pub application_id: u32,
    /// `migrations[n]` takes the schema from version n to n + 1.
    pub migrations: &'static [&'static str],
}

/// An open file.
pub struct Database {
    path: PathBuf,
    kind: Kind,
    clock: Arc<dyn Clock>,
    pool: Pool,
    reserve: Arc<Reserve>,
    lane: Lane,
    queue: Mutex<Queue>,
    /// Before the writer, so that they close first: the last connection folds the log into the
    /// database, and a reader may not.
    idle_readers: Mutex<Vec<Connection>>,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    bytes: usize,
    /// A turn of this file is queued or running.
    scheduled: bool,
    /// Threads of which a task is about to ask for one.
    asking: Vec<ThreadId>,
}

impl Database {
    /// Opens or creates the file. Blocks; meant for a thread of the pool.
    pub fn open(path: &Path, kind: Kind, clock: Arc<dyn Clock>, pool: Pool) -> Result<Arc<Self>, StoreError> {
        Self::open_reserved(path, kind, clock, pool, Arc::default())
    }

    /// The same for a file that takes no writes while there is no room for the next start.
    pub fn open_reserved(
        path: &Path,
        kind: Kind,
        clock: Arc<dyn Clock>,
        pool: Pool,
        reserve: Arc<Reserve>,
    ) -> Result<Arc<Self>, StoreError> {
        let writer = Writer::open(path, kind)?;
        Ok(Arc::new(Self {
            path: path.into(),
            kind,
            clock,
            pool,
            reserve,
            lane: Lane::default(),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            idle_readers: Mutex::default(),
        }))
    }

    /// Runs `write` in the next group and answers after the commit. `bytes` is what it holds, for
    /// the bounds of the queue. An error of the closure undoes what it did, and nothing else.
    pub async fn write<T, E, F>(self: &Arc<Self>, bytes: usize, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, WriteError<E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.enqueue(bytes, Box::new(ClosureJob::new(bytes, write, reply)))?.behind_the_ready().await;
        written(answer).await
    }

    /// The same for a write that refuses, if it does, before it changes anything, so that nothing
    /// need be kept to undo it by: a copy of every page that it touches. One that fails later fails
    /// its group. Whoever waits for it is to look as soon as it is woken: with its answer come those of
    /// others of its thread.
    pub async fn write_decided<T, E, F>(self: &Arc<Self>, bytes: usize, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, WriteError<E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.enqueue(bytes, Box::new(ClosureJob::new(bytes, write, reply).decided().at_home()))?
            .behind_the_ready()
            .await;
        written(answer).await
    }

    /// [`Database::write`] for what removes something: it is let through on a full disk.
    pub async fn remove<T, E, F>(self: &Arc<Self>, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, WriteError<E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.enqueue(0, Box::new(ClosureJob::new(0, write, reply).removing()))?.behind_the_ready().await;
        written(answer).await
    }

    /// [`Database::write_decided`] for what removes something.
    pub async fn remove_decided<T, E, F>(self: &Arc<Self>, write: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, WriteError<E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.enqueue(0, Box::new(ClosureJob::new(0, write, reply).decided().removing()))?.behind_the_ready().await;
        written(answer).await
    }

    fn enqueue(self: &Arc<Self>, bytes: usize, job: Box<dyn Job>) -> Result<Queued<'_>, StoreError> {
        let mut queue = self.queue();
        let in_flight = queue.jobs.len();
        if in_flight >= QUEUE_JOBS_MAX || (in_flight > 0 && queue.bytes + bytes > QUEUE_BYTES_MAX) {
            return Err(StoreError::Busy { in_flight });
        }
        queue.bytes += bytes;
        queue.jobs.push_back(job);
        // Until a turn is asked for, the first of each thread is to do it.
        let home = std::thread::current().id();
        let due = !queue.scheduled && !queue.asking.contains(&home);
        if due {
            queue.asking.push(home);
        }
        Ok(Queued { database: self, due })
    }

    /// Sees to it that a turn comes, if there is something to write.
    fn ask_for_turn(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.asking.clear();
        if queue.scheduled || queue.jobs.is_empty() {
            return;
        }
        let this = self.clone();
        match self.pool.spawn(self.lane, move || this.turn()) {
            Ok(()) => queue.scheduled = true,
            Err(error) => queue.refuse(&error),
        }
    }

    /// One turn: a group, then to the end of the line.
    fn turn(self: Arc<Self>) {
        // Who is ready to run on this core may have more to write.
        std::thread::yield_now();
        let group = self.queue().take_group();
        // Only one turn of a file exists at a time, so this lock is never contended.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.commit(&mut writer, group);
        drop(writer);
        let mut queue = self.queue();
        queue.scheduled = !queue.jobs.is_empty();
        let this = self.clone();
        if queue.scheduled
            && let Err(error) = self.pool.spawn_next(self.lane, move || this.turn())
        {
            // The node is shutting down; what was not begun is refused, and says so.
            queue.refuse(&error);
        }
    }

    fn commit(&self, writer: &mut Writer, group: Vec<Box<dyn Job>>) {
        let group = match self.reserve.check() {
            Ok(()) => group,
            Err(full) => self.only_removals(group, &full),
        };
        if group.is_empty() {
            return;
        }
        if let Some(refusal) = writer.refusal(self.clock.monotonic()) {
            return group::finish(group, &Err(refusal));
        }
        let done = match writer.recover(&self.path, self.kind, self.clock.monotonic()) {
            Ok(()) => writer.commit(group, self.clock.monotonic()),
            Err(error) => {
                group::finish(group, &Err(error.clone()));
                Err(error)
            }
        };
        if let Err(StoreError::Full(_)) = done {
            self.reserve.give_up();
        }
    }

    /// What of a group is done on a full disk; the rest is refused.
    fn only_removals(&self, group: Vec<Box<dyn Job>>, full: &StoreError) -> Vec<Box<dyn Job>> {
        let has_room = self.reserve.check_removal().is_ok();
        let (removals, others): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| has_room && job.removes());
        group::finish(others, &Err(full.clone()));
        removals
    }

    /// Runs `read` on this thread. Its statements see what was committed before each began; for
    /// one view over several, open a transaction in it.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.idle_readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path).map_err(|error| self.error(&error))?,
        };
        let answer = read(&connection).map_err(|error| self.error(&error));
        let mut idle = self.idle_readers();
        if idle.len() < IDLE_READERS_MAX && answer.is_ok() {
            idle.push(connection);
        } else {
            drop(idle);
            drop(connection);
        }
        answer
    }

    /// Checks the whole file, as `PRAGMA integrity_check` does.
    pub fn check(&self) -> Result<(), StoreError> {
        let answer: String = self.read(|c| c.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)))?;
        match answer.as_str() {
            "ok" => Ok(()),
            damage => Err(StoreError::Corrupt(format!("{}: {damage}", self.path.display()))),
        }
    }

    fn error(&self, error: &rusqlite::Error) -> StoreError {
        store_error(&self.path, error)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that is in the queue. A turn is asked for when it is let go, if none is due already.
struct Queued<'a> {
    database: &'a Arc<Database>,
    due: bool,
}

impl Queued<'_> {
    /// Lets go once all that is ready beside this task had its turn: what those write is part of the
    /// same group then, and the writer is woken once for all of them.
    async fn behind_the_ready(self) {
        if self.due {
            pool::behind_the_ready().await;
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if self.due {
            self.database.ask_for_turn();
        }
    }
}

impl Queue {
    fn refuse(&mut self, error: &StoreError) {
        self.scheduled = false;
        self.bytes = 0;
        self.jobs.drain(..).for_each(|job| job.tell(Err(error.clone()), None));
    }

    fn take_group(&mut self) -> Vec<Box<dyn Job>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_JOBS_MAX && (group.is_empty() || bytes < GROUP_BYTES_MAX) {
            let Some(job) = self.jobs.pop_front() else { break };
            bytes += job.bytes();
            group.push(job);
        }
        self.bytes -= bytes;
        group
    }
}

/// How a write closure ends without a result.
pub enum WriteError<E> {
    /// It found that it must not happen; it is undone, its group goes on.
    Refused(E),
    /// A statement failed.
    Sql(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for WriteError<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What became of a write that was given to the writer.
async fn written<T, E: From<StoreError>>(answer: oneshot::Receiver<Told<T, E>>) -> Result<T, E> {
    match answer.await {
        Ok((answer, behind)) => {
            drop(behind);
            answer
        }
        Err(_) => Err(StoreError::Failed("a write was abandoned".into()).into()),
    }
}

fn open_connection(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // A connection is used by one thread at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags_and_vfs(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX, ONE_PROCESS)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(&format!(
        "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{CACHE_KIB};"
    ))?;
    Ok(connection)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    open_connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// What a failed statement means to a contract.
pub fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let extended = error.sqlite_error().map(|error| format!(" (SQLite {})", error.extended_code)).unwrap_or_default();
    let what = format!("{}: {error}{extended}", path.display());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(what),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(what),
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly(what)
        }
        _ => StoreError::Failed(what),
    }
}

#[cfg(test)]
mod tests;
