/**
 * SQL databases, in the shape that code for D1 expects: `prepare`, `bind`, `first`, `all`, `run`, `raw`, `batch`, `exec`.
 * Selvedge adds `transaction`, which spans several calls; a statement is async iterable, row by row; and
 * `safeIntegers` answers every integer as a BigInt. Without it an integer is a number, or a BigInt where a number could
 * not hold it.
 */
import { INTERNAL } from "../internal.ts";
import {
  OP_SQL_BATCH, OP_SQL_BEGIN, OP_SQL_CLOSE, OP_SQL_END, OP_SQL_NEXT, OP_SQL_QUERY, OP_SQL_RUN, OP_SQL_SCRIPT, OP_SQL_STREAM,
  ask, makeStatement, setStatements, start, statementParts, type Wire,
} from "../native.ts";
import { operation } from "../operations.ts";
import {
  AsyncIteratorPrototype, Error, Symbol, TypeError, Uint8Array, apply, bytesOf, defineProperty, isArray,
  objectToString, promiseRejected, promiseResolved, promiseThen, setPrototypeOf, stringStartsWith, toStr,
  webClass,
} from "../primordials.ts";

import { makeChanges, type SqlChanges } from "./sql/changes.ts";

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

function begin(operate: () => number): Promise<any> {
  try {
    return operation(operate(), undefined, explained);
  } catch (error) {
    return promiseRejected(error);
  }
}

const explained = (error: any): Error => failure(error, "D1_ERROR");
const late = (ok: boolean, value: any): unknown => (ok ? value : explained(value));

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

/** A statement: where it runs, its text, the values of its parameters, and whether integers are BigInts. */
type Parts = [Target, string, Wire[], boolean];

/** In what form the host is asked for a result; 0 is a result with what it cost, 1 the first row. */
const ARRAYS = 2;
const NAMED_ARRAYS = 3;
const ROWS = 4;

function query(parts: Parts, form: number, column: string | undefined = undefined): Promise<any> {
  try {
    const target = parts[0];
    if (target.transaction !== null) return runIn(target.transaction, parts, form, column);
    return ask(late, OP_SQL_QUERY, target.binding, target.key, parts[1], parts[2], parts[3], form, column);
  } catch (error) {
    return promiseRejected(error);
  }
}

const partsOf = (statement: any): Parts => statementParts(statement);

/** A statement without values. In a transaction it has no binding, which sends it to `runIn`. */
function statementOf(target: Target, sql: string): D1PreparedStatement {
  return makeStatement(target, target.transaction === null ? target.binding : -1, target.key, sql);
}

/** A statement, and the values of its parameters. It is the shim's, with most of its methods (shim/statement.c). */
export class D1PreparedStatement {
  constructor() {
    throw new TypeError("Illegal constructor");
  }

  /** Rows as arrays; with `columnNames` the names come first. */
  raw(options: any = undefined): Promise<any[][]> {
    return query(partsOf(this), options?.columnNames ? NAMED_ARRAYS : ARRAYS);
  }
}
setStatements(D1PreparedStatement.prototype, wire, late, (statement: any, form: number, column: string | undefined) =>
  query(partsOf(statement), form, column));
webClass(D1PreparedStatement, 0);

/** The rows of a statement, one at a time, of one state of the database. */
class RowIterator {
  #parts: Parts;
  #stream = -1;
  #rows: any[] = [];
  #at = 0;
  #over = false;

  constructor(parts: Parts) {
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
      this.#rows = await query(this.#parts, ROWS);
      return;
    }
    try {
      if (this.#stream < 0) {
        this.#stream = await begin(() => start(OP_SQL_STREAM, target.binding, target.key, sql, values, exact));
      }
      const rows = await begin(() => start(OP_SQL_NEXT, this.#stream, exact));
      this.#over = rows === null;
      this.#rows = rows ?? [];
    } catch (error) {
      this.#over = true;
      this.#rows = [];
      throw error;
    }
  }

  async return(value: unknown = undefined): Promise<any> {
    if (!this.#over && this.#stream >= 0) await begin(() => start(OP_SQL_CLOSE, this.#stream));
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

let runIn: (transaction: Transaction, parts: Parts, form: number, column: string | undefined) => Promise<any>;
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
    runIn = (transaction, { 1: sql, 2: values, 3: exact }, form, column) => {
      const number = transaction.#number;
      const ran = promiseThen(transaction.#tail, () =>
        begin(() => start(OP_SQL_RUN, number, sql, values, exact, form, column)));
      transaction.#tail = promiseThen(ran, undefined, () => {});
      return ran;
    };
    begun = (number) => new Transaction(INTERNAL, number);
    endOf = (transaction) => transaction.#tail;
  }

  prepare(sql: string): D1PreparedStatement {
    return statementOf(this.#target, toStr(sql));
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
    return statementOf(this.#target, toStr(sql));
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
    return begin(() => apply(start, undefined, args as any));
  }

  /** A text of statements without parameters, in one transaction. */
  async exec(text: string): Promise<{ count: number; duration: number; durability: string }> {
    const { binding, key } = this.#target;
    const script = toStr(text);
    try {
      const answer = await operation(start(OP_SQL_SCRIPT, binding, key, script));
      return { count: answer[0], duration: answer[1], durability: answer[2] };
    } catch (error) {
      throw failure(error, "D1_EXEC_ERROR");
    }
  }

  /** Runs `work` in a transaction, which is committed when it has ended and rolled back if it throws. */
  async transaction<T>(work: (transaction: Transaction) => T | Promise<T>): Promise<T> {
    const { binding, key } = this.#target;
    if (typeof work !== "function") throw new TypeError("transaction: the argument must be a function");
    const number: number = await begin(() => start(OP_SQL_BEGIN, binding, key));
    const transaction = begun(number);
    let result: T;
    try {
      result = await work(transaction);
    } catch (error) {
      await begin(() => start(OP_SQL_END, number, false));
      throw error;
    }
    await endOf(transaction);
    await begin(() => start(OP_SQL_END, number, true));
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
