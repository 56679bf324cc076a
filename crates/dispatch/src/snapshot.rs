//! What is going on, as plain data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::deployed::DeployedWorker;
use crate::deployment::Inner;
use crate::node::{AppEntry, Node};

#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In the order of their names.
    pub apps: Vec<AppSnapshot>,
    /// Alive on the node.
    pub instances: u64,
    pub instances_max: u64,
    pub programs_loaded: u64,
    pub programs_max: u64,
    pub totals: Totals,
}

/// Counts since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub instances_started: u64,
    /// Trapped, or ended for a limit.
    pub instances_lost: u64,
    /// Dropped unused to make room for others.
    pub instances_evicted: u64,
    /// Replaced after `instance_requests_total` events, or because their memory kept growing.
    pub instances_retired: u64,
    /// Run again, because their instance was lost to another event.
    pub events_again: u64,
    pub loads: u64,
    /// Artifacts compiled or evaluated again because the engine's cache had lost them.
    pub preparations: u64,
    pub quarantines: u64,
    /// Panics of the engine, each contained.
    pub panics: u64,
}

#[derive(Debug, Clone)]
pub struct AppSnapshot {
    pub app: String,
    pub in_progress: u64,
    pub waiting: u64,
    /// Since the app's first deployment on this node: refused, and those that had to wait.
    pub refused: u64,
    pub waited: u64,
    /// Of the current deployment, then of those that are still draining.
    pub workers: Vec<WorkerSnapshot>,
}

#[derive(Debug, Clone)]
pub struct WorkerSnapshot {
    pub worker: String,
    pub deployment: Arc<str>,
    /// Another deployment replaced this one.
    pub retired: bool,
    pub instances: u64,
    /// Events in it, those that wait for an instance included.
    pub in_flight: u64,
    /// Linear memory of the instances, at the last sweep (about once a second).
    pub memory_bytes: u64,
    pub quarantine: Option<QuarantineSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineSnapshot {
    /// Failed starts in a row.
    pub failures: u64,
    pub first_failure: String,
    /// Until a request may try again.
    pub remaining: Duration,
}

pub(crate) fn take(node: &Node) -> Snapshot {
    let mut apps = node.apps();
    apps.retain(|_, entry| entry.is_alive());
    // The deployments are let go after the lock.
    let seen: Vec<_> = apps
        .iter()
        .map(|(app, entry)| {
            let deployments: Vec<Arc<Inner>> = entry.deployments.iter().filter_map(Weak::upgrade).collect();
            (app.to_string(), entry.admission.clone(), deployments)
        })
        .collect();
    drop(apps);
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let apps = seen.into_iter().map(|(app, admission, deployments)| {
        let counts = admission.counts();
        AppSnapshot {
            app,
            in_progress: counts.in_progress.into(),
            waiting: counts.waiting.into(),
            refused: read(&admission.refused),
            waited: read(&admission.waited),
            workers: deployments.iter().rev().flat_map(|inner| workers(node, inner)).collect(),
        }
    });
    let counters = &node.counters;
    Snapshot {
        apps: apps.collect(),
        instances: read(&node.instances),
        instances_max: node.limits.instances_total,
        programs_loaded: node.programs_loaded() as u64,
        programs_max: node.limits.loaded_images,
        totals: Totals {
            instances_started: read(&counters.instances_started),
            instances_lost: read(&counters.instances_lost),
            instances_evicted: read(&counters.instances_evicted),
            instances_retired: read(&counters.instances_retired),
            events_again: read(&counters.events_again),
            loads: read(&counters.loads),
            preparations: read(&counters.preparations),
            quarantines: read(&counters.quarantines),
            panics: read(&counters.panics),
        },
    }
}

impl AppEntry {
    fn is_alive(&self) -> bool {
        self.deployments.iter().any(|inner| inner.strong_count() > 0)
    }
}

fn workers(node: &Node, inner: &Inner) -> Vec<WorkerSnapshot> {
    inner.workers.iter().map(|worker| describe(node, inner, worker)).collect()
}

fn describe(node: &Node, inner: &Inner, worker: &DeployedWorker) -> WorkerSnapshot {
    let gauges = worker.gauges();
    let quarantine = worker.quarantine_now();
    let remaining = quarantine.remaining(node.clock.monotonic());
    WorkerSnapshot {
        worker: worker.env.worker.to_string(),
        deployment: inner.id.clone(),
        retired: inner.lifecycle.is_retired(),
        instances: gauges.iter().map(|gauge| u64::from(gauge.instances.load(Ordering::Relaxed))).sum(),
        in_flight: gauges.iter().map(|gauge| u64::from(gauge.in_flight())).sum(),
        memory_bytes: gauges.iter().map(|gauge| gauge.memory_bytes.load(Ordering::Relaxed)).sum(),
        quarantine: remaining.map(|remaining| QuarantineSnapshot {
            failures: quarantine.failures(),
            first_failure: quarantine.first_failure().unwrap_or_default().to_owned(),
            remaining,
        }),
    }
}
