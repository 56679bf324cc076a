//! A node on one core whose only worker answers at once: what the edge itself costs.
//!
//! `cargo run --release -p selvedge-edge --example hello`, then `wrk -t1 -c64 http://127.0.0.1:8790/`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use base::{AppLimits, Body, NodeLimits, SystemClock, SystemRng, WorkerLimits};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use manifest::{Isolation, Origins, Plan, Route, RouteTable, Target, WorkerIndex, WorkerKind, WorkerPlan};
use net::{ConnectionCounts, ListenOptions, Listener};
use selvedge_edge::{CoreConfig, Drain, HostMap, Hosts, ProxyCache, Site, SiteParts, run_core};
use worker::{Call, Event, Failure, Invoker, Response};

struct Hello;

impl Invoker for Hello {
    fn invoke(&self, _: Call, _: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        async { Ok(Response::new(Body::full(&b"Hello, world!"[..]))) }.boxed_local()
    }
}

fn site() -> Arc<Site> {
    let (host, path) = manifest::route::parse_pattern("/*").expect("a pattern");
    let routes = vec![Route { host, path, target: Target::Worker(WorkerIndex(0)) }];
    let worker = WorkerPlan {
        name: "web".parse().expect("a name"),
        entry: "index.ts".into(),
        kind: WorkerKind::Script,
        isolation: Isolation::Shared,
        warm: None,
        vars: BTreeMap::new(),
        bindings: Vec::new(),
        egress: Vec::new(),
        limits: WorkerLimits::default(),
        server_timing: false,
    };
    let plan = Plan {
        app: "hello".parse().expect("a name"),
        env_name: None,
        workers: vec![worker],
        assets: Vec::new(),
        buckets: Vec::new(),
        upstreams: Vec::new(),
        routes: RouteTable::new(routes).expect("one route"),
        hosts: BTreeSet::new(),
        limits: AppLimits::default(),
        tests: manifest::TestsPlan::default(),
        origins: Origins::default(),
    };
    let (plan, workers): (_, Vec<Arc<dyn Invoker>>) = (Arc::new(plan), vec![Arc::new(Hello)]);
    Site::new(SiteParts {
        deployment: "d1".into(),
        plan,
        workers,
        assets: Vec::new(),
        buckets: Vec::new(),
        upstreams: Vec::new(),
        dev: None,
    })
}

fn main() -> std::io::Result<()> {
    let limits = NodeLimits::default();
    let address = SocketAddr::from(([127, 0, 0, 1], 8790));
    let listener = Listener::bind(address, &ListenOptions::default()).map_err(std::io::Error::other)?.remove(0);
    let metrics = telemetry::Metrics::new();
    let store = cache::MemoryStore::new(cache::MemoryStoreLimits::from(&limits));
    let cache = ProxyCache::new(Arc::new(store), limits.cache_key_bytes);
    let config = CoreConfig {
        listener,
        hosts: Hosts::new(HostMap::single(site())),
        counts: ConnectionCounts::new(&limits),
        limits,
        clock: Arc::new(SystemClock::default()),
        rng: Arc::new(SystemRng),
        sink: metrics,
        drain: Drain::new(),
        cache,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run_core(config)).map(drop)
}
