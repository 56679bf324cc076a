//! The dispatcher of a node.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Clock, NodeLimits, code};
use worker::{Core, Engine, Failure, Objects};

use crate::admission::Bounds;
use crate::cores::CorePools;
use crate::deployment::{Deployment, DeploymentSpec};
use crate::node::{AppEntry, Node};
use crate::objects::{Door, ObjectParts};
use crate::registry;
use crate::snapshot::{self, Snapshot};

/// One per node, shared by all cores.
pub struct Dispatcher {
    node: Arc<Node>,
}

impl Dispatcher {
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, limits: NodeLimits) -> Arc<Self> {
        Arc::new(Self { node: Node::new(engine, clock, limits, None) })
    }

    /// One whose workers may have durable objects.
    pub fn with_objects(
        engine: Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        limits: NodeLimits,
        parts: ObjectParts,
    ) -> Arc<Self> {
        Arc::new(Self { node: Node::new(engine, clock, limits, Some(parts)) })
    }

    /// The way to durable objects, for the environments of workers.
    pub fn objects(&self) -> Arc<dyn Objects> {
        Arc::new(Door { node: Arc::downgrade(&self.node) })
    }

    /// Makes this thread a core, until the guard is dropped; its instances are dropped with it.
    ///
    /// Call it inside the core's `LocalSet`, before anything is invoked on the thread. A thread is
    /// one core at most: a second call panics.
    pub fn install_core(&self, core: Core) -> CoreGuard {
        let pools = CorePools::new(core, self.node.clone());
        assert!(registry::install(pools.clone()), "this thread is a core already");
        pools.start_keeper();
        crate::objects::home::open(&pools);
        CoreGuard { thread: PhantomData }
    }

    /// Brings the engine to where a worker can be served. Whoever is about to deploy one waits for it,
    /// or its first request does.
    pub async fn ready(&self) -> Result<(), Failure> {
        let engine = self.node.engine.clone();
        let lost = |_| Failure::new(&code::INTERNAL, "the start of the engine was cut off");
        tokio::task::spawn_blocking(move || engine.ready()).await.map_err(lost)?
    }

    /// Makes a deployment the current one of its app.
    ///
    /// Durable objects wake in it from now on, and the app's admission goes over to it, with the new
    /// limits, so that a swap lets no more requests in than either allows. The one before is as it
    /// was until [`Deployment::take_over`].
    ///
    /// Panics if the spec has not one worker for each worker of its plan, or if its reservation
    /// was used before.
    pub fn deploy(&self, spec: DeploymentSpec) -> Arc<Deployment> {
        let app = spec.app.clone();
        let admission = self.node.admission(&app, Bounds::of(&spec.plan.limits));
        let deployment = Deployment::new(self.node.clone(), admission.clone(), spec);
        let mut apps = self.node.apps();
        let entry = apps.entry(app).or_insert_with(|| AppEntry { admission, deployments: vec![] });
        entry.deployments.retain(|inner| inner.strong_count() > 0);
        entry.deployments.push(Arc::downgrade(&deployment.inner));
        drop(apps);
        deployment
    }

    /// Refuses new requests with `draining` and waits until everything in flight is over, `waitUntil`
    /// included. Requests that wait for their admission already are still served. The caller bounds
    /// the wait (`drain_ms`).
    pub async fn drain(&self) {
        let admissions: Vec<_> = {
            let apps = self.node.apps();
            self.node.draining.store(true, Ordering::SeqCst);
            apps.values().map(|entry| entry.admission.clone()).collect()
        };
        admissions.iter().for_each(|admission| admission.close());
        for admission in admissions {
            admission.idle().await;
        }
    }

    /// Ends every object that is at home on this thread's core, whatever is in progress there: the next
    /// event of each finds what is stored by then.
    pub fn end_objects(&self) {
        if let Some(core) = registry::current().filter(|core| Arc::ptr_eq(&core.node, &self.node)) {
            core.end_objects();
        }
    }

    /// What is going on, for metrics and the admin API.
    pub fn snapshot(&self) -> Snapshot {
        snapshot::take(&self.node)
    }
}

/// While it lives, its thread is a core.
#[must_use = "the thread is a core only as long as the guard lives"]
pub struct CoreGuard {
    /// It belongs to its thread.
    thread: PhantomData<Rc<()>>,
}

impl Drop for CoreGuard {
    fn drop(&mut self) {
        let _ = self.thread;
        if let Some(pools) = registry::uninstall() {
            pools.close();
        }
    }
}
