// A stand-in for the host: boots the prelude in this process and records what crosses.
//
// The types are stripped with Node's own stripper where it has one, else with the `typescript` package found from the
// working directory. The result goes to a fresh temporary folder. `node --expose-internals` gives the state of a promise.
import { existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import module, { createRequire } from "node:module";
import { createHash, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NodeURL = globalThis.URL;
const nodeSetImmediate = globalThis.setImmediate;
const { internalBinding } = createRequire(import.meta.url)("internal/test/binding");
const { getPromiseDetails } = internalBinding("util");
const encoder = new TextEncoder();

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

export const EVENT = { START: 0, INIT: 1, FETCH: 2, COMPLETE: 3, ABORT: 4, SCHEDULED: 5 };
export const OP = {
  TIMER: 30, FETCH: 31, BODY_READ: 32, STREAM_WRITE: 33, SERVICE: 34, DIGEST: 35, KV_GET: 40, KV_GET_MANY: 41,
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
export const host = {
  dispatch: null, responses: [], failures: [], done: [], logs: [], started: [], cancelled: [], bodiesCancelled: [],
  streams: new Map(), detached: [], time: 1000, rejectionTracker: null, makeError: null, evaluating: false, nextId: 1,
};

/** What is loaded besides the base: features and modules by their names, as the guest's `load` gives them. */
const loaded = new Map();

const calls = {
  22: () => [],
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
  60: (id, handle) => void (host.streams.get(id).state = `linked: ${handle}`),
  12: (id, name, message, stack, pending, code) =>
    void host.failures.push({ id, name, message, stack, pending, code }),
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

globalThis.__sv = {
  call: (code, ...args) => calls[code](...args),
  start(code, ...args) {
    if (host.evaluating) throw host.makeError("Error", "I/O is not possible while modules are evaluated", "io_at_start");
    const id = host.nextId++;
    host.started.push({ id, code, args });
    return id;
  },
  load: (name) => loaded.get(name),
  setDispatch: (fn) => (host.dispatch = fn),
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
  setContext() {},
  getContext: () => 0,
  promiseState: (value) => (value instanceof Promise ? getPromiseDetails(value)[0] : -1),
  promiseResult: (value) => getPromiseDetails(value)[1],
  now: () => host.time,
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
await moduleAt("main.mjs");
for (const folder of ["features", "node", "cloudflare"].filter((name) => existsSync(join(prelude, name)))) {
  for (const file of readdirSync(join(prelude, folder), { recursive: true })) {
    if (!file.endsWith(".mjs")) continue;
    const path = `${folder}/${file}`;
    const namespace = await moduleAt(path);
    loaded.set(`selvedge:${path.replace(/\.mjs$/, ".ts")}`, namespace);
    // Its globals, which the guest would define when they are touched.
    if (folder === "features" && !file.includes("/")) Object.assign(globalThis, namespace);
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
  host.dispatch(EVENT.FETCH, id, method, url, headers, body, handle, cf, "192.0.2.1");
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
