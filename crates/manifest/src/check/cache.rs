//! What routes say of the cache in front of their upstreams.

use super::{Compiler, shorten};
use crate::bounds::{CACHE_KEY_NAME_BYTES, CACHE_KEY_NAMES};
use crate::cache_rule::{CacheRule, CacheRuleIndex, QueryKey, is_token};
use crate::raw::{RawCache, RawRoute, Spanned};
use crate::report::code;
use crate::route::{DEFAULT_TTL_S_MAX, RouteCache};

impl Compiler<'_, '_> {
    /// What a route says about caching, which is for upstreams alone.
    pub(super) fn route_cache(&mut self, raw: &RawRoute) -> Option<RouteCache> {
        let Some(cache) = &raw.cache else { return Some(RouteCache::Standard) };
        if raw.upstream.is_none() {
            let message = "`cache` is for routes with an upstream; a worker has `caches`";
            self.problems.add(code::BAD_ROUTE, &cache.span, message);
            return None;
        }
        if !cache.on {
            return Some(RouteCache::Off);
        }
        let rule = self.cache_rule(cache)?;
        let plain = CacheRule { default_ttl_s: rule.default_ttl_s, ..CacheRule::default() };
        Some(match rule.default_ttl_s {
            None if rule == plain => RouteCache::Standard,
            Some(seconds) if rule == plain => RouteCache::DefaultTtl(seconds),
            _ => {
                let at = self.cache_rules.iter().position(|known| *known == rule).unwrap_or(self.cache_rules.len());
                if at == self.cache_rules.len() {
                    self.cache_rules.push(rule);
                }
                // There are fewer routes than that.
                RouteCache::Rule(CacheRuleIndex(u16::try_from(at).ok()?))
            }
        })
    }

    fn cache_rule(&mut self, raw: &RawCache) -> Option<CacheRule> {
        let default_ttl_s = self.cache_seconds("default_ttl_s", raw.default_ttl_s.as_ref());
        let negative_ttl_s = self.cache_seconds("negative_ttl_s", raw.negative_ttl_s.as_ref());
        let query = match (&raw.query, &raw.query_except) {
            (None, None) => QueryKey::All,
            (Some(only), None) => QueryKey::Only(values(only)),
            (None, Some(except)) => QueryKey::Except(values(except)),
            (Some(_), Some(_)) => {
                let message = "`query` and `query_except` exclude each other";
                self.problems.add(code::BAD_VALUE, &raw.span, message);
                return None;
            }
        };
        let lists = [(&raw.query, true), (&raw.query_except, true), (&raw.headers, false), (&raw.cookies, false)];
        let names: Vec<(&Spanned<String>, bool)> =
            lists.iter().flat_map(|(list, free)| list.iter().flatten().map(|name| (name, *free))).collect();
        if names.len() as u64 > CACHE_KEY_NAMES.max {
            let (count, max) = (names.len(), CACHE_KEY_NAMES.max);
            let message = format!("`cache` has {count} names; at most {max} (cache_key_names)");
            self.problems.add(code::TOO_MANY, &raw.span, message);
            return None;
        }
        let sound = names.into_iter().fold(true, |sound, (name, free)| self.cache_name(name, free) && sound);
        let headers = raw.headers.as_deref().map(values).unwrap_or_default();
        let rule = CacheRule {
            default_ttl_s: default_ttl_s?,
            negative_ttl_s: negative_ttl_s?,
            query,
            sort_query: raw.sort_query,
            headers: headers.into_iter().map(|name| name.to_ascii_lowercase()).collect(),
            cookies: raw.cookies.as_deref().map(values).unwrap_or_default(),
            device: raw.device,
            compress: raw.compress,
        };
        sound.then_some(rule)
    }

    /// A name of a header field or a cookie, or, if it is `free`, of a parameter.
    fn cache_name(&mut self, name: &Spanned<String>, free: bool) -> bool {
        let bytes = name.value.len() as u64;
        let message = if bytes > CACHE_KEY_NAME_BYTES.max {
            format!("the name has {bytes} bytes; at most {} (cache_key_name_bytes)", CACHE_KEY_NAME_BYTES.max)
        } else if name.value.is_empty() || (!free && !is_token(&name.value)) {
            format!("`{}` is no name of a header field or a cookie", shorten(&name.value))
        } else {
            return true;
        };
        self.problems.add(code::BAD_VALUE, &name.span, message);
        false
    }

    /// `Some(None)` if it is left out.
    fn cache_seconds(&mut self, field: &str, seconds: Option<&Spanned<i64>>) -> Option<Option<u32>> {
        let Some(seconds) = seconds else { return Some(None) };
        match seconds.value {
            0..=DEFAULT_TTL_S_MAX => Some(Some(seconds.value as u32)),
            other => {
                let message = format!("{field} is {other}; it lies between 0 and {DEFAULT_TTL_S_MAX}");
                self.problems.add(code::BAD_VALUE, &seconds.span, message);
                None
            }
        }
    }
}

fn values(names: &[Spanned<String>]) -> Vec<String> {
    names.iter().map(|name| name.value.clone()).collect()
}
