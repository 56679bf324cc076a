//! The request that a script answers before its image is taken.

use base::artifact::Script;
use base::{Artifact, Rng as _, SystemRng, WorkerLimits, code};
use telemetry::Level;
use worker::Engine as _;

use crate::fixture::{engine, get, module, on_core, setup_artifact};

/// Images outlive the tests, and what was logged at the start is told only when one is made.
fn warmed(path: &str, source: &str) -> Artifact {
    let nonce = SystemRng.next_u64();
    let modules = vec![module(&format!("{source}\n// {nonce}"))];
    Artifact::Script(Script { entry: 0, modules, warm: Some(path.into()) })
}

fn start_log(artifact: &Artifact) -> Vec<(Level, String)> {
    let report = engine().prepare(artifact, &WorkerLimits::default()).expect("it starts");
    assert!(report.fresh);
    report.console
}

const COUNTER: &str = "let seen = [];
    export default { async fetch(request) {
        const { pathname, search } = new URL(request.url);
        seen.push(pathname + search);
        await 0;
        return new Response(seen.join(' '));
    } }";

#[test]
fn what_the_request_left_is_in_every_instance() {
    on_core(async {
        let artifact = warmed("/hello?name=a", COUNTER);
        assert_eq!(start_log(&artifact), []);
        for _ in 0..2 {
            let running = setup_artifact(artifact.clone()).start();
            assert_eq!(running.text(get("http://t/1")).await, "/hello?name=a /1");
            assert_eq!(running.text(get("http://t/2")).await, "/hello?name=a /1 /2");
        }
    });
}

#[test]
fn a_class_gets_an_env_of_its_instance_later() {
    on_core(async {
        let source =
            "import_ = 0; export default class { constructor(ctx, env) { this.names = Object.keys(env).join(); }
            fetch() { return new Response(`[${this.names}] ${import_++}`); } }";
        let artifact = warmed("/", &source.replace("import_ = 0", "let import_ = 0"));
        let setup = setup_artifact(artifact).bind("NAME", worker::Handle::Text("value".into()));
        assert_eq!(setup.start().text(get("http://t/")).await, "[NAME] 1");
    });
}

#[test]
fn a_request_that_fails_leaves_no_trace_and_is_told_of() {
    on_core(async {
        let cases = [
            ("throw new RangeError('no database')", "failed (RangeError: no database)"),
            ("return new Response('', { status: 503 })", "was answered with status 503"),
            (
                "await fetch('https://example.com/')",
                "failed (Error: fetch() is not possible while modules are evaluated",
            ),
            ("await new Promise(() => {})", "was not answered without I/O"),
            (
                "return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(1)); } }))",
                "left work behind",
            ),
            ("ctx.waitUntil(new Promise(() => {})); return new Response('ok')", "left work behind"),
            ("for (;;);", "took more than"),
            ("return 5", "InvalidResponse"),
        ];
        for (body, reason) in cases {
            let source = format!(
                "let events = 0; export default {{ async fetch(request, env, ctx) {{
                    if (events++ > 0 || request.url !== 'http://localhost/warm') return new Response(`${{events}}`);
                    {body} }} }}"
            );
            let artifact = warmed("/warm", &source);
            let log = start_log(&artifact);
            let [(Level::Warn, line)] = log.as_slice() else { panic!("{body}: {log:?}") };
            assert!(line.starts_with("the warm-up request GET /warm ") && line.contains(reason), "{body}: {line}");
            let running = setup_artifact(artifact).start();
            assert_eq!(running.text(get("http://t/1")).await, "1", "{body}");
        }
    });
}

#[test]
fn a_start_that_fails_is_no_matter_of_the_warm_up() {
    let failure = setup_artifact(warmed("/", "throw new Error('at the top')")).try_start().err().expect("it fails");
    assert_eq!(failure.code.name, code::START_FAILED.name);
}
