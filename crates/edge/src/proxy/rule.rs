//! What a plan says of a route's cache, as the cache reads it.

use cache::{Heuristic, KeyRule, QueryRule};
use http::HeaderName;
use manifest::{CacheRule, QueryKey, RouteCache};

/// How responses of a route are stored and found.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub on: bool,
    pub heuristic: Heuristic,
    pub key: KeyRule,
    pub compress: bool,
}

impl Rule {
    pub fn new(rule: &CacheRule) -> Self {
        let default_s = u64::from(rule.default_ttl_s.unwrap_or(0));
        let absence_s = rule.negative_ttl_s.map_or(default_s, u64::from);
        let query = match &rule.query {
            QueryKey::All => QueryRule::All,
            QueryKey::Only(names) => QueryRule::Only(names.clone()),
            QueryKey::Except(names) => QueryRule::Except(names.clone()),
        };
        // A plan's names are those of fields.
        let headers = rule.headers.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect();
        let (sort_query, cookies, device) = (rule.sort_query, rule.cookies.clone(), rule.device);
        Self {
            on: true,
            heuristic: Heuristic { default_s, absence_s, ..Heuristic::default() },
            key: KeyRule { query, sort_query, headers, cookies, device },
            compress: rule.compress,
        }
    }

    /// Of a route that has no rule of its own.
    pub fn plain(cache: RouteCache) -> Self {
        let default_ttl_s = match cache {
            RouteCache::DefaultTtl(seconds) => Some(seconds),
            RouteCache::Standard | RouteCache::Off | RouteCache::Rule(_) => None,
        };
        let rule = Self::new(&CacheRule { default_ttl_s, ..CacheRule::default() });
        Self { on: cache != RouteCache::Off, ..rule }
    }
}
