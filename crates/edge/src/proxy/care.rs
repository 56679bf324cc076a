//! What an operator does with the cache.

use std::sync::Arc;

use base::Clock;
use cache::{Amount, KeyRule, Purge, Purged, StoreError, Stored};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use services::{PurgeOptions, PurgeWhat, ResponseAmount, ResponseCare, ResponseEntry, ResponseStats, Served};

use super::ProxyCache;
use super::counts::Totals;
use crate::site::Hosts;

/// The cache of a node, from its operator's side.
pub struct CacheCare {
    cache: Arc<ProxyCache>,
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
}

impl CacheCare {
    pub fn new(cache: Arc<ProxyCache>, hosts: Arc<Hosts>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { cache, hosts, clock })
    }

    /// A URL as keys have it, by the rules of the routes that may answer there.
    fn pages(&self, app: &str, url: &str) -> Vec<String> {
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let (scheme, path) = (scheme.to_ascii_lowercase(), if path.is_empty() { "/" } else { path });
        let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let host = host.map_or(authority, |(host, _)| host).to_ascii_lowercase();
        let mut rules = self.hosts.cache_rules(app, &host, path);
        if rules.is_empty() {
            rules.push(KeyRule::default());
        }
        let mut pages: Vec<_> = rules.iter().map(|rule| rule.page(&scheme, authority, path, query)).collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }
}

fn failed(error: StoreError) -> services::StoreError {
    services::StoreError::Failed(error.to_string())
}

fn amount(amount: Amount) -> ResponseAmount {
    ResponseAmount { entries: amount.entries, bytes: amount.bytes }
}

fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn entry(key: &cache::Key, stored: &Stored, now_ms: u64) -> ResponseEntry {
    let age_s = stored.age_s(now_ms);
    let left = i128::from(stored.lifetime_s) - i128::from(age_s);
    ResponseEntry {
        key: key.url.to_string(),
        cache: key.cache.as_ref().map(ToString::to_string),
        status: stored.status.as_u16(),
        bytes: stored.body.len(),
        age_s,
        ttl_s: i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX }),
        tags: stored.tags.iter().map(str::to_owned).collect(),
        headers: told(&stored.headers),
    }
}

impl ResponseCare for CacheCare {
    fn purge<'a>(&'a self, app: &'a str, purge: PurgeOptions) -> BoxFuture<'a, Result<u64, services::StoreError>> {
        Box::pin(async move {
            let what = match purge.what {
                PurgeWhat::Url(url) => self.pages(app, &url).into_iter().map(|page| Purged::Url(page.into())).collect(),
                PurgeWhat::Prefix(prefix) => vec![Purged::Prefix(prefix)],
                PurgeWhat::Tag(tag) => vec![Purged::Tag(tag)],
                PurgeWhat::All => vec![Purged::All],
            };
            let app: Arc<str> = app.into();
            let stale_at_ms = purge.soft.then(|| self.clock.unix_ms());
            let counts = self.cache.counts(&app);
            let mut purged = 0;
            for what in what {
                let purge = Purge { app: app.clone(), what, stale_at_ms, durable: true };
                purged += self.cache.purge(purge).await.map_err(failed)?;
            }
            counts.purged.fetch_add(purged, std::sync::atomic::Ordering::Relaxed);
            Ok(purged)
        })
    }

    fn stats<'a>(&'a self, app: &'a str) -> BoxFuture<'a, Result<ResponseStats, services::StoreError>> {
        Box::pin(async move {
            let usage = self.cache.responses.usage(Some(app)).await.map_err(failed)?;
            let Totals { hits, stale, misses, collapsed, bypassed, hit_bytes, stored, purged } =
                self.cache.counts(&app.into()).totals();
            Ok(ResponseStats {
                memory: amount(usage.memory),
                disk: usage.disk.map(amount),
                hits,
                stale,
                misses,
                collapsed,
                bypassed,
                hit_bytes,
                stored,
                purged,
            })
        })
    }

    fn served(&self, app: &str) -> Option<Served> {
        let map = self.hosts.now();
        let site = map.sites().into_iter().find(|site| site.app().as_str() == app)?;
        let everywhere = map.find("").is_some_and(|any| any.app() == site.app());
        Some(Served { hosts: site.hosts().collect(), everywhere })
    }

    fn entries<'a>(
        &'a self,
        app: &'a str,
        url: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ResponseEntry>, services::StoreError>> {
        Box::pin(async move {
            let now_ms = self.clock.unix_ms();
            let mut found = Vec::new();
            for page in self.pages(app, url) {
                found.extend(self.cache.responses.entries(app, &page).await.map_err(failed)?);
            }
            let each = found.iter().flat_map(|(key, variants)| variants.iter().map(move |stored| (key, stored)));
            Ok(each.map(|(key, stored)| entry(key, stored, now_ms)).collect())
        })
    }
}
