//! What apps may store, which may change while a node runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use base::{AppName, NodeLimits};
use services::KvLimits;
use services::blob::BlobLimits;

/// The limits that an app may have of its own, and that change without a start. All others are those that the data
/// directory was opened with.
pub const QUOTAS: &[&str] = &[
    "blob_app_bytes",
    "kv_app_bytes",
    "kv_app_keys",
    "kv_namespace_bytes",
    "kv_namespace_keys",
    "object_app_bytes",
    "sql_app_bytes",
];

/// The quotas of a data directory: what is set is what the next write meets.
pub struct Quotas {
    now: RwLock<Now>,
}

struct Now {
    /// Of apps without quotas of their own.
    all: Row,
    apps: HashMap<AppName, Row>,
}

/// As the providers ask for them.
struct Row {
    limits: NodeLimits,
    kv: Arc<KvLimits>,
    blobs: Arc<BlobLimits>,
}

impl Row {
    /// What is set, among limits that stay.
    fn of(set: &NodeLimits, mut limits: NodeLimits) -> Self {
        for name in QUOTAS {
            if let Some(value) = set.get(name) {
                limits.set(name, value);
            }
        }
        Self { kv: Arc::new(KvLimits::from(&limits)), blobs: Arc::new(BlobLimits::from(&limits)), limits }
    }
}

impl Now {
    fn of(limits: &NodeLimits, apps: &BTreeMap<AppName, NodeLimits>, stay: &NodeLimits) -> Self {
        let app = |(app, own): (&AppName, &NodeLimits)| (app.clone(), Row::of(own, stay.clone()));
        Self { all: Row::of(limits, stay.clone()), apps: apps.iter().map(app).collect() }
    }

    fn row(&self, app: &AppName) -> &Row {
        self.apps.get(app).unwrap_or(&self.all)
    }
}

impl Quotas {
    pub(crate) fn new(limits: &NodeLimits, apps: &BTreeMap<AppName, NodeLimits>) -> Self {
        Self { now: RwLock::new(Now::of(limits, apps, limits)) }
    }

    /// Sets the quotas of all apps, and of those that have some of their own; of what else is a limit nothing
    /// changes.
    pub fn set(&self, limits: &NodeLimits, apps: &BTreeMap<AppName, NodeLimits>) {
        let stay = self.now().all.limits.clone();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Now::of(limits, apps, &stay);
    }

    fn now(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All limits as they are for an app.
    pub fn of(&self, app: &AppName) -> NodeLimits {
        self.now().row(app).limits.clone()
    }

    pub(crate) fn sql_bytes(&self, app: &AppName) -> u64 {
        self.now().row(app).limits.sql_app_bytes
    }

    pub(crate) fn object_bytes(&self, app: &AppName) -> u64 {
        self.now().row(app).limits.object_app_bytes
    }

    pub(crate) fn kv(&self, app: &AppName) -> Arc<KvLimits> {
        self.now().row(app).kv.clone()
    }

    pub(crate) fn blobs(&self, app: &AppName) -> Arc<BlobLimits> {
        self.now().row(app).blobs.clone()
    }
}
