//! How SQL fails.

use base::{Code, code};

use super::MigrationError;
use crate::StoreError;

/// Why a statement was not run, or came to nothing. What SQLite says of the app's own SQL is the
/// app's to see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// SQLite's own words.
    #[error("{0}")]
    Statement(String),
    #[error("{0}")]
    Constraint(String),
    #[error("not authorized: {0}")]
    Forbidden(String),
    #[error("{0}")]
    BadParameters(String),
    #[error("{what} (limits.{limit} is {max})")]
    Limit { what: String, limit: &'static str, max: u64 },
    #[error(
        "the result is larger than sql_result_bytes allows, which is {bytes_max}; read it in pieces or as a stream"
    )]
    ResultTooLarge { bytes_max: u64 },
    #[error("the statement ran longer than sql_ms allows, which is {ms_max}")]
    TimeLimit { ms_max: u64 },
    #[error("the statement was cancelled")]
    Cancelled,
    #[error("the database has as many bytes as sql_database_bytes allows, which is {bytes_max}")]
    DatabaseFull { bytes_max: u64 },
    #[error("the app's databases have as many bytes as sql_app_bytes allows, which is {bytes_max}")]
    AppFull { bytes_max: u64 },
    #[error("the transaction is over: {0}")]
    TransactionOver(String),
    #[error("{0} is no name of a database: 1 to 128 letters, digits and -_.@+, not beginning with a dot")]
    BadName(String),
    #[error("{0}")]
    Copy(String),
    #[error(
        "the changes after {after} are not told any more, or never were: the feed goes from {floor} to {last} (sql_changes)"
    )]
    ChangesGone { after: u64, floor: u64, last: u64 },
    #[error("the database {0} is in use: a transaction, a stream, a change feed or a statement of it is open")]
    InUse(String),
    #[error(transparent)]
    Migration(MigrationError),
    #[error("the database is not available")]
    Store(#[from] StoreError),
}

impl SqlError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            SqlError::Statement(_) => &code::SQL_ERROR,
            SqlError::Constraint(_) => &code::SQL_CONSTRAINT,
            SqlError::Forbidden(_) => &code::SQL_FORBIDDEN,
            SqlError::BadParameters(_) => &code::SQL_PARAMETERS,
            SqlError::Limit { .. } => &code::SQL_LIMIT,
            SqlError::ResultTooLarge { .. } => &code::SQL_RESULT_TOO_LARGE,
            SqlError::TimeLimit { .. } => &code::SQL_TIME_LIMIT,
            SqlError::Cancelled => &code::CLIENT_GONE,
            SqlError::DatabaseFull { .. } => &code::SQL_DATABASE_FULL,
            SqlError::AppFull { .. } => &code::QUOTA_EXCEEDED,
            SqlError::TransactionOver(_) => &code::SQL_TRANSACTION_OVER,
            SqlError::BadName(_) => &code::SQL_NAME,
            SqlError::ChangesGone { .. } => &code::SQL_CHANGES_GONE,
            SqlError::Copy(_) => &code::SQL_COPY,
            SqlError::InUse(_) => &code::SQL_IN_USE,
            SqlError::Migration(_) => &code::SQL_MIGRATION,
            SqlError::Store(error) => error.code(),
        }
    }
}
