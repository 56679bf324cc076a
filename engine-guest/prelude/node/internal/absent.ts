/**
 * What modules of Node.js export that a worker has not. Packages import it defensively, so it is there; using it is an
 * error that names what there is instead.
 */
import { Error, Promise, defineProperty, promiseRejected } from "../../primordials.ts";
import { codedError } from "./errors.ts";

/** The error itself. */
export function absentError(what: string, instead: string): any {
  return codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", `${what} is not available in a worker; ${instead}`);
}

/** A function, or a class to extend, that throws it when it is called. */
export function absent(module: string, name: string, instead: string): any {
  const fn = function (): never {
    throw absentError(`${module}.${name}`, instead);
  };
  return defineProperty(fn, "name", { value: name, configurable: true });
}

/** A function that answers it as a rejection. */
export function absentAsync(module: string, name: string, instead: string): any {
  const fn = function (): Promise<never> {
    return promiseRejected(absentError(`${module}.${name}`, instead));
  };
  return defineProperty(fn, "name", { value: name, configurable: true });
}
