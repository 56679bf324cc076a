//! A connection for SQL that a tenant wrote.
//!
//! Whoever can write SQL can ask SQLite for a great deal: other files, the schema's own bytes, all
//! the memory and time there is. So a connection is fenced in before a tenant's first statement is
//! compiled on it, by SQLite's own means, each where it costs nothing:
//!
//! - an *authorizer* sees every table, function, pragma and transaction that a statement names when
//!   it is compiled, and refuses by what [`policy`] says;
//! - *limits* bound texts, values, columns, depth and bound parameters;
//! - *defensive mode* keeps the schema's and the shadow tables' bytes out of reach, an untrusted
//!   schema calls no function with effects, and there is nothing to attach and no extension;
//! - a *progress handler* looks at the clock every thousand steps and stops a statement whose time
//!   is over or whose caller has gone;
//! - rows are counted in bytes while they are gathered;
//! - what sorts and materialises beyond the page cache goes to temporary files, not to memory.
//!
//! The connection runs statements; transactions belong to whoever holds it, who begins and ends
//! them in [`trusted`](TenantConnection::trusted). It is synchronous and is used by one thread at
//! a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Rng as _, SystemRng};
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, CachedStatement, Connection, ErrorCode, Row, Statement, StatementStatus};
use services::sql::{SqlCost, SqlParams, SqlResult, SqlRows, SqlStatement};
use services::{SqlError, SqlLimits, SqlValue};

mod error;
mod growth;
mod guard;
mod policy;
mod split;

use growth::Growth;
use guard::Guard;
pub use guard::{Cancel, Mode};
use policy::Verdict;
pub use policy::{FEED_PREFIX, RESERVED_PREFIX, first_word};

/// SQLite's own size of a page, which nobody may change.
const PAGE_BYTES: u64 = 4_096;
/// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
const PROGRESS_STEPS: i32 = 1_000;
/// Nesting of expressions; SQLite's parser has its own bound on brackets.
const EXPRESSION_DEPTH_MAX: i32 = 100;
/// Members of a compound SELECT, arguments of a function, nested triggers, and bytes of a pattern.
const COMPOUND_MAX: i32 = 500;
const ARGUMENTS_MAX: i32 = 100;
const TRIGGER_DEPTH_MAX: i32 = 32;
const PATTERN_BYTES_MAX: i32 = 1_000;
/// Instructions of one compiled statement.
const INSTRUCTIONS_MAX: i32 = 250_000;
/// Bytes of a migration or an import, which is SQLite's own bound.
const LONG_TEXT_BYTES_MAX: i32 = 1_000_000_000;

/// A fenced connection.
pub struct TenantConnection {
    connection: Connection,
    guard: Arc<Guard>,
    limits: Arc<SqlLimits>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    growth: Growth,
    /// A comment that no tenant can guess, and so none finds in the cache what carries it.
    mark: String,
}

/// What one statement may use.
#[derive(Clone, Debug)]
pub struct Budget {
    pub time: Duration,
    pub result_bytes: u64,
    /// Ends the statement from outside.
    pub cancel: Option<Cancel>,
}

impl Budget {
    /// What the limits give to one statement.
    pub fn of(limits: &SqlLimits) -> Self {
        Self { time: Duration::from_millis(limits.sql_ms), result_bytes: limits.sql_result_bytes, cancel: None }
    }
}

/// What a script did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScriptOutcome {
    pub statements: u64,
    pub cost: SqlCost,
}

impl TenantConnection {
    /// Fences a connection in. It may be a file's or in memory; `path` is for messages in the log.
    pub fn new(
        mut connection: Connection,
        path: &Path,
        limits: Arc<SqlLimits>,
        clock: Arc<dyn Clock>,
    ) -> rusqlite::Result<Self> {
        harden(&connection, &limits)?;
        let guard = Arc::new(Guard::default());
        let seen = guard.clone();
        connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
            let verdict = policy::judge(&context, seen.mode());
            seen.note(verdict)
        }))?;
        let (seen, now) = (guard.clone(), clock.clone());
        connection.progress_handler(PROGRESS_STEPS, Some(move || seen.is_over(&*now)))?;
        let mut secret = [0; 16];
        SystemRng.fill(&mut secret);
        let mark = format!("-- {}", hex::encode(secret));
        let growth = Growth::new(limits.sql_database_bytes);
        Ok(Self { connection, guard, limits, clock, path: path.into(), growth, mark })
    }

    /// The provider's own work on the connection: transactions, its own tables. Nothing is refused
    /// and nothing is timed. A statement that is compiled here goes into the connection's cache only
    /// with the mark, for a tenant's of the same text would find it there.
    pub fn trusted<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, SqlError> {
        self.unfenced(work).map_err(|error| self.error(error, 0))
    }

    /// The same for work with errors of its own.
    pub fn unfenced<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        self.guard.within(Mode::Trusted, || work(&self.connection))
    }

    /// Runs a statement of the platform's own that has no rows, from the cache.
    pub fn control(&self, sql: &str) -> Result<(), SqlError> {
        let text = format!("{sql} {}", self.mark);
        self.trusted(|connection| connection.prepare_cached(&text)?.raw_execute().map(drop))
    }

    /// Runs one statement.
    pub fn run(&self, statement: &SqlStatement, budget: &Budget) -> Result<SqlResult, SqlError> {
        let result = self.execute(statement, budget, false)?;
        result.ok_or_else(|| SqlError::Forbidden("the connection only reads".into()))
    }

    /// Runs one statement if it only reads; otherwise it does nothing and answers `None`.
    pub fn run_if_read(&self, statement: &SqlStatement, budget: &Budget) -> Result<Option<SqlResult>, SqlError> {
        self.execute(statement, budget, true)
    }

    fn execute(
        &self,
        statement: &SqlStatement,
        budget: &Budget,
        reads_only: bool,
    ) -> Result<Option<SqlResult>, SqlError> {
        self.limits.check(statement)?;
        let started = self.clock.monotonic();
        self.guard.arm(started, budget);
        let mut prepared = self.prepare(&statement.sql, budget)?;
        if reads_only && !prepared.readonly() {
            return Ok(None);
        }
        bind(&mut prepared, &statement.params).map_err(|error| self.bind_error(error, budget))?;
        let before = self.connection.total_changes();
        let mut gathered =
            Gathered { bytes_left: budget.result_bytes, bytes_max: budget.result_bytes, ..Gathered::default() };
        let columns = self.each_row(&mut prepared, budget, |row, width| gathered.take(row, width))?;
        let rows =
            SqlRows { width: if gathered.values.is_empty() { 0 } else { columns.len() }, values: gathered.values };
        let written = self.connection.total_changes() - before;
        let scanned = prepared.get_status(StatementStatus::FullscanStep).max(0) as u64;
        let cost = SqlCost {
            rows_read: scanned.max(rows.len() as u64),
            rows_written: written,
            duration: self.clock.monotonic().saturating_sub(started),
        };
        let wrote = !prepared.readonly();
        let changes = if written == 0 { 0 } else { self.connection.changes() };
        Ok(Some(SqlResult { columns, rows, cost, changes, last_row_id: self.connection.last_insert_rowid(), wrote }))
    }

    /// Runs a statement that only reads and hands its rows over in pieces of about `piece_bytes`,
    /// until `take` answers false. The columns come first, with no rows.
    pub fn stream(
        &self,
        statement: &SqlStatement,
        budget: &Budget,
        piece_bytes: u64,
        mut take: impl FnMut(StreamPiece) -> bool,
    ) -> Result<u64, SqlError> {
        self.limits.check(statement)?;
        self.guard.arm(self.clock.monotonic(), budget);
        let mut prepared = self.prepare(&statement.sql, budget)?;
        if !prepared.readonly() {
            return Err(SqlError::Forbidden("a statement that writes can't be iterated; use run()".into()));
        }
        bind(&mut prepared, &statement.params).map_err(|error| self.bind_error(error, budget))?;
        let columns: Vec<String> = prepared.column_names().into_iter().map(str::to_owned).collect();
        let width = columns.len();
        if !take(StreamPiece::Columns(columns)) {
            return Ok(0);
        }
        let fresh = || Gathered { bytes_left: piece_bytes, ..Gathered::default() };
        let (mut gathered, mut count) = (fresh(), 0);
        self.each_row(&mut prepared, budget, |row, _| {
            count += 1;
            if gathered.take(row, width).is_ok() {
                return Ok(());
            }
            let full = std::mem::replace(&mut gathered, fresh());
            match take(StreamPiece::Rows(SqlRows { width, values: full.values })) {
                true => Ok(()),
                false => Err(SqlError::Cancelled),
            }
        })?;
        if !gathered.values.is_empty() {
            take(StreamPiece::Rows(SqlRows { width, values: gathered.values }));
        }
        Ok((prepared.get_status(StatementStatus::FullscanStep).max(0) as u64).max(count))
    }

    /// Runs a text of several statements, of which the last has the parameters and answers the rows; `None`
    /// if it has no more than one. What fails leaves the statements before it done.
    pub fn run_several(&self, statement: &SqlStatement, budget: &Budget) -> Option<Result<SqlResult, SqlError>> {
        let (before, last) = split::last(&statement.sql)?;
        let last = SqlStatement { sql: last.into(), params: statement.params.clone() };
        Some(self.script(before, budget).and_then(|done| {
            let left = budget.time.saturating_sub(done.cost.duration);
            let mut result = self.run(&last, &Budget { time: left, ..budget.clone() })?;
            result.cost += done.cost;
            Ok(SqlResult { wrote: true, ..result })
        }))
    }

    /// Runs a text of several statements without parameters.
    pub fn script(&self, text: &str, budget: &Budget) -> Result<ScriptOutcome, SqlError> {
        self.limits.check_text(text)?;
        self.statements(text, budget)
    }

    /// Runs a migration: it may be as long as SQLite takes it, and a pragma that turns foreign keys on or
    /// off does nothing, as in any transaction.
    pub fn migration(&self, text: &str, budget: &Budget) -> Result<ScriptOutcome, SqlError> {
        self.long(text, Mode::Migration, budget)
    }

    /// The same for a dump, whose BEGIN and COMMIT do nothing either.
    pub fn import(&self, text: &str, budget: &Budget) -> Result<ScriptOutcome, SqlError> {
        self.long(text, Mode::Import, budget)
    }

    fn long(&self, text: &str, mode: Mode, budget: &Budget) -> Result<ScriptOutcome, SqlError> {
        let length = |bytes| {
            let set = self.connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, bytes);
            set.map_err(|error| self.error(error, 0))
        };
        length(LONG_TEXT_BYTES_MAX)?;
        let outcome = self.guard.within(mode, || self.statements(text, budget));
        length(clamp(self.limits.sql_bytes))?;
        outcome
    }

    fn statements(&self, text: &str, budget: &Budget) -> Result<ScriptOutcome, SqlError> {
        let started = self.clock.monotonic();
        self.guard.arm(started, budget);
        let before = self.connection.total_changes();
        let mut outcome = ScriptOutcome::default();
        let mut batch = Batch::new(&self.connection, text);
        while let Some(mut statement) = batch.next().map_err(|error| self.limited(error, budget))? {
            match statement.expanded_sql() {
                Some(text) => check_text(&text)?,
                // It is longer than a value may be, and is not looked at by itself.
                None if policy::names(text, RESERVED_PREFIX) => {
                    return Err(SqlError::Forbidden(policy::RESERVED.into()));
                }
                None => {}
            }
            let mut rows = 0;
            self.each_row(&mut statement, budget, |_, _| {
                rows += 1;
                Ok(())
            })?;
            let scanned = statement.get_status(StatementStatus::FullscanStep).max(0) as u64;
            outcome.cost.rows_read += scanned.max(rows);
            outcome.statements += 1;
        }
        outcome.cost.rows_written = self.connection.total_changes() - before;
        outcome.cost.duration = self.clock.monotonic().saturating_sub(started);
        Ok(outcome)
    }

    /// How SQLite would run a statement, a line for each step.
    pub fn plan(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        self.trusted(|connection| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let mut rows = statement.raw_query();
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                lines.push(row.get(3)?);
            }
            Ok(lines)
        })
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Bytes of the database, what is free in it included.
    pub fn size_bytes(&self) -> Result<u64, SqlError> {
        let text = format!("PRAGMA page_count {}", self.mark);
        let pages =
            self.trusted(|connection| connection.prepare_cached(&text)?.query_row([], |row| row.get::<_, i64>(0)))?;
        Ok(pages as u64 * PAGE_BYTES)
    }

    fn prepare(&self, sql: &str, budget: &Budget) -> Result<CachedStatement<'_>, SqlError> {
        check_text(sql)?;
        let prepared = self.connection.prepare_cached(sql).map_err(|error| self.limited(error, budget))?;
        // What has neither columns nor an effect may be no statement at all.
        if prepared.column_count() == 0 && prepared.readonly() && prepared.expanded_sql().is_none() {
            return Err(SqlError::Statement("No SQL statements detected.".into()));
        }
        prepared.reset_status(StatementStatus::FullscanStep);
        Ok(prepared)
    }

    /// Steps through the rows; answers the names of the columns. They are read after the first
    /// step, which compiles a cached statement anew if the schema changed.
    fn each_row(
        &self,
        prepared: &mut Statement<'_>,
        budget: &Budget,
        mut visit: impl FnMut(&Row<'_>, usize) -> Result<(), SqlError>,
    ) -> Result<Vec<String>, SqlError> {
        let names = |statement: &Statement<'_>| statement.column_names().into_iter().map(str::to_owned).collect();
        let mut columns: Option<Vec<String>> = None;
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(|error| self.limited(error, budget))? {
            let width = columns.get_or_insert_with(|| names(row.as_ref())).len();
            visit(row, width)?;
        }
        drop(rows);
        Ok(columns.unwrap_or_else(|| names(prepared)))
    }

    fn bind_error(&self, error: BindError, budget: &Budget) -> SqlError {
        match error {
            BindError::Shape(message) => SqlError::BadParameters(message),
            BindError::Sql(error) => self.limited(error, budget),
        }
    }

    fn limited(&self, error: rusqlite::Error, budget: &Budget) -> SqlError {
        self.error(error, budget.time.as_millis() as u64)
    }

    fn error(&self, error: rusqlite::Error, ms_max: u64) -> SqlError {
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            && let Some(full) = self.met_bound()
        {
            return full;
        }
        error::sql_error(&error, &self.path, &self.guard, &self.limits, ms_max)
    }
}

/// What a stream hands over.
pub enum StreamPiece {
    Columns(Vec<String>),
    Rows(SqlRows),
}

/// Values of rows, up to so many bytes.
#[derive(Default)]
struct Gathered {
    values: Vec<SqlValue>,
    bytes_left: u64,
    bytes_max: u64,
}

impl Gathered {
    /// Takes a row; an error if it holds too much with it.
    fn take(&mut self, row: &Row<'_>, width: usize) -> Result<(), SqlError> {
        for column in 0..width {
            let value = match row.get_ref(column).unwrap_or(ValueRef::Null) {
                ValueRef::Null => SqlValue::Null,
                ValueRef::Integer(value) => SqlValue::Integer(value),
                ValueRef::Real(value) => SqlValue::Real(value),
                ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
            };
            self.bytes_left = self.bytes_left.saturating_sub(value.weight() as u64);
            self.values.push(value);
        }
        match self.bytes_left {
            0 => Err(SqlError::ResultTooLarge { bytes_max: self.bytes_max }),
            _ => Ok(()),
        }
    }
}

fn check_text(sql: &str) -> Result<(), SqlError> {
    match policy::judge_text(sql) {
        Verdict::Refuse(reason) => Err(SqlError::Forbidden(reason)),
        Verdict::Allow | Verdict::Ignore => Ok(()),
    }
}

enum BindError {
    Shape(String),
    Sql(rusqlite::Error),
}

fn bind(prepared: &mut Statement<'_>, params: &SqlParams) -> Result<(), BindError> {
    let wanted = prepared.parameter_count();
    match params {
        SqlParams::Positional(values) => {
            if values.len() != wanted {
                let bound = values.len();
                let message = format!(
                    "Wrong number of parameter bindings for SQL query: it has {wanted} parameters, {bound} values are bound"
                );
                return Err(BindError::Shape(message));
            }
            for (n, value) in values.iter().enumerate() {
                prepared.raw_bind_parameter(n + 1, borrowed(value)).map_err(BindError::Sql)?;
            }
        }
        SqlParams::Named(values) => {
            let mut left: Vec<usize> = (1..=wanted).collect();
            for (name, value) in values {
                let index = prepared.parameter_index(name).map_err(BindError::Sql)?;
                let index = index.ok_or_else(|| BindError::Shape(format!("the statement has no parameter {name}")))?;
                left.retain(|&other| other != index);
                prepared.raw_bind_parameter(index, borrowed(value)).map_err(BindError::Sql)?;
            }
            if let Some(&missing) = left.first() {
                let name = prepared.parameter_name(missing).unwrap_or("?").to_owned();
                return Err(BindError::Shape(format!("no value is bound to the parameter {name}")));
            }
        }
    }
    Ok(())
}

fn borrowed(value: &SqlValue) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        SqlValue::Null => ValueRef::Null,
        SqlValue::Integer(value) => ValueRef::Integer(*value),
        SqlValue::Real(value) => ValueRef::Real(*value),
        SqlValue::Text(text) => ValueRef::Text(text.as_bytes()),
        SqlValue::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

fn harden(connection: &Connection, limits: &SqlLimits) -> rusqlite::Result<()> {
    let flags = [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A mistyped column is an error, not a string.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ];
    for (flag, value) in flags {
        connection.set_db_config(flag, value)?;
    }
    let bounds = [
        (Limit::SQLITE_LIMIT_LENGTH, clamp(limits.sql_value_bytes)),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, clamp(limits.sql_bytes)),
        (Limit::SQLITE_LIMIT_COLUMN, clamp(limits.sql_columns)),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, clamp(limits.sql_parameters)),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, EXPRESSION_DEPTH_MAX),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, COMPOUND_MAX),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, ARGUMENTS_MAX),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, TRIGGER_DEPTH_MAX),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES_MAX),
        (Limit::SQLITE_LIMIT_VDBE_OP, INSTRUCTIONS_MAX),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ];
    for (limit, value) in bounds {
        connection.set_limit(limit, value)?;
    }
    connection.set_prepared_statement_cache_capacity(limits.sql_cached_statements as usize);
    // What outgrows the page cache goes to a file that has no name any more.
    let pages = (limits.sql_database_bytes / PAGE_BYTES).min(u64::from(u32::MAX - 1));
    connection.execute_batch(&format!(
        "PRAGMA temp_store = FILE; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA max_page_count = {pages};"
    ))
}

fn clamp(value: u64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
