//! Confirms decision 0006 on the implementation: what calls between a script and its WebAssembly cost,
//! and what an instance of the script with a module in its image does.
//!
//! ```text
//! cargo run --release -p selvedge-engine --example wasm
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Body, NodeLimits, WorkerLimits, WorkerName};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use selvedge_engine::{Engine, RuntimeOptions};
use services::egress::EgressPolicy;
use telemetry::{NullSink, Phases, Record, RecordHandle};
use worker::{
    Call, Core, Engine as _, Env, Event, Failure, FetchEvent, Fetcher, Instance, Outbound, Program, Response,
    ResponseCache,
};

/// So often in one request.
const CALLS: u32 = 20_000;

/// What the handler finds in a script without a module.
const PLAIN: &str = "const x = { add() {}, four_times() {}, log_it() {} };";

/// The module is that of the tests.
const WITH_MODULE: &str = "
import module from './basic.wasm';
const env = { log() {}, twice: (x) => x, pair: () => [1, 2] };
const { exports: x } = new WebAssembly.Instance(module, { env });";

const HANDLER: &str = "
const js = (a, b) => (a + b) | 0;
const cases = {
  '/hello': () => {},
  '/once': () => x.add(1, 2),
  '/script': (n) => { for (let i = 0; i < n; i++) js(i, 1) },
  '/call': (n) => { for (let i = 0; i < n; i++) x.add(i, 1) },
  '/i64': (n) => { for (let i = 0; i < n; i++) x.four_times(1n) },
  '/back': (n) => { for (let i = 0; i < n; i++) x.log_it(i) },
};
export default { fetch(request) {
  const url = new URL(request.url);
  cases[url.pathname](Number(url.searchParams.get('n')));
  return new Response('done');
} };";

fn main() {
    let directory = std::env::temp_dir().join("selvedge-wasm-example");
    let engine = Engine::open(&directory.join("cache"), &directory.join("key"), RuntimeOptions { instances_max: 64 });
    let engine = engine.expect("an engine");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let plain = App::start(&engine, script(&format!("{PLAIN}{HANDLER}"), &[]));
        let basic = include_bytes!("../tests/fixtures/wasm/basic.wasm");
        let app = App::start(&engine, script(&format!("{WITH_MODULE}{HANDLER}"), &[("basic.wasm", basic)]));
        fresh("fresh instance and hello, no WebAssembly", &plain, "/hello").await;
        fresh("fresh instance and hello, a module in the image that is not touched", &app, "/hello").await;
        fresh("fresh instance and its first call into the module", &app, "/once").await;
        let instance = app.instance();
        let empty = per_call(&instance, "/script").await;
        println!("{:<70} {:>8.3} µs", "a call from script to script", micros(empty));
        for (what, path) in [
            ("a call of add(i32, i32)", "/call"),
            ("a call with an i64, and two callbacks with one", "/i64"),
            ("a call with a callback", "/back"),
        ] {
            println!("{what:<70} {:>8.3} µs", micros(per_call(&instance, path).await));
        }
    });
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The median of many instances, each for one request.
async fn fresh(what: &str, app: &App, path: &str) {
    let mut times = Vec::new();
    for _ in 0..300 {
        let begun = Instant::now();
        let instance = app.instance();
        answer(&instance, path).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("{what:<70} {:>8.1} µs", micros(times[times.len() / 2]));
}

/// The best of a few requests, each with many calls.
async fn per_call(instance: &Rc<dyn Instance>, path: &str) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let begun = Instant::now();
        answer(instance, &format!("{path}?n={CALLS}")).await;
        best = best.min(begun.elapsed());
    }
    best / CALLS
}

async fn answer(instance: &Rc<dyn Instance>, path: &str) {
    let call = Call::new(RecordHandle::new(Record::default(), Arc::new(NullSink)));
    let event = FetchEvent {
        method: Method::GET,
        url: format!("http://a.test{path}"),
        headers: HeaderMap::new(),
        body: Body::empty(),
        client: None,
        cf: None,
        entry: None,
    };
    instance.clone().run(call, Event::Fetch(Box::new(event))).await.map_err(|ended| ended.failure).expect("an answer");
}

fn script(source: &str, modules: &[(&str, &[u8])]) -> Artifact {
    let module = |name: &str, kind, source: &[u8], imports| Module {
        name: name.into(),
        kind,
        source: source.to_vec(),
        imports,
        source_map: None,
    };
    let imports = modules.iter().enumerate().map(|(i, (name, _))| (format!("./{name}"), i as u32 + 1)).collect();
    let mut all = vec![module("index.js", ModuleKind::Js, source.as_bytes(), imports)];
    all.extend(modules.iter().map(|(name, wasm)| module(name, ModuleKind::Wasm, wasm, Vec::new())));
    Artifact::Script(Script { entry: 0, modules: all, warm: None })
}

struct App {
    program: Arc<dyn Program>,
    env: Arc<Env>,
    core: Core,
}

impl App {
    fn start(engine: &Engine, artifact: Artifact) -> Self {
        let limits = WorkerLimits { cpu_ms: 60_000, ..WorkerLimits::default() };
        let report = engine.prepare(&artifact, &limits).expect("a script that starts");
        if report.fresh {
            println!("an image of {} KiB, made in {:.1} ms", report.bytes >> 10, report.elapsed.as_secs_f64() * 1e3);
        }
        let program = engine.load(&artifact.digest(), &limits).expect("an image").expect("it was just prepared");
        let node = NodeLimits::default();
        let store = Arc::new(cache::MemoryStore::new(cache::MemoryStoreLimits::from(&node)));
        let env = Arc::new(Env {
            app: "example".into(),
            worker: WorkerName::parse("web").expect("a name"),
            bindings: Vec::new(),
            limits,
            egress: Arc::new(EgressPolicy::new(Vec::new(), Vec::new())),
            fetcher: Arc::new(NoNet),
            responses: ResponseCache::new(store, &node),
            source_map: None,
            dev: true,
        });
        Self { program, env, core: Core::new(0) }
    }

    fn instance(&self) -> Rc<dyn Instance> {
        self.program.clone().instantiate(&self.core, &self.env, &Cell::new(Phases::default())).expect("an instance")
    }
}

struct NoNet;

impl Fetcher for NoNet {
    fn fetch(&self, _: Arc<EgressPolicy>, _: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        async { Err(Failure::new(&base::code::EGRESS_DENIED, "there is no network here")) }.boxed()
    }

    fn upgrade(
        &self,
        policy: Arc<EgressPolicy>,
        request: Outbound,
        _: base::SocketOptions,
    ) -> BoxFuture<'static, Result<Response, Failure>> {
        self.fetch(policy, request)
    }
}
