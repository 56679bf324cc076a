//! A released deployment, ready to be called.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use base::{AppLimits, AppName, ClassName, Code, Digest, code};
use futures_util::future::LocalBoxFuture;
use manifest::plan::{Isolation, Plan, WorkerIndex, WorkerKind};
use worker::{Call, Env, Event, Failure, Invoker, Response};

use crate::admission::Admission;
use crate::deployed::{ArtifactSource, Blueprint, DeployedWorker};
use crate::gauge::Lifecycle;
use crate::invocation;
use crate::node::Node;

/// What a deployment is made of.
pub struct DeploymentSpec {
    pub app: AppName,
    pub deployment: Arc<str>,
    pub plan: Arc<Plan>,
    /// In the order of [`Plan::workers`].
    pub workers: Vec<WorkerSpec>,
    /// Where the service bindings in the workers' environments came from.
    pub reservation: Reservation,
}

/// One worker of a deployment.
pub struct WorkerSpec {
    pub artifact: Digest,
    pub source: ArtifactSource,
    pub env: Arc<Env>,
}

/// Invokers of a deployment that is still to be made: service bindings are part of the
/// environments, and those are part of the deployment. They hold it only weakly, so that it can go
/// when it is replaced.
#[derive(Clone, Default)]
pub struct Reservation(Arc<OnceLock<Weak<Inner>>>);

impl Reservation {
    /// Calls the worker with this index, once the deployment is there.
    pub fn invoker(&self, worker: WorkerIndex) -> Arc<dyn Invoker> {
        Arc::new(LateInvoker { deployment: self.0.clone(), worker })
    }
}

struct LateInvoker {
    deployment: Arc<OnceLock<Weak<Inner>>>,
    worker: WorkerIndex,
}

impl Invoker for LateInvoker {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        match self.deployment.get().map(Weak::upgrade) {
            Some(Some(deployment)) => deployment.invoke(self.worker, call, event),
            Some(None) => refuse(&code::DRAINING, "the deployment of the bound worker is gone"),
            None => refuse(&code::INTERNAL, "a service binding was called before its deployment was made"),
        }
    }
}

fn refuse(code: Code, detail: &'static str) -> LocalBoxFuture<'static, Result<Response, Failure>> {
    Box::pin(std::future::ready(Err(Failure::new(code, detail))))
}

/// A deployment of an app. When it is dropped, with every invoker that came from it, it retires.
pub struct Deployment {
    pub(crate) inner: Arc<Inner>,
}

/// What the pools of the cores hold on to.
pub(crate) struct Inner {
    pub node: Arc<Node>,
    pub app: AppName,
    pub id: Arc<str>,
    pub admission: Arc<Admission>,
    pub limits: AppLimits,
    pub workers: Vec<Arc<DeployedWorker>>,
    pub lifecycle: Arc<Lifecycle>,
    /// The workers of the classes of durable objects.
    pub classes: BTreeMap<ClassName, usize>,
}

impl Deployment {
    pub(crate) fn new(node: Arc<Node>, admission: Arc<Admission>, spec: DeploymentSpec) -> Arc<Self> {
        let DeploymentSpec { app, deployment: id, plan, workers, reservation } = spec;
        let count = (workers.len(), plan.workers.len());
        assert_eq!(count.0, count.1, "a deployment has a worker for each worker of its plan");
        let shown: Arc<str> = app.as_str().into();
        let lifecycle = Arc::<Lifecycle>::default();
        let workers = plan.workers.iter().zip(workers).map(|(plan, spec)| {
            DeployedWorker::new(Blueprint {
                key: node.fresh_key(),
                app: shown.clone(),
                deployment: id.clone(),
                artifact: spec.artifact,
                source: spec.source,
                env: spec.env,
                fresh: plan.isolation == Isolation::Request || plan.kind == WorkerKind::Component,
                lifecycle: lifecycle.clone(),
            })
        });
        let workers = workers.collect();
        let classes =
            plan.classes().into_iter().map(|(class, worker)| (class.clone(), usize::from(worker.0))).collect();
        let limits = plan.limits.clone();
        let inner = Arc::new(Inner { app, id, admission, limits, workers, lifecycle, classes, node });
        let bound = reservation.0.set(Arc::downgrade(&inner));
        assert!(bound.is_ok(), "a reservation is for one deployment");
        Arc::new(Self { inner })
    }

    /// Calls the worker with this index of the plan. Cheap to call, shared by all cores.
    ///
    /// An invoker of a replaced deployment still works: a request that chose its deployment before
    /// the replacement is served by that one to its end.
    pub fn invoker(self: &Arc<Self>, worker: WorkerIndex) -> Arc<dyn Invoker> {
        assert!(usize::from(worker.0) < self.inner.workers.len(), "the plan has no worker {}", worker.0);
        Arc::new(WorkerInvoker { deployment: self.clone(), worker })
    }

    pub fn id(&self) -> &Arc<str> {
        &self.inner.id
    }

    /// Retires the app's deployments before this one: what is in flight in them goes on to its end, as
    /// do requests that chose one already; they keep nothing warm any more, and their sockets are told
    /// to come back. So call it once new requests reach this one: who comes back at once must find it.
    pub fn take_over(&self) {
        let older = self.inner.node.deployments_before(&self.inner);
        older.iter().for_each(|inner| inner.retire());
    }

    /// True once another deployment of the app took over.
    pub fn is_retired(&self) -> bool {
        self.inner.lifecycle.is_retired()
    }

    /// Waits until this deployment has been replaced and the last invocation in it is over,
    /// `waitUntil` included.
    pub async fn drained(&self) {
        self.inner.drained().await;
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.inner.retire();
    }
}

impl Inner {
    pub fn invoke(
        self: &Arc<Self>,
        worker: WorkerIndex,
        call: Call,
        event: Event,
    ) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        invocation::begin(self, usize::from(worker.0), call, event)
    }

    /// No new instance is kept for later, and what stands unused is dropped now.
    pub fn retire(&self) {
        if self.lifecycle.retired.swap(true, Ordering::SeqCst) {
            return;
        }
        for worker in &self.workers {
            self.node.forget_loaded(worker.key);
        }
        self.lifecycle.quiet.notify_waiters();
        self.node.sweep_all();
    }

    async fn drained(&self) {
        loop {
            let mut quiet = std::pin::pin!(self.lifecycle.quiet.notified());
            quiet.as_mut().enable();
            if self.lifecycle.is_retired() && self.workers.iter().all(|worker| worker.is_quiet()) {
                return;
            }
            quiet.await;
        }
    }
}

struct WorkerInvoker {
    deployment: Arc<Deployment>,
    worker: WorkerIndex,
}

impl Invoker for WorkerInvoker {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        self.deployment.inner.invoke(self.worker, call, event)
    }
}
