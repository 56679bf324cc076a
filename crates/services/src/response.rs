//! What an operator does with the cache of responses: look, and purge.
//!
//! Only a node that runs has one, for what is stored there belongs to its requests.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::StoreError;

/// # Promises
///
/// 1. **Purge.** When `purge` answers, no request that begins then is answered with what the purge is
///    about, or, if it is a soft one, only as something stale. That holds for what was asked of an
///    origin before and arrives later, and after a restart.
/// 2. **Isolation.** Nothing of another app is touched or told.
/// 3. **Bounds.** `entries` answers at most 64 keys, with all their variants.
pub trait ResponseCare: Send + Sync {
    /// How many responses it found.
    fn purge<'a>(&'a self, app: &'a str, purge: PurgeOptions) -> BoxFuture<'a, Result<u64, StoreError>>;

    fn stats<'a>(&'a self, app: &'a str) -> BoxFuture<'a, Result<ResponseStats, StoreError>>;

    /// Where an app is served; `None` if it is served nowhere.
    fn served(&self, app: &str) -> Option<Served>;

    /// What is stored under a URL.
    fn entries<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<ResponseEntry>, StoreError>>;
}

/// The hosts of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// In lower case; one that begins with `*.` stands for all below it.
    pub hosts: Vec<String>,
    /// Every host that is no other app's is its own.
    pub everywhere: bool,
}

impl Served {
    /// Whether a host in lower case, without its port, may be one of them.
    pub fn has(&self, host: &str) -> bool {
        let is = |known: &String| match known.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => known == host,
        };
        self.everywhere || self.hosts.iter().any(is)
    }
}

/// What is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PurgeWhat {
    /// As a client names it.
    Url(Arc<str>),
    Prefix(Arc<str>),
    Tag(Arc<str>),
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeOptions {
    pub what: PurgeWhat,
    /// Make it stale, so that it answers while it is validated, instead of removing it.
    pub soft: bool,
}

/// Responses in one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResponseAmount {
    pub entries: u64,
    pub bytes: u64,
}

/// What an app has, and how its requests fared since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResponseStats {
    pub memory: ResponseAmount,
    pub disk: Option<ResponseAmount>,
    /// Answered with what is stored and fresh.
    pub hits: u64,
    /// Answered with what is stale.
    pub stale: u64,
    /// Fetched.
    pub misses: u64,
    /// Fetched by another request at the same time.
    pub collapsed: u64,
    /// Nothing to do with the cache.
    pub bypassed: u64,
    /// Of bodies that came out of the cache.
    pub hit_bytes: u64,
    pub stored: u64,
    pub purged: u64,
}

/// One stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseEntry {
    /// The URL, and what else its key is made of.
    pub key: String,
    /// The cache of a script that it is in; `None` for the default one.
    pub cache: Option<String>,
    pub status: u16,
    pub bytes: u64,
    pub age_s: u64,
    /// Seconds that it is still fresh; below zero, it is stale.
    pub ttl_s: i64,
    pub tags: Vec<String>,
    pub headers: Vec<(String, String)>,
}
