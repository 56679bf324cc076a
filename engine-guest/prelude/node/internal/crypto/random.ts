/**
 * Random bytes and numbers.
 */
import { isSafeInteger } from "../../../library.ts";
import {
  Uint8Array, bytesOf, isArrayBuffer, isView, min, typedArraySet, typedArraySubarray,
} from "../../../primordials.ts";
import { checkFunction, invalidArgType, outOfRange } from "../errors.ts";
import { crypto } from "../../../crypto.ts";
import { randomBytes as draw } from "../../../random.ts";
import { Buffer, MAX_LENGTH } from "../buffer.ts";
import { nextTick } from "../ticks.ts";

const DRAW_MAX = 65_536;

function fill(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += DRAW_MAX) typedArraySet(bytes, draw(min(DRAW_MAX, bytes.length - at)), at);
}

export function randomBytes(size: any, callback?: any): any {
  if (typeof size !== "number") throw invalidArgType("size", "of type number", size);
  if (!(size >= 0 && size < 2 ** 31)) throw outOfRange("size", ">= 0 && <= 2147483647", size);
  if (callback !== undefined) checkFunction(callback, "callback");
  const buffer = Buffer.alloc(size);
  if (callback === undefined) {
    fill(buffer);
    return buffer;
  }
  fill(buffer);
  nextTick(callback, null, buffer);
}

function rangeIn(buffer: any, offset: any, size: any): Uint8Array {
  const bytes = isView(buffer) || isArrayBuffer(buffer) ? bytesOf(buffer) : null;
  if (bytes === null) throw invalidArgType("buf", "an instance of ArrayBuffer or ArrayBufferView", buffer);
  const width = (isView(buffer) && (buffer as any).BYTES_PER_ELEMENT) || 1;
  const from = (offset ?? 0) * width;
  if (typeof from !== "number") throw invalidArgType("offset", "of type number", offset);
  if (!(from >= 0 && from <= bytes.length)) throw outOfRange("offset", `>= 0 && <= ${bytes.length}`, offset);
  const count = size === undefined ? bytes.length - from : size * width;
  if (!(count >= 0 && count <= MAX_LENGTH)) throw outOfRange("size", `>= 0 && <= ${MAX_LENGTH}`, size);
  if (from + count > bytes.length) throw outOfRange("size + offset", `<= ${bytes.length}`, from + count);
  return typedArraySubarray(bytes, from, from + count);
}

export function randomFillSync(buffer: any, offset?: any, size?: any): any {
  fill(rangeIn(buffer, offset, size));
  return buffer;
}

export function randomFill(buffer: any, offset?: any, size?: any, callback?: any): void {
  if (typeof offset === "function") return randomFill(buffer, undefined, undefined, offset);
  if (typeof size === "function") return randomFill(buffer, offset, undefined, size);
  checkFunction(callback, "callback");
  randomFillSync(buffer, offset, size);
  nextTick(callback, null, buffer);
}

const RANGE_MAX = 2 ** 48 - 1;

export function randomInt(least: any, most?: any, callback?: any): any {
  if (most === undefined || typeof most === "function") return randomInt(0, least, most);
  if (!isSafeInteger(least)) throw invalidArgType("min", "a safe integer", least);
  if (!isSafeInteger(most)) throw invalidArgType("max", "a safe integer", most);
  if (callback !== undefined) checkFunction(callback, "callback");
  if (most <= least) throw outOfRange("max", `greater than the value of "min" (${least})`, most);
  const range = most - least;
  if (range > RANGE_MAX) throw outOfRange("max - min", `<= ${RANGE_MAX}`, range);
  const limit = RANGE_MAX + 1 - ((RANGE_MAX + 1) % range);
  let value: number;
  do {
    const bytes = draw(6);
    value = 0;
    for (let i = 0; i < 6; i++) value = value * 256 + bytes[i]!;
  } while (value >= limit);
  const result = (value % range) + least;
  if (callback === undefined) return result;
  nextTick(callback, null, result);
}

export function randomUUID(_options?: any): string {
  return crypto.randomUUID();
}
