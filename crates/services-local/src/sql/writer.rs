//! The writing side of a database: groups of batches, and what happens when the file fails.
//!
//! After a failed write or flush nobody knows which of the file's pages the disk has. So nothing is
//! retried on that connection: the group is answered with an error, the file takes no more writes,
//! and after a pause it is opened again, what its log holds of committed writes is copied into the
//! database and the log is cut off, and a probe is committed. (`database` argues this for KV.)

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use services::sql::{Applied, Migration, MigrationError};
use services::{SqlDatabase, SqlError, StoreError};

use super::Settings;
use super::job::{BatchJob, Done, Work};
use crate::database::store_error;
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

/// Pages of the log before it is copied into the database, and bytes it keeps on disk after that.
const CHECKPOINT_PAGES: u32 = 1_000;
const LOG_BYTES_KEPT: u32 = 4 << 20;
/// The page cache of one connection.
const CACHE_KIB: u32 = 1_024;
/// How long a statement waits for a lock; one is only ever held briefly, while a log is recovered.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Pause before a failed file is opened again; doubles up to the most.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The connection that writes, and how it fares.
pub struct Writer {
    pub connection: TenantConnection,
    failure: Option<Failure>,
}

struct Failure {
    cause: StoreError,
    retry_at: Duration,
    pause: Duration,
}

impl Writer {
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, StoreError> {
        Ok(Self { connection: open_writer(path, settings)?, failure: None })
    }

    /// Sees to it that the file takes writes, or says why it does not.
    pub fn ready(&mut self, path: &Path, settings: &Settings) -> Result<(), StoreError> {
        let Some(failure) = &self.failure else { return Ok(()) };
        let now = settings.clock.monotonic();
        if now < failure.retry_at {
            return Err(match &failure.cause {
                StoreError::Failed(what) => StoreError::ReadOnly(what.clone()),
                cause => cause.clone(),
            });
        }
        let recovered = open_writer(path, settings).and_then(|connection| {
            let certain = connection.trusted(make_certain).map_err(|error| as_store(&error));
            certain.map(|()| connection)
        });
        match recovered {
            Ok(connection) => {
                tracing::info!(file = %path.display(), "the database takes writes again");
                *self = Self { connection, failure: None };
                Ok(())
            }
            Err(error) => {
                self.fail(path, error.clone(), now);
                Err(error)
            }
        }
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

    /// A statement of the platform's own. It is compiled each time: see `trusted`.
    pub fn control(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.trusted(|connection| connection.execute_batch(sql))
    }

    /// Applies a group and commits it; what each came to. Nobody is answered here.
    pub fn commit(&self, group: &[BatchJob], of: &Origin<'_>) -> Result<Vec<Result<Done, SqlError>>, SqlError> {
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
    fn together(&self, group: &[BatchJob], of: &Origin<'_>) -> Result<Option<Vec<Result<Done, SqlError>>>, SqlError> {
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
        match self.control("COMMIT") {
            Ok(()) => Ok(Some(outcomes)),
            Err(SqlError::Constraint(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One in a transaction of its own. The outer error is the file's.
    fn alone(&self, job: &BatchJob, of: &Origin<'_>) -> Result<Result<Done, SqlError>, SqlError> {
        self.control("BEGIN IMMEDIATE")?;
        let outcome = self.apply(&job.work, of).and_then(|done| self.control("COMMIT").map(|()| done));
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
    pub fn migrate(&self, migrations: &[Migration], of: &Origin<'_>) -> Result<Vec<String>, SqlError> {
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

    fn migrate_one(&self, migration: &Migration, of: &Origin<'_>) -> Result<(), SqlError> {
        let time = Duration::from_millis(of.settings.limits.sql_migration_ms);
        let budget = Budget { time, ..Budget::of(&of.settings.limits) };
        self.connection.migration(&migration.text, &budget)?;
        if !self.connection.in_transaction() {
            return Err(SqlError::Statement("it ended its transaction".into()));
        }
        let now_ms = of.settings.clock.unix_ms() as i64;
        self.connection.trusted(|connection| {
            let note = "INSERT INTO _selvedge_migration (name, checksum, applied_ms) VALUES (?1, ?2, ?3)";
            connection.execute(note, rusqlite::params![migration.name, migration.checksum(), now_ms])?;
            connection.execute_batch("COMMIT")
        })
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

pub fn open_reader(path: &Path, settings: &Settings) -> Result<TenantConnection, StoreError> {
    let opened = open_connection(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let fenced = opened.and_then(|c| TenantConnection::new(c, path, settings.limits.clone(), settings.clock.clone()));
    fenced.map_err(|error| store_error(path, &error))
}

fn open_connection(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // A connection is used by one thread at a time, so SQLite need not lock it.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))?;
    Ok(connection)
}

fn open_writer(path: &Path, settings: &Settings) -> Result<TenantConnection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let prepare = || -> rusqlite::Result<(Connection, u32, u32)> {
        let connection = open_connection(path, flags)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        let format = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application_id = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((connection, format, application_id))
    };
    let (connection, format, application_id) = prepare().map_err(|error| store_error(path, &error))?;
    match (format, application_id) {
        (0, 0) => create(&connection).map_err(|error| store_error(path, &error))?,
        (FORMAT, APPLICATION_ID) => {}
        (newer, APPLICATION_ID) => {
            return Err(StoreError::Failed(format!(
                "{} has format {newer}, this Selvedge knows {FORMAT}; use a newer one",
                path.display()
            )));
        }
        _ => return Err(StoreError::Corrupt(format!("{} is a file of another kind", path.display()))),
    }
    let fenced = TenantConnection::new(connection, path, settings.limits.clone(), settings.clock.clone());
    fenced.map_err(|error| store_error(path, &error))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Copies what is committed out of the log, cuts the log off, and proves that a commit works.
fn make_certain(connection: &Connection) -> rusqlite::Result<()> {
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(error, Some("the log could not be cut off".into())));
    }
    connection.execute("UPDATE _selvedge_probe SET value = value + 1", []).map(drop)
}

fn as_store(error: &SqlError) -> StoreError {
    match error {
        SqlError::Store(error) => error.clone(),
        other => StoreError::Failed(other.to_string()),
    }
}
