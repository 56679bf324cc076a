/**
 * `WebAssembly.Module`: what a script imports from a `.wasm` file. Its code lies with the host; this is its number, and
 * what it looks like from outside.
 */
import { INTERNAL } from "../../internal.ts";
import { WASM_COMPILE, WASM_DESCRIBE, wasm } from "../../native.ts";
import {
  TypeError, Uint8Array, bytesOf, defineProperty, isObject, toStr, typedArrayBuffer, webClass,
} from "../../primordials.ts";

/** ["function", params, results], ["table", refs, min, max], ["memory", min, max] or ["global", letter, mutable] */
export type Type = any[];

export interface Shape {
  imports: [module: string, name: string, type: Type][];
  exports: [name: string, index: number, type: Type][];
  tables: Type[];
  memories: Type[];
  globals: Type[];
  start: number | null;
  hasInit: boolean;
  sections: any[];
}

export let moduleState: (module: Module) => { index: number; shape: Shape };
export let isModule: (value: unknown) => value is Module;

export class Module {
  #index: number;
  #shape: Shape;

  static {
    moduleState = (module) => ({ index: module.#index, shape: module.#shape });
    isModule = (value): value is Module => isObject(value) && #index in value;
  }

  constructor(bytes: any, index: number = 0) {
    if (bytes !== INTERNAL) index = wasm(WASM_COMPILE, sourceBytes(bytes));
    const parts = wasm(WASM_DESCRIBE, index);
    this.#index = index;
    this.#shape = {
      imports: parts[0], exports: parts[1], tables: parts[2], memories: parts[3], globals: parts[4], start: parts[5],
      hasInit: parts[6], sections: parts[7],
    };
  }

  static exports(module: Module): { name: string; kind: string }[] {
    const { shape } = moduleState(checkModule(module));
    const list: { name: string; kind: string }[] = [];
    for (let i = 0; i < shape.exports.length; i++) {
      const [name, , type] = shape.exports[i]!;
      list[i] = { name, kind: type[0] };
    }
    return list;
  }

  static imports(module: Module): { module: string; name: string; kind: string }[] {
    const { shape } = moduleState(checkModule(module));
    const list: { module: string; name: string; kind: string }[] = [];
    for (let i = 0; i < shape.imports.length; i++) {
      const [from, name, type] = shape.imports[i]!;
      list[i] = { module: from, name, kind: type[0] };
    }
    return list;
  }

  static customSections(module: Module, name: string): ArrayBuffer[] {
    if (arguments.length < 2 || name === undefined) throw new TypeError("the name of the section is missing");
    const { sections } = moduleState(checkModule(module)).shape;
    const wanted = toStr(name);
    const found: ArrayBuffer[] = [];
    for (let i = 0; i + 1 < sections.length; i += 2) {
      if (sections[i] === wanted) found[found.length] = typedArrayBuffer(new Uint8Array(sections[i + 1]));
    }
    return found;
  }
}
webClass(Module, 1);
for (const name of ["exports", "imports", "customSections"]) defineProperty(Module, name, { enumerable: true });

export function checkModule(value: unknown): Module {
  if (!isModule(value)) throw new TypeError("this is no WebAssembly.Module");
  return value;
}

export function sourceBytes(value: unknown): Uint8Array {
  const bytes = bytesOf(value);
  if (bytes === null) throw new TypeError("this is neither an ArrayBuffer nor a view of one");
  return bytes;
}

const modules: Module[] = [];

/** The module that a script imports; always the same object. */
export function imported(index: number): Module {
  return (modules[index] ??= new Module(INTERNAL, index));
}
