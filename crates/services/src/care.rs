//! Care of all the data of a node: a copy to restore it from, and a check of everything.

use std::path::Path;

use base::{Code, code};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// What an operator does with the data of a node as a whole, whichever services it is of.
///
/// # Promises
///
/// 1. **Live.** Nothing stops for a backup: reads and writes go on.
/// 2. **Consistency.** Of each database, a backup holds one moment between its start and its end, whole
///    transactions only. What one database refers to outside of itself is there. Two databases may be
///    of two moments.
/// 3. **Durability.** When `back_up` answers, the backup survives the loss of power. One that did not
///    come to its end is none, and harms none before it.
/// 4. **Proof.** A backup that is called verified was restored to a directory of its own and checked
///    there, from end to end.
/// 5. **Secrets** are in a backup as they are on the disk: sealed with the node key, which is in none.
pub trait Care: Send + Sync {
    /// Adds a backup to the directory `to`, which is made if it is missing. What a backup before it
    /// has already is not stored again.
    fn back_up<'a>(&'a self, to: &'a Path, options: BackupOptions) -> BoxFuture<'a, Result<BackupReport, CareError>>;

    /// Reads everything that is stored and answers what is damaged.
    fn check(&self) -> BoxFuture<'_, Result<CheckReport, CareError>>;

    /// How the copy of the archive elsewhere is doing; `None` where there is to be none. Answers at once.
    fn archive_copy(&self) -> Option<ArchiveCopy>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupOptions {
    /// Restore the backup to a temporary place, and check it there.
    pub verify: bool,
    /// How many backups remain, this one among them; all if `None`.
    pub keep: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// By which `restore` finds it: when it began, in milliseconds since the Unix epoch.
    pub id: u64,
    pub files: u64,
    pub bytes: u64,
    /// What had to be stored for it.
    pub new_bytes: u64,
    pub verified: bool,
    /// How many older backups were removed.
    pub removed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    pub databases: u64,
    pub files: u64,
    pub bytes: u64,
    pub damage: Vec<Damage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveCopy>,
}

/// A copy of the past of databases, in a place that does not go with the node's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveCopy {
    pub place: String,
    /// How old the oldest commit may be that is not there yet; 0 if all are.
    pub behind_ms: u64,
    /// Since the start.
    pub failures: u64,
    /// Why it could not be brought up to date the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// A path below the data directory, or another place that tells an operator where to look.
    pub place: String,
    pub what: String,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum CareError {
    #[error("{0}")]
    BadBackup(String),
    #[error("the backup was made, and does not restore: {0}")]
    Unverified(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CareError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            CareError::BadBackup(_) => &code::BAD_BACKUP,
            CareError::Unverified(_) => &code::BACKUP_UNVERIFIED,
            CareError::Store(error) => error.code(),
        }
    }
}
