// A machine whose program is bytes: each takes values out of a row of slots, makes something of
// them and puts it back. It is run twice, once with the first part of the program in the image of
// the script and once with all of it in the request; whatever the heap does with what is shared
// and what is new, both must come to the same. The file runs in any engine.

const SLOTS = 48;
const SIZES = [0, 1, 3, 7, 8, 15, 16, 31, 32, 63, 64, 65, 127, 128, 200, 255, 256, 257, 480, 500, 511, 512, 513, 1000, 2047, 4096, 9000];
const KEYS = ["a", "b", "c", "id", "next", "value", "size", "0", "1", "7", "x1", "x2", "x3", "x4", "x5", "x6", "toString", "then_", "é", "長い"];
const LETTERS = ["", "a", "bc", "longer text, ", "é", "長", "🙂", "0", "-", " "];

class Base {
  #hidden;
  static made = 0;
  constructor(value) {
    this.#hidden = value;
    this.id = ++Base.made;
  }
  get hidden() { return this.#hidden; }
  set hidden(value) { this.#hidden = value; }
  static read(object) { return #hidden in object ? object.#hidden : undefined; }
  method() { return this.id; }
}

class Derived extends Base {
  extra = [];
  constructor(value, more) {
    super(value);
    this.extra.push(more);
  }
  method() { return super.method() + 1; }
  *[Symbol.iterator]() { yield* this.extra; }
}

// Reads decisions off the program.
function reader(bytes) {
  let at = 0;
  const read = {
    over: () => at >= bytes.length,
    byte: () => (at < bytes.length ? bytes[at++] : 0),
    of: (list) => list[read.byte() % list.length],
  };
  return read;
}

function world() {
  return { slots: new Array(SLOTS).fill(0), ids: new WeakMap(), count: 0, refs: [], resolvers: [], proxies: new WeakSet(), registry: new FinalizationRegistry(String) };
}

const isObject = (v) => (typeof v === "object" && v !== null) || typeof v === "function";
const isText = (v) => typeof v === "string";

// What is alive gets a number by which a weak reference to it is checked.
function identify(w, v) {
  if (!w.ids.has(v)) w.ids.set(v, ++w.count);
  return w.ids.get(v);
}

function hashText(text) {
  let h = text.length | 0;
  const stride = text.length > 4000 ? 17 : 1;
  for (let i = 0; i < text.length; i += stride) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;
  return h;
}

// A number for a value and all that it leads to, to some depth.
function digest(value, depth = 4, seen = new Map()) {
  switch (typeof value) {
    case "undefined": return 1;
    case "boolean": return value ? 2 : 3;
    case "number": return (Object.is(value, -0) ? 5 : value | 0) ^ 4;
    case "bigint": return hashText(value.toString(36));
    case "string": return hashText(value) ^ 6;
    case "symbol": return hashText(String(value.description)) ^ 7;
  }
  if (value === null) return 8;
  if (seen.has(value)) return seen.get(value);
  seen.set(value, seen.size + 1000);
  if (depth === 0 || seen.size > 120) return 9;
  return digestObject(value, depth - 1, seen);
}

function digestObject(value, depth, seen) {
  let h = 17;
  const add = (n) => { h = (Math.imul(h, 33) ^ n) | 0; };
  try {
    if (Array.isArray(value)) add(value.length);
    else if (value instanceof Map) for (const [k, v] of value) add(digest(k, depth, seen)), add(digest(v, depth, seen));
    else if (value instanceof Set) for (const v of value) add(digest(v, depth, seen));
    else if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      add(value.length);
      for (let i = 0; i < value.length && i < 300; i++) add(Number(value[i]) | 0);
      return h;
    } else if (value instanceof ArrayBuffer) add(value.byteLength);
    else if (value instanceof Date) add(value.getTime() | 0);
    else if (value instanceof RegExp) add(hashText(value.source)), add(value.lastIndex);
    else if (value instanceof Base) add(digest(Base.read(value), depth, seen));
    else if (typeof value === "function" && Object.hasOwn(value, "peek")) add(digest(value.peek(), depth, seen));
    let count = 0;
    for (const key of Reflect.ownKeys(value)) {
      if (key === "stack" || key === "line" || key === "column" || typeof value === "function" && (key === "prototype" || key === "arguments" || key === "caller")) continue;
      if (count++ > 40) break;
      add(digest(key, 0, seen));
      const d = Reflect.getOwnPropertyDescriptor(value, key);
      if (!d) continue;
      add((d.writable ? 1 : 0) | (d.enumerable ? 2 : 0) | (d.configurable ? 4 : 0));
      if ("value" in d) add(digest(d.value, depth, seen));
      else if (d.get && !d.set) add(digest(Reflect.apply(d.get, value, []), depth, seen));
    }
    if (depth > 1) add(digest(Reflect.getPrototypeOf(value) === Object.prototype, 1, seen));
  } catch (error) {
    add(digest(isObject(error) ? error.name : error, 1, seen));
  }
  return h;
}

function closure(first) {
  let held = first, calls = 0;
  const f = function (value) {
    calls++;
    const before = held;
    if (arguments.length) held = value;
    return before;
  };
  f.peek = () => [calls, isObject(held) ? "object" : held];
  f.inner = () => (value) => { held = [held, value].slice(-1)[0]; return calls; };
  return f;
}

function* generator(w, first) {
  let sent, kept = { first, list: [] };
  const look = () => kept;
  try {
    for (let i = 0; ; i++) {
      sent = yield [i, kept, look];
      if (isObject(sent)) kept.list = [sent];
      else kept = { first: sent, list: kept.list };
    }
  } finally {
    w.slots[3] = look;
  }
}

function* delegate(w, first) { return yield* generator(w, first); }

async function waiting(w, value) {
  const local = { value, seen: [] };
  const look = () => local;
  const later = new Promise((resolve, reject) => w.resolvers.push({ resolve, reject, look }));
  try {
    local.seen.push(await later);
    local.seen.push(await local);
    return local;
  } catch (error) {
    local.seen = [error];
    return look;
  }
}

async function* stream(value) {
  const local = [value];
  while (local.length < 6) {
    const sent = yield local.length;
    local.push(sent);
  }
}

// Garbage in cycles, more than what begins a collection.
function collect() {
  for (let i = 0; i < 7; i++) {
    const ring = { bytes: new Uint8Array(1 << 20), f: null };
    ring.self = ring;
    ring.f = () => ring;
  }
  let chain = {};
  for (let i = 0; i < 50; i++) chain = { chain };
  return chain;
}

// Changes an object, or the slots, in the middle of something.
function upset(w, r, v) {
  const how = r.byte();
  if (isObject(v)) {
    if (how & 1) for (const k of Reflect.ownKeys(v).slice(0, 12)) Reflect.deleteProperty(v, k);
    if (how & 2) for (let i = 0; i < 20; i++) Reflect.set(v, "n" + i, { i });
    if (how & 4 && Array.isArray(v)) v.length = how >> 4;
    if (how & 8 && Array.isArray(v) && v.length < 500) v.push(1, {}, "x");
    if (how & 16 && (v instanceof Map || v instanceof Set)) v.clear();
  }
  if (how & 32) for (let i = how & 7; i < SLOTS; i += 7) w.slots[i] = { how };
  if (how > 250) collect();
  return how;
}

function churn(n) {
  const first = { n };
  let last = first;
  for (let i = 0; i < n; i++) last = last.next = { n: i, back: last, text: "t" + i, [`k${i % 97}`]: i };
  last.next = first;
  return n;
}

// Makes: each takes the world, the program and a value.
const MAKE = [
  (w, r, v) => ({ a: v, b: r.byte(), c: "text" }),
  (w, r, v) => ({ id: r.byte(), next: v, value: w.slots[r.byte() % SLOTS] }),
  (w, r, v) => { const o = {}; for (let i = r.byte() % 40; i--; ) o["p" + i] = i % 5 ? i : v; return o; },
  (w, r, v) => [v, r.byte(), , "hole", v],
  (w, r, v) => { const a = []; for (let i = r.of(SIZES) % 600; i--; ) a.push(i % 9 ? i : v); return a; },
  (w, r, v) => new Map([[v, 1], ["a", v], [r.byte(), {}]]),
  (w, r, v) => new Set([v, r.byte(), "a", {}]),
  (w, r, v) => { const m = new WeakMap(); if (isObject(v)) m.set(v, { v, n: r.byte() }); return m; },
  (w, r, v) => { if (isObject(v)) { w.refs.push([new WeakRef(v), identify(w, v)]); w.registry.register(v, w.count); } return w.refs.length; },
  (w, r, v) => closure(v),
  (w, r, v) => (typeof v === "function" && v.inner ? v.inner() : closure({ v })),
  (w, r, v) => new Base(v),
  (w, r, v) => new Derived(v, w.slots[r.byte() % SLOTS]),
  (w, r, v) => generator(w, v),
  (w, r, v) => delegate(w, v),
  (w, r, v) => { const p = waiting(w, v); p.catch(() => {}); return p; },
  (w, r, v) => stream(v),
  (w, r, v) => new (r.of([Uint8Array, Int16Array, Float64Array, Uint8ClampedArray, Int32Array]))(r.of(SIZES)),
  (w, r, v) => new ArrayBuffer(r.of(SIZES), { maxByteLength: 9000 }),
  (w, r, v) => new DataView(new ArrayBuffer(r.of(SIZES))),
  (w, r, v) => r.of(LETTERS).repeat(r.of(SIZES) % 1100),
  (w, r, v) => (isText(v) ? v + r.of(LETTERS) : String(r.byte())),
  (w, r, v) => (isText(v) && v.length < 60000 ? v + v : "seed "),
  (w, r, v) => (isText(v) ? v.slice(r.byte() % 9, v.length - (r.byte() % 9)) : "ab".padEnd(r.of(SIZES), "xyz")),
  (w, r, v) => BigInt(r.byte()) ** BigInt(r.byte() % 90),
  (w, r, v) => (typeof v === "bigint" ? BigInt.asIntN(3000, (v << BigInt(r.byte())) - 7n) : 12345678901234567890n),
  (w, r, v) => new Date(r.byte() * 86400000),
  (w, r, v) => { const e = new RegExp(r.of(["a(b)?", "(?<n>.)", "x*", "[é長]"]), r.of(["g", "gu", "y", ""])); e.exec("aab é長 text"); return e; },
  (w, r, v) => { const e = new Error("failed", { cause: v }); void e.stack; return e; },
  (w, r, v) => proxied(w, isObject(v) && typeof v !== "function" ? v : {}, { has: () => true, ownKeys: (t) => Reflect.ownKeys(t) }),
  (w, r, v) => (typeof v === "function" ? v : closure(1)).bind(w.slots[1], v),
  (w, r, v) => (function () { arguments[0] = r.byte(); return arguments; })(v, 2, 3),
  (w, r, v) => (function (x) { const f = () => x; arguments[0] = { x }; return [f, arguments]; })(v),
  (w, r, v) => Symbol(r.of(LETTERS)),
  (w, r, v) => new Function("v", `let n = ${r.byte()}; return { f: () => n++, v, t: \`\${n}\` }`)(v),
  (w, r, v) => { const o = { get x() { return this.y_ ?? v; }, set x(n) { this.y_ = n; } }; return o; },
  (w, r, v) => Object.create(isObject(v) && !chained(w, v) ? v : null, { own: { value: r.byte(), configurable: true } }),
  (w, r, v) => (v instanceof Map || v instanceof Set || Array.isArray(v) ? v[Symbol.iterator]() : [v, 1, 2].values()),
  (w, r, v) => { const p = Promise.withResolvers ? Promise.withResolvers() : {}; p.promise?.catch(() => {}); return p; },
  (w, r, v) => class extends Base { static s = v; x = v; },
  (w, r, v) => ((s) => s`a${v}b`)((t, ...more) => { t.raw; return [t, more.length]; }),
  (w, r, v) => { let out = ""; for (let i = r.of(SIZES) % 700; i--; ) out += r.byte() & 1 ? "é" : "plain "; return out; },
];

// Changes: each takes the world, the program and two values.
const CHANGE = [
  (w, r, v, x) => { if (isObject(v)) v[r.of(KEYS)] = x; },
  (w, r, v, x) => { if (isObject(v)) v[r.of(KEYS)] = x; },
  (w, r, v, x) => { if (isObject(v) && (isText(x) || typeof x === "symbol")) v[isText(x) ? x.slice(0, 900) : x] = r.byte(); },
  (w, r, v) => isObject(v) && Reflect.deleteProperty(v, r.of(KEYS)),
  (w, r, v) => { if (isObject(v)) for (const k of Reflect.ownKeys(v).slice(0, 30)) Reflect.deleteProperty(v, k); },
  (w, r, v, x) => isObject(v) && Reflect.defineProperty(v, r.of(KEYS), { get: () => x, configurable: r.byte() < 200, enumerable: true }),
  (w, r, v, x) => isObject(v) && Reflect.defineProperty(v, r.of(KEYS), { value: x, writable: r.byte() < 200, configurable: true }),
  (w, r, v) => { if (isObject(v) && !ArrayBuffer.isView(v) && r.byte() < 40) Object.freeze(v); },
  (w, r, v) => { if (isObject(v) && r.byte() < 40) Object.preventExtensions(v); },
  (w, r, v, x) => isObject(v) && isObject(x) && !chained(w, x) && Reflect.setPrototypeOf(v, x),
  (w, r, v, x) => { if (Array.isArray(v) && v.length < 3000) v.push(x, r.byte()); },
  (w, r, v, x) => { if (Array.isArray(v)) return v.splice(r.byte() % (v.length + 1), r.byte() % 4, x, x); },
  (w, r, v) => { if (Array.isArray(v)) { v.pop(); v.shift(); v.reverse(); } },
  (w, r, v) => { if (Array.isArray(v)) v.length = r.byte(); },
  (w, r, v) => { if (Array.isArray(v)) v.sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : typeof a < typeof b ? -1 : 1)); },
  (w, r, v, x) => { if (Array.isArray(v)) { v.fill(x, r.byte() % 20, 30); return v.slice(2).concat([x]); } },
  (w, r, v, x) => { if (v instanceof Map && v.size < 2000) v.set(x, w.slots[r.byte() % SLOTS]); },
  (w, r, v, x) => { if (v instanceof Set && v.size < 2000) v.add(x); },
  (w, r, v, x) => { if (v instanceof Map || v instanceof Set) v.delete(x); },
  (w, r, v) => { if (v instanceof Map) for (const k of v.keys()) if (r.byte() & 1) v.delete(k); },
  (w, r, v) => { if ((v instanceof Map || v instanceof Set) && r.byte() < 60) v.clear(); },
  (w, r, v, x) => { if (v instanceof WeakMap && isObject(x)) v.set(x, { back: v, x: w.slots[r.byte() % SLOTS] }); },
  (w, r, v, x) => { if (v instanceof WeakMap) return isObject(x) ? digest(v.get(x), 2) + (v.delete(x) ? 1 : 0) : 0; },
  (w, r, v, x) => { if (typeof v === "function" && Object.hasOwn(v, "peek")) return v(x); },
  (w, r, v, x) => { if (v && typeof v.next === "function" && typeof v !== "function") { const n = v.next(x); if (n instanceof Promise) n.catch(() => {}); return n; } },
  (w, r, v, x) => { if (v && typeof v.return === "function" && r.byte() < 90) { const n = v.return(x); if (n instanceof Promise) n.catch(() => {}); return n; } },
  (w, r, v, x) => { if (v && typeof v.throw === "function" && r.byte() < 60) { const n = v.throw(x); if (n instanceof Promise) n.catch(() => {}); return n; } },
  (w, r, v, x) => { const p = w.resolvers.splice(r.byte() % (w.resolvers.length + 1), 1)[0]; if (p) { r.byte() & 1 ? p.resolve(x) : p.reject(x); return p.look(); } },
  (w, r, v, x) => { if (ArrayBuffer.isView(v) && v.length) { v[r.byte() % v.length] = r.byte(); v.set([7], v.length >> 1); return v.subarray(r.byte() % v.length); } },
  (w, r, v) => { if (ArrayBuffer.isView(v) && v.length) return v.slice(0, r.byte()).fill(r.byte()); },
  (w, r, v) => { if (v instanceof ArrayBuffer && v.resizable) v.resize(r.of(SIZES)); },
  (w, r, v) => { if (v instanceof ArrayBuffer && v.transfer && r.byte() < 80) return v.transfer(r.of(SIZES)); },
  (w, r, v) => { if (v instanceof ArrayBuffer) return new Uint8Array(v); },
  (w, r, v, x) => { if (isText(v) && isText(x) && v.length + x.length < 100000) return v + x; },
  (w, r, v) => { if (isText(v)) { let s = v; for (let i = 0; i < 12 && s.length < 100000; i++) s += LETTERS[i % 5]; return s; } },
  (w, r, v) => { if (isText(v)) return v.replaceAll("a", "é").split("e").slice(0, 50); },
  (w, r, v) => { if (isText(v)) { const o = {}; o[v.slice(0, 700)] = 1; return Object.keys(o)[0]; } },
  (w, r, v, x) => { if (v instanceof Base) v.hidden = x; },
  (w, r, v) => { if (v instanceof Base) return v.method() + [...(v[Symbol.iterator] ? v : [])].length; },
  (w, r, v) => { if (v instanceof RegExp) { v.lastIndex = 0; return v.exec("ab aab é長 xx"); } },
  (w, r, v) => { try { return JSON.parse(JSON.stringify(v, (k, x) => (typeof x === "bigint" ? 1 : isObject(x) && k.length > 3 ? 0 : x))?.slice(0, 30000) ?? "0"); } catch { return 0; } },
  (w, r, v) => { if (isObject(v)) { let n = 0; for (const k in v) { if (n++ > 20) break; if (r.byte() & 1) Reflect.deleteProperty(v, k); } return n; } },
  (w, r, v) => { if (isObject(v) && !(v instanceof Base)) return { ...v }; },
  (w, r, v, x) => { const { a, ...rest } = isObject(v) ? v : {}; return [a, rest, x]; },
  (w, r, v) => { const i = r.byte() % SLOTS; w.slots[i] = r.byte(); },
  (w, r, v) => { for (let i = r.byte() % 8; i < SLOTS; i += 5) w.slots[i] = i; },
  // What is at work on a value calls back, and the value changes under it.
  (w, r, v) => { if (isObject(v) && !Array.isArray(v) && typeof v !== "function") { v.hook = { toJSON: () => upset(w, r, v) }; try { return JSON.stringify(v)?.length; } finally { delete v.hook; } } },
  (w, r, v) => { if (Array.isArray(v) && v.length < 400) return v.map((x) => (upset(w, r, v), x)).length; },
  (w, r, v) => { if (Array.isArray(v) && v.length < 400) { v.sort((a, b) => (upset(w, r, v), r.byte() - 128)); return v.length; } },
  (w, r, v, x) => { if (Array.isArray(v) && v.length < 400) return v.concat([x], { [Symbol.isConcatSpreadable]: true, length: 3, get 1() { return upset(w, r, v); } }); },
  (w, r, v) => { if (Array.isArray(v) && v.length < 400) return v.flatMap((x) => (upset(w, r, v), [x, x])).length; },
  (w, r, v) => { if (Array.isArray(v)) return v.splice(0, { valueOf: () => upset(w, r, v) }).length; },
  (w, r, v) => { if (Array.isArray(v) && v.length < 400) return v.join({ toString: () => (upset(w, r, v), "-") }).length; },
  (w, r, v) => { if (v instanceof Map || v instanceof Set) { let n = 0; v.forEach((x, k) => { if (n++ < 30) upset(w, r, v), r.byte() & 1 ? v.delete(k) : v instanceof Set ? v.add({ n }) : v.set({ n }, x); }); return n; } },
  (w, r, v) => { if (isText(v) && v.length < 900) return v.replace(/[a-e]/g, () => (upset(w, r, w.slots[9]), "z")).length; },
  (w, r, v) => { if (ArrayBuffer.isView(v) && v.fill) return v.fill({ valueOf: () => (v.buffer.resizable ? v.buffer.resize(r.byte()) : upset(w, r, v), r.byte()) }).length; },
  (w, r, v) => { if (ArrayBuffer.isView(v) && v.set) return v.set({ length: 4, get 2() { if (v.buffer.transfer && r.byte() & 1) v.buffer.transfer(); return 3; } }); },
  (w, r, v) => { if (ArrayBuffer.isView(v) && v.sort && v.length < 300) return v.sort((a, b) => (v.buffer.resizable ? v.buffer.resize(r.byte()) : 0, a - b)).length; },
  (w, r, v) => { if (isObject(v)) return Object.assign(v, { get a() { return upset(w, r, v); }, get zz() { return upset(w, r, v); } }) === v; },
  (w, r, v) => { if (isObject(v)) { const [a, { b, ...c } = {}] = [v, { get b() { return upset(w, r, v); }, ...v }]; return [a === v, c]; } },
  (w, r, v) => JSON.parse('{"a":[1,{"b":2},3],"c":{"d":[]},"e":"f"}', function (k, x) { if (isObject(this)) upset(w, r, this); return x; }),
  (w, r, v) => { if (v && typeof v.next === "function") { let n = 0; for (const x of { [Symbol.iterator]: () => v }) { upset(w, r, x); if (n++ > 6) break; } return n; } },
  (w, r, v) => { const d = { get() { return upset(w, r, d); }, deleteProperty: (t, k) => (upset(w, r, t), Reflect.deleteProperty(t, k)), ownKeys: (t) => (upset(w, r, t), Reflect.ownKeys(t)) }; const p = proxied(w, isObject(v) ? v : {}, d); return [Object.keys(p).length, p.a, delete p.b]; },
  () => collect(),
  (w, r) => churn(r.byte() * 8),
  (w, r) => { const o = {}; for (let i = 0; i < 400; i++) { const k = "unique" + i + "_" + r.byte(); o[k] = i; delete o[k]; } return o; },
  (w, r, v, x) => { if (v && typeof v.resolve === "function" && v.promise) v.resolve(x); },
  (w, r, v) => checkRefs(w),
  (w, r, v) => { try { throw v; } catch (e) { return [e, v === e]; } finally { w.slots[2] = v; } },
  (w, r, v) => { if (typeof v === "function" && v.prototype instanceof Base) return new v(w.slots[4]); },
  (w, r, v, x) => { if (isObject(x) && r.byte() < 30) Derived.prototype.added = x; else delete Derived.prototype.added; },
  (w, r, v, x) => { if (r.byte() < 30) { Array.prototype[7] = x; const a = [1, , 2]; a.length = 9; const got = a[7]; delete Array.prototype[7]; return got; } },
];

function proxied(w, target, handler) {
  const proxy = new Proxy(target, handler);
  w.proxies.add(proxy);
  return proxy;
}

// What must be nobody's prototype: behind a proxy the chain could end in itself, and never end.
function chained(w, x) {
  let n = 0;
  for (let p = x; p; p = Reflect.getPrototypeOf(p)) if (n++ > 12 || w.proxies.has(p)) return true;
  return false;
}

// What a weak reference still leads to must be what it was made for.
function checkRefs(w) {
  for (const [ref, id] of w.refs) {
    const v = ref.deref();
    if (v !== undefined && w.ids.get(v) !== id) throw new Error(`a weak reference to ${id} leads to ${w.ids.get(v)}`);
  }
  if (w.refs.length > 60) w.refs.splice(0, 30);
  return w.refs.length;
}

function step(w, r) {
  const code = r.byte(), from = r.byte(), to = r.byte() % SLOTS;
  if (code < 90) return (w.slots[to] = MAKE[code % MAKE.length](w, r, w.slots[from % SLOTS]));
  const change = CHANGE[code % CHANGE.length];
  let result;
  // Most changes suit few values: the next ones have their turn if nothing came of it.
  for (let i = 0, tried = 0; i < SLOTS && tried < 5 && result === undefined; i++) {
    const v = w.slots[(from + i) % SLOTS];
    if (typeof v === "number" || v === undefined) continue;
    tried++;
    result = change(w, r, v, w.slots[to]);
  }
  if (result !== undefined && (from & 1) === 0) w.slots[(to + 1) % SLOTS] = result;
  return result;
}

function safeStep(w, r) {
  try {
    return digest(step(w, r), 3);
  } catch (error) {
    if (isObject(error) && typeof error.message === "string" && error.message.startsWith("a weak reference")) throw error;
    return digest(isObject(error) && !(error instanceof Base) ? String(error.name) : 0, 1);
  }
}

// The first part of a program, which makes a world.
function make(bytes) {
  Base.made = 0;
  const w = world(), r = reader(bytes);
  while (!r.over()) safeStep(w, r);
  return w;
}

// Everything that the world's first part left for later.
async function settle() {
  for (let i = 0; i < 40; i++) await null;
}

// The rest of it: a line of what each step came to, and what is there in the end.
async function work(w, bytes) {
  const r = reader(bytes), log = [];
  while (!r.over()) {
    log.push((safeStep(w, r) >>> 0).toString(36));
    if (r.byte() % 16 === 0) await null;
  }
  await settle();
  checkRefs(w);
  log.push("|", ...w.slots.map((v) => (digest(v) >>> 0).toString(36)));
  return log.join(" ");
}
