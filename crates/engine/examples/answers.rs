//! Gives each of many files to a fresh instance of one script, as the body of a request:
//! `answers SCRIPT ROOT CACHE`, with the path of a file on each line of standard input. One line of
//! JSON answers each, as it is done: `{"file", "body"}` or `{"file", "failure"}`. The conformance
//! suites of `cargo xtask conformance` run in it.
//!
//! What it is not: a node. The only network here is the folder ROOT, whose files `fetch` finds
//! under any host; CACHE keeps compiled code between runs.

use std::cell::Cell;
use std::io::{BufRead as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Body, NodeLimits, WorkerLimits, WorkerName};
use bytes::Bytes;
use cache::{MemoryStore, MemoryStoreLimits};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use selvedge_engine::{Engine, RuntimeOptions};
use services::egress::{EgressPolicy, EgressRule};
use telemetry::{NullSink, Phases, Record, RecordHandle};
use worker::{
    Call, Core, Engine as _, Env, Event, Failure, FetchEvent, Fetcher, Outbound, Program, Response, ResponseCache,
};

/// Requests under way at once: most of them wait for a timer, most of the time.
const AT_ONCE: usize = 8;
const ANSWER_BYTES_MAX: usize = 64 << 20;

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [script, root, cache] = arguments.as_slice() else {
        eprintln!("usage: answers SCRIPT ROOT CACHE < paths");
        std::process::exit(2);
    };
    let app = App::start(script, root, cache).unwrap_or_else(|failure| {
        eprintln!("{failure}\n{}", failure.stack.as_deref().unwrap_or_default());
        std::process::exit(1);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lines = std::io::stdin().lock().lines().map(|line| line.expect("lines of text"));
    let mut answers = stream::iter(lines).map(|file| app.answer(file)).buffer_unordered(AT_ONCE);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        while let Some(answer) = answers.next().await {
            writeln!(std::io::stdout(), "{answer}").expect("a reader");
        }
    });
}

struct App {
    program: Arc<dyn Program>,
    env: Arc<Env>,
    core: Core,
}

impl App {
    fn start(script: &Path, root: &Path, cache: &Path) -> Result<Self, Failure> {
        let engine = Engine::open(cache, &cache.join("key"), RuntimeOptions { instances_max: 64 })?;
        let source = std::fs::read(script).map_err(|error| internal(&format!("{}: {error}", script.display())))?;
        let module =
            Module { name: "suite.js".into(), kind: ModuleKind::Js, source, imports: vec![], source_map: None };
        let artifact = Artifact::Script(Script { entry: 0, modules: vec![module], warm: None });
        let limits = limits();
        engine.prepare(&artifact, &limits)?;
        let program = engine.load(&artifact.digest(), &limits)?.ok_or_else(|| internal("the image was not kept"))?;
        let node = NodeLimits::default();
        let env = Arc::new(Env {
            app: "conformance".into(),
            worker: WorkerName::parse("suite").expect("a name"),
            bindings: vec![],
            limits,
            egress: Arc::new(EgressPolicy::new(vec![EgressRule::Public], vec![])),
            fetcher: Arc::new(Folder(root.to_owned())),
            responses: ResponseCache::new(Arc::new(MemoryStore::new(MemoryStoreLimits::from(&node))), &node),
            source_map: None,
            dev: true,
        });
        Ok(Self { program, env, core: Core::new(0) })
    }

    async fn answer(&self, file: String) -> serde_json::Value {
        match self.body_of(&file).await {
            Ok(body) => serde_json::json!({ "file": file, "body": body }),
            Err(failure) => {
                let stack = failure.stack.as_deref().unwrap_or_default();
                serde_json::json!({ "file": file, "failure": format!("{failure}\n{stack}") })
            }
        }
    }

    async fn body_of(&self, file: &str) -> Result<String, Failure> {
        let given = std::fs::read(file).map_err(|error| internal(&format!("{file}: {error}")))?;
        let event = FetchEvent {
            method: Method::POST,
            url: "http://a.test/".into(),
            headers: HeaderMap::new(),
            body: Body::full(Bytes::from(given)),
            client: None,
            cf: None,
            entry: None,
        };
        let instance = self.program.clone().instantiate(&self.core, &self.env, &Cell::new(Phases::default()))?;
        let record = RecordHandle::new(Record::default(), Arc::new(NullSink));
        let call = Call::new(record);
        let response = instance.run(call, Event::Fetch(Box::new(event))).await?;
        let body = response.into_body().collect(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| internal(&format!("the answer broke off: {error}")))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

/// A suite's test works longer, and fetches more, than a request does.
fn limits() -> WorkerLimits {
    WorkerLimits {
        cpu_ms: 30_000,
        head_ms: 90_000,
        memory_mib: 512,
        subrequests: 10_000,
        wasm_compile_bytes: 1 << 20,
        ..WorkerLimits::default()
    }
}

fn internal(message: &str) -> Failure {
    Failure::new(&base::code::INTERNAL, message)
}

/// Answers every request from a folder; the one program of the suite's server that it knows sends
/// back what it is sent.
struct Folder(PathBuf);

impl Fetcher for Folder {
    fn fetch(&self, _: Arc<EgressPolicy>, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        let path = Path::new(request.url.path().trim_start_matches('/'));
        if path.ends_with("echo-content.py") {
            return async { Ok(Response::new(request.body)) }.boxed();
        }
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let found = if inside { std::fs::read(self.0.join(path)).ok() } else { None };
        let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let mut response = Response::new(Body::full(Bytes::from(found.unwrap_or_default())));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(media_type(path));
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        async { Ok(response) }.boxed()
    }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => "application/json",
        Some("js") => "text/javascript",
        Some("html") => "text/html",
        Some("wasm") => "application/wasm",
        _ => "text/plain",
    }
}
