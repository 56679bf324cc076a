// Everything that the platform gives a script, called with what nobody would pass it: the program
// is the body of the request. The answer is how far it came; whatever it throws is its own affair.

import * as buffer from "node:buffer";
import * as nodeCrypto from "node:crypto";
import * as nodeUrl from "node:url";
import * as util from "node:util";
import * as zlib from "node:zlib";
import * as events from "node:events";
import * as stream from "node:stream";
import * as querystring from "node:querystring";
import { AsyncLocalStorage } from "node:async_hooks";
import { StringDecoder } from "node:string_decoder";

// The names make the engine load what they stand for.
void [structuredClone, MessageChannel, CompressionStream, DecompressionStream, HTMLRewriter, FormData, FileReader, URLPattern, TransformStream, WritableStream, TextDecoderStream, TextEncoderStream, WebSocketPair, CryptoKey, ReadableByteStreamController, FixedLengthStream, caches, performance, scheduler, MessageEvent, ErrorEvent, process, setImmediate, EventSource];

const SKIPPED = /^(constructor|debuglog|inspect|exit|abort|kill|wait|setInterval)$/;
const functions = [];
const classes = [];

function gather(holder, depth) {
  for (const key of Reflect.ownKeys(holder)) {
    if (typeof key === "string" && SKIPPED.test(key)) continue;
    const d = Reflect.getOwnPropertyDescriptor(holder, key);
    for (const f of [d.value, d.get, d.set]) {
      if (typeof f === "object" && f !== null && depth > 0 && !Array.isArray(f)) gather(f, depth - 1);
      if (typeof f !== "function" || functions.includes(f)) continue;
      functions.push(f);
      if (f.prototype && depth > 0) classes.push(f), gather(f.prototype, 0), gather(f, 0);
    }
  }
}
gather(globalThis, 2);
for (const space of [buffer, nodeCrypto, nodeUrl, util, zlib, events, stream, querystring, { AsyncLocalStorage, StringDecoder }]) gather(space, 1);

const throwing = () => { throw new RangeError("thrown"); };

function nested(depth, wrap) {
  let v = 0;
  for (let i = 0; i < depth; i++) v = wrap(v);
  return v;
}

function detached(bytes) {
  const b = new ArrayBuffer(bytes);
  const view = new Uint8Array(b);
  b.transfer();
  return view;
}

const EXOTIC = [
  () => undefined, () => null, () => NaN, () => -0, () => -1, () => 2 ** 31, () => 2 ** 32, () => 2 ** 53, () => Infinity, () => 0.5, () => true,
  () => "", () => "\0", () => "\ud800", () => "é🙂", () => "x".repeat(70000), () => "長".repeat(40000), () => "https://a.example/?b#c", () => "utf-16le", () => "deflate-raw",
  () => "SHA-256", () => "p > b", () => "__proto__", () => "content-type", () => "%zz", () => 10n ** 400n, () => -1n, () => Symbol("s"), () => Symbol.iterator,
  () => [], () => [1, , 3], () => { const a = []; a[0] = a; return a; }, () => { const a = []; a.length = 2 ** 32 - 1; return a; }, () => nested(30000, (v) => [v]),
  () => nested(3000, (v) => ({ v })), () => nested(2000, (v) => new Map([[v, v]])), () => ({}), () => Object.create(null),
  () => ({ get x() { return throwing(); } }), () => ({ toString: throwing }), () => ({ valueOf: throwing, toString: () => ({}) }), () => ({ toJSON: throwing }),
  () => ({ [Symbol.toPrimitive]: () => Symbol("p") }), () => ({ then: throwing }), () => { const t = { then: (f) => f(t) }; return t; }, () => ({ then(f) { f(1); f(2); } }),
  () => ({ [Symbol.iterator]: throwing }), () => ({ *[Symbol.iterator]() { for (let i = 0; i < 2000; i++) yield i; } }), () => ({ [Symbol.iterator]: () => ({ next: () => ({ get done() { return throwing(); } }) }) }),
  () => ({ length: 2 ** 53 }), () => ({ length: -1, 0: "a" }), () => ({ get length() { return throwing(); } }), () => ({ async *[Symbol.asyncIterator]() { yield new Uint8Array(9); yield "x"; throwing(); } }),
  () => new Proxy({}, { get: throwing }), () => new Proxy([], { ownKeys: () => ["length", "length"] }), () => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; },
  () => nested(500, (v) => new Proxy(typeof v === "object" ? v : {}, {})), () => new Proxy(function () {}, { apply: throwing, construct: () => 1 }),
  () => new Proxy({}, { getPrototypeOf: throwing, getOwnPropertyDescriptor: () => ({ configurable: true }) }),
  () => detached(8), () => detached(8).buffer, () => new Uint8Array(0), () => new Uint8Array(70000), () => new Float64Array(9), () => new DataView(new ArrayBuffer(3)),
  () => { const b = new ArrayBuffer(8, { maxByteLength: 16 }); const v = new Uint8Array(b, 4); b.resize(2); return v; }, () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 })), () => new SharedArrayBuffer(8),
  () => new Map(), () => { const m = new Map(); m.set(m, m); return m; }, () => new Set([NaN, -0]), () => new WeakMap(), () => new Date(NaN), () => /(a+)+$/g, () => Object.assign(/x/, { exec: throwing }),
  () => { const e = new Error("e"); e.cause = e; return e; }, () => { const e = new Error("e"); e.stack = { toString: throwing }; return e; }, () => { const e = new TypeError("t"); e.stack = " ".repeat(60000) + ":1:1"; return e; },
  () => Object.assign(new Error("c"), { code: { toString: throwing }, name: Symbol("n") }), () => Promise.resolve(1), () => { const p = Promise.reject(1); p.catch(() => {}); return p; }, () => new Promise(() => {}),
  () => throwing, () => async () => {}, () => function* () {}, () => class { constructor() { throwing(); } }, () => (f) => f, () => (c) => c.enqueue(new Uint8Array(5)), () => (c) => c.close(), () => (c) => c.error(1),
  () => ({ pull(c) { c.enqueue("x"); c.enqueue(new Uint8Array(3)); }, cancel: throwing }), () => ({ type: "bytes", pull(c) { c.byobRequest?.respond(1); c.enqueue(new Uint8Array(4)); c.close(); } }),
  () => ({ start: throwing }), () => ({ transform: (x, c) => c.enqueue(x), flush: throwing }), () => ({ write: throwing, close: throwing }), () => ({ highWaterMark: -1, size: throwing }),
  () => new Request("http://a/", { method: "POST", body: "b" }), () => new Response("r", { headers: { a: "b" } }), () => new Response(new ReadableStream({ pull: throwing })), () => new Headers([["a", "b"], ["set-cookie", "x"]]),
  () => new URL("http://user@h:1/p?q#f"), () => new URLSearchParams("a=b&a=c"), () => new Blob(["x", new Uint8Array(9)], { type: "a/b" }), () => new File([], "f"), () => { const f = new FormData(); f.append("a", new Blob(["x"]), "n\"\r\n"); return f; },
  () => new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(2)); c.close(); } }), () => new TransformStream(), () => new AbortController(), () => AbortSignal.abort({ toString: throwing }), () => new TextDecoder("shift_jis"),
  () => new MessageChannel().port1, () => new EventTarget(), () => new Event("e"), () => new CompressionStream("gzip"), () => new DecompressionStream("deflate"), () => buffer.Buffer.from("héx"), () => new util.TextEncoder(),
  () => ({ method: "PUT", headers: { "x": "y" }, body: new Uint8Array(4) }), () => ({ status: 204, headers: [["a", "b"]] }), () => ({ transfer: [new ArrayBuffer(4)] }), () => ({ name: "HMAC", hash: "SHA-256" }), () => ({ name: "AES-GCM", iv: new Uint8Array(12), length: 128 }),
  () => ["sign", "verify", "encrypt"], () => new (class extends Request { get url() { return throwing(); } })("http://x/"), () => new (class extends Map { get() { return throwing(); } })([[1, 2]]), () => globalThis, () => (function () { return arguments; })(1, 2),
];

function machine(bytes, env) {
  let at = 0;
  const pool = [];
  const byte = () => (at < bytes.length ? bytes[at++] : 0);
  const wide = () => byte() | (byte() << 8);
  const made = () => EXOTIC[byte() % EXOTIC.length]();
  const value = () => (pool.length && byte() & 1 ? pool[byte() % pool.length] : made());
  const values = () => Array.from({ length: byte() % 4 }, value);
  const keep = (v) => { if (pool.length < 40) pool.push(v); else pool[byte() % 40] = v; return v; };
  const method = (v) => {
    const keys = [];
    for (let p = Object(v), n = 0; p && n < 6; p = Reflect.getPrototypeOf(p), n++) keys.push(...Reflect.ownKeys(p).slice(0, 60));
    return keys[wide() % (keys.length || 1)];
  };
  const steps = [
    () => keep(made()),
    () => keep(Reflect.apply(functions[wide() % functions.length], value(), values())),
    () => keep(functions[wide() % functions.length](...values())),
    () => keep(Reflect.construct(classes[wide() % classes.length], values())),
    () => { const v = value(), k = method(v); return keep(typeof v[k] === "function" ? v[k](...values()) : v[k]); },
    () => { const v = value(), k = method(v); return keep(typeof v[k] === "function" ? v[k](...values()) : v[k]); },
    () => { const v = value(); v[method(value())] = value(); },
    () => keep(structuredClone(value(), byte() & 1 ? { transfer: values() } : undefined)),
    () => { const { port1, port2 } = new MessageChannel(); port2.onmessage = (e) => keep(e.data); port1.postMessage(value(), byte() & 1 ? values() : undefined); },
    () => env.KV[["get", "put", "delete", "list", "getWithMetadata"][byte() % 5]](value(), value(), value()),
    () => caches.default.put(value(), byte() & 1 ? new Response(value(), { headers: { "cache-control": "max-age=9" } }) : value()),
    () => caches.default.match(value(), value()),
    () => keep(new Response(value(), value())),
    () => keep(new Request(byte() & 1 ? "http://a/" : value(), value())),
    () => keep(new Headers(value())),
    () => keep(JSON.parse(JSON.stringify(value(), value(), value()))),
    () => { const v = value(); return v?.buffer?.transfer?.(byte()) ?? v?.transfer?.(); },
    () => keep(new HTMLRewriter().on(value(), { element: (e) => { e.setAttribute(value(), value()); e.append(value(), value()); } }).transform(new Response("<p class=a>x<b>y</b></p>"))),
    () => crypto.subtle[["digest", "importKey", "sign", "encrypt", "generateKey", "deriveBits"][byte() % 6]](...[value(), value(), value(), value(), value()]),
    () => console.log(value(), value()),
    () => fetch(value(), value()),
    () => keep(value()[["text", "json", "arrayBuffer", "formData", "blob", "clone", "getReader", "tee", "stream", "bytes"][byte() % 10]]()),
    () => { Object.defineProperty(Object.prototype, ["then", "get", "value", "type", "0"][byte() % 5], { get: byte() & 1 ? throwing : () => undefined, configurable: true }); },
    () => { for (const k of ["then", "get", "value", "type", "0"]) delete Object.prototype[k]; },
    () => { throw value(); },
  ];
  return { over: () => at >= bytes.length, step: () => steps[byte() % steps.length](), waits: () => byte() % 4 === 0, last: value };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 0));

export default {
  async fetch(request, env) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const m = machine(bytes, env);
    let done = 0;
    for (let count = 0; !m.over() && count < 120; count++) {
      try {
        const result = m.step();
        if (result instanceof Promise) result.then(null, () => {});
        if (m.waits()) await Promise.race([result, soon()]);
        done++;
      } catch {}
    }
    for (const k of ["then", "get", "value", "type", "0"]) delete Object.prototype[k];
    if (bytes[0] === 1) return m.last();
    if (bytes[0] === 2) throw m.last();
    return new Response(`${done}`);
  },
};
