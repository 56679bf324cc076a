/**
 * `CompileError`, `LinkError` and `RuntimeError` (WebAssembly JavaScript Interface, section 5.9).
 */
import { registerError } from "../../errors.ts";
import { Error, construct, defineProperty, objectCreate, setPrototypeOf } from "../../primordials.ts";

/** A class in the manner of `TypeError`: it can be called without `new`. */
function errorClass(name: string): any {
  const ctor: any = function (this: unknown, message: unknown, options: unknown): unknown {
    return construct(Error, message === undefined ? [] : [message, options], new.target ?? ctor);
  };
  setPrototypeOf(ctor, Error);
  defineProperty(ctor, "name", { value: name });
  defineProperty(ctor, "length", { value: 1 });
  const prototype = objectCreate(Error.prototype);
  for (const [key, value] of [["constructor", ctor], ["name", name], ["message", ""]] as [string, unknown][]) {
    defineProperty(prototype, key, { value, writable: true, configurable: true });
  }
  defineProperty(ctor, "prototype", { value: prototype, writable: false });
  registerError(name, ctor);
  return ctor;
}

export const CompileError = errorClass("CompileError");
export const LinkError = errorClass("LinkError");
export const RuntimeError = errorClass("RuntimeError");
