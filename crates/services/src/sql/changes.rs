//! The change feed of a database: which rows were written, in the order of the commits.
//!
//! It tells *that* a row changed and which one, not what it holds now: whoever needs the values reads
//! them. A database that nobody ever asked for its feed keeps none and pays nothing; it begins with the
//! first question. The feed goes back a named number of changes (`sql_changes`); who lies further behind
//! is told so, reads the tables anew, and goes on from the position that a question without one answers.

use super::SqlError;

/// Changes in one page.
pub const PAGE_CHANGES: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlChangesOptions {
    /// Tell what comes after this position; `None` tells nothing, and where now is.
    pub after: Option<u64>,
    /// Changes in the page; [`PAGE_CHANGES`] at most, and if left out.
    pub limit: Option<usize>,
    /// If there is nothing to tell, wait until there may be. The wait ends with the future.
    pub wait: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlChangesPage {
    /// In the order of their positions.
    pub changes: Vec<SqlChange>,
    /// Everything up to this position was told: where to go on.
    pub through: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlChange {
    /// Its place in the feed. Positions rise; not every number is one.
    pub sequence: u64,
    /// When it was committed, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    pub table: String,
    pub kind: SqlChangeKind,
    /// Of the row; tables without rowids have none.
    pub rowid: Option<i64>,
    /// The values of the primary key as a JSON array, where that is not the rowid. A blob in it is a text
    /// like `x'0AFF'`.
    pub key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlChangeKind {
    Insert,
    Update,
    Delete,
    /// The whole table is gone. One of its name that is there afterwards was made anew, and each of its
    /// rows inserted.
    Drop,
}

impl SqlChangeKind {
    pub const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Delete, Self::Drop];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Drop => "drop",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl SqlChangesOptions {
    pub fn page(&self) -> usize {
        self.limit.unwrap_or(PAGE_CHANGES).clamp(1, PAGE_CHANGES)
    }

    /// Whether who was told everything through `after` has missed nothing, where everything through
    /// `floor` is forgotten and `last` was told last.
    pub fn check(&self, floor: u64, last: u64) -> Result<(), SqlError> {
        match self.after {
            Some(after) if after < floor || after > last => Err(SqlError::ChangesGone { after, floor, last }),
            _ => Ok(()),
        }
    }
}
