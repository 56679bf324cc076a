/**
 * `ctx.storage.sql`: an object's own SQLite database. A statement runs to its end within the call; a cursor walks over
 * what it answered.
 */
import { wholeBuffer } from "../../body.ts";
import { INTERNAL } from "../../internal.ts";
import { OBJECT_BYTES, OBJECT_SQL, call, type Wire } from "../../native.ts";
import {
  Error, Symbol, TypeError, arraySlice, bytesOf, defineProperty, isView, toStr, webClass,
} from "../../primordials.ts";

function bound(value: unknown): Wire {
  switch (typeof value) {
    case "string": case "number": case "boolean":
      return value;
    case "undefined":
      throw new TypeError("undefined can't be bound to a SQL statement; bind null");
    case "bigint":
      throw new TypeError("a BigInt can't be bound to a SQL statement; bind a number or a string");
  }
  if (value === null) return null;
  const bytes = bytesOf(value);
  if (bytes !== null) return bytes;
  throw new TypeError("a value of SQL is null, a number, a string, a boolean, an ArrayBuffer or a view of one");
}

const given = (value: any): any => (isView(value) ? wholeBuffer(value as Uint8Array) : value);

export class SqlStorageCursor {
  #columns: string[];
  #values: any[];
  #at = 0;
  #read: number;
  #written: number;

  constructor(token: unknown, answer: any) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#columns = answer[0];
    this.#values = answer[1];
    this.#read = answer[2];
    this.#written = answer[3];
  }

  get columnNames(): string[] {
    return arraySlice(this.#columns, 0);
  }

  get rowsRead(): number {
    return this.#read;
  }

  get rowsWritten(): number {
    return this.#written;
  }

  #nextRaw(): any[] | null {
    const width = this.#columns.length;
    if (this.#at >= this.#values.length) return null;
    const row: any[] = [];
    for (let i = 0; i < width; i++) row[i] = given(this.#values[this.#at++]);
    return row;
  }

  #nextObject(): any {
    const raw = this.#nextRaw();
    if (raw === null) return null;
    const row: any = {};
    for (let i = 0; i < raw.length; i++) {
      defineProperty(row, this.#columns[i]!, { value: raw[i], writable: true, configurable: true, enumerable: true });
    }
    return row;
  }

  next(): { done?: boolean; value?: any } {
    const row = this.#nextObject();
    return row === null ? { done: true } : { done: false, value: row };
  }

  toArray(): any[] {
    const rows: any[] = [];
    for (let row = this.#nextObject(); row !== null; row = this.#nextObject()) rows[rows.length] = row;
    return rows;
  }

  /** The only row. */
  one(): any {
    const row = this.#nextObject();
    if (row === null) throw new Error("Expected exactly one result from SQL query, but got no results.");
    if (this.#at < this.#values.length) {
      throw new Error("Expected exactly one result from SQL query, but got multiple results.");
    }
    return row;
  }

  /** The same rows as lists of values. */
  raw(): any {
    const next = (): any => {
      const row = this.#nextRaw();
      return row === null ? { done: true, value: undefined } : { done: false, value: row };
    };
    const rows = (): any[] => {
      const all: any[] = [];
      for (let row = this.#nextRaw(); row !== null; row = this.#nextRaw()) all[all.length] = row;
      return all;
    };
    const iterator: any = { next, toArray: rows };
    iterator[Symbol.iterator] = () => iterator;
    return iterator;
  }

  [Symbol.iterator](): this {
    return this;
  }
}
webClass(SqlStorageCursor);

export class SqlStorage {
  constructor(token: unknown) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  /** What is stored, in bytes. */
  get databaseSize(): number {
    return call(OBJECT_BYTES);
  }

  exec(query: any, ...bindings: any[]): SqlStorageCursor {
    const values: Wire[] = [];
    for (let i = 0; i < bindings.length; i++) values[i] = bound(bindings[i]);
    return new SqlStorageCursor(INTERNAL, call(OBJECT_SQL, toStr(query), values));
  }
}
webClass(SqlStorage);
