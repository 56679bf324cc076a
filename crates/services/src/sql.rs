//! SQL: databases that an application queries in SQLite's language. For what has relations, wants
//! transactions, and fits one writer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::{AppId, Durability};

mod changes;
mod error;
mod limits;
mod migration;
mod name;

pub use changes::{PAGE_CHANGES, SqlChange, SqlChangeKind, SqlChangesOptions, SqlChangesPage};
pub use error::SqlError;
pub use limits::SqlLimits;
pub use migration::{Applied, Migration, MigrationError};
pub use name::{SqlDatabase, SqlFamily, SqlName};

/// A provider of SQL, for all databases.
///
/// # Promises
///
/// 1. **Durability.** What wrote is answered after it has reached the durability that the answer
///    names. A provider that promises `Fsync` loses no acknowledged write to `kill -9` or a power
///    cut.
/// 2. **Atomicity.** A batch, a script, a transaction and a migration happen as a whole or not at
///    all; what fails changes nothing, and never fails its neighbours.
/// 3. **Isolation.** What writes is serializable: there is an order of all batches and
///    transactions of a database in which each sees all before it and none after. A batch that
///    only reads sees one state.
/// 4. **Visibility.** A read that starts after an acknowledgement sees that write. Nothing is seen
///    by anybody, in an answer, before it is durable.
/// 5. **Separation.** Two databases share nothing but the disk. No statement reaches another
///    database, a file, or the provider's own tables, whose names begin with `_selvedge`.
/// 6. **Bounds.** A statement ends within its time and its answer within its size, or both fail
///    with the name of the limit.
/// 7. **Cancellation.** Dropping the future of a batch leaves it done or not done, never half; the
///    same holds when the acknowledgement is lost (`store_failed`). A transaction that is dropped
///    is rolled back.
/// 8. **Migrations** are applied in the order of their names, each exactly once, each in a
///    transaction together with the note that it was. One that was applied and has changed since
///    is an error, and then none is applied; those that were applied after the last one given are
///    left as they are.
/// 9. **Changes.** From the first question on, the feed of a database tells every row that is inserted,
///    updated or deleted by a commit, once the commit has the durability that answers promise, and
///    nothing that was undone; in the order of the commits, each once. It goes back `sql_changes`
///    changes; who asks from further back, or from where it never was, is told so.
pub trait Sql: Send + Sync {
    /// Runs the statements in order, in one transaction; an answer for each.
    fn batch<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statements: Vec<SqlStatement>,
    ) -> BoxFuture<'a, Result<SqlAnswer, SqlError>>;

    /// Answers what a batch of this one statement would, on the spot: if it only reads, and neither it nor
    /// what it saw has to be waited for. `None` says that nothing happened, and that `batch` is to be asked.
    fn read_now(&self, _database: &SqlDatabase, _statement: &SqlStatement) -> Option<Result<SqlAnswer, SqlError>> {
        None
    }

    /// Runs a text of several statements in one transaction. They take no parameters, and what
    /// they answer is not kept.
    fn script<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>>;

    /// The same for a text from outside of the app, as long as a migration may be.
    fn import<'a>(&'a self, database: &'a SqlDatabase, text: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>>;

    /// The databases of an app that were used, in the order of their names.
    fn databases<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SqlDatabase>, SqlError>>;

    /// What all databases of an app take, in bytes, about.
    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, SqlError>>;

    /// Makes `to`, which is no database yet, a copy of `from`: as it is at one moment, or with every
    /// commit that was made by `at_ms` and no other. The copy is durable when this answers, and goes its
    /// own way from then on; `from` may be in use.
    ///
    /// With `to` the same as `from`, and a moment, the database itself is put back, as one commit that is
    /// there as a whole or not at all; nobody may use it (`InUse`), and its present becomes a part of its past.
    fn copy<'a>(
        &'a self,
        from: &'a SqlDatabase,
        at_ms: Option<u64>,
        to: &'a SqlDatabase,
    ) -> BoxFuture<'a, Result<Copied, SqlError>>;

    /// Removes a database that nobody uses (`InUse`), durably; what its past was stays as long as the past
    /// of any is kept. One that never was is no error; one of this name may begin anew.
    fn delete<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<(), SqlError>>;

    /// What changed in a database after a position.
    fn changes<'a>(
        &'a self,
        database: &'a SqlDatabase,
        options: SqlChangesOptions,
    ) -> BoxFuture<'a, Result<SqlChangesPage, SqlError>>;

    /// Begins a transaction that spans several calls. It is the database's only writer for as long
    /// as it lives; `sql_transaction_idle_ms` and `sql_transaction_ms` bound that.
    fn begin<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Box<dyn SqlTransaction>, SqlError>>;

    /// Runs a statement that only reads, and hands its rows over in pieces. They are one state of
    /// the database, however slowly they are taken; `sql_stream_ms` bounds that.
    fn stream<'a>(
        &'a self,
        database: &'a SqlDatabase,
        statement: SqlStatement,
    ) -> BoxFuture<'a, Result<Box<dyn SqlStream>, SqlError>>;

    /// Applies what is missing; answers what it applied.
    fn migrate<'a>(
        &'a self,
        database: &'a SqlDatabase,
        migrations: Arc<[Migration]>,
    ) -> BoxFuture<'a, Result<Vec<String>, SqlError>>;

    /// The migrations that were applied, in order.
    fn migrations<'a>(&'a self, database: &'a SqlDatabase) -> BoxFuture<'a, Result<Vec<Applied>, SqlError>>;
}

/// A copy of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// When the last commit in it was made, if that is known, in milliseconds since the Unix epoch.
    pub time_ms: Option<u64>,
    pub bytes: u64,
}

/// An open transaction. Dropping it rolls it back.
pub trait SqlTransaction: Send {
    /// Runs one statement in it. A failed statement changes nothing; the transaction goes on,
    /// unless the error is [`SqlError::TransactionOver`].
    fn run(&mut self, statement: SqlStatement) -> BoxFuture<'_, Result<SqlResult, SqlError>>;

    /// Makes what it did durable and visible.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Durability, SqlError>>;

    /// Undoes it.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// The rows of one statement, in pieces.
pub trait SqlStream: Send {
    /// The names of its columns.
    fn columns(&self) -> &[String];

    /// The next rows, at least one; `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<SqlRows>, SqlError>>;

    /// What it has read up to now.
    fn rows_read(&self) -> u64;
}

/// A value, as SQLite has them.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl SqlValue {
    /// Bytes of a text or a blob.
    pub fn bytes(&self) -> usize {
        match self {
            SqlValue::Text(text) => text.len(),
            SqlValue::Blob(bytes) => bytes.len(),
            SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_) => 0,
        }
    }

    /// What it takes of the node's memory, in bytes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes()
    }
}

/// What a statement's parameters stand for.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlParams {
    /// In the order of `?1`, `?2`, …
    Positional(Vec<SqlValue>),
    /// By name, the sigil included: `:name`, `@name` or `$name`.
    Named(Vec<(String, SqlValue)>),
}

impl Default for SqlParams {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

/// One statement, and the values of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlStatement {
    pub sql: Arc<str>,
    pub params: SqlParams,
}

impl SqlStatement {
    pub fn new(sql: impl Into<Arc<str>>) -> Self {
        Self { sql: sql.into(), params: SqlParams::default() }
    }

    pub fn bind(sql: impl Into<Arc<str>>, values: Vec<SqlValue>) -> Self {
        Self { sql: sql.into(), params: SqlParams::Positional(values) }
    }

    /// What it holds, in bytes.
    pub fn weight(&self) -> usize {
        self.sql.len()
            + match &self.params {
                SqlParams::Positional(values) => values.iter().map(SqlValue::weight).sum::<usize>(),
                SqlParams::Named(values) => values.iter().map(|(name, value)| name.len() + value.weight()).sum(),
            }
    }
}

/// Rows, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlRows {
    /// Values in a row; 0 only if there is no row.
    pub width: usize,
    pub values: Vec<SqlValue>,
}

impl SqlRows {
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[SqlValue]> {
        self.values.chunks_exact(self.width.max(1))
    }
}

/// What one statement answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlResult {
    pub columns: Vec<String>,
    pub rows: SqlRows,
    pub cost: SqlCost,
    /// Rows that an INSERT, UPDATE or DELETE touched itself; what triggers and foreign keys did is
    /// not among them.
    pub changes: u64,
    /// The rowid that the connection inserted last.
    pub last_row_id: i64,
    /// Whether it is a statement that may write.
    pub wrote: bool,
}

/// What a statement used.
///
/// SQLite counts no rows read. Here it is the steps of full scans, or the rows answered where those
/// are more: an index that narrows a search makes it cheap, which is what the number is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqlCost {
    pub rows_read: u64,
    /// Rows inserted, updated and deleted, also by triggers and foreign keys; entries of indices
    /// are not counted.
    pub rows_written: u64,
    pub duration: Duration,
}

impl std::ops::AddAssign for SqlCost {
    fn add_assign(&mut self, other: Self) {
        self.rows_read += other.rows_read;
        self.rows_written += other.rows_written;
        self.duration += other.duration;
    }
}

/// What a batch answered.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlAnswer {
    /// For each statement.
    pub results: Vec<SqlResult>,
    pub durability: Durability,
    /// Bytes of the database.
    pub size_bytes: u64,
}

/// What a script came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptAnswer {
    pub statements: u64,
    pub cost: SqlCost,
    pub durability: Durability,
}

#[cfg(test)]
mod tests;
