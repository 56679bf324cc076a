/**
 * Callbacks to promises and back.
 */
import { getOwnPropertyDescriptors, symbolFor } from "../../library.ts";
import {
  Error, Promise, Symbol, apply, defineProperties, defineProperty, getPrototypeOf, promiseResolved, promiseThen,
  setPrototypeOf,
} from "../../primordials.ts";
import { checkFunction, codedError } from "./errors.ts";
import { setTimeout } from "../../timers.ts";
import timers from "../timers/promises.ts";
import { setImmediate } from "./immediate.ts";

export const customPromisify = symbolFor("nodejs.util.promisify.custom");
/** Names of a callback's further values, for functions that give an object of them. */
export const customPromisifyArgs = Symbol("customPromisifyArgs");

export function promisify(original: any): any {
  checkFunction(original, "original");
  const custom = original[customPromisify];
  if (custom !== undefined && custom !== null && custom !== false) {
    checkFunction(custom, "util.promisify.custom");
    return defineProperty(custom, customPromisify, { value: custom, configurable: true });
  }
  const names: string[] | undefined = original[customPromisifyArgs];
  function promised(this: any, ...args: any[]): Promise<any> {
    return new Promise((resolve, reject) => {
      args[args.length] = (error: unknown, ...values: any[]): void => {
        if (error) return reject(error);
        if (names === undefined || values.length < 2) return resolve(values[0]);
        const named: any = {};
        for (let i = 0; i < names.length; i++) named[names[i]!] = values[i];
        resolve(named);
      };
      apply(original, this, args);
    });
  }
  setPrototypeOf(promised, getPrototypeOf(original));
  defineProperty(promised, customPromisify, { value: promised, configurable: true });
  return defineProperties(promised, getOwnPropertyDescriptors(original));
}
(promisify as any).custom = customPromisify;
// Their callbacks come first, so they say themselves what they are as promises.
defineProperty(setTimeout, customPromisify, { value: timers.setTimeout, configurable: true });
defineProperty(setImmediate, customPromisify, { value: timers.setImmediate, configurable: true });

/** Calls back outside of the promise, so that what the callback throws is no rejection of its own. */
function later(callback: any, args: unknown[]): void {
  promiseThen(promiseResolved(undefined), () => apply(callback, undefined, args));
}

export function callbackify(original: any): any {
  checkFunction(original, "original");
  function called(this: any, ...args: any[]): void {
    const callback = args[args.length - 1];
    checkFunction(callback, "last argument");
    args.length--;
    promiseThen(
      promiseResolved(apply(original, this, args)),
      (value: unknown) => later(callback, [null, value]),
      (reason: any) => {
        let error = reason;
        if (!reason) {
          error = codedError(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
          error.reason = reason;
        }
        later(callback, [error]);
      },
    );
  }
  const descriptors: any = getOwnPropertyDescriptors(original);
  if (typeof descriptors.length?.value === "number") descriptors.length.value++;
  if (typeof descriptors.name?.value === "string") descriptors.name.value += "Callbackified";
  delete descriptors.prototype;
  return defineProperties(called, descriptors);
}
