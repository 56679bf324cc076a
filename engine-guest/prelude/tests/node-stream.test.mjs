// `node:stream` beside the real one: the same code must see the same events in the same order.
import { test } from "node:test";
import assert from "node:assert/strict";
import * as realStream from "node:stream";
import * as realConsumers from "node:stream/consumers";
import * as realPromises from "node:stream/promises";
import { load } from "./mock.mjs";

const turn = () => new Promise((resolve) => realSetImmediate(resolve));
const realSetImmediate = setImmediate;

async function log(run, m) {
  const seen = [];
  const say = (...args) => seen.push(args.map((a) => (a instanceof Error ? `${a.code ?? a.name}: ${a.message}` : a instanceof Uint8Array ? `<${Buffer.from(a)}>` : Array.isArray(a) ? `[${a}]` : typeof a === "object" && a !== null ? JSON.stringify(a) : String(a))).join(" "));
  try {
    await run(m, say);
    for (let i = 0; i < 8; i++) await turn();
  } catch (error) {
    say("thrown", error);
  }
  return seen;
}

async function alike(real, ours, cases) {
  for (const run of cases) {
    const expected = await log(run, real);
    assert.deepEqual(await log(run, ours), expected, `${run}`);
    assert.ok(expected.length > 0, `${run} says nothing`);
  }
}

function watch(stream, say, name = "") {
  for (const event of ["data", "end", "close", "error", "finish", "drain", "pause", "resume", "prefinish"]) {
    if (event !== "data") stream.on(event, (x) => say(name, event, x ?? ""));
  }
  return stream;
}

test("Readable", async () => {
  const ours = await load("node/stream");
  await alike(realStream, ours, [
    (m, say) => { const r = watch(new m.Readable({ read() { this.push("a"); this.push("b"); this.push(null); } }), say); r.on("data", (c) => say("data", c)); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.on("readable", () => { let c; while ((c = r.read(2)) !== null) say("read", c); }); r.push("abc"); r.push("def"); r.push("g"); r.push(null); },
    (m, say) => { const r = watch(new m.Readable({ objectMode: true, read() {} }), say); r.on("data", (c) => say(c)); r.push({ a: 1 }); r.push(0); r.push(""); r.push(null); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.setEncoding("utf8"); r.on("data", (c) => say(c)); r.push(Buffer.from([0xe2, 0x82])); r.push(Buffer.from([0xac])); r.push(null); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.push("x"); r.push(null); r.push("late"); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.destroy(new Error("gone")); say(r.destroyed, r.readable, r.errored); },
    (m, say) => { const r = watch(new m.Readable({ read() { throw new Error("in read"); } }), say); r.resume(); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.push(5); },
    async (m, say) => { for await (const c of m.Readable.from(["a", "b", "c"])) say(c); },
    async (m, say) => { const r = m.Readable.from((async function* () { yield 1; yield 2; throw new Error("mid"); })()); try { for await (const c of r) say(c); } catch (e) { say(e); } say(r.destroyed); },
    async (m, say) => { const r = watch(m.Readable.from([1, 2, 3]), say); for await (const c of r) { say(c); break; } say(r.destroyed); },
    async (m, say) => { say(await m.Readable.from([1, 2, 3, 4]).map(async (x) => x * 2).filter((x) => x > 2).toArray()); say(await m.Readable.from([1, 2, 3]).reduce((a, b) => a + b, 10)); say(await m.Readable.from([1, 2, 3, 4]).drop(1).take(2).toArray()); say(await m.Readable.from([1, 2]).flatMap((x) => [x, x]).toArray(), await m.Readable.from([1, 2]).some((x) => x > 1), await m.Readable.from([1, 2]).every((x) => x > 1), await m.Readable.from([1, 2]).find((x) => x > 1)); },
    (m, say) => { const r = watch(new m.Readable({ read() {} }), say); r.on("data", (c) => { say(c); r.pause(); setImmediate(() => r.resume()); }); r.push("a"); r.push("b"); r.push(null); },
    (m, say) => { const r = new m.Readable({ highWaterMark: 4, read(n) { say("read", n); } }); say(r.push("ab"), r.push("cd"), r.readableLength, r.readableFlowing, r.readableHighWaterMark); r.unshift("z"); say(r.read(1), r.read()); },
    (m, say) => { const r = new m.Readable({ construct(cb) { say("construct"); setImmediate(cb); }, read() { say("read"); this.push(null); } }); watch(r, say); r.resume(); },
    (m, say) => { const r = m.Readable.from("whole"); r.on("data", (c) => say(typeof c, c)); }, (m, say) => { say(m.default === m.Stream, m.default.Readable === m.Readable, typeof m.Readable === "function", new m.Duplex() instanceof m.Writable, new m.Readable() instanceof m.Stream, new m.Transform() instanceof m.Readable); },
    (m, say) => { const ac = new AbortController(); const r = watch(new m.Readable({ read() {}, signal: ac.signal }), say); setImmediate(() => ac.abort()); },
    (m, say) => { const r = watch(new m.Readable({ read() {}, destroy(e, cb) { say("destroying", e); cb(new Error("worse")); } }), say); r.destroy(); }, (m, say) => { function Old() { m.Readable.call(this); } Object.setPrototypeOf(Old.prototype, m.Readable.prototype); Old.prototype._read = function () { this.push("old"); this.push(null); }; const o = new Old(); o.on("data", (c) => say(c)); },
    (m, say) => { const r = new m.Readable({ read() {} }); r.on("end", () => say("end")); r.push(null); r.on("data", () => {}); r.read(); }, (m, say) => { const r = watch(new m.Readable({ autoDestroy: false, read() { this.push(null); } }), say); r.resume(); setImmediate(() => say(r.destroyed)); }, (m, say) => { const r = watch(new m.Readable({ emitClose: false, read() { this.push(null); } }), say); r.resume(); setImmediate(() => say(r.destroyed)); },
  ]);
});

test("Writable", async () => {
  const ours = await load("node/stream");
  await alike(realStream, ours, [
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { say("write", c, e); cb(); } }), say); say(w.write("a"), w.write(Buffer.from("b"), () => say("cb"))); w.end("c", () => say("ended")); },
    (m, say) => { const w = watch(new m.Writable({ highWaterMark: 3, write(c, e, cb) { say("write", c); setImmediate(cb); } }), say); say(w.write("ab"), w.write("cd"), w.write("ef"), w.writableLength, w.writableNeedDrain); w.end(); },
    (m, say) => { const w = watch(new m.Writable({ decodeStrings: false, write(c, e, cb) { say(typeof c, e); cb(); } }), say); w.write("x", "latin1"); w.end(); },
    (m, say) => { const w = watch(new m.Writable({ writev(cs, cb) { say("writev", cs.length, cs.map((c) => `${c.chunk}`)); cb(); } }), say); w.cork(); w.write("a"); w.write("b"); w.uncork(); w.end(); },
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(new Error("no")); } }), say); w.write("a", (e) => say("cb", e)); w.write("b", (e) => say("cb2", e)); },
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(); }, final(cb) { say("final"); setImmediate(cb); } }), say); w.end("x"); say(w.writableEnded, w.writableFinished); },
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(); } }), say); w.end(); w.write("late", (e) => say("cb", e)); },
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(); } }), say); w.end(); w.end((e) => say("again", e ?? "")); setImmediate(() => w.end((e) => say("third", e ?? ""))); },
    (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(); } }), say); w.destroy(new Error("d")); w.write("x", (e) => say("cb", e)); }, (m, say) => { const w = new m.Writable({ write() {} }); try { w.write(null); } catch (e) { say(e); } try { w.write(5); } catch (e) { say(e); } },
    (m, say) => { const w = watch(new m.Writable({ objectMode: true, write(c, e, cb) { say(c); cb(); } }), say); w.write({ a: 1 }); w.write(5); w.end(); }, (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { setImmediate(() => { cb(); cb(); }); } }), say); w.write("a"); },
    (m, say) => { const w = watch(new m.Writable({ construct(cb) { say("construct"); setImmediate(cb); }, write(c, e, cb) { say("write", c); cb(); } }), say); w.write("a"); w.end(); }, (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) { cb(); }, final(cb) { cb(new Error("final")); } }), say); w.end((e) => say("end cb", e)); }, (m, say) => { const w = watch(new m.Writable({ write(c, e, cb) {} }), say); w.write("a", (e) => say("a", e)); w.write("b", (e) => say("b", e)); w.destroy(); },
  ]);
});

test("Duplex, Transform, PassThrough", async () => {
  const ours = await load("node/stream");
  await alike(realStream, ours, [
    (m, say) => { const t = watch(new m.Transform({ transform(c, e, cb) { cb(null, `${c}`.toUpperCase()); }, flush(cb) { this.push("!"); cb(); } }), say); t.on("data", (c) => say(c)); t.write("a"); t.end("b"); },
    (m, say) => { const t = watch(new m.Transform({ transform(c, e, cb) { cb(new Error("t")); } }), say); t.write("a"); }, (m, say) => { const p = watch(new m.PassThrough(), say); p.on("data", (c) => say(c)); p.end("x"); },
    (m, say) => { const d = watch(new m.Duplex({ read() { this.push("r"); this.push(null); }, write(c, e, cb) { say("w", c); cb(); } }), say); d.on("data", (c) => say(c)); d.end("y"); }, (m, say) => { const d = watch(new m.Duplex({ allowHalfOpen: false, read() { this.push(null); }, write(c, e, cb) { cb(); } }), say); d.resume(); },
    (m, say) => { const t = new m.Transform({ objectMode: true, transform(c, e, cb) { this.push(c); this.push(c); cb(); } }); t.on("data", (c) => say(c)); for (let i = 0; i < 40; i++) t.write(i); t.end(); }, (m, say) => { class Up extends m.Transform { _transform(c, e, cb) { cb(null, `<${c}>`); } } const t = new Up({ encoding: "utf8" }); t.on("data", (c) => say(typeof c, c)); t.end("z"); },
    (m, say) => { const d = new m.Duplex({ readable: false, write(c, e, cb) { cb(); } }); watch(d, say); d.end("q"); }, (m, say) => { const d = new m.Duplex({ objectMode: true }); say(d.readableObjectMode, d.writableObjectMode, d.readableHighWaterMark, d.allowHalfOpen); },
  ]);
});

test("pipe, pipeline, finished, compose, web", async () => {
  const ours = await load("node/stream");
  const sink = (m, say, options = {}) => new m.Writable({ ...options, write(c, e, cb) { say("sink", c); (options.slow ? setImmediate : (f) => f())(cb); } });
  await alike(realStream, ours, [
    (m, say) => { const r = watch(m.Readable.from(["a", "b", "c"]), say, "r"); const w = watch(sink(m, say, { highWaterMark: 1, slow: true }), say, "w"); r.pipe(w); }, (m, say) => { const r = m.Readable.from(["a"]); const w = watch(sink(m, say), say); r.pipe(w, { end: false }); },
    (m, say) => { const r = new m.Readable({ read() {} }); const w = watch(sink(m, say), say, "w"); w.on("unpipe", () => say("unpiped")); r.pipe(w); r.push("1"); setImmediate(() => { r.unpipe(w); r.push("2"); }); }, (m, say) => { const r = m.Readable.from(["x", "y"]); r.pipe(sink(m, (...a) => say(1, ...a))); r.pipe(sink(m, (...a) => say(2, ...a))); },
    (m, say) => { m.pipeline(m.Readable.from(["a", "b"]), new m.PassThrough(), sink(m, say), (e) => say("done", e ?? "")); }, (m, say) => { m.pipeline(m.Readable.from(["a"]), new m.Transform({ transform(c, e, cb) { cb(new Error("mid")); } }), sink(m, say), (e) => say("done", e ?? "")); },
    (m, say) => { m.pipeline(["x", "y"], async function* (source) { for await (const c of source) yield `${c}!`; }, sink(m, say), (e) => say("done", e ?? "")); }, async (m, say) => { const total = await m.promises.pipeline(m.Readable.from([1, 2, 3]), async (source) => { let n = 0; for await (const x of source) n += x; return n; }); say(total); },
    async (m, say) => { const ac = new AbortController(); const p = m.promises.pipeline(new m.Readable({ read() {} }), sink(m, say), { signal: ac.signal }); setImmediate(() => ac.abort()); await p; }, async (m, say) => { const r = new m.Readable({ read() { this.push(null); } }); r.resume(); await m.promises.finished(r); say("finished"); },
    (m, say) => { const r = new m.Readable({ read() {} }); m.finished(r, (e) => say(e)); r.destroy(); }, (m, say) => { const w = new m.Writable({ write(c, e, cb) { cb(); } }); m.finished(w, (e) => say("over", e ?? "")); w.end(); }, (m, say) => { const r = new m.Readable({ read() {} }); m.finished(r, (e) => say(e)); r.destroy(new Error("x")); }, (m, say) => { const r = m.Readable.from([]); r.resume(); setImmediate(() => setImmediate(() => m.finished(r, (e) => say("late", e ?? "")))); },
    async (m, say) => { const web = m.Readable.toWeb(m.Readable.from(["a", "b"])); const reader = web.getReader(); for (;;) { const { done, value } = await reader.read(); if (done) break; say(value); } }, async (m, say) => { const web = m.Readable.toWeb(m.Readable.from([Buffer.from("hi")])); const r = watch(m.Readable.fromWeb(web), say); r.on("data", (c) => say(c)); },
    async (m, say) => { const web = m.Writable.toWeb(sink(m, say)); const w = watch(m.Writable.fromWeb(web), say); w.write("a"); w.end("b"); }, async (m, say) => { const w = m.Writable.toWeb(sink(m, say)); const writer = w.getWriter(); await writer.write(Buffer.from("q")); await writer.close(); say("closed"); },
    (m, say) => { const d = m.compose(new m.PassThrough(), new m.Transform({ transform(c, e, cb) { cb(null, `(${c})`); } })); d.on("data", (c) => say(c)); d.on("end", () => say("end")); d.end("k"); }, (m, say) => { try { m.pipeline(m.Readable.from([])); } catch (e) { say(e.code); } try { m.finished({}, () => {}); } catch (e) { say(e.code); } }, (m, say) => { m.pipeline(new m.Readable({ read() { this.destroy(new Error("src")); } }), sink(m, say), (e) => say("done", e)); }, (m, say) => { const w = sink(m, say); m.pipeline(m.Readable.from(["a"]), w, () => say("done", w.destroyed)); setImmediate(() => w.destroy()); },
  ]);
});

test("stream/promises and stream/consumers", async () => {
  const ours = { ...await load("node/stream/promises"), ...await load("node/stream/consumers"), stream: await load("node/stream") };
  const real = { ...realPromises, ...realConsumers, stream: realStream };
  await alike(real, ours, [
    async (m, say) => say(await m.text(m.stream.Readable.from(["a", "b€"])), await m.json(m.stream.Readable.from(['{"a":', "1}"])), await m.buffer(m.stream.Readable.from([Buffer.from("x")]))),
    async (m, say) => say((await m.arrayBuffer(m.stream.Readable.from([Buffer.from("abc")]))).byteLength, await (await m.blob(m.stream.Readable.from([Buffer.from("abc")]))).text()),
    async (m, say) => { await m.pipeline(m.stream.Readable.from(["z"]), new m.stream.PassThrough().resume()); say("ok"); },
  ]);
});
