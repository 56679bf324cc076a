//! A node on one core whose only worker answers at once: what the edge itself costs.
//!
//! `cargo run --release -p selvedge-edge --example hello`, then `wrk -t1 -c64 http://127.0.0.1:8790/`. With a
//! certificate and its key, or a directory of them, as arguments, it speaks TLS on port 8791 as well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{AppLimits, Body, Clock as _, NodeLimits, SystemClock, SystemRng, WorkerLimits};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use manifest::{Isolation, Origins, Plan, Route, RouteTable, Target, WorkerIndex, WorkerKind, WorkerPlan};
use net::tls::Source;
use net::{ConnectionCounts, ListenOptions, Listener, Reception, Tls, TlsOptions};
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
    let routes = vec![Route::new(host, path, Target::Worker(WorkerIndex(0)))];
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
        cache_rules: Vec::new(),
        postgres: BTreeMap::new(),
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

fn source() -> Option<Source> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (cert, key) = (arguments.next()?, arguments.next());
    Some(match key {
        Some(key) => Source::Files { cert, key, ocsp: None, hosts: Vec::new(), default: true },
        None => Source::Directory(cert),
    })
}

fn main() -> std::io::Result<()> {
    // The load comes from one address, and some of it stands still.
    let limits = NodeLimits {
        connections: 100_000,
        connections_per_address: 100_000,
        idle_ms: 3_600_000,
        ..NodeLimits::default()
    };
    let bind = |port| {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Listener::bind(address, &ListenOptions::default()).map(|mut all| all.remove(0)).map_err(std::io::Error::other)
    };
    let mut listeners = vec![bind(8790)?];
    if let Some(source) = source() {
        let now = Duration::from_millis(SystemClock::default().unix_ms());
        let tls = Tls::open(TlsOptions::new(vec![source], &limits), now);
        let tls = tls.map_err(|problems| std::io::Error::other(format!("{problems:?}")))?;
        println!("{} certificates", tls.summary().certificates);
        listeners.push(bind(8791)?.with(&Arc::new(Reception { listener: 1, tls: Some(tls), ..Reception::default() })));
    }
    let metrics = telemetry::Metrics::new();
    let store = cache::MemoryStore::new(cache::MemoryStoreLimits::from(&limits));
    let cache = ProxyCache::new(cache::Responses::new(Arc::new(store)), &limits, &SystemClock::default());
    let config = CoreConfig {
        intakes: Vec::new(),
        changes: None,
        listeners,
        doors: Arc::default(),
        hosts: Hosts::new(HostMap::single(site())),
        counts: ConnectionCounts::new(&limits),
        limits,
        clock: Arc::new(SystemClock::default()),
        rng: Arc::new(SystemRng),
        sink: metrics,
        drain: Drain::new(),
        cache,
        countries: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run_core(config)).map(drop)
}
