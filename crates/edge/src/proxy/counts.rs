//! How requests fared with the cache, for the metrics and `selvedge cache stats`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use telemetry::metrics::APPS_MAX;

/// The counts of what has none of its own.
const OTHER: &str = "other";

/// Those of one app, since the node started.
#[derive(Debug, Default)]
pub struct Counts {
    pub hits: AtomicU64,
    pub stale: AtomicU64,
    pub misses: AtomicU64,
    pub collapsed: AtomicU64,
    pub bypassed: AtomicU64,
    pub hit_bytes: AtomicU64,
    pub stored: AtomicU64,
    pub purged: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub hits: u64,
    pub stale: u64,
    pub misses: u64,
    pub collapsed: u64,
    pub bypassed: u64,
    pub hit_bytes: u64,
    pub stored: u64,
    pub purged: u64,
}

impl Counts {
    pub fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered with a fresh response.
    pub(crate) fn hit(&self, bytes: u64) {
        Self::add(&self.hits);
        self.hit_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn totals(&self) -> Totals {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            hits: read(&self.hits),
            stale: read(&self.stale),
            misses: read(&self.misses),
            collapsed: read(&self.collapsed),
            bypassed: read(&self.bypassed),
            hit_bytes: read(&self.hit_bytes),
            stored: read(&self.stored),
            purged: read(&self.purged),
        }
    }
}

impl std::ops::Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            stale: self.stale + other.stale,
            misses: self.misses + other.misses,
            collapsed: self.collapsed + other.collapsed,
            bypassed: self.bypassed + other.bypassed,
            hit_bytes: self.hit_bytes + other.hit_bytes,
            stored: self.stored + other.stored,
            purged: self.purged + other.purged,
        }
    }
}

/// Those of all apps; beyond a number of them, what is new is counted together.
#[derive(Debug, Default)]
pub(super) struct Counted(RwLock<HashMap<Arc<str>, Arc<Counts>>>);

impl Counted {
    pub fn of(&self, app: &Arc<str>) -> Arc<Counts> {
        if let Some(found) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(app) {
            return found.clone();
        }
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = if map.len() < APPS_MAX { app.clone() } else { OTHER.into() };
        map.entry(name).or_default().clone()
    }

    pub fn totals(&self) -> Totals {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.values().map(|counts| counts.totals()).fold(Totals::default(), std::ops::Add::add)
    }
}
