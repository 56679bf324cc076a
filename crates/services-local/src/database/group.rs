//! The writing side of a file: groups of writes, and what happens when one fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OpenFlags};
use services::StoreError;
use tokio::sync::oneshot;

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

/// The open transaction, as one write of a group sees it.
pub struct Tx<'a> {
    connection: &'a Connection,
    sequence: &'a mut u64,
    effects: &'a mut Vec<Effect>,
}

impl Tx<'_> {
    /// The statement, compiled once per connection.
    pub fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql)
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
}

#[cfg(test)]
impl<'a> Tx<'a> {
    /// Over a connection of a test's own, for the life of the process.
    pub fn over(connection: &'a Connection) -> Self {
        Self { connection, sequence: Box::leak(Box::default()), effects: Box::leak(Box::default()) }
    }
}

/// A queued write.
pub(super) trait Job: Send {
    fn bytes(&self) -> usize;
    /// It refuses, if it does, before it changes anything.
    fn is_decided(&self) -> bool;
    fn apply(&mut self, path: &Path, tx: &mut Tx<'_>) -> Applied;
    /// Answers the caller: with what `apply` found, or with the error of the group.
    fn finish(self: Box<Self>, group: Result<(), StoreError>);
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
    write: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> ClosureJob<T, E, F> {
    pub fn new(bytes: usize, write: F, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self { bytes, decided: false, write: Some(write), outcome: None, reply }
    }

    pub fn decided(self) -> Self {
        Self { decided: true, ..self }
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

    fn finish(self: Box<Self>, group: Result<(), StoreError>) {
        let answer = match (group, self.outcome) {
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(StoreError::Failed("a write was skipped".into()).into()),
        };
        // Nobody waits any more if the caller's future was dropped.
        let _ = self.reply.send(answer);
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
    pub fn commit(&mut self, mut group: Vec<Box<dyn Job>>, now: Duration) {
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
        group.into_iter().for_each(|job| job.finish(result.clone()));
    }
}

fn apply_group(
    connection: &Connection,
    path: &Path,
    group: &mut [Box<dyn Job>],
    sequence: &mut u64,
    effects: &mut Vec<Effect>,
) -> Result<(), StoreError> {
    let run = |sql: &str| -> Result<(), StoreError> {
        let step = connection.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        step.map(drop).map_err(|error| store_error(path, &error))
    };
    let before = *sequence;
    run("BEGIN IMMEDIATE")?;
    for job in group {
        let decided = job.is_decided();
        let changes = connection.total_changes();
        if !decided {
            run("SAVEPOINT job")?;
        }
        let mark = effects.len();
        match job.apply(path, &mut Tx { connection, sequence: &mut *sequence, effects: &mut *effects }) {
            Applied::Kept => {}
            Applied::Undo if decided && connection.total_changes() != changes => {
                return Err(StoreError::Failed(format!("{}: a write stopped half-way", path.display())));
            }
            Applied::Undo => {
                if !decided {
                    run("ROLLBACK TO job")?;
                }
                effects.truncate(mark);
            }
            Applied::Failed(error) => return Err(error),
        }
        if !decided {
            run("RELEASE job")?;
        }
    }
    if *sequence != before {
        let mut statement =
            connection.prepare_cached("UPDATE sequence SET value = ?1").map_err(|error| store_error(path, &error))?;
        statement.execute([*sequence as i64]).map_err(|error| store_error(path, &error))?;
    }
    run("COMMIT")
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
