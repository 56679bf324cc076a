/**
 * The matchers: each says whether a value passes, and what to tell when it does not.
 */
import { diff } from "./diff.ts";
import { equals, holds, isAsymmetric, partOf } from "./equals.ts";
import { functionName, short } from "./format.ts";
import { isMock } from "./mock.ts";

export interface Verdict {
  pass: boolean;
  /** What was expected, without "not": the sentence after "expected …". */
  says: string;
  /** For a difference; left out where it would say no more than the sentence. */
  expected?: unknown;
  actual?: unknown;
  shows?: boolean;
  /** The difference itself, where it is not that of `expected` and `actual`. */
  lines?: string[];
  /** Instead of the sentence made of the value and `says`. */
  message?: string;
}

export type Matcher = (actual: any, ...args: any[]) => Verdict;

const plain = (pass: boolean, says: string): Verdict => ({ pass, says });
const compared = (pass: boolean, says: string, expected: unknown, actual: unknown): Verdict =>
  ({ pass, says, expected, actual, shows: true });

function number(value: unknown, name: string): void {
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`${name}() compares numbers, and got ${short(value)}`);
  }
}

function order(name: string, words: string, holdsFor: (a: any, b: any) => boolean): Matcher {
  return (actual, expected) => {
    number(actual, name);
    number(expected, name);
    return plain(holdsFor(actual, expected), `to be ${words} ${short(expected)}`);
  };
}

function contains(actual: any, item: unknown): boolean {
  if (typeof actual === "string") {
    if (typeof item !== "string") throw new TypeError(`toContain() looks for a string in a string, and got ${short(item)}`);
    return actual.includes(item);
  }
  if (actual === null || actual === undefined || typeof actual[Symbol.iterator] !== "function") {
    throw new TypeError(`toContain() looks into strings, arrays and other iterables, and got ${short(actual)}`);
  }
  if (actual instanceof Set) return actual.has(item);
  for (const each of actual) if (each === item) return true;
  return false;
}

/** The keys of a path: `a.b[0].c`, or an array of them. */
function keysOf(path: any): PropertyKey[] {
  if (Array.isArray(path)) return path;
  if (typeof path !== "string") return [path];
  return path.replace(/\[(\w+)\]/g, ".$1").split(".").filter((key, at, all) => key !== "" || all.length === 1);
}

function lookUp(from: any, path: any): { found: boolean; value: unknown } {
  if (typeof path === "string" && from !== null && from !== undefined && Object.hasOwn(Object(from), path)) {
    return { found: true, value: from[path] };
  }
  let value = from;
  for (const key of keysOf(path)) {
    if (value === null || value === undefined || !(key in Object(value))) return { found: false, value: undefined };
    value = value[key];
  }
  return { found: true, value };
}

const className = (type: any): string => (typeof type === "function" && type.name !== "" ? type.name : short(type));

/** Whether what was thrown is what was meant. */
function thrownMatches(thrown: any, expected: any): boolean {
  const message = typeof thrown === "object" && thrown !== null ? `${thrown.message ?? ""}` : `${thrown}`;
  if (expected === undefined) return true;
  if (typeof expected === "string") return message.includes(expected);
  if (expected instanceof RegExp) return new RegExp(expected.source, expected.flags.replace("g", "")).test(message);
  if (typeof expected === "function") return thrown instanceof expected;
  if (isAsymmetric(expected)) return expected.asymmetricMatch(thrown);
  if (expected instanceof Error) return equals(thrown, expected) || (message === expected.message && !(thrown instanceof Error));
  return holds(thrown, expected);
}

function wordsForThrown(expected: any): string {
  if (expected === undefined) return "to throw an error";
  if (typeof expected === "string") return `to throw an error that includes ${short(expected)}`;
  if (expected instanceof RegExp) return `to throw an error that matches ${short(expected)}`;
  if (typeof expected === "function") return `to throw an error of ${className(expected)}`;
  return `to throw ${short(expected)}`;
}

/** `settled` holds the reason of a promise that was rejected. */
export function toThrow(actual: any, expected: any, settled: { reason: unknown } | null): Verdict {
  let caught = settled;
  if (caught === null) {
    if (typeof actual !== "function") {
      throw new TypeError(`toThrow() calls a function, and got ${short(actual)}; write expect(() => …).toThrow()`);
    }
    try {
      actual();
    } catch (reason) {
      caught = { reason };
    }
  }
  const subject = settled === null ? "function" : "promise";
  if (caught === null) return { pass: false, says: "", message: `expected ${subject} ${wordsForThrown(expected)}, but it did not throw` };
  const { reason } = caught as { reason: any };
  const pass = thrownMatches(reason, expected);
  const got = reason instanceof Error ? `${reason.name}: ${reason.message}` : short(reason);
  const message = `expected ${subject} ${pass ? "not " : ""}${wordsForThrown(expected)}, but got ${got}`;
  const comparable = typeof expected === "string" || expected instanceof Error;
  const shown = expected instanceof Error ? expected.message : expected;
  return { pass, says: "", message, expected: shown, actual: reason?.message ?? reason, shows: comparable };
}

function mockOf(actual: any, name: string): any {
  if (!isMock(actual)) throw new TypeError(`${name}() takes a mock (vi.fn or vi.spyOn), and got ${short(actual)}`);
  return actual.mock;
}

const mockName = (actual: any): string => `"${actual.getMockName()}"`;
const times = (count: number): string => `${count} ${count === 1 ? "time" : "times"}`;

/** Of a mock: its sentence begins with its name. */
function called(actual: any, pass: boolean, says: string, but: string = ""): Verdict {
  return { pass, says, message: `expected ${mockName(actual)} ${pass ? "not " : ""}${says}${but}` };
}

/** Calls of a mock that a difference tells of. */
const CALLS_MAX = 3;

function perCall(calls: unknown[][], expected: unknown[]): string[] {
  const lines: string[] = [];
  calls.slice(0, CALLS_MAX).forEach((call, at) => {
    if (calls.length > 1) lines.push(`@@ call ${at + 1} @@`);
    lines.push(...(diff(expected, call) ?? []));
  });
  if (calls.length > CALLS_MAX) lines.push(`@@ ${calls.length - CALLS_MAX} more calls @@`);
  return lines;
}

function returned(actual: any, name: string): unknown[] {
  return mockOf(actual, name).results.filter((result: any) => result.type === "return").map((result: any) => result.value);
}

export const matchers: Record<string, Matcher> = {
  toBe(actual, expected) {
    const pass = Object.is(actual, expected);
    const deep = !pass && typeof actual === "object" && equals(actual, expected, true);
    const hint = deep ? "; they are equal, but not the same object: use toEqual" : "";
    return compared(pass, `to be ${short(expected)} // Object.is equality${hint}`, expected, actual);
  },
  toEqual: (actual, expected) => compared(equals(actual, expected), `to deeply equal ${short(expected)}`, expected, actual),
  toStrictEqual: (actual, expected) =>
    compared(equals(actual, expected, true), `to strictly equal ${short(expected)}`, expected, actual),
  toMatchObject: (actual, expected) =>
    compared(holds(actual, expected), `to match object ${short(expected)}`, expected, partOf(actual, expected)),
  toBeTruthy: (actual) => plain(Boolean(actual), "to be truthy"),
  toBeFalsy: (actual) => plain(!actual, "to be falsy"),
  toBeNull: (actual) => plain(actual === null, "to be null"),
  toBeUndefined: (actual) => plain(actual === undefined, "to be undefined"),
  toBeDefined: (actual) => plain(actual !== undefined, "to be defined"),
  toBeNullable: (actual) => plain(actual === null || actual === undefined, "to be null or undefined"),
  toBeNaN: (actual) => plain(Number.isNaN(actual), "to be NaN"),
  toBeTypeOf: (actual, type) => compared(typeof actual === type, `to be of type ${short(type)}`, type, typeof actual),
  toBeInstanceOf(actual, type) {
    if (typeof type !== "function") throw new TypeError(`toBeInstanceOf() takes a class, and got ${short(type)}`);
    return plain(actual instanceof type, `to be an instance of ${className(type)}`);
  },
  toBeGreaterThan: order("toBeGreaterThan", "greater than", (a, b) => a > b),
  toBeGreaterThanOrEqual: order("toBeGreaterThanOrEqual", "greater than or equal to", (a, b) => a >= b),
  toBeLessThan: order("toBeLessThan", "less than", (a, b) => a < b),
  toBeLessThanOrEqual: order("toBeLessThanOrEqual", "less than or equal to", (a, b) => a <= b),
  toBeCloseTo(actual, expected, digits = 2) {
    number(actual, "toBeCloseTo");
    number(expected, "toBeCloseTo");
    const within = 10 ** -digits / 2;
    const difference = Math.abs(expected - actual);
    const pass = Object.is(actual, expected) || actual === expected || difference < within;
    return plain(pass, `to be close to ${expected}: the difference is ${difference}, and less than ${within} was expected`);
  },
  toBeOneOf(actual, options) {
    const pass = [...options].some((option: unknown) => equals(actual, option));
    return plain(pass, `to be one of ${short([...options])}`);
  },
  toContain: (actual, item) => plain(contains(actual, item), `to ${typeof actual === "string" ? "contain" : "include"} ${short(item)}`),
  toContainEqual(actual, item) {
    const pass = [...actual].some((each: unknown) => equals(each, item));
    return plain(pass, `to include something equal to ${short(item)}`);
  },
  toHaveLength(actual, length) {
    const has = actual?.length;
    if (typeof has !== "number") throw new TypeError(`toHaveLength() takes what has a length, and got ${short(actual)}`);
    return compared(has === length, `to have a length of ${short(length)} but got ${has}`, length, has);
  },
  toHaveProperty(actual, path, ...value) {
    const { found, value: has } = lookUp(actual, path);
    const name = short(Array.isArray(path) ? path.join(".") : path);
    if (value.length === 0) return plain(found, `to have property ${name}`);
    const pass = found && equals(has, value[0]);
    const verdict = compared(pass, `to have property ${name} with value ${short(value[0])}`, value[0], has);
    return found ? verdict : { ...verdict, shows: false };
  },
  toMatch(actual, pattern) {
    if (typeof actual !== "string") throw new TypeError(`toMatch() takes a string, and got ${short(actual)}`);
    const pass = typeof pattern === "string" ? actual.includes(pattern) : actual.search(pattern) >= 0;
    return { pass, says: `to match ${short(pattern)}`, expected: pattern, actual, shows: typeof pattern === "string" };
  },
  toSatisfy: (actual, predicate) => plain(Boolean(predicate(actual)), `to satisfy ${functionName(predicate)}`),
  toHaveBeenCalled(actual) {
    const { calls } = mockOf(actual, "toHaveBeenCalled");
    return called(actual, calls.length > 0, "to be called at least once", `, and it was called ${times(calls.length)}`);
  },
  toHaveBeenCalledTimes(actual, count) {
    const { calls } = mockOf(actual, "toHaveBeenCalledTimes");
    return called(actual, calls.length === count, `to be called ${times(count)}`, `, and it was called ${times(calls.length)}`);
  },
  toHaveBeenCalledOnce: (actual) => matchers.toHaveBeenCalledTimes!(actual, 1),
  toHaveBeenCalledWith(actual, ...args) {
    const { calls } = mockOf(actual, "toHaveBeenCalledWith");
    const pass = calls.some((call: unknown[]) => equals(call, args));
    const verdict = called(actual, pass, `to be called with ${short(args)}`, `, and it was called ${times(calls.length)}`);
    return { ...verdict, expected: args, actual: calls, shows: calls.length > 0, lines: perCall(calls, args) };
  },
  toHaveBeenCalledExactlyOnceWith(actual, ...args) {
    const { calls } = mockOf(actual, "toHaveBeenCalledExactlyOnceWith");
    const pass = calls.length === 1 && equals(calls[0], args);
    const verdict = called(actual, pass, `to be called once, with ${short(args)}`, `, and it was called ${times(calls.length)}`);
    return { ...verdict, expected: args, actual: calls.length === 1 ? calls[0] : calls, shows: true };
  },
  toHaveBeenLastCalledWith(actual, ...args) {
    const { calls } = mockOf(actual, "toHaveBeenLastCalledWith");
    const last = calls[calls.length - 1];
    const verdict = called(actual, equals(last, args), `to be called last with ${short(args)}`);
    return { ...verdict, expected: args, actual: last, shows: true };
  },
  toHaveBeenNthCalledWith(actual, nth, ...args) {
    const call = mockOf(actual, "toHaveBeenNthCalledWith").calls[nth - 1];
    const verdict = called(actual, equals(call, args), `to be called the ${nth}. time with ${short(args)}`);
    return { ...verdict, expected: args, actual: call, shows: true };
  },
  toHaveReturned: (actual) => called(actual, returned(actual, "toHaveReturned").length > 0, "to return at least once"),
  toHaveReturnedTimes(actual, count) {
    const values = returned(actual, "toHaveReturnedTimes");
    return called(actual, values.length === count, `to return ${times(count)}`, `, and it returned ${times(values.length)}`);
  },
  toHaveReturnedWith(actual, value) {
    const values = returned(actual, "toHaveReturnedWith");
    const verdict = called(actual, values.some((each) => equals(each, value)), `to return ${short(value)}`);
    return { ...verdict, expected: value, actual: values, shows: true };
  },
  toHaveLastReturnedWith(actual, value) {
    const values = returned(actual, "toHaveLastReturnedWith");
    const last = values[values.length - 1];
    const verdict = called(actual, equals(last, value), `to return ${short(value)} last`);
    return { ...verdict, expected: value, actual: last, shows: true };
  },
  toHaveResolvedWith(actual, value) {
    const settled = mockOf(actual, "toHaveResolvedWith").settledResults;
    const values = settled.filter((each: any) => each.type === "fulfilled").map((each: any) => each.value);
    const verdict = called(actual, values.some((each: unknown) => equals(each, value)), `to resolve with ${short(value)}`);
    return { ...verdict, expected: value, actual: values, shows: true };
  },
};

for (const [alias, name] of [
  ["toBeCalled", "toHaveBeenCalled"], ["toBeCalledTimes", "toHaveBeenCalledTimes"],
  ["toBeCalledWith", "toHaveBeenCalledWith"], ["lastCalledWith", "toHaveBeenLastCalledWith"],
  ["nthCalledWith", "toHaveBeenNthCalledWith"], ["toReturn", "toHaveReturned"],
  ["toReturnTimes", "toHaveReturnedTimes"], ["toReturnWith", "toHaveReturnedWith"],
] as const) matchers[alias] = matchers[name]!;
