//! Counters made of records, rendered in the Prometheus text format (version 0.0.4).
//!
//! A record costs a read lock, two look-ups by name and a handful of atomic additions. The number
//! of series is bounded: beyond [`APPS_MAX`] apps, or [`ROUTES_MAX`] routes of one app, what is
//! new is counted under the label `other`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base::code::{self, Code};

use crate::{GuestLine, InvocationRecord, Mirrored, Record, Sink, Start};

mod by_name;
mod render;

use by_name::ByName;

/// Apps with labels of their own.
pub const APPS_MAX: usize = 1000;
/// Routes of one app with labels of their own.
pub const ROUTES_MAX: usize = 100;

const OTHER: &str = "other";
/// The label of what no app answered for.
const NONE: &str = "";

/// One value of several under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub labels: Vec<(&'static str, String)>,
    pub value: u64,
}

/// Points of one name beyond these are not rendered.
pub const POINTS_MAX: usize = 10_000;

/// Values that are read when the metrics are rendered.
type ObservedPoints = Box<dyn Fn() -> Vec<Point> + Send + Sync>;

/// A value that is read when the metrics are rendered.
type Observed = Box<dyn Fn() -> u64 + Send + Sync>;

/// The kind of an observed value, as Prometheus names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
}

/// All metrics of a node. Share it as a [`Sink`] and render it for the admin address.
#[derive(Default)]
pub struct Metrics {
    apps: RwLock<ByName<Arc<str>, Arc<App>>>,
    /// Errors by name; few and rare, so a lock does.
    codes: Mutex<BTreeMap<&'static str, u64>>,
    cold_phases: [Histogram; 4],
    admission_wait: Histogram,
    lines: AtomicU64,
    observed: Mutex<Vec<(&'static str, &'static str, Kind, Observed)>>,
    points: Mutex<Vec<(&'static str, &'static str, Kind, ObservedPoints)>>,
}

#[derive(Default)]
struct App {
    routes: RwLock<ByName<Arc<str>, Arc<Route>>>,
    duration: Histogram,
    invocations: AtomicU64,
    cold_starts: AtomicU64,
    cpu_us: AtomicU64,
    memory_bytes: AtomicU64,
    subrequests: AtomicU64,
    kv_reads: AtomicU64,
    kv_writes: AtomicU64,
    blob_reads: AtomicU64,
    blob_writes: AtomicU64,
    sql_rows_read: AtomicU64,
    sql_rows_written: AtomicU64,
    rejected: AtomicU64,
}

/// Requests by class of status; 0 for those that got no response.
#[derive(Default)]
struct Route {
    by_class: [AtomicU64; 6],
    /// In the order of [`MirrorOutcome::ALL`](crate::MirrorOutcome::ALL).
    mirrored: [AtomicU64; 5],
}

/// Upper bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    fn add(&self, duration: Duration) {
        let us = micros(duration);
        let at = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[at].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Shows the entry of a name, made if there is room, else that of `other`.
fn with_entry<T: Default, R>(
    map: &RwLock<ByName<Arc<str>, Arc<T>>>,
    name: &str,
    max: usize,
    see: impl FnOnce(&T) -> R,
) -> R {
    // Counted under the lock that readers share: to keep the entry would be one more count, of those who have it.
    if let Some(found) = map.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return see(found);
    }
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    let name = if map.len() < max || map.contains_key(name) { name } else { OTHER };
    let made = map.entry(name.into()).or_default().clone();
    drop(map);
    see(&made)
}

impl Metrics {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Lets go of everything that somebody else keeps.
    pub fn forget_observed(&self) {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.points.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Adds a value that somebody else keeps: dropped log lines, open connections.
    pub fn observe_value(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).push((name, help, kind, Box::new(read)));
    }

    /// What became of the copies of an app's requests, by route, in the order of
    /// [`MirrorOutcome::ALL`](crate::MirrorOutcome::ALL). Routes without any are left out.
    pub fn mirrored(&self, app: &str) -> Vec<(Arc<str>, [u64; 5])> {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        let Some(app) = apps.get(app) else { return Vec::new() };
        let routes = app.routes.read().unwrap_or_else(PoisonError::into_inner);
        let counts =
            routes.iter().map(|(name, route)| (name.clone(), route.mirrored.each_ref().map(|n| n.load(Relaxed))));
        let mut found: Vec<_> = counts.filter(|(_, counts)| counts.iter().any(|n| *n > 0)).collect();
        found.sort();
        found
    }

    /// Adds values that somebody else keeps, told apart by their labels; the first [`POINTS_MAX`] are shown.
    pub fn observe_points(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        read: impl Fn() -> Vec<Point> + Send + Sync + 'static,
    ) {
        self.points.lock().unwrap_or_else(PoisonError::into_inner).push((name, help, kind, Box::new(read)));
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        render::render(self)
    }

    fn add(&self, app: &App, record: &Record) {
        with_entry(&app.routes, record.route.as_deref().unwrap_or(NONE), ROUTES_MAX, |route| {
            route.by_class[usize::from(record.status / 100).min(5)].fetch_add(1, Relaxed);
        });
        app.duration.add(record.total);
        if !record.admission_wait.is_zero() {
            self.admission_wait.add(record.admission_wait);
        }
        if let Some(code) = record.code {
            self.add_code(code);
            if std::ptr::eq(code, &code::APP_OVERLOADED) {
                app.rejected.fetch_add(1, Relaxed);
            }
        }
        for invocation in &record.invocations {
            self.add_invocation(app, invocation);
            // The record's own code is usually that of the failed invocation.
            if let Some(failure) = invocation.failure.filter(|failure| record.code != Some(*failure)) {
                self.add_code(failure);
            }
        }
    }

    fn add_code(&self, code: Code) {
        *self.codes.lock().unwrap_or_else(PoisonError::into_inner).entry(code.name).or_default() += 1;
    }

    fn add_invocation(&self, app: &App, invocation: &InvocationRecord) {
        let usage = &invocation.usage;
        app.invocations.fetch_add(1, Relaxed);
        app.cpu_us.fetch_add(micros(usage.cpu), Relaxed);
        app.memory_bytes.store(usage.memory_bytes, Relaxed);
        let counted = [
            (&app.subrequests, usage.subrequests),
            (&app.kv_reads, usage.kv_reads),
            (&app.kv_writes, usage.kv_writes),
            (&app.blob_reads, usage.blob_reads),
            (&app.blob_writes, usage.blob_writes),
            (&app.sql_rows_read, usage.sql_rows_read),
            (&app.sql_rows_written, usage.sql_rows_written),
        ];
        for (counter, n) in counted {
            if n > 0 {
                counter.fetch_add(n, Relaxed);
            }
        }
        if let Start::Cold(phases) = invocation.start {
            app.cold_starts.fetch_add(1, Relaxed);
            let times = [phases.load, phases.instantiate, phases.prepare, phases.first_response];
            for (histogram, time) in self.cold_phases.iter().zip(times) {
                histogram.add(time);
            }
        }
    }
}

impl Sink for Metrics {
    fn record(&self, record: Record) {
        self.observe(&record);
    }

    fn line(&self, _: GuestLine) {
        self.lines.fetch_add(1, Relaxed);
    }

    fn mirrored(&self, mirrored: Mirrored) {
        with_entry(&self.apps, &mirrored.app, APPS_MAX, |app| {
            with_entry(&app.routes, &mirrored.route, ROUTES_MAX, |route| {
                route.mirrored[mirrored.outcome as usize].fetch_add(1, Relaxed);
            });
        });
    }

    fn observe(&self, record: &Record) {
        with_entry(&self.apps, record.app.as_deref().unwrap_or(NONE), APPS_MAX, |app| self.add(app, record));
    }
}

#[cfg(test)]
mod tests;
