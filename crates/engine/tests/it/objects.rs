//! The gates of a durable object: what leaves, and when.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use base::artifact::{Module, ModuleKind, Script};
use base::{AppName, Artifact, ClassName, NodeLimits, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use services::memory::MemoryObjects;
use services::object::{
    Alarm, ListOptions, ObjectClass, ObjectError, ObjectKey, ObjectLimits, ObjectStorage, ObjectStore, Ticket,
};
use services::sql::{SqlResult, SqlStatement};
use services::{AppId, StoreError};
use telemetry::Phases;
use tokio::sync::oneshot;
use worker::object::{KeptSockets, ObjectBounds, ObjectEvent, Seat, Target};
use worker::{Event, FetchEvent, Response};

use crate::fixture::*;

type Settle = oneshot::Sender<Result<(), StoreError>>;

/// Storage whose tickets resolve when the test says so.
struct Slow {
    storage: Box<dyn ObjectStorage>,
    tickets: Arc<Mutex<Vec<Settle>>>,
    commit_fails: Arc<Mutex<bool>>,
}

impl ObjectStorage for Slow {
    fn name(&mut self) -> Result<Option<String>, ObjectError> {
        self.storage.name()
    }
    fn set_name(&mut self, name: &str) {
        self.storage.set_name(name);
    }
    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError> {
        self.storage.get(keys)
    }
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError> {
        self.storage.put(key, value)
    }
    fn delete(&mut self, key: &str) -> Result<bool, ObjectError> {
        self.storage.delete(key)
    }
    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError> {
        self.storage.list(options)
    }
    fn delete_all(&mut self) -> Result<(), ObjectError> {
        self.storage.delete_all()
    }
    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError> {
        self.storage.alarm()
    }
    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError> {
        self.storage.set_alarm(alarm)
    }
    fn sql(&mut self, statement: &SqlStatement) -> Result<SqlResult, ObjectError> {
        self.storage.sql(statement)
    }
    fn durability(&self) -> services::Durability {
        self.storage.durability()
    }
    fn bookmark(&mut self) -> Result<u64, ObjectError> {
        self.storage.bookmark()
    }
    fn restore_next(&mut self, at_ms: u64) -> Result<u32, ObjectError> {
        self.storage.restore_next(at_ms)
    }
    fn before_restore(&mut self, number: u32) -> Result<Option<u64>, ObjectError> {
        self.storage.before_restore(number)
    }
    fn begin(&mut self) -> Result<(), ObjectError> {
        self.storage.begin()
    }
    fn end(&mut self, keep: bool) -> Result<(), ObjectError> {
        self.storage.end(keep)
    }
    fn bytes(&mut self) -> Result<u64, ObjectError> {
        self.storage.bytes()
    }
    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError> {
        if *self.commit_fails.lock().unwrap() {
            return Err(StoreError::Full("the disk".into()).into());
        }
        let Some(_) = self.storage.commit()? else { return Ok(None) };
        let (settle, settled) = oneshot::channel();
        self.tickets.lock().unwrap().push(settle);
        Ok(Some(Ticket::of(async move { settled.await.unwrap_or(Ok(())) })))
    }
    fn roll_back(&mut self) {
        self.storage.roll_back();
    }
}

const SOURCE: &str = r#"
export class Thing {
  constructor(ctx, env) { this.ctx = ctx; this.memory = 0; }
  async fetch(request) {
    const { storage } = this.ctx;
    const path = new URL(request.url).pathname;
    this.memory++;
    if (path === "/write") { await storage.put("a", this.memory); await storage.put("b", this.memory); return new Response("wrote"); }
    if (path === "/read") return new Response(`${await storage.get("a")} ${this.memory}`);
    if (path === "/out") { storage.put("a", 1); const response = await fetch("https://example.com/"); return new Response(`${response.status}`); }
    if (path === "/sync") { storage.put("a", 2); await storage.sync(); return new Response("synced"); }
    if (path === "/throw") { storage.put("a", 3); throw new Error("thrown"); }
    if (path === "/loop") { storage.put("a", 4); for (;;); }
    if (path === "/block") {
      let open;
      this.ctx.blockConcurrencyWhile(() => new Promise((resolve) => (open = resolve)));
      setTimeout(() => { this.memory = 100; open(); }, 10);
      return new Response("blocked");
    }
    if (path === "/count") {
      if ((await storage.get("n")) === undefined) {
        await this.ctx.blockConcurrencyWhile(async () => {
          if ((await storage.get("n")) !== undefined) return;
          await new Promise((resolve) => setTimeout(resolve, 10));
          await storage.put("n", 0);
        });
      }
      const n = (await storage.get("n")) + 1;
      await storage.get("a");
      await storage.put("n", n);
      return new Response(`${n}`);
    }
    if (path === "/values") {
      const values = [0, -0, 1.5, NaN, Infinity, 2 ** 53, "", "text \u{1f600}", true, false, null, 5n, [1, [2]], { a: { b: 1 } }, new Date(7), new Uint8Array([1])];
      const same = (a, b) => Object.is(a, b) || (typeof a === "object" && a !== null && JSON.stringify(a) === JSON.stringify(b));
      const wrong = [];
      for (const [i, value] of values.entries()) {
        await storage.put("value", value);
        const found = [await storage.get("value"), storage.kv.get("value"), (await storage.get(["value"])).get("value")];
        if (!found.every((one) => same(one, value) && typeof one === typeof value)) wrong.push(i);
      }
      const refused = [undefined, () => 1, Symbol()].map((value) => storage.put("value", value).then(() => "kept", (error) => error.name));
      const keys = [1, undefined, ""].map((key) => storage.get(key).then(() => "found", (error) => error.name));
      await storage.delete("value");
      return Response.json([wrong, await Promise.all(refused), await Promise.all(keys), (await storage.get("value")) === undefined]);
    }
    if (path === "/broken") return this.ctx.blockConcurrencyWhile(async () => { throw new Error("no"); });
    return new Response("no such path");
  }
  async alarm({ retryCount }) { await this.ctx.storage.put("alarm", retryCount); throw new Error("again"); }
}
export default {};
"#;

struct Thing {
    running: Running,
    store: Arc<MemoryObjects>,
    key: ObjectKey,
    tickets: Arc<Mutex<Vec<Settle>>>,
    commit_fails: Arc<Mutex<bool>>,
}

fn key() -> ObjectKey {
    let app = AppId::new(TenantName::parse("local").unwrap(), AppName::parse("test").unwrap());
    let class = ObjectClass::new(app, ClassName::parse("Thing").unwrap());
    ObjectKey { id: class.id_of_name("one"), class }
}

/// An object whose writes become durable when the test says so.
fn thing_with(setup: impl FnOnce(Setup) -> Setup) -> Thing {
    let feature = Module { name: "features:objects".into(), kind: ModuleKind::Builtin, ..module("") };
    let script = Script { entry: 0, modules: vec![module(SOURCE), feature], warm: None };
    let running = setup(setup_artifact(Artifact::Script(script))).start();
    let store = Arc::new(MemoryObjects::new(
        Arc::new(base::SystemClock::default()),
        ObjectLimits::from(&NodeLimits::default()),
    ));
    let mut thing = Thing { running, store, key: key(), tickets: Arc::default(), commit_fails: Arc::default() };
    thing.wake();
    thing
}

fn thing() -> Thing {
    thing_with(|setup| setup)
}

impl Thing {
    /// Another instance of the same object.
    fn wake(&mut self) {
        let storage = self.store.open(&self.key, 1).now_or_never().expect("at once").expect("it opens");
        let (tickets, commit_fails) = (self.tickets.clone(), self.commit_fails.clone());
        let seat = Seat {
            target: Target { class: self.key.class.clone(), id: self.key.id, name: Some("one".into()) },
            storage: Box::new(Slow { storage, tickets, commit_fails }),
            sockets: Arc::new(KeptSockets::default()),
            bounds: ObjectBounds { alarm_retries: 6, keys: 128, attachment_bytes: 100, sockets: 10 },
        };
        let Running { program, core, env, .. } = &self.running;
        let phases = Cell::new(Phases::default());
        self.running.instance = program.clone().instantiate_object(core, env, seat, &phases).expect("it starts");
    }

    fn settle(&self, result: Result<(), StoreError>) {
        self.tickets.lock().unwrap().drain(..).for_each(|settle| drop(settle.send(result.clone())));
    }

    /// Looks whether an answer is there, after everything else has run that could.
    async fn none_yet(&self, answer: &mut (impl Future<Output = Result<Response, worker::Failure>> + Unpin)) {
        for _ in 0..20 {
            assert!((&mut *answer).now_or_never().is_none(), "it left before its writes were durable");
            tokio::task::yield_now().await;
        }
    }
}

fn at(path: &str) -> FetchEvent {
    get(&format!("http://a.test{path}"))
}

async fn text(response: Result<Response, worker::Failure>) -> String {
    String::from_utf8(collect(response.expect("a response")).await.to_vec()).unwrap()
}

fn code(response: Result<Response, worker::Failure>) -> &'static str {
    response.expect_err("a failure").code.name
}

#[test]
fn nothing_leaves_before_the_writes_that_it_follows_are_durable() {
    on_core(async {
        let thing = thing();
        let mut write = Box::pin(thing.running.run(at("/write")));
        thing.none_yet(&mut write).await;
        assert_eq!(thing.tickets.lock().unwrap().len(), 1, "two writes are one commit");
        let mut read = Box::pin(thing.running.run(at("/read")));
        thing.none_yet(&mut read).await;
        thing.settle(Ok(()));
        assert_eq!(text(write.await).await, "wrote");
        assert_eq!(text(read.await).await, "1 2", "what it read was not durable yet");
        assert_eq!(text(thing.running.run(at("/read")).await).await, "1 3", "now it is");
    });
}

#[test]
fn values_come_back_as_they_went() {
    on_core(async {
        let thing = thing();
        let mut answer = Box::pin(thing.running.run(at("/values")));
        thing.none_yet(&mut answer).await;
        thing.settle(Ok(()));
        let told = text(answer.await).await;
        let refused = r#"["TypeError","DataCloneError","DataCloneError"]"#;
        assert_eq!(told, format!(r#"[[],{refused},["TypeError","TypeError","Error"],true]"#));
    });
}

#[test]
fn requests_and_sync_wait_as_responses_do() {
    on_core(async {
        let asked = Arc::new(Mutex::new(0));
        let counted = asked.clone();
        let thing = thing_with(|setup| {
            setup.net(move |_| {
                *counted.lock().unwrap() += 1;
                http::Response::new(base::Body::empty())
            })
        });
        let mut out = Box::pin(thing.running.run(at("/out")));
        thing.none_yet(&mut out).await;
        assert_eq!(*asked.lock().unwrap(), 0, "the request has not left");
        thing.settle(Ok(()));
        assert_eq!(text(out.await).await, "200");
        assert_eq!(*asked.lock().unwrap(), 1);
        let mut sync = Box::pin(thing.running.run(at("/sync")));
        thing.none_yet(&mut sync).await;
        thing.settle(Ok(()));
        assert_eq!(text(sync.await).await, "synced");
    });
}

#[test]
fn a_failed_commit_or_flush_resets_the_object() {
    on_core(async {
        let mut thing = thing();
        let mut write = Box::pin(thing.running.run(at("/write")));
        thing.none_yet(&mut write).await;
        let mut read = Box::pin(thing.running.run(at("/read")));
        thing.none_yet(&mut read).await;
        thing.settle(Err(StoreError::Failed("a flush".into())));
        assert_eq!((code(write.await), code(read.await)), ("store_failed", "store_failed"));
        assert!(thing.running.instance.state().lost);
        thing.wake();
        *thing.commit_fails.lock().unwrap() = true;
        assert_eq!(code(thing.running.run(at("/write")).await), "store_full");
        assert!(thing.running.instance.state().lost);
        *thing.commit_fails.lock().unwrap() = false;
        thing.wake();
        assert_eq!(text(thing.running.run(at("/read")).await).await, "1 1", "memory anew, and only what was committed");
    });
}

#[test]
fn an_exception_is_an_answer_and_an_endless_loop_undoes_its_turn() {
    on_core(async {
        let mut thing = thing_with(|setup| setup.limits(|limits| limits.cpu_ms = 50));
        let mut thrown = Box::pin(thing.running.run(at("/throw")));
        thing.none_yet(&mut thrown).await;
        thing.settle(Ok(()));
        assert_eq!(code(thrown.await), "guest_exception");
        assert!(!thing.running.instance.state().lost);
        assert_eq!(code(thing.running.run(at("/loop")).await), "cpu_exceeded");
        assert!(thing.running.instance.state().lost);
        thing.wake();
        assert_eq!(text(thing.running.run(at("/read")).await).await, "3 1");
    });
}

#[test]
fn events_wait_while_somebody_blocks_and_a_failure_there_resets() {
    on_core(async {
        let mut thing = thing();
        assert_eq!(text(thing.running.run(at("/block")).await).await, "blocked");
        assert_eq!(text(thing.running.run(at("/read")).await).await, "undefined 101");
        assert_eq!(code(thing.running.run(at("/broken")).await), "object_reset");
        thing.wake();
        assert_eq!(text(thing.running.run(at("/read")).await).await, "undefined 1");
    });
}

#[test]
fn events_that_waited_do_not_come_between_each_others_reads_and_writes() {
    on_core(async {
        let thing = thing();
        let tickets = thing.tickets.clone();
        let settle = async {
            // Whatever is to become durable does, for as long as anybody waits for it.
            loop {
                tickets.lock().unwrap().drain(..).for_each(|settle: Settle| drop(settle.send(Ok(()))));
                tokio::task::yield_now().await;
            }
        };
        let count = async || text(thing.running.run(at("/count")).await).await;
        let all = futures_util::future::join_all((0..20).map(|_| count()));
        let counts = tokio::select! {
            counts = all => counts,
            () = settle => unreachable!("it goes on for ever"),
        };
        let expected: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
        assert_eq!(counts, expected, "each goes on after the one before, in the order of coming");
    });
}

#[test]
fn an_alarm_schedules_its_next_try_before_it_runs() {
    on_core(async {
        let mut thing = thing();
        let mut storage = thing.store.open(&thing.key, 1).await.expect("it opens");
        storage.set_alarm(Some(Alarm::at(1))).expect("set");
        storage.commit().expect("a commit");
        drop(storage);
        thing.wake();
        let alarm = || Event::Object(Box::new(ObjectEvent::Alarm));
        let instance = thing.running.instance.clone();
        let mut run = instance.run(thing.running.call(), alarm());
        let ended = loop {
            if let Some(ended) = (&mut run).now_or_never() {
                break ended;
            }
            thing.settle(Ok(()));
            tokio::task::yield_now().await;
        };
        assert_eq!(ended.expect_err("its handler throws").failure.code.name, "guest_exception");
        let mut storage = thing.store.open(&thing.key, 1).await.expect("it opens");
        let stored = storage.alarm().expect("alarm").expect("it is set");
        assert_eq!((stored.tries, stored.scheduled_ms), (1, 1));
        assert!(stored.due_ms > 1);
    });
}
