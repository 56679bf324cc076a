//! PostgreSQL: statements, transactions and notifications of a database that the app's owner runs.
//!
//! It is not a store of Selvedge's. What is kept, and what survives, is the server's promise; this
//! contract says what of it passes through, and what becomes of connections on the way. There is no
//! memory model: the oracle is a real server, against which the suite in
//! [`conformance`](crate::conformance) runs.

use std::sync::Arc;

use base::{Code, PostgresLimits, ResourceName, code};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{AppId, EgressPolicy};

mod address;
mod text;
mod value;

pub use address::{Address, AddressError};
pub use text::{Effects, effects, quoted_name};
pub use value::{Column, Kind, Param, Value, array_literal};

/// A provider of PostgreSQL, for all databases.
pub trait Postgres: Send + Sync {
    /// A worker's way to a database. Nothing is connected before the first statement. Handles with equal
    /// options share their connections, each under its own egress policy.
    fn database(&self, options: DatabaseOptions, egress: Arc<EgressPolicy>) -> Arc<dyn Database>;
}

/// One database, as one worker may reach it.
///
/// # Promises
///
/// 1. **Acknowledgement.** A result that is no error means that the server has said so: outside of a
///    transaction that the statement is committed, inside one that it ran. What a commit survives is
///    decided by the server's settings (`synchronous_commit`), which are never changed here.
/// 2. **A lost acknowledgement** is `postgres_lost`: the connection ended after the statement was sent
///    and before its end was heard of. The statement may have been committed. Nothing that may have
///    had an effect is sent twice.
/// 3. **Transactions.** A connection is held for one statement or for one transaction, and for
///    nothing longer. A transaction that is not committed (dropped, left idle for too long, cut off) is
///    rolled back. To commit one that has failed is an error.
/// 4. **A clean connection.** Whoever gets one finds no open transaction, and nothing of what an
///    earlier statement set, prepared, listened to, locked or made temporary, as far as its text and
///    the server's answers show ([`effects`]); a function of the database that sets such state in
///    passing is not seen.
/// 5. **Preparation.** A statement is prepared once for each connection that meets it, and kept
///    within `prepared`. If the schema has changed beneath it, it is prepared anew and sent again, for
///    the server has refused it before running it; inside a transaction, which the refusal has ended,
///    the error is passed on.
/// 6. **Cancellation.** When the future of a statement is dropped, or its time is over, the server
///    is asked to cancel it. It is done or not done, never half; the connection is used again only
///    after the server has said that it is ready.
/// 7. **Bounds.** A result larger than `result_bytes` is not gathered: it is cancelled. Statements that
///    find no connection wait in order, no more than `pool_queue` and no longer than
///    `pool_wait_ms`.
/// 8. **Reach.** A connection leads to an address that the egress policy of the worker at hand has
///    allowed, whoever opened it.
/// 9. **Notifications** of a channel arrive in the order in which the server sent them, from the moment
///    [`listen`](Database::listen) has answered. None is left out in silence: when some are lost,
///    because the connection was or because they were not taken, the listener ends with an error.
pub trait Database: Send + Sync {
    /// Runs one statement, in a transaction of its own.
    fn query(&self, query: Query) -> BoxFuture<'static, Result<ResultSet, PostgresError>>;

    fn begin(&self, options: TransactionOptions) -> BoxFuture<'static, Result<Arc<dyn Transaction>, PostgresError>>;

    fn listen(&self, channel: String) -> BoxFuture<'static, Result<Arc<dyn Listener>, PostgresError>>;
}

/// An open transaction, rolled back when it is dropped.
pub trait Transaction: Send + Sync {
    fn query(&self, query: Query) -> BoxFuture<'static, Result<ResultSet, PostgresError>>;

    /// Ends it: true to commit.
    fn end(&self, commit: bool) -> BoxFuture<'static, Result<(), PostgresError>>;
}

/// Hears of one channel until it is dropped.
pub trait Listener: Send + Sync {
    /// The next notification. Dropping the future loses none. After an error there are no more.
    fn next(&self) -> BoxFuture<'_, Result<Notification, PostgresError>>;
}

/// Which database, and under what bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOptions {
    pub app: AppId,
    /// The app's name for it.
    pub name: ResourceName,
    pub address: Address,
    pub tls: Tls,
    pub limits: PostgresLimits,
}

/// How the server's identity is made sure of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Its certificate is for the host that the address names, by an authority that the system trusts;
    /// or, if PEM text is given, by one of these and no other.
    Verify { ca: Option<String> },
    /// No TLS.
    Off,
}

/// One statement.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub text: String,
    pub params: Vec<Param>,
    /// Less than `statement_ms`, for this one.
    pub timeout_ms: Option<u64>,
}

impl Query {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn bind(mut self, param: Param) -> Self {
        self.params.push(param);
        self
    }

    /// What every provider checks before it connects.
    pub fn check(&self, limits: &PostgresLimits) -> Result<(), PostgresError> {
        let refused = |message: String| Err(PostgresError::Refused(message));
        if self.text.len() as u64 > limits.statement_bytes {
            let (bytes, max) = (self.text.len(), limits.statement_bytes);
            return refused(format!("the statement has {bytes} bytes; limits.statement_bytes allows {max}"));
        }
        let bytes: u64 = self.params.iter().map(|param| param.bytes() as u64).sum();
        if bytes > limits.parameter_bytes {
            let max = limits.parameter_bytes;
            return refused(format!("the parameters have {bytes} bytes; limits.parameter_bytes allows {max}"));
        }
        let has_nul = |param: &Param| matches!(param, Param::Text(text) | Param::Json(text) if text.contains('\0'));
        if self.text.contains('\0') || self.params.iter().any(has_nul) {
            return refused("PostgreSQL has no text with a NUL character in it".to_owned());
        }
        // The protocol counts them in sixteen bits.
        if self.params.len() > usize::from(u16::MAX) {
            return refused(format!("{} parameters; the protocol has room for 65535", self.params.len()));
        }
        Ok(())
    }
}

/// How a transaction runs; what is left out is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionOptions {
    pub isolation: Option<Isolation>,
    pub read_only: bool,
    pub deferrable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "read committed" => Self::ReadCommitted,
            "repeatable read" => Self::RepeatableRead,
            "serializable" => Self::Serializable,
            _ => return None,
        })
    }
}

impl TransactionOptions {
    /// The statement that begins it.
    pub fn statement(&self) -> String {
        let mut text = "BEGIN".to_owned();
        text += match self.isolation {
            None => "",
            Some(Isolation::ReadCommitted) => " ISOLATION LEVEL READ COMMITTED",
            Some(Isolation::RepeatableRead) => " ISOLATION LEVEL REPEATABLE READ",
            Some(Isolation::Serializable) => " ISOLATION LEVEL SERIALIZABLE",
        };
        text += if self.read_only { " READ ONLY" } else { "" };
        text += if self.deferrable { " DEFERRABLE" } else { "" };
        text
    }
}

/// What a statement came to.
#[derive(Clone, Debug, Default)]
pub struct ResultSet {
    /// The first words of the server's command tag: `SELECT`, `INSERT`, `CREATE TABLE`.
    pub command: String,
    /// Rows that were answered or changed, for commands that count them.
    pub row_count: Option<u64>,
    pub columns: Arc<[Column]>,
    pub rows: Vec<Row>,
}

/// A row as the protocol lays it out: for each cell a length of four bytes, big-endian, and the cell
/// in its column's format; a length of -1 is NULL.
#[derive(Clone, Debug)]
pub struct Row(pub Bytes);

impl Row {
    /// The cells, `None` for NULL. It ends early if the layout is broken.
    pub fn cells(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_at_checked(4)?;
            let length = i32::from_be_bytes(head.try_into().ok()?);
            let Ok(length) = usize::try_from(length) else {
                rest = tail;
                return Some(None);
            };
            let (cell, tail) = tail.split_at_checked(length)?;
            rest = tail;
            Some(Some(cell))
        })
    }
}

/// What `NOTIFY` said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub channel: String,
    pub payload: String,
    /// The server process that sent it.
    pub process: i32,
}

/// An error as the server reports it (the protocol's "Error and Notice Message Fields").
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {sqlstate})")]
pub struct ServerError {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// In characters of the statement, from 1.
    pub position: Option<u32>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
    /// What the server was doing.
    pub context: Option<String>,
}

/// Why a statement did not succeed. The text is for the worker that asked and for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    #[error("{0}")]
    Address(#[from] AddressError),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Login(String),
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Timeout(String),
    #[error("{0}")]
    Statement(Box<ServerError>),
    #[error("{0}")]
    Refused(String),
    #[error("the rows are larger than {bytes_max} bytes (limits.result_bytes of the database)")]
    ResultTooLarge { bytes_max: u64 },
    #[error("{0}")]
    Lost(String),
    #[error("more than {max} notifications waited to be taken (limits.notifications of the database)")]
    Overflow { max: u64 },
}

impl PostgresError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            Self::Address(_) => &code::POSTGRES_ADDRESS,
            Self::Denied(_) => &code::EGRESS_DENIED,
            Self::Unreachable(_) => &code::POSTGRES_UNREACHABLE,
            Self::Tls(_) => &code::POSTGRES_TLS,
            Self::Login(_) => &code::POSTGRES_LOGIN,
            Self::Busy(_) => &code::POSTGRES_BUSY,
            Self::Timeout(_) => &code::POSTGRES_TIMEOUT,
            Self::Statement(_) => &code::POSTGRES_STATEMENT,
            Self::Refused(_) => &code::POSTGRES_REFUSED,
            Self::ResultTooLarge { .. } => &code::POSTGRES_RESULT_TOO_LARGE,
            Self::Lost(_) => &code::POSTGRES_LOST,
            Self::Overflow { .. } => &code::POSTGRES_OVERFLOW,
        }
    }
}

#[cfg(test)]
mod tests;
