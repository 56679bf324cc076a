//! For the tests of this crate: plans by hand, workers that are closures, a node on a socket.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use base::{AppLimits, NodeLimits, SystemClock, SystemRng, WorkerLimits};
use futures_util::future::LocalBoxFuture;
use manifest::{
    AssetsIndex, AssetsPlan, Isolation, NotFound, Origins, Plan, Route, RouteTable, Target, WorkerIndex, WorkerKind,
    WorkerPlan,
};
use net::{ConnectionCounts, ListenOptions, Listener};
use telemetry::{GuestLine, Record, Sink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use worker::{Call, Event, Failure, FetchEvent, Invoker, Response};

use crate::*;

pub type Reply = LocalBoxFuture<'static, Result<Response, Failure>>;

/// A worker made of a closure.
pub struct Fake<F>(pub F);

impl<F: Fn(Call, FetchEvent) -> Reply + Send + Sync + 'static> Invoker for Fake<F> {
    fn invoke(&self, call: Call, event: Event) -> Reply {
        match event {
            Event::Fetch(fetch) => (self.0)(call, *fetch),
            _ => unreachable!("the edge sends nothing else"),
        }
    }
}

pub fn route(pattern: &str, target: Target) -> Route {
    let (host, path) = manifest::route::parse_pattern(pattern).unwrap();
    Route::new(host, path, target)
}

pub const WORKER: Target = Target::Worker(WorkerIndex(0));
pub const ASSETS: Target = Target::Assets(AssetsIndex(0));
pub const BOTH: Target = Target::AssetsThenWorker { assets: AssetsIndex(0), worker: WorkerIndex(0) };

pub fn plan(app: &str, routes: Vec<Route>, hosts: &[&str], limits: WorkerLimits, not_found: NotFound) -> Plan {
    let worker = WorkerPlan {
        name: "web".parse().unwrap(),
        entry: "index.ts".into(),
        kind: WorkerKind::Script,
        isolation: Isolation::Shared,
        warm: None,
        vars: BTreeMap::new(),
        bindings: Vec::new(),
        egress: Vec::new(),
        limits,
        server_timing: true,
        build: manifest::BuildSettings::default(),
    };
    Plan {
        app: app.parse().unwrap(),
        env_name: None,
        workers: vec![worker],
        postgres: Default::default(),
        upstreams: Vec::new(),
        cache_rules: Vec::new(),
        assets: vec![AssetsPlan { directory: "public".into(), not_found, html: manifest::HtmlHandling::default() }],
        buckets: Vec::new(),
        routes: RouteTable::new(routes).unwrap(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        limits: AppLimits::default(),
        tests: manifest::TestsPlan::default(),
        origins: Origins::default(),
    }
}

pub fn site(plan: Plan, worker: Arc<dyn Invoker>, files: Arc<AssetIndex>) -> Arc<Site> {
    let parts = SiteParts {
        deployment: "d1".into(),
        plan: Arc::new(plan),
        workers: vec![worker],
        assets: vec![files],
        buckets: Vec::new(),
        upstreams: Vec::new(),
        dev: None,
    };
    Site::new(parts)
}

pub fn no_files() -> Arc<AssetIndex> {
    AssetIndex::new([], &AssetMemory::new(0), manifest::HtmlHandling::default())
}

/// Keeps every record.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<Record>>);

impl Sink for Kept {
    fn record(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }

    fn line(&self, _: GuestLine) {}
}

pub struct Node {
    pub address: SocketAddr,
    pub hosts: Arc<Hosts>,
    pub records: Arc<Kept>,
    pub drain: Drain,
    pub done: RefCell<Option<tokio::task::JoinHandle<usize>>>,
}

/// A cache in memory.
pub fn responses() -> Arc<crate::ProxyCache> {
    let limits = NodeLimits::default();
    let store = cache::MemoryStore::new(cache::MemoryStoreLimits::from(&limits));
    crate::ProxyCache::new(cache::Responses::new(Arc::new(store)), &limits, &base::SystemClock::default())
}

pub fn with_node(map: HostMap, limits: NodeLimits, test: impl AsyncFnOnce(Rc<Node>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let options = ListenOptions::default();
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options).unwrap().remove(0);
        let (address, hosts, records, drain) =
            (listener.address().tcp().unwrap(), Hosts::new(map), Arc::new(Kept::default()), Drain::new());
        let config = CoreConfig {
            intakes: Vec::new(),
            changes: None,
            listeners: vec![listener],
            doors: Arc::default(),
            hosts: hosts.clone(),
            counts: ConnectionCounts::new(&limits),
            limits,
            clock: Arc::new(SystemClock::default()),
            rng: Arc::new(SystemRng),
            sink: records.clone(),
            drain: drain.clone(),
            cache: responses(),
            countries: None,
            followed: None,
        };
        let done = tokio::task::spawn_local(async move { run_core(config).await.unwrap().cut });
        test(Rc::new(Node { address, hosts, records, drain, done: RefCell::new(Some(done)) })).await;
    });
}

impl Node {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends one request and reads until the connection closes.
    pub async fn ask(&self, line: &str, host: &str, fields: &str, body: &str) -> Answer {
        let mut stream = self.connect().await;
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n{body}");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_answer(&mut stream).await
    }

    pub async fn get(&self, path: &str, fields: &str) -> Answer {
        self.ask(&format!("GET {path}"), "app.localhost", fields, "").await
    }

    /// The records so far, once there are at least so many.
    pub async fn records(&self, count: usize) -> Vec<Record> {
        while self.records.0.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        self.records.0.lock().unwrap().clone()
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The code of a problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(document["status"], self.status);
        document["code"].as_str().unwrap().to_owned()
    }
}

pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let at =
        bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {} bytes", bytes.len()));
    let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[at + 4..].to_vec() }
}
