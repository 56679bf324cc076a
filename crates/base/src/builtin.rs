//! What the script platform brings besides the globals that every script has: modules that a script
//! imports by a scheme, and globals that are loaded when a script wants them.
//!
//! Their sources are part of the prelude (`engine-guest/prelude`), whose README says how they are
//! loaded. This is the one list of their names: the script builder resolves specifiers by it, the
//! engine finds the sources, and the prelude defines the globals.

/// Globals that are not part of every image.
#[derive(Debug)]
pub struct Feature {
    /// Its module is `features/NAME.ts`.
    pub name: &'static str,
    pub globals: &'static [&'static str],
    /// What makes the engine load it ahead of a script: a word of its source. The globals do too.
    pub words: &'static [&'static str],
}

impl Feature {
    pub fn triggers(&self) -> impl Iterator<Item = &'static str> {
        self.globals.iter().filter(|global| !ORDINARY_WORDS.contains(global)).chain(self.words).copied()
    }
}

/// Globals whose names stand in many sources that don't mean them.
const ORDINARY_WORDS: &[&str] = &["process"];

pub const FEATURES: &[Feature] = &[
    Feature { name: "buffer", globals: &["Buffer"], words: &[] },
    Feature { name: "immediate", globals: &["setImmediate", "clearImmediate"], words: &[] },
    Feature { name: "process", globals: &["process"], words: &["process.", "process?.", "process["] },
    Feature { name: "caches", globals: &["caches", "Cache", "CacheStorage"], words: &[] },
    Feature { name: "clone", globals: &["structuredClone"], words: &[] },
    Feature { name: "compression", globals: &["CompressionStream", "DecompressionStream"], words: &[] },
    Feature { name: "htmlrewriter", globals: &["HTMLRewriter"], words: &[] },
    Feature { name: "closeevent", globals: &["CloseEvent"], words: &[] },
    Feature { name: "websocket", globals: &["WebSocket", "WebSocketPair"], words: &["webSocket"] },
    Feature { name: "eventsource", globals: &["EventSource"], words: &[] },
    Feature {
        name: "bytestreams",
        globals: &["ReadableByteStreamController", "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest"],
        words: &["byob"],
    },
    Feature { name: "digeststream", globals: &[], words: &["DigestStream"] },
    Feature {
        name: "errorevents",
        globals: &["ErrorEvent", "PromiseRejectionEvent"],
        words: &["unhandledrejection", "onunhandledrejection"],
    },
    Feature { name: "filereader", globals: &["FileReader", "ProgressEvent"], words: &[] },
    Feature { name: "forms", globals: &["FormData"], words: &["formData"] },
    Feature { name: "identity", globals: &["FixedLengthStream", "IdentityTransformStream"], words: &[] },
    Feature { name: "intl", globals: &["Intl"], words: &["toLocale", "localeCompare"] },
    Feature { name: "kv", globals: &[], words: &["atomic(", ".watch(", "changedSince"] },
    Feature { name: "messageevent", globals: &["MessageEvent"], words: &[] },
    Feature { name: "messaging", globals: &["MessageChannel", "MessagePort"], words: &[] },
    Feature {
        name: "performance",
        globals: &[
            "PerformanceEntry",
            "PerformanceMark",
            "PerformanceMeasure",
            "PerformanceObserver",
            "PerformanceObserverEntryList",
        ],
        words: &[],
    },
    Feature {
        name: "pipes",
        globals: &[
            "ByteLengthQueuingStrategy",
            "CountQueuingStrategy",
            "TransformStream",
            "TransformStreamDefaultController",
            "WritableStream",
            "WritableStreamDefaultController",
            "WritableStreamDefaultWriter",
        ],
        words: &["pipeThrough", "pipeTo"],
    },
    Feature { name: "blobs", globals: &[], words: &[] },
    Feature { name: "rpc", globals: &[], words: &["DurableObject", "RpcStub", "RpcTarget", "WorkerEntrypoint"] },
    Feature { name: "objects", globals: &["WebSocketRequestResponsePair"], words: &["DurableObject"] },
    Feature { name: "postgres", globals: &[], words: &[] },
    Feature { name: "scheduler", globals: &["Scheduler", "scheduler"], words: &[] },
    Feature { name: "sql", globals: &[], words: &[] },
    Feature { name: "subtle", globals: &["CryptoKey", "SubtleCrypto"], words: &["subtle"] },
    Feature { name: "textstreams", globals: &["TextDecoderStream", "TextEncoderStream"], words: &[] },
    Feature { name: "webassembly", globals: &["WebAssembly"], words: &[] },
    Feature { name: "urlpattern", globals: &["URLPattern"], words: &[] },
];

/// Modules by the specifiers that scripts use: `SCHEME:PATH` is `SCHEME/PATH.ts` of the prelude.
pub const MODULES: &[&str] = &[
    "cloudflare:test",
    "cloudflare:workers",
    "node:assert",
    "node:assert/strict",
    "node:async_hooks",
    "node:buffer",
    "node:child_process",
    "node:cluster",
    "node:console",
    "node:constants",
    "node:crypto",
    "node:dgram",
    "node:diagnostics_channel",
    "node:dns",
    "node:dns/promises",
    "node:events",
    "node:fs",
    "node:fs/promises",
    "node:http",
    "node:http2",
    "node:https",
    "node:inspector",
    "node:module",
    "node:net",
    "node:os",
    "node:path",
    "node:path/posix",
    "node:path/win32",
    "node:perf_hooks",
    "node:process",
    "node:punycode",
    "node:querystring",
    "node:readline",
    "node:readline/promises",
    "node:stream",
    "node:stream/consumers",
    "node:stream/promises",
    "node:stream/web",
    "node:string_decoder",
    "node:sys",
    "node:timers",
    "node:timers/promises",
    "node:tls",
    "node:trace_events",
    "node:tty",
    "node:url",
    "node:util",
    "node:util/types",
    "node:v8",
    "node:vm",
    "node:wasi",
    "node:worker_threads",
    "node:zlib",
    "selvedge:test",
    "selvedge:test/runner",
];

/// A line for each of [`MODULES`]: its specifier, and the names that it exports. Made with the prelude.
static EXPORTS: &str = include_str!("../../../engine-guest/dist/prelude.exports");

/// The names that one of [`MODULES`] exports.
pub fn exports(specifier: &str) -> impl Iterator<Item = &'static str> {
    let lines = EXPORTS.lines().filter_map(|line| line.split_once(' '));
    let names = lines.filter(move |(module, _)| *module == specifier).map(|(_, names)| names).next();
    names.into_iter().flat_map(|names| names.split(' '))
}

/// Those of [`MODULES`] that only a test file may import, and what other specifiers mean there.
pub const TEST_MODULES: &[&str] = &["cloudflare:test", "selvedge:test", "selvedge:test/runner"];
pub const TEST_ALIASES: &[(&str, &str)] = &[("vitest", "selvedge:test")];

/// What a worker that calls methods of others uses, as a module of its artifact that nothing imports:
/// no word of its source says so, but its bindings and its source together do.
pub const CALLS: &str = "features:rpc";

/// What a worker with a SQL database uses, in the same way.
pub const SQL: &str = "features:sql";
/// What stubs of durable objects take, as a specifier too.
pub const OBJECTS: &str = "features:objects";
/// The same for what a KV namespace has beside the names of Workers.
pub const KV_MORE: &str = "features:kv";
/// What a worker with a PostgreSQL binding uses, in the same way.
pub const POSTGRES: &str = "features:postgres";

/// Whether a specifier names one of [`MODULES`].
pub fn is_module(specifier: &str) -> bool {
    MODULES.contains(&specifier)
}

/// The file of the prelude that holds a builtin module.
pub fn module_file(specifier: &str) -> String {
    format!("{}.ts", specifier.replacen(':', "/", 1))
}
