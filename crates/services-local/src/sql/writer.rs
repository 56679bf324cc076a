//! The writing side of a database: groups of batches, and what happens when the file fails.
//!
//! After a failed write nobody knows what SQLite's own log beside the file holds. So nothing is
//! retried on that connection: the group is answered with an error, the file takes no more writes,
//! and after a pause it is opened and journaled anew, which appends to the ledger what the file's log
//! holds, and a probe is committed. (A failing ledger refuses by itself, before anything is begun.)

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use services::sql::{Applied, Migration, MigrationError};
use services::{SqlDatabase, SqlError, StoreError};
use tokio::sync::Notify;

use super::Settings;
use super::feed::Feed;
use super::job::{BatchJob, Done, Work};
use crate::database::{ONE_PROCESS, store_error};
use crate::ledger::{Journal, LOG_BYTES_KEPT, Ticket};
use crate::tenant_sql::{Budget, TenantConnection};

/// Written into the header, so that a file in the wrong place is noticed.
const APPLICATION_ID: u32 = 0x534c_5351;
/// The format of the platform's own tables, in the header's `user_version`.
const FORMAT: u32 = 1;
const SCHEMA: &str = "
    CREATE TABLE _selvedge_migration (
        name TEXT NOT NULL PRIMARY KEY,
        checksum TEXT NOT NULL,
        applied_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE _selvedge_probe (value INTEGER NOT NULL) STRICT;
    INSERT INTO _selvedge_probe VALUES (0);";

/// The page cache of one connection.
const CACHE_KIB: u32 = 1_024;
/// How long a statement waits for a lock; one is only ever held briefly, while a log is recovered.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Pause before a failed file is opened again; doubles up to the most.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a reader may have seen and is not durable yet.
#[derive(Default)]
pub struct Seen {
    /// Something is being committed: visible from some moment on, and with no ticket yet.
    committing: AtomicBool,
    last: Mutex<Option<Ticket>>,
}

/// What a reader saw may have no ticket yet.
pub struct Committing;

impl Seen {
    /// Resolves when everything is durable that a read which has ended may have seen.
    pub fn ticket(&self) -> Result<Option<Ticket>, Committing> {
        if self.committing.load(Ordering::SeqCst) {
            return Err(Committing);
        }
        Ok(self.last.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Whether that is so already.
    pub fn is_settled(&self) -> bool {
        !self.committing.load(Ordering::SeqCst)
            && self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(Ticket::is_durable)
    }
}

/// The connection that writes, and how it fares.
pub struct Writer {
    /// Goes before the connection does. `None` only while the file is opened anew.
    journal: Option<Journal>,
    pub connection: TenantConnection,
    seen: Arc<Seen>,
    feed: Feed,
    failure: Option<Failure>,
}

struct Failure {
    cause: StoreError,
    retry_at: Duration,
    pause: Duration,
}

impl Writer {
    /// `told` is woken when the change feed has something new.
    pub fn open(path: &Path, settings: &Settings, seen: Arc<Seen>, told: Arc<Notify>) -> Result<Self, StoreError> {
        let (connection, journal) = open_writer(path, settings)?;
        let feed = open_feed(&connection, path, settings, told)?;
        Ok(Self { journal: Some(journal), connection, seen, feed, failure: None })
    }

    /// Sees to it that the file takes writes, or those that remove something, or says why it does not.
    pub fn ready(&mut self, path: &Path, settings: &Settings, quota: u64, removes: bool) -> Result<(), StoreError> {
        let Some(failure) = &self.failure else {
            let Some(journal) = &mut self.journal else { return Ok(()) };
            self.connection.unfenced(|connection| match removes {
                true => journal.ready_to_remove(connection),
                false => journal.ready(connection),
            })?;
            return self.connection.allow_growth(journal.room(quota), quota);
        };
        let now = settings.clock.monotonic();
        if now < failure.retry_at {
            return Err(match &failure.cause {
                StoreError::Failed(what) => StoreError::ReadOnly(what.clone()),
                cause => cause.clone(),
            });
        }
        // One journal at a time; the ledger goes on holding what the file lacks.
        self.journal = None;
        let recovered = open_writer(path, settings).and_then(|(connection, mut journal)| {
            connection.unfenced(|connection| {
                let probe = connection.execute("UPDATE _selvedge_probe SET value = value + 1", []);
                probe.map_err(|error| store_error(path, &error))?;
                journal.committed(connection)?.wait()
            })?;
            Ok((connection, journal))
        });
        match recovered {
            Ok((connection, journal)) => {
                tracing::info!(file = %path.display(), "the database takes writes again");
                self.feed = open_feed(&connection, path, settings, self.feed.told())?;
                self.journal = Some(journal);
                self.connection = connection;
                self.failure = None;
                Ok(())
            }
            Err(error) => {
                self.fail(path, error.clone(), now);
                Err(error)
            }
        }
    }

    /// Commits, appends it to the ledger, and keeps the ticket for readers before they can take
    /// what they see for durable.
    pub fn commit_now(&mut self) -> Result<Option<Ticket>, SqlError> {
        let told = self.connection.trusted(|connection| self.feed.finish(connection))?;
        self.seen.committing.store(true, Ordering::SeqCst);
        let committed = self.control("COMMIT").and_then(|()| {
            self.feed.committed(told);
            self.append()
        });
        self.refresh();
        self.seen.committing.store(false, Ordering::SeqCst);
        committed
    }

    fn append(&mut self) -> Result<Option<Ticket>, SqlError> {
        let Some(journal) = &mut self.journal else { return Ok(None) };
        let ticket = self.connection.unfenced(|connection| journal.committed(connection));
        Ok(ticket.map(Some)?)
    }

    /// Tells readers the ticket of what they see now.
    pub fn refresh(&self) -> Option<Ticket> {
        let ticket = self.last_ticket();
        self.seen.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&ticket);
        ticket
    }

    /// Resolves when all that was committed is durable.
    pub fn last_ticket(&self) -> Option<Ticket> {
        self.journal.as_ref().map(Journal::last_ticket)
    }

    /// Whether an error leaves the file in doubt.
    pub fn notice(&mut self, path: &Path, error: &SqlError, now: Duration) {
        if let SqlError::Store(cause @ (StoreError::Full(_) | StoreError::Corrupt(_) | StoreError::ReadOnly(_))) = error
        {
            self.fail(path, cause.clone(), now);
        }
    }

    fn fail(&mut self, path: &Path, cause: StoreError, now: Duration) {
        tracing::error!(file = %path.display(), error = %cause, "the database turned read-only");
        let pause = self.failure.as_ref().map_or(REOPEN_PAUSE, |last| (last.pause * 2).min(REOPEN_PAUSE_MAX));
        self.failure = Some(Failure { cause, retry_at: now + pause, pause });
        self.undo();
    }

    /// Ends what is open. If even this fails, there is nothing.
    pub fn undo(&self) {
        if self.connection.in_transaction() {
            let _ = self.control("ROLLBACK");
        }
    }

    pub fn control(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.control(sql)
    }

    /// Applies a group and commits it; what each came to. Nobody is answered here.
    pub fn commit(&mut self, group: &[BatchJob], of: &Origin<'_>) -> Result<Vec<Result<Done, SqlError>>, SqlError> {
        if let [only] = group {
            return self.alone(only, of).map(|outcome| vec![outcome]);
        }
        match self.together(group, of)? {
            Some(outcomes) => Ok(outcomes),
            // One of them ended the transaction for all. Apart they can't.
            None => {
                self.undo();
                group.iter().map(|job| self.alone(job, of)).collect()
            }
        }
    }

    /// All in one transaction; `None` if it did not last.
    fn together(
        &mut self,
        group: &[BatchJob],
        of: &Origin<'_>,
    ) -> Result<Option<Vec<Result<Done, SqlError>>>, SqlError> {
        let mut outcomes = Vec::with_capacity(group.len());
        self.control("BEGIN IMMEDIATE")?;
        for job in group {
            self.control("SAVEPOINT job")?;
            let outcome = self.apply(&job.work, of);
            match &outcome {
                Err(error @ SqlError::Store(_)) => return Err(error.clone()),
                _ if !self.connection.in_transaction() => return Ok(None),
                Err(_) => self.control("ROLLBACK TO job")?,
                Ok(_) => {}
            }
            self.control("RELEASE job")?;
            outcomes.push(outcome);
        }
        match self.commit_now() {
            Ok(_) => Ok(Some(outcomes)),
            Err(SqlError::Constraint(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One in a transaction of its own. The outer error is the file's.
    fn alone(&mut self, job: &BatchJob, of: &Origin<'_>) -> Result<Result<Done, SqlError>, SqlError> {
        self.control("BEGIN IMMEDIATE")?;
        let outcome = self.apply(&job.work, of).and_then(|done| self.commit_now().map(|_| done));
        match outcome {
            Err(error @ SqlError::Store(_)) => Err(error),
            outcome => {
                self.undo();
                Ok(outcome)
            }
        }
    }

    fn apply(&self, work: &Work, of: &Origin<'_>) -> Result<Done, SqlError> {
        let mut done = Done::default();
        let mut budget = Budget::of(&of.settings.limits);
        match work {
            Work::Nothing => {}
            Work::Feed => done.position = self.connection.trusted(|connection| self.feed.begin(connection))?,
            Work::Import(text) => {
                budget.time = Duration::from_millis(of.settings.limits.sql_migration_ms);
                done.script = self.connection.import(text, &budget)?;
            }
            Work::Script(text) => done.script = self.connection.script(text, &budget)?,
            Work::Statements(statements) => {
                let bytes_max = budget.result_bytes;
                for statement in statements {
                    let result = self.connection.run(statement, &budget).map_err(|error| match error {
                        SqlError::ResultTooLarge { .. } => SqlError::ResultTooLarge { bytes_max },
                        other => other,
                    })?;
                    let bytes: usize = result.rows.values.iter().map(services::SqlValue::weight).sum();
                    budget.result_bytes = budget.result_bytes.saturating_sub(bytes as u64);
                    of.log_if_slow(&self.connection, &statement.sql, result.cost.duration, result.cost.rows_read);
                    done.results.push(result);
                }
            }
        }
        Ok(done)
    }

    /// Applies the migrations that are missing, each in a transaction of its own.
    pub fn migrate(&mut self, migrations: &[Migration], of: &Origin<'_>) -> Result<Vec<String>, SqlError> {
        let applied = applied(&self.connection)?;
        let pending = Migration::pending(migrations, &applied).map_err(SqlError::Migration)?;
        let mut names = Vec::new();
        for migration in pending {
            self.control("BEGIN IMMEDIATE")?;
            let step = self.migrate_one(migration, of);
            self.undo();
            step.map_err(|error| match error {
                SqlError::Store(_) => error,
                other => SqlError::Migration(MigrationError::Failed {
                    name: migration.name.clone(),
                    message: other.to_string(),
                }),
            })?;
            names.push(migration.name.clone());
        }
        Ok(names)
    }

    fn migrate_one(&mut self, migration: &Migration, of: &Origin<'_>) -> Result<(), SqlError> {
        let time = Duration::from_millis(of.settings.limits.sql_migration_ms);
        let budget = Budget { time, ..Budget::of(&of.settings.limits) };
        self.connection.migration(&migration.text, &budget)?;
        if !self.connection.in_transaction() {
            return Err(SqlError::Statement("it ended its transaction".into()));
        }
        let now_ms = of.settings.clock.unix_ms() as i64;
        self.connection.trusted(|connection| {
            let note = "INSERT INTO _selvedge_migration (name, checksum, applied_ms) VALUES (?1, ?2, ?3)";
            connection.execute(note, rusqlite::params![migration.name, migration.checksum(), now_ms])
        })?;
        self.commit_now().map(drop)
    }
}

/// Whose statements these are.
pub struct Origin<'a> {
    pub database: &'a SqlDatabase,
    pub settings: &'a Settings,
}

impl Origin<'_> {
    /// A statement that took long stands in the log, with how SQLite ran it and without its values.
    pub fn log_if_slow(&self, connection: &TenantConnection, sql: &str, took: Duration, rows_read: u64) {
        let slow = Duration::from_millis(self.settings.limits.sql_slow_ms);
        if took <= slow {
            return;
        }
        const SHOWN: usize = 1_000;
        let plan = connection.plan(sql).map_or_else(|error| error.to_string(), |lines| lines.join("; "));
        let shown: String = sql.chars().take(SHOWN).collect();
        let ms = took.as_millis() as u64;
        tracing::warn!(database = %self.database, ms, rows_read, sql = %shown, %plan, "a slow statement (sql_slow_ms)");
    }
}

/// The migrations that a database has had.
pub fn applied(connection: &TenantConnection) -> Result<Vec<Applied>, SqlError> {
    connection.trusted(|connection| {
        let mut statement =
            connection.prepare("SELECT name, checksum, applied_ms FROM _selvedge_migration ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(Applied { name: row.get(0)?, checksum: row.get(1)?, applied_ms: row.get::<_, i64>(2)? as u64 })
        })?;
        rows.collect()
    })
}

/// The format of a SQL database that only a newer Selvedge reads.
pub fn newer_format(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    let application: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(Some(format).filter(|format| application == APPLICATION_ID && *format > FORMAT))
}

pub fn open_reader(path: &Path, settings: &Settings) -> Result<TenantConnection, StoreError> {
    let opened = open_connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let fenced = opened.and_then(|c| TenantConnection::new(c, path, settings.limits.clone(), settings.clock.clone()));
    fenced.map_err(|error| store_error(path, &error))
}

fn open_feed(
    connection: &TenantConnection,
    path: &Path,
    settings: &Settings,
    told: Arc<Notify>,
) -> Result<Feed, StoreError> {
    let (clock, keep) = (settings.clock.clone(), settings.limits.sql_changes);
    let opened = connection.unfenced(|connection| Feed::open(connection, clock, keep, told));
    opened.map_err(|error| store_error(path, &error))
}

fn open_connection(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // A connection is used by one thread at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags_and_vfs(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX, ONE_PROCESS)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))?;
    Ok(connection)
}

fn open_writer(path: &Path, settings: &Settings) -> Result<(TenantConnection, Journal), StoreError> {
    let (connection, journal) = open_journaled(path, settings)?;
    let fenced = TenantConnection::new(connection, path, settings.limits.clone(), settings.clock.clone());
    Ok((fenced.map_err(|error| store_error(path, &error))?, journal))
}

/// The connection that writes, not fenced yet; a file that holds nothing gets the platform's tables.
pub fn open_journaled(path: &Path, settings: &Settings) -> Result<(Connection, Journal), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let fail = |error: rusqlite::Error| store_error(path, &error);
    let connection = open_connection(path, flags).map_err(fail)?;
    let mut journal = settings.ledger.adopt(path, &connection)?;
    let look = || -> rusqlite::Result<(u32, u32)> {
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        let format = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application_id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((format, application_id))
    };
    match look().map_err(fail)? {
        (0, 0) => {
            journal.ready(&connection)?;
            create(&connection).map_err(fail)?;
            journal.committed(&connection)?;
        }
        (FORMAT, APPLICATION_ID) => {}
        (newer, APPLICATION_ID) => {
            return Err(StoreError::Failed(format!(
                "{} has format {newer}, this Selvedge knows {FORMAT}; use a newer one",
                path.display()
            )));
        }
        _ => return Err(StoreError::Corrupt(format!("{} is a file of another kind", path.display()))),
    }
    Ok((connection, journal))
}

impl Drop for Writer {
    /// Makes the file whole, so that the ledger need not keep anything for it.
    fn drop(&mut self) {
        self.undo();
        let Some(journal) = self.journal.take() else { return };
        if let Err(error) = self.connection.unfenced(|connection| journal.close(connection)) {
            tracing::warn!(%error, "a database could not be made whole when it closed; its commits stay in the ledger");
        }
    }
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
