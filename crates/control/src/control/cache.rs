//! The cache of responses, which is that of the node in this process.

use std::sync::Arc;

use base::{AppName, code};
use control_api::{Answer, ApiError, CacheAmount, CacheApi, CacheEntry, CachePurge, CachePurged, CacheStats};
use services::{PurgeOptions, PurgeWhat, ResponseAmount, ResponseCare};

use super::{Control, failed};

impl Control {
    fn responses(&self) -> Result<&Arc<dyn ResponseCare>, ApiError> {
        let stopped = || ApiError::new(&code::NODE_STOPPED, "no node runs on this data, so there is no cache");
        self.parts.responses.as_ref().ok_or_else(stopped)
    }
}

fn amount(amount: ResponseAmount) -> CacheAmount {
    CacheAmount { entries: amount.entries, bytes: amount.bytes }
}

fn what(purge: CachePurge) -> Result<PurgeOptions, ApiError> {
    let CachePurge { url, prefix, tag, all, soft } = purge;
    let mut named = [
        url.map(|url| PurgeWhat::Url(url.into())),
        prefix.map(|prefix| PurgeWhat::Prefix(prefix.into())),
        tag.map(|tag| PurgeWhat::Tag(tag.into())),
        all.then_some(PurgeWhat::All),
    ]
    .into_iter()
    .flatten();
    match (named.next(), named.next()) {
        (Some(what), None) => Ok(PurgeOptions { what, soft }),
        _ => Err(ApiError::new(&code::BAD_REQUEST, "a purge names one of url, prefix, tag and all")),
    }
}

impl CacheApi for Control {
    fn cache_purge(&self, app: AppName, purge: CachePurge) -> Answer<'_, CachePurged> {
        Box::pin(async move {
            let options = what(purge)?;
            let purged = self.responses()?.purge(app.as_str(), options).await.map_err(failed)?;
            Ok(CachePurged { purged })
        })
    }

    fn cache_stats(&self, app: AppName) -> Answer<'_, CacheStats> {
        Box::pin(async move {
            let stats = self.responses()?.stats(app.as_str()).await.map_err(failed)?;
            Ok(CacheStats {
                memory: amount(stats.memory),
                disk: stats.disk.map(amount),
                hits: stats.hits,
                stale: stats.stale,
                misses: stats.misses,
                collapsed: stats.collapsed,
                bypassed: stats.bypassed,
                hit_bytes: stats.hit_bytes,
                stored: stats.stored,
                purged: stats.purged,
            })
        })
    }

    fn cache_entries(&self, app: AppName, url: String) -> Answer<'_, Vec<CacheEntry>> {
        Box::pin(async move {
            let entries = self.responses()?.entries(app.as_str(), &url).await.map_err(failed)?;
            let entry = |entry: services::ResponseEntry| CacheEntry {
                key: entry.key,
                cache: entry.cache,
                status: entry.status,
                bytes: entry.bytes,
                age_s: entry.age_s,
                ttl_s: entry.ttl_s,
                tags: entry.tags,
                headers: entry.headers,
            };
            Ok(entries.into_iter().map(entry).collect())
        })
    }
}
