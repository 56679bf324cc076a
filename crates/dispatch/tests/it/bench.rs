//! A dispatcher with the fake engine, and apps to deploy on it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use base::{AppLimits, Artifact, NodeLimits, WorkerLimits, WorkerName};
use futures_util::future::BoxFuture;
use manifest::plan::{Isolation, Plan, WorkerIndex, WorkerKind, WorkerPlan};
use manifest::route::RouteTable;
use selvedge_dispatch::{Deployment, DeploymentSpec, Dispatcher, Reservation, Snapshot, WorkerSpec};
use services::egress::EgressPolicy;
use telemetry::{NullSink, Record, RecordHandle, Sink};
use testkit::ManualClock;
use tokio::task::JoinHandle;
use worker::{Call, Core, Env, Failure, Fetcher, Handle, Invoker, Outbound, Response, ResponseCache};

use crate::fake::{FakeEngine, Shared, fetch};

pub struct Bench {
    pub engine: Arc<FakeEngine>,
    pub clock: Arc<ManualClock>,
    pub dispatcher: Arc<Dispatcher>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut NodeLimits)) -> Self {
        let mut limits = NodeLimits::default();
        change(&mut limits);
        let (engine, clock) = (Arc::<FakeEngine>::default(), ManualClock::new());
        let dispatcher = Dispatcher::new(Arc::new(Shared(engine.clone())), clock.clone(), limits);
        Self { engine, clock, dispatcher }
    }

    /// Runs a test as a core of the node does, in time that passes only when everyone waits.
    pub fn on_core<F: Future>(&self, test: F) -> F::Output {
        self.on_core_number(0, true, test)
    }

    pub fn on_core_number<F: Future>(&self, index: usize, paused: bool, test: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(paused).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let _core = self.dispatcher.install_core(Core::new(index));
            test.await
        })
    }

    pub fn snapshot(&self) -> Snapshot {
        self.dispatcher.snapshot()
    }

    pub fn live(&self) -> u64 {
        self.engine.counts.live.load(Ordering::SeqCst)
    }

    /// Lets the keeper look at the pools, with so much time gone.
    pub async fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        // Two rounds: the first sees what was used, the second what was not.
        for _ in 0..2 {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    }

    pub fn app(&self, name: &str) -> App<'_> {
        App {
            bench: self,
            name: name.to_owned(),
            workers: vec![WorkerSetup::default()],
            limits: AppLimits::default(),
            prepared: true,
        }
    }
}

/// Lets everything else that is ready run.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[derive(Clone, Default)]
pub struct WorkerSetup {
    pub fresh: bool,
    pub limits: WorkerLimits,
    /// The index of the worker that the binding calls.
    pub next: Option<u16>,
}

pub struct App<'a> {
    bench: &'a Bench,
    name: String,
    workers: Vec<WorkerSetup>,
    limits: AppLimits,
    prepared: bool,
}

impl App<'_> {
    pub fn limits(mut self, change: impl FnOnce(&mut AppLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub fn workers(mut self, workers: Vec<WorkerSetup>) -> Self {
        self.workers = workers;
        self
    }

    pub fn worker(mut self, change: impl FnOnce(&mut WorkerSetup)) -> Self {
        change(&mut self.workers[0]);
        self
    }

    /// The engine's cache knows nothing of it.
    pub fn unprepared(mut self) -> Self {
        self.prepared = false;
        self
    }

    pub fn deploy(self) -> Arc<Deployment> {
        self.deploy_with(Reservation::default())
    }

    pub fn deploy_with(self, reservation: Reservation) -> Arc<Deployment> {
        let deployment = self.deploy_beside(reservation);
        deployment.take_over();
        deployment
    }

    /// The one before has not been taken over from.
    pub fn deploy_beside(self, reservation: Reservation) -> Arc<Deployment> {
        let workers = self.workers.iter().enumerate().map(|(i, setup)| self.worker_plan(i, setup)).collect();
        let plan = Plan {
            app: self.name.parse().unwrap(),
            env_name: None,
            workers,
            assets: vec![],
            buckets: vec![],
            upstreams: vec![],
            cache_rules: vec![],
            postgres: Default::default(),
            routes: RouteTable::new(vec![]).unwrap(),
            hosts: Default::default(),
            limits: self.limits.clone(),
            tests: Default::default(),
            origins: Default::default(),
        };
        let workers = plan.workers.iter().zip(&self.workers);
        let workers = workers.map(|(plan, setup)| self.worker_spec(plan, setup, &reservation)).collect();
        self.bench.dispatcher.deploy(DeploymentSpec {
            app: plan.app.clone(),
            deployment: "d".into(),
            plan: Arc::new(plan),
            workers,
            reservation,
        })
    }

    fn worker_plan(&self, index: usize, setup: &WorkerSetup) -> WorkerPlan {
        WorkerPlan {
            name: WorkerName::parse(&format!("w{index}")).unwrap(),
            entry: "index.js".into(),
            kind: WorkerKind::Script,
            isolation: if setup.fresh { Isolation::Request } else { Isolation::Shared },
            warm: None,
            vars: BTreeMap::new(),
            bindings: vec![],
            egress: vec![],
            limits: setup.limits.clone(),
            server_timing: false,
            build: manifest::BuildSettings::default(),
        }
    }

    fn worker_spec(&self, plan: &WorkerPlan, setup: &WorkerSetup, reservation: &Reservation) -> WorkerSpec {
        let artifact = Artifact::Component(format!("{}/{}", self.name, plan.name).into_bytes());
        if self.prepared {
            self.bench.engine.prepared.lock().unwrap().insert(artifact.digest());
        }
        let next =
            setup.next.map(|index| ("NEXT".parse().unwrap(), Handle::Service(reservation.invoker(WorkerIndex(index)))));
        let env = Env {
            app: self.name.as_str().into(),
            worker: plan.name.clone(),
            bindings: next.into_iter().collect(),
            limits: setup.limits.clone(),
            egress: Arc::new(EgressPolicy::default()),
            fetcher: Arc::new(NoNet),
            responses: responses(),
            source_map: None,
            dev: false,
        };
        let digest = artifact.digest();
        let source = move || -> BoxFuture<'static, _> {
            let artifact = artifact.clone();
            Box::pin(async move { Ok(Some(artifact)) })
        };
        WorkerSpec { artifact: digest, source: Arc::new(source), env: Arc::new(env) }
    }
}

fn responses() -> ResponseCache {
    let limits = NodeLimits::default();
    ResponseCache::new(Arc::new(cache::MemoryStore::new(cache::MemoryStoreLimits::from(&limits))), &limits)
}

struct NoNet;

impl Fetcher for NoNet {
    fn fetch(&self, _: Arc<EgressPolicy>, _: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        panic!("nothing here fetches")
    }
}

/// Keeps the last record.
#[derive(Default)]
pub struct Last(pub Mutex<Option<Record>>);

impl Sink for Last {
    fn record(&self, record: Record) {
        *self.0.lock().unwrap() = Some(record);
    }

    fn line(&self, _: telemetry::GuestLine) {}
}

pub fn call() -> Call {
    Call::new(RecordHandle::new(Record::default(), Arc::new(NullSink)))
}

pub fn first(deployment: &Arc<Deployment>) -> Arc<dyn Invoker> {
    deployment.invoker(WorkerIndex(0))
}

/// Sends an event; the answer is the instance that served it, or the code of the failure.
pub async fn send(invoker: &Arc<dyn Invoker>, path: &str) -> Result<u64, &'static str> {
    let response = invoker.invoke(call(), fetch(path)).await.map_err(|failure| failure.code.name)?;
    let body = response.into_body().collect(64).await.unwrap();
    Ok(std::str::from_utf8(&body).unwrap().parse().unwrap())
}

/// Sends an event and doesn't wait for the answer.
pub fn post(invoker: &Arc<dyn Invoker>, path: &'static str) -> JoinHandle<Result<u64, &'static str>> {
    let invoker = invoker.clone();
    tokio::task::spawn_local(async move { send(&invoker, path).await })
}
