//! A response in the cache, and its age (RFC 9111, section 4.2.3).

use http::{HeaderMap, StatusCode};

use crate::content::Content;
use crate::tags::Tags;
use crate::vary::VaryValues;

/// A response as it is stored, with what was found out when it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Content,
    /// Milliseconds since the Unix epoch.
    pub stored_at_ms: u64,
    /// How old it was then.
    pub initial_age_s: u64,
    /// How old it may become.
    pub lifetime_s: u64,
    pub vary: VaryValues,
    pub terms: Terms,
    pub tags: Tags,
    /// Names the body among those under one key, so that what was made of it is told from what was made of
    /// its successor; 0 for one that nothing is made of.
    pub body_id: u64,
}

/// What a response says about being used when it is stale, or at all (RFC 9111, section 5.2.2; RFC 5861).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// `no-cache`: its origin is asked each time.
    pub always_validate: bool,
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage`: it is not used stale, whatever happened.
    pub never_stale: bool,
    pub stale_while_revalidate_s: u64,
    pub stale_if_error_s: u64,
}

impl Stored {
    /// Its age in whole seconds.
    pub fn age_s(&self, now_ms: u64) -> u64 {
        self.initial_age_s.saturating_add(now_ms.saturating_sub(self.stored_at_ms) / 1000)
    }

    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.age_s(now_ms) < self.lifetime_s
    }

    /// The same, stale from this moment on at the latest.
    #[must_use]
    pub fn staled(mut self, at_ms: u64) -> Self {
        self.lifetime_s = self.lifetime_s.min(self.age_s(at_ms));
        self
    }

    /// For how long it has been stale; 0 while it is fresh.
    pub fn stale_for_s(&self, now_ms: u64) -> u64 {
        self.age_s(now_ms).saturating_sub(self.lifetime_s)
    }

    /// What it takes up, in bytes.
    pub fn bytes(&self) -> usize {
        const OVERHEAD: usize = 256;
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        OVERHEAD + headers + self.vary.bytes() + self.tags.bytes() + self.body.resident_bytes()
    }
}
