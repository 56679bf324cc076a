//! The cache of responses.

use base::AppName;

use super::Answer;
use crate::model::{CacheEntry, CachePurge, CachePurged, CacheStats};

/// The part of [`Api`](super::Api) that is about the cache. Only a node that runs answers it.
pub trait CacheApi: Send + Sync {
    /// Removes responses of an app, or makes them stale. When it answers, it is done, also for what is
    /// still arriving from an origin.
    fn cache_purge(&self, app: AppName, purge: CachePurge) -> Answer<'_, CachePurged>;

    fn cache_stats(&self, app: AppName) -> Answer<'_, CacheStats>;

    /// What is stored under a URL.
    fn cache_entries(&self, app: AppName, url: String) -> Answer<'_, Vec<CacheEntry>>;
}
