// A stand-in for the host: boots the prelude in this process and records what crosses.
//
// The types are stripped with Node's own stripper where it has one, else with the `typescript` package found from the
// working directory. The result goes to a fresh temporary folder. `node --expose-internals` gives the state of a promise.
import { existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import module, { createRequire } from "node:module";
import { AsyncLocalStorage } from "node:async_hooks";
import nodeCrypto, { createHash, randomBytes } from "node:crypto";
import nodeZlib from "node:zlib";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NodeURL = globalThis.URL;
const nodeSetImmediate = globalThis.setImmediate;
const { internalBinding } = createRequire(import.meta.url)("internal/test/binding");
const { getPromiseDetails } = internalBinding("util");
const encoder = new TextEncoder();
const asyncContext = new AsyncLocalStorage();

// Node 20 has neither; the guest has both.
if (!ArrayBuffer.prototype.transfer) {
  const clone = globalThis.structuredClone;
  const define = (name, value) => Object.defineProperty(ArrayBuffer.prototype, name, { configurable: true, ...value });
  define("transfer", { value() { return clone(this, { transfer: [this] }); } });
  define("detached", {
    get() {
      try {
        return !new Uint8Array(this);
      } catch {
        return true;
      }
    },
  });
}

export const EVENT = { START: 0, INIT: 1, FETCH: 2, COMPLETE: 3, ABORT: 4, SCHEDULED: 5, RAN: 8 };
export const OP = {
  TIMER: 30, FETCH: 31, BODY_READ: 32, STREAM_WRITE: 33, SERVICE: 34, BODY_REST: 35, KV_GET: 40, KV_GET_MANY: 41, KV_READ: 2600,
  KV_PUT: 42, KV_DELETE: 43, KV_LIST: 44, SOCKET_READ: 200,
};

function stripper() {
  if (module.stripTypeScriptTypes) return (text) => module.stripTypeScriptTypes(text);
  const ts = createRequire(join(process.cwd(), "x.js"))("typescript");
  const compilerOptions = { target: "esnext", module: "esnext", verbatimModuleSyntax: true };
  return (text) => ts.transpileModule(text, { compilerOptions }).outputText;
}

function strippedPrelude() {
  const source = dirname(dirname(fileURLToPath(import.meta.url)));
  const target = mkdtempSync(join(tmpdir(), "prelude-"));
  const strip = stripper();
  for (const name of readdirSync(source, { recursive: true })) {
    if (!name.endsWith(".ts")) continue;
    const out = join(target, name.replace(/\.ts$/, ".mjs"));
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, strip(readFileSync(join(source, name), "utf8")).replace(/(from |import )"(\.[^"]*)\.ts"/g, '$1"$2.mjs"'));
  }
  return target;
}

// What the engine has and an older Node has not.
if (Uint8Array.fromHex === undefined) {
  const strict = (text, encoding, pattern) => {
    if (!pattern.test(text)) throw new SyntaxError("not in this encoding");
    return new Uint8Array(Buffer.from(text, encoding));
  };
  Uint8Array.fromHex = (text) => strict(text, "hex", /^([0-9a-f]{2})*$/i);
  Uint8Array.fromBase64 = (text) => {
    const bare = text.replace(/[ \t\n\f\r]/g, "");
    if (bare.replace(/=+$/, "").length % 4 === 1) throw new SyntaxError("not in this encoding");
    return strict(bare, "base64", /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2,3}={0,2})?$/);
  };
  Uint8Array.prototype.toHex = function () { return Buffer.from(this).toString("hex"); };
  Uint8Array.prototype.toBase64 = function (options) {
    return Buffer.from(this).toString(options?.alphabet ?? "base64");
  };
}

/** The href, and where in it the parts lie. */
function parts(url) {
  const { href, protocol, username, password, host, hostname, pathname } = url;
  const scheme = protocol.length;
  const authority = href.startsWith("//", scheme);
  const name = authority ? scheme + 2 + username.length : scheme;
  const start = !authority ? scheme : username + password === "" ? scheme + 2 : href.indexOf("@") + 1;
  const path = start + host.length;
  const query = path + pathname.length;
  const fragment = href.indexOf("#") < 0 ? href.length : href.indexOf("#");
  return [href, scheme, name, start, start + hostname.length, path, path, query, fragment];
}

/** What the host saw, newest last. */
let callableHandler;

export const host = {
  dispatch: null, responses: [], failures: [], done: [], logs: [], started: [], cancelled: [], bodiesCancelled: [],
  streams: new Map(), detached: [], time: 1000, rejectionTracker: null, makeError: null, evaluating: false, nextId: 1, atOnce: () => undefined,
};

/** What is loaded besides the base: features and modules by their names, as the guest's `load` gives them. */
const loaded = new Map();

/** Codecs of streams, by their handles. */
const codecs = [];

const calls = {
  22: () => [],
  100: (name, bytes) => new Uint8Array(createHash(name.replace("-", "").toLowerCase()).update(bytes).digest()),
  1: (level, text) => void host.logs.push([level, text]),
  3: (count) => new Uint8Array(randomBytes(count)),
  4: (href, base) => {
    try {
      return parts(new NodeURL(href, base));
    } catch {
      return null;
    }
  },
  5: (href, field, value) => {
    const url = new NodeURL(href);
    url[field] = value;
    return parts(url);
  },
  6: (id) => void host.cancelled.push(id),
  7: (handle) => void host.bodiesCancelled.push(handle),
  8: () => {
    const id = host.streams.size + 1;
    host.streams.set(id, { chunks: [], state: "open" });
    return id;
  },
  9: (id) => void (host.streams.get(id).state = "closed"),
  10: (id, message) => void (host.streams.get(id).state = `aborted: ${message}`),
  11: (id) => void host.done.push(id),
  // The state of a hash is everything that it was given.
  210(name, state, data, last) {
    const all = Buffer.concat([state ?? new Uint8Array(0), data]);
    return new Uint8Array(last ? nodeCrypto.createHash(name).update(all).digest() : all);
  },
  211(mode, encrypt, key, iv, aad, tag, data) {
    const make = encrypt ? nodeCrypto.createCipheriv : nodeCrypto.createDecipheriv;
    const cipher = make(`aes-${key.length * 8}-${mode}`, key, iv);
    if (mode === "gcm") cipher.setAAD(aad);
    if (tag !== null) cipher.setAuthTag(tag);
    const made = [cipher.update(data), cipher.final()];
    return new Uint8Array(Buffer.concat(mode === "gcm" && encrypt ? [...made, cipher.getAuthTag()] : made));
  },
  212: (kind, ...args) => new Uint8Array(kind === "pbkdf2"
    ? nodeCrypto.pbkdf2Sync(args[1], args[2], args[4], args[3], args[0])
    : nodeCrypto.scryptSync(args[0], args[1], args[2], { N: args[3], r: args[4], p: args[5] })),
  213(format, compress, level, window, most, partial, data) {
    const names = {
      "gzip": ["gunzipSync", "gzipSync"], "deflate": ["inflateSync", "deflateSync"],
      "deflate-raw": ["inflateRawSync", "deflateRawSync"], "brotli": ["brotliDecompressSync", "brotliCompressSync"],
    };
    const options = { maxOutputLength: most, ...(format === "brotli" ? {} : { level, ...(partial ? { finishFlush: 2 } : {}) }) };
    return new Uint8Array(nodeZlib[names[format][+compress]](data, options));
  },
  // All that a stream was given comes out at its end; what flows before is tested in the engine.
  160: (format, compress, level) => codecs.push({ format, compress, level, parts: [] }),
  161(handle, bytes, finish) {
    const { format, compress, level, parts } = codecs[handle - 1];
    if (bytes !== null) parts.push(new Uint8Array(bytes));
    if (!finish) return [new Uint8Array(0), false];
    return [calls[213](format, compress, level, 15, 2 ** 32, false, Buffer.concat(parts)), false];
  },
  162: () => {},
  60: (id, handle) => void (host.streams.get(id).state = `linked: ${handle}`),
  12: (id, name, message, stack, pending, code) =>
    void host.failures.push({ id, name, message, stack, pending, code }),
  304: (stack) => stack,
  305: () => 1000,
  140: (label) => {
    try {
      return new NodeDecoder(label).encoding;
    } catch {
      return null;
    }
  },
  141: (label, word, bytes, fatal) => {
    try {
      return [new NodeDecoder(label, { fatal, ignoreBOM: true }).decode(bytes), 0, 0];
    } catch {
      return null;
    }
  },
};
for (let code = 190; code < 195; code++) calls[code] = (...args) => host.socketCall(code, ...args);

/** Ends an operation that computes something. */
function computed(id, code, args) {
  try {
    host.dispatch(EVENT.COMPLETE, id, true, calls[code](...args));
  } catch (error) {
    host.dispatch(EVENT.COMPLETE, id, false, [error.name, error.message, error.code ?? ""]);
  }
}

/** Operations that have a promise with the host. */
const asked = new Map();

function endAsked(id, ok, value) {
  const { late, about, resolve, reject } = asked.get(id);
  asked.delete(id);
  try {
    const found = ok ? value : host.makeError(...value);
    const made = late === undefined ? found : late(ok, found, about);
    if (ok) resolve(made);
    else reject(made);
  } catch (error) {
    reject(error);
  }
}

function startOperation(code, ...args) {
  if (host.evaluating) throw host.makeError("Error", "I/O is not possible while modules are evaluated", "io_at_start");
  const id = host.nextId++;
  host.started.push({ id, code, args });
  if (code === 214 || code === 215) nodeSetImmediate(computed, id, code - 2, args);
  return id;
}

function askHost(request, late, about, code, args, made = (result) => result) {
  const result = host.atOnce(code, args);
  if (result !== undefined) return made(result);
  const id = startOperation(code, ...args);
  return new Promise((resolve, reject) => asked.set(id, { request, late, about, resolve, reject }));
}

/** What statements of SQL are, which the guest keeps beside them. */
const statements = new WeakMap();
/** What tells the objects of a kind by their states, which the guest keeps beside them. */
function keptKind(name) {
  const states = new WeakMap();
  const keep = (made, state) => {
    states.set(made, state);
    return made;
  };
  return {
    ["make" + name]: (prototype, state) => keep(Object.create(prototype), state),
    ["keep" + name]: keep,
    ["peek" + name]: (value) => states.get(value) ?? null,
    ["stateOf" + name](value) {
      if (!states.has(value)) throw new TypeError(`this is no ${name}`);
      return states.get(value);
    },
  };
}

const kinds = {};
for (const name of ["Context", "ObjectId", "Stub", "Request", "Response", "Url"]) Object.assign(kinds, keptKind(name));

/** Getters of what `read` makes of the state that `stateOf` knows. */
function getters(stateOf, reads) {
  const made = {};
  for (const [name, read] of Object.entries(reads)) {
    Object.defineProperty(made, name, { get() { return read(stateOf(this)); } });
  }
  return made;
}

const place = (at) => (state) => state[at];
const part = (from, to) => ([parts]) => parts[0].slice(parts[from], parts[to]);
let statementPrototype;

let ends;

globalThis.__sv = {
  call: (code, ...args) => calls[code](...args),
  start: startOperation,
  ask: (late, code, ...args) => askHost(0, late, undefined, code, args),
  askFor: (request, made, about, code, ...args) =>
    askHost(request, made, about, code, args, async (result) => made(true, result, about)),
  abandon(request, reason) {
    for (const [id, { request: owner, reject }] of [...asked]) {
      if (owner !== request) continue;
      asked.delete(id);
      calls[6](id);
      reject(reason);
    }
  },
  // Here every answer comes by the guest.
  handOver: () => false,
  passOn: () => false,
  setResponsePrototype() {},
  setEnds(fulfilled, rejected) { ends = [fulfilled, rejected]; },
  atEnd(promise, state) { promise.then((value) => ends[0](state, value), (reason) => ends[1](state, reason)); },
  async promised(made, code, ...args) {
    const answer = calls[code](...args);
    return Array.isArray(answer) ? made(answer) : answer;
  },
  setStatements(prototype, crossing, late, slow) {
    const query = (statement, form, column) => {
      const { binding, key, parts } = statements.get(statement);
      if (binding < 0) return slow(statement, form, column);
      return askHost(0, late, undefined, 2601, [binding, key, parts[1], parts[2], parts[3], form, column]);
    };
    const another = (statement, values, exact) => {
      const { binding, key, parts } = statements.get(statement);
      const made = Object.create(prototype);
      statements.set(made, { binding, key, parts: [parts[0], parts[1], values ?? parts[2], exact ?? parts[3]] });
      return made;
    };
    statementPrototype = prototype;
    Object.assign(prototype, {
      bind(...values) { return another(this, values.map((value) => crossing(value))); },
      safeIntegers(on = true) { return another(this, undefined, !!on); },
      all() { return query(this, 0); },
      run() { return query(this, 0); },
      first(column) { return query(this, 1, column === undefined ? undefined : `${column}`); },
    });
  },
  makeStatement(target, binding, key, sql) {
    const made = Object.create(statementPrototype);
    statements.set(made, { binding, key, parts: [target, sql, [], false] });
    return made;
  },
  ...kinds,
  requestGetters: getters(kinds.stateOfRequest, { method: place(3), url: place(4), redirect: place(5) }),
  responseGetters: getters(kinds.stateOfResponse, {
    status: place(3), statusText: place(4), url: place(5), redirected: place(6), type: place(7),
  }),
  urlGetters: getters(kinds.stateOfUrl, {
    href: ([parts]) => parts[0], host: part(3, 5), hostname: part(3, 4), pathname: part(6, 7),
  }),
  statementParts: (statement) => statements.get(statement).parts,
  load: (name) => loaded.get(name),
  setDispatch(fn) {
    // Behind the jobs, in the guest; here at once, so that whoever waits is seen to wait.
    host.dispatch = (kind, id, ...args) => {
      if (kind === EVENT.COMPLETE && asked.has(id)) return void endAsked(id, ...args);
      const answer = fn(kind, id, ...args);
      if (answer === undefined) return;
      const [state, result] = getPromiseDetails(answer);
      fn(EVENT.RAN, id, answer, state === 1 ? result : undefined, 0);
    };
  },
  setErrorFactory: (fn) => (host.makeError = fn),
  setRejectionTracker: (fn) => (host.rejectionTracker = fn),
  respond: (id, status, headers, body, streamId, pending, statusText) =>
    host.responses.push({ id, status, headers, body, streamId, pending, statusText }),
  utf8Encode: (text) => encoder.encode(text),
  utf8Decode: (bytes, fatal, ignoreBOM) => new NodeDecoder("utf-8", { fatal, ignoreBOM }).decode(bytes),
  latin1ToBytes: (text) => new Uint8Array(Buffer.from(text, "latin1")),
  bytesToLatin1: (bytes) => Buffer.from(bytes).toString("latin1"),
  atob: (text) => (/^[A-Za-z0-9+/=\s]*$/.test(text) ? Buffer.from(text, "base64").toString("latin1") : null),
  btoa: (text) => (/^[\0-\xff]*$/.test(text) ? Buffer.from(text, "latin1").toString("base64") : null),
  compareBytes: (a, b) => Buffer.compare(a, b),
  findBytes(bytes, needle, from, step) {
    for (let at = from; at + needle.length <= bytes.length; at += step) {
      if (needle.every((byte, i) => bytes[at + i] === byte)) return at;
    }
    return -1;
  },
  utf16Decode: (bytes) => Buffer.from(bytes).toString("utf16le"),
  setContext() {},
  getContext: () => host.context ?? 0,
  asyncContext: () => asyncContext.getStore(),
  setAsyncContext(value) {
    const previous = asyncContext.getStore();
    asyncContext.enterWith(value);
    return previous;
  },
  promiseState: (value) => (value instanceof Promise ? getPromiseDetails(value)[0] : -1),
  promiseResult: (value) => getPromiseDetails(value)[1],
  setCallable: (handler) => (callableHandler = handler),
  makeCallable: (prototype) => {
    const made = (...args) => callableHandler.apply(made, args);
    delete made.name;
    delete made.length;
    return Object.setPrototypeOf(made, prototype);
  },
  now: () => host.time,
  callSite: () => undefined,
  detach: (buffer) => host.detached.push(buffer),
};
const NodeDecoder = globalThis.TextDecoder;
const NodePromise = globalThis.Promise;
const { emit } = process;
process.emit = function (name, reason, promise, ...rest) {
  if (name !== "unhandledRejection") return emit.call(this, name, reason, promise, ...rest);
  host.rejectionTracker(promise, reason, false);
  return true;
};
for (const name of ["fetch", "Request", "Response", "Headers", "console", "Blob", "crypto", "navigator", "performance"]) {
  delete globalThis[name];
}
const prelude = strippedPrelude();
const moduleAt = (path) => import(pathToFileURL(join(prelude, path)).href);

/** A module of the prelude, by its path without the ending. */
export const load = (path) => moduleAt(`${path}.mjs`);

await moduleAt("main.mjs");
for (const folder of ["features", "node", "cloudflare"].filter((name) => existsSync(join(prelude, name)))) {
  for (const file of readdirSync(join(prelude, folder), { recursive: true })) {
    if (!file.endsWith(".mjs")) continue;
    const path = `${folder}/${file}`;
    const namespace = await moduleAt(path);
    loaded.set(`selvedge:${path.replace(/\.mjs$/, ".ts")}`, namespace);
    // Its globals, which the guest would define when they are touched.
    // What tests and this file use of Node's own stays theirs.
    const nodes = ["buffer.mjs", "immediate.mjs", "process.mjs"].includes(file);
    if (folder === "features" && !file.includes("/") && !nodes) Object.assign(globalThis, namespace);
  }
}

/** Lets every microtask run, and the rejections be seen. */
export function settle() {
  return new NodePromise((resolve) => nodeSetImmediate(() => nodeSetImmediate(resolve)));
}

/** Ends an operation. */
export async function complete(operation, value) {
  host.dispatch(EVENT.COMPLETE, operation.id, true, value);
  await settle();
}

export async function failOperation(operation, name, message, code) {
  host.dispatch(EVENT.COMPLETE, operation.id, false, [name, message, code]);
  await settle();
}

/** The newest operation of a kind. */
export function operation(code) {
  return host.started.filter((entry) => entry.code === code).at(-1);
}

let requests = 0;

/** Sends a request event to `handler`; answers its id. */
export function send(handler, { method = "GET", url = "http://app.test/", headers = "", body = null, handle = 0, cf = null } = {}) {
  const id = ++requests;
  host.dispatch(EVENT.START, 0, { default: typeof handler === "function" ? { fetch: handler } : handler });
  host.dispatch(EVENT.FETCH, id, method, url, headers, body, handle, cf);
  return id;
}

/** The response to a request. */
export function responseTo(id) {
  return host.responses.find((response) => response.id === id);
}

export function failureOf(id) {
  return host.failures.find((failure) => failure.id === id);
}

/** Runs `read` inside a handler and answers what it gives. */
export async function inside(read, options) {
  let result;
  send(async (request, env, ctx) => {
    result = read(request, env, ctx);
    result?.catch?.(() => {});
    await result;
    return new Response();
  }, options);
  await settle();
  return result;
}

export const utf8 = (text) => encoder.encode(text);
export const md5 = (bytes) => new Uint8Array(createHash("md5").update(bytes).digest());
