/**
 * `WebAssembly.Table`: of functions, which the host has, or of values of JavaScript, which lie in the guest.
 */
import { INTERNAL } from "../../internal.ts";
import {
  WASM_TABLE_GET, WASM_TABLE_GROW, WASM_TABLE_NEW, WASM_TABLE_SET, WASM_TABLE_SIZE, wasm, wasmRefs, wasmRefsGet,
  wasmRefsGrow, wasmRefsLength, wasmRefsSet,
} from "../../native.ts";
import { RangeError, TypeError, isObject, webClass } from "../../primordials.ts";
import { descriptorOf, exportedFunction, exportedOf, initialOf, letterOf, limit, toIndex } from "./values.ts";

const LENGTH_MAX = 10_000_000;

export let tableState: (table: Table) => { id: number; refs: boolean; maximum: number | undefined };
export let isTable: (value: unknown) => value is Table;

export class Table {
  #id: number;
  #refs: boolean;
  #maximum: number | undefined;

  static {
    tableState = (table) => ({ id: table.#id, refs: table.#refs, maximum: table.#maximum });
    isTable = (value): value is Table => isObject(value) && #id in value;
  }

  constructor(descriptor: any, value: any = undefined) {
    if (descriptor === INTERNAL) {
      this.#id = value.id;
      this.#refs = value.refs;
      this.#maximum = value.maximum;
      return;
    }
    descriptorOf(descriptor, "the descriptor of a WebAssembly.Table");
    const letter = letterOf(descriptor.element);
    if (letter !== "e" && letter !== "r") throw new TypeError("a table holds anyfunc or externref");
    const initial = initialOf(descriptor, "the descriptor of a WebAssembly.Table");
    const maximum = limit(descriptor, "maximum");
    if (initial > LENGTH_MAX) throw new RangeError(`a WebAssembly.Table has ${LENGTH_MAX} places at most`);
    if (maximum !== undefined && maximum < initial) {
      throw new RangeError("the maximum of a WebAssembly.Table is less than its initial length");
    }
    this.#refs = letter === "e";
    this.#maximum = maximum;
    if (this.#refs) {
      this.#id = newRefs(initial, maximum, arguments.length < 2 ? undefined : value);
    } else {
      if (value !== undefined && value !== null) checkFunction(value);
      this.#id = wasm(WASM_TABLE_NEW, initial, maximum ?? null);
      if (value !== undefined && value !== null) for (let i = 0; i < initial; i++) this.set(i, value);
    }
  }

  get length(): number {
    return this.#refs ? wasmRefsLength(this.#id) : wasm(WASM_TABLE_SIZE, this.#id);
  }

  get(index: unknown): unknown {
    void this.#id;
    const at = toIndex(index, "the index");
    if (this.#refs) {
      if (at >= wasmRefsLength(this.#id)) throw outside();
      return wasmRefsGet(this.#id, at);
    }
    const found = wasm(WASM_TABLE_GET, this.#id, at);
    if (found === false) throw outside();
    return found === null ? null : exportedFunction(found[0], found[1], found[2], found[3]);
  }

  set(index: unknown, value: any = undefined): void {
    void this.#id;
    const at = toIndex(index, "the index");
    if (this.#refs) {
      if (at >= wasmRefsLength(this.#id)) throw outside();
      return wasmRefsSet(this.#id, at, value);
    }
    const exported = value === null || arguments.length < 2 ? null : checkFunction(value);
    const done = exported === null
      ? wasm(WASM_TABLE_SET, this.#id, at, null)
      : wasm(WASM_TABLE_SET, this.#id, at, exported.instance, exported.index);
    if (!done) throw outside();
  }

  /** Adds places, and answers how many there were. */
  grow(delta: unknown, value: any = undefined): number {
    void this.#id;
    const count = toIndex(delta, "delta");
    if (this.#refs) {
      const before = wasmRefsGrow(this.#id, value, count);
      if (before < 0) throw full();
      return before;
    }
    if (value !== undefined && value !== null) checkFunction(value);
    const before: number | null = wasm(WASM_TABLE_GROW, this.#id, count);
    if (before === null) throw full();
    if (value !== undefined && value !== null) for (let i = 0; i < count; i++) this.set(before + i, value);
    return before;
  }
}
webClass(Table, 1);

function checkFunction(value: unknown): { instance: number; index: number } {
  const exported = exportedOf(value);
  if (exported === undefined) throw new TypeError("a table of functions holds functions that an instance exports");
  return exported;
}

const outside = (): Error => new RangeError("the index is outside of the table");
const full = (): Error => new RangeError("the table can't grow by so many places");

/** A new table of values in the guest; a global of such a value is one, too. */
export function newRefs(length: number, maximum: number | undefined, value: unknown): number {
  const id = wasmRefs(length, maximum ?? LENGTH_MAX, value);
  if (id < 0) throw new RangeError(`there is no room for a table of ${length} places (limits.memory_mib)`);
  return id;
}
