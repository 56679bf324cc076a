/**
 * Deep equality, loose and strict, as `assert` and `util` define it.
 */
import { objectIs, propertyIsEnumerable } from "../../library.ts";
import { compareBytes } from "../../native.ts";
import {
  Uint8Array, arraySplice, bytesOf, dateGetTime, getPrototypeOf, hasOwn, isArray, isObject, isView, mapForEach,
  mapSize, objectToString, ownKeys, regExpFlags, regExpSource, setForEach, setSize, typedArrayTag,
} from "../../primordials.ts";
import { isError } from "./inspect.ts";
import types from "../util/types.ts";

interface Compare {
  strict: boolean;
  /** Pairs that are being compared further up. */
  left: object[];
  right: object[];
}

export function isDeepEqual(a: any, b: any, strict: boolean): boolean {
  return equal(a, b, { strict, left: [], right: [] });
}

function equal(a: any, b: any, walk: Compare): boolean {
  if (a === b) return a !== 0 || !walk.strict || objectIs(a, b);
  if (walk.strict) {
    if (typeof a !== "object") return typeof a === "number" && a !== a && b !== b;
    if (typeof b !== "object" || a === null || b === null) return false;
    if (getPrototypeOf(a) !== getPrototypeOf(b)) return false;
  } else {
    if (a === null || typeof a !== "object") {
      return (b === null || typeof b !== "object") && (a == b || (a !== a && b !== b));
    }
    if (b === null || typeof b !== "object") return false;
  }
  if (objectToString(a) !== objectToString(b)) return false;
  if (isArray(a) !== isArray(b)) return false;
  const same = sameContent(a, b, walk);
  if (same !== undefined) return same;
  return within(a, b, walk);
}

/** False where hidden content differs, undefined where properties decide. */
function sameContent(a: any, b: any, walk: Compare): boolean | undefined {
  if (isArray(a)) return a.length === (b as any).length ? undefined : false;
  if (isView(a) && isView(b)) {
    if (typedArrayTag(a) !== typedArrayTag(b)) return false;
    const x = bytesOf(a)!;
    const y = bytesOf(b)!;
    if (!walk.strict && (typedArrayTag(a) === "Float32Array" || typedArrayTag(a) === "Float64Array")) {
      if ((a as any).length !== (b as any).length) return false;
      for (let i = 0; i < (a as any).length; i++) if ((a as any)[i] != (b as any)[i]) return false;
    } else if (compareBytes(x, y) !== 0) return false;
    return undefined;
  }
  if (types.isDate(a)) return types.isDate(b) && dateGetTime(a) === dateGetTime(b) ? undefined : false;
  if (types.isRegExp(a)) {
    const alike = types.isRegExp(b) && regExpSource(a) === regExpSource(b) && regExpFlags(a) === regExpFlags(b)
      && a.lastIndex === b.lastIndex;
    return alike ? undefined : false;
  }
  if (isError(a)) {
    if (!isError(b) || a.message !== b.message || a.name !== b.name) return false;
    if (hasOwn(a, "cause") !== hasOwn(b, "cause") || !equal(a.cause, b.cause, walk)) return false;
    if (hasOwn(a, "errors") !== hasOwn(b, "errors") || !equal(a.errors, b.errors, walk)) return false;
    return undefined;
  }
  if (types.isAnyArrayBuffer(a)) {
    return types.isAnyArrayBuffer(b) && compareBytes(new Uint8Array(a), new Uint8Array(b)) === 0 ? undefined : false;
  }
  if (types.isBoxedPrimitive(a)) {
    if (!types.isBoxedPrimitive(b)) return false;
    return objectIs(a.valueOf(), b.valueOf()) ? undefined : false;
  }
  if (types.isBoxedPrimitive(b) || types.isDate(b) || types.isRegExp(b) || isError(b)) return false;
  if (types.isSet(a)) return types.isSet(b) && setSize(a) === setSize(b) ? undefined : false;
  if (types.isMap(a)) return types.isMap(b) && mapSize(a) === mapSize(b) ? undefined : false;
  if (types.isSet(b) || types.isMap(b)) return false;
  if (types.isWeakMap(a) || types.isWeakSet(a) || types.isPromise(a)) return false;
  return undefined;
}

function keysOf(value: any, strict: boolean): PropertyKey[] {
  const all = ownKeys(value);
  const keys: PropertyKey[] = [];
  const bytes = isView(value);
  for (let i = 0; i < all.length; i++) {
    const key = all[i]!;
    if (typeof key === "symbol" && !strict) continue;
    // Bytes were compared already.
    if (bytes && typeof key === "string" && +key >= 0) continue;
    if (propertyIsEnumerable(value, key)) keys[keys.length] = key;
  }
  return keys;
}

function within(a: any, b: any, walk: Compare): boolean {
  const keys = keysOf(a, walk.strict);
  if (keys.length !== keysOf(b, walk.strict).length) return false;
  for (let i = 0; i < keys.length; i++) if (!propertyIsEnumerable(b, keys[i])) return false;
  for (let i = 0; i < walk.left.length; i++) {
    if (walk.left[i] === a) return walk.right[i] === b;
    if (walk.right[i] === b) return false;
  }
  const at = walk.left.length;
  walk.left[at] = a;
  walk.right[at] = b;
  let same = true;
  if (types.isSet(a)) same = sameSets(a, b, walk);
  else if (types.isMap(a)) same = sameMaps(a, b, walk);
  for (let i = 0; same && i < keys.length; i++) same = equal(a[keys[i]!], b[keys[i]!], walk);
  walk.left.length = at;
  walk.right.length = at;
  return same;
}

function listOf(forEach: (fn: (value: any, key: any) => void) => void): [any, any][] {
  const list: [any, any][] = [];
  forEach((value, key) => {
    list[list.length] = [key, value];
  });
  return list;
}

function sameSets(a: any, b: any, walk: Compare): boolean {
  const rest = listOf((fn) => setForEach(b, fn));
  const mine = listOf((fn) => setForEach(a, fn));
  for (let i = 0; i < mine.length; i++) {
    const value = mine[i]![0];
    let found = -1;
    for (let k = 0; k < rest.length && found < 0; k++) {
      const other = rest[k]![0];
      const exact = value === other || (value !== value && other !== other);
      if (exact || ((isObject(value) || !walk.strict) && equal(value, other, walk))) found = k;
    }
    if (found < 0) return false;
    arraySplice(rest, found, 1);
  }
  return true;
}

function sameMaps(a: any, b: any, walk: Compare): boolean {
  const rest = listOf((fn) => mapForEach(b, fn));
  const mine = listOf((fn) => mapForEach(a, fn));
  for (let i = 0; i < mine.length; i++) {
    const pair = mine[i]!;
    let found = -1;
    for (let k = 0; k < rest.length && found < 0; k++) {
      const other = rest[k]!;
      const exact = pair[0] === other[0] || (pair[0] !== pair[0] && other[0] !== other[0]);
      const keysAgree = exact || ((isObject(pair[0]) || !walk.strict) && equal(pair[0], other[0], walk));
      if (keysAgree && equal(pair[1], other[1], walk)) found = k;
    }
    if (found < 0) return false;
    arraySplice(rest, found, 1);
  }
  return true;
}
