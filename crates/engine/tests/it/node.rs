//! Modules of Node.js in scripts, and the context that follows a request through whatever it waits for.

use std::sync::Arc;

use base::artifact::{Module, ModuleKind, Script};
use base::{AppName, Artifact, ResourceName, SystemClock, TenantName};
use services::memory::MemoryKv;
use services::{KvLimits, KvNamespace};
use worker::Handle;

use crate::fixture::*;

/// A script that imports modules of the platform.
pub fn importing(modules: &[&str], source: &str) -> Setup {
    let mut main = module(source);
    let mut all = Vec::new();
    for (index, name) in modules.iter().enumerate() {
        main.imports.push(((*name).into(), index as u32 + 1));
        all.push(Module { name: (*name).into(), kind: ModuleKind::Builtin, ..module("") });
    }
    all.insert(0, main);
    setup_artifact(Artifact::Script(Script { entry: 0, modules: all, warm: None }))
}

pub fn kv() -> Handle {
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

#[test]
fn a_tick_belongs_to_the_request_that_asked_for_it() {
    on_core(async {
        let source = r#"import process from "node:process";
            let release;
            export default { async fetch(request) {
              if (request.url.endsWith("/releases")) {
                release();
                process.nextTick(() => {});
                await new Promise((resolve) => setTimeout(resolve, 1));
                return new Response("released");
              }
              // Nothing else would be left that could settle what it waits for.
              setTimeout(() => {}, 300);
              await new Promise((resolve) => { release = resolve; });
              // The other one has asked for its tick already, and is answered before this timer rings.
              await new Promise((resolve) => process.nextTick(() => setTimeout(resolve, 20)));
              return new Response("waited");
            } };"#;
        let app = importing(&["node:process"], source).start();
        let both = tokio::join!(app.text(get("http://a.test/waits")), app.text(get("http://a.test/releases")));
        assert_eq!(both, ("waited".to_owned(), "released".to_owned()));
    });
}

#[test]
fn every_module_of_node_is_evaluated_together_with_all_others() {
    on_core(async {
        let modules: Vec<&str> = base::builtin::MODULES.iter().copied().filter(|m| m.starts_with("node:")).collect();
        let imports: String =
            modules.iter().enumerate().map(|(i, name)| format!("import * as m{i} from '{name}';\n")).collect();
        let names: Vec<String> = (0..modules.len()).map(|i| format!("m{i}")).collect();
        let source = format!(
            "{imports}export default {{ fetch() {{ return Response.json([{}].map(m => 'default' in m && Object.keys(m).length > 1)) }} }}",
            names.join(",")
        );
        let app = importing(&modules, &source).start();
        let expected = format!("[{}]", vec!["true"; modules.len()].join(","));
        assert_eq!(app.text(get("http://a.test/")).await, expected);
    });
}

#[test]
fn node_computes() {
    on_core(async {
        let app = importing(
            &["node:crypto", "node:zlib", "node:util", "node:buffer", "node:events"],
            r#"import crypto, { createHash, createHmac } from "node:crypto";
            import zlib from "node:zlib";
            import { promisify } from "node:util";
            import { Buffer } from "node:buffer";
            const early = createHash("sha256").update("a");
            export default { async fetch() {
              const text = "hello ".repeat(1000);
              const key = Buffer.alloc(32, 1), iv = Buffer.alloc(12, 2);
              const cipher = crypto.createCipheriv("aes-256-gcm", key, iv);
              const sealed = Buffer.concat([cipher.update("secret"), cipher.final()]);
              const open = crypto.createDecipheriv("aes-256-gcm", key, iv).setAuthTag(cipher.getAuthTag());
              const cbc = (make) => make("aes-128-cbc", key.subarray(0, 16), Buffer.alloc(16));
              const ctr = cbc((_, k, v) => crypto.createCipheriv("aes-128-ctr", k, v)).update("x");
              const enc = cbc(crypto.createCipheriv), dec = cbc(crypto.createDecipheriv);
              const boxed = Buffer.concat([enc.update("block"), enc.final()]);
              return Response.json([
                early.copy().update("bc").digest("hex").slice(0, 16),
                createHash("md5").update(Buffer.alloc(600_000, 65)).digest("hex").slice(0, 16),
                createHash("ripemd160").update("").digest("hex").slice(0, 16),
                createHmac("sha1", "key").update("abc").digest("base64"),
                crypto.pbkdf2Sync("p", "salt", 10, 8, "sha256").toString("hex"),
                (await promisify(crypto.pbkdf2)("p", "salt", 10, 8, "sha256")).toString("hex"),
                (await promisify(crypto.scrypt)("p", "salt", 8, { N: 1024 })).toString("hex"),
                Buffer.from(crypto.hkdfSync("sha256", "k", "s", "i", 8)).toString("hex"),
                open.update(sealed, null, "utf8") + open.final("utf8"), ctr.length,
                dec.update(boxed, null, "utf8") + dec.final("utf8"),
                zlib.gunzipSync(zlib.gzipSync(text)).toString() === text,
                (await promisify(zlib.brotliDecompress)(await promisify(zlib.brotliCompress)(text))).toString() === text,
                zlib.inflateRawSync(zlib.deflateRawSync(text)).length, zlib.crc32("hello"),
                Buffer.from("zażółć").toString("base64"), Buffer.from("ff00", "hex").readUInt16BE(), Buffer.from("\ud83d\ude00", "utf16le").toString("utf16le"),
                Buffer.from("abcabc").lastIndexOf("ab"), Buffer.compare(Buffer.from("a"), Buffer.from("b")), Buffer.from("aXbX").indexOf("bX"),
              ]);
            } };"#,
        )
        .start();
        let expected = concat!(
            r#"["ba7816bf8f01cfea","ae92e1b1644ba13d","9c1185a5c5e9fc54","T9CyFSdu8S8rPkyOysKBFJi2Vvw=","#,
            r#""21f93ad86069b571","21f93ad86069b571","2a59856029dcbac1","02b0929a9d46e923","secret",1,"block",true,true,6000,907060870,"#,
            r#""emHFvMOzxYLEhw==",65280,"😀",3,-1,2]"#
        );
        let got = app.text(get("http://a.test/")).await;
        assert_eq!(got, expected);
    });
}

#[test]
fn what_costs_too_much_is_refused_by_name() {
    on_core(async {
        let app = importing(
            &["node:crypto", "node:zlib", "node:util"],
            r#"import crypto from "node:crypto"; import zlib from "node:zlib"; import { promisify } from "node:util";
            const code = async (run) => { try { await run(); return "done" } catch (e) { return `${e.name} ${e.code} ${/limits\.(\w+)/.exec(e.message)?.[1]}` } };
            export default { async fetch() { return Response.json(await Promise.all([
              code(() => crypto.pbkdf2Sync("p", "s", 1e9, 32, "sha512")),
              code(() => promisify(crypto.pbkdf2)("p", "s", 1e9, 32, "sha512")),
              code(() => crypto.scryptSync("p", "s", 8, { N: 65536, r: 8, maxmem: 1e9 })),
              code(() => promisify(crypto.scrypt)("p", "s", 8, { N: 131072, r: 8, maxmem: 1e9 })),
              code(() => zlib.gzipSync(new Uint8Array(2e6))),
              code(() => zlib.gunzipSync(zlib.gzipSync(new Uint8Array(1e6)), { maxOutputLength: 1000 })),
              code(async () => zlib.gunzipSync(await promisify(zlib.gzip)(new Uint8Array(2e6)))),
            ])) } };"#,
        )
        .start();
        let expected = concat!(
            r#"["RangeError kdf_too_costly kdf_sync_work","RangeError kdf_too_costly kdf_work","#,
            r#""RangeError kdf_too_costly kdf_sync_work","RangeError kdf_too_costly scrypt_memory_mib","#,
            r#""RangeError node_sync_exceeded node_sync_bytes","RangeError ERR_BUFFER_TOO_LARGE undefined","#,
            r#""RangeError node_sync_exceeded node_sync_bytes"]"#
        );
        assert_eq!(app.text(get("http://a.test/")).await, expected);
    });
}

#[test]
fn node_globals_are_there_when_they_are_wanted() {
    on_core(async {
        let app = setup(
            r#"const early = process.env.NODE_ENV + typeof process.env.WHO;
            export default { async fetch() {
              const order = [];
              setImmediate(() => order.push("immediate"));
              process.nextTick(() => order.push("tick"));
              await new Promise((resolve) => setImmediate(resolve));
              return Response.json([early, process.env.WHO, process.env.CONF, "NOPE" in process.env,
                Buffer.from("hi").toString("hex"), global === globalThis, order, process.version.startsWith("v"), typeof process.versions.node]);
            } };"#,
        )
        .bind("WHO", Handle::Text("me".into()))
        .bind("CONF", Handle::Json("{\"a\":1}".into()))
        .start();
        let expected =
            r#"["productionundefined","me","{\"a\":1}",false,"6869",true,["tick","immediate"],true,"string"]"#;
        assert_eq!(app.text(get("http://a.test/")).await, expected);
    });
}

#[test]
fn what_a_worker_has_not_says_what_there_is_instead() {
    on_core(async {
        let app = importing(
            &["node:fs", "node:http", "node:child_process"],
            r#"import fs from "node:fs"; import http from "node:http"; import { spawn } from "node:child_process";
            const message = (run) => { try { run() } catch (e) { return e.message } };
            export default { fetch() { return Response.json([message(() => fs.readFileSync("/x")), message(() => http.get("http://x")), message(() => spawn("ls"))]) } };"#,
        )
        .start();
        let got = app.text(get("http://a.test/")).await;
        for part in
            ["fs.readFileSync is not available in a worker; import the file", "use fetch", "use a service binding"]
        {
            assert!(got.contains(part), "{got}");
        }
    });
}

const ZLIB_STREAMS: &str = r#"import zlib from "node:zlib"; import { pipeline } from "node:stream/promises"; import { Readable, Writable } from "node:stream";
            const all = async (stream, ...parts) => {
              for (const part of parts) stream.write(part);
              stream.end();
              const out = [];
              for await (const part of stream) out.push(part);
              return Buffer.concat(out);
            };
            const said = async (run) => { try { return await run() } catch (e) { return `${e.name} ${e.code} ${e.errno}: ${e.message}` } };
            const text = Array.from({ length: 20000 }, (_, i) => `line ${i}\n`).join("");
            const asked = {
              async early() {
                const gz = zlib.createGzip();
                const seen = [];
                gz.on("data", (part) => seen.push(part));
                gz.write("first");
                await new Promise((done) => gz.flush(done));
                const un = zlib.createGunzip();
                const got = new Promise((done) => un.once("data", done));
                for (const part of seen) un.write(part);
                return `${await got}`;
              },
              async pieces() {
                const packed = zlib.gzipSync(text);
                const un = zlib.createUnzip();
                const parts = Array.from({ length: packed.length }, (_, i) => packed.subarray(i, i + 1));
                return (await all(un, ...parts)).toString() === text;
              },
              async members() { return `${await all(zlib.createGunzip(), zlib.gzipSync("a"), zlib.gzipSync("b"), "garbage")}`; },
              async trailing() { return `${await all(zlib.createInflate(), zlib.deflateSync("a"), "garbage")}`; },
              async level() {
                const [fast, best] = await Promise.all([1, 9].map((level) => all(zlib.createDeflate({ level }), text)));
                return fast.length > best.length && zlib.inflateSync(fast).toString() === text;
              },
              async brotli() {
                const packed = await all(zlib.createBrotliCompress(), text.slice(0, 5), text.slice(5));
                return (await all(zlib.createBrotliDecompress(), packed)).toString() === text;
              },
              bad: () => all(zlib.createGunzip(), "nonsense"),
              worse: () => all(zlib.createInflateRaw(), Buffer.alloc(100, 255)),
              cut: () => all(zlib.createGunzip(), zlib.gzipSync(text).subarray(0, 500)),
              empty: () => all(zlib.createGunzip()),
              async partial() { return (await all(zlib.createGunzip({ finishFlush: zlib.constants.Z_SYNC_FLUSH }), zlib.gzipSync(text).subarray(0, 5000))).length > 0; },
              async slow() {
                let most = 0, sum = 0;
                const un = zlib.createGunzip();
                const zeros = await all(zlib.createGzip(), ...Array.from({ length: 256 }, () => Buffer.alloc(65536)));
                await pipeline(Readable.from([zeros]), un, new Writable({ write(part, _, done) {
                  sum += part.length;
                  most = Math.max(most, un.readableLength);
                  setTimeout(done, 0);
                } }));
                return [sum, most <= 131072];
              },
            };
            export default { async fetch() {
              const out = {};
              for (const name of Object.keys(asked)) out[name] = await said(asked[name]);
              return Response.json(out);
            } };"#;

#[test]
fn streams_of_zlib_give_what_they_have_as_it_comes() {
    on_core(async {
        let app = importing(&["node:zlib", "node:stream/promises", "node:stream"], ZLIB_STREAMS)
            .limits(|limits| limits.cpu_ms = 20_000)
            .start();
        let got: serde_json::Value = serde_json::from_str(&app.text(get("http://a.test/")).await).unwrap();
        let expected = serde_json::json!({
            "early": "first", "pieces": true, "members": "ab", "trailing": "a", "level": true, "brotli": true,
            "bad": "Error Z_DATA_ERROR -3: incorrect header check",
            "worse": "Error Z_DATA_ERROR -3: invalid stored block lengths, code or distance",
            "cut": "Error Z_BUF_ERROR -5: unexpected end of file",
            "empty": "Error Z_BUF_ERROR -5: unexpected end of file",
            "partial": true, "slow": [16_777_216, true],
        });
        assert_eq!(got, expected);
    });
}
