/**
 * Values at the border between JavaScript and WebAssembly, and the functions that instances export.
 */
import { wasmFunction } from "../../native.ts";
import {
  BigInt, TypeError, WeakMap, defineProperty, floor, isObject, toStr, weakMapGet, weakMapSet,
} from "../../primordials.ts";

/** The letter of a type by its name. */
const LETTERS: Record<string, string> = {
  __proto__: null as any,
  i32: "i", i64: "I", f32: "f", f64: "d", v128: "v", externref: "e", anyfunc: "r", funcref: "r",
};

export function letterOf(name: unknown): string {
  const letter = LETTERS[toStr(name)];
  if (letter === undefined) throw new TypeError(`"${toStr(name)}" is not a WebAssembly value type`);
  return letter;
}

const { asIntN } = BigInt;

/** A value as the host reads it: an i64 as text. */
export function toWire(letter: string, value: any): number | string {
  switch (letter) {
    case "i": return value | 0;
    case "I": return `${asIntN(64, value)}`;
    case "f":
    case "d": return +value;
    default: throw new TypeError("a value of this WebAssembly type can't cross to or from JavaScript");
  }
}

export function fromWire(letter: string, value: any): unknown {
  if (letter === "v" || letter === "r") {
    throw new TypeError("a value of this WebAssembly type can't cross to or from JavaScript");
  }
  return letter === "I" ? BigInt(value) : value;
}

/** `[EnforceRange] unsigned long`. */
export function toIndex(value: unknown, what: string): number {
  const number = +(value as number);
  const whole = number < 0 ? -floor(-number) : floor(number);
  if (!(whole >= 0 && whole <= 0xffffffff)) throw new TypeError(`${what} must be a whole number from 0 to 4294967295`);
  return whole;
}

/** A member of a descriptor of limits; `undefined` if it is not there. */
export function limit(descriptor: any, name: string): number | undefined {
  const value = descriptor[name];
  return value === undefined ? undefined : toIndex(value, name);
}

/** How much there is at the least; `minimum` is a proposal's name for it. */
export function initialOf(descriptor: any, what: string): number {
  const initial = limit(descriptor, "initial");
  const minimum = limit(descriptor, "minimum");
  if (initial !== undefined && minimum !== undefined) throw new TypeError(`${what} has both initial and minimum`);
  const least = initial ?? minimum;
  if (least === undefined) throw new TypeError(`${what} has no initial`);
  return least;
}

export function descriptorOf(value: unknown, what: string): any {
  if (!isObject(value)) throw new TypeError(`${what} must be an object`);
  return value;
}

export interface Exported {
  instance: number;
  index: number;
  params: string;
  results: string;
}

/** What an exported function is; of every one that a script has. */
const known = new WeakMap<object, Exported>();
/** By instance and index: a function is the same object wherever it comes from. */
const functions: any[][] = [];

export function exportedOf(value: unknown): Exported | undefined {
  return isObject(value) ? weakMapGet(known, value) : undefined;
}

export function exportedFunction(instance: number, index: number, params: string, results: string): any {
  const own = (functions[instance] ??= []);
  if (own[index] !== undefined) return own[index];
  const made = wasmFunction(instance, index, params, results);
  defineProperty(made, "name", { value: `${index}`, configurable: true });
  weakMapSet(known, made, { instance, index, params, results });
  own[index] = made;
  return made;
}

/** A function that an instance imports and exports again stays what it is. */
export function reexport(instance: number, index: number, exported: unknown): void {
  (functions[instance] ??= [])[index] = exported;
}
