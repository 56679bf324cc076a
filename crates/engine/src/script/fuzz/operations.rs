//! Operations with arguments that no prelude would send, begun in an instance of their own.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::artifact::{Module, ModuleKind, Script};
use base::{
    AppName, Artifact, BindingName, Body, NodeLimits, ResourceName, SocketOptions, SystemClock, TenantName,
    WorkerLimits, WorkerName,
};
use cache::{MemoryStore, MemoryStoreLimits};
use futures_util::future::BoxFuture;
use services::egress::{EgressPolicy, EgressRule};
use services::memory::MemoryKv;
use services::{KvLimits, KvNamespace};
use telemetry::{NullSink, Phases, Record, RecordHandle};
use testkit::fuzz::{Choices, Fuzz};
use worker::{Call, Core, Env, Failure, Fetcher, Handle, Meter, Outbound, Response, ResponseCache};

use super::calls::{argument, guest};
use super::encode;
use crate::cache::Cache;
use crate::runtime::{Runtime, RuntimeOptions};
use crate::script::abi::{ask, crypto, node, operation};
use crate::script::codec::{Encoder, Value};
use crate::script::instance::ScriptInstance;
use crate::script::operations::Operation;
use crate::script::program::{Program, Scripts};

/// Every operation, and what its arguments should be: letters as for calls, `o` options of KV,
/// `m` a method, `w` an address.
const OPERATIONS: [(i32, &str); 20] = [
    (operation::TIMER, "u"),
    (operation::FETCH, "mwsyun"),
    (operation::SERVICE, "hmwsyun"),
    (operation::BODY_READ, "h"),
    (operation::BODY_REST, "hb"),
    (operation::STREAM_WRITE, "hy"),
    (operation::SOCKET_READ, "h"),
    (operation::KV_GET, "hs"),
    (ask::KV_READ, "hsu"),
    (operation::KV_GET_MANY, "ha"),
    (operation::KV_PUT, "hsyuo"),
    (operation::KV_DELETE, "hsu"),
    (operation::KV_LIST, "hssu"),
    (operation::CACHE_MATCH, "smws"),
    (operation::CACHE_PUT, "smwsusyu"),
    (operation::CACHE_DELETE, "smws"),
    (crypto::AGREE, "nyy"),
    (crypto::RSA_IMPORT, "nyyy"),
    (node::KDF_OPERATION, "nnyyuu"),
    (node::ZIP_OPERATION, "nbuuuby"),
];

const OPTIONS: [&str; 9] = [
    "{}",
    "{\"expirationMs\":1e18}",
    "{\"ttlS\":1e300}",
    "{\"ttlS\":60,\"metadata\":\"[1]\"}",
    "{\"ttlS\":-1}",
    "{\"ifRevision\":1e99,\"ifAbsent\":true}",
    "{\"expirationMs\":-1e18,\"metadata\":{\"a\":1}}",
    "[]",
    "{\"metadata\":\"",
];
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "get", "é", "A B"];
const ADDRESSES: [&str; 9] = [
    "http://a/",
    "https://user:p@a:8080/b?c#d",
    "data:text/html;base64,PGI+",
    "data:,%zz",
    "ws://a/",
    "ftp://a/",
    "http://[::1]/",
    "//a",
    "",
];

/// Answers every request, and sends some elsewhere.
struct Net;

impl Fetcher for Net {
    fn fetch(&self, _: Arc<EgressPolicy>, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        let mut response = Response::new(Body::full("x"));
        if request.url.path() == "/b" {
            *response.status_mut() = http::StatusCode::FOUND;
            response.headers_mut().insert("location", http::HeaderValue::from_static("/b?again"));
        }
        response.headers_mut().insert("cache-control", http::HeaderValue::from_static("max-age=9"));
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

fn program() -> Arc<Program> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/fuzz");
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or(folder, |folder| Path::new(folder).join("fuzz"));
    let runtime = Arc::new(Runtime::new(RuntimeOptions { instances_max: 4 }).expect("a runtime"));
    let cache = Arc::new(Cache::open(&folder.join("cache"), &folder.join("key")).expect("a cache"));
    let scripts = Scripts::new(runtime, cache).expect("the guest boots");
    let source = b"export default { fetch() {} }".to_vec();
    let module = Module { name: "a.js".into(), kind: ModuleKind::Js, source, imports: vec![], source_map: None };
    let script = Script { entry: 0, modules: vec![module], warm: None };
    let digest = Artifact::Script(script.clone()).digest();
    scripts.prepare(&digest, &script, &WorkerLimits::default()).expect("it starts");
    scripts.load(&digest).expect("it was just prepared")
}

fn env() -> Arc<Env> {
    let provider = Arc::new(MemoryKv::new(Arc::new(SystemClock::default()), KvLimits::default()));
    let namespace = KvNamespace::new(
        TenantName::parse("t").expect("a name"),
        AppName::parse("app").expect("a name"),
        ResourceName::parse("kv").expect("a name"),
    );
    let kv = |name: &str| {
        let handle = Handle::Kv { provider: provider.clone(), namespace: namespace.clone() };
        (BindingName::parse(name).expect("a name"), handle)
    };
    let limits = NodeLimits::default();
    let store = Arc::new(MemoryStore::new(MemoryStoreLimits::from(&limits)));
    Arc::new(Env {
        app: "test".into(),
        worker: WorkerName::parse("web").expect("a name"),
        bindings: vec![kv("A"), (BindingName::parse("B").expect("a name"), Handle::Text("text".into())), kv("C")],
        limits: WorkerLimits { kdf_work: 1 << 10, ..WorkerLimits::default() },
        egress: Arc::new(EgressPolicy::new(vec![EgressRule::Public], vec![])),
        fetcher: Arc::new(Net),
        responses: ResponseCache::new(store, &limits),
        source_map: None,
        dev: true,
    })
}

pub fn fuzz() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (program, env) = (program(), env());
    let seeds =
        (0..OPERATIONS.len() as u8).map(|index| vec![index, 41, 0, 41, 1, 41, 2, 41, 3, 41, 4, 41, 5, 41, 6, 41, 7]);
    Fuzz::new("operations").seeds(seeds).run(|input| {
        let mut choices = Choices::new(input);
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let core = Core::new(0);
            let instance = program.clone().start(&core, &env, None, &Cell::new(Phases::default())).expect("a sandbox");
            let instance = Rc::new(instance);
            let mut count = 0;
            let mut ended = Vec::new();
            while !choices.is_over() && count < 12 {
                count += 1;
                ended.push(begin(&mut choices, &instance).await);
            }
            ended
        })
    });
}

/// How an operation ended: what its answer begins with; nothing if it waits.
async fn begin(choices: &mut Choices<'_>, instance: &Rc<ScriptInstance>) -> Option<u8> {
    let (code, shape) = OPERATIONS[choices.below(OPERATIONS.len())];
    let pool = [(0..32).collect(), vec![0; 16], b"key".to_vec()];
    let mut arguments = Encoder::default();
    for kind in shape.chars() {
        let value = match kind {
            'o' => Value::String(choices.pick(&OPTIONS).into()),
            'm' => Value::String(choices.pick(&METHODS).into()),
            'w' => Value::String(choices.pick(&ADDRESSES).into()),
            kind => argument(kind, choices, &pool),
        };
        encode(&value, &mut arguments);
    }
    let record = RecordHandle::new(Record::default(), Arc::new(NullSink));
    let context = Some((Call::new(record), Arc::new(Meter::default())));
    let operation = Operation { instance: instance.clone(), context, request: 1, code, arguments: arguments.0 };
    let completion = tokio::time::timeout(Duration::from_millis(20), operation.perform()).await.ok()?;
    let mut out = Encoder::default();
    completion.encode(1, instance, &mut guest(), &mut out);
    let mut rest = &out.0[..];
    while !rest.is_empty() {
        rest = skip(rest);
    }
    out.0.first().copied()
}

/// Passes over a value as the guest reads it, which knows more kinds than it sends.
fn skip(data: &[u8]) -> &[u8] {
    let (&tag, rest) = data.split_first().expect("a value");
    let (count, behind) = match tag {
        0..=3 => return rest,
        4 | 11 => return &rest[8..],
        8 => return &rest[4..],
        _ => word(rest),
    };
    match tag {
        5 | 6 | 12 | 13 => &behind[count..],
        7 => (0..count).fold(behind, |rest, _| skip(rest)),
        9 => (0..count).fold(behind, |rest, _| skip(name(rest))),
        10 => {
            let (rows, values) = word((0..count).fold(behind, |rest, _| name(rest)));
            (0..rows * count).fold(values, |rest, _| skip(rest))
        }
        tag => panic!("no value begins with {tag}"),
    }
}

fn word(data: &[u8]) -> (usize, &[u8]) {
    let (word, rest) = data.split_at(4);
    (u32::from_le_bytes(word.try_into().expect("four bytes")) as usize, rest)
}

fn name(data: &[u8]) -> &[u8] {
    let (length, rest) = word(data);
    &rest[length..]
}
