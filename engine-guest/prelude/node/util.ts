/**
 * `node:util`.
 */
import { objectAssign } from "../library.ts";
import {
  Error, Map, Promise, Set, apply, arrayJoin, construct, defineProperty, isArray, isObject, mapSet, objectKeys,
  setAdd, setHas, setPrototypeOf, stringWellFormed,
} from "../primordials.ts";
import {
  checkFunction, checkInteger, checkObject, checkSignal, checkString, invalidArgType, invalidArgValue,
} from "./internal/errors.ts";
import { console } from "../console.ts";
import { TextDecoder, TextEncoder } from "../encoding.ts";
import { Buffer } from "./internal/buffer.ts";
import { isDeepEqual } from "./internal/comparisons.ts";
import { format, formatWithOptions } from "./internal/format.ts";
import { colors, customInspect, defaultOptions, inspect as inspectValue, styles } from "./internal/inspect.ts";
import { stripControl } from "./internal/inspectlayout.ts";
import { parseArgs } from "./internal/parseargs.ts";
import { callbackify, promisify } from "./internal/promisify.ts";
import { logWarning } from "./internal/warning.ts";
import types from "./util/types.ts";

export const inspect: any = inspectValue;
inspect.custom = customInspect;
inspect.colors = colors;
inspect.styles = styles;
defineProperty(inspect, "defaultOptions", {
  get: () => defaultOptions,
  set: (options: any) => {
    checkObject(options, "options");
    objectAssign(defaultOptions, options);
  },
});

export function inherits(constructor: any, parent: any): void {
  checkFunction(constructor, "ctor");
  checkFunction(parent, "superCtor");
  if (parent.prototype === undefined) throw invalidArgType("superCtor.prototype", "of type object", parent.prototype);
  defineProperty(constructor, "super_", { value: parent, writable: true, configurable: true });
  setPrototypeOf(constructor.prototype, parent.prototype);
}

const warned = new Set<string>();

export function deprecate(fn: any, message: string, code?: string): any {
  checkFunction(fn, "fn");
  if (code !== undefined) checkString(code, "code");
  let told = false;
  const deprecated: any = function (this: any, ...args: any[]): any {
    if (!told) {
      told = true;
      if (code === undefined || !setHas(warned, code)) {
        if (code !== undefined) setAdd(warned, code);
        logWarning("DeprecationWarning", message, code);
      }
    }
    return new.target ? construct(fn, args, new.target) : apply(fn, this, args);
  };
  setPrototypeOf(deprecated, fn);
  if (fn.prototype) deprecated.prototype = fn.prototype;
  defineProperty(deprecated, "length", { value: fn.length, configurable: true });
  return deprecated;
}

/** `NODE_DEBUG` is read by nobody here, so debug logs are off. */
export function debuglog(_section: string, _callback?: any): any {
  const log: any = () => {};
  defineProperty(log, "enabled", { get: () => false, configurable: true, enumerable: true });
  return log;
}
export const debug = debuglog;

export function isDeepStrictEqual(a: unknown, b: unknown): boolean {
  return isDeepEqual(a, b, true);
}

export function stripVTControlCharacters(text: any): string {
  checkString(text, "str");
  return stripControl(text);
}

export function styleText(format: any, text: any, _options?: any): string {
  checkString(text, "text");
  const names: string[] = isArray(format) ? format : [format];
  let before = "";
  let after = "";
  for (let i = 0; i < names.length; i++) {
    if (names[i] === "none") continue;
    const codes = colors[names[i]!];
    if (codes === undefined) throw invalidArgValue("format", names[i], `must be one of: ${arrayJoin(objectKeys(colors), ", ")}`);
    before += `\u001b[${codes[0]}m`;
    after = `\u001b[${codes[1]}m${after}`;
  }
  return before + text + after;
}

export function toUSVString(text: any): string {
  return stringWellFormed(`${text}`);
}

export async function aborted(signal: any, resource: any): Promise<void> {
  checkSignal(signal, "signal");
  if (signal === undefined) throw invalidArgType("signal", "an instance of AbortSignal", signal);
  checkObject(resource, "resource");
  if (signal.aborted) return undefined;
  return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

export function log(...args: any[]): void {
  console.log(apply(format, undefined, args));
}

const SYSTEM_ERRORS: Record<number, [string, string]> = {
  [-1]: ["EPERM", "operation not permitted"], [-2]: ["ENOENT", "no such file or directory"],
  [-13]: ["EACCES", "permission denied"], [-17]: ["EEXIST", "file already exists"],
  [-22]: ["EINVAL", "invalid argument"], [-32]: ["EPIPE", "broken pipe"], [-98]: ["EADDRINUSE", "address already in use"],
  [-104]: ["ECONNRESET", "connection reset by peer"], [-110]: ["ETIMEDOUT", "connection timed out"],
  [-111]: ["ECONNREFUSED", "connection refused"],
};

export function getSystemErrorName(number: any): string {
  checkInteger(number, "err");
  return SYSTEM_ERRORS[number]?.[0] ?? `Unknown system error ${number}`;
}

export function getSystemErrorMap(): Map<number, [string, string]> {
  const map = new Map<number, [string, string]>();
  const keys = objectKeys(SYSTEM_ERRORS);
  for (let i = 0; i < keys.length; i++) mapSet(map, +keys[i]!, SYSTEM_ERRORS[+keys[i]!]);
  return map;
}

export function isBuffer(value: any): boolean {
  return Buffer.isBuffer(value);
}

export function _extend(target: any, source: any): any {
  if (!isObject(source)) return target;
  return objectAssign(target, source);
}

export const isBoolean = (value: any): boolean => typeof value === "boolean";
export const isNull = (value: any): boolean => value === null;
export const isNullOrUndefined = (value: any): boolean => value === null || value === undefined;
export const isNumber = (value: any): boolean => typeof value === "number";
export const isString = (value: any): boolean => typeof value === "string";
export const isSymbol = (value: any): boolean => typeof value === "symbol";
export const isUndefined = (value: any): boolean => value === undefined;
export const isRegExp = types.isRegExp;
export const isDate = types.isDate;
export const isError = (value: any): boolean => value instanceof Error;
export const isFunction = (value: any): boolean => typeof value === "function";
export const isPrimitive = (value: any): boolean => !isObject(value);
const isArrayValue = (value: any): boolean => isArray(value);
const isObjectValue = (value: any): boolean => value !== null && typeof value === "object";
export { isArrayValue as isArray, isObjectValue as isObject };

export {
  TextDecoder, TextEncoder, callbackify, format, formatWithOptions, parseArgs, promisify, types,
};
export default {
  TextDecoder, TextEncoder, callbackify, format, formatWithOptions, parseArgs, promisify, types, inspect, inherits,
  deprecate, debuglog, debug, isDeepStrictEqual, stripVTControlCharacters, styleText, toUSVString, aborted, log,
  getSystemErrorName, getSystemErrorMap, _extend, isBuffer, isBoolean, isNull, isNullOrUndefined, isNumber, isString, isSymbol,
  isUndefined, isRegExp, isDate, isError, isFunction, isPrimitive, isArray: isArrayValue, isObject: isObjectValue,
};
