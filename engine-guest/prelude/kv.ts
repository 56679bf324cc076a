/**
 * A KV binding, in the shape that Workers code expects, with Selvedge's additions: every value has a `revision`, and
 * `put` and `delete` take `ifRevision` (and `put` `ifAbsent`) to change a key only if nobody else has.
 */
import { extractBody, takeBody, wholeBuffer } from "./body.ts";
import { feature } from "./features.ts";
import { HostBody, readWholeBody } from "./hostbody.ts";
import { INTERNAL } from "./internal.ts";
import {
  OP_KV_ADD, OP_KV_DELETE, OP_KV_GET, OP_KV_GET_MANY, OP_KV_LIST, OP_KV_PUT, OP_KV_READ, ask, start, utf8Decode,
} from "./native.ts";
import { operation } from "./operations.ts";
import {
  Map, Promise, TypeError, bytesOf, isArray, isObject, isView, jsonParse, jsonStringify, mapSet, promiseRejected,
  promiseThen, toStr, webClass,
} from "./primordials.ts";
import { openSending, pump } from "./sending.ts";
import type { BodyState, BodyValue } from "./state.ts";
import { type ReadableStream, isReadableStream, streamOver } from "./streams/readable.ts";

type ValueType = "text" | "json" | "arrayBuffer" | "stream";

/** `[bytes | null, bodyHandle, metadataJson | null, revision]` */
type Found = [Uint8Array | null, number, string | null, unknown];

function readType(options: any): ValueType {
  const type = isObject(options) ? options.type : options;
  if (type === undefined || type === null) return "text";
  if (type === "text" || type === "json" || type === "arrayBuffer" || type === "stream") return type;
  throw new TypeError(`"${toStr(type)}" is not a KV value type (text, json, arrayBuffer, stream)`);
}

/** How the host is told what is to become of a value; a stream is the prelude's. */
const WANTED: Record<ValueType, number> = { __proto__: null as any, text: 0, json: 1, arrayBuffer: 2, stream: -1 };

/**
 * What a read that was not answered at once came to: the value, JSON as text, or `[null, handle]` of what is not all
 * there.
 */
const late = (type: ValueType) => (ok: boolean, found: any): unknown => {
  if (ok && isArray(found)) return valueOf([null, found[1], null, null], type);
  return ok && type === "json" && found !== null ? jsonParse(found) : found;
};

const LATE: Record<ValueType, ReturnType<typeof late>> = {
  __proto__: null as any, text: late("text"), json: late("json"), arrayBuffer: late("arrayBuffer"), stream: late("stream"),
};

export function checkKey(key: unknown): string {
  if (typeof key !== "string") throw new TypeError("a KV key must be a string");
  return key;
}

function wholeBytes(found: Found): Promise<Uint8Array> | Uint8Array {
  if (found[1] === 0) return found[0]!;
  return new Promise((resolve, reject) => {
    readWholeBody(new HostBody(found[1]), false, (ok, value) => (ok ? resolve(value) : reject(value)));
  });
}

/** A value, or a promise of it if its bytes are not all there yet. */
function valueOf(found: Found, type: ValueType): unknown {
  if (type === "stream") return streamOver(found[1] === 0 ? found[0]! : new HostBody(found[1]), false);
  const whole = wholeBytes(found);
  if (isView(whole)) return valueIn(whole as Uint8Array, type);
  return promiseThen(whole as Promise<Uint8Array>, (bytes: Uint8Array) => valueIn(bytes, type));
}

function valueIn(bytes: Uint8Array, type: ValueType): unknown {
  if (type === "arrayBuffer") return wholeBuffer(bytes);
  const text = utf8Decode(bytes, false, true);
  return type === "json" ? jsonParse(text) : text;
}

async function withMetadata(found: Found | null, type: ValueType): Promise<any> {
  if (found === null) return { value: null, metadata: null, cacheStatus: null, revision: null };
  const metadata = found[2] === null ? null : jsonParse(found[2]);
  return { value: await valueOf(found, type), metadata, cacheStatus: null, revision: found[3] };
}

async function getMany(
  binding: number, keys: unknown[], type: ValueType, read: (found: Found | null) => unknown,
): Promise<Map<string, unknown>> {
  if (type !== "text" && type !== "json") throw new TypeError("several keys at once are read as text or json");
  const wanted: string[] = [];
  for (let i = 0; i < keys.length; i++) wanted[i] = checkKey(keys[i]);
  const found = await operation<(Found | null)[]>(start(OP_KV_GET_MANY, binding, wanted));
  const values = new Map<string, unknown>();
  for (let i = 0; i < wanted.length; i++) mapSet(values, wanted[i], await read(found[i]!));
  return values;
}

function readLater(binding: number, key: unknown, type: ValueType): Promise<any> {
  const read = (found: Found | null): unknown => (found === null ? null : valueOf(found, type));
  if (isArray(key)) return getMany(binding, key, type, read);
  return operation(start(OP_KV_GET, binding, checkKey(key)), read);
}

interface PutOptions {
  expirationMs?: number;
  ttlS?: number;
  metadata?: unknown;
  ifRevision?: unknown;
  ifAbsent?: boolean;
}

export function checkRevision(revision: unknown): number {
  if (typeof revision === "number" && revision >= 0 && revision % 1 === 0) return revision;
  throw new TypeError("ifRevision must be a revision: a whole number, as getWithMetadata and put give it");
}

function checkTime(name: string, value: unknown): number {
  const time = +(value as number);
  if (time === time) return time;
  throw new TypeError(`${name} must be a number of seconds`);
}

export function putOptions(options: any): string {
  if (options === undefined || options === null) return "{}";
  if (!isObject(options)) throw new TypeError("the options of put must be an object");
  const wire: PutOptions = {};
  if (options.expiration !== undefined) wire.expirationMs = checkTime("expiration", options.expiration) * 1000;
  if (options.expirationTtl !== undefined) wire.ttlS = checkTime("expirationTtl", options.expirationTtl);
  if (options.metadata !== undefined) wire.metadata = options.metadata;
  // What getWithMetadata gives for a missing key is null: the write then wants the key absent.
  if (options.ifRevision === null) wire.ifAbsent = true;
  else if (options.ifRevision !== undefined) wire.ifRevision = checkRevision(options.ifRevision);
  if (options.ifAbsent !== undefined) wire.ifAbsent = !!options.ifAbsent;
  return jsonStringify(wire)!;
}

/** Of a write that has reached the durability that it names. */
interface Receipt {
  revision: unknown;
  durability: string;
}

export function valueBody(value: unknown): BodyValue {
  if (typeof value === "string") return value;
  if (bytesOf(value) === null && !isReadableStream(value)) {
    throw new TypeError("a KV value must be a string, an ArrayBuffer, a view of one, or a ReadableStream");
  }
  const state: BodyState = [extractBody(value), "", false];
  return takeBody(state);
}

export function listPage(json: string): any {
  const page = jsonParse(json);
  page.cacheStatus = null;
  return page;
}

/** A KV namespace. */
export class KvNamespace {
  #binding: number;

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  /** The value of a key (null if there is none), or a Map for a list of keys. */
  get(key: string | string[], options: any = undefined): Promise<any> {
    const binding = this.#binding;
    try {
      const type = options === undefined ? "text" : readType(options);
      if (isArray(key) || type === "stream") return readLater(binding, key, type);
      return ask(LATE[type], OP_KV_READ, binding, checkKey(key), WANTED[type]);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** The same with `metadata` and `revision`. */
  async getWithMetadata(key: string | string[], options: any = undefined): Promise<any> {
    const type = readType(options);
    const binding = this.#binding;
    if (isArray(key)) return getMany(binding, key, type, (found) => withMetadata(found, type));
    return withMetadata(await operation(start(OP_KV_GET, binding, checkKey(key))), type);
  }

  /** Writes a value; resolves with its revision once it is durable. */
  put(key: string, value: unknown, options: any = undefined): Promise<Receipt> {
    const binding = this.#binding;
    try {
      const name = checkKey(key);
      if (options === undefined && typeof value === "string") return ask(undefined, OP_KV_PUT, binding, name, value);
      const wire = putOptions(options);
      const body = valueBody(value);
      if (typeof body === "string" || isView(body)) {
        return ask(undefined, OP_KV_PUT, binding, name, body as string | Uint8Array, 0, wire);
      }
      const streamId = openSending(body);
      let sending: { stop(reason: unknown): void };
      const written = operation(start(OP_KV_PUT, binding, name, true, streamId, wire), undefined, (error) => {
        sending.stop(error);
        return error;
      });
      sending = pump(streamId, body as HostBody | ReadableStream, () => {});
      return written;
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** Removes a key; no error if there is none. Resolves once that is durable. */
  delete(key: string, options: any = undefined): Promise<{ durability: string }> {
    const binding = this.#binding;
    try {
      const revision = options?.ifRevision === undefined ? null : checkRevision(options.ifRevision);
      return ask(undefined, OP_KV_DELETE, binding, checkKey(key), revision);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** Keys in order, `limit` at a time. */
  async list(options: any = undefined): Promise<any> {
    const prefix = options?.prefix ?? null;
    const cursor = options?.cursor ?? null;
    const limit = +(options?.limit ?? 1000);
    if (!(limit >= 1)) throw new TypeError("limit must be a number of keys, at least 1");
    const binding = this.#binding;
    const wantedCursor = cursor === null ? null : toStr(cursor);
    if (options?.values !== undefined || options?.changedSince !== undefined) {
      return feature("kv").listMore(binding, prefix === null ? "" : toStr(prefix), wantedCursor, limit, options);
    }
    const answer = await operation(
      start(OP_KV_LIST, binding, prefix === null ? null : toStr(prefix), wantedCursor, limit),
    );
    return listPage(answer[0]);
  }

  /** Adds to a counter; resolves with what it holds then, once that is durable. */
  async add(key: string, by: number | bigint = 1): Promise<number | bigint> {
    const { amount, count } = feature("kv");
    const answer = await operation(start(OP_KV_ADD, this.#binding, checkKey(key), amount(by)));
    return count(answer[1][0]);
  }

  /** Begins a transaction. */
  atomic(): any {
    return feature("kv").makeAtomic(this.#binding);
  }

  /** The change feed, from now on or from a revision. */
  watch(options: any = undefined): any {
    return feature("kv").makeWatcher(this.#binding, options);
  }
}
webClass(KvNamespace);

export function makeKv(binding: number): KvNamespace {
  return new KvNamespace(INTERNAL, binding);
}
