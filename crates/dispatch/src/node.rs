//! What all cores share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base::{AppName, Clock, NodeLimits};
use tokio::sync::Semaphore;
use worker::{Engine, Program};

use crate::admission::{Admission, Bounds};
use crate::deployed::DeployedWorker;
use crate::deployment::Inner;
use crate::gauge::{CoreSignal, Room};
use crate::objects::registry::Registry;
use crate::objects::{ObjectParts, ObjectsOfNode};
use crate::programs::Recent;
use crate::quarantine::Policy;

pub(crate) struct Node {
    pub engine: Arc<dyn Engine>,
    pub clock: Arc<dyn Clock>,
    pub limits: NodeLimits,
    pub quarantine_policy: Policy,
    /// How many preparations may run at the same time.
    pub preparations: Semaphore,
    /// Instances alive, on all cores.
    pub instances: Arc<AtomicU64>,
    pub room: Arc<Room>,
    pub counters: Counters,
    pub objects: Option<ObjectsOfNode>,
    pub draining: AtomicBool,
    programs: Mutex<Recent<Arc<dyn Program>>>,
    apps: Mutex<BTreeMap<AppName, AppEntry>>,
    cores: Mutex<Vec<Weak<CoreSignal>>>,
    next_key: AtomicU64,
}

/// An app and its deployments that are still somewhere in use, the current one last.
pub(crate) struct AppEntry {
    pub admission: Arc<Admission>,
    pub deployments: Vec<Weak<Inner>>,
}

/// What happened since the node started. None of it is counted on the path of a warm request.
#[derive(Default)]
pub(crate) struct Counters {
    pub instances_started: AtomicU64,
    pub instances_lost: AtomicU64,
    /// Dropped unused to make room for others.
    pub instances_evicted: AtomicU64,
    /// Replaced after `instance_requests_total` events, or because their memory kept growing.
    pub instances_retired: AtomicU64,
    /// Run again, because their instance was lost to another event.
    pub events_again: AtomicU64,
    pub loads: AtomicU64,
    pub preparations: AtomicU64,
    pub quarantines: AtomicU64,
    pub panics: AtomicU64,
}

impl Node {
    pub fn new(
        engine: Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        limits: NodeLimits,
        objects: Option<ObjectParts>,
    ) -> Arc<Self> {
        let preparations = usize::try_from(limits.preparations).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            engine,
            clock,
            quarantine_policy: Policy::of(&limits),
            preparations: Semaphore::new(preparations),
            instances: Arc::default(),
            room: Arc::default(),
            counters: Counters::default(),
            objects: objects.map(|parts| ObjectsOfNode { parts, registry: Registry::default() }),
            draining: AtomicBool::new(false),
            programs: Mutex::new(Recent::new(usize::try_from(limits.loaded_images).unwrap_or(usize::MAX))),
            apps: Mutex::default(),
            cores: Mutex::default(),
            next_key: AtomicU64::new(1),
            limits,
        })
    }

    pub fn fresh_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    pub fn loaded(&self, key: u64) -> Option<Arc<dyn Program>> {
        self.programs().get(key).cloned()
    }

    pub fn keep_loaded(&self, worker: &DeployedWorker, program: Arc<dyn Program>) {
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        let mut programs = self.programs();
        // A late request of a replaced deployment loads for itself only.
        if !worker.lifecycle.is_retired() {
            let gone = programs.insert(worker.key, program);
            // What goes is dropped after the lock: it may unmap an image.
            drop(programs);
            drop(gone);
        }
    }

    pub fn forget_loaded(&self, key: u64) {
        let gone = self.programs().remove(key);
        drop(gone);
    }

    /// These programs are in use: they shall not be the first to go.
    pub fn touch_loaded(&self, keys: &[u64]) {
        let mut programs = self.programs();
        for &key in keys {
            programs.get(key);
        }
    }

    pub fn programs_loaded(&self) -> usize {
        self.programs().len()
    }

    fn programs(&self) -> MutexGuard<'_, Recent<Arc<dyn Program>>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn apps(&self) -> MutexGuard<'_, BTreeMap<AppName, AppEntry>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app's admission, with the bounds of its newest deployment.
    pub fn admission(&self, app: &AppName, bounds: Bounds) -> Arc<Admission> {
        let mut apps = self.apps();
        if let Some(entry) = apps.get(app) {
            entry.admission.set_bounds(bounds);
            return entry.admission.clone();
        }
        let admission = Admission::new(bounds, self.draining.load(Ordering::SeqCst));
        apps.insert(app.clone(), AppEntry { admission: admission.clone(), deployments: vec![] });
        admission
    }

    /// The deployments of the same app that were made before this one and are still in use.
    pub fn deployments_before(&self, deployment: &Arc<Inner>) -> Vec<Arc<Inner>> {
        let apps = self.apps();
        let all = apps.get(&deployment.app).map_or(&[][..], |entry| &entry.deployments);
        all.iter().take_while(|made| made.as_ptr() != Arc::as_ptr(deployment)).filter_map(Weak::upgrade).collect()
    }

    pub fn add_core(&self, signal: &Arc<CoreSignal>) {
        let mut cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        cores.retain(|known| known.strong_count() > 0);
        cores.push(Arc::downgrade(signal));
    }

    /// Asks the keepers of all cores to look at their pools now.
    pub fn sweep_all(&self) {
        let cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        cores.iter().filter_map(Weak::upgrade).for_each(|signal| signal.sweep());
    }
}
