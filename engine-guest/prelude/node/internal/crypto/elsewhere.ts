/**
 * The error of what `node:crypto` has not.
 */
import { Error, Symbol, defineProperty } from "../../../primordials.ts";
import { codedError } from "../errors.ts";

/** How modules of ours call constructors that scripts may not. */
export const TOKEN = Symbol("crypto");

export function elsewhere(what: string): any {
  return codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", `crypto.${what} is not available here; use crypto.subtle`);
}

/** A function that always throws that error. */
export function absent(name: string): any {
  const fn = function (): never {
    throw elsewhere(`${name}()`);
  };
  return defineProperty(fn, "name", { value: name, configurable: true });
}
