//! What SQLite's errors mean to whoever wrote the statement.

use std::path::Path;

use rusqlite::{Error, ErrorCode};
use services::{SqlError, SqlLimits};

use super::guard::Guard;
use crate::database::store_error;

/// Reads an error. A statement of the app's that is wrong is told in SQLite's words; what is wrong
/// with the file is the store's.
pub fn sql_error(error: &Error, path: &Path, guard: &Guard, limits: &SqlLimits, ms_max: u64) -> SqlError {
    // A refusal comes in several of SQLite's codes, and is always the reason for what follows it.
    if let Some(refusal) = guard.take_refusal() {
        return SqlError::Forbidden(refusal);
    }
    let (code, message) = match error {
        Error::SqliteFailure(failure, message) => {
            (failure.code, message.clone().unwrap_or_else(|| failure.to_string()))
        }
        Error::SqlInputError { error, msg, sql, offset } => (error.code, format!("{msg}{}", place(sql, *offset))),
        Error::MultipleStatement => {
            return SqlError::Statement("A prepared SQL statement must contain only one statement.".into());
        }
        other => return SqlError::Statement(other.to_string()),
    };
    match code {
        ErrorCode::AuthorizationForStatementDenied => SqlError::Forbidden(message),
        ErrorCode::ConstraintViolation => SqlError::Constraint(message),
        ErrorCode::OperationInterrupted if guard.is_cancelled() => SqlError::Cancelled,
        ErrorCode::OperationInterrupted => SqlError::TimeLimit { ms_max },
        ErrorCode::TooBig if message.contains("statement") => limit(message, "sql_bytes", limits.sql_bytes),
        ErrorCode::TooBig => limit(message, "sql_value_bytes", limits.sql_value_bytes),
        ErrorCode::Unknown | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange => of_statement(message, limits),
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => SqlError::Store(store_error(path, error)),
        _ => SqlError::Statement(message),
    }
}

/// Errors of the class that SQLite calls simply an error, among them its limits.
fn of_statement(message: String, limits: &SqlLimits) -> SqlError {
    match message.as_str() {
        text if text.starts_with("too many SQL variables") || text.starts_with("variable number must be") => {
            limit(message, "sql_parameters", limits.sql_parameters)
        }
        text if text.starts_with("too many columns") => limit(message, "sql_columns", limits.sql_columns),
        _ => SqlError::Statement(message),
    }
}

fn limit(what: String, limit: &'static str, max: u64) -> SqlError {
    SqlError::Limit { what, limit, max }
}

fn place(sql: &str, offset: i32) -> String {
    match usize::try_from(offset) {
        Ok(offset) if offset <= sql.len() => format!(" at offset {offset}"),
        _ => String::new(),
    }
}
