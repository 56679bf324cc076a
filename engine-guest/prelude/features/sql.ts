/**
 * SQL databases, in the shape that code for D1 expects: `prepare`, `bind`, `first`, `all`, `run`, `raw`, `batch`, `exec`.
 * Selvedge adds `transaction`, which spans several calls; a statement is async iterable, row by row; and
 * `safeIntegers` answers every integer as a BigInt. Without it an integer is a number, or a BigInt where a number could
 * not hold it.
 */
import { wholeBuffer } from "../body.ts";
import { INTERNAL } from "../internal.ts";
import {
  OP_SQL_BATCH, OP_SQL_BEGIN, OP_SQL_CLOSE, OP_SQL_END, OP_SQL_NEXT, OP_SQL_RUN, OP_SQL_SCRIPT, OP_SQL_STREAM, start,
  type Wire,
} from "../native.ts";
import { operation } from "../operations.ts";
import {
  AsyncIteratorPrototype, BigInt, Error, Symbol, TypeError, Uint8Array, apply, bytesOf, defineProperty, hasOwn, isArray, isView,
  objectToString, promiseRejected, promiseResolved, promiseThen, setPrototypeOf, stringStartsWith, toStr,
  webClass,
} from "../primordials.ts";

import { makeChanges, type SqlChanges } from "./sql/changes.ts";

/** `[columns, values, rowsRead, rowsWritten, changes, lastRowId, ms, writes]` */
type Result = [string[], Wire[], number, number, number, Wire, number, boolean];

/** Where a statement runs. */
interface Target {
  binding: number;
  key: string | null;
  /** Runs statements one after another; null outside of a transaction. */
  transaction: Transaction | null;
}

/** What SQLite calls what went wrong. */
const NAMES: Record<string, string | undefined> = {
  __proto__: null as any,
  sql_error: "SQLITE_ERROR",
  sql_constraint: "SQLITE_CONSTRAINT",
  sql_forbidden: "SQLITE_AUTH",
  sql_limit: "SQLITE_TOOBIG",
  sql_database_full: "SQLITE_FULL",
  sql_time_limit: "SQLITE_INTERRUPT",
};

/** The host's error as code for D1 knows it. Its `code` and its cause say the same without ceremony. */
function failure(error: any, prefix: string): Error {
  const code = error?.code;
  if (typeof code !== "string" || !stringStartsWith(code, "sql_")) return error;
  const name = NAMES[code];
  const message = name === undefined ? error.message : `${error.message}: ${name}`;
  const made: any = new Error(`${prefix}: ${message}`, { cause: error });
  made.code = code;
  return made;
}

function ask<T = any>(begin: () => number, use: ((answer: any) => T) | undefined = undefined): Promise<T> {
  try {
    return operation(begin(), use, explained);
  } catch (error) {
    return promiseRejected(error);
  }
}

const explained = (error: any): Error => failure(error, "D1_ERROR");

function byteList(list: any[]): Uint8Array {
  const bytes = new Uint8Array(list.length);
  for (let i = 0; i < list.length; i++) bytes[i] = list[i];
  return bytes;
}

/** A bound value as it crosses. */
function wire(value: unknown): Wire {
  switch (typeof value) {
    case "string": case "number": case "boolean":
      return value;
    case "bigint":
      return [toStr(value)];
    case "object": {
      if (value === null) return null;
      const bytes = bytesOf(value);
      if (bytes !== null) return bytes;
      // D1 takes a list of numbers for bytes, too.
      if (isArray(value)) return byteList(value);
    }
  }
  const shown = typeof value === "object" ? objectToString(value) : toStr(value);
  throw new Error(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${shown}'`);
}

function cell(value: any): unknown {
  if (typeof value !== "object" || value === null) return value;
  return isView(value) ? wholeBuffer(value as Uint8Array) : BigInt(value[0]);
}

/** Rows as objects. */
function objectsOf(columns: string[], values: Wire[]): any[] {
  const rows: any[] = [];
  const width = columns.length;
  for (let at = 0, count = 0; at < values.length; count++) {
    const row: any = {};
    for (let c = 0; c < width; c++) {
      const name = columns[c]!;
      const value = cell(values[at++]);
      if (name === "__proto__") defineProperty(row, name, { value, writable: true, enumerable: true, configurable: true });
      else row[name] = value;
    }
    rows[count] = row;
  }
  return rows;
}

/** Rows as arrays. */
function arraysOf(columns: string[], values: Wire[]): any[][] {
  const rows: any[][] = [];
  const width = columns.length;
  for (let at = 0, count = 0; at < values.length; count++) {
    const row: any[] = [];
    for (let c = 0; c < width; c++) row[c] = cell(values[at++]);
    rows[count] = row;
  }
  return rows;
}

/** Without a durability, the statement is part of a transaction that is not committed yet. */
function shape(result: Result, size: number, durability: string | undefined = undefined): any {
  return {
    success: true,
    meta: {
      served_by: "selvedge",
      duration: result[6],
      changes: result[4],
      last_row_id: cell(result[5]),
      changed_db: result[7],
      size_after: size,
      rows_read: result[2],
      rows_written: result[3],
      durability,
    },
    results: objectsOf(result[0], result[1]),
  };
}

let partsOf: (statement: any) => [Target, string, Wire[], boolean];
let madeOf: (target: Target, sql: string) => D1PreparedStatement;

/** A statement, and the values of its parameters. */
export class D1PreparedStatement {
  #target: Target;
  #sql: string;
  #values: Wire[];
  #exact: boolean;

  constructor(token: unknown = undefined, target: Target = null as any, sql = "", values: Wire[] = [], exact = false) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#target = target;
    this.#sql = sql;
    this.#values = values;
    this.#exact = exact;
  }

  static {
    partsOf = (statement) => [statement.#target, statement.#sql, statement.#values, statement.#exact];
    madeOf = (target, sql) => new D1PreparedStatement(INTERNAL, target, sql);
  }

  /** The same statement with these values. */
  bind(...values: unknown[]): D1PreparedStatement {
    const bound: Wire[] = [];
    for (let i = 0; i < values.length; i++) bound[i] = wire(values[i]);
    return new D1PreparedStatement(INTERNAL, this.#target, this.#sql, bound, this.#exact);
  }

  /** The same statement, whose integers are all BigInts. */
  safeIntegers(on: boolean = true): D1PreparedStatement {
    return new D1PreparedStatement(INTERNAL, this.#target, this.#sql, this.#values, !!on);
  }

  #answer<T>(use: (result: Result, size: number, durability?: string) => T): Promise<T> {
    const { binding, key, transaction } = this.#target;
    const sql = this.#sql;
    const values = this.#values;
    const exact = this.#exact;
    if (transaction !== null) return promiseThen(runIn(transaction, sql, values, exact), (result: Result) => use(result, 0));
    return ask(() => start(OP_SQL_BATCH, binding, key, sql, values, exact), (answer) => use(answer[2], answer[0], answer[1]));
  }

  /** All rows, and what the statement cost. */
  all(): Promise<any> {
    return this.#answer(shape);
  }

  /** The same; for statements whose rows nobody wants. */
  run(): Promise<any> {
    return this.#answer(shape);
  }

  /** The first row, or one column of it; null if there is no row. */
  first(column: string | undefined = undefined): Promise<any> {
    return this.#answer((result) => {
      const rows = objectsOf(result[0], result[1]);
      if (rows.length === 0) return null;
      if (column === undefined) return rows[0];
      if (hasOwn(rows[0], column)) return rows[0][column];
      throw new Error(`D1_ERROR: Column not found (${toStr(column)})`);
    });
  }

  /** Rows as arrays; with `columnNames` the names come first. */
  raw(options: any = undefined): Promise<any[][]> {
    return this.#answer((result) => {
      const rows = arraysOf(result[0], result[1]);
      if (!options?.columnNames) return rows;
      const named: any[][] = [result[0]];
      for (let i = 0; i < rows.length; i++) named[i + 1] = rows[i]!;
      return named;
    });
  }
}
webClass(D1PreparedStatement);

/** The rows of a statement, one at a time, of one state of the database. */
class RowIterator {
  #parts: [Target, string, Wire[], boolean];
  #stream = -1;
  #columns: string[] = [];
  #rows: any[] = [];
  #at = 0;
  #over = false;

  constructor(parts: [Target, string, Wire[], boolean]) {
    this.#parts = parts;
  }

  async next(): Promise<any> {
    while (this.#at >= this.#rows.length) {
      if (this.#over) return { value: undefined, done: true };
      await this.#more();
    }
    return { value: this.#rows[this.#at++], done: false };
  }

  async #more(): Promise<void> {
    const { 0: target, 1: sql, 2: values, 3: exact } = this.#parts;
    this.#at = 0;
    if (target.transaction !== null) {
      this.#over = true;
      const result = await runIn(target.transaction, sql, values, exact);
      this.#rows = objectsOf(result[0], result[1]);
      return;
    }
    try {
      if (this.#stream < 0) {
        const opened = await ask(() => start(OP_SQL_STREAM, target.binding, target.key, sql, values, exact));
        this.#stream = opened[0];
        this.#columns = opened[1];
      }
      const rows = await ask(() => start(OP_SQL_NEXT, this.#stream, exact));
      this.#over = rows === null;
      this.#rows = rows === null ? [] : objectsOf(this.#columns, rows);
    } catch (error) {
      this.#over = true;
      this.#rows = [];
      throw error;
    }
  }

  async return(value: unknown = undefined): Promise<any> {
    if (!this.#over && this.#stream >= 0) await ask(() => start(OP_SQL_CLOSE, this.#stream));
    this.#over = true;
    this.#rows = [];
    return { value, done: true };
  }
}
setPrototypeOf(RowIterator.prototype, AsyncIteratorPrototype);
defineProperty(D1PreparedStatement.prototype, Symbol.asyncIterator, {
  value(this: any): RowIterator {
    return new RowIterator(partsOf(this));
  },
  writable: true,
  configurable: true,
});

let runIn: (transaction: Transaction, sql: string, values: Wire[], exact: boolean) => Promise<Result>;
let begun: (number: number) => Transaction;
let endOf: (transaction: Transaction) => Promise<unknown>;

/** What `transaction` gives its function: the only writer of the database while it lasts. */
class Transaction {
  #number: number;
  #target: Target;
  /** The end of the statement that was begun last. */
  #tail: Promise<unknown> = promiseResolved(undefined);

  constructor(token: unknown = undefined, number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#number = number;
    this.#target = { binding: 0, key: null, transaction: this };
  }

  static {
    runIn = (transaction, sql, values, exact) => {
      const number = transaction.#number;
      const ran = promiseThen(transaction.#tail, () => ask(() => start(OP_SQL_RUN, number, sql, values, exact)));
      transaction.#tail = promiseThen(ran, undefined, () => {});
      return ran;
    };
    begun = (number) => new Transaction(INTERNAL, number);
    endOf = (transaction) => transaction.#tail;
  }

  prepare(sql: string): D1PreparedStatement {
    return madeOf(this.#target, toStr(sql));
  }
}
webClass(Transaction);

/** A database. */
export class D1Database {
  #target: Target;

  constructor(token: unknown = undefined, binding = 0, key: string | null = null) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#target = { binding, key, transaction: null };
  }

  prepare(sql: string): D1PreparedStatement {
    return madeOf(this.#target, toStr(sql));
  }

  /** Statements in one transaction; a result for each. */
  batch(statements: any[]): Promise<any[]> {
    const { binding, key } = this.#target;
    const args: any[] = [OP_SQL_BATCH, binding, key];
    for (let i = 0; i < statements.length; i++) {
      const { 0: target, 1: sql, 2: values, 3: exact } = partsOf(statements[i]);
      if (target.binding !== binding || target.key !== key || target.transaction !== null) {
        throw new TypeError("batch: a statement of another database");
      }
      args[args.length] = sql;
      args[args.length] = values;
      args[args.length] = exact;
    }
    if (statements.length === 0) return promiseResolved([]);
    return promiseThen(ask(() => apply(start, undefined, args as any)), (answer: any) => {
      const results: any[] = [];
      for (let i = 2; i < answer.length; i++) results[i - 2] = shape(answer[i], answer[0], answer[1]);
      return results;
    });
  }

  /** A text of statements without parameters, in one transaction. */
  async exec(text: string): Promise<{ count: number; duration: number }> {
    const { binding, key } = this.#target;
    const script = toStr(text);
    try {
      const answer = await operation(start(OP_SQL_SCRIPT, binding, key, script));
      return { count: answer[0], duration: answer[1] };
    } catch (error) {
      throw failure(error, "D1_EXEC_ERROR");
    }
  }

  /** Runs `work` in a transaction, which is committed when it has ended and rolled back if it throws. */
  async transaction<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T> {
    const { binding, key } = this.#target;
    if (typeof work !== "function") throw new TypeError("transaction: the argument must be a function");
    const number: number = await ask(() => start(OP_SQL_BEGIN, binding, key));
    const transaction = begun(number);
    let result: T;
    try {
      result = await work(transaction);
    } catch (error) {
      await ask(() => start(OP_SQL_END, number, false));
      throw error;
    }
    await endOf(transaction);
    await ask(() => start(OP_SQL_END, number, true));
    return result;
  }

  /** The change feed, from now on or after a position. */
  changes(options: any = undefined): SqlChanges {
    const { binding, key } = this.#target;
    return makeChanges(binding, key, options);
  }

  /** Every read is current, so a session is the database itself. */
  withSession(): D1DatabaseSession {
    const { binding, key } = this.#target;
    return new D1DatabaseSession(INTERNAL, binding, key);
  }

  dump(): Promise<never> {
    return promiseRejected(new Error("D1_ERROR: dump() is not there; use: selvedge sql export APP DATABASE"));
  }
}
webClass(D1Database);

/** A session, which has no bookmark: on one node there is nothing to wait for. */
export class D1DatabaseSession extends D1Database {
  getBookmark(): null {
    return null;
  }
}
webClass(D1DatabaseSession);

/** Databases by key, each made at its first use. */
export class SqlFamily {
  #binding: number;

  constructor(token: unknown = undefined, binding = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  /** The database of a key. Nothing happens before its first statement. */
  get(key: string): D1Database {
    if (typeof key !== "string" || key === "") throw new TypeError("the key of a database must be a string");
    return new D1Database(INTERNAL, this.#binding, key);
  }
}
webClass(SqlFamily);

export function makeDatabase(binding: number): D1Database {
  return new D1Database(INTERNAL, binding);
}

export function makeFamily(binding: number): SqlFamily {
  return new SqlFamily(INTERNAL, binding);
}
