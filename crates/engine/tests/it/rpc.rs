//! Methods of another worker: two scripts, one bound to the other.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use base::Artifact;
use base::artifact::{Module, ModuleKind, Script};
use futures_util::future::LocalBoxFuture;
use worker::{Call, Entry, Event, Failure, Handle, Instance, Invoker, Response};

use crate::fixture::*;

thread_local! {
    /// Instances that can be bound, since invokers may be shared between threads and they may not.
    static BOUND: RefCell<Vec<Rc<dyn Instance>>> = const { RefCell::new(Vec::new()) };
}

/// Calls one of them, as a binding that may name an entry point.
struct Bound {
    index: usize,
    entry: Option<Arc<Entry>>,
}

impl Invoker for Bound {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let instance = BOUND.with(|bound| bound.borrow()[self.index].clone());
        let mut event = event;
        match &mut event {
            Event::Fetch(fetch) => fetch.entry.clone_from(&self.entry),
            Event::Rpc(rpc) => rpc.entry.clone_from(&self.entry),
            _ => {}
        }
        Box::pin(async move { Ok(instance.run(call, event).await?) })
    }
}

fn bound_to(app: &Running, name: Option<&str>, props: Option<&str>) -> Handle {
    let index = BOUND.with(|bound| {
        bound.borrow_mut().push(app.instance.clone());
        bound.borrow().len() - 1
    });
    let entry = Entry { name: name.map(str::to_owned), props: props.map(str::to_owned) };
    let entry = (name.is_some() || props.is_some()).then(|| Arc::new(entry));
    Handle::Service(Arc::new(Bound { index, entry }))
}

/// A worker that imports what calls are made with.
fn worker_of(source: &str) -> Setup {
    let import = "import { RpcStub, RpcTarget, WorkerEntrypoint } from 'cloudflare:workers';";
    let mut main = module(&format!("{import}\n{source}"));
    main.imports.push(("cloudflare:workers".into(), 1));
    let builtin = Module { name: "cloudflare:workers".into(), kind: ModuleKind::Builtin, ..module("") };
    setup_artifact(Artifact::Script(Script { entry: 0, modules: vec![main, builtin], warm: None }))
}

/// What the body of a handler gives, as JSON, when `env.SVC` is this service.
async fn ask(service: &Running, body: &str) -> String {
    let caller = caller(body).bind("SVC", bound_to(service, None, None)).start();
    caller.text(get("http://a.test/")).await
}

fn caller(body: &str) -> Setup {
    worker_of(&format!(
        "const message = async (run) => {{
           try {{ return await run() }} catch (e) {{ return `${{e.name}}: ${{e.message}}${{e.code ? ` (${{e.code}})` : ''}}` }} }};
         export default {{ async fetch(request, env, ctx) {{
           const show = async () => {{ {body} }};
           return new Response(JSON.stringify(await show())) }} }}"
    ))
}

const SERVICE: &str = "
class Counter extends RpcTarget {
  #value;
  secret = 'own';
  constructor(value) { super(); this.#value = value; }
  increment(by = 1) { return this.#value += by; }
  get value() { return this.#value; }
  child() { return new Counter(100); }
  [Symbol.dispose]() { console.log(`disposed at ${this.#value}`); }
}
export default class extends WorkerEntrypoint {
  field = 'own';
  fetch(request) { return new Response(`fetched ${new URL(request.url).pathname} ${JSON.stringify(this.ctx.props)}`); }
  add(a, b) { return a + b; }
  async later(a) { await new Promise(r => setTimeout(r, 1)); return a; }
  echo(...args) { return args.length === 1 ? args[0] : args; }
  counter(from = 0) { return new Counter(from); }
  counters() { return { one: new Counter(1), list: [new Counter(2)], n: 5 }; }
  doubler() { return n => n * 2; }
  get settings() { return { depth: { value: 42 }, add: (a, b) => a + b }; }
  async apply(f, ...args) { return await f(...args); }
  fail(what) {
    switch (what) {
      case 'range': throw new RangeError('out of it');
      case 'own': { const e = new Error('mine'); e.name = 'MyError'; e.code = 'my_code'; throw e; }
      case 'text': throw 'a text';
      case 'class': throw new Counter(1);
    }
  }
  props() { return this.ctx.props; }
  keep(f) { kept = f.dup(); }
  keepNot(f) { kept = f; }
  useKept(...args) { return kept(...args); }
  spin() { for (;;); }
  die() { return 3n ** 9000000n; }
  never() { return new Promise(() => {}); }
  afterwards(ms) { this.ctx.waitUntil(new Promise(r => setTimeout(r, ms)).then(() => console.log('afterwards'))); return 'at once'; }
  async chase(f, n) { for (let i = 0; i < n; i++) await f(i); }
  text(n) { return 'x'.repeat(n); }
  many(n) { return Array.from({ length: n }, (_, i) => () => i); }
  respond() { return new Response('made', { status: 201, headers: { 'x-a': 'b' } }); }
  numbers(n) { let i = 0; return new ReadableStream({ type: 'bytes', async pull(c) {
    await null; if (i === n) c.close(); else c.enqueue(new TextEncoder().encode(`${i++},`)) } }); }
  async read(stream) { return await new Response(stream).text(); }
  async describe(request) { return `${request.method} ${request.url} ${request.headers.get('x-a')} ${await request.text()}`; }
  proxy(response) { return new Response(response.body, response); }
}
let kept;";

#[test]
fn a_method_is_called_and_answers() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        assert_eq!(ask(&service, "return [await env.SVC.add(1, 2), await env.SVC.later('x')]").await, "[3,\"x\"]");
        let kept = service.kept.records.lock().unwrap().len();
        assert_eq!(kept, 0, "a call is part of the record of its request");
        assert_eq!(service.instance.state().in_flight, 0);
    });
}

/// Each body with what it gives, all against the same service.
fn check(cases: &[(&str, &str)]) {
    on_core(async {
        let service = worker_of(SERVICE).start();
        for (body, expected) in cases {
            assert_eq!(ask(&service, body).await, *expected, "{body}");
        }
        settles(&service).await;
    });
}

/// Nothing may go on in the service once its callers are done.
async fn settles(service: &Running) {
    for _ in 0..10_000 {
        if service.instance.state().in_flight == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{:?}", service.instance.state());
}

#[test]
fn values_cross_by_structured_clone() {
    check(&[
        ("const v = [undefined, null, true, -0, 1.5, 'ä\\ud800', 12n]; const w = await env.SVC.echo(v);
          return w.every((x, i) => Object.is(x, v[i]))", "true"),
        ("return await env.SVC.echo(NaN) + ''", "\"NaN\""),
        ("const v = { a: [1, , 3], __proto__: null, 'x y': {} }; v.self = v; v['__proto__'] = 1;
          const w = await env.SVC.echo(v);
          return [w.self === w, 1 in w.a, w.a.length, Object.keys(w), Object.getOwnPropertyDescriptor(w, '__proto__').value]",
         "[true,false,3,[\"a\",\"x y\",\"self\",\"__proto__\"],1]"),
        ("const w = await env.SVC.echo(new Map([[{ k: 1 }, new Set([1, 'b'])]])); const [[k, s]] = w;
          return [w instanceof Map, k, [...s]]", "[true,{\"k\":1},[1,\"b\"]]"),
        ("const w = await env.SVC.echo([new Date(5), /a+/gi, Object('s'), Object(5n), new Date(NaN)]);
          return [w[0].getTime(), w[1].source + w[1].flags, w[2] + '', typeof w[2], typeof w[3], isNaN(w[4])]",
         "[5,\"a+gi\",\"s\",\"object\",\"object\",true]"),
        ("const b = new Uint8Array([1, 2, 3, 4]).buffer;
          const w = await env.SVC.echo([b, new Uint8Array(b, 1, 2), new DataView(b), new Float64Array([0.5])]);
          return [w[0].byteLength, [...w[1]], w[1].buffer === w[0], w[2].getUint8(3), w[3][0]]",
         "[4,[2,3],true,4,0.5]"),
        ("const w = await env.SVC.echo(new File(['abc'], 'n.txt', { type: 'text/plain', lastModified: 7 }));
          return [w instanceof File, await w.text(), w.name, w.type, w.lastModified]",
         "[true,\"abc\",\"n.txt\",\"text/plain\",7]"),
        ("const c = new Error('inner'); const w = await env.SVC.echo([new TypeError('t', { cause: c }), c, new DOMException('m', 'AbortError')]);
          return [w[0] instanceof TypeError, w[0].message, w[0].cause === w[1], w[2].name, w[2] instanceof DOMException]",
         "[true,\"t\",true,\"AbortError\",true]"),
        ("const o = { n: 1 }; const [a, b] = await env.SVC.echo(o, o); return a === b && a !== o", "true"),
        ("const w = await env.SVC.echo({ deep: Array(2000).fill({ x: 'y' }), text: 'z'.repeat(200000) });
          return [w.deep.length, w.deep[1999].x, w.text.length]", "[2000,\"y\",200000]"),
    ]);
}

#[test]
fn what_can_not_cross_is_a_data_clone_error() {
    check(&[
        (
            "return message(() => env.SVC.echo(Symbol('s')))",
            "\"DataCloneError: a symbol can't be passed to another worker (25)\"",
        ),
        (
            "return message(() => env.SVC.echo({ x: [new WeakMap()] }))",
            "\"DataCloneError: an object of the class WeakMap, which neither is a plain object nor extends RpcTarget, can't be passed to another worker (25)\"",
        ),
        (
            "class Own {} return message(() => env.SVC.echo(new Own()))",
            "\"DataCloneError: an object of the class Own, which neither is a plain object nor extends RpcTarget, can't be passed to another worker (25)\"",
        ),
        (
            "return message(() => env.SVC.echo(Promise.resolve(1)))",
            "\"DataCloneError: a promise can't be passed to another worker (25)\"",
        ),
        (
            "return message(() => env.SVC.echo(env.SVC.add))",
            "\"DataCloneError: the promise of a call, which has to be awaited first, can't be passed to another worker (25)\"",
        ),
        (
            "return message(() => env.SVC.fail('class'))",
            "\"Error: a value was thrown that can't be passed to another worker\"",
        ),
    ]);
}

#[test]
fn errors_cross_with_name_message_and_code() {
    check(&[
        ("return message(() => env.SVC.fail('range'))", "\"RangeError: out of it\""),
        ("return message(() => env.SVC.fail('own'))", "\"MyError: mine (my_code)\""),
        ("try { await env.SVC.fail('text') } catch (e) { return e }", "\"a text\""),
        (
            "try { await env.SVC.fail('range') } catch (e) { return [e instanceof RangeError, e.stack.includes('index.js')] }",
            "[true,true]",
        ),
    ]);
}

#[test]
fn references_are_called_back_in_both_directions() {
    check(&[
        ("return env.SVC.apply((a, b) => a * b, 6, 7)", "42"),
        ("return env.SVC.apply(async (f) => (await f(1)) + 1, n => n + 10)", "12"),
        ("return message(() => env.SVC.apply(() => { throw new SyntaxError('mine') }))", "\"SyntaxError: mine\""),
        ("const f = await env.SVC.doubler(); return [await f(4), await f(5), typeof f]", "[8,10,\"function\"]"),
        (
            "using c = await env.SVC.counter(10); return [await c.increment(), await c.increment(5), await c.value]",
            "[11,16,16]",
        ),
        (
            "class Mine extends RpcTarget { hi(n) { return `hi ${n}` } }
          return env.SVC.apply(o => o.hi('there'), new Mine())",
            "\"hi there\"",
        ),
        ("using r = await env.SVC.counters(); return [await r.one.value, await r.list[0].increment(), r.n]", "[1,3,5]"),
        ("const f = await env.SVC.echo(n => n + 1); return f(1)", "2"),
        (
            "const c = await env.SVC.counter(1); const d = await env.SVC.echo(c); return [await d.increment(), await c.value]",
            "[2,2]",
        ),
    ]);
}

#[test]
fn calls_and_properties_are_pipelined() {
    check(&[
        ("return env.SVC.counter(1).increment(2)", "3"),
        ("return env.SVC.counter(1).child().increment()", "101"),
        ("return env.SVC.settings.depth.value", "42"),
        ("return env.SVC.settings.add(3, 4)", "7"),
        ("return env.SVC.counters().list[0].increment(10)", "12"),
        ("return env.SVC.doubler()(21)", "42"),
        ("const c = env.SVC.counter(); return Promise.all([c.increment(), c.increment(), c.value])", "[1,2,2]"),
        ("return message(() => env.SVC.fail('range').x.y(1))", "\"RangeError: out of it\""),
        (
            "return message(() => env.SVC.add(1, 2).x.y())",
            "\"TypeError: the result of the call is undefined, and has no y\"",
        ),
        ("return message(() => env.SVC.add(1, 2)())", "\"TypeError: the result of the call has no method to call\""),
    ]);
}

#[test]
fn only_what_a_class_offers_is_reached() {
    let none = |name: &str| format!("\"TypeError: the other worker offers no method or property \\\"{name}\\\" here\"");
    on_core(async {
        let service = worker_of(SERVICE).start();
        for name in ["field", "missing", "ctx", "env", "dup", "__proto__x"] {
            assert_eq!(ask(&service, &format!("return message(() => env.SVC.{name}())")).await, none(name));
            assert_eq!(ask(&service, &format!("return message(() => env.SVC.{name})")).await, none(name));
        }
        for name in ["secret", "missing"] {
            let body = format!("return message(async () => (await env.SVC.counter()).{name})");
            assert_eq!(ask(&service, &body).await, none(name));
        }
        assert_eq!(
            ask(&service, "return message(() => env.SVC.scheduled())").await,
            "\"TypeError: scheduled is a handler of the other worker's, and no method that can be called\""
        );
        assert_eq!(
            ask(&service, "return message(() => env.SVC.settings())").await,
            "\"TypeError: settings is no function of the other worker's\""
        );
        assert_eq!(
            ask(
                &service,
                "return [typeof env.SVC.then, env.SVC + '', typeof env.SVC.constructor, JSON.stringify(env.SVC)]"
            )
            .await,
            "[\"undefined\",\"[object Fetcher]\",\"function\",\"{}\"]"
        );
        settles(&service).await;
    });
}

async fn until_said(app: &Running, line: &str) {
    for _ in 0..100_000 {
        if said(app).iter().any(|said| said == line) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{line:?} was never said, but {:?}", said(app));
}

fn said(app: &Running) -> Vec<String> {
    app.kept.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
}

/// Runs a handler and waits until nothing of it goes on; answers what the service said meanwhile.
async fn lines_of(service: &Running, body: &str) -> (String, Vec<String>) {
    let caller = caller(body).bind("SVC", bound_to(service, None, None)).start();
    let answer = caller.text(get("http://a.test/")).await;
    settles(service).await;
    (answer, said(&caller))
}

#[test]
fn what_is_held_goes_at_the_latest_with_the_request() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        // A call's lines are among those of the request that it belongs to.
        let (answer, lines) = lines_of(&service, "const c = await env.SVC.counter(7); return c.increment()").await;
        assert_eq!((answer.as_str(), lines), ("8", vec!["disposed at 8".to_owned()]));

        let explicit = "const c = await env.SVC.counter(1); c[Symbol.dispose](); c[Symbol.dispose]();
            await env.SVC.later(1); console.log('still here'); return message(() => c.value)";
        let (answer, lines) = lines_of(&service, explicit).await;
        assert_eq!(answer, "\"Error: the stub was disposed of (rpc_ended)\"");
        assert_eq!(lines, ["disposed at 1", "still here"]);

        let twice = "const c = await env.SVC.counter(1); const d = c.dup(); c[Symbol.dispose]();
            await env.SVC.later(1); console.log('still here'); return d.value";
        let (answer, lines) = lines_of(&service, twice).await;
        assert_eq!((answer.as_str(), lines), ("1", vec!["still here".to_owned(), "disposed at 1".to_owned()]));

        let whole = "{ using r = await env.SVC.counters(); await r.one.increment(); } await env.SVC.later(1);
            console.log('still here'); return 1";
        let (_, lines) = lines_of(&service, whole).await;
        assert_eq!(lines, ["disposed at 2", "disposed at 2", "still here"]);
    });
}

#[test]
fn a_stub_among_arguments_lasts_as_long_as_the_call_or_as_its_duplicate() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let (answer, _) =
            lines_of(&service, "await env.SVC.keepNot(n => n + 1); return message(() => env.SVC.useKept(1))").await;
        assert_eq!(answer, "\"Error: the stub was disposed of (rpc_ended)\"");
        let (answer, _) = lines_of(&service, "await env.SVC.keep(n => n + 1); return env.SVC.useKept(1)").await;
        assert_eq!(answer, "2");
        // The request that gave it is over.
        let (answer, _) = lines_of(&service, "return message(() => env.SVC.useKept(1))").await;
        assert!(answer.contains("(rpc_ended)"), "{answer}");
        // What the caller gave away and is still held elsewhere goes when its request does.
        let body = "if (globalThis.gone) return globalThis.gone;
             class Mine extends RpcTarget { [Symbol.dispose]() { globalThis.gone = 'let go' } }
             const mine = new Mine(); await env.SVC.echo([mine, mine]); await env.SVC.later(1); return globalThis.gone ?? 'held'";
        let caller = caller(body).bind("SVC", bound_to(&service, None, None)).start();
        assert_eq!(caller.text(get("http://a.test/")).await, "\"held\"");
        assert_eq!(caller.text(get("http://a.test/")).await, "\"let go\"");
    });
}

#[test]
fn a_stub_of_this_workers_own_acts_as_one_from_elsewhere() {
    check(&[(
        "class Mine extends RpcTarget { #n = 1; hi(o) { o.seen = true; return this.#n++ } }
         const stub = new RpcStub(new Mine()); const o = {};
         const f = new RpcStub((g, b) => g(b[0]));
         return [await stub.hi(o), await stub.hi(o), o.seen ?? null, stub instanceof RpcStub, await f(x => x * 2, new Uint8Array([4])),
           await message(() => new RpcStub({})), await env.SVC.apply(s => s.hi({}), stub)]",
        "[1,2,null,true,8,\"TypeError: an RpcStub is made of a function or of an object that extends RpcTarget\",3]",
    )]);
}

#[test]
fn bodies_travel_beside_a_message() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let cases = [
            ("const r = await env.SVC.respond(); return [r.status, r.headers.get('x-a'), await r.text()]", "[201,\"b\",\"made\"]"),
            ("return await new Response(await env.SVC.numbers(200)).text().then(t => t.length)", "690"),
            ("let i = 0; const s = new ReadableStream({ pull(c) { if (i === 3) c.close(); else c.enqueue(new TextEncoder().encode(`${i++};`)) } });
              return env.SVC.read(s)", "\"0;1;2;\""),
            ("return env.SVC.read(new Response('whole').body)", "\"whole\""),
            ("return env.SVC.describe(new Request('http://x/y', { method: 'PUT', body: 'in', headers: { 'x-a': 'c' } }))",
             "\"PUT http://x/y c in\""),
            ("const r = await fetch('http://out.test/'); const p = await env.SVC.proxy(r); return [r.bodyUsed, p.status, await p.text()]",
             "[true,404,\"\"]"),
            ("const h = await env.SVC.echo(new Headers({ a: '1' })); h.append('a', '2'); return h.get('a')", "\"1, 2\""),
            ("await env.SVC.echo(1); return env.SVC.apply(() => 1, new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array(9)) } }))", "1"),
            ("const s = await env.SVC.numbers(1e9); const reader = s.getReader(); await reader.read(); await reader.cancel(); return 1", "1"),
            ("return message(() => env.SVC.read(new ReadableStream({ pull() { throw new Error('broken') } })))", "\"TypeError: Error: broken (guest_exception)\""),
            ("const r = new Response('x'); await r.text(); return message(() => env.SVC.echo(r))", "\"TypeError: the body has already been used\""),
            ("return env.SVC.apply(async s => await new Response(s).text(), new Blob(['in a blob']).stream())", "\"in a blob\""),
        ];
        for (body, expected) in cases {
            assert_eq!(ask(&service, body).await, expected, "{body}");
            settles(&service).await;
        }
    });
}

#[test]
fn a_response_of_a_method_is_the_answer_of_its_caller() {
    on_core(async {
        let service = worker_of(&SERVICE.replace(
            "respond()",
            "streamed() { return new Response(this.numbers(300), { headers: { 'x-a': 'b' } }) }\n respond()",
        ))
        .start();
        let app = setup("export default { fetch(_, env) { return env.SVC.streamed() } }");
        let app = app.bind("SVC", bound_to(&service, None, None)).start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert_eq!(response.headers()["x-a"], "b");
        // The caller is done, and its answer flows on from the worker that made it.
        settles(&app).await;
        assert_eq!(collect(response).await.len(), 1090);
        settles(&service).await;
    });
}

#[test]
fn an_entry_point_of_its_own_is_called_and_fetched() {
    on_core(async {
        let source = format!(
            "{SERVICE}
             export class Admin extends WorkerEntrypoint {{
               fetch() {{ return Response.json(this.ctx.props) }}
               hello() {{ return [this.ctx.props.role, this.ctx.props === this.ctx.props] }} }}"
        );
        let service = worker_of(&source).start();
        let body = "return [await env.SVC.hello(), await (await env.SVC.fetch('http://x/')).json(), await message(() => env.SVC.add(1, 2))]";
        let bound = bound_to(&service, Some("Admin"), Some("{\"role\":\"x\"}"));
        let answer = caller(body).bind("SVC", bound).start().text(get("http://a.test/")).await;
        let none = "TypeError: the other worker offers no method or property \\\"add\\\" here";
        assert_eq!(answer, format!("[[\"x\",true],{{\"role\":\"x\"}},\"{none}\"]"));
        assert_eq!(
            ask(&service, "return [await env.SVC.props(), await (await env.SVC.fetch('http://x/y')).text()]").await,
            "[{},\"fetched /y {}\"]"
        );
        let missing = bound_to(&service, Some("Other"), None);
        let answer =
            caller("return [await message(() => env.SVC.add()), await message(() => env.SVC.fetch('http://x/'))]")
                .bind("SVC", missing)
                .start()
                .text(get("http://a.test/"))
                .await;
        assert_eq!(answer.matches("no export \\\"Other\\\"").count(), 2, "{answer}");
        assert_eq!(answer.matches("(no_entrypoint)").count(), 2, "{answer}");
    });
}

/// A caller whose limits are others than its service's.
fn limited(service: &Running, body: &str, change: impl FnOnce(&mut base::WorkerLimits)) -> Running {
    caller(body).limits(change).bind("SVC", bound_to(service, None, None)).start()
}

async fn record_of(app: &Running) -> telemetry::Record {
    while app.kept.records.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    app.kept.records.lock().unwrap().remove(0)
}

#[test]
fn each_side_is_charged_for_what_it_computes() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let body = "const work = () => { let x = 0; for (let i = 0; i < 5000000; i++) x += i; return x };
            await env.SVC.apply(work); return 1";
        let app = limited(&service, body, |_| {});
        app.text(get("http://a.test/")).await;
        let record = record_of(&app).await;
        let [caller, callee] = [&record.invocations[0], &record.invocations[1]];
        assert_eq!(record.invocations.len(), 2);
        assert!(caller.usage.cpu > callee.usage.cpu * 3, "{:?} {:?}", caller.usage, callee.usage);
        assert_eq!((caller.usage.subrequests, callee.usage.subrequests), (1, 0));
        assert!(record.invocations.iter().all(|i| i.failure.is_none()));
    });
}

#[test]
fn a_method_that_never_ends_ends_by_the_limits_of_its_worker() {
    on_core(async {
        let service = worker_of(SERVICE).limits(|l| (l.cpu_ms, l.head_ms) = (20, 200)).start();
        let ask = async |body: &str| ask(&service, body).await;
        assert!(ask("return message(() => env.SVC.spin())").await.contains("(cpu_exceeded)"));
        assert_eq!(ask("return env.SVC.add(1, 2)").await, "3");
        assert!(ask("return message(() => env.SVC.never())").await.contains("(never_settled)"));
        assert!(ask("return message(() => env.SVC.later(new Date(0)).then(() => env.SVC.apply(() => new Promise(() => {}))))").await.contains("(head_timeout)"));
        // A call back and forth is charged to both, and nobody's allowance is renewed by it.
        let chased = ask("return message(() => env.SVC.chase(() => {}, 1e9))").await;
        assert!(chased.contains("(cpu_exceeded)") || chased.contains("(head_timeout)"), "{chased}");
        settles(&service).await;
    });
}

#[test]
fn a_caller_that_computes_in_a_callback_ends_by_its_own_limits() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let app = limited(&service, "return env.SVC.apply(() => { for (;;); })", |l| l.cpu_ms = 20);
        assert_eq!(app.code(get("http://a.test/")).await, "cpu_exceeded");
        settles(&service).await;
        assert_eq!(ask(&service, "return env.SVC.add(1, 2)").await, "3");
    });
}

#[test]
fn calls_end_with_the_instance_that_they_went_to() {
    on_core(async {
        let service = worker_of(SERVICE).limits(|l| l.cpu_ms = 20).start();
        let body = "const c = await env.SVC.counter(1);
            const waits = message(() => env.SVC.apply(() => new Promise(() => {})));
            const own = await message(() => env.SVC.die());
            return [own, await waits, await message(() => c.increment())].map(m => m.slice(m.indexOf('(')))";
        let app = limited(&service, body, |_| {});
        assert_eq!(
            app.text(get("http://a.test/")).await,
            "[\"(cpu_exceeded)\",\"(instance_lost)\",\"(rpc_ended)\"]"
                .replace("(cpu_exceeded)", "(limits.cpu_ms) (cpu_exceeded)")
        );
        assert!(service.instance.state().lost);
    });
}

#[test]
fn every_limit_is_an_error_of_its_name_and_the_next_call_works() {
    on_core(async {
        let service = worker_of(SERVICE)
            .limits(|l| (l.rpc_message_bytes, l.rpc_stubs, l.rpc_buffer_bytes) = (4000, 3, 2000))
            .start();
        let cases = [
            ("return message(() => env.SVC.text(5000))", "(rpc_too_large)"),
            ("return message(() => env.SVC.apply(() => 1, 'x'.repeat(5000)))", "(rpc_too_large)"),
            ("return message(() => env.SVC.apply(f => f('x'.repeat(5000)), x => x))", "(rpc_too_large)"),
            ("return message(() => env.SVC.many(4))", "(too_many_stubs)"),
            ("return message(() => env.SVC.echo([1, 2, 3, 4].map(n => () => n)))", "(too_many_stubs)"),
            ("await env.SVC.add(1, 2); return message(() => env.SVC.add(1, 2))", "(subrequests_exceeded)"),
        ];
        for (body, code) in cases {
            let app = limited(&service, body, |l| {
                (l.rpc_message_bytes, l.rpc_stubs) = (4000, 3);
                l.subrequests = 1;
            });
            let answer = app.text(get("http://a.test/")).await;
            assert!(answer.contains(code), "{body}: {answer}");
            settles(&service).await;
            assert_eq!(ask(&service, "return env.SVC.add(1, 2)").await, "3");
        }
    });
}

#[test]
fn who_takes_too_little_is_left() {
    on_core(async {
        let service = worker_of(&SERVICE.replace("async chase(f, n) {", "async flood(f, n) { f = f.dup(); await Promise.all(Array.from({ length: n }, (_, i) => f('x'.repeat(500)))) }\n async chase(f, n) {"))
            .limits(|l| l.rpc_buffer_bytes = 2000)
            .start();
        let body = "return message(() => env.SVC.flood(async x => {}, 100))";
        let app = limited(&service, body, |_| {});
        let answer = app.text(get("http://a.test/")).await;
        assert!(answer.contains("(rpc_ended)"), "{answer}");
        assert!(said(&app).iter().any(|line| line.starts_with("rpc_overflow: ")), "{:?}", said(&app));
        settles(&service).await;
    });
}

#[test]
fn work_after_the_answer_goes_on_and_is_bounded() {
    on_core(async {
        let service = worker_of(SERVICE).limits(|l| l.wait_until_ms = 300).start();
        let app = limited(&service, "return env.SVC.afterwards(5)", |_| {});
        assert_eq!(app.text(get("http://a.test/")).await, "\"at once\"");
        until_said(&app, "afterwards").await;
        settles(&service).await;
        let app = limited(&service, "return env.SVC.afterwards(60000)", |_| {});
        assert_eq!(app.text(get("http://a.test/")).await, "\"at once\"");
        while service.instance.state().in_flight > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(said(&app)[0].starts_with("wait_until_exceeded"), "{:?}", said(&app));
    });
}

#[test]
fn a_caller_that_leaves_ends_what_it_asked_for() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let app = limited(
            &service,
            "const c = await env.SVC.counter(1); return env.SVC.apply(() => new Promise(() => {}))",
            |l| l.wait_until_ms = 20,
        );
        let run = app.instance.clone().run(app.call(), Event::Fetch(Box::new(get("http://a.test/"))));
        let run = tokio::task::spawn_local(run);
        while service.instance.state().in_flight < 2 {
            tokio::task::yield_now().await;
        }
        run.abort();
        // What it began may go on as long as work after an answer may, and no longer.
        while service.instance.state().in_flight + app.instance.state().in_flight > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_call_that_left_no_trace_runs_again_elsewhere() {
    on_core(async {
        let service = worker_of(SERVICE).limits(|l| l.cpu_ms = 20).start();
        let message = worker::rpc::Message::default();
        let event = Event::Rpc(Box::new(worker::RpcEvent { entry: None, message, session: None }));
        // It reaches an instance that is lost already.
        assert!(ask(&service, "return message(() => env.SVC.die())").await.contains("cpu_exceeded"));
        let ended = service.instance.clone().run(service.call(), event).await.unwrap_err();
        assert_eq!(ended.failure.code.name, "instance_lost");
        assert!(matches!(ended.again.expect("it may run again").event, Event::Rpc(_)));
    });
}

#[test]
fn what_calls_take_is_part_of_the_image_of_a_worker_that_is_known_to_call() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let main =
            module("export default { async fetch(_, env) { return new Response(await env.SVC.add(1, 2) + '') } }");
        let marked = Module { name: base::builtin::CALLS.into(), kind: ModuleKind::Builtin, ..module("") };
        let setup = setup_artifact(Artifact::Script(Script { entry: 0, modules: vec![main, marked], warm: None }));
        let app = setup.bind("SVC", bound_to(&service, None, None)).start();
        assert_eq!(app.text(get("http://a.test/")).await, "3");
    });
}

#[test]
fn what_stands_for_another_worker_can_be_looked_at_without_a_call() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let body = "const stub = await env.SVC.counter(5); const f = await env.SVC.doubler();
            console.log(env.SVC); console.log(env.SVC.add); console.log(stub, [f]); console.log(`${stub} ${env.SVC.a.b}`);
            return [stub instanceof RpcStub, 'add' in env.SVC, await Promise.resolve(stub) === stub, Object.keys(stub), Object.keys(env.SVC)]";
        let (answer, lines) = lines_of(&service, body).await;
        assert_eq!(answer, "[true,false,true,[],[]]");
        assert_eq!(
            lines,
            [
                "Fetcher {}",
                "[Function (anonymous)]",
                "[Function (anonymous)] [ [Function (anonymous)] ]",
                "[object RpcStub] [object RpcPromise]",
                "disposed at 5"
            ]
        );
    });
}

#[test]
fn async_context_follows_a_callback_and_leaks_into_no_other_worker() {
    on_core(async {
        let mut main = module(
            "import { WorkerEntrypoint } from 'cloudflare:workers'; import { AsyncLocalStorage } from 'node:async_hooks';
             const storage = new AsyncLocalStorage();
             export default class extends WorkerEntrypoint {
               async fetch() { return storage.run('mine', async () => Response.json([
                 await this.env.SVC.inner(() => storage.getStore() ?? 'none'), storage.getStore()])) }
               async inner(f) { return [storage.getStore() ?? 'none', await storage.run('theirs', () => f()), await f()] } }",
        );
        main.imports.push(("cloudflare:workers".into(), 1));
        main.imports.push(("node:async_hooks".into(), 2));
        let builtin = |name: &str| Module { name: name.into(), kind: ModuleKind::Builtin, ..module("") };
        let script = || {
            let modules = vec![main.clone(), builtin("cloudflare:workers"), builtin("node:async_hooks")];
            Artifact::Script(Script { entry: 0, modules, warm: None })
        };
        let service = setup_artifact(script()).start();
        let caller = setup_artifact(script()).bind("SVC", bound_to(&service, None, None)).start();
        assert_eq!(caller.text(get("http://a.test/")).await, "[[\"none\",\"mine\",\"mine\"],\"mine\"]");
    });
}

#[test]
fn an_error_that_leaves_a_method_stands_in_the_record() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let app = limited(&service, "return message(() => env.SVC.fail('range'))", |_| {});
        app.text(get("http://a.test/")).await;
        let record = record_of(&app).await;
        assert_eq!(record.invocations[1].failure.map(|code| code.name), Some("guest_exception"));
        assert!(record.invocations[0].failure.is_none());
    });
}

#[test]
fn what_nests_too_deep_is_an_error_where_it_is_found() {
    on_core(async {
        let service = worker_of(SERVICE).start();
        let nested = |depth: usize| format!("let v = []; for (let i = 0; i < {depth}; i++) v = [v];");
        let body = format!("{} return message(async () => (await env.SVC.echo(v)).length)", nested(200));
        assert_eq!(ask(&service, &body).await, "1");
        let body = format!("{} return message(() => env.SVC.echo(v))", nested(200_000));
        let answer = ask(&service, &body).await;
        assert!(answer.contains("RangeError"), "{answer}");
        // Wherever the border between the two lies, the service is none the worse for it.
        for depth in [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000] {
            let body = format!("{} return message(async () => (await env.SVC.echo(v)).length)", nested(depth));
            let answer = ask(&service, &body).await;
            assert!(answer == "1" || answer.contains("RangeError"), "{depth}: {answer}");
        }
        assert_eq!(ask(&service, "return env.SVC.add(1, 2)").await, "3");
        settles(&service).await;
    });
}

#[test]
fn a_script_that_changes_built_ins_changes_no_call() {
    on_core(async {
        let spoiled = "const spoiled = () => { throw new Error('spoiled') };
            Array.prototype.push = Array.prototype.slice = Array.prototype[Symbol.iterator] = spoiled;
            Map.prototype.get = Map.prototype.set = Map.prototype.has = Map.prototype.forEach = spoiled;
            Function.prototype.bind = Function.prototype.call = Function.prototype.apply = spoiled;
            Promise.prototype.then = Object.keys = Object.defineProperty = Reflect.apply = spoiled;";
        let service = worker_of(&format!("{SERVICE}\n{spoiled}")).start();
        let body = format!(
            "{spoiled} let sum = 0; const c = await env.SVC.counter(1); await env.SVC.chase(n => {{ sum += n }}, 4);
             return sum + await c.increment() + await env.SVC.add(1, 2) + (await env.SVC.settings.depth.value)"
        );
        assert_eq!(ask(&service, &body).await, "53");
    });
}

/// What a request does that is made of chance: it calls, holds, lets go, calls back and fails.
const CHANCE: &str = "
    let seed = Number(request.url.split('#')[1] ?? new URL(request.url).pathname.slice(1));
    const next = most => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >>> 8) % most };
    class Mine extends RpcTarget {
      hi(n) { return n > 0 ? env.SVC.apply(m => m.hi(n - 1), this) : 'hi' }
      give(f) { held.push(f.dup()); return held.length }
    }
    const held = [], mine = new Mine();
    const step = async () => {
      switch (next(11)) {
        case 0: return held.push(await env.SVC.counter(next(9)));
        case 1: return held.length && held[next(held.length)][Symbol.dispose]();
        case 2: return held.length && held[next(held.length)].increment?.();
        case 3: return env.SVC.apply(async f => f(await env.SVC.add(1, 2)), n => n + 1);
        case 4: return env.SVC.apply(() => { throw new Error('mine') });
        case 5: return mine.hi(next(4));
        case 6: return held.push((await env.SVC.counters()).one);
        case 7: return env.SVC.apply(m => m.give(() => next(3)), mine);
        case 8: { env.SVC.echo(held.length ? held[0] : null).then(() => {}, () => {}); return 0 }
        case 9: return (await env.SVC.doubler())(next(5));
        case 10: { const c = held.length ? held[next(held.length)].dup() : null; c?.[Symbol.dispose](); return 0 }
      }
    };
    const failures = {};
    for (let i = 0; i < 40; i++) {
      const steps = Array.from({ length: 1 + next(3) }, () => step().catch(e => { failures[e.code ?? e.message] = 1 }));
      if (next(3)) await Promise.all(steps);
    }
    return Object.keys(failures).sort().join()";

#[test]
fn whatever_two_workers_do_with_each_other_nothing_of_it_stays() {
    on_core(async {
        let service = worker_of(SERVICE).limits(|l| l.cpu_ms = 10_000).start();
        let app = limited(&service, CHANCE, |l| (l.cpu_ms, l.subrequests) = (10_000, 10_000));
        let run = async |seed: u32| {
            let answer = app.text(get(&format!("http://a.test/{seed}"))).await;
            let known = ["mine", "rpc_ended"];
            let unknown = answer
                .trim_matches('"')
                .split(',')
                .find(|f| !f.is_empty() && !known.contains(f) && !f.contains("no method"));
            assert_eq!(unknown, None, "seed {seed}: {answer}");
        };
        for seed in 1..60 {
            run(seed).await;
            settles(&service).await;
            settles(&app).await;
        }
        // What is garbage is collected when some megabytes have come together.
        let memory = (service.instance.state().memory_bytes, app.instance.state().memory_bytes);
        assert!(memory.0 < 10 << 20 && memory.1 < 10 << 20, "{memory:?}");
    });
}
