//! Modules of Node.js in scripts, and the context that follows a request through whatever it waits for.

use std::sync::Arc;

use base::artifact::{Module, ModuleKind, Script};
use base::{AppName, Artifact, ResourceName, SystemClock, TenantName};
use services::memory::MemoryKv;
use services::{KvLimits, KvNamespace};
use worker::Handle;

use crate::fixture::*;

/// A script that imports modules of the platform.
fn importing(modules: &[&str], source: &str) -> Setup {
    let mut main = module(source);
    let mut all = Vec::new();
    for (index, name) in modules.iter().enumerate() {
        main.imports.push(((*name).into(), index as u32 + 1));
        all.push(Module { name: (*name).into(), kind: ModuleKind::Builtin, ..module("") });
    }
    all.insert(0, main);
    setup_artifact(Artifact::Script(Script { entry: 0, modules: all }))
}

fn kv() -> Handle {
    let provider = Arc::new(MemoryKv::new(Arc::new(SystemClock::default()), KvLimits::default()));
    let namespace = KvNamespace::new(
        TenantName::parse("t").unwrap(),
        AppName::parse("app").unwrap(),
        ResourceName::parse("kv").unwrap(),
    );
    Handle::Kv { provider, namespace }
}

const WANDERINGS: &str = r#"
import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { Readable, Transform, pipeline } from "node:stream";

const storage = new AsyncLocalStorage();
const other = new AsyncLocalStorage();
const emitter = new EventEmitter();
emitter.setMaxListeners(0);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ways to wait. Each calls `check` in every continuation that it has. */
const ways = [
  async (check) => { await null; check(); },
  async (check) => { await sleep(Math.random() * 3); check(); },
  (check) => Promise.resolve().then(check).finally(check).catch(check),
  (check) => Promise.reject(new Error()).catch(check),
  async (check) => { await { then(resolve) { check(); setTimeout(resolve, 1); } }; check(); },
  (check) => new Promise((resolve) => queueMicrotask(() => { check(); resolve(); })),
  (check) => new Promise((resolve) => setTimeout(() => { check(); resolve(); }, Math.random() * 2)),
  (check) => new Promise((resolve) => {
    let left = 3;
    const timer = setInterval(() => { check(); if (--left === 0) { clearInterval(timer); resolve(); } }, 1);
  }),
  async (check) => { for await (const _ of (async function* () { check(); yield 1; await sleep(1); check(); yield 2; })()) check(); },
  async (check) => { await (await fetch("http://out.test/")).text(); check(); },
  async (check, env) => { await env.KV.put("k", "v"); check(); await env.KV.get("k"); check(); },
  async (check) => {
    const stream = new ReadableStream({ async pull(controller) { await null; controller.enqueue(1); controller.close(); } });
    for await (const _ of stream) check();
    check();
  },
  async (check) => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    writer.write("x").then(check);
    writer.close().then(check);
    const reader = readable.getReader();
    while (!(await reader.read()).done) check();
  },
  (check) => new Promise((resolve) => {
    emitter.once("tick", AsyncResource.bind(() => { check(); resolve(); }));
    if (Math.random() < 0.5) emitter.emit("tick");
    else sleep(1).then(() => emitter.emit("tick"));
  }),
  (check) => new Promise((resolve, reject) => pipeline(
    Readable.from(["a", "b"]), new Transform({ transform(chunk, _, done) { check(); setTimeout(done, 1, null, chunk); } }).resume(),
    (error) => { check(); if (error) reject(error); else resolve(); },
  )),
  async (check) => { await Promise.all([sleep(1).then(check), Promise.race([sleep(2), null]).then(check), Promise.allSettled([sleep(1)]).then(check)]); check(); },
  async (check) => { const snapshot = AsyncLocalStorage.snapshot(); await other.run(Math.random(), () => sleep(1)); snapshot(check); },
  async (check) => {
    const mine = storage.getStore();
    await storage.run("inner", async () => { await sleep(1); if (storage.getStore() !== "inner") throw new Error("inner lost"); });
    if (storage.getStore() !== mine) throw new Error("outer lost");
    storage.exit(() => { if (storage.getStore() !== undefined) throw new Error("exit"); });
    check();
  },
  (check) => crypto.subtle.digest("SHA-256", new Uint8Array(10)).then(check),
  async (check) => { await new Response(new Blob(["abc"]).stream()).text(); check(); },
];

let wrong = 0;
let checks = 0;
export default {
  async fetch(request, env) {
    const id = new URL(request.url).searchParams.get("id");
    if (storage.getStore() !== undefined) wrong++;
    return storage.run(id, async () => {
      const check = () => { checks++; if (storage.getStore() !== id) wrong++; };
      for (let step = 0; step < 6; step++) {
        const way = ways[Math.floor(Math.random() * ways.length)];
        await way(check, env);
        check();
      }
      return new Response(`${storage.getStore() === id} ${wrong} ${checks > 0}`);
    });
  },
};
"#;

#[test]
fn a_store_follows_its_request_through_every_continuation() {
    on_core(async {
        let app = importing(&["node:async_hooks", "node:events", "node:stream"], WANDERINGS).bind("KV", kv()).start();
        let all =
            futures_util::future::join_all((0..400).map(|id| app.text(get(&format!("http://a.test/?id={id}"))))).await;
        assert!(all.iter().all(|answer| answer == "true 0 true"), "{all:?}");
    });
}
