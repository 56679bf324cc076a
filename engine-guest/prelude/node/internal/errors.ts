/**
 * Errors as Node.js makes them: a `code`, and messages in its words, because packages compare both.
 */
import { abs } from "../../library.ts";
import {
  Error, RangeError, String, TypeError, defineProperty, isArray, isInteger, isObject, jsonStringify, stringIndexOf,
  stringSlice, symbolToString,
} from "../../primordials.ts";

/** An error of class `Base` with a code. */
export function codedError(Base: any, code: string, message: string): any {
  const error = new Base(message);
  error.code = code;
  return error;
}

/** What was received, in a few words. */
export function received(value: any): string {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === "function") return value.name ? `Received function ${value.name}` : "Received function ";
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? `Received an instance of ${name}` : "Received [Object: null prototype] {}";
  }
  if (typeof value === "symbol") return `Received type symbol (${symbolToString(value)})`;
  let shown = typeof value === "string" ? quoted(value) : typeof value === "bigint" ? `${value}n` : `${value}`;
  return `Received type ${typeof value} (${shown})`;
}

function quoted(text: string): string {
  const shown = text.length > 28 ? `${stringSlice(text, 0, 25)}...` : text;
  return stringIndexOf(shown, "'") < 0 ? `'${shown}'` : jsonStringify(shown)!;
}

function subject(name: string): string {
  return stringIndexOf(name, ".") >= 0 ? `"${name}" property` : `"${name}" argument`;
}

/** `expected` is the end of the sentence: "of type string", "an instance of Buffer". */
export function invalidArgType(name: string, expected: string, actual: unknown): any {
  const what = stringIndexOf(name, " ") >= 0 ? name : subject(name);
  return codedError(TypeError, "ERR_INVALID_ARG_TYPE", `The ${what} must be ${expected}. ${received(actual)}`);
}

export function invalidArgValue(name: string, value: unknown, reason: string = "is invalid"): any {
  let shown: string;
  try {
    shown = typeof value === "string" ? quoted(stringSlice(jsonStringify(value)!, 1, -1)) : isObject(value) ? jsonStringify(value)! : String(value);
  } catch {
    shown = "an object";
  }
  const kind = stringIndexOf(name, ".") >= 0 ? "property" : "argument";
  return codedError(TypeError, "ERR_INVALID_ARG_VALUE", `The ${kind} '${name}' ${reason}. Received ${shown}`);
}

/** A number with `_` between its thousands, as Node writes numbers that are out of range. */
function grouped(value: number | bigint): string {
  let text = `${value}`;
  const integer = typeof value === "bigint" ? value > 2n ** 32n || value < -(2n ** 32n) : isInteger(value) && abs(value) > 2 ** 32;
  if (integer) {
    let out = "";
    const start = text[0] === "-" ? 1 : 0;
    let at = text.length;
    for (; at >= start + 4; at -= 3) out = `_${stringSlice(text, at - 3, at)}${out}`;
    text = stringSlice(text, 0, at) + out;
  }
  return typeof value === "bigint" ? `${text}n` : text;
}

export function outOfRange(name: string, range: string, actual: unknown): any {
  const shown = typeof actual === "number" || typeof actual === "bigint" ? grouped(actual)
    : typeof actual === "string" ? quoted(actual) : String(actual);
  return codedError(
    RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`,
  );
}

export function missingArgs(names: string): any {
  return codedError(TypeError, "ERR_MISSING_ARGS", `The ${names} must be specified`);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== "function") throw invalidArgType(name, "of type function", value);
}

export function checkString(value: unknown, name: string): void {
  if (typeof value !== "string") throw invalidArgType(name, "of type string", value);
}

export function checkObject(value: unknown, name: string): void {
  if (typeof value !== "object" || value === null || isArray(value)) throw invalidArgType(name, "of type object", value);
}

/** An integer within bounds. */
export function checkInteger(value: any, name: string, least: number = -(2 ** 53 - 1), most: number = 2 ** 53 - 1): void {
  if (typeof value !== "number") throw invalidArgType(name, "of type number", value);
  if (!isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
}

export function checkSignal(signal: unknown, name: string): void {
  if (signal !== undefined && !(isObject(signal) && "aborted" in signal)) {
    throw invalidArgType(name, "an instance of AbortSignal", signal);
  }
}

/** Node's own AbortError, which has a code where the web's has a number. */
export function nodeAbortError(cause?: unknown): any {
  const error: any = codedError(Error, "ABORT_ERR", "The operation was aborted");
  defineProperty(error, "name", { value: "AbortError", writable: true, configurable: true });
  if (cause !== undefined) defineProperty(error, "cause", { value: cause, writable: true, configurable: true });
  return error;
}
