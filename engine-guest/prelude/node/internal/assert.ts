/**
 * The functions of `node:assert`.
 */
import { isPrototypeOf, objectIs } from "../../library.ts";
import {
  Error, Promise, Symbol, TypeError, apply, defineProperty, isObject, objectKeys, regExpExec,
} from "../../primordials.ts";
import { checkFunction, codedError, invalidArgType, invalidArgValue, missingArgs, received } from "./errors.ts";
import { AssertionError } from "./assertionerror.ts";
import { isDeepEqual } from "./comparisons.ts";
import { inspect } from "./inspect.ts";
import types from "../util/types.ts";

interface Failure {
  actual?: unknown;
  expected?: unknown;
  message?: unknown;
  operator: string;
  stackStartFn: unknown;
}

function raise(failure: Failure): never {
  if (failure.message instanceof Error) throw failure.message;
  throw new AssertionError(failure);
}

function checkValue(fn: any, args: unknown[]): void {
  if (args.length > 0 && args[0]) return;
  let message = args[1];
  let generated = false;
  if (args.length === 0) {
    generated = true;
    message = "No value argument passed to `assert.ok()`";
  } else if (message === undefined || message === null) {
    generated = true;
    message = `${inspect(args[0])} == true`;
  } else if (message instanceof Error) throw message;
  const error = new AssertionError({ actual: args[0], expected: true, message, operator: "==", stackStartFn: fn });
  error.generatedMessage = generated;
  throw error;
}

export function ok(...args: unknown[]): void {
  checkValue(ok, args);
}

export function fail(message?: unknown): never {
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message: message ?? "Failed", operator: "fail", stackStartFn: fail });
  error.generatedMessage = message === undefined;
  throw error;
}

function two(args: ArrayLike<unknown>): void {
  if (args.length < 2) throw missingArgs('"actual" and "expected" arguments');
}

const loose = (a: any, b: any): boolean => a == b || (a !== a && b !== b);

function comparer(operator: string, holds: (a: any, b: any) => boolean): any {
  const check = function (actual: unknown, expected: unknown, message?: unknown): void {
    two(arguments);
    if (!holds(actual, expected)) raise({ actual, expected, message, operator, stackStartFn: check });
  };
  return check;
}

function named(name: string, fn: any): any {
  return defineProperty(fn, "name", { value: name, configurable: true });
}

export const equal = named("equal", comparer("==", loose));
export const notEqual = named("notEqual", comparer("!=", (a, b) => !loose(a, b)));
export const deepEqual = named("deepEqual", comparer("deepEqual", (a, b) => isDeepEqual(a, b, false)));
export const notDeepEqual = named("notDeepEqual", comparer("notDeepEqual", (a, b) => !isDeepEqual(a, b, false)));
export const deepStrictEqual = named("deepStrictEqual", comparer("deepStrictEqual", (a, b) => isDeepEqual(a, b, true)));
export const notDeepStrictEqual = named(
  "notDeepStrictEqual", comparer("notDeepStrictEqual", (a, b) => !isDeepEqual(a, b, true)),
);
export const strictEqual = named("strictEqual", comparer("strictEqual", (a, b) => objectIs(a, b)));
export const notStrictEqual = named("notStrictEqual", comparer("notStrictEqual", (a, b) => !objectIs(a, b)));

export function ifError(value: any): void {
  if (value === null || value === undefined) return;
  const shown = typeof value === "object" && typeof value.message === "string"
    ? (value.message.length === 0 && value.constructor ? value.constructor.name : value.message) : inspect(value);
  const error = new AssertionError({
    actual: value, expected: null, operator: "ifError", message: `ifError got unwanted exception: ${shown}`,
    stackStartFn: ifError,
  });
  error.generatedMessage = true;
  throw error;
}

function matches(text: any, pattern: any, message: unknown, fn: any, wanted: boolean): void {
  if (!types.isRegExp(pattern)) throw invalidArgType("regexp", "an instance of RegExp", pattern);
  if (typeof text === "string" && (regExpExec(pattern, text) !== null) === wanted) return;
  if (message instanceof Error) throw message;
  const given = message === undefined || message === null;
  const generated = typeof text !== "string"
    ? `The "string" argument must be of type string. Received type ${typeof text} (${inspect(text)})`
    : `The input ${wanted ? "did not match" : "was expected to not match"} the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`;
  const error = new AssertionError({
    actual: text, expected: pattern, message: given ? generated : message, operator: fn.name, stackStartFn: fn,
  });
  error.generatedMessage = given;
  throw error;
}

export function match(text: unknown, pattern: unknown, message?: unknown): void {
  matches(text, pattern, message, match, true);
}

export function doesNotMatch(text: unknown, pattern: unknown, message?: unknown): void {
  matches(text, pattern, message, doesNotMatch, false);
}

/** Compares what was thrown with a class, a pattern, a function or an object. */
function checkThrown(actual: any, expected: any, message: any, fn: any): void {
  let generated = false;
  let shown = message;
  let throws = false;
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && actual instanceof expected) return;
    if (isPrototypeOf(Error, expected)) {
      if (!shown) {
        generated = true;
        const got = types.isNativeError(actual) || isObject(actual) ? actual.constructor?.name : inspect(actual, { depth: -1 });
        shown = `The error is expected to be an instance of "${expected.name}". Received "${got}"`;
        if (actual?.message) shown += `\n\nError message:\n\n${actual.message}`;
      }
      throws = true;
    } else if (apply(expected, {}, [actual]) !== true) {
      if (!shown) {
        generated = true;
        const name = expected.name ? `"${expected.name}" ` : "";
        shown = `The ${name}validation function is expected to return "true". Received ${inspect(apply(expected, {}, [actual]))}`;
        if (actual instanceof Error) shown += `\n\nCaught error:\n\n${actual}`;
      }
      throws = true;
    }
  } else if (types.isRegExp(expected)) {
    if (regExpExec(expected, `${actual}`) !== null) return;
    if (!shown) {
      generated = true;
      shown = `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(`${actual}`)}\n`;
    }
    throws = true;
  } else if (typeof actual !== "object" || actual === null) {
    const error = new AssertionError({ actual, expected, message: shown, operator: "deepStrictEqual", stackStartFn: fn });
    error.operator = fn.name;
    throw error;
  } else {
    return checkProperties(actual, expected, message, fn);
  }
  if (!throws) return;
  if (shown instanceof Error) throw shown;
  const error = new AssertionError({ actual, expected, message: shown, operator: fn.name, stackStartFn: fn });
  error.generatedMessage = generated;
  throw error;
}

function checkProperties(actual: any, expected: any, message: any, fn: any): void {
  const keys = objectKeys(expected);
  if (expected instanceof Error) {
    keys[keys.length] = "name";
    keys[keys.length] = "message";
  } else if (keys.length === 0) throw invalidArgValue("error", expected, "may not be an empty object");
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const wanted = expected[key];
    if (typeof actual[key] === "string" && types.isRegExp(wanted) && regExpExec(wanted, actual[key]) !== null) continue;
    if (key in actual && isDeepEqual(actual[key], wanted, true)) continue;
    if (message instanceof Error) throw message;
    const left: any = {};
    const right: any = {};
    for (let k = 0; k < keys.length; k++) {
      if (keys[k]! in actual) left[keys[k]!] = actual[keys[k]!];
      right[keys[k]!] = types.isRegExp(expected[keys[k]!]) && typeof actual[keys[k]!] === "string"
        && regExpExec(expected[keys[k]!], actual[keys[k]!]) !== null ? actual[keys[k]!] : expected[keys[k]!];
    }
    const error = new AssertionError({ actual: left, expected: right, message, operator: "deepStrictEqual", stackStartFn: fn });
    error.actual = actual;
    error.expected = expected;
    error.operator = fn.name;
    throw error;
  }
}

const NOTHING = Symbol("nothing thrown");

function thrownBy(fn: any): any {
  checkFunction(fn, "fn");
  try {
    fn();
  } catch (error) {
    return error;
  }
  return NOTHING;
}

async function rejectionOf(given: any): Promise<any> {
  let promise: any = given;
  if (typeof given === "function") {
    promise = given();
    if (!isThenable(promise)) {
      throw codedError(
        TypeError, "ERR_INVALID_RETURN_VALUE",
        `Expected instance of Promise to be returned from the "promiseFn" function but got ${received(promise)}.`,
      );
    }
  } else if (!isThenable(given)) {
    throw invalidArgType("promiseFn", "of type function or an instance of Promise", given);
  }
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return NOTHING;
}

function isThenable(value: any): boolean {
  return isObject(value) && typeof value.then === "function" && typeof value.catch === "function";
}

function expectError(fn: any, actual: any, args: any[]): void {
  let error = args[0];
  let message = args[1];
  if (typeof error === "string") {
    if (args.length === 2) throw invalidArgType("error", "of type function or an instance of Error, RegExp, or Object", error);
    if (isObject(actual) ? actual.message === error : actual === error) {
      throw codedError(
        TypeError, "ERR_AMBIGUOUS_ARGUMENT",
        `The "error/message" argument is ambiguous. The error ${isObject(actual) ? "message " : ""}"${error}" is identical to the message.`,
      );
    }
    message = error;
    error = undefined;
  } else if (error !== undefined && error !== null && typeof error !== "object" && typeof error !== "function") {
    throw invalidArgType("error", "of type function or an instance of Error, RegExp, or Object", error);
  }
  if (actual === NOTHING) {
    let detail = "";
    if (error?.name) detail += ` (${error.name})`;
    detail += message ? `: ${message}` : ".";
    const kind = fn.name === "rejects" ? "rejection" : "exception";
    raise({ actual: undefined, expected: error, operator: fn.name, message: `Missing expected ${kind}${detail}`, stackStartFn: fn });
  }
  if (error !== undefined && error !== null) checkThrown(actual, error, message, fn);
}

function expectNone(fn: any, actual: any, args: any[]): void {
  if (actual === NOTHING) return;
  let error = args[0];
  let message = args[1];
  if (typeof error === "string") {
    message = error;
    error = undefined;
  }
  if (error && !hasMatched(actual, error)) throw actual;
  const kind = fn.name === "doesNotReject" ? "rejection" : "exception";
  raise({
    actual, expected: error, operator: fn.name, stackStartFn: fn,
    message: `Got unwanted ${kind}${message ? `: ${message}` : "."}\nActual message: "${actual?.message}"`,
  });
}

function hasMatched(actual: any, expected: any): boolean {
  if (typeof expected !== "function") {
    if (types.isRegExp(expected)) return regExpExec(expected, `${actual}`) !== null;
    throw invalidArgType("expected", "of type function or an instance of RegExp", expected);
  }
  if (expected.prototype !== undefined && actual instanceof expected) return true;
  if (isPrototypeOf(Error, expected)) return false;
  return apply(expected, {}, [actual]) === true;
}

export function throws(fn: any, ...args: any[]): void {
  expectError(throws, thrownBy(fn), args);
}

export async function rejects(promise: any, ...args: any[]): Promise<void> {
  expectError(rejects, await rejectionOf(promise), args);
}

export function doesNotThrow(fn: any, ...args: any[]): void {
  expectNone(doesNotThrow, thrownBy(fn), args);
}

export async function doesNotReject(promise: any, ...args: any[]): Promise<void> {
  expectNone(doesNotReject, await rejectionOf(promise), args);
}

export function assert(...args: unknown[]): void {
  checkValue(assert, args);
}

export function strictAssert(...args: unknown[]): void {
  checkValue(strictAssert, args);
}
