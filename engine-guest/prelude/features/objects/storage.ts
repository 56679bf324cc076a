/**
 * `ctx.storage`: what an object keeps. Everything is answered by the host at once; what is written in one turn becomes
 * durable as a whole, and nothing that follows from it leaves the object before it is.
 */
import { INTERNAL } from "../../internal.ts";
import {
  OBJECT_ALARM_GET, OBJECT_ALARM_SET, OBJECT_BEGIN, OBJECT_BOOKMARK, OBJECT_DELETE, OBJECT_DELETE_ALL,
  OBJECT_DURABILITY, OBJECT_END,
  OBJECT_GET, OBJECT_LIST, OBJECT_PUT, OBJECT_READ, OBJECT_RESTORE_NEXT, OBJECT_WRITE, OP_OBJECT_SYNC, call, promised,
  start,
} from "../../native.ts";
import { operation } from "../../operations.ts";
import {
  Date, Map, Promise, Symbol, TypeError, dateGetTime, isArray, isObject, mapSet, objectKeys, promiseResolved, promiseThen, toStr,
  webClass,
} from "../../primordials.ts";
import { isThenable } from "../rpc/settled.ts";
import { block, unblock } from "./gate.ts";
import { SqlStorage } from "./sql.ts";
import { decodeValue, encodeValue } from "./values.ts";

function checkKey(key: unknown): string {
  if (typeof key === "string") return key;
  throw new TypeError("a key of storage must be a string");
}

function checkKeys(keys: unknown[]): string[] {
  const checked: string[] = [];
  for (let i = 0; i < keys.length; i++) checked[i] = checkKey(keys[i]);
  return checked;
}

/** The host answers what is no object as it is. */
function readOne(key: unknown): any {
  const found = call(OBJECT_READ, checkKey(key));
  return isArray(found) ? decodeValue(found) : found;
}

function readMany(keys: unknown[]): Map<string, any> {
  const wanted = checkKeys(keys);
  const found = call(OBJECT_GET, wanted);
  const values = new Map<string, any>();
  for (let i = 0; i < wanted.length; i++) if (found[i] !== null) mapSet(values, wanted[i], decodeValue(found[i]));
  return values;
}

function writeOne(key: unknown, value: unknown, place: number): void {
  if (value === undefined) throw new TypeError("undefined can't be stored; delete the key instead");
  call(OBJECT_PUT, checkKey(key), place, encodeValue(value));
}

/** What the host writes down by itself. */
function isPlain(value: unknown): boolean {
  const kind = typeof value;
  return kind === "number" || kind === "string" || kind === "boolean";
}

function writeMany(entries: any): void {
  const keys = objectKeys(entries);
  for (let i = 0; i < keys.length; i++) writeOne(keys[i], entries[keys[i]!], i);
}

function remove(keys: unknown): any {
  if (isArray(keys)) return call(OBJECT_DELETE, checkKeys(keys));
  return call(OBJECT_DELETE, [checkKey(keys)]) > 0;
}

function bound(options: any, name: string): string | null {
  const value = options[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== "string") throw new TypeError(`${name} must be a key: a string`);
  return value;
}

/** [key, tokens, …] */
function listed(options: any): any[] {
  if (options === undefined || options === null) options = {};
  if (!isObject(options)) throw new TypeError("the options of list must be an object");
  const from = bound(options, "start");
  const after = bound(options, "startAfter");
  if (from !== null && after !== null) throw new TypeError("list takes start or startAfter, not both");
  let limit = null;
  if (options.limit !== undefined && options.limit !== null) {
    limit = +options.limit;
    if (!(limit >= 1)) throw new TypeError("the limit of list must be a positive number");
    if (limit > 0x7fffffff) limit = 0x7fffffff;
  }
  return call(OBJECT_LIST, from, after, bound(options, "end"), bound(options, "prefix"), !!options.reverse, limit);
}

function listMap(options: any): Map<string, any> {
  const entries = listed(options);
  const values = new Map<string, any>();
  for (let i = 0; i < entries.length; i += 2) mapSet(values, entries[i], decodeValue(entries[i + 1]));
  return values;
}

function alarmTime(at: any): number {
  const ms = isObject(at) ? dateGetTime(at as Date) : +at;
  if (ms !== ms || typeof at === "string") throw new TypeError("an alarm is set for a Date or a number of milliseconds");
  if (ms < 0) throw new TypeError("an alarm can't be set before 1970");
  return ms;
}

function moment(at: any): number {
  const ms = isObject(at) ? dateGetTime(at as Date) : +at;
  if (!(ms >= 0)) throw new TypeError("a moment is a Date or a number of milliseconds since 1970");
  return ms;
}

/** The synchronous form of what storage does with keys. */
export class SyncKvStorage {
  constructor(token: unknown) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get(key: any): any {
    return readOne(key);
  }

  put(key: any, value: any): void {
    writeOne(key, value, 0);
  }

  delete(key: any): boolean {
    return remove(checkKey(key));
  }

  list(options: any = undefined): IterableIterator<[string, any]> {
    const entries = listed(options);
    const pairs: [string, any][] = [];
    for (let i = 0; i < entries.length; i += 2) pairs[i >> 1] = [entries[i], decodeValue(entries[i + 1])];
    return pairs[Symbol.iterator]();
  }
}
webClass(SyncKvStorage);

async function read(keys: any): Promise<any> {
  return isArray(keys) ? readMany(keys) : readOne(keys);
}

async function write(key: any, value: any): Promise<void> {
  if (isObject(key)) writeMany(key);
  else writeOne(key, value, 0);
}

/** What a transaction and the storage itself can do alike. */
class Keys {
  get(keys: any): Promise<any> {
    return typeof keys === "string" ? promised(decodeValue, OBJECT_READ, keys) : read(keys);
  }

  put(key: any, value: any = undefined): Promise<void> {
    return typeof key === "string" && isPlain(value) ? promised(decodeValue, OBJECT_WRITE, key, value) : write(key, value);
  }

  async delete(keys: any, _options: any = undefined): Promise<any> {
    return remove(keys);
  }

  async list(options: any = undefined): Promise<Map<string, any>> {
    return listMap(options);
  }

  async getAlarm(_options: any = undefined): Promise<number | null> {
    return call(OBJECT_ALARM_GET);
  }

  async setAlarm(at: any, _options: any = undefined): Promise<void> {
    call(OBJECT_ALARM_SET, alarmTime(at));
  }

  async deleteAlarm(_options: any = undefined): Promise<void> {
    call(OBJECT_ALARM_SET, null);
  }
}

let isRolledBack: (transaction: DurableObjectTransaction) => boolean;

/** What the callback of `transaction` gets. */
export class DurableObjectTransaction extends Keys {
  #rolledBack = false;

  constructor(token: unknown) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super();
  }

  static {
    isRolledBack = (transaction) => transaction.#rolledBack;
  }

  /** Undoes what was written in the transaction, when its callback is over. */
  rollback(): void {
    this.#rolledBack = true;
  }
}
webClass(DurableObjectTransaction);

/** Transactions take their turns. */
let last: Promise<void> = promiseResolved(undefined) as any;

export class DurableObjectStorage extends Keys {
  #kv: SyncKvStorage;
  #sql: SqlStorage;

  constructor(token: unknown) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super();
    this.#kv = new SyncKvStorage(INTERNAL);
    this.#sql = new SqlStorage(INTERNAL);
  }

  get kv(): SyncKvStorage {
    return this.#kv;
  }

  get sql(): SqlStorage {
    return this.#sql;
  }

  async deleteAll(_options: any = undefined): Promise<void> {
    call(OBJECT_DELETE_ALL);
  }

  /** Resolves when everything that was written is durable, with what that means. */
  async sync(): Promise<{ durability: string }> {
    await operation(start(OP_OBJECT_SYNC));
    return { durability: call(OBJECT_DURABILITY) };
  }

  /** The moment that everything until here belongs to, and nothing that is written later. */
  async getCurrentBookmark(): Promise<string> {
    await this.sync();
    return call(OBJECT_BOOKMARK, null);
  }

  async getBookmarkForTime(at: any): Promise<string> {
    return call(OBJECT_BOOKMARK, moment(at));
  }

  /** When the object starts next, its storage is what it was then. Answers the bookmark that undoes it. */
  async onNextSessionRestoreBookmark(bookmark: any): Promise<string> {
    const undo = call(OBJECT_RESTORE_NEXT, toStr(bookmark));
    await this.sync();
    return undo;
  }

  async transaction(callback: (transaction: DurableObjectTransaction) => any): Promise<any> {
    const before = last;
    let over: () => void;
    last = new Promise((resolve) => (over = resolve));
    await before;
    block();
    try {
      // It begins apart from what others wrote, as soon as that is kept.
      while (!call(OBJECT_BEGIN, true)) await operation(start(OP_OBJECT_SYNC));
      const transaction = new DurableObjectTransaction(INTERNAL);
      let keep = false;
      try {
        const result = await callback(transaction);
        keep = !isRolledBack(transaction);
        return result;
      } finally {
        call(OBJECT_END, keep);
      }
    } finally {
      unblock();
      over!();
    }
  }

  transactionSync(callback: () => any): any {
    call(OBJECT_BEGIN, false);
    let keep = false;
    try {
      const result = callback();
      if (isThenable(result)) {
        promiseThen(result as any, undefined, () => {});
        throw new TypeError("the callback of transactionSync must not be async");
      }
      keep = true;
      return result;
    } finally {
      call(OBJECT_END, keep);
    }
  }
}
webClass(DurableObjectStorage);
