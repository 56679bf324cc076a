/**
 * Arguments as WebIDL reads them: which members of a dictionary, converted how, and what is refused.
 */
import { RangeError, TypeError, floor, freeze, isObject, objectCreate } from "./primordials.ts";

const NOTHING = freeze(objectCreate(null));

/** A dictionary argument: an object, or nothing. */
export function dictionary(value: any, what: string): any {
  if (value === undefined || value === null) return NOTHING;
  if (!isObject(value)) throw new TypeError(`${what} must be an object`);
  return value;
}

/** An underlying source or sink, or a transformer: an object, or left out. */
export function underlying(value: any, what: string): any {
  if (value === undefined) return NOTHING;
  if (!isObject(value)) throw new TypeError(`${what} must be an object`);
  return value;
}

/** A member that is a function, if it is there. */
export function method(from: any, name: string): any {
  const value = from[name];
  if (value !== undefined && typeof value !== "function") throw new TypeError(`${name} must be a function`);
  return value;
}

/** `[EnforceRange] unsigned long long`. */
export function enforceRange(value: unknown, what: string): number {
  const number = +(value as number);
  const whole = number < 0 ? -floor(-number) : floor(number);
  if (!(whole >= 0 && whole <= 0x1fffffffffffff)) throw new TypeError(`${what} must be a whole number from 0 up`);
  return whole;
}

/** `sequence<any>`: what any iterable object gives. */
export function readSequence(value: any, what: string): unknown[] {
  if (!isObject(value)) throw new TypeError(`${what} must be a list`);
  const items: unknown[] = [];
  for (const item of value) items[items.length] = item;
  return items;
}

export interface Strategy {
  highWaterMark: number | undefined;
  size: ((chunk: any) => number) | undefined;
}

/** Reads a `QueuingStrategy`. */
export function readStrategy(init: any): Strategy {
  const from = dictionary(init, "a strategy");
  const mark = from.highWaterMark;
  const highWaterMark = mark === undefined ? undefined : +mark;
  return { highWaterMark, size: method(from, "size") };
}

/** The strategy's mark, or what stands for it. */
export function markOf(strategy: Strategy, otherwise: number): number {
  const mark = strategy.highWaterMark;
  if (mark === undefined) return otherwise;
  if (!(mark >= 0)) throw new RangeError("a strategy's highWaterMark must be a number from 0 up");
  return mark;
}

/** The strategy's measure of a chunk, as the streams call it; `null` where each counts one. */
export function sizeOf(strategy: Strategy): ((chunk: any) => number) | null {
  const { size } = strategy;
  // Called without the strategy as its `this`.
  return size === undefined ? null : (chunk) => size(chunk);
}
