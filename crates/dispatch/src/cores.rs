//! The pools of one core, and the keeper that tidies them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use worker::Core;

use crate::deployed::DeployedWorker;
use crate::deployment::Inner;
use crate::gauge::{CoreSignal, PoolGauge, Room};
use crate::node::Node;
use crate::objects::home::Home;
use crate::pool::{AppOnCore, Pool, Seat};

/// The keeper looks at the pools at least this often.
const SWEEP_MAX: Duration = Duration::from_secs(1);
const SWEEP_MIN: Duration = Duration::from_millis(1);

pub(crate) struct CorePools {
    pub core: Core,
    pub node: Arc<Node>,
    pub home: Home,
    signal: Arc<CoreSignal>,
    pools: RefCell<HashMap<u64, Rc<Pool>>>,
    apps: RefCell<HashMap<Arc<str>, Rc<AppOnCore>>>,
    /// Tasks that end with the core: what they wait with may hold a store.
    own: RefCell<Vec<AbortHandle>>,
}

/// Whose limit stands in the way of another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    App,
    Node,
}

impl CorePools {
    pub fn new(core: Core, node: Arc<Node>) -> Rc<Self> {
        let signal = Arc::<CoreSignal>::default();
        node.add_core(&signal);
        Rc::new(Self {
            core,
            node,
            home: Home::default(),
            signal,
            pools: RefCell::default(),
            apps: RefCell::default(),
            own: RefCell::default(),
        })
    }

    /// Starts the keeper; the caller is inside the core's `LocalSet`.
    pub fn start_keeper(self: &Rc<Self>) {
        let pools = Rc::downgrade(self);
        let (signal, idle) = (self.signal.clone(), self.idle());
        let period = (idle / 4).clamp(SWEEP_MIN, SWEEP_MAX);
        let keeper = tokio::task::spawn_local(async move {
            loop {
                let asked = tokio::time::timeout(period, signal.notify.notified()).await.is_ok();
                let Some(pools) = pools.upgrade() else { return };
                let (dirty, sweep) = signal.take();
                pools.reap(&dirty);
                if sweep || !asked {
                    pools.sweep();
                }
            }
        });
        self.note(keeper.abort_handle());
    }

    /// A task that ends with the core.
    pub fn note(&self, task: AbortHandle) {
        self.own.borrow_mut().push(task);
    }

    /// The worker's pool on this core.
    pub fn pool(&self, deployment: &Arc<Inner>, worker: &Arc<DeployedWorker>) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(&worker.key) {
            return pool.clone();
        }
        let app = self.apps.borrow_mut().entry(worker.app.clone()).or_default().clone();
        let gauge = PoolGauge {
            key: worker.key,
            acting: AtomicU32::new(0),
            instances: AtomicU32::new(0),
            memory_bytes: AtomicU64::new(0),
            room: Room::default(),
            app_room: app.room.clone(),
            node_room: self.node.room.clone(),
            signal: self.signal.clone(),
            lifecycle: deployment.lifecycle.clone(),
        };
        let pool = Rc::new(Pool::new(deployment.clone(), worker.clone(), app, gauge));
        self.pools.borrow_mut().insert(worker.key, pool.clone());
        pool
    }

    /// A place for one more instance; idle ones give way, the longest idle first.
    pub fn seat(&self, pool: &Pool) -> Result<Seat, Full> {
        // Every worker may have one instance, however small the limit: workers that call each
        // other would otherwise wait for themselves.
        let instances_max = pool.deployment.limits.instances;
        while pool.app.instances.get() >= instances_max && pool.instances() > 0 {
            if !self.evict(|other| Rc::ptr_eq(&other.app, &pool.app)) {
                return Err(Full::App);
            }
        }
        let node_max = self.node.limits.instances_total;
        loop {
            let taken = self.node.instances.fetch_add(1, Ordering::SeqCst);
            if taken < node_max {
                return Ok(Seat::new(pool.app.clone(), self.node.instances.clone(), pool.gauge.clone()));
            }
            self.node.instances.fetch_sub(1, Ordering::SeqCst);
            if !self.evict_any() {
                return Err(Full::Node);
            }
        }
    }

    /// Drops an idle instance of anybody's.
    pub fn evict_any(&self) -> bool {
        self.evict(|_| true) || self.evict_any_object()
    }

    /// Drops the longest idle instance among these pools.
    fn evict(&self, among: impl Fn(&Pool) -> bool) -> bool {
        let pools = self.pools.borrow();
        let idle = pools.values().filter(|pool| among(pool)).filter_map(|pool| {
            let (order, member) = pool.longest_idle()?;
            Some((order, pool.clone(), member))
        });
        let longest = idle.min_by_key(|(order, ..)| *order);
        drop(pools);
        let Some((_, pool, member)) = longest else { return false };
        pool.remove(&member);
        self.node.counters.instances_evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn reap(&self, dirty: &[u64]) {
        if !dirty.is_empty() {
            self.reap_objects(dirty);
        }
        for key in dirty {
            let pool = self.pools.borrow().get(key).cloned();
            let Some(pool) = pool else { continue };
            pool.reap();
            if pool.deployment.lifecycle.is_retired() && pool.sweep(self.node.clock.monotonic(), self.idle()) {
                self.pools.borrow_mut().remove(key);
            }
        }
    }

    /// Drops what stood unused for too long; for the node's sake more, if others wait for room.
    pub fn sweep(&self) {
        let (now, idle) = (self.node.clock.monotonic(), self.idle());
        let pools: Vec<Rc<Pool>> = self.pools.borrow().values().cloned().collect();
        let mut in_use = Vec::new();
        for pool in &pools {
            if pool.sweep(now, idle) {
                self.pools.borrow_mut().remove(&pool.worker.key);
            } else if !pool.deployment.lifecycle.is_retired() {
                in_use.push(pool.worker.key);
            }
        }
        drop(pools);
        self.sweep_objects(now);
        self.node.touch_loaded(&in_use);
        self.apps.borrow_mut().retain(|_, app| Rc::strong_count(app) > 1);
        let is_full = || self.node.instances.load(Ordering::SeqCst) >= self.node.limits.instances_total;
        while self.node.room.waiting() > 0 && is_full() && self.evict_any() {}
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.node.limits.instance_idle_ms)
    }

    /// The thread stops being a core.
    pub fn close(&self) {
        self.own.take().iter().for_each(AbortHandle::abort);
        self.close_objects();
        let pools = self.pools.take();
        pools.values().for_each(|pool| pool.clear());
        self.apps.take();
    }
}
