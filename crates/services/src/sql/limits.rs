//! The limits on SQL, and the checks that every provider makes.

use base::NodeLimits;

use super::{SqlError, SqlParams, SqlStatement, SqlValue};

/// The limits on SQL, by the names that `selvedge limits` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    pub sql_bytes: u64,
    pub sql_value_bytes: u64,
    pub sql_parameters: u64,
    pub sql_columns: u64,
    pub sql_statements: u64,
    pub sql_result_bytes: u64,
    pub sql_ms: u64,
    pub sql_migration_ms: u64,
    pub sql_database_bytes: u64,
    pub sql_transaction_ms: u64,
    pub sql_transaction_idle_ms: u64,
    pub sql_stream_ms: u64,
    pub sql_streams: u64,
    pub sql_slow_ms: u64,
    pub sql_cached_statements: u64,
    pub sql_files_open: u64,
    pub sql_changes: u64,
    pub sql_idle_ms: u64,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self::from(&NodeLimits::default())
    }
}

impl From<&NodeLimits> for SqlLimits {
    fn from(node: &NodeLimits) -> Self {
        Self {
            sql_bytes: node.sql_bytes,
            sql_value_bytes: node.sql_value_bytes,
            sql_parameters: node.sql_parameters,
            sql_columns: node.sql_columns,
            sql_statements: node.sql_statements,
            sql_result_bytes: node.sql_result_bytes,
            sql_ms: node.sql_ms,
            sql_migration_ms: node.sql_migration_ms,
            sql_database_bytes: node.sql_database_bytes,
            sql_transaction_ms: node.sql_transaction_ms,
            sql_transaction_idle_ms: node.sql_transaction_idle_ms,
            sql_stream_ms: node.sql_stream_ms,
            sql_streams: node.sql_streams,
            sql_slow_ms: node.sql_slow_ms,
            sql_cached_statements: node.sql_cached_statements,
            sql_files_open: node.sql_files_open,
            sql_changes: node.sql_changes,
            sql_idle_ms: node.sql_idle_ms,
        }
    }
}

impl SqlLimits {
    pub fn check_batch(&self, statements: &[SqlStatement]) -> Result<(), SqlError> {
        let count = statements.len() as u64;
        if count > self.sql_statements {
            return Err(limit(format!("the batch has {count} statements"), "sql_statements", self.sql_statements));
        }
        statements.iter().try_for_each(|statement| self.check(statement))
    }

    pub fn check(&self, statement: &SqlStatement) -> Result<(), SqlError> {
        self.check_text(&statement.sql)?;
        let (count, largest) = match &statement.params {
            SqlParams::Positional(values) => (values.len(), values.iter().map(SqlValue::bytes).max()),
            SqlParams::Named(values) => (values.len(), values.iter().map(|(_, value)| value.bytes()).max()),
        };
        if count as u64 > self.sql_parameters {
            let what = format!("too many SQL variables: {count} values are bound");
            return Err(limit(what, "sql_parameters", self.sql_parameters));
        }
        // SQLite counts the row that a value is part of, so there is no sense in being more exact.
        match largest.unwrap_or(0) as u64 {
            bytes if bytes > self.sql_value_bytes => {
                let what = format!("string or blob too big: a bound value has {bytes} bytes");
                Err(limit(what, "sql_value_bytes", self.sql_value_bytes))
            }
            _ => Ok(()),
        }
    }

    pub fn check_text(&self, sql: &str) -> Result<(), SqlError> {
        match sql.len() as u64 {
            bytes if bytes > self.sql_bytes => {
                Err(limit(format!("statement too long: it has {bytes} bytes"), "sql_bytes", self.sql_bytes))
            }
            _ => Ok(()),
        }
    }
}

fn limit(what: String, limit: &'static str, max: u64) -> SqlError {
    SqlError::Limit { what, limit, max }
}
