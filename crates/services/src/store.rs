//! What all contracts share: whose data it is, what an acknowledgement is worth, and how a store
//! can fail.

use std::fmt;

use base::{AppName, Code, TenantName, code};
use serde::{Deserialize, Serialize};

/// One app of one tenant: the owner of everything a store holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppId {
    pub tenant: TenantName,
    pub app: AppName,
}

impl AppId {
    pub fn new(tenant: TenantName, app: AppName) -> Self {
        Self { tenant, app }
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.app)
    }
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The life of the process.
    Memory,
    /// The loss of power: the bytes and the names that lead to them were flushed to the disk.
    Fsync,
    /// The loss of a minority of the machines that hold it.
    Quorum,
}

impl Durability {
    /// As those read it who ask.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Fsync => "fsync",
            Durability::Quorum => "quorum",
        }
    }
}

/// How the store beneath a contract can fail. The strings are for the log, never for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store is read-only after a failed write ({0}); it reopens by itself")]
    ReadOnly(String),
    #[error("the disk is full ({0}); free space in the data directory")]
    Full(String),
    #[error("a stored file is damaged ({0}); restore it from a backup")]
    Corrupt(String),
    #[error("{in_flight} operations are in flight, the most that this store takes")]
    Busy { in_flight: usize },
    #[error("the store is shutting down")]
    Closed,
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            StoreError::ReadOnly(_) => &code::STORE_READ_ONLY,
            StoreError::Full(_) => &code::STORE_FULL,
            StoreError::Corrupt(_) => &code::STORE_CORRUPT,
            StoreError::Busy { .. } => &code::NODE_OVERLOADED,
            StoreError::Closed => &code::DRAINING,
            StoreError::Failed(_) => &code::STORE_FAILED,
        }
    }
}
