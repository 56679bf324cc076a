//! SQL databases of an app: their migrations, and what the command line asks of them.

use std::sync::Arc;
use std::time::Duration;

use base::{AppName, code};
use bytes::Bytes;
use control_api::{
    ApiError, SqlAnswered, SqlChange, SqlChanges, SqlChangesOptions, SqlCopied, SqlCopyRequest, SqlEntry, SqlImported,
    SqlMigrateRequest, SqlMigration, SqlRequest, SqlTable, SqlText,
};
use manifest::Databases;
use serde_json::{Value, json};
use services::sql::{Migration, SqlName, SqlParams, SqlResult};
use services::{AppId, SqlDatabase, SqlError, SqlStatement, SqlValue};

use super::{Control, durability, failed};
use crate::document::Document;

impl Control {
    /// Applies what is missing to each database that has migrations. Those of a family are applied
    /// when one of its databases is used.
    pub(super) async fn migrate(&self, app: &AppId, document: &Document) -> Result<(), ApiError> {
        for (databases, texts) in document.migrations() {
            let Databases::One(name) = databases else { continue };
            let database = SqlDatabase::new(app, name.into());
            let migrations: Arc<[Migration]> = texts.iter().map(Migration::from).collect();
            let applied = self.parts.sql.migrate(&database, migrations).await.map_err(failed)?;
            for migration in applied {
                tracing::info!(%database, migration, "applied");
            }
        }
        Ok(())
    }

    pub(super) fn database(&self, app: &AppName, name: &str) -> Result<SqlDatabase, ApiError> {
        Ok(SqlDatabase::new(&self.id(app), SqlName::parse(name).map_err(failed)?))
    }

    /// Whoever asks for a database by a mistyped name is told, and makes none.
    async fn must_be_there(&self, database: &SqlDatabase) -> Result<(), ApiError> {
        let known = self.parts.sql.databases(&database.app_id()).await.map_err(failed)?;
        match known.contains(database) {
            true => Ok(()),
            false => Err(ApiError::new(&code::NOT_FOUND, format!("{database} is no database that was ever written"))),
        }
    }

    pub(super) async fn list_databases(&self, app: AppName) -> Result<Vec<SqlEntry>, ApiError> {
        let databases = self.parts.sql.databases(&self.id(&app)).await.map_err(failed)?;
        Ok(databases.into_iter().map(|database| SqlEntry { name: database.name.to_string() }).collect())
    }

    pub(super) async fn query_database(
        &self,
        app: AppName,
        database: String,
        request: SqlRequest,
    ) -> Result<SqlAnswered, ApiError> {
        let database = self.database(&app, &database)?;
        if !request.statements.first().is_some_and(|first| makes(&first.sql)) {
            self.must_be_there(&database).await?;
        }
        let statements = request.statements.iter().map(statement).collect::<Result<_, _>>().map_err(failed)?;
        let answer = self.parts.sql.batch(&database, statements).await.map_err(failed)?;
        let results = answer.results.iter().map(table).collect();
        Ok(SqlAnswered { results, durability: durability(answer.durability), size: answer.size_bytes })
    }

    pub(super) async fn import_into(
        &self,
        app: AppName,
        database: String,
        text: Bytes,
    ) -> Result<SqlImported, ApiError> {
        let database = self.database(&app, &database)?;
        let bad = |_| ApiError::new(&code::BAD_REQUEST, "the text is not UTF-8");
        let text = String::from_utf8(text.to_vec()).map_err(bad)?;
        let answer = self.parts.sql.import(&database, text).await.map_err(failed)?;
        let (statements, rows_written) = (answer.statements, answer.cost.rows_written);
        Ok(SqlImported { statements, rows_written, duration_ms: answer.cost.duration.as_secs_f64() * 1000.0 })
    }

    pub(super) async fn copy_database(
        &self,
        app: AppName,
        database: String,
        request: SqlCopyRequest,
    ) -> Result<SqlCopied, ApiError> {
        let (from, to) = (self.database(&app, &database)?, self.database(&app, &request.to)?);
        let copied = self.parts.sql.copy(&from, request.at_ms, &to).await.map_err(failed)?;
        Ok(SqlCopied { time_ms: copied.time_ms, bytes: copied.bytes })
    }

    pub(super) async fn delete_database(&self, app: AppName, database: String) -> Result<(), ApiError> {
        let database = self.database(&app, &database)?;
        self.must_be_there(&database).await?;
        self.parts.sql.delete(&database).await.map_err(failed)
    }

    /// Waits as long as it was asked to, and then says that there is nothing.
    pub(super) async fn changes_of(
        &self,
        app: AppName,
        database: String,
        options: SqlChangesOptions,
    ) -> Result<SqlChanges, ApiError> {
        let database = self.database(&app, &database)?;
        self.must_be_there(&database).await?;
        let limit = options.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let asked = |wait| services::sql::SqlChangesOptions { after: options.after, limit, wait };
        let wait = Duration::from_millis(options.wait_ms.min(SqlChangesOptions::WAIT_MS_MAX));
        let page = match tokio::time::timeout(wait, self.parts.sql.changes(&database, asked(!wait.is_zero()))).await {
            Ok(page) => page,
            Err(_) => self.parts.sql.changes(&database, asked(false)).await,
        };
        let page = page.map_err(failed)?;
        let change = |change: services::sql::SqlChange| SqlChange {
            sequence: change.sequence,
            time_ms: change.time_ms,
            table: change.table,
            kind: change.kind.as_str().into(),
            rowid: change.rowid,
            key: change.key,
        };
        Ok(SqlChanges { changes: page.changes.into_iter().map(change).collect(), through: page.through })
    }

    pub(super) async fn migrate_database(
        &self,
        app: AppName,
        database: String,
        request: SqlMigrateRequest,
    ) -> Result<Vec<SqlMigration>, ApiError> {
        let database = self.database(&app, &database)?;
        let migrations = request.migrations.into_iter();
        let migrations: Arc<[Migration]> = migrations.map(|m| Migration { name: m.name, text: m.text }).collect();
        self.parts.sql.migrate(&database, migrations).await.map_err(failed)?;
        self.applied(&database).await
    }

    pub(super) async fn applied(&self, database: &SqlDatabase) -> Result<Vec<SqlMigration>, ApiError> {
        let applied = self.parts.sql.migrations(database).await.map_err(failed)?;
        let entry = |migration: services::sql::Applied| SqlMigration {
            name: migration.name,
            checksum: migration.checksum,
            applied_ms: migration.applied_ms,
        };
        Ok(applied.into_iter().map(entry).collect())
    }
}

/// Whether a statement is one that a database may begin with.
fn makes(sql: &str) -> bool {
    sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
}

fn statement(text: &SqlText) -> Result<SqlStatement, SqlError> {
    let values: Result<Vec<SqlValue>, SqlError> = text.params.iter().map(value).collect();
    Ok(SqlStatement { sql: text.sql.as_str().into(), params: SqlParams::Positional(values?) })
}

fn value(json: &Value) -> Result<SqlValue, SqlError> {
    let bad = || SqlError::BadParameters(format!("{json} is no value that a parameter can have"));
    Ok(match json {
        Value::Null => SqlValue::Null,
        Value::Bool(value) => SqlValue::Integer(i64::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, Some(real)) => SqlValue::Real(real),
            (None, None) => return Err(bad()),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Object(_) => {
            let digits = json.get("hex").and_then(Value::as_str).ok_or_else(bad)?;
            SqlValue::Blob(hex::decode(digits).map_err(|_| bad())?)
        }
        Value::Array(_) => return Err(bad()),
    })
}

fn table(result: &SqlResult) -> SqlTable {
    let cell = |value: &SqlValue| match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(integer) => json!(integer),
        SqlValue::Real(real) => json!(real),
        SqlValue::Text(text) => json!(text),
        SqlValue::Blob(bytes) => json!({ "hex": hex::encode(bytes) }),
    };
    SqlTable {
        columns: result.columns.clone(),
        rows: result.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
        changes: result.changes,
        rows_read: result.cost.rows_read,
        rows_written: result.cost.rows_written,
        duration_ms: result.cost.duration.as_secs_f64() * 1000.0,
    }
}
