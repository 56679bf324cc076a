/**
 * When two values are equal: as `toEqual` has it, as `toStrictEqual` has it, and when one holds the other.
 */

export const ASYMMETRIC = Symbol.for("jest.asymmetricMatcher");

type Pairs = [unknown, unknown][];

export function isAsymmetric(value: any): boolean {
  return typeof value === "object" && value !== null && value.$$typeof === ASYMMETRIC;
}

/** What an asymmetric matcher on either side says; undefined if there is none. */
function byMatcher(a: any, b: any): boolean | undefined {
  const left = isAsymmetric(a);
  const right = isAsymmetric(b);
  if (left === right) return undefined;
  return right ? b.asymmetricMatch(a) : a.asymmetricMatch(b);
}

export function equals(a: unknown, b: unknown, strict: boolean = false): boolean {
  return same(a, b, strict, []);
}

function keysOf(of: any): PropertyKey[] {
  const symbols = Object.getOwnPropertySymbols(of).filter((key) => Object.prototype.propertyIsEnumerable.call(of, key));
  return [...Object.keys(of), ...symbols];
}

function same(a: any, b: any, strict: boolean, open: Pairs): boolean {
  const said = byMatcher(a, b);
  if (said !== undefined) return said;
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const tag = Object.prototype.toString.call(a);
  if (tag !== Object.prototype.toString.call(b)) return false;
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const primitive = sameWrapped(tag, a, b);
  if (primitive !== undefined) return primitive;
  for (const [left, right] of open) {
    if (left === a) return right === b;
    if (right === b) return false;
  }
  open.push([a, b]);
  const result = sameContent(a, b, strict, open);
  open.pop();
  return result;
}

/** Objects that are no more than a value, or that can't be looked into. */
function sameWrapped(tag: string, a: any, b: any): boolean | undefined {
  switch (tag) {
    case "[object Date]": case "[object Number]": case "[object Boolean]": return Object.is(a.valueOf(), b.valueOf());
    case "[object String]": case "[object BigInt]": case "[object Symbol]": return a.valueOf() === b.valueOf();
    case "[object RegExp]": return a.source === b.source && a.flags === b.flags;
    case "[object URL]": case "[object URLSearchParams]": return `${a}` === `${b}`;
    case "[object ArrayBuffer]": return sameBytes(new Uint8Array(a), new Uint8Array(b));
    case "[object Promise]": case "[object WeakMap]": case "[object WeakSet]": case "[object Response]":
    case "[object Request]": case "[object Blob]": case "[object File]": case "[object ReadableStream]": return false;
    default:
      if (!ArrayBuffer.isView(a)) return undefined;
      return sameBytes(
        new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
      );
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function sameContent(a: any, b: any, strict: boolean, open: Pairs): boolean {
  if (a instanceof Error || b instanceof Error) {
    if (!(a instanceof Error && b instanceof Error)) return false;
    if (a.name !== b.name || a.message !== b.message) return false;
    if (!same((a as any).cause, (b as any).cause, strict, open)) return false;
  }
  if (a instanceof Map && b instanceof Map) return sameMaps(a, b, strict, open);
  if (a instanceof Set && b instanceof Set) return sameSets(a, b, strict, open);
  if (a instanceof Headers && b instanceof Headers) return same([...a as any], [...b as any], strict, open);
  if (Array.isArray(a)) {
    if (a.length !== b.length) return false;
    if (strict) for (let at = 0; at < a.length; at++) if (at in a !== at in b) return false;
    for (let at = 0; at < a.length; at++) if (!same(a[at], b[at], strict, open)) return false;
  }
  return sameProperties(a, b, strict, open);
}

function sameProperties(a: any, b: any, strict: boolean, open: Pairs): boolean {
  const index = (key: PropertyKey): boolean => Array.isArray(a) && typeof key === "string" && /^\d+$/.test(key);
  for (const key of keysOf(a)) {
    if (index(key)) continue;
    if (!Object.hasOwn(b, key) && (strict || a[key] !== undefined)) return false;
    if (!same(a[key], b[key], strict, open)) return false;
  }
  for (const key of keysOf(b)) {
    if (index(key) || Object.hasOwn(a, key)) continue;
    if (strict || b[key] !== undefined) {
      // A matcher may be content with what is not there.
      if (!isAsymmetric(b[key]) || strict || !same(undefined, b[key], strict, open)) return false;
    }
  }
  return true;
}

function sameMaps(a: Map<unknown, unknown>, b: Map<unknown, unknown>, strict: boolean, open: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Map(b);
  for (const [key, value] of a) {
    if (rest.has(key) && same(value, rest.get(key), strict, open)) {
      rest.delete(key);
      continue;
    }
    const found = [...rest].find(([other, its]) => same(key, other, strict, open) && same(value, its, strict, open));
    if (found === undefined) return false;
    rest.delete(found[0]);
  }
  return true;
}

function sameSets(a: Set<unknown>, b: Set<unknown>, strict: boolean, open: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Set(b);
  for (const value of a) {
    const found = rest.has(value) ? [value] : [...rest].filter((other) => same(value, other, strict, open)).slice(0, 1);
    if (found.length === 0) return false;
    rest.delete(found[0]);
  }
  return true;
}

/** Whether `actual` has everything that `expected` has. */
export function holds(actual: any, expected: any): boolean {
  return includes(actual, expected, []);
}

function includes(actual: any, expected: any, open: Pairs): boolean {
  const said = byMatcher(actual, expected);
  if (said !== undefined) return said;
  const plain = typeof expected === "object" && expected !== null && typeof actual === "object" && actual !== null;
  if (!plain || expected instanceof Map || expected instanceof Set || expected instanceof Error) return equals(actual, expected);
  if (sameWrapped(Object.prototype.toString.call(expected), expected, expected) !== undefined) return equals(actual, expected);
  if (Array.isArray(expected) !== Array.isArray(actual)) return false;
  if (Array.isArray(expected) && expected.length !== actual.length) return false;
  if (open.some(([left, right]) => left === actual && right === expected)) return true;
  open.push([actual, expected]);
  const result = keysOf(expected).every((key) => key in actual && includes(actual[key], expected[key], open));
  open.pop();
  return result;
}

const PART_DEPTH_MAX = 20;

/** The part of `actual` that `expected` names, for a difference that shows no more. */
export function partOf(actual: any, expected: any, depth: number = 0): unknown {
  const plain = (of: any): boolean =>
    typeof of === "object" && of !== null && (Array.isArray(of) || Object.prototype.toString.call(of) === "[object Object]");
  const whole = depth > PART_DEPTH_MAX || isAsymmetric(expected) || isAsymmetric(actual);
  if (whole || !plain(actual) || !plain(expected)) return actual;
  if (Array.isArray(expected) !== Array.isArray(actual)) return actual;
  if (Array.isArray(actual)) {
    return actual.map((item, at) => (at < expected.length ? partOf(item, expected[at], depth + 1) : item));
  }
  const part: any = Object.create(Object.getPrototypeOf(actual));
  for (const key of keysOf(expected)) if (key in actual) part[key] = partOf(actual[key], expected[key], depth + 1);
  return part;
}
