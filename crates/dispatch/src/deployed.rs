//! One worker of a deployment, as all cores share it: how it starts, and whether it may.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::{Artifact, Digest, code};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use worker::{Env, Failure, Program};

use crate::gauge::{Lifecycle, PoolGauge};
use crate::node::Node;
use crate::quarantine::{FailedStart, Quarantine, Verdict};

/// Finds the artifact again when the engine's cache lost what was made of it; `None` if it is not
/// stored. Called rarely, never on the path of a warm request.
pub type ArtifactSource = Arc<dyn Fn() -> BoxFuture<'static, Result<Option<Artifact>, Failure>> + Send + Sync>;

pub(crate) struct DeployedWorker {
    /// Unique within the node's lifetime.
    pub key: u64,
    pub app: Arc<str>,
    pub deployment: Arc<str>,
    pub artifact: Digest,
    pub source: ArtifactSource,
    pub env: Arc<Env>,
    /// A fresh instance for each event.
    pub fresh: bool,
    pub lifecycle: Arc<Lifecycle>,
    preparing: Mutex<Option<Preparation>>,
    health: Health,
    gauges: Mutex<Vec<Arc<PoolGauge>>>,
}

/// One preparation under way; everyone who needs it waits for the same one.
pub(crate) type Preparation = Shared<BoxFuture<'static, Result<Arc<dyn Program>, Failure>>>;

/// What came of the attempt to get the program at once.
pub(crate) enum Loaded {
    Ready(Arc<dyn Program>),
    Preparing(Preparation),
    Failed(Failure),
}

#[derive(Default)]
struct Health {
    /// False as long as there is nothing to remember: the usual case, which takes no lock.
    troubled: AtomicBool,
    quarantine: Mutex<Quarantine>,
}

/// What makes a worker.
pub(crate) struct Blueprint {
    pub key: u64,
    pub app: Arc<str>,
    pub deployment: Arc<str>,
    pub artifact: Digest,
    pub source: ArtifactSource,
    pub env: Arc<Env>,
    pub fresh: bool,
    pub lifecycle: Arc<Lifecycle>,
}

impl DeployedWorker {
    pub fn new(blueprint: Blueprint) -> Arc<Self> {
        let Blueprint { key, app, deployment, artifact, source, env, fresh, lifecycle } = blueprint;
        Arc::new(Self {
            key,
            app,
            deployment,
            artifact,
            source,
            env,
            fresh,
            lifecycle,
            preparing: Mutex::default(),
            health: Health::default(),
            gauges: Mutex::default(),
        })
    }

    /// The program if it is loaded or loads at once; otherwise a preparation, which the first that
    /// asks for it starts.
    pub fn program(self: &Arc<Self>, node: &Arc<Node>) -> Loaded {
        if let Some(program) = node.loaded(self.key) {
            return Loaded::Ready(program);
        }
        // Held while the engine loads, well under a millisecond: a second core waits for the
        // result rather than loading the same again.
        let mut preparing = self.preparing();
        if let Some(program) = node.loaded(self.key) {
            return Loaded::Ready(program);
        }
        if let Some(preparation) = preparing.as_ref().filter(|p| p.peek().is_none()) {
            return Loaded::Preparing(preparation.clone());
        }
        match contained("load", || node.engine.load(&self.artifact, &self.env.limits)) {
            Ok(Some(program)) => {
                node.keep_loaded(self, program.clone());
                Loaded::Ready(program)
            }
            Ok(None) => {
                let preparation = self.clone().prepare(node.clone());
                *preparing = Some(preparation.clone());
                Loaded::Preparing(preparation)
            }
            Err(failure) => Loaded::Failed(failure),
        }
    }

    /// Runs as a task of its own, so that a client that leaves doesn't end what others wait for.
    fn prepare(self: Arc<Self>, node: Arc<Node>) -> Preparation {
        let worker = self.clone();
        let task = tokio::spawn(async move {
            let result = worker.prepare_now(&node).await;
            match &result {
                Ok(program) => node.keep_loaded(&worker, program.clone()),
                Err(failure) => worker.start_failed(&node, FailedStart::BeforeEvent, failure),
            }
            *worker.preparing() = None;
            result
        });
        let ended = |_| Err(Failure::new(&code::DRAINING, "the core that prepared the worker is shutting down"));
        task.map(move |joined| joined.unwrap_or_else(ended)).boxed().shared()
    }

    async fn prepare_now(self: &Arc<Self>, node: &Arc<Node>) -> Result<Arc<dyn Program>, Failure> {
        let lost = |what: &str| Failure::new(&code::INTERNAL, what.to_owned());
        let _turn = node.preparations.acquire().await.map_err(|_| lost("the node takes no more preparations"))?;
        let artifact = AssertUnwindSafe(async { (self.source)().await }).catch_unwind().await;
        let artifact = artifact.map_err(|_| lost("the source of the worker's artifact panicked"))??;
        let Some(artifact) = artifact else {
            let detail = format!("the artifact {} is not stored on this node; deploy the app again", self.artifact);
            return Err(Failure::new(&code::START_FAILED, detail));
        };
        let (worker, engine) = (self.clone(), node.engine.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            contained("prepare", || engine.prepare(&artifact, &worker.env.limits))?;
            contained("load", || engine.load(&worker.artifact, &worker.env.limits))
        });
        node.counters.preparations.fetch_add(1, Ordering::Relaxed);
        match prepared.await.map_err(|_| lost("the preparation of the worker was cut off"))?? {
            Some(program) => Ok(program),
            None => Err(lost(&format!("the engine does not find {} after it prepared it", self.artifact))),
        }
    }

    /// May an instance be started? The attempt must be told how it went.
    pub fn attempt<'a>(&'a self, node: &'a Node) -> Result<Attempt<'a>, Failure> {
        let mut probe = false;
        if self.health.troubled.load(Ordering::Relaxed) {
            let mut quarantine = self.quarantine();
            match quarantine.ask(node.clock.monotonic()) {
                Verdict::Start => {}
                Verdict::Probe => probe = true,
                Verdict::Wait(pause) => return Err(quarantined(&quarantine, pause)),
            }
        }
        Ok(Attempt { worker: self, node, probe })
    }

    fn start_failed(&self, node: &Node, how: FailedStart, failure: &Failure) {
        if std::ptr::eq(failure.code, &code::NODE_OVERLOADED) || std::ptr::eq(failure.code, &code::DRAINING) {
            return;
        }
        let mut quarantine = self.quarantine();
        self.health.troubled.store(true, Ordering::Relaxed);
        let detail = failure.to_string();
        let Some(pause) = quarantine.failed(how, &detail, node.clock.monotonic(), node.quarantine_policy) else {
            return;
        };
        node.counters.quarantines.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            app = %self.app, deployment = %self.deployment, worker = %self.env.worker, pause_s = pause.as_secs(),
            "worker quarantined after {} failed starts; the first: {}",
            quarantine.failures(), quarantine.first_failure().unwrap_or_default(),
        );
    }

    fn start_succeeded(&self) {
        if self.health.troubled.load(Ordering::Relaxed) {
            let mut quarantine = self.quarantine();
            quarantine.succeeded();
            self.health.troubled.store(false, Ordering::Relaxed);
        }
    }

    /// A copy, for a look at it.
    pub fn quarantine_now(&self) -> Quarantine {
        self.quarantine().clone()
    }

    fn quarantine(&self) -> MutexGuard<'_, Quarantine> {
        self.health.quarantine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn preparing(&self) -> MutexGuard<'_, Option<Preparation>> {
        self.preparing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_gauge(&self, gauge: Arc<PoolGauge>) {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).push(gauge);
    }

    pub fn remove_gauge(&self, gauge: &Arc<PoolGauge>) {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| !Arc::ptr_eq(known, gauge));
    }

    /// The worker's pools, one for each core on which it has one.
    pub fn gauges(&self) -> Vec<Arc<PoolGauge>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if no invocation acts for this worker, on any core.
    pub fn is_quiet(&self) -> bool {
        self.gauges().iter().all(|gauge| gauge.in_flight() == 0)
    }
}

fn quarantined(quarantine: &Quarantine, pause: Duration) -> Failure {
    let seconds = whole_seconds(pause);
    let first = quarantine.first_failure().unwrap_or("unknown");
    let failures = quarantine.failures();
    let detail = format!("{failures} starts failed; the next attempt is in {seconds} s; the first failure: {first}");
    Failure::new(&code::QUARANTINED, detail).with_retry_after_s(seconds)
}

/// Seconds for `Retry-After`: rounded up, at least one.
pub(crate) fn whole_seconds(pause: Duration) -> u32 {
    u32::try_from(pause.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// Leave to start an instance once. If it is dropped untold, nothing is learnt from it.
pub(crate) struct Attempt<'a> {
    worker: &'a DeployedWorker,
    node: &'a Node,
    probe: bool,
}

impl Attempt<'_> {
    pub fn failed(mut self, how: FailedStart, failure: &Failure) {
        self.worker.start_failed(self.node, how, failure);
        // A failure that says nothing of the worker leaves the probe to the next request.
        self.probe = self.probe && self.worker.quarantine().is_probing();
    }

    pub fn succeeded(mut self) {
        self.probe = false;
        self.worker.start_succeeded();
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.worker.quarantine().gave_up(self.node.clock.monotonic());
        }
    }
}

/// Runs a call into the engine; a panic there becomes a failure.
pub(crate) fn contained<T>(what: &str, call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(Failure::new(&code::INTERNAL, format!("the engine panicked in {what}"))))
}
