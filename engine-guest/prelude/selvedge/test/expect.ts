/**
 * `expect`: a value, modifiers (`not`, `resolves`, `rejects`) and the matchers behind them.
 */
import { setTimeout as realSetTimeout } from "../../timers.ts";
import { diff } from "./diff.ts";
import { ASYMMETRIC, equals } from "./equals.ts";
import { format, short } from "./format.ts";
import { type Matcher, type Verdict, matchers, toThrow } from "./matchers.ts";
import { thrownBy, toMatchInlineSnapshot } from "./snapshot.ts";

export class AssertionError extends Error {
  declare actual: unknown;
  declare expected: unknown;
  /** The difference, ready to print. */
  declare diff: string[] | null;

  constructor(message: string) {
    super(message);
    this.diff = null;
  }
}
Object.defineProperty(AssertionError.prototype, "name", { value: "AssertionError", writable: true, configurable: true });

/** What is counted while a test runs. */
export interface Count {
  made: number;
  expected: number | null;
  some: boolean;
  /** Of `expect.soft`. */
  soft: Error[];
  /** Assertions on promises that nobody may have awaited yet. */
  pending: Set<Promise<unknown>>;
}

export function newCount(): Count {
  return { made: 0, expected: null, some: false, soft: [], pending: new Set() };
}

let count: Count = newCount();

export function startCounting(): Count {
  count = newCount();
  return count;
}

/** What `expect.assertions` and `expect.hasAssertions` have to say at the end of a test. */
export function checkCount(of: Count): void {
  if (of.expected !== null && of.made !== of.expected) {
    throw new AssertionError(`expected number of assertions to be ${of.expected}, but got ${of.made}`);
  }
  if (of.some && of.made === 0) throw new AssertionError("expected any number of assertion, but got none");
}

interface State {
  value: unknown;
  message: string;
  not: boolean;
  promise: "" | "resolves" | "rejects";
  soft: boolean;
  /** The reason of a promise that was rejected, for toThrow. */
  settled: { reason: unknown } | null;
}

/** Matchers of `expect.extend`, in the shape that Jest gave them. */
const extended: Record<string, (...args: any[]) => any> = {};

function errorFor(verdict: Verdict, state: State): AssertionError {
  const not = state.not ? "not " : "";
  const sentence = verdict.message ?? `expected ${short(state.value)} ${not}${verdict.says}`;
  const error = new AssertionError(state.message === "" ? sentence : `${state.message}: ${sentence}`);
  if (verdict.shows) {
    Object.defineProperty(error, "actual", { value: verdict.actual, enumerable: true });
    Object.defineProperty(error, "expected", { value: verdict.expected, enumerable: true });
    if (!state.not) error.diff = verdict.lines ?? diff(verdict.expected, verdict.actual);
  }
  return error;
}

/** Throws, or notes, an error that stands where the matcher was called. */
function judge(verdict: Verdict, state: State, place: { stack?: string }): void {
  if (verdict.pass !== state.not) return;
  const error = errorFor(verdict, state);
  const at = (place.stack ?? "").indexOf("    at ");
  const frames = at < 0 ? "" : place.stack!.slice(at);
  Object.defineProperty(error, "stack", { value: `${error.name}: ${error.message}\n${frames}`, writable: true, configurable: true });
  if (!state.soft) throw error;
  count.soft.push(error);
}

function placeOf(above: unknown): { stack?: string } {
  const place: { stack?: string } = {};
  (Error as any).captureStackTrace(place, above);
  return place;
}

function assertion(state: State): any {
  const made: any = {};
  Object.defineProperty(made, "not", { get: () => assertion({ ...state, not: !state.not }) });
  Object.defineProperty(made, "resolves", { get: () => assertion({ ...state, promise: "resolves" }) });
  Object.defineProperty(made, "rejects", { get: () => assertion({ ...state, promise: "rejects" }) });
  for (const name of Object.keys(matchers)) made[name] = method(name, state, (on, args) => matchers[name]!(on.value, ...args));
  made.toThrow = method("toThrow", state, (on, args) => toThrow(on.value, args[0], on.settled));
  made.toThrowError = made.toThrow;
  made.toMatchInlineSnapshot = method("toMatchInlineSnapshot", state, (on, args, place) =>
    toMatchInlineSnapshot(on.value, args, on.not, place));
  made.toThrowErrorMatchingInlineSnapshot = method("toThrowErrorMatchingInlineSnapshot", state, (on, args, place) =>
    toMatchInlineSnapshot(on.settled === null ? thrownBy(on.value) : on.settled.reason, args, on.not, place));
  for (const name of Object.keys(extended)) made[name] = method(name, state, (on, args) => byExtension(name, on, args));
  for (const name of UNSUPPORTED) made[name] = refusing(`${name}() is not supported: compare with toEqual, or with a file that the test imports`);
  return made;
}

const UNSUPPORTED = ["toMatchSnapshot", "toMatchFileSnapshot", "toThrowErrorMatchingSnapshot"];

function refusing(message: string) {
  return (): never => {
    throw new Error(message);
  };
}

type Check = (state: State, args: unknown[], place: { stack?: string }) => Verdict | Promise<Verdict>;

function method(name: string, state: State, check: Check) {
  return function matcher(...args: unknown[]): unknown {
    count.made++;
    const place = placeOf(matcher);
    if (state.promise !== "") return watched(settled(name, state, check, args, place));
    const verdict = check(state, args, place);
    if (verdict instanceof Promise) return watched(verdict.then((it) => judge(it, state, place)));
    return judge(verdict, state, place);
  };
}

/** A test that forgets to await an assertion still waits for it. */
function watched(promise: Promise<void>): Promise<void> {
  const { pending } = count;
  // A promise of its own, so that nobody's handling of a rejection is taken for that of the test.
  const kept = promise.finally(() => void pending.delete(kept));
  pending.add(kept);
  return kept;
}

async function settled(
  name: string, state: State, check: Check, args: unknown[],
  place: { stack?: string },
): Promise<void> {
  const given = state.value as any;
  const promise = typeof given === "function" && state.promise === "rejects" ? given() : given;
  if (typeof promise?.then !== "function") {
    throw new TypeError(`${state.promise} takes a promise, and got ${short(given)}`);
  }
  let value: unknown;
  let rejected: { reason: unknown } | null = null;
  try {
    value = await promise;
  } catch (reason) {
    rejected = { reason };
  }
  const wrong = (message: string): void => judge({ pass: false, says: "", message }, { ...state, not: false }, place);
  if (state.promise === "resolves") {
    if (rejected !== null) return wrong(`promise rejected with ${short(rejected.reason)} instead of resolving`);
    return judge(await check({ ...state, value, settled: null }, args, place), { ...state, value }, place);
  }
  if (rejected === null) {
    // `expect(p).rejects.not.toThrow()` is content with what does not throw.
    if (state.not && name.startsWith("toThrow")) return;
    return wrong(`promise resolved with ${short(value)} instead of rejecting`);
  }
  const on: State = { ...state, value: rejected.reason, settled: rejected };
  judge(await check(on, args, place), on, place);
}

const utils = {
  stringify: format, printExpected: format, printReceived: format,
  diff: (a: unknown, b: unknown): string => (diff(b, a) ?? []).join("\n"),
  matcherHint: (name: string): string => `expect(received).${name}(expected)`,
};

function byExtension(name: string, state: State, args: unknown[]): Verdict | Promise<Verdict> {
  const context = { isNot: state.not, promise: state.promise, equals, utils, assertionCalls: count.made };
  const made = extended[name]!.call(context, state.value, ...args);
  const read = (result: any): Verdict => {
    const shows = "actual" in result || "expected" in result;
    const message = typeof result.message === "function" ? result.message() : `${result.message ?? name}`;
    return { pass: Boolean(result.pass), says: "", message, expected: result.expected, actual: result.actual, shows };
  };
  return typeof made?.then === "function" ? made.then(read) : read(made);
}

class Asymmetric {
  #matches: (other: unknown) => boolean;
  #text: string;

  constructor(text: string, matches: (other: unknown) => boolean) {
    this.#text = text;
    this.#matches = matches;
  }

  get $$typeof(): symbol {
    return ASYMMETRIC;
  }

  asymmetricMatch(other: unknown): boolean {
    return this.#matches(other);
  }

  toString(): string {
    return this.#text;
  }
}

function isOf(type: any, value: any): boolean {
  const primitives = new Map<unknown, string>([
    [String, "string"], [Number, "number"], [Boolean, "boolean"], [BigInt, "bigint"], [Symbol, "symbol"],
    [Function, "function"],
  ]);
  const name = primitives.get(type);
  if (name !== undefined) return typeof value === name || value instanceof type;
  if (type === Object) return typeof value === "object";
  if (type === Array) return Array.isArray(value);
  return value instanceof type;
}

function asymmetric(not: boolean): any {
  const make = (name: string, sample: unknown, matches: (other: any) => boolean): Asymmetric =>
    new Asymmetric(`${not ? "Not" : ""}${name}${sample === undefined ? "" : `(${short(sample)})`}`, (other) => matches(other) !== not);
  const own: any = {
    objectContaining: (sample: any) => make("ObjectContaining", sample, (other) =>
      typeof other === "object" && other !== null
      && Object.keys(sample).every((key) => key in other && equals(other[key], sample[key]))),
    arrayContaining: (sample: unknown[]) => make("ArrayContaining", sample, (other) =>
      Array.isArray(other) && sample.every((item) => other.some((each) => equals(each, item)))),
    stringContaining: (sample: string) => make("StringContaining", sample, (other) =>
      typeof other === "string" && other.includes(sample)),
    stringMatching: (sample: string | RegExp) => make("StringMatching", sample, (other) =>
      typeof other === "string" && new RegExp(sample).test(other)),
    closeTo: (sample: number, digits: number = 2) => make("CloseTo", sample, (other) =>
      typeof other === "number" && (Object.is(other, sample) || Math.abs(other - sample) < 10 ** -digits / 2)),
  };
  for (const name of Object.keys(extended)) {
    own[name] = (...args: unknown[]) => make(name, args.length === 1 ? args[0] : args, (other) => {
      const result = extended[name]!.call({ isNot: not, promise: "", equals, utils }, other, ...args);
      return Boolean(result.pass);
    });
  }
  return own;
}

function start(value: unknown, message: unknown, soft: boolean): any {
  const text = typeof message === "string" ? message : "";
  return assertion({ value, message: text, not: false, promise: "", soft, settled: null });
}

export const expect: any = (value: unknown, message?: string) => start(value, message, false);
expect.soft = (value: unknown, message?: string) => start(value, message, true);
expect.any = (type: any) => {
  if (typeof type !== "function") throw new TypeError("expect.any() takes a class");
  return new Asymmetric(`Any<${type.name}>`, (other) => isOf(type, other));
};
expect.anything = () => new Asymmetric("Anything", (other) => other !== null && other !== undefined);
Object.assign(expect, asymmetric(false));
Object.defineProperty(expect, "not", { get: () => asymmetric(true) });
expect.assertions = (expected: number): void => void (count.expected = expected);
expect.hasAssertions = (): void => void (count.some = true);
expect.extend = (more: Record<string, Matcher>): void => {
  Object.assign(extended, more);
  Object.assign(expect, asymmetric(false));
};
expect.fail = (message: string = "expect.fail() was called"): never => {
  throw new AssertionError(message);
};
expect.unreachable = (message: string = "expected not to be reached"): never => {
  throw new AssertionError(message);
};
expect.getState = () => ({ assertionCalls: count.made, expectedAssertionsNumber: count.expected });
expect.addEqualityTesters = refusing("expect.addEqualityTesters() is not supported");
expect.addSnapshotSerializer = refusing("snapshots are not supported");
expect.poll = (ask: () => unknown, options: { interval?: number; timeout?: number } = {}) => polled(ask, options);

/** `expect.poll(ask).toBe(…)`: asks again until the matcher passes. */
function polled(ask: () => unknown, { interval = 50, timeout = 1_000 }: { interval?: number; timeout?: number }): any {
  const until = async (attempt: (value: unknown) => unknown): Promise<unknown> => {
    for (let waited = 0; ; waited += interval) {
      try {
        return await attempt(await ask());
      } catch (error) {
        if (waited >= timeout) throw error;
        await new Promise((resolve) => void realSetTimeout(resolve, interval));
      }
    }
  };
  const over = (not: boolean): any => new Proxy({}, {
    get: (_, name) => {
      if (name === "not") return over(!not);
      return (...args: unknown[]) => until((value) => {
        const made = expect(value);
        return (not ? made.not : made)[name](...args);
      });
    },
  });
  return over(false);
}

/** What `assert` of other libraries is used for most: a condition, and a message. */
export function assert(condition: unknown, message: string = "expected the condition to hold"): void {
  count.made++;
  if (!condition) throw new AssertionError(message);
}
assert.equal = (actual: unknown, expected: unknown, message?: string): void => expect(actual, message).toBe(expected);
assert.strictEqual = assert.equal;
assert.deepEqual = (actual: unknown, expected: unknown, message?: string): void => expect(actual, message).toEqual(expected);
assert.isTrue = (value: unknown, message?: string): void => expect(value, message).toBe(true);
assert.isFalse = (value: unknown, message?: string): void => expect(value, message).toBe(false);
assert.throws = (body: () => unknown, expected?: unknown): void => expect(body).toThrow(expected);
assert.fail = expect.fail;

