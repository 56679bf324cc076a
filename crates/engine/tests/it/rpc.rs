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
    setup_artifact(Artifact::Script(Script { entry: 0, modules: vec![main, builtin] }))
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
}";

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
