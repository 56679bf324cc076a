/**
 * `WebAssembly.Instance`: reads what a module imports, has the instance made, and gives out what it exports
 * (WebAssembly JavaScript Interface, sections 4 and 5.2).
 */
import { INTERNAL } from "../../internal.ts";
import { WASM_INSTANTIATE, wasm, wasmFunction, wasmImports } from "../../native.ts";
import {
  TypeError, apply, defineProperty, freeze, isObject, objectCreate, webClass,
} from "../../primordials.ts";
import { readSequence } from "../../webidl.ts";
import { LinkError } from "./errors.ts";
import { Global, globalState, isGlobal, newGlobal } from "./global.ts";
import { Memory, isMemory, memoryId, memoryMaximum, pagesOf } from "./memory.ts";
import { type Module, type Shape, type Type, checkModule, moduleState } from "./module.ts";
import { Table, isTable, newRefs, tableState } from "./table.ts";
import { exportedFunction, exportedOf, reexport } from "./values.ts";

/** The function that copies a module's data. */
const INIT = 0xffffffff;

export class Instance {
  #exports: object;

  constructor(module: Module, imports: any = undefined) {
    this.#exports = instantiate(checkModule(module), imports);
  }

  get exports(): object {
    return this.#exports;
  }
}
webClass(Instance, 1);

/** What an instance is made of, in the order of the module's own indices. */
class Parts {
  /** [function, params, results, …] */
  functions: unknown[] = [];
  given: unknown[] = [];
  memories: Memory[] = [];
  tables: (Table | null)[] = [];
  globals: (Global | null)[] = [];
  /** Numbers of what the host has, imported ones only. */
  tableIds: number[] = [];
  globalIds: number[] = [];
  /** Where values of JavaScript lie: of the tables, then of the globals. */
  refTables: number[] = [];
  refGlobals: number[] = [];
}

const add = <T>(list: T[], value: T): void => {
  list[list.length] = value;
};

function instantiate(module: Module, imports: any): object {
  const { index, shape } = moduleState(module);
  const parts = new Parts();
  readImports(shape, imports, parts);
  makeOwn(shape, parts);
  const memories: number[] = [];
  for (let i = 0; i < parts.memories.length; i++) memories[i] = memoryId(parts.memories[i]!);
  const refs: number[] = [];
  for (let i = 0; i < parts.refTables.length; i++) add(refs, parts.refTables[i]!);
  for (let i = 0; i < parts.refGlobals.length; i++) add(refs, parts.refGlobals[i]!);
  const made = wasm(WASM_INSTANTIATE, index, memories, parts.tableIds, parts.globalIds, refs);
  const instance: number = made[0];
  wasmImports(instance, parts.functions);
  for (let i = 0; i < parts.given.length; i++) {
    if (exportedOf(parts.given[i]) !== undefined) reexport(instance, i, parts.given[i]);
  }
  if (shape.hasInit) wasmFunction(instance, INIT, "", "")();
  if (shape.start !== null) exportedFunction(instance, shape.start, "", "")();
  return exportsOf(shape, parts, instance, made[1], made[2]);
}

export function checkImports(imports: unknown): void {
  if (imports !== undefined && !isObject(imports)) throw new TypeError("the imports must be an object");
}

function readImports(shape: Shape, imports: any, parts: Parts): void {
  checkImports(imports);
  if (shape.imports.length === 0) return;
  if (!isObject(imports)) throw new TypeError("the module imports something: the imports must be an object");
  for (let i = 0; i < shape.imports.length; i++) {
    const [from, name, type] = shape.imports[i]!;
    const space = imports[from];
    if (!isObject(space)) throw new TypeError(`import ${i}: "${from}" must be an object`);
    readImport(`import ${i}, "${from}" "${name}"`, type, space[name], parts);
  }
}

function readImport(what: string, type: Type, value: any, parts: Parts): void {
  switch (type[0]) {
    case "function": {
      if (typeof value !== "function") throw new LinkError(`${what}: a function is wanted`);
      const exported = exportedOf(value);
      if (exported !== undefined && (exported.params !== type[1] || exported.results !== type[2])) {
        throw new LinkError(`${what}: the function has another signature than the module wants`);
      }
      add(parts.given, value);
      add(parts.functions, type[2].length > 1 ? severally(value, type[2].length) : value);
      add(parts.functions, type[1]);
      return add(parts.functions, type[2]);
    }
    case "memory":
      if (!isMemory(value)) throw new LinkError(`${what}: a WebAssembly.Memory is wanted`);
      checkLimits(what, pagesOf(value), memoryMaximum(value), type[1], type[2]);
      return add(parts.memories, value);
    case "table": {
      if (!isTable(value)) throw new LinkError(`${what}: a WebAssembly.Table is wanted`);
      const { id, refs, maximum } = tableState(value);
      if (refs !== type[1]) throw new LinkError(`${what}: the table holds values of another kind`);
      checkLimits(what, value.length, maximum, type[2], type[3]);
      add(parts.tables, value);
      return add(refs ? parts.refTables : parts.tableIds, id);
    }
    default:
      return readGlobal(what, type[1], type[2], value, parts);
  }
}

function readGlobal(what: string, letter: string, mutable: boolean, value: any, parts: Parts): void {
  let id: number;
  if (isGlobal(value)) {
    const state = globalState(value);
    if (state.letter !== letter || state.mutable !== mutable) {
      throw new LinkError(`${what}: the global is of another type, or only one of both can be changed`);
    }
    id = state.id;
  } else {
    if (mutable) throw new LinkError(`${what}: a WebAssembly.Global is wanted`);
    const fits = letter === "e" || typeof value === (letter === "I" ? "bigint" : "number");
    if (!fits || letter === "v" || letter === "r") throw new LinkError(`${what}: a value of another type is wanted`);
    id = letter === "e" ? newRefs(1, 1, value) : newGlobal(letter, false, value);
    value = new Global(INTERNAL, { id, letter, mutable });
  }
  add(parts.globals, value);
  add(letter === "e" ? parts.refGlobals : parts.globalIds, id);
}

function checkLimits(what: string, now: number, maximum: number | undefined, min: number, max: number | null): void {
  if (now < min) throw new LinkError(`${what}: it is smaller than the module wants`);
  if (max !== null && (maximum === undefined || maximum > max)) {
    throw new LinkError(`${what}: it may become larger than the module allows`);
  }
}

/** A function whose several results come as an array, whatever iterable it gives. */
function severally(value: any, count: number): any {
  return (...args: unknown[]) => {
    const results = readSequence(apply(value, undefined, args), "several results");
    if (results.length !== count) throw new TypeError(`the function must give ${count} results`);
    return results;
  };
}

/** What the module brings itself and the guest has. */
function makeOwn(shape: Shape, parts: Parts): void {
  for (let i = parts.memories.length; i < shape.memories.length; i++) {
    const [, min, max] = shape.memories[i]!;
    add(parts.memories, new Memory(INTERNAL, min, max ?? undefined));
  }
  for (let i = parts.tables.length; i < shape.tables.length; i++) {
    const [, refs, min, max] = shape.tables[i]!;
    if (!refs) {
      add(parts.tables, null);
      continue;
    }
    const id = newRefs(min, max ?? undefined, null);
    add(parts.tables, new Table(INTERNAL, { id, refs, maximum: max ?? undefined }));
    add(parts.refTables, id);
  }
  for (let i = parts.globals.length; i < shape.globals.length; i++) {
    const [, letter, mutable] = shape.globals[i]!;
    if (letter !== "e") {
      add(parts.globals, null);
      continue;
    }
    const id = newRefs(1, 1, null);
    add(parts.globals, new Global(INTERNAL, { id, letter, mutable }));
    add(parts.refGlobals, id);
  }
}

function exportsOf(shape: Shape, parts: Parts, instance: number, tables: any[], globals: any[]): object {
  const exports = objectCreate(null);
  for (let i = 0; i < shape.exports.length; i++) {
    const [name, index, type] = shape.exports[i]!;
    let value: unknown;
    if (type[0] === "function") {
      value = exportedFunction(instance, index, type[1], type[2]);
    } else if (type[0] === "memory") {
      value = parts.memories[index];
    } else if (type[0] === "table") {
      const state = { id: tables[index], refs: false, maximum: type[3] ?? undefined };
      value = parts.tables[index] ??= new Table(INTERNAL, state);
    } else {
      const state = { id: globals[index], letter: type[1], mutable: type[2] };
      value = parts.globals[index] ??= new Global(INTERNAL, state);
    }
    defineProperty(exports, name, { value, enumerable: true });
  }
  return freeze(exports);
}
