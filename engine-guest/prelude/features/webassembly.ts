/**
 * `WebAssembly` over modules that a script imports from `.wasm` files. What a module does on its own is the host's; the
 * decision and its figures stand in docs/decisions/0006.
 */
import { WASM_VALIDATE, wasm } from "../native.ts";
import { Object, Symbol, defineProperty, promiseRejected, promiseResolved, promiseThen } from "../primordials.ts";
import { CompileError, LinkError, RuntimeError } from "./webassembly/errors.ts";
import { Global } from "./webassembly/global.ts";
import { Instance, checkImports } from "./webassembly/instance.ts";
import { Memory } from "./webassembly/memory.ts";
import { Module, imported, isModule, sourceBytes } from "./webassembly/module.ts";
import { Table } from "./webassembly/table.ts";

export { imported };

/** Whether the bytes are a module that could be imported. */
function validate(bytes: unknown): boolean {
  return wasm(WASM_VALIDATE, sourceBytes(bytes));
}

function compile(bytes: unknown): Promise<Module> {
  try {
    return promiseResolved(new Module(bytes));
  } catch (error) {
    return promiseRejected(error);
  }
}

/** An instance of a module; of bytes, both. */
function instantiate(source: unknown, imports: unknown = undefined): Promise<unknown> {
  try {
    if (isModule(source)) return promiseResolved(new Instance(source, imports));
    checkImports(imports);
    return promiseThen(compile(source), (module: Module) => ({ module, instance: new Instance(module, imports) }));
  } catch (error) {
    return promiseRejected(error);
  }
}
defineProperty(instantiate, "length", { value: 1 });

export const WebAssembly: any = new Object();
const functions: Record<string, unknown> = { validate, compile, instantiate };
for (const name in functions) {
  defineProperty(WebAssembly, name, { value: functions[name], writable: true, enumerable: true, configurable: true });
}
const classes: Record<string, unknown> = {
  Module, Instance, Memory, Table, Global, CompileError, LinkError, RuntimeError,
};
for (const name in classes) {
  defineProperty(WebAssembly, name, { value: classes[name], writable: true, configurable: true });
}
for (const ctor of [Module, Instance, Memory, Table, Global]) {
  defineProperty(ctor.prototype, Symbol.toStringTag, { value: `WebAssembly.${ctor.name}`, configurable: true });
}
defineProperty(WebAssembly, Symbol.toStringTag, { value: "WebAssembly", configurable: true });
