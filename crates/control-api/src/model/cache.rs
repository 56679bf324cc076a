//! The cache of responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to purge: exactly one of `url`, `prefix`, `tag` and `all`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePurge {
    /// Everything under this URL, as clients name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Everything whose URL begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Everything with this `Cache-Tag` or `Surrogate-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Everything of the app.
    #[serde(default)]
    pub all: bool,
    /// Make it stale instead of removing it.
    #[serde(default)]
    pub soft: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CachePurged {
    /// Responses that were stored, and are purged.
    pub purged: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheAmount {
    pub entries: u64,
    pub bytes: u64,
}

/// What an app has in the cache, and how its requests fared since the node started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheStats {
    pub memory: CacheAmount,
    /// Absent if the node has no disk tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<CacheAmount>,
    /// Requests answered with what is stored and fresh.
    pub hits: u64,
    /// Answered with what is stale.
    pub stale: u64,
    /// Fetched from the origin.
    pub misses: u64,
    /// Fetched by another request at the same time.
    pub collapsed: u64,
    /// Nothing to do with the cache.
    pub bypassed: u64,
    /// Bytes of bodies that came out of the cache.
    pub hit_bytes: u64,
    /// Responses that were stored.
    pub stored: u64,
    /// Responses that were purged.
    pub purged: u64,
}

/// One stored response, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheEntry {
    /// The URL, and after a space what else the key is made of.
    pub key: String,
    /// The cache of a script that it is in; absent for the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    pub status: u16,
    /// Of its body.
    pub bytes: u64,
    pub age_s: u64,
    /// Seconds that it is still fresh; below zero, for how long it has been stale.
    pub ttl_s: i64,
    pub tags: Vec<String>,
    /// Its header fields, in order.
    pub headers: Vec<(String, String)>,
}
