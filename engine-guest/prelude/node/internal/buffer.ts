/**
 * `Buffer`: making one, text, comparing, searching, filling. Numbers are in buffernumbers.ts.
 *
 * It is a function over a hidden class, as in Node.js: `Buffer(…)` without `new` still works, and the species of a
 * `Uint8Array` method is the hidden class, whose constructor is that of `Uint8Array`.
 */
import {
  SharedArrayBuffer, bytesToHex, symbolFor, typedArrayFill, typedArrayIndexOf, typedArrayLastIndexOf,
  typedArraySlice,
} from "../../library.ts";
import { compareBytes, findBytes, utf8Decode } from "../../native.ts";
import {
  RangeError, Symbol, TypeError, Uint8Array, bytesOf, defineProperty, isArray, isArrayBuffer, isObject,
  isUint8Array, isView, min, objectKeys, setPrototypeOf, trunc, typedArrayBuffer, typedArrayByteLength,
  typedArrayByteOffset, typedArrayLength, typedArraySet, typedArraySubarray, typedArrayTag,
} from "../../primordials.ts";
import { checkInteger, codedError, invalidArgType, invalidArgValue, outOfRange, received } from "./errors.ts";
import { byteLengthOfText, bytesOfText, encodingOf, knownEncoding, textOf, type Encoding } from "./encodings.ts";

export const MAX_LENGTH = 2 ** 32;
export const STRING_LENGTH_MAX = 2 ** 30 - 2;

class FastBuffer extends Uint8Array {}

/** Gives a fresh array of bytes Node's prototype. */
export function asBuffer(bytes: Uint8Array): any {
  return setPrototypeOf(bytes, FastBuffer.prototype);
}

/** A `Buffer` over the same memory. */
export function bufferOver(bytes: Uint8Array): any {
  return new FastBuffer(typedArrayBuffer(bytes), typedArrayByteOffset(bytes), typedArrayByteLength(bytes));
}

export function Buffer(value: any, encodingOrOffset?: any, length?: any): any {
  if (typeof value !== "number") return Buffer.from(value, encodingOrOffset, length);
  if (typeof encodingOrOffset === "string") throw invalidArgType("string", "of type string", value);
  return Buffer.alloc(value);
}
setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
defineProperty(FastBuffer.prototype, "constructor", { value: Buffer, writable: true, configurable: true });
defineProperty(Buffer, Symbol.species, { configurable: true, get: () => FastBuffer });
Buffer.poolSize = 8192;

function checkSize(size: any): void {
  if (typeof size !== "number") throw invalidArgType("size", "of type number", size);
  if (!(size >= 0 && size <= MAX_LENGTH)) throw outOfRange("size", `>= 0 && <= ${MAX_LENGTH}`, size);
}

Buffer.alloc = function alloc(size: any, fill?: any, encoding?: any): any {
  checkSize(size);
  const buffer: any = new FastBuffer(trunc(size));
  if (fill !== undefined && fill !== 0 && size > 0) buffer.fill(fill, encoding);
  return buffer;
};
Buffer.allocUnsafe = function allocUnsafe(size: any): any {
  checkSize(size);
  return new FastBuffer(trunc(size));
};
Buffer.allocUnsafeSlow = function allocUnsafeSlow(size: any): any {
  checkSize(size);
  return new FastBuffer(trunc(size));
};

const FROM = "of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object";

function fromArrayBuffer(buffer: any, byteOffset: any, length: any): any {
  let offset = 0;
  if (byteOffset !== undefined) {
    offset = +byteOffset;
    if (offset !== offset) offset = 0;
  }
  const most = buffer.byteLength - offset;
  if (most < 0) throw codedError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"offset" is outside of buffer bounds');
  let count = most;
  if (length !== undefined) {
    count = +length;
    if (!(count > 0)) count = 0;
    else if (count > most) throw codedError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"length" is outside of buffer bounds');
  }
  return new FastBuffer(buffer, offset, count);
}

function fromList(list: any): any {
  const length = list.length > 0 ? list.length : 0;
  const buffer: any = new FastBuffer(length);
  for (let i = 0; i < length; i++) buffer[i] = list[i];
  return buffer;
}

function isAnyArrayBuffer(value: any): boolean {
  return isArrayBuffer(value) || (SharedArrayBuffer !== undefined && value instanceof SharedArrayBuffer);
}

function fromObject(value: any): any {
  if (isView(value) && typedArrayTag(value) !== undefined) {
    if (isUint8Array(value)) return asBuffer(new Uint8Array(value));
    return fromList(value);
  }
  if (value.length !== undefined) return typeof value.length === "number" ? fromList(value) : new FastBuffer(0);
  if (value.type === "Buffer" && isArray(value.data)) return fromList(value.data);
  return undefined;
}

Buffer.from = function from(value: any, encodingOrOffset?: any, length?: any): any {
  if (typeof value === "string") return fromString(value, encodingOrOffset);
  if (isObject(value) && typeof value !== "function") {
    if (isAnyArrayBuffer(value)) return fromArrayBuffer(value, encodingOrOffset, length);
    const plain = typeof value.valueOf === "function" ? value.valueOf() : undefined;
    if (plain !== undefined && plain !== null && plain !== value && (typeof plain === "string" || isObject(plain))) {
      return Buffer.from(plain, encodingOrOffset, length);
    }
    const made = fromObject(value);
    if (made !== undefined) return made;
    const { toPrimitive } = Symbol;
    if (typeof value[toPrimitive] === "function") {
      const primitive = value[toPrimitive]("string");
      if (typeof primitive === "string") return fromString(primitive, encodingOrOffset);
    }
  }
  throw codedError(
    TypeError, "ERR_INVALID_ARG_TYPE", `The first argument must be ${FROM}. ${received(value)}`,
  );
};

function fromString(text: string, encoding: any): any {
  return asBuffer(bytesOfText(text, typeof encoding === "string" && encoding !== "" ? encodingOf(encoding) : "utf8"));
}

Buffer.of = function of(...items: any[]): any {
  return fromList(items);
};

Buffer.copyBytesFrom = function copyBytesFrom(view: any, offset?: any, length?: any): any {
  if (!isView(view) || typedArrayTag(view) === undefined) throw invalidArgType("view", "an instance of TypedArray", view);
  if (offset !== undefined) checkInteger(offset, "offset", 0);
  if (length !== undefined) checkInteger(length, "length", 0);
  const count: number = (view as any).length;
  const from = min(offset ?? 0, count);
  const to = length === undefined ? count : min(from + length, count);
  return asBuffer(new Uint8Array(bytesOf(typedArraySlice(view, from, to))!));
};

Buffer.isBuffer = function isBuffer(value: any): boolean {
  return value instanceof FastBuffer;
};
Buffer.isEncoding = function isEncoding(name: any): boolean {
  return typeof name === "string" && name !== "" && knownEncoding(name) !== undefined;
};

Buffer.byteLength = function byteLength(value: any, encoding?: any): number {
  if (typeof value !== "string") {
    if (isView(value) || isAnyArrayBuffer(value)) return (value as any).byteLength;
    throw invalidArgType("string", "of type string or an instance of Buffer or ArrayBuffer", value);
  }
  return byteLengthOfText(value, knownEncoding(encoding) ?? "utf8");
};

function checkBytes(value: any, name: string): void {
  if (!isUint8Array(value)) throw invalidArgType(name, "an instance of Buffer or Uint8Array", value);
}

Buffer.compare = function compare(a: any, b: any): number {
  checkBytes(a, "buf1");
  checkBytes(b, "buf2");
  return a === b ? 0 : compareBytes(a, b);
};

Buffer.concat = function concat(list: any, total?: any): any {
  if (!isArray(list)) throw invalidArgType("list", "an instance of Array", list);
  for (let i = 0; i < list.length; i++) checkBytes(list[i], `list[${i}]`);
  if (total === undefined) {
    total = 0;
    for (let i = 0; i < list.length; i++) total += typedArrayLength(list[i]);
  } else {
    checkInteger(total, "length", 0);
  }
  const whole = new FastBuffer(total);
  let at = 0;
  for (let i = 0; i < list.length && at < total; i++) {
    const item: any = list[i];
    const { length } = item;
    typedArraySet(whole, at + length > total ? typedArraySubarray(item, 0, total - at) : item, at);
    at += length;
  }
  return whole;
};

const proto: any = FastBuffer.prototype;

/** Adds methods as a class has them. */
export function define(methods: any): void {
  const names = objectKeys(methods);
  for (let i = 0; i < names.length; i++) {
    defineProperty(proto, names[i]!, { value: methods[names[i]!], writable: true, configurable: true, enumerable: true });
  }
}

/** A relative index, held within 0 and `length`. */
function indexWithin(value: any, length: number, absent: number): number {
  if (value === undefined) return absent;
  let at = trunc(+value);
  if (at !== at) at = 0;
  if (at < 0) at += length;
  return at < 0 ? 0 : at > length ? length : at;
}

function part(buffer: any, start: number, end: number): Uint8Array {
  return new Uint8Array(typedArrayBuffer(buffer), typedArrayByteOffset(buffer) + start, end - start);
}

function slice(this: any, start?: any, end?: any): any {
  const { length } = this;
  const from = indexWithin(start, length, 0);
  const to = indexWithin(end, length, length);
  return new FastBuffer(typedArrayBuffer(this), typedArrayByteOffset(this) + from, to > from ? to - from : 0);
}

function toString(this: any, encoding?: any, start?: any, end?: any): string {
  if (arguments.length === 0) return utf8Decode(this, false, true);
  const { length } = this;
  const from = !(start > 0) ? 0 : start >= length ? length : trunc(start);
  const to = end === undefined ? length : !(end > 0) ? 0 : end >= length ? length : trunc(end);
  if (to <= from) return "";
  const known = encoding === undefined ? "utf8" : encodingOf(`${encoding}`);
  return textOf(from === 0 && to === length ? this : part(this, from, to), known);
}

/** Bytes of `text` that fit into `room`, only whole characters of them. */
function fitting(text: string, encoding: Encoding, room: number): Uint8Array {
  const bytes = bytesOfText(text, encoding);
  if (bytes.length <= room) return bytes;
  let end = room;
  if (encoding === "utf8") while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  if (encoding === "utf16le") end -= end % 2;
  return typedArraySubarray(bytes, 0, end);
}

function writeText(buffer: any, text: string, offset: number, length: number, encoding: Encoding): number {
  const bytes = fitting(text, encoding, length);
  typedArraySet(buffer, bytes, offset);
  return bytes.length;
}

function write(this: any, text: any, offset?: any, length?: any, encoding?: any): number {
  if (typeof text !== "string") throw codedError(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
  let at = 0;
  let room = this.length;
  if (typeof offset === "string") encoding = offset;
  else if (offset !== undefined) {
    checkInteger(offset, "offset", 0, this.length);
    at = offset;
    room = this.length - at;
    if (typeof length === "string") encoding = length;
    else if (length !== undefined) {
      checkInteger(length, "length", 0, this.length);
      if (length < room) room = length;
    }
  }
  return writeText(this, text, at, room, encoding ? encodingOf(encoding) : "utf8");
}

function copy(this: any, target: any, targetStart: any = 0, sourceStart: any = 0, sourceEnd: any = this.length): number {
  if (!isUint8Array(this)) throw invalidArgType("source", "an instance of Buffer or Uint8Array", this);
  const to = bytesOf(target);
  if (to === null || !isView(target)) throw invalidArgType("target", "an instance of Buffer or Uint8Array", target);
  const at = targetStart === undefined ? 0 : trunc(+targetStart) || 0;
  if (at < 0) throw outOfRange("targetStart", ">= 0", at);
  const from = sourceStart === undefined ? 0 : trunc(+sourceStart) || 0;
  if (from < 0 || from > this.length) throw outOfRange("sourceStart", `>= 0 && <= ${this.length}`, from);
  let end = sourceEnd === undefined ? this.length : trunc(+sourceEnd) || 0;
  if (end < 0) throw outOfRange("sourceEnd", ">= 0", end);
  if (at >= to.length || from >= end) return 0;
  end = min(end, this.length, from + to.length - at);
  typedArraySet(to, part(this, from, end), at);
  return end - from;
}

function rangeOf(value: any, name: string, least: number, most: number, absent: number): number {
  if (value === undefined) return absent;
  checkInteger(value, name, least, most);
  return value;
}

function compare(
  this: any, target: any, targetStart?: any, targetEnd?: any, sourceStart?: any, sourceEnd?: any,
): number {
  checkBytes(target, "target");
  if (arguments.length === 1) return compareBytes(this, target);
  const most = MAX_LENGTH;
  const from = rangeOf(targetStart, "targetStart", 0, most, 0);
  const to = rangeOf(targetEnd, "targetEnd", 0, target.length, target.length);
  const mineFrom = rangeOf(sourceStart, "sourceStart", 0, most, 0);
  const mineTo = rangeOf(sourceEnd, "sourceEnd", 0, this.length, this.length);
  if (mineFrom >= mineTo) return from >= to ? 0 : -1;
  if (from >= to) return 1;
  return compareBytes(part(this, mineFrom, mineTo), part(target, from, to));
}

function needleOf(value: any, encoding: Encoding): Uint8Array | number {
  if (typeof value === "number") return value & 0xff;
  if (typeof value === "string") return bytesOfText(value, encoding);
  if (isUint8Array(value)) return value;
  throw invalidArgType("value", "one of type number or string or an instance of Buffer or Uint8Array", value);
}

function search(buffer: any, value: any, byteOffset: any, encoding: any, forward: boolean): number {
  if (typeof byteOffset === "string") {
    encoding = byteOffset;
    byteOffset = undefined;
  }
  const { length } = buffer;
  const known = typeof value === "string" ? encodingOf(encoding) : "utf8";
  const needle = needleOf(value, known);
  let at = byteOffset === undefined || byteOffset === null ? NaN : trunc(+byteOffset);
  if (at !== at) at = forward ? 0 : length;
  if (at < 0) at += length;
  if (at < 0) {
    if (!forward) return -1;
    at = 0;
  }
  if (typeof needle === "number") {
    if (length === 0) return -1;
    return forward ? typedArrayIndexOf(buffer, needle, at) : typedArrayLastIndexOf(buffer, needle, at);
  }
  if (needle.length === 0) return at > length ? length : at;
  if (needle.length > length) return -1;
  if (forward) return at >= length ? -1 : findBytes(buffer, needle, at, known === "utf16le" ? 2 : 1);
  for (let from = min(at, length - needle.length); from >= 0; from--) {
    if (buffer[from] === needle[0] && compareBytes(part(buffer, from, from + needle.length), needle) === 0) return from;
  }
  return -1;
}

function fill(this: any, value: any, offset?: any, end?: any, encoding?: any): any {
  if (typeof value === "string") {
    if (typeof offset === "string") {
      encoding = offset;
      offset = undefined;
      end = undefined;
    } else if (typeof end === "string") {
      encoding = end;
      end = undefined;
    }
  }
  let from = 0;
  let to = this.length;
  if (offset !== undefined) {
    checkInteger(offset, "offset", 0);
    from = offset;
    if (end !== undefined) {
      checkInteger(end, "end", 0, this.length);
      to = end;
    }
  }
  if (from >= to) return this;
  if (typeof value !== "string" && !isUint8Array(value)) {
    typedArrayFill(this, typeof value === "boolean" ? +value : value & 255, from, to);
    return this;
  }
  const pattern = typeof value === "string" ? bytesOfText(value, encodingOf(encoding)) : value;
  if (pattern.length === 0) {
    if (value.length > 0) throw invalidArgValue("value", value);
    typedArrayFill(this, 0, from, to);
    return this;
  }
  if (pattern.length === 1) {
    typedArrayFill(this, pattern[0], from, to);
    return this;
  }
  for (let at = from; at < to; at += pattern.length) {
    typedArraySet(this, at + pattern.length > to ? typedArraySubarray(pattern, 0, to - at) : pattern, at);
  }
  return this;
}

function swap(buffer: any, size: number): any {
  if (buffer.length % size !== 0) {
    throw codedError(RangeError, "ERR_INVALID_BUFFER_SIZE", `Buffer size must be a multiple of ${size * 8}-bits`);
  }
  for (let from = 0; from < buffer.length; from += size) {
    for (let i = 0; i < size / 2; i++) {
      const byte = buffer[from + i];
      buffer[from + i] = buffer[from + size - 1 - i];
      buffer[from + size - 1 - i] = byte;
    }
  }
  return buffer;
}

define({
  slice, subarray: slice, toString, toLocaleString: toString, write, copy, compare, fill,
  equals(this: any, other: any): boolean {
    checkBytes(other, "otherBuffer");
    return this === other || (this.length === other.length && compareBytes(this, other) === 0);
  },
  indexOf(this: any, value: any, byteOffset?: any, encoding?: any): number {
    return search(this, value, byteOffset, encoding, true);
  },
  lastIndexOf(this: any, value: any, byteOffset?: any, encoding?: any): number {
    return search(this, value, byteOffset, encoding, false);
  },
  includes(this: any, value: any, byteOffset?: any, encoding?: any): boolean {
    return search(this, value, byteOffset, encoding, true) >= 0;
  },
  swap16(this: any): any { return swap(this, 2); },
  swap32(this: any): any { return swap(this, 4); },
  swap64(this: any): any { return swap(this, 8); },
  toJSON(this: any): any {
    const data: number[] = [];
    for (let i = 0; i < this.length; i++) data[i] = this[i];
    return { type: "Buffer", data };
  },
});
defineProperty(proto, "parent", { enumerable: true, get(this: any) { return Buffer.isBuffer(this) ? this.buffer : undefined; } });
defineProperty(proto, "offset", { enumerable: true, get(this: any) { return Buffer.isBuffer(this) ? this.byteOffset : undefined; } });

const SHOWN_MAX = 50;
function inspectBuffer(this: any): string {
  const shown = min(this.length, SHOWN_MAX);
  let text = "";
  for (let i = 0; i < shown; i++) text += ` ${bytesToHex(part(this, i, i + 1))}`;
  const left = this.length - shown;
  if (left > 0) text += ` ... ${left} more byte${left > 1 ? "s" : ""}`;
  return `<${this.constructor?.name ?? "Buffer"}${text}>`;
}
defineProperty(proto, symbolFor("nodejs.util.inspect.custom"), { value: inspectBuffer, writable: true, configurable: true });
define({ inspect: inspectBuffer });

const SLICES: [string, Encoding][] = [
  ["utf8", "utf8"], ["latin1", "latin1"], ["ascii", "ascii"], ["hex", "hex"], ["base64", "base64"],
  ["base64url", "base64url"], ["ucs2", "utf16le"],
];
for (let i = 0; i < SLICES.length; i++) {
  const name = SLICES[i]![0];
  const encoding = SLICES[i]![1];
  define({
    [`${name}Slice`](this: any, start: number = 0, end: number = this.length): string {
      return textOf(part(this, start, end), encoding);
    },
    [`${name}Write`](this: any, text: string, offset: number = 0, length: number = this.length - offset): number {
      return writeText(this, text, offset, min(length, this.length - offset), encoding);
    },
  });
}
