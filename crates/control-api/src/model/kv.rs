//! KV beyond single entries: usage, transactions, the change feed.

use base::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an app stores in KV, and how much it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvUsage {
    /// Entries of all namespaces.
    pub keys: u64,
    /// Keys, values and metadata of all namespaces.
    pub bytes: u64,
    /// The limit `kv_app_keys`.
    pub keys_max: u64,
    /// The limit `kv_app_bytes`.
    pub bytes_max: u64,
    pub namespaces: Vec<KvNamespaceUsage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvNamespaceUsage {
    #[schemars(with = "String")]
    pub namespace: ResourceName,
    pub keys: u64,
    pub bytes: u64,
    /// The limit `kv_namespace_keys`.
    pub keys_max: u64,
    /// The limit `kv_namespace_bytes`.
    pub bytes_max: u64,
}

/// Checks and writes that happen at one moment, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvTransaction {
    #[serde(default)]
    pub checks: Vec<KvCheck>,
    /// No key twice.
    pub writes: Vec<KvWrite>,
}

/// What must be true of a key: that it has this revision, or that it has an entry or has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvCheck {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum KvWrite {
    Put {
        key: String,
        /// The value, in base64.
        base64: String,
        /// JSON, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<String>,
        /// Milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at_ms: Option<u64>,
    },
    Delete {
        key: String,
    },
    /// Adds to a counter.
    Add {
        key: String,
        amount: i64,
    },
}

/// A transaction that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvCommitted {
    /// That of every key that was written.
    pub revision: u64,
    /// What the write survives: `memory`, `fsync` or `quorum`.
    pub durability: String,
    /// What the counters hold now, in the order of the additions.
    pub sums: Vec<i64>,
}

/// Which changes to tell. Over HTTP these are query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvChangesOptions {
    /// Only keys that begin with this.
    pub prefix: String,
    /// What has a higher revision than this; without it, only where now is.
    pub since: Option<u64>,
    /// How long to wait if there is nothing to tell, at most [`KvChangesOptions::WAIT_MS_MAX`].
    pub wait_ms: u64,
}

impl KvChangesOptions {
    /// Shorter than what connections may stand idle for.
    pub const WAIT_MS_MAX: u64 = 25_000;
}

/// A part of the change feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvChanges {
    /// In the order of their revisions; those of one transaction are never torn apart.
    pub changes: Vec<KvChange>,
    /// Everything up to this revision was told: the `since` to go on with.
    pub through: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvChange {
    pub key: String,
    /// `put`, `delete` or `expire`.
    pub kind: String,
    pub revision: u64,
}
