//! An engine, a script in it, and what it needs around it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Body, NodeLimits, SocketOptions, WorkerLimits, WorkerName};
use bytes::Bytes;
use cache::{MemoryStore, MemoryStoreLimits};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use selvedge_engine::{Engine, RuntimeOptions};
use services::egress::{EgressPolicy, EgressRule};
use telemetry::{GuestLine, Phases, Record, RecordHandle, Sink};
use worker::{
    Call, Core, Engine as _, Env, Event, Failure, FetchEvent, Fetcher, Handle, Instance, Outbound, Program, Response,
    ResponseCache,
};

/// One engine serves all tests of a process, and one cache of compiled code all processes: to
/// compile the guest takes seconds in a debug build.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let options = RuntimeOptions { instances_max: 200 };
        Engine::open(&directory.join("cache"), &directory.join("engine.key"), options).expect("an engine")
    })
}

pub fn script(source: &str) -> Artifact {
    Artifact::Script(Script { entry: 0, modules: vec![module(source)], warm: None })
}

pub fn module(source: &str) -> Module {
    Module {
        name: "index.js".into(),
        kind: ModuleKind::Js,
        source: source.as_bytes().to_vec(),
        imports: vec![],
        source_map: None,
    }
}

/// Keeps what was recorded.
#[derive(Default)]
pub struct Kept {
    pub records: Mutex<Vec<Record>>,
    pub lines: Mutex<Vec<GuestLine>>,
}

impl Sink for Kept {
    fn record(&self, record: Record) {
        self.records.lock().unwrap().push(record);
    }

    fn line(&self, line: GuestLine) {
        self.lines.lock().unwrap().push(line);
    }
}

type Answerer = Box<dyn Fn(&Outbound) -> Response + Send + Sync>;

/// Answers outbound requests from a function.
pub struct FakeNet(pub Answerer);

impl Fetcher for FakeNet {
    fn fetch(&self, _: Arc<EgressPolicy>, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        let response = (self.0)(&request);
        Box::pin(async move { Ok(response) })
    }

    fn upgrade(
        &self,
        policy: Arc<EgressPolicy>,
        request: Outbound,
        _: SocketOptions,
    ) -> BoxFuture<'static, Result<Response, Failure>> {
        self.fetch(policy, request)
    }
}

/// A script or component in an instance.
pub struct Running {
    pub instance: Rc<dyn Instance>,
    pub program: Arc<dyn Program>,
    pub env: Arc<Env>,
    pub kept: Arc<Kept>,
    pub core: Core,
}

pub struct Setup {
    pub artifact: Artifact,
    pub limits: WorkerLimits,
    pub bindings: Vec<(base::BindingName, Handle)>,
    pub net: Answerer,
}

pub fn setup(source: &str) -> Setup {
    setup_artifact(script(source))
}

pub fn setup_artifact(artifact: Artifact) -> Setup {
    Setup {
        artifact,
        limits: WorkerLimits::default(),
        bindings: vec![],
        net: Box::new(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        }),
    }
}

/// A cache of its own for each worker.
fn responses() -> ResponseCache {
    let limits = NodeLimits::default();
    ResponseCache::new(Arc::new(MemoryStore::new(MemoryStoreLimits::from(&limits))), &limits)
}

impl Setup {
    pub fn limits(mut self, change: impl FnOnce(&mut WorkerLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub fn bind(mut self, name: &str, handle: Handle) -> Self {
        self.bindings.push((base::BindingName::parse(name).unwrap(), handle));
        self
    }

    pub fn net(mut self, answer: impl Fn(&Outbound) -> Response + Send + Sync + 'static) -> Self {
        self.net = Box::new(answer);
        self
    }

    pub fn try_start(self) -> Result<Running, Failure> {
        engine().prepare(&self.artifact, &self.limits)?;
        let program = engine().load(&self.artifact.digest(), &self.limits)?.expect("it was just prepared");
        let env = Arc::new(Env {
            app: "test".into(),
            worker: WorkerName::parse("web").unwrap(),
            bindings: self.bindings,
            limits: self.limits,
            egress: Arc::new(EgressPolicy::new(vec![EgressRule::Public], vec![])),
            fetcher: Arc::new(FakeNet(self.net)),
            responses: responses(),
            source_map: None,
            dev: true,
        });
        let core = Core::new(0);
        let instance = program.clone().instantiate(&core, &env, &Cell::new(Phases::default()))?;
        Ok(Running { instance, program, env, kept: Arc::default(), core })
    }

    pub fn start(self) -> Running {
        self.try_start().unwrap_or_else(|failure| panic!("{failure}\n{}", failure.stack.as_deref().unwrap_or_default()))
    }
}

pub fn get(url: &str) -> FetchEvent {
    FetchEvent {
        method: Method::GET,
        url: url.into(),
        headers: HeaderMap::new(),
        body: Body::empty(),
        client: None,
        cf: None,
        entry: None,
    }
}

pub fn post(url: &str, body: Body) -> FetchEvent {
    FetchEvent { method: Method::POST, body, ..get(url) }
}

impl Running {
    pub fn call(&self) -> Call {
        let record = RecordHandle::new(Record::default(), self.kept.clone());
        Call::new(record)
    }

    pub async fn run(&self, event: FetchEvent) -> Result<Response, Failure> {
        Ok(self.instance.clone().run(self.call(), Event::Fetch(Box::new(event))).await?)
    }

    pub async fn text(&self, event: FetchEvent) -> String {
        let response =
            self.run(event).await.unwrap_or_else(|f| panic!("{f}\n{}", f.stack.as_deref().unwrap_or_default()));
        String::from_utf8(collect(response).await.to_vec()).unwrap()
    }

    /// The code of the failure that this event must come to.
    pub async fn code(&self, event: FetchEvent) -> &'static str {
        match self.run(event).await {
            Ok(response) => panic!("expected a failure, got {}", response.status()),
            Err(failure) => failure.code.name,
        }
    }

    pub fn fresh(&self) -> Rc<dyn Instance> {
        self.program.clone().instantiate(&self.core, &self.env, &Cell::new(Phases::default())).unwrap()
    }
}

pub async fn collect(response: Response) -> Bytes {
    response.into_body().collect(64 << 20).await.unwrap()
}

/// Runs a test as a core of a node does.
pub fn on_core<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}
