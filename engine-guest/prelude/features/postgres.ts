/**
 * A PostgreSQL binding: `env.DB.query(text, params)`, `env.DB.sql` as a tag of templates, `env.DB.transaction(run)`,
 * `env.DB.listen(channel)` and `env.DB.notify(channel, payload)`.
 *
 * The host speaks the protocol and knows the types; this makes parameters of values and rows of answers.
 */
import { hostError } from "../errors.ts";
import { INTERNAL } from "../internal.ts";
import { whenAbandoned } from "../invocation.ts";
import { isSafeInteger, symbolAsyncIterator } from "../library.ts";
import {
  OP_POSTGRES_BEGIN, OP_POSTGRES_CLOSE, OP_POSTGRES_END, OP_POSTGRES_LISTEN, OP_POSTGRES_NEXT, OP_POSTGRES_QUERY,
  getContext, start, type Wire,
} from "../native.ts";
import { cancelOperation, operation, whenComplete } from "../operations.ts";
import {
  BigInt, Date, Error, Map, Number, Promise, TypeError, defineProperty, isArray, isObject, jsonParse, mapDelete,
  mapForEach, mapGet, mapSet, promiseRejected, toStr, webClass,
} from "../primordials.ts";
import { encodeParam } from "./postgres/params.ts";

/** What the server said of an error; `code` is Selvedge's, `sqlstate` the server's. */
export class PostgresError extends Error {
  constructor(code: string, message: string) {
    super(message);
    defineProperty(this, "code", { value: code, writable: true, configurable: true, enumerable: true });
  }
}
defineProperty(PostgresError.prototype, "name", { value: "PostgresError", writable: true, configurable: true });

/** The answer of an operation, or the error that it holds. */
function checked(answer: any): any[] {
  if (answer[0]) return answer;
  const error = new PostgresError(answer[1], answer[2]);
  for (let i = 3; i < answer.length; i += 2) {
    const value = answer[i] === "position" ? Number(answer[i + 1]) : answer[i + 1];
    defineProperty(error, answer[i], { value, writable: true, configurable: true, enumerable: true });
  }
  throw error;
}

/** Statements that run: the request that each is for, and how it is given up. */
const running = new Map<number, [request: number, reject: (reason: unknown) => void]>();

whenAbandoned((request) => {
  const abandoned: number[] = [];
  mapForEach(running, (statement: [number, unknown], id: number) => {
    if (statement[0] === request) abandoned[abandoned.length] = id;
  });
  for (let i = 0; i < abandoned.length; i++) {
    const id = abandoned[i]!;
    const reject = mapGet(running, id)[1];
    mapDelete(running, id);
    cancelOperation(id);
    reject(hostError("Error", "the client left, and the statement was cancelled", "client_gone"));
  }
});

function ask(id: number): Promise<any[]> {
  const request = getContext();
  return new Promise((resolve, reject) => {
    mapSet(running, id, [request, reject]);
    whenComplete(id, (ok, answer) => {
      mapDelete(running, id);
      try {
        if (!ok) reject(answer);
        else resolve(checked(answer));
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** What becomes of the values of a column; see `kind` in the host's postgres.rs. */
const BIG_INT = 1;
const JSON_TEXT = 2;
const INSTANT = 3;

function value(kind: number, cell: any): unknown {
  if (cell === null) return null;
  if (isArray(cell)) {
    for (let i = 0; i < cell.length; i++) cell[i] = value(kind, cell[i]);
    return cell;
  }
  // What the host could not read as what it should be stays the text that it is.
  if (kind === BIG_INT) return typeof cell === "string" ? BigInt(cell) : cell;
  if (kind === JSON_TEXT) return jsonParse(cell);
  if (typeof cell !== "number" || cell === Infinity || cell === -Infinity) return cell;
  return new Date(cell);
}

/** [true, command, rowCount, names, types, kinds, rows] */
const COMMAND = 1;
const ROW_COUNT = 2;
const NAMES = 3;
const TYPES = 4;
const KINDS = 5;
const ROWS = 6;

function makeResult(answer: any[], asArrays: boolean): any {
  const names: string[] = answer[NAMES];
  const kinds: number[] = answer[KINDS];
  const rows: any[] = answer[ROWS];
  for (let column = 0; column < kinds.length; column++) {
    const kind = kinds[column]!;
    if (kind === 0) continue;
    for (let i = 0; i < rows.length; i++) rows[i][column] = value(kind, rows[i][column]);
  }
  if (!asArrays) {
    for (let i = 0; i < rows.length; i++) {
      const cells = rows[i];
      const row: any = {};
      for (let column = 0; column < names.length; column++) {
        const name = names[column]!;
        // An assignment would set the prototype.
        if (name === "__proto__") {
          defineProperty(row, name, { value: cells[column], writable: true, configurable: true, enumerable: true });
        } else row[name] = cells[column];
      }
      rows[i] = row;
    }
  }
  const fields: any[] = [];
  for (let i = 0; i < names.length; i++) fields[i] = { name: names[i], dataTypeID: answer[TYPES][i] };
  return { rows, fields, rowCount: answer[ROW_COUNT], command: answer[COMMAND] };
}

interface QueryOptions {
  rowMode?: unknown;
  timestamps?: unknown;
  timeoutMs?: unknown;
}

function oneOf(name: string, given: unknown, first: string, second: string): boolean {
  if (given === undefined || given === first) return false;
  if (given === second) return true;
  throw new TypeError(`${name} is "${first}" or "${second}", not "${toStr(given)}"`);
}

function timeout(given: unknown): number | null {
  if (given === undefined || given === null) return null;
  if (isSafeInteger(given) && (given as number) > 0 && (given as number) <= 0xffffffff) return given as number;
  throw new TypeError("timeoutMs must be a whole number of milliseconds, at least 1");
}

/** Both forms: (text, params, options) and ({ text, values, rowMode, … }). */
async function runQuery(
  binding: number, transaction: number, query: any, params: any, options: QueryOptions | undefined,
): Promise<any> {
  let text = query;
  let values = params;
  let settings: QueryOptions = options ?? {};
  if (isObject(query)) {
    text = query.text;
    values = query.values ?? params;
    settings = query;
  }
  if (typeof text !== "string") throw new TypeError("a query is a string, or an object with a text");
  if (values === undefined || values === null) values = [];
  if (!isArray(values)) throw new TypeError("the parameters of a query are an array");
  const asArrays = oneOf("rowMode", settings.rowMode, "object", "array");
  const plainTimes = oneOf("timestamps", settings.timestamps, "date", "string");
  const encoded: Wire[] = [];
  for (let i = 0; i < values.length; i++) encoded[i] = encodeParam(values[i]);
  const answer = await ask(start(
    OP_POSTGRES_QUERY, binding, transaction, text, encoded, plainTimes, timeout(settings.timeoutMs),
  ));
  return makeResult(answer, asArrays);
}

/** `select … ${value}` → `select … $1` */
function templateText(strings: any): string {
  if (!isArray(strings) || !isArray((strings as any).raw)) {
    throw new TypeError("sql is a tag of templates: sql`select ${value}`; with a string, call query(text, params)");
  }
  let text: string = strings[0];
  for (let i = 1; i < strings.length; i++) text += `$${i}${strings[i]}`;
  return text;
}

let beginOn: (database: Database, run: any, options: any) => Promise<any>;

/** A database that the manifest grants. */
export class Database {
  #binding: number;

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  static {
    beginOn = (database, run, options) => inTransaction(database.#binding, run, options);
  }

  query(text: any, params: any = undefined, options: any = undefined): Promise<any> {
    return runQuery(this.#binding, 0, text, params, options);
  }

  sql(strings: any, ...params: any[]): Promise<any> {
    const binding = this.#binding;
    try {
      return runQuery(binding, 0, templateText(strings), params, undefined);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** Commits when the promise of `run` resolves, rolls back when it rejects. */
  transaction(run: any, options: any = undefined): Promise<any> {
    return beginOn(this, run, options);
  }

  listen(channel: any): Listener {
    return new Listener(INTERNAL, this.#binding, toStr(channel));
  }

  async notify(channel: any, payload: any = ""): Promise<void> {
    await runQuery(this.#binding, 0, "SELECT pg_notify($1, $2)", [toStr(channel), toStr(payload)], undefined);
  }
}
webClass(Database, 0);

function checkRun(run: unknown): void {
  if (typeof run !== "function") throw new TypeError("transaction takes a function, which gets the transaction");
}

async function inTransaction(binding: number, run: any, options: any): Promise<any> {
  checkRun(run);
  const { isolation, readOnly, deferrable } = options ?? {};
  const level = isolation === undefined || isolation === null ? null : toStr(isolation);
  const id: number = (await ask(start(OP_POSTGRES_BEGIN, binding, level, !!readOnly, !!deferrable)))[1];
  const transaction = new Transaction(INTERNAL, binding, id);
  let result;
  try {
    result = await run(transaction);
  } catch (error) {
    try {
      await operation(start(OP_POSTGRES_END, id, false));
    } catch {
      // What was thrown first is the reason; a connection that is lost has rolled back too.
    }
    throw error;
  }
  checked(await operation(start(OP_POSTGRES_END, id, true)));
  return result;
}

/** A transaction: all its statements run on one connection, one after another. */
export class Transaction {
  #binding: number;
  #id: number;
  #savepoints: number = 0;

  constructor(token: unknown = undefined, binding: number = 0, id: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
    this.#id = id;
  }

  query(text: any, params: any = undefined, options: any = undefined): Promise<any> {
    return runQuery(this.#binding, this.#id, text, params, options);
  }

  sql(strings: any, ...params: any[]): Promise<any> {
    const binding = this.#binding;
    try {
      return runQuery(binding, this.#id, templateText(strings), params, undefined);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** A savepoint: what `run` throws undoes what it did, and no more. */
  async transaction(run: any): Promise<any> {
    checkRun(run);
    const name = `selvedge_${++this.#savepoints}`;
    await this.query(`SAVEPOINT ${name}`);
    let result;
    try {
      result = await run(this);
    } catch (error) {
      await this.query(`ROLLBACK TO SAVEPOINT ${name}`);
      throw error;
    }
    await this.query(`RELEASE SAVEPOINT ${name}`);
    return result;
  }
}
webClass(Transaction, 0);

/** Notifications of one channel, as an async iterator. It listens from the first `next` on. */
export class Listener {
  #binding: number;
  #channel: string;
  #opening: Promise<any[]> | null = null;
  #over: boolean = false;

  constructor(token: unknown = undefined, binding: number = 0, channel: string = "") {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
    this.#channel = channel;
  }

  /** Resolves when it listens: what is sent from then on is heard. */
  async ready(): Promise<void> {
    this.#opening ??= ask(start(OP_POSTGRES_LISTEN, this.#binding, this.#channel));
    await this.#opening;
  }

  async next(): Promise<IteratorResult<any>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      await this.ready();
      const id: number = (await this.#opening!)[1];
      const heard = await operation(start(OP_POSTGRES_NEXT, id));
      if (heard === null) {
        this.#over = true;
        return { done: true, value: undefined };
      }
      const [, channel, payload, processId] = checked(heard);
      return { done: false, value: { channel, payload, processId } };
    } catch (error) {
      this.#over = true;
      throw error;
    }
  }

  async return(value: any = undefined): Promise<IteratorResult<any>> {
    this.#over = true;
    const opening = this.#opening;
    if (opening !== null) await operation(start(OP_POSTGRES_CLOSE, (await opening)[1]));
    return { done: true, value };
  }
}
webClass(Listener, 0);
defineProperty(Listener.prototype, symbolAsyncIterator, {
  value(this: Listener) {
    return this;
  },
  writable: true,
  configurable: true,
});

export function makeDatabase(binding: number): Database {
  return new Database(INTERNAL, binding);
}
