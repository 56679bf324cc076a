//! The cache of responses, which is that of the node in this process.

use std::sync::Arc;

use base::{AppName, code};
use control_api::{Answer, ApiError, CacheAmount, CacheApi, CacheEntry, CachePurge, CachePurged, CacheStats};
use services::{PurgeOptions, PurgeWhat, ResponseAmount, ResponseCare, Served};

use super::{Control, failed};

impl Control {
    fn responses(&self) -> Result<&Arc<dyn ResponseCare>, ApiError> {
        let stopped = || ApiError::new(&code::NODE_STOPPED, "no node runs on this data, so there is no cache");
        self.parts.responses.as_ref().ok_or_else(stopped)
    }

    fn served(&self, app: &AppName) -> Result<Served, ApiError> {
        let served = self.responses()?.served(app.as_str());
        served.ok_or_else(|| ApiError::new(&code::UNKNOWN_APP, format!("no app {app} is served by this node")))
    }
}

/// What is wrong with a URL, or the beginning of one, if nothing is stored there: the app is not served at its
/// host. (Scripts keep responses under any.) Fails if it is none.
fn elsewhere(served: &Served, url: &str) -> Result<Option<ApiError>, ApiError> {
    let (host, followed) = split(served, url)?;
    // Where the host of a beginning ends is known only if something follows it.
    if served.has(&host)
        || (!followed && served.hosts.iter().any(|known| known.starts_with(&host) || known.starts_with("*.")))
    {
        return Ok(None);
    }
    let hosts = served.hosts.join(", ");
    let message = format!("nothing is stored there, for the app is not served at {host:?}; its hosts are: {hosts}");
    Ok(Some(ApiError::new(&code::BAD_REQUEST, message)))
}

/// The host of a URL, and whether something follows it.
fn split(served: &Served, url: &str) -> Result<(String, bool), ApiError> {
    let rest = url.split_once("://").filter(|(scheme, rest)| is_web(scheme) && !rest.is_empty());
    let Some((_, rest)) = rest else {
        let host = served.hosts.first().map_or("app.example.com", String::as_str);
        let message =
            format!("{url:?} is no URL of a page; it begins with http:// or https://, such as https://{host}/");
        return Err(ApiError::new(&code::BAD_REQUEST, message));
    };
    let end = rest.find(['/', '?', '#']);
    let authority = &rest[..end.unwrap_or(rest.len())];
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(authority, |(host, _)| host).trim_end_matches('.').to_ascii_lowercase();
    Ok((host, end.is_some()))
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
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
            let served = self.served(&app)?;
            let elsewhere = match &options.what {
                PurgeWhat::Url(url) | PurgeWhat::Prefix(url) => elsewhere(&served, url)?,
                PurgeWhat::Tag(_) | PurgeWhat::All => None,
            };
            let purged = self.responses()?.purge(app.as_str(), options).await.map_err(failed)?;
            if let Some(error) = elsewhere.filter(|_| purged == 0) {
                return Err(error);
            }
            Ok(CachePurged { purged })
        })
    }

    fn cache_stats(&self, app: AppName) -> Answer<'_, CacheStats> {
        Box::pin(async move {
            self.served(&app)?;
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
            let elsewhere = elsewhere(&self.served(&app)?, &url)?;
            let entries = self.responses()?.entries(app.as_str(), &url).await.map_err(failed)?;
            if let Some(error) = elsewhere.filter(|_| entries.is_empty()) {
                return Err(error);
            }
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
