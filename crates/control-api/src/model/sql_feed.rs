//! The change feed of a SQL database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which changes to tell. Over HTTP these are query parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SqlChangesOptions {
    /// What comes after this position; without it, only where now is.
    pub after: Option<u64>,
    /// Changes in the page.
    pub limit: Option<u64>,
    /// How long to wait if there is nothing to tell.
    pub wait_ms: u64,
}

impl SqlChangesOptions {
    /// The longest wait.
    pub const WAIT_MS_MAX: u64 = 25_000;
}

/// One page of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlChanges {
    pub changes: Vec<SqlChange>,
    /// Everything up to this position was told: where to go on.
    pub through: u64,
}

/// A row that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlChange {
    pub sequence: u64,
    /// When it was committed, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    pub table: String,
    /// `insert`, `update`, `delete`, or `drop` for a whole table.
    pub kind: String,
    pub rowid: Option<i64>,
    /// The values of the primary key as JSON, where that is not the rowid.
    pub key: Option<String>,
}
