//! The writing side of a file: groups of writes, and what happens when one fails.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::thread::ThreadId;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OpenFlags, Statement};
use services::StoreError;
use tokio::sync::oneshot;

use crate::answer::{self, Behind, Told, Waits};

use super::{CHECKPOINT_PAGES, Kind, LOG_BYTES_KEPT, WriteError, open_connection, store_error};

/// Pause before a failed file is opened again; doubles up to the most.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Keeps the sequence of a file, from which revisions, versions and generations are drawn.
const SEQUENCE_SCHEMA: &str = "CREATE TABLE sequence (value INTEGER NOT NULL) STRICT; INSERT INTO sequence VALUES (0);";

/// What became of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    /// The commit failed: it may or may not be found when the file is opened again.
    Unknown,
}

type Effect = Box<dyn FnOnce(Fate) + Send>;

/// The open transaction, as the writes of a group see it, one after the other.
pub struct Tx<'a> {
    connection: &'a Connection,
    sequence: &'a mut u64,
    effects: &'a mut Vec<Effect>,
    /// Statements that a write of this group used, by their text: the next one most often wants the
    /// same, and need not look them up in the connection's cache.
    used: RefCell<Vec<(&'static str, CachedStatement<'a>)>>,
}

impl<'a> Tx<'a> {
    fn new(connection: &'a Connection, sequence: &'a mut u64, effects: &'a mut Vec<Effect>) -> Self {
        Self { connection, sequence, effects, used: RefCell::default() }
    }

    /// The statement, compiled once per connection.
    pub fn prepare(&self, sql: &'static str) -> rusqlite::Result<Prepared<'_, 'a>> {
        let mut used = self.used.borrow_mut();
        let place = used.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        let statement = match place {
            Some(place) => used.swap_remove(place).1,
            None => self.connection.prepare_cached(sql)?,
        };
        Ok(Prepared { used: &self.used, sql, statement: Some(statement) })
    }

    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// The next number of the file's sequence: larger than all before, with gaps.
    pub fn next_sequence(&mut self) -> u64 {
        *self.sequence += 1;
        *self.sequence
    }

    /// Runs `effect` once the fate of the group is known. It is dropped if this write is undone.
    pub fn after(&mut self, effect: impl FnOnce(Fate) + Send + 'static) {
        self.effects.push(Box::new(effect));
    }

    fn run(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.prepare(sql)?.raw_execute().map(drop)
    }
}

#[cfg(test)]
impl<'a> Tx<'a> {
    /// Over a connection of a test's own, for the life of the process.
    pub fn over(connection: &'a Connection) -> Self {
        Self::new(connection, Box::leak(Box::default()), Box::leak(Box::default()))
    }
}

/// A statement on loan, to whoever uses it next.
pub struct Prepared<'t, 'a> {
    used: &'t RefCell<Vec<(&'static str, CachedStatement<'a>)>>,
    sql: &'static str,
    statement: Option<CachedStatement<'a>>,
}

const LENT: &str = "a statement is there until it is given back";

impl<'a> Deref for Prepared<'_, 'a> {
    type Target = Statement<'a>;

    fn deref(&self) -> &Statement<'a> {
        self.statement.as_ref().expect(LENT)
    }
}

impl<'a> DerefMut for Prepared<'_, 'a> {
    fn deref_mut(&mut self) -> &mut Statement<'a> {
        self.statement.as_mut().expect(LENT)
    }
}

impl Drop for Prepared<'_, '_> {
    fn drop(&mut self) {
        if let Some(statement) = self.statement.take() {
            self.used.borrow_mut().push((self.sql, statement));
        }
    }
}

/// A queued write. Its caller is told what [`Job::apply`] found, or the error of the group.
pub(super) trait Job: Waits {
    fn bytes(&self) -> usize;
    /// It refuses, if it does, before it changes anything.
    fn is_decided(&self) -> bool;
    /// It makes room, in the end, so that it is let through on a full disk.
    fn removes(&self) -> bool;
    fn apply(&mut self, path: &Path, tx: &mut Tx<'_>) -> Applied;
}

/// Answers everyone in a group.
pub(super) fn finish(group: Vec<Box<dyn Job>>, result: &Result<(), StoreError>) {
    answer::tell_all(group.into_iter().map(|job| job as Box<dyn Waits>), result);
}

pub(super) enum Applied {
    Kept,
    Undo,
    /// A statement failed in a way that leaves the whole file in doubt.
    Failed(StoreError),
}

pub(super) struct ClosureJob<T, E, F> {
    bytes: usize,
    decided: bool,
    removes: bool,
    home: Option<ThreadId>,
    write: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Told<T, E>>,
}

impl<T, E, F> ClosureJob<T, E, F> {
    pub fn new(bytes: usize, write: F, reply: oneshot::Sender<Told<T, E>>) -> Self {
        Self { bytes, decided: false, removes: false, home: None, write: Some(write), outcome: None, reply }
    }

    /// Its caller, on this thread, looks for its answer as soon as it is woken.
    pub fn at_home(self) -> Self {
        Self { home: Some(std::thread::current().id()), ..self }
    }

    pub fn decided(self) -> Self {
        Self { decided: true, ..self }
    }

    pub fn removing(self) -> Self {
        Self { removes: true, ..self }
    }
}

impl<T, E, F> Job for ClosureJob<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, WriteError<E>> + Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_decided(&self) -> bool {
        self.decided
    }

    fn removes(&self) -> bool {
        self.removes
    }

    fn apply(&mut self, path: &Path, tx: &mut Tx<'_>) -> Applied {
        let write = self.write.take().expect("a write is applied once");
        match write(tx) {
            Ok(answer) => {
                self.outcome = Some(Ok(answer));
                Applied::Kept
            }
            Err(WriteError::Refused(error)) => {
                self.outcome = Some(Err(error));
                Applied::Undo
            }
            Err(WriteError::Sql(error)) => {
                let error = store_error(path, &error);
                // SQLite gives up the transaction on its own when it can't go on.
                if !matches!(error, StoreError::Failed(_)) || tx.connection.is_autocommit() {
                    return Applied::Failed(error);
                }
                self.outcome = Some(Err(error.into()));
                Applied::Undo
            }
        }
    }
}

impl<T, E, F> Waits for ClosureJob<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: Send,
{
    fn home(&self) -> Option<ThreadId> {
        self.home
    }

    fn tell(self: Box<Self>, group: Result<(), StoreError>, behind: Option<Behind>) {
        let answer = match (group, self.outcome) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Failed("a write was skipped".into()).into()),
        };
        // Nobody waits any more if the caller's future was dropped.
        let _ = self.reply.send((answer, behind));
    }
}

/// The connection that writes, and how it fares.
pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    sequence: u64,
    failure: Option<Failure>,
}

struct Failure {
    cause: StoreError,
    retry_at: Duration,
    pause: Duration,
}

impl Writer {
    pub fn open(path: &Path, kind: Kind) -> Result<Self, StoreError> {
        let connection = open_writer(path, kind)?;
        let sequence = read_sequence(&connection).map_err(|error| store_error(path, &error))?;
        Ok(Self { path: path.into(), connection, sequence, failure: None })
    }

    /// The answer to writes while the file is not to be touched.
    pub fn refusal(&self, now: Duration) -> Option<StoreError> {
        let failure = self.failure.as_ref().filter(|failure| now < failure.retry_at)?;
        Some(match &failure.cause {
            StoreError::Failed(what) => StoreError::ReadOnly(what.clone()),
            cause => cause.clone(),
        })
    }

    /// After a failure, opens the file again and makes certain of what it holds.
    pub fn recover(&mut self, path: &Path, kind: Kind, now: Duration) -> Result<(), StoreError> {
        if self.failure.is_none() {
            return Ok(());
        }
        let recovered = open_writer(path, kind).and_then(|connection| {
            let probe = make_certain(&connection).map_err(|error| store_error(path, &error));
            probe.map(|sequence| (connection, sequence))
        });
        match recovered {
            Ok((connection, sequence)) => {
                tracing::info!(file = %path.display(), "the store takes writes again");
                let sequence = sequence.max(self.sequence);
                *self = Self { path: path.into(), connection, sequence, failure: None };
                Ok(())
            }
            Err(error) => {
                self.fail(error.clone(), now);
                Err(error)
            }
        }
    }

    fn fail(&mut self, cause: StoreError, now: Duration) {
        tracing::error!(file = %self.path.display(), error = %cause, "the store turned read-only");
        let pause = self.failure.as_ref().map_or(REOPEN_PAUSE, |last| (last.pause * 2).min(REOPEN_PAUSE_MAX));
        self.failure = Some(Failure { cause, retry_at: now + pause, pause });
        // The connection stays, unused, and lets go of its locks. If even this fails, it has none.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    /// Applies a group, commits it, and answers everyone in it.
    pub fn commit(&mut self, mut group: Vec<Box<dyn Job>>, now: Duration) -> Result<(), StoreError> {
        let mut effects = Vec::new();
        let mut sequence = self.sequence;
        let result = apply_group(&self.connection, &self.path, &mut group, &mut sequence, &mut effects);
        let (fate, result) = match result {
            Ok(()) => (Fate::Committed, Ok(())),
            Err(error) => (Fate::Unknown, Err(error)),
        };
        effects.into_iter().for_each(|effect| effect(fate));
        // Also after a failure: a number once drawn may have been seen.
        self.sequence = sequence;
        if let Err(error) = &result {
            self.fail(error.clone(), now);
        }
        finish(group, &result);
        result
    }
}

fn apply_group(
    connection: &Connection,
    path: &Path,
    group: &mut [Box<dyn Job>],
    sequence: &mut u64,
    effects: &mut Vec<Effect>,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| store_error(path, &error);
    let before = *sequence;
    let mut tx = Tx::new(connection, sequence, effects);
    tx.run("BEGIN IMMEDIATE").map_err(failed)?;
    group.iter_mut().try_for_each(|job| apply(&mut tx, path, &mut **job))?;
    if *tx.sequence != before {
        let value = *tx.sequence as i64;
        let update = tx.prepare("UPDATE sequence SET value = ?1");
        update.and_then(|mut statement| statement.execute([value])).map_err(failed)?;
    }
    tx.run("COMMIT").map_err(failed)
}

/// Applies one write. What is undone leaves no trace, and its group goes on.
fn apply(tx: &mut Tx<'_>, path: &Path, job: &mut dyn Job) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| store_error(path, &error);
    let (decided, changes, mark) = (job.is_decided(), tx.connection.total_changes(), tx.effects.len());
    if !decided {
        tx.run("SAVEPOINT job").map_err(failed)?;
    }
    match job.apply(path, tx) {
        Applied::Kept => {}
        Applied::Undo if decided && tx.connection.total_changes() != changes => {
            return Err(StoreError::Failed(format!("{}: a write stopped half-way", path.display())));
        }
        Applied::Undo => {
            if !decided {
                tx.run("ROLLBACK TO job").map_err(failed)?;
            }
            tx.effects.truncate(mark);
        }
        Applied::Failed(error) => return Err(error),
    }
    if decided { Ok(()) } else { tx.run("RELEASE job").map_err(failed) }
}

fn open_writer(path: &Path, kind: Kind) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let prepare = || -> rusqlite::Result<(Connection, u32, u32)> {
        let connection = open_connection(path, flags)?;
        // Of effect in a new file only, and before its first page is written.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application_id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((connection, version, application_id))
    };
    let (connection, version, application_id) = prepare().map_err(|error| store_error(path, &error))?;
    if version != 0 && application_id != kind.application_id {
        return Err(StoreError::Corrupt(format!("{} is a file of another kind", path.display())));
    }
    let known = kind.migrations.len() as u32;
    if version > known {
        return Err(StoreError::Failed(format!(
            "{} has schema {version}, this Selvedge knows {known}; use a newer one",
            path.display()
        )));
    }
    migrate(&connection, kind, version).map_err(|error| store_error(path, &error))?;
    Ok(connection)
}

/// Takes the schema to the version that this build knows, in one transaction.
fn migrate(connection: &Connection, kind: Kind, version: u32) -> rusqlite::Result<()> {
    let pending = &kind.migrations[version as usize..];
    if pending.is_empty() {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    if version == 0 {
        transaction.execute_batch(SEQUENCE_SCHEMA)?;
        transaction.pragma_update(None, "application_id", kind.application_id)?;
    }
    pending.iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.pragma_update(None, "user_version", kind.migrations.len() as u32)?;
    transaction.commit()
}

fn read_sequence(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT value FROM sequence", [], |row| row.get::<_, i64>(0)).map(|value| value as u64)
}

/// Copies what is committed out of the log, cuts the log off, and proves that a commit works.
fn make_certain(connection: &Connection) -> rusqlite::Result<u64> {
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(error, Some("the log could not be cut off".into())));
    }
    connection.execute("UPDATE sequence SET value = value + 1", [])?;
    read_sequence(connection)
}
