//! `selvedge:sql` over the SQL bindings of a worker: typed values in both directions, batches, and
//! transactions of several calls.
//!
//! A transaction is a resource of the guest's: dropped, or gone with the instance, it is rolled back.

mod bindings;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use services::sql::{SqlParams, SqlResult, SqlStatement, SqlTransaction, SqlValue};
use services::{SqlDatabase, SqlError};
use wasmtime::component::{HasSelf, Linker, Resource};
use worker::{Handle, SqlBinding};

use self::bindings::selvedge::sql::database::{self, Error, Statement, Value};
use super::host::Host;

pub const VERSION: &str = "0.1.0";

/// A database that a binding opens.
#[derive(Clone)]
pub struct Connection {
    binding: Arc<SqlBinding>,
    database: SqlDatabase,
}

/// One that is open; `None` while a statement of it runs.
pub struct Transaction(Option<Box<dyn SqlTransaction>>);

/// Trapped, or answered.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

pub fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    database::add_to_linker::<_, HasSelf<Host>>(linker, |host| host)
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        Self { code: error.code().name.into(), message: error.to_string() }
    }
}

impl From<Statement> for SqlStatement {
    fn from(statement: Statement) -> Self {
        let value = |value| match value {
            Value::Null => SqlValue::Null,
            Value::Integer(integer) => SqlValue::Integer(integer),
            Value::Real(real) => SqlValue::Real(real),
            Value::Text(text) => SqlValue::Text(text),
            Value::Blob(bytes) => SqlValue::Blob(bytes),
        };
        let params = SqlParams::Positional(statement.params.into_iter().map(value).collect());
        Self { sql: statement.sql.into(), params }
    }
}

fn value(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(integer) => Value::Integer(*integer),
        SqlValue::Real(real) => Value::Real(*real),
        SqlValue::Text(text) => Value::Text(text.clone()),
        SqlValue::Blob(bytes) => Value::Blob(bytes.clone()),
    }
}

impl Host {
    /// Counts a call to the outside.
    fn sql_call(&self) -> Result<(), Error> {
        let invocation = self.invocation();
        let refused = |failure: worker::Failure| Error { code: failure.code.name.into(), message: failure.detail };
        invocation.meter.subrequest(&invocation.env.limits).map_err(refused)
    }

    /// Counts what a statement used, and hands it over.
    fn answered(&self, result: &SqlResult) -> database::Answer {
        let meter = &self.invocation().meter;
        meter.sql_rows_read.fetch_add(result.cost.rows_read, Ordering::Relaxed);
        meter.sql_rows_written.fetch_add(result.cost.rows_written, Ordering::Relaxed);
        database::Answer {
            columns: result.columns.clone(),
            rows: result.rows.iter().map(|row| row.iter().map(value).collect()).collect(),
            changes: result.changes,
            last_row_id: result.last_row_id,
            rows_read: result.cost.rows_read,
            rows_written: result.cost.rows_written,
        }
    }

    async fn run_batch(
        &mut self,
        connection: &Resource<Connection>,
        statements: Vec<SqlStatement>,
    ) -> Answer<Vec<database::Answer>> {
        let Connection { binding, database } = self.table().get(connection)?.clone();
        if let Err(refused) = self.sql_call() {
            return Ok(Err(refused));
        }
        let answered = binding.provider.batch(&database, statements).await;
        Ok(answered
            .map(|answer| answer.results.iter().map(|result| self.answered(result)).collect())
            .map_err(Error::from))
    }
}

impl database::Host for Host {
    async fn open(&mut self, binding: String, key: Option<String>) -> Answer<Resource<Connection>> {
        let found = self.env().bindings.iter().find(|(name, _)| name.as_str() == binding);
        let Some((_, Handle::Sql(opened))) = found else {
            let message = format!("no binding {binding:?} of the worker is a SQL database");
            return Ok(Err(Error { code: base::code::NOT_FOUND.name.into(), message }));
        };
        let binding = opened.clone();
        let database = match binding.database(key.as_deref()).await {
            Ok(database) => database.into_owned(),
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(Ok(self.table().push(Connection { binding, database })?))
    }
}

impl database::HostConnection for Host {
    async fn query(&mut self, connection: Resource<Connection>, statement: Statement) -> Answer<database::Answer> {
        let answers = self.run_batch(&connection, vec![statement.into()]).await?;
        let missing = || Error { code: base::code::INTERNAL.name.into(), message: "there was no answer".into() };
        Ok(answers.and_then(|answers| answers.into_iter().next().ok_or_else(missing)))
    }

    async fn batch(
        &mut self,
        connection: Resource<Connection>,
        statements: Vec<Statement>,
    ) -> Answer<Vec<database::Answer>> {
        self.run_batch(&connection, statements.into_iter().map(SqlStatement::from).collect()).await
    }

    async fn execute(&mut self, connection: Resource<Connection>, text: String) -> Answer<u64> {
        let Connection { binding, database } = self.table().get(&connection)?.clone();
        if let Err(refused) = self.sql_call() {
            return Ok(Err(refused));
        }
        let answered = binding.provider.script(&database, text).await;
        Ok(answered
            .map(|answer| {
                let meter = &self.invocation().meter;
                meter.sql_rows_read.fetch_add(answer.cost.rows_read, Ordering::Relaxed);
                meter.sql_rows_written.fetch_add(answer.cost.rows_written, Ordering::Relaxed);
                answer.statements
            })
            .map_err(Error::from))
    }

    async fn begin(&mut self, connection: Resource<Connection>) -> Answer<Resource<Transaction>> {
        let Connection { binding, database } = self.table().get(&connection)?.clone();
        if let Err(refused) = self.sql_call() {
            return Ok(Err(refused));
        }
        match binding.provider.begin(&database).await {
            Ok(begun) => Ok(Ok(self.table().push(Transaction(Some(begun)))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table().delete(connection)?;
        Ok(())
    }
}

impl database::HostTransaction for Host {
    async fn query(&mut self, transaction: Resource<Transaction>, statement: Statement) -> Answer<database::Answer> {
        let Some(mut open) = self.table().get_mut(&transaction)?.0.take() else {
            return Ok(Err(SqlError::TransactionOver("two of its statements ran at once".into()).into()));
        };
        // A refused call leaves it open.
        let ran = match self.sql_call() {
            Ok(()) => open.run(statement.into()).await.map_err(Error::from),
            Err(refused) => Err(refused),
        };
        self.table().get_mut(&transaction)?.0 = Some(open);
        Ok(ran.map(|result| self.answered(&result)))
    }

    async fn commit(&mut self, transaction: Resource<Transaction>) -> Answer<()> {
        let Some(open) = self.table().delete(transaction)?.0 else { return Ok(Ok(())) };
        Ok(open.commit().await.map(drop).map_err(Error::from))
    }

    async fn rollback(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        if let Some(open) = self.table().delete(transaction)?.0 {
            open.rollback().await;
        }
        Ok(())
    }

    async fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.table().delete(transaction)?;
        Ok(())
    }
}
