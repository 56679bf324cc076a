// The `node:` modules, each beside the real one: both run the same code and must come to the same.
import { test } from "node:test";
import assert from "node:assert/strict";
import * as realAssert from "node:assert";
import * as realBuffer from "node:buffer";
import * as realEvents from "node:events";
import * as realPath from "node:path";
import * as realQuery from "node:querystring";
import * as realDecoder from "node:string_decoder";
import * as realUtil from "node:util";
import { load } from "./mock.mjs";

/** What a piece of code comes to: its value, or what it throws. */
async function outcome(run, module) {
  try {
    return { value: await run(module) };
  } catch (error) {
    return { thrown: { name: error.name, code: error.code, message: error.message } };
  }
}

/** Runs each case on both modules. A case is a function of the module. */
async function alike(real, ours, cases, view = (value) => value) {
  for (const run of cases) {
    const expected = await outcome(run, real);
    const got = await outcome(run, ours);
    assert.deepEqual(view(got), view(expected), `${run}`);
  }
}

const plain = (value) => JSON.parse(JSON.stringify(value, (_, v) =>
  typeof v === "bigint" ? `${v}n` : v === undefined ? "undefined" : typeof v === "number" && !Number.isFinite(v) ? `${v}` : v));

test("path: POSIX and Windows", async () => {
  const ours = await load("node/path");
  const paths = [
    "", ".", "..", "/", "//", "///a//b//", "a", "a/", "/a", "/a/b", "a/b/../c", "../a", "/../a", "./a/./b", "a//b", ".a", "a.",
    ".a.b", "a.b.c", "/a.b/c", "a/..b", "..a/b", "C:\\a\\b", "C:/a/../b", "C:", "C:a", "C:\\", "\\\\server\\share\\x\\..\\y",
    "\\\\server\\share", "\\a", "a\\b\\..\\..\\..\\c", "C:\\..\\a", "c:a\\..\\..", "//server/share/a", "a/b/c.html", "x.tar.gz", "/x/y/", "a.b/",
  ];
  const functions = ["normalize", "dirname", "basename", "extname", "parse", "isAbsolute"];
  for (const kind of ["posix", "win32"]) {
    for (const path of paths) {
      for (const name of functions) await alike(realPath, ours, [(m) => m[kind][name](path)], plain);
      for (const suffix of [".html", "c", "b", path]) await alike(realPath, ours, [(m) => m[kind].basename(path, suffix)]);
      await alike(realPath, ours, [(m) => m[kind].format(m[kind].parse(path))]);
      for (const other of paths) {
        await alike(realPath, ours, [(m) => m[kind].join(path, other)]);
        if (kind === "posix") await alike(realPath, ours, [
          (m) => m[kind].resolve("/", path, other), (m) => m[kind].relative(`/r/${path}`, `/r/${other}`),
        ]);
        else await alike(realPath, ours, [
          (m) => m[kind].resolve("C:\\w", path, other), (m) => m[kind].relative(`C:\\r\\${path}`, `C:\\r\\${other}`),
        ]);
      }
    }
    await alike(realPath, ours, [(m) => m[kind].join(1), (m) => m[kind].normalize(null), (m) => m[kind].sep + m[kind].delimiter]);
  }
  assert.equal(ours.default.posix, ours.posix);
});

test("querystring", async () => {
  const ours = await load("node/querystring");
  const texts = ["", "a=1&b=2", "a=1&a=2&a=3", "a", "=b", "&&a=1&", "a=%20+b", "a=%zz", "%E4%BD%A0=%E5%A5%BD", "a=%ff", "a==b", "a=b=c", "__proto__=1", "hasOwnProperty=x"];
  for (const text of texts) {
    await alike(realQuery, ours, [(m) => m.parse(text), (m) => m.parse(text, ";", ":"), (m) => m.unescape(text), (m) => m.escape(text)], plain);
  }
  await alike(realQuery, ours, [
    (m) => m.stringify({ a: 1, b: [1, 2, "x y"], c: true, d: null, e: undefined, f: {}, g: NaN, h: 10n, "ä&": "ö=" }),
    (m) => m.stringify({ a: "b" }, ";", ":"), (m) => m.stringify("x"), (m) => m.stringify({ a: [] }),
    (m) => m.parse("a=1&b=2&c=3", null, null, { maxKeys: 2 }), (m) => m.escape("\ud800"), (m) => m.escape({}),
    (m) => m.parse("a=%41", null, null, { decodeURIComponent: (x) => `<${x}>` }),
  ], plain);
});

test("string_decoder: every split of every text in every encoding", async () => {
  const ours = await load("node/string_decoder");
  const texts = ["", "abc", "äöü€😀x", "\ufeffa", "😀😀", "\u0000é"];
  for (const encoding of ["utf8", "utf-8", "utf16le", "ucs2", "base64", "base64url", "hex", "latin1", "ascii", undefined]) {
    for (const text of texts) {
      const bytes = Buffer.from(text, encoding === "utf16le" || encoding === "ucs2" ? "utf16le" : "utf8");
      for (let i = 0; i <= bytes.length; i++) {
        for (let k = i; k <= bytes.length; k++) {
          await alike(realDecoder, ours, [(m) => {
            const decoder = new m.StringDecoder(encoding);
            const parts = [decoder.write(bytes.subarray(0, i)), decoder.write(bytes.subarray(i, k)), decoder.end(bytes.subarray(k)), decoder.end()];
            // Node cuts surrogate pairs in some of these places.
            return [decoder.encoding, ...decoder.encoding === "utf16le" ? [parts.join("")] : parts];
          }]);
        }
      }
    }
  }
  const broken = [[0xe2, 0x82], [0xff, 0x80, 0xe2], [0xf0, 0x9f, 0x98], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80], [0xe0, 0x80, 0x80]];
  for (const bytes of broken) {
    for (let i = 0; i <= bytes.length; i++) {
      await alike(realDecoder, ours, [(m) => {
        const decoder = new m.StringDecoder("utf8");
        return decoder.write(Buffer.from(bytes.slice(0, i))) + decoder.write(Buffer.from(bytes.slice(i))) + decoder.end();
      }]);
    }
  }
  await alike(realDecoder, ours, [(m) => new m.StringDecoder("nope"), (m) => new m.StringDecoder().write(1)]);
});

const bytesOf = (value) => value instanceof Uint8Array ? { bytes: [...value] } : value;
const shown = (result) => result.value instanceof Uint8Array ? { value: bytesOf(result.value) } : plain(result);

test("Buffer: encodings", async () => {
  const ours = await load("node/buffer");
  const texts = ["", "a", "abc", "äöü", "€uro", "😀", "\ud800x", "x\udc00", "YQ==", "YWI", "YWI=", "Y W\nI=", "-_-_", "+/+/", "YQ==YQ==", "!!YQ", "616263", "6162zz", "616", "zz", "ÿþ", "a=b=c", "YWJj====", "=YQ", "Y"];
  for (const encoding of ["utf8", "utf-8", "UTF8", "utf16le", "ucs-2", "latin1", "binary", "ascii", "base64", "base64url", "hex"]) {
    for (const text of texts) {
      await alike(realBuffer, ours, [
        (m) => m.Buffer.from(text, encoding), (m) => m.Buffer.byteLength(text, encoding),
        (m) => m.Buffer.from(text).toString(encoding), (m) => m.Buffer.from(text, encoding).toString(encoding),
        (m) => { const b = m.Buffer.alloc(5, 1); const n = b.write(text, 1, encoding); return [n, ...b]; },
        (m) => { const b = m.Buffer.alloc(9, 1); const n = b.write(text, 2, 4, encoding); return [n, ...b]; },
        (m) => m.Buffer.alloc(7, text, encoding),
      ], shown);
    }
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await alike(realBuffer, ours, [(m) => m.Buffer.from(all).toString(encoding), (m) => m.Buffer.from(all).toString(encoding, 3, 77)]);
  }
  await alike(realBuffer, ours, [
    (m) => m.Buffer.from("x", "nope"), (m) => m.Buffer.from("abc").toString("nope"), (m) => m.Buffer.isEncoding("HEX"),
    (m) => m.Buffer.isEncoding("x"), (m) => m.Buffer.from("abc").toString("utf8", -1, 2), (m) => m.Buffer.from("abc").toString(undefined, 1),
    (m) => m.isUtf8(m.Buffer.from([0xff])), (m) => m.isUtf8(m.Buffer.from("ä")), (m) => m.isAscii(m.Buffer.from("ä")),
    (m) => m.transcode(m.Buffer.from("€ä"), "utf8", "latin1"), (m) => m.transcode(m.Buffer.from("€"), "utf8", "ascii"), (m) => m.transcode(m.Buffer.from("€"), "utf8", "ucs2"),
  ], shown);
});

test("Buffer: making, slicing, copying, comparing, searching", async () => {
  const ours = await load("node/buffer");
  await alike(realBuffer, ours, [
    (m) => m.Buffer.from([1, 2, 300, -1, "7"]), (m) => m.Buffer.from(new ArrayBuffer(4), 1, 2), (m) => m.Buffer.from(new Uint16Array([1, 258])),
    (m) => m.Buffer.from(new String("abc")), (m) => m.Buffer.from({ type: "Buffer", data: [1, 2] }), (m) => m.Buffer.from({ length: 2, 0: 5, 1: 6 }),
    (m) => m.Buffer.from({ [Symbol.toPrimitive]: () => "xyz" }), (m) => m.Buffer.from(5), (m) => m.Buffer.from(null), (m) => m.Buffer.from({}), (m) => m.Buffer.from(undefined),
    (m) => m.Buffer.from(() => {}), (m) => m.Buffer.from(new ArrayBuffer(2), 5), (m) => m.Buffer.alloc(-1), (m) => m.Buffer.alloc("5"), (m) => m.Buffer.alloc(3, 0x101), (m) => m.Buffer.alloc(4, "ab"),
    (m) => m.Buffer.alloc(4, m.Buffer.from("xyz")), (m) => m.Buffer.of(1, 2), (m) => m.Buffer(3), (m) => new m.Buffer("abc"), (m) => m.Buffer.concat([m.Buffer.from("a"), new Uint8Array([1, 2])]),
    (m) => m.Buffer.concat([m.Buffer.from("abc"), m.Buffer.from("def")], 4), (m) => m.Buffer.concat([m.Buffer.from("a")], 3), (m) => m.Buffer.concat("x"), (m) => m.Buffer.concat(["x"]), (m) => m.Buffer.concat([]),
    (m) => m.Buffer.compare(m.Buffer.from("a"), m.Buffer.from("b")), (m) => m.Buffer.compare(m.Buffer.from("ab"), m.Buffer.from("a")), (m) => m.Buffer.compare("a", "b"),
    (m) => m.Buffer.from("abcdef").slice(1, -1), (m) => m.Buffer.from("abcdef").subarray(-3), (m) => m.Buffer.from("abcdef").slice(4, 2),
    (m) => { const b = m.Buffer.from("abc"); b.slice(1)[0] = 0x78; return b.toString(); },
    (m) => m.Buffer.from("abc").equals(m.Buffer.from("abc")), (m) => m.Buffer.from("abc").equals("abc"), (m) => m.Buffer.from("abc").compare(m.Buffer.from("xabc"), 1, 4), (m) => m.Buffer.from("abc").compare(m.Buffer.from("abc"), 0, 9),
    (m) => { const b = m.Buffer.alloc(5); const n = m.Buffer.from("abcdef").copy(b, 1, 2); return [n, ...b]; }, (m) => m.Buffer.from("abc").copy(m.Buffer.alloc(2), -1), (m) => m.Buffer.from("abc").copy("x"),
    (m) => m.Buffer.from("abc").copy(m.Buffer.alloc(2), 5), (m) => m.Buffer.from("abc").toJSON(), (m) => m.Buffer.from("abcabc").indexOf("ca"), (m) => m.Buffer.from("abcabc").indexOf("c", 3), (m) => m.Buffer.from("abcabc").lastIndexOf("ab"),
    (m) => m.Buffer.from("abcabc").lastIndexOf("c", 3), (m) => m.Buffer.from("abcabc").indexOf(98, -3), (m) => m.Buffer.from("abcabc").includes("bca"), (m) => m.Buffer.from("abc").indexOf(""), (m) => m.Buffer.from("abc").indexOf("", 9), (m) => m.Buffer.from("abc").lastIndexOf(""),
    (m) => m.Buffer.from("abc").indexOf(m.Buffer.from("bc")), (m) => m.Buffer.from("aabb", "utf16le").indexOf("bb", 0, "utf16le"), (m) => m.Buffer.from("abc").indexOf({}), (m) => m.Buffer.from("616263", "hex").indexOf("6263", 0, "hex"), (m) => m.Buffer.from("abc").indexOf(99.9),
    (m) => m.Buffer.from("abc").fill("xy"), (m) => m.Buffer.from("abcdef").fill("z", 2, 4), (m) => m.Buffer.from("abc").fill(1, 9), (m) => m.Buffer.from("abc").fill("zz", "hex"), (m) => m.Buffer.from("abc").fill("abcd", 1, "hex"),
    (m) => m.Buffer.from("abc").fill(""), (m) => m.Buffer.from([1, 2, 3, 4]).swap16(), (m) => m.Buffer.from([1, 2, 3, 4]).swap32(), (m) => m.Buffer.from([1, 2, 3]).swap16(), (m) => m.Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).swap64(),
    (m) => m.Buffer.from("abc").map((x) => x + 1) instanceof m.Buffer, (m) => m.Buffer.from("abc").filter((x) => x > 97).toString(), (m) => m.Buffer.isBuffer(m.Buffer.alloc(1)) && !m.Buffer.isBuffer(new Uint8Array(1)),
    (m) => Object.getPrototypeOf(m.Buffer) === Uint8Array, (m) => m.Buffer.name + m.Buffer.from("a").constructor.name, (m) => [...m.Buffer.from("ab").entries()], (m) => m.Buffer.byteLength(new ArrayBuffer(3)), (m) => m.Buffer.byteLength(3),
    (m) => realUtil.inspect(m.Buffer.from("abc")), (m) => m.Buffer.from("x".repeat(60)).inspect(), (m) => `${m.Buffer.from("ä")}`, (m) => m.Buffer.copyBytesFrom(new Uint16Array([1, 2, 3]), 1, 1), (m) => m.Buffer.from("ab").toLocaleString("hex"),
    (m) => m.Buffer.from("abc").write("x", 9), (m) => m.Buffer.from("abc").write(1), (m) => { const b = m.Buffer.alloc(4); return [b.write("€€"), ...b]; }, (m) => m.Buffer.from("abcd").hexSlice(1, 3), (m) => JSON.stringify({ b: m.Buffer.from("a") }),
  ], shown);
});

test("Buffer: numbers", async () => {
  const ours = await load("node/buffer");
  const bytes = [0x80, 0xff, 0x01, 0x7f, 0x00, 0xfe, 0x12, 0x34, 0x56, 0x78];
  const names = Object.getOwnPropertyNames(realBuffer.Buffer.prototype).filter((name) => /^(read|write)[A-Z]/.test(name));
  assert.ok(names.length > 60);
  for (const name of names) {
    const values = /Big/.test(name) ? [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n]
      : [0, 1, -1, 127, 128, 255, 256, -128, -129, 32767, 65535, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1.5, -1.25, NaN, Infinity, 3e38, "7", 2 ** 40 + 5, -(2 ** 39)];
    for (const offset of [undefined, 0, 1, 3, 9, -1, 1.5, "1"]) {
      for (const size of /Int(LE|BE)$/i.test(name) ? [1, 3, 5, 6, 7, undefined] : [undefined]) {
        if (name.startsWith("read")) await alike(realBuffer, ours, [(m) => m.Buffer.from(bytes)[name](offset, size)], shown);
        else for (const value of values) {
          await alike(realBuffer, ours, [(m) => { const b = m.Buffer.alloc(9); const at = b[name](value, offset, size); return [at, ...b]; }], shown);
        }
      }
    }
  }
});

test("events", async () => {
  const ours = await load("node/events");
  const log = (run) => async (m) => {
    const seen = [];
    await run(m, (...args) => seen.push(args.map(String).join(" ")));
    return seen;
  };
  await alike(realEvents, ours, [
    log((m, say) => { const e = new m.EventEmitter(); e.on("a", (...x) => say(...x)); e.prependListener("a", () => say("first")); e.once("a", () => say("once")); say(e.emit("a", 1, 2)); say(e.emit("a", 3)); say(e.emit("b")); }),
    log((m, say) => { const e = new m.EventEmitter(); e.on("newListener", (name, fn) => say("new", name, typeof fn)); e.on("removeListener", (name) => say("gone", name)); const f = () => {}; e.on("x", f); e.once("y", f); e.off("x", f); e.removeAllListeners(); say(e.eventNames().length); }),
    log((m, say) => { const e = new m.EventEmitter(); e.emit("error", new RangeError("bad")); }), log((m, say) => { new m.EventEmitter().emit("error", { a: 1 }); }), log((m, say) => { new m.EventEmitter().emit("error"); }),
    log((m, say) => { const e = new m.EventEmitter(); const f = () => say("f"); e.on("a", f); e.on("a", () => { say("g"); e.off("a", f); }); e.on("a", f); e.emit("a"); e.emit("a"); say(e.listenerCount("a"), e.listenerCount("a", f)); }),
    log((m, say) => { const e = new m.EventEmitter(); const f = () => {}; e.once("a", f); say(e.listeners("a")[0] === f, e.rawListeners("a")[0] === f, e.rawListeners("a")[0].listener === f); e.removeListener("a", f); say(e.listenerCount("a")); }),
    log((m, say) => { function Old() { m.EventEmitter.call(this); } realUtil.inherits(Old, m.EventEmitter); const o = new Old(); o.on("x", () => say("x")); o.emit("x"); say(o instanceof m.EventEmitter); }),
    log((m, say) => { class E extends m.default {} const e = new E(); e.setMaxListeners(1); say(e.getMaxListeners(), m.defaultMaxListeners); e.setMaxListeners(-1); }),
    log(async (m, say) => { const e = new m.EventEmitter(); queueMicrotask(() => e.emit("a", 1, 2)); say(await m.once(e, "a")); queueMicrotask(() => e.emit("error", new Error("no"))); await m.once(e, "a"); }),
    log(async (m, say) => { const e = new m.EventEmitter(); queueMicrotask(() => { e.emit("a", 1); e.emit("a", 2); }); let n = 0; for await (const x of m.on(e, "a")) { say(x); if (++n === 2) break; } say(e.listenerCount("a")); }),
    log(async (m, say) => { const e = new m.EventEmitter(); queueMicrotask(() => e.emit("error", new Error("stop"))); for await (const x of m.on(e, "a")) say(x); }),
    log(async (m, say) => { const e = new m.EventEmitter({ captureRejections: true }); e.on("a", async () => { throw new Error("late"); }); e.on("error", (x) => say(x.message)); e.emit("a"); await new Promise((r) => setImmediate(r)); }),
    log((m, say) => { const e = new m.EventEmitter(); e.on(m.errorMonitor, (x) => say("seen", x.message)); e.on("error", () => say("handled")); e.emit("error", new Error("x")); }),
    log((m) => new m.EventEmitter().on("a", 5)), log((m) => m.once({}, "a")), log((m, say) => say(typeof m.default, m.default === m.EventEmitter, m.default.EventEmitter === m.default, m.getEventListeners(new m.EventEmitter(), "a").length)),
    log((m, say) => { const e = new m.EventEmitter(); const s = Symbol("s"); e.on(s, () => say("symbol")); e.emit(s); say(e.eventNames().length, String(e.eventNames()[0])); e.removeAllListeners(s); say(e.eventNames().length); }),
  ]);
});

test("util.inspect", async () => {
  const ours = await load("node/util");
  class Point { constructor() { this.x = 1; } get y() { return 2; } }
  class Named extends Map {}
  const circular = { a: 1 };
  circular.self = circular;
  circular.list = [circular];
  const nested = { a: { b: { c: { d: 1 } } } };
  const values = [
    1, -0, NaN, 10n, true, null, undefined, Symbol("s"), "it's", 'a"b\'c', "a\nb\u0001\x7f\ud800", "`'\"", [], {}, [1, 2, 3], { a: 1, "b-c": 2, [Symbol("k")]: 3 },
    [, 1, , , 2], nested, circular, new Point(), Object.create(null), Object.create({ constructor: undefined }), new Map([["a", { b: 1 }], [{ k: 1 }, 2]]), new Set([1, "x", [2]]), new Named([[1, 2]]), new WeakMap(),
    function f() {}, () => {}, class A {}, class B extends Point {}, async () => {}, function* g() {}, Object.assign(() => {}, { a: 1 }), new Date(0), new Date(NaN), /a"b/gi, new Error("x").message, new Number(3), new String("abc"), Object(Symbol("q")), new Boolean(false), Object(5n),
    new Uint8Array([1, 2, 3]), new Float64Array(2), new ArrayBuffer(3), new DataView(new ArrayBuffer(2)), Promise.resolve(5), new Promise(() => {}), Array.from({ length: 120 }, (_, i) => i), Array.from({ length: 30 }, (_, i) => "item" + i), "x".repeat(200),
    { text: "line one is long enough\nline two is long enough too\nline three" .repeat(2) }, { get a() { return 1; }, set a(v) {}, get b() { return 1; }, set c(v) {} }, [["a", "b"], ["c", ["d", ["e"]]]], { a: [1, 2, { b: 3 }], c: new Map([[1, new Set([2])]]) },
    Object.assign([1, 2], { extra: true, "-1": 0 }), { a: 1n, b: undefined, c: null, d: () => {}, e: Symbol.iterator }, Array(3), [undefined, null], { [Symbol.toStringTag]: "Tagged", x: 1 }, new (class Foo { get [Symbol.toStringTag]() { return "Bar"; } })(),
    { aaaaaaaaaaaaaaaaaaaaaaaa: 1, bbbbbbbbbbbbbbbbbbbbbbbbbbbb: 2, cccccccccccccccccccccccccc: 3, ddd: 4 }, { a: { b: 1, c: { d: [1, 2, 3] } }, e: [{ f: 1 }, { g: 2 }] }, new (class extends Array {})(3), (function () { return arguments; })(1, 2), globalThis.Math, JSON,
    { __proto__: { inherited: 1 }, own: 1 }, { ["__proto__"]: 5 }, Array.from({ length: 10 }, (_, i) => ({ i })), Array.from({ length: 27 }, (_, i) => 10 ** (i % 6)), new Set(), new Map(), Object.create(Point.prototype), new Proxy({ a: 1 }, {}),
    { toString() { return "mine"; } }, { [realUtil.inspect.custom]: (depth, options) => `custom ${depth} ${options.compact}` }, { a: { [realUtil.inspect.custom]: () => ({ shown: 1 }) } }, new Uint8Array(0), [new Uint8Array(0)], [1.5, -2, 3e21], [[[[]]]], [[[{}]]], { a: { b: { c: {} } } },
  ];
  for (const value of values) {
    for (const options of [undefined, { depth: 0 }, { depth: null }, { compact: false }, { compact: true }, { breakLength: 40 }, { colors: true }, { sorted: true }, { getters: true }, { maxArrayLength: 2, maxStringLength: 5 }, { numericSeparator: true }, { breakLength: Infinity }]) {
      await alike(realUtil, ours, [(m) => m.inspect(value, options)]);
    }
  }
});

test("util.format, promisify, deprecate and the rest", async () => {
  const ours = await load("node/util");
  await alike(realUtil, ours, [
    (m) => m.format("%s %d %i %f %j %o %O %% %c.", "a", 1.5, 2.7, "3.5", { a: 1 }, [1], { b: 2 }, "css"), (m) => m.format("%s", { a: { b: 1 } }, "extra", 5), (m) => m.format(1, 2, "3", { a: 1 }), (m) => m.format("%s %s", "only"),
    (m) => m.format("%d", "0x10", 5n), (m) => m.format("%s", Symbol("a"), -0, 5n), (m) => m.format("%i %f", Symbol("a"), Symbol("b")), (m) => m.format("%x %s", 1), (m) => m.format(), (m) => m.format("100%"), (m) => m.format("%s", class Foo {}), (m) => m.format("%s", () => 1),
    (m) => m.format("%s", new Date(0)), (m) => m.format("%s", [1, [2, [3]]]), (m) => m.format("%s", { toString() { return "own"; } }), (m) => m.format("%s", null, undefined), (m) => m.format("%d %d", {}, ""), (m) => m.format("a%%b%%"), (m) => m.format("%j", { toJSON() { return "j"; } }), (m) => m.format("%s", Object.create(null)),
    async (m) => m.promisify((a, done) => done(null, a + 1))(1), async (m) => m.promisify((done) => done(new Error("bad")))(), async (m) => m.promisify(setTimeout) !== undefined, (m) => m.promisify(5),
    async (m) => new Promise((r) => m.callbackify(async (x) => x * 2)(4, (e, v) => r([e, v]))), async (m) => new Promise((r) => m.callbackify(async () => { throw null; })((e) => r([e.code, e.reason]))),
    (m) => m.promisify.custom.toString(), (m) => m.inspect.custom.toString(), (m) => m.isDeepStrictEqual({ a: [1, NaN, new Map([[1, { b: 2 }]])] }, { a: [1, NaN, new Map([[1, { b: 2 }]])] }), (m) => m.isDeepStrictEqual([1], ["1"]), (m) => m.isDeepStrictEqual(new Set([{ a: 1 }, 2]), new Set([2, { a: 1 }])),
    (m) => m.isDeepStrictEqual(0, -0), (m) => m.isDeepStrictEqual(new Date(1), new Date(1)), (m) => m.isDeepStrictEqual(/a/g, /a/i), (m) => m.isDeepStrictEqual(Object.create(null), {}), (m) => m.isDeepStrictEqual([1, , 3], [1, undefined, 3]), (m) => m.isDeepStrictEqual(new Error("a"), new Error("b")), (m) => m.isDeepStrictEqual(new Uint8Array([1]), new Uint8Array([1])),
    (m) => m.stripVTControlCharacters("\u001b[31mred\u001b[0m \u001b]8;;http://a\u0007x"), (m) => m.styleText("red", "x", { validateStream: false }), (m) => m.toUSVString("a\ud800"), (m) => m.types.isPromise(Promise.resolve()) && m.types.isRegExp(/a/) && m.types.isDate(new Date()) && !m.types.isDate({}), (m) => m.types.isGeneratorFunction(function* () {}), (m) => m.types.isAsyncFunction(async () => {}), (m) => m.types.isBoxedPrimitive(Object(1n)),
    (m) => { function A() {} function B() {} m.inherits(A, B); return [new A() instanceof B, A.super_ === B]; }, (m) => m.inherits(null, null), (m) => m.deprecate((x) => x + 1, "old")(2), (m) => m.isArray([]), (m) => m.debuglog("x").enabled,
    (m) => m.parseArgs({ args: ["-f", "--bar", "b", "pos"], options: { foo: { type: "boolean", short: "f" }, bar: { type: "string" } }, allowPositionals: true }), (m) => m.parseArgs({ args: ["--no"], options: {} }), (m) => m.parseArgs({ args: ["-abc", "--x=1", "--x", "2"], options: { a: { type: "boolean", short: "a" }, b: { type: "boolean", short: "b" }, c: { type: "boolean", short: "c" }, x: { type: "string", multiple: true } } }),
    (m) => m.parseArgs({ args: ["pos"], options: {} }), (m) => m.parseArgs({ args: ["--x"], options: { x: { type: "string" } } }), (m) => m.parseArgs({ args: ["--y=1"], options: { y: { type: "boolean" } } }), (m) => m.parseArgs({ args: [], options: { z: { type: "string", default: "d" } } }), (m) => m.parseArgs({ args: ["-xv", "--", "-a"], options: { x: { type: "string", short: "x" } }, allowPositionals: true, tokens: true }),
  ], plain);
});

test("assert", async () => {
  const ours = await load("node/assert");
  const quiet = (result) => result.thrown?.message.length > 60 
    ? { thrown: { ...result.thrown, message: "…" } } : result;
  await alike(realAssert, ours, [
    (m) => m.ok(1), (m) => m.ok(0, "zero"), (m) => m.default(false), (m) => m.equal(1, "1"), (m) => m.equal(1, 2), (m) => m.notEqual(1, 1), (m) => m.strictEqual(1, 2), (m) => m.strictEqual("a", "b"), (m) => m.strictEqual(NaN, NaN), (m) => m.strictEqual(1),
    (m) => m.deepEqual({ a: 1 }, { a: "1" }), (m) => m.deepEqual([1, 2], [1, 3]), (m) => m.deepStrictEqual({ a: 1 }, { a: "1" }), (m) => m.deepStrictEqual({ a: { b: [1] } }, { a: { b: [1] } }), (m) => m.notDeepStrictEqual({ a: 1 }, { a: 1 }), (m) => m.notStrictEqual(1, 1), (m) => m.strict.equal(1, "1"), (m) => m.strict.deepEqual([1], ["1"]),
    (m) => m.throws(() => { throw new TypeError("bad"); }, TypeError), (m) => m.throws(() => { throw new TypeError("bad"); }, /bad/), (m) => m.throws(() => { throw new TypeError("bad"); }, { name: "TypeError", message: /b/ }), (m) => m.throws(() => {}), (m) => m.throws(() => {}, TypeError, "x"), (m) => m.throws(() => { throw new Error("a"); }, /b/), (m) => m.throws(() => { throw new Error("a"); }, TypeError),
    (m) => m.throws(() => { throw new Error("a"); }, (e) => e.message === "a"), (m) => m.throws(() => { throw new Error("a"); }, { message: "b" }), (m) => m.doesNotThrow(() => { throw new Error("x"); }), (m) => m.doesNotThrow(() => 1), async (m) => m.rejects(Promise.reject(new Error("r")), /r/), async (m) => m.rejects(Promise.resolve()), async (m) => m.rejects(async () => { throw new Error("q"); }, { message: "q" }), async (m) => m.doesNotReject(Promise.reject(new Error("n"))),
    (m) => m.fail(), (m) => m.fail("why"), (m) => m.fail(new RangeError("r")), (m) => m.ifError(null), (m) => m.ifError(new Error("e")), (m) => m.match("abc", /b/), (m) => m.match("abc", /x/), (m) => m.doesNotMatch("abc", /b/), (m) => m.match(1, /x/), (m) => m.throws("x"), (m) => m.throws(() => { throw new Error("a"); }, "a"), (m) => { try { m.strictEqual(1, 2); } catch (e) { return [e.code, e.actual, e.expected, e.operator, e.generatedMessage, e instanceof m.AssertionError]; } },
    (m) => m.deepEqual(new Map([[1, 2]]), new Map([[1, 3]])), (m) => m.deepEqual(new Set([1]), new Set(["1"])), (m) => m.deepEqual(new Date(1), new Date(2)), (m) => m.deepEqual([0], [-0]), (m) => m.deepStrictEqual([0], [-0]), (m) => m.deepEqual(null, undefined), (m) => m.deepEqual({}, []),
  ], quiet);
});

test("url: parse, format, resolve, files", async () => {
  const ours = await load("node/url");
  const urls = [
    "", "http://a.com", "http://a.com/", "HTTP://User:Pa%20ss@Ex.COM:80/p/a?q=1&r=2#h", "/a/b?x#y", "//host/path", "a/b", "mailto:a@b.c", "javascript:alert('x');", "http://[::1]:8080/x", "file:///etc/passwd", "http://a.com:80", "http://a.com/a b?c d#e f", " http://a.com ", "http:\\\\a.com\\b",
    "x:y", "x://y", "?q", "#h", "http://a_b.com/", "http://ü.com/", "http://a.com/?a=1&a=2", "http://a.com/%41", "dot.test:foo/bar", "http://a.com\tb", "http://a@b@c/", "http://a.com/'\"<>", "coap:u:p@::1:61616/.well-known", "http://a.com?q#h?x", "http://user@/p", "http:///x", "data:text/plain,hi", "http:a.com/x", "ws://h/p", "http://a.com:x/y", "http://a.com/{}|^`", "svn+ssh://foo/bar", "//a//b", "http://x.y.com+a/b/c",
  ];
  const all = (u) => ({ ...u, query: u.query && typeof u.query === "object" ? { ...u.query } : u.query });
  for (const url of urls) {
    await alike(await import("node:url"), ours, [(m) => all(m.parse(url)), (m) => all(m.parse(url, true)), (m) => all(m.parse(url, false, true)), (m) => m.format(m.parse(url)), (m) => m.format(url)], (r) => (r.thrown ? { code: r.thrown.code } : plain(r)));
    for (const to of ["", "x", "../x", "/x", "//h/x", "?q", "#f", "http://o.com/", ".", "..", "./", "a/../b/", "mailto:x@y", "../../../../q", "http:x", "a?b#c", "https:/p"]) {
      await alike(await import("node:url"), ours, [(m) => m.resolve(url, to)], (r) => (r.thrown ? { code: r.thrown.code } : r));
    }
  }
  await alike(await import("node:url"), ours, [
    (m) => m.fileURLToPath("file:///a/b%20c"), (m) => m.fileURLToPath("http://x"), (m) => m.fileURLToPath("file:///a%2fb"), (m) => m.fileURLToPath("file://host/a"), (m) => m.pathToFileURL("/a b#c?d%").href, (m) => m.pathToFileURL("/x/").href, (m) => m.fileURLToPath(new m.URL("file:///q")),
    (m) => m.format(new m.URL("http://u:p@a.com/x?y#z"), { auth: false, fragment: false, search: false }), (m) => m.domainToASCII("español.com"), (m) => m.domainToUnicode("xn--espaol-zwa.com"), (m) => m.domainToASCII("xn--iñvalid.com"), (m) => m.format({ protocol: "http", host: "a.com", pathname: "x", query: { a: [1, 2] } }), (m) => m.format({ hostname: "::1", port: 5, protocol: "ws:" }), (m) => m.parse(5), (m) => m.format(5), (m) => ({ ...m.urlToHttpOptions(new m.URL("http://a:b@c.com:81/d?e#f")) }),
  ], (r) => (r.thrown ? { code: r.thrown.code } : plain(r)));
});

test("punycode", async () => {
  const ours = await load("node/punycode");
  const { createRequire } = await import("node:module");
  const real = createRequire(import.meta.url)("punycode");
  for (const text of ["", "mañana", "☃", "bücher", "пример", "a-b", "😀x", "例え.テスト", "a@mañana.com"]) {
    await alike(real, ours, [(m) => m.encode(text), (m) => m.toASCII(text), (m) => m.toUnicode(m.toASCII(text)), (m) => m.decode(m.encode(text)), (m) => m.ucs2.decode(text)]);
  }
  await alike(real, ours, [(m) => m.decode("\x80"), (m) => m.decode("ls8h="), (m) => m.toUnicode("xn--maana-pta.com")]);
});

const digested = (result) => result.thrown ? { thrown: { code: result.thrown.code } } : shown(result);

test("crypto: hashes and HMAC", async () => {
  const ours = await load("node/crypto");
  const real = await import("node:crypto");
  for (const name of ["md5", "sha1", "SHA-256", "sha224", "sha384", "sha512", "RSA-SHA256", "sha512-256", "ripemd160", "nope"]) {
    await alike(real, ours, [
      (m) => m.createHash(name).update("abc").digest("hex"), (m) => m.createHash(name).update("ab").update(Buffer.from("c")).digest(), (m) => m.createHash(name).digest("base64url"),
      (m) => m.createHmac(name, "key").update("abc").digest("hex"), (m) => m.createHmac(name, "k".repeat(200)).update("a").update("b").digest("base64"),
      (m) => m.createHash(name).update("616263", "hex").digest("latin1"), (m) => { const h = m.createHash(name).update("a"); const c = h.copy(); h.update("b"); return [h.digest("hex"), c.digest("hex")]; },
    ], digested);
  }
  await alike(real, ours, [
    (m) => { const h = m.createHash("md5"); h.digest(); h.update("x"); }, (m) => { const h = m.createHash("md5"); h.digest(); h.digest(); }, (m) => m.createHash("md5").update(5), (m) => m.createHash(5), (m) => m.createHmac("sha1"), (m) => { const h = m.createHmac("md5", "k"); h.digest(); return h.digest("hex"); },
    async (m) => { const h = m.createHash("sha1"); h.write("abc"); h.end(); const parts = []; for await (const part of h) parts.push(part); return Buffer.concat(parts).toString("hex"); }, (m) => m.createHash("sha256").update(Buffer.alloc(700_000, 7)).digest("hex"), (m) => m.createHmac("sha256", m.createSecretKey(Buffer.from("k"))).update("x").digest("hex"),
    (m) => { const b = Buffer.from("abc"); const h = m.createHash("sha1").update(b); b[0] = 0; return h.digest("hex"); }, (m) => m.timingSafeEqual(Buffer.from("a"), Buffer.from("a")), (m) => m.timingSafeEqual(Buffer.from("a"), Buffer.from("b")), (m) => m.timingSafeEqual(Buffer.from("a"), Buffer.from("ab")), (m) => m.timingSafeEqual("a", "a"), (m) => m.createHash("sha1") instanceof m.Hash,
  ], digested);
});

test("crypto: derivation, random numbers, AES", async () => {
  const ours = await load("node/crypto");
  const real = await import("node:crypto");
  const key = Buffer.alloc(32, 1);
  const iv = Buffer.alloc(16, 2);
  const called = (fn, ...args) => new Promise((resolve, reject) => fn(...args, (error, value) => error ? reject(error) : resolve(value)));
  await alike(real, ours, [
    (m) => m.pbkdf2Sync("p", "salt", 10, 40, "sha256"), (m) => called(m.pbkdf2, "p", "salt", 10, 40, "sha512"), (m) => m.pbkdf2Sync("p", "s", 0, 1, "sha1"), (m) => m.pbkdf2Sync("p", "s", 1, 1, "nope"), (m) => m.scryptSync("p", "salt", 32), (m) => called(m.scrypt, "p", "salt", 16, { N: 1024, r: 4, p: 2 }), (m) => m.scryptSync("p", "s", 8, { N: 3 }), (m) => m.scryptSync("p", "s", 8, { N: 1 << 20 }),
    (m) => new Uint8Array(m.hkdfSync("sha256", "key", "salt", "info", 77)), async (m) => new Uint8Array(await called(m.hkdf, "sha512", Buffer.from("key"), "", "", 10)), (m) => m.hkdfSync("sha256", "k", "s", "i", 9000),
    (m) => m.randomBytes(5).length, (m) => called(m.randomBytes, 70_000).then((b) => b.length), (m) => m.randomBytes(-1), (m) => m.randomInt(3, 4), (m) => m.randomInt(5) < 5, (m) => m.randomInt(4, 2), (m) => called(m.randomInt, 1), (m) => /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(m.randomUUID()), (m) => m.randomFillSync(Buffer.alloc(4), 2).length, (m) => m.randomFillSync(Buffer.alloc(4), 9),
    ...["aes-256-cbc", "aes-256-ctr", "aes256"].map((name) => (m) => { const c = m.createCipheriv(name, key, iv); return c.update("hello", "utf8", "hex") + c.update(" world", "utf8", "hex") + c.final("hex"); }),
    (m) => { const c = m.createCipheriv("aes-256-ctr", key, Buffer.alloc(16, 255)); const parts = [3, 1, 30, 16, 5, 40].map((n) => c.update(Buffer.alloc(n, n)).toString("hex")); return [parts, c.final("hex")]; },
    (m) => { const c = m.createCipheriv("aes-128-gcm", key.subarray(0, 16), iv.subarray(0, 12)); c.setAAD(Buffer.from("aad")); const out = c.update("hi", "utf8", "base64") + c.final("base64"); return [out, c.getAuthTag().toString("hex")]; },
    (m) => { const c = m.createCipheriv("aes-256-gcm", key, iv.subarray(0, 12)); const data = Buffer.concat([c.update("secret"), c.final()]); const d = m.createDecipheriv("aes-256-gcm", key, iv.subarray(0, 12)); d.setAuthTag(c.getAuthTag()); return d.update(data, null, "utf8") + d.final("utf8"); },
    (m) => { const d = m.createDecipheriv("aes-256-gcm", key, iv.subarray(0, 12)); d.setAuthTag(Buffer.alloc(16)); d.update("xx"); d.final(); }, (m) => { const c = m.createCipheriv("aes-256-cbc", key, iv); c.setAutoPadding(false); return Buffer.concat([c.update(Buffer.alloc(32, 5)), c.final()]); }, (m) => { const c = m.createDecipheriv("aes-256-cbc", key, iv); c.setAutoPadding(false); return Buffer.concat([c.update(Buffer.alloc(32, 5)), c.final()]); },
    (m) => m.createCipheriv("aes-256-cbc", Buffer.alloc(5), iv), (m) => m.createCipheriv("nope", key, iv), (m) => m.createCipheriv("aes-256-cbc", key, Buffer.alloc(3)), (m) => { const d = m.createDecipheriv("aes-256-cbc", key, iv); d.update(Buffer.alloc(16)); d.final(); }, (m) => m.createSecretKey("k").export().toString(), (m) => m.createSecretKey(Buffer.from("ab")).export({ format: "jwk" }), (m) => m.createSecretKey("k").type,
  ], (result) => result.thrown ? { thrown: result.thrown.name } : digested(result));
});

test("zlib", async () => {
  const ours = await load("node/zlib");
  const real = await import("node:zlib");
  const text = "hello hello hello ".repeat(50);
  const called = (fn, ...args) => new Promise((resolve, reject) => fn(...args, (error, value) => error ? reject(error) : resolve(value)));
  const streamed = async (stream, data) => { stream.end(data); const parts = []; for await (const part of stream) parts.push(part); return Buffer.concat(parts); };
  await alike(real, ours, [
    ...[["gzip", "gunzip"], ["deflate", "inflate"], ["deflateRaw", "inflateRaw"], ["brotliCompress", "brotliDecompress"], ["gzip", "unzip"], ["deflate", "unzip"]].flatMap(([pack, unpack]) => [
      (m) => m[`${unpack}Sync`](m[`${pack}Sync`](text)).toString(), async (m) => (await called(m[unpack], await called(m[pack], Buffer.from(text)))).toString(),
      async (m) => { const up = (name) => name[0].toUpperCase() + name.slice(1); return (await streamed(m[`create${up(unpack)}`](), await streamed(m[`create${up(pack)}`](), text))).toString(); },
    ]),
    (m) => m.gunzipSync(Buffer.from("nonsense")), (m) => called(m.inflate, Buffer.from("nonsense")), (m) => m.gunzipSync(m.gzipSync(text), { maxOutputLength: 10 }), (m) => m.gunzipSync(m.gzipSync(text).subarray(0, 30)), (m) => m.gzipSync(5), (m) => m.gzipSync("x", { level: 99 }), (m) => m.crc32("hello"), (m) => m.constants.Z_BEST_SPEED + m.constants.BROTLI_PARAM_QUALITY, (m) => m.codes.Z_OK, (m) => m.deflateSync(text, { level: 9 }).toString("hex"),
    async (m) => (await streamed(m.createGunzip(), "")).length, (m) => new m.Gzip() instanceof m.default.Gzip,
  ], (result) => result.thrown ? { thrown: [result.thrown.name, result.thrown.code] } : digested(result));
});

test("timers/promises, process, os, net, diagnostics_channel, perf_hooks", async () => {
  const channels = await load("node/diagnostics_channel");
  await alike(await import("node:diagnostics_channel"), channels, [
    (m) => { const seen = []; const c = m.channel("a"); const f = (x, name) => seen.push(x, name); c.subscribe(f); c.publish(1); c.unsubscribe(f); c.publish(2); return [seen, c.hasSubscribers, m.hasSubscribers("a"), m.channel("a") === c]; },
    async (m) => { const seen = []; const t = m.tracingChannel("t"); t.subscribe({ start: () => seen.push("start"), end: () => seen.push("end"), asyncStart: () => seen.push("as"), asyncEnd: () => seen.push("ae"), error: () => seen.push("error") }); t.traceSync(() => 1); await t.tracePromise(async () => 2); try { t.traceSync(() => { throw new Error(); }); } catch {} t.traceCallback((cb) => cb(null, 3), -1, {}, null, () => {}); return seen; },
    (m) => m.channel(5),
  ], plain);
  const net = await load("node/net");
  await alike(await import("node:net"), net, ["1.2.3.4", "256.1.1.1", "::1", "1::2::3", "fe80::1%eth0", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "", "a", ":::", "::"].map((text) => (m) => [m.isIP(text), m.isIPv4(text), m.isIPv6(text)]));
  const { process } = await load("node/internal/process");
  assert.equal(process.env.NODE_ENV, "production");
  process.env.A = 5;
  assert.deepEqual([process.env.A, "A" in process.env, Object.keys(process.env)], ["5", true, ["NODE_ENV", "A"]]);
  delete process.env.A;
  assert.equal(process.env.A, undefined);
  assert.throws(() => process.exit(1), /process.exit\(1\) is not available in a worker; return a response/);
  const order = [];
  process.nextTick((x) => order.push(x), 1);
  process.nextTick(() => order.push(2));
  await null;
  await null;
  assert.deepEqual(order, [1, 2]);
  assert.equal(`${process}`, "[object process]");
  const fs = await load("node/fs");
  assert.throws(() => fs.readFileSync("/x"), { code: "ERR_METHOD_NOT_IMPLEMENTED", message: /fs\.readFileSync is not available in a worker; import the file/ });
  await assert.rejects(fs.promises.readFile("/x"), /fs\.promises\.readFile/);
  assert.equal(fs.existsSync("/x"), false);
  const http = await load("node/http");
  assert.equal(new http.Agent({ keepAlive: true }).keepAlive, true);
  assert.throws(() => http.request("http://a"), /use fetch/);
});

test("timers of node:timers are objects, which every clear function takes", async () => {
  const { OP, complete, host, operation } = await import("./mock.mjs");
  const timers = await load("node/timers");
  const { promisify } = await load("node/util");
  const calls = [];
  const timer = timers.setTimeout(function (a) { calls.push(a, this === timer); }, 10, "ran");
  assert.equal(timer.unref().hasRef(), false);
  assert.equal(timer.ref().hasRef(), true);
  assert.deepEqual(operation(OP.TIMER).args, [10]);
  const first = operation(OP.TIMER);
  assert.equal(+timer, first.id);
  assert.equal(timer.refresh(), timer);
  assert.equal(host.cancelled.at(-1), first.id);
  await complete(operation(OP.TIMER));
  assert.deepEqual(calls, ["ran", true]);
  for (const clear of [timers.clearTimeout, timers.clearInterval, clearTimeout, clearInterval]) {
    for (const of of [(t) => t, (t) => +t, (t) => `${+t}`]) {
      const every = timers.setInterval(() => calls.push("never"), 5);
      clear(of(every));
      assert.equal(host.cancelled.at(-1), operation(OP.TIMER).id);
    }
  }
  const closed = timers.setTimeout(() => calls.push("never"), 5).close();
  assert.equal(host.cancelled.at(-1), operation(OP.TIMER).id);
  assert.equal(closed, closed.refresh());
  assert.equal(host.cancelled.at(-1), operation(OP.TIMER).id);
  assert.throws(() => timers.setTimeout("code"), { code: "ERR_INVALID_ARG_TYPE" });
  const waited = promisify(timers.setTimeout)(5, "value");
  await complete(operation(OP.TIMER));
  assert.equal(await waited, "value");
});

/** What Node 20 exports and we don't: deprecated, or about a process. */
const LACKING = [
  "assert.CallTracker", "assert/strict.CallTracker", "cluster.schedulingPolicy", "console.profile",
  "console.profileEnd", "console.timeStamp", "console.context", "console.createTask", "constants.RTLD_LAZY",
  "constants.RTLD_NOW", "constants.RTLD_GLOBAL", "constants.RTLD_LOCAL", "constants.RTLD_DEEPBIND",
  "inspector.Network", "module.runMain", "path.matchesGlob", "path/posix.matchesGlob", "path/win32.matchesGlob",
  "process.moduleLoadList", "process.domain", "process.reallyExit", "process.loadEnvFile", "process.openStdin",
  "process.assert", "process.initgroups", "process.setgroups", "process.setegid", "process.seteuid", "process.setgid",
  "process.setuid", "process.debugPort", "process.report", "sys.transferableAbortSignal",
  "sys.transferableAbortController", "sys.parseEnv", "sys.MIMEType", "sys.MIMEParams", "timers.active",
  "timers.unenroll", "timers.enroll", "tls.createSecurePair", "util.transferableAbortSignal",
  "util.transferableAbortController", "util.parseEnv", "util.MIMEType", "util.MIMEParams", "v8.promiseHooks",
  "v8.startupSnapshot",
];
/** What a later Node exports. */
const NEWER = [
  "http.WebSocket", "module.enableCompileCache", "url.fileURLToPathBuffer", "util/types.isFloat16Array", "vm.Module",
  "vm.SourceTextModule", "vm.SyntheticModule", "worker_threads.isMarkedAsUntransferable", "worker_threads.markAsUncloneable",
];

// The record is that of one line of Node's versions.
const skip = !process.versions.node.startsWith("20.");

test("every module exports what Node's exports, under the same names", { skip }, async () => {
  const { builtinModules } = await load("node/module");
  const lacking = [];
  const unknown = [];
  for (const name of builtinModules) {
    const ours = await load(`node/${name}`);
    const real = await import(`node:${name}`);
    assert.ok("default" in ours, name);
    for (const key of Object.keys(real.default)) {
      if (!(key in ours.default) && !(key in ours) && !key.startsWith("_")) lacking.push(`${name}.${key}`);
    }
    for (const key of Object.keys(ours)) if (!(key in real) && !(key in real.default)) unknown.push(`${name}.${key}`);
  }
  // There when Node was started with --no-warnings.
  assert.deepEqual(lacking.filter((name) => name !== "process.noProcessWarnings"), LACKING);
  assert.deepEqual(unknown.filter((name) => !NEWER.includes(name)), []);
});
