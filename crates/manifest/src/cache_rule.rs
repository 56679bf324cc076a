//! What a route says about the cache in front of its upstream, beyond a default lifetime.

use serde::{Deserialize, Serialize};

use crate::bounds::{CACHE_KEY_NAME_BYTES, CACHE_KEY_NAMES};

/// Position of a rule in [`Plan::cache_rules`](crate::Plan::cache_rules).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CacheRuleIndex(pub u16);

/// How responses of a route are stored and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheRule {
    /// For what does not say how long it is fresh.
    pub default_ttl_s: Option<u32>,
    /// The same for what tells of an absence or a failure.
    pub negative_ttl_s: Option<u32>,
    pub query: QueryKey,
    pub sort_query: bool,
    /// Header fields that are part of the key; in lower case.
    pub headers: Vec<String>,
    pub cookies: Vec<String>,
    /// Whether the class of the device is.
    pub device: bool,
    /// Whether responses are compressed for those who accept it.
    pub compress: bool,
}

/// Which parameters of the query there are. A name may end in `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryKey {
    #[default]
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl CacheRule {
    /// The names that it has, of any kind.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        let query: &[String] = match &self.query {
            QueryKey::All => &[],
            QueryKey::Only(names) | QueryKey::Except(names) => names,
        };
        query.iter().chain(&self.headers).chain(&self.cookies)
    }

    /// Whether its names are acceptable; a manifest's are checked one by one.
    pub(crate) fn holds(&self) -> bool {
        let count = self.names().count() as u64;
        count <= CACHE_KEY_NAMES.max
            && self.names().all(|name| name.len() as u64 <= CACHE_KEY_NAME_BYTES.max)
            && self.headers.iter().chain(&self.cookies).all(|name| is_token(name))
    }
}

/// A name of a header field or a cookie (RFC 9110, section 5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
