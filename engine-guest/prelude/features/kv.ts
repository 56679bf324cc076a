/**
 * What a KV namespace has beside the names of Workers: transactions, the change feed, and lists with values or of what
 * is new.
 */
import { checkKey, checkRevision, listPage, putOptions, valueBody } from "../kv.ts";
import { isSafeInteger } from "../library.ts";
import { OP_KV_CHANGES, OP_KV_COMMIT, OP_KV_LIST_MORE, start, utf8Decode } from "../native.ts";
import { operation } from "../operations.ts";
import {
  BigInt, Map, TypeError, isObject, isView, jsonParse, mapSet, toStr, webClass,
} from "../primordials.ts";
import { wholeBuffer } from "../body.ts";
import { INTERNAL } from "../internal.ts";
import { Watcher, type Source } from "./feed/watcher.ts";

/** A whole number of 64 bits in decimal, as the host takes it. */
export function amount(value: unknown): string {
  if (typeof value === "bigint" || (typeof value === "number" && isSafeInteger(value))) return `${value}`;
  throw new TypeError("the amount must be a whole number: a safe integer or a BigInt");
}

/** A counter as the host gives it: a number where that is exact. */
export function count(text: string): number | bigint {
  const number = +text;
  return isSafeInteger(number) ? number : BigInt(text);
}

/** Checks and writes that happen at one moment, all or none. */
export class AtomicOperation {
  #binding: number;
  /** key, condition, revision, … */
  #checks: any[] = [];
  /** key, action, content, options, … */
  #writes: any[] = [];

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  /** `{ key, revision }`, where a revision of null wants no entry; or `{ key, exists }`. */
  check(condition: any): this {
    if (!isObject(condition)) throw new TypeError("a check is { key, revision } or { key, exists }");
    const key = checkKey(condition.key);
    const { revision, exists } = condition;
    if (revision === null || exists === false) this.#addCheck(key, "absent", 0);
    else if (revision !== undefined) this.#addCheck(key, "revision", checkRevision(revision));
    else if (exists === true) this.#addCheck(key, "present", 0);
    else throw new TypeError("a check is { key, revision } or { key, exists }");
    return this;
  }

  /** A whole value: a string or bytes. */
  put(key: string, value: unknown, options: any = undefined): this {
    const body = valueBody(value);
    if (typeof body !== "string" && !isView(body)) throw new TypeError("a transaction takes strings and bytes, no streams");
    if (options?.ifRevision !== undefined || options?.ifAbsent !== undefined) {
      throw new TypeError("a transaction has checks instead of ifRevision and ifAbsent");
    }
    return this.#addWrite(checkKey(key), "put", body, putOptions(options));
  }

  delete(key: string): this {
    return this.#addWrite(checkKey(key), "delete", null, null);
  }

  /** Adds to a counter. */
  add(key: string, by: number | bigint = 1): this {
    return this.#addWrite(checkKey(key), "add", amount(by), null);
  }

  /** Resolves once everything is durable; rejects, with nothing done, if a check does not hold. */
  async commit(): Promise<{ revision: number; counters: Map<string, number | bigint>; durability: string }> {
    const writes = this.#writes;
    const answer = await operation(start(OP_KV_COMMIT, this.#binding, this.#checks, writes));
    const counters = new Map<string, number | bigint>();
    for (let i = 0, next = 0; i < writes.length; i += 4) {
      if (writes[i + 1] === "add") mapSet(counters, writes[i], count(answer[1][next++]));
    }
    return { revision: answer[0], counters, durability: answer[2] };
  }

  #addCheck(key: string, condition: string, revision: number): void {
    const checks = this.#checks;
    checks[checks.length] = key;
    checks[checks.length] = condition;
    checks[checks.length] = revision;
  }

  #addWrite(key: string, action: string, content: any, options: string | null): this {
    const writes = this.#writes;
    writes[writes.length] = key;
    writes[writes.length] = action;
    writes[writes.length] = content;
    writes[writes.length] = options;
    return this;
  }
}
webClass(AtomicOperation);

/** What one write changed. */
interface Written {
  revision: number;
  changes: { key: string; type: "put" | "delete" | "expire" }[];
}

function gather(parts: any[], told: Written[]): void {
  for (let i = 0; i < parts.length; i += 3) {
    const change = { key: parts[i], type: parts[i + 1] };
    const last = told[told.length - 1];
    if (last !== undefined && last.revision === parts[i + 2]) last.changes[last.changes.length] = change;
    else told[told.length] = { revision: parts[i + 2], changes: [change] };
  }
}

/** The change feed: an async iterator of writes, without an end of its own. */
export class KvWatcher extends Watcher<Written> {
  constructor(token: unknown = undefined, binding: number = 0, options: any = undefined) {
    const prefix = options?.prefix === undefined || options.prefix === null ? "" : toStr(options.prefix);
    const since = options?.since;
    const source: Source<Written> = {
      read: (position, first) => start(OP_KV_CHANGES, binding, prefix, position, first),
      gather,
    };
    super(token, source, since === undefined || since === null ? null : checkRevision(since));
  }
}
webClass(KvWatcher);

export function makeAtomic(binding: number): AtomicOperation {
  return new AtomicOperation(INTERNAL, binding);
}

export function makeWatcher(binding: number, options: any): KvWatcher {
  return new KvWatcher(INTERNAL, binding, options);
}

/** A page of what is new, or with values: null for one that is too large to come with a list. */
export async function listMore(binding: number, prefix: string, cursor: string | null, limit: number, options: any): Promise<any> {
  const { values, changedSince } = options;
  if (values !== undefined && values !== "text" && values !== "json" && values !== "arrayBuffer") {
    throw new TypeError('values of a list come as "text", "json" or "arrayBuffer"');
  }
  const after = changedSince === undefined || changedSince === null ? null : checkRevision(changedSince);
  const answer = await operation(
    start(OP_KV_LIST_MORE, binding, prefix, cursor, limit, after, values !== undefined),
  );
  const page = listPage(answer[0]);
  for (let i = 0; values !== undefined && i < page.keys.length; i++) {
    page.keys[i].value = listedValue(answer[1][i], values);
  }
  return page;
}

function listedValue(bytes: Uint8Array | null, type: string): unknown {
  if (bytes === null) return null;
  if (type === "arrayBuffer") return wholeBuffer(bytes);
  const text = utf8Decode(bytes, false, true);
  return type === "json" ? jsonParse(text) : text;
}
