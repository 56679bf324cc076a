/**
 * `util.format`.
 */
import { arrayConcat, parseFloat, parseInt } from "../../library.ts";
import {
  Number, Set, String, Symbol, apply, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isObject, jsonStringify,
  setHas, stringIndexOf, stringSlice,
} from "../../primordials.ts";
import { inspect, numberText } from "./inspect.ts";

const BUILTIN = new Set([
  "Object", "Function", "Array", "Number", "Boolean", "String", "Symbol", "Date", "Promise", "RegExp", "Error",
  "AggregateError", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "ArrayBuffer",
  "Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array", "Int32Array", "Float32Array", "Float64Array",
  "Uint8ClampedArray", "BigUint64Array", "BigInt64Array", "DataView", "Map", "BigInt", "Set", "WeakMap", "WeakSet",
  "WeakRef", "Proxy", "FinalizationRegistry", "SharedArrayBuffer", "Iterator",
]);

/** True where `String(value)` would run code of the value's own class. */
function hasOwnText(value: any): boolean {
  if (typeof value.toString !== "function") return false;
  if (hasOwn(value, "toString") || hasOwn(value, Symbol.toPrimitive)) return true;
  let at = getPrototypeOf(value);
  while (!hasOwn(at, "toString")) at = getPrototypeOf(at);
  const own = getOwnPropertyDescriptor(at, "constructor");
  return own === undefined || typeof own.value !== "function" || !setHas(BUILTIN, own.value.name);
}

function asText(value: any, options: any): string {
  if (typeof value === "number") return numberText(value, false);
  if (typeof value === "bigint") return numberText(value, false);
  if (typeof value !== "object" || value === null || hasOwnText(value)) return String(value);
  return inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
}

function asNumber(value: any, read: (text: any) => number): string {
  if (typeof value === "symbol") return "NaN";
  return numberText(read(value), false);
}

function asJson(value: any): string {
  try {
    return `${jsonStringify(value)}`;
  } catch (error) {
    if (stringIndexOf(`${(error as any)?.message}`, "circular") >= 0) return "[Circular]";
    throw error;
  }
}

function directive(kind: string, value: any, options: any): string | null {
  switch (kind) {
    case "s": return asText(value, options);
    case "j": return asJson(value);
    case "d":
      if (typeof value === "bigint") return `${value}n`;
      return isObject(value) ? numberText(Number(value), false) : asNumber(value, Number as any);
    case "i": return typeof value === "bigint" ? `${value}n` : asNumber(value, parseInt as any);
    case "f": return asNumber(value, parseFloat);
    case "O": return inspect(value, options);
    case "o": return inspect(value, { ...options, showHidden: true, showProxy: true, depth: 4 });
    case "c": return "";
    default: return null;
  }
}

export function formatWithOptions(options: any, ...args: any[]): string {
  const first = args[0];
  let text = "";
  let next = 0;
  if (args.length === 0) return "";
  if (typeof first === "string") {
    if (args.length === 1) return first;
    let from = 0;
    next = 1;
    for (let i = 0; i < first.length - 1; i++) {
      if (first[i] !== "%") continue;
      const kind = first[i + 1]!;
      if (kind === "%") {
        text += stringSlice(first, from, i + 1);
        from = ++i + 1;
        continue;
      }
      if (next >= args.length) continue;
      const shown = directive(kind, args[next], options);
      if (shown === null) continue;
      next++;
      text += stringSlice(first, from, i) + shown;
      from = ++i + 1;
    }
    text += stringSlice(first, from);
  }
  for (; next < args.length; next++) {
    const value = args[next];
    text += (next === 0 ? "" : " ") + (typeof value === "string" ? value : inspect(value, { ...options, compact: 3, colors: !!options?.colors, depth: options?.depth ?? 2 }));
  }
  return text;
}

export function format(...args: any[]): string {
  return apply(formatWithOptions, undefined, arrayConcat([undefined], args));
}
