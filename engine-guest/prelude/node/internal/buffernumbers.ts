/**
 * Reading and writing numbers in a `Buffer`.
 */
import { Float32Array, Float64Array, pow } from "../../library.ts";
import { BigInt, Number, RangeError, Uint8Array, floor, trunc } from "../../primordials.ts";
import { codedError, invalidArgType, outOfRange } from "./errors.ts";
import { define } from "./buffer.ts";

const float32 = new Float32Array(1);
const float64 = new Float64Array(1);
const scratch4 = new Uint8Array(float32.buffer);
const scratch8 = new Uint8Array(float64.buffer);

function checkNumber(offset: any): void {
  if (typeof offset !== "number") throw invalidArgType("offset", "of type number", offset);
}

/** Checks that `size` bytes at `offset` lie within. */
function checkOffset(buffer: any, offset: any, size: number): void {
  checkNumber(offset);
  if (offset >= 0 && offset + size <= buffer.length && trunc(offset) === offset) return;
  if (trunc(offset) !== offset) throw outOfRange("offset", "an integer", offset);
  if (buffer.length - size < 0) {
    throw codedError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
  }
  throw outOfRange("offset", `>= 0 and <= ${buffer.length - size}`, offset);
}

function checkSize(size: any): void {
  if (typeof size !== "number") throw invalidArgType("byteLength", "of type number", size);
  if (trunc(size) !== size) throw outOfRange("byteLength", "an integer", size);
  if (size < 1 || size > 6) throw outOfRange("byteLength", ">= 1 and <= 6", size);
}

function readUnsigned(buffer: any, offset: number, size: number, little: boolean): number {
  let value = 0;
  if (little) for (let i = size - 1; i >= 0; i--) value = value * 256 + buffer[offset + i];
  else for (let i = 0; i < size; i++) value = value * 256 + buffer[offset + i];
  return value;
}

function readSigned(buffer: any, offset: number, size: number, little: boolean): number {
  const value = readUnsigned(buffer, offset, size, little);
  const half = pow(2, size * 8 - 1);
  return value >= half ? value - half * 2 : value;
}

function checkValue(value: number, size: number, signed: boolean): void {
  const least = signed ? -pow(2, size * 8 - 1) : 0;
  const most = pow(2, signed ? size * 8 - 1 : size * 8) - 1;
  if (!(value > most || value < least)) return;
  if (size <= 4) throw outOfRange("value", `>= ${least} and <= ${most}`, value);
  const range = signed ? `>= -(2 ** ${size * 8 - 1}) and < 2 ** ${size * 8 - 1}` : `>= 0 and < 2 ** ${size * 8}`;
  throw outOfRange("value", range, value);
}

function writeInteger(buffer: any, value: number, offset: number, size: number, little: boolean): number {
  let rest = value;
  if (rest !== rest) rest = 0;
  for (let i = 0; i < size; i++) {
    buffer[little ? offset + i : offset + size - 1 - i] = rest;
    rest = floor(rest / 256);
  }
  return offset + size;
}

function readBig(buffer: any, offset: any, little: boolean, signed: boolean): bigint {
  checkOffset(buffer, offset, 8);
  const high = readUnsigned(buffer, little ? offset + 4 : offset, 4, little);
  const low = readUnsigned(buffer, little ? offset : offset + 4, 4, little);
  return (BigInt(signed ? high | 0 : high) << 32n) + BigInt(low);
}

function writeBig(buffer: any, value: any, offset: any, little: boolean, signed: boolean): number {
  const least = signed ? -(2n ** 63n) : 0n;
  const most = signed ? 2n ** 63n - 1n : 2n ** 64n - 1n;
  if (typeof value !== "bigint") throw invalidArgType("value", "of type bigint", value);
  if (value < least || value > most) {
    throw outOfRange("value", signed ? ">= -(2n ** 63n) and < 2n ** 63n" : ">= 0n and < 2n ** 64n", value);
  }
  checkOffset(buffer, offset, 8);
  const low = Number(value & 0xffffffffn);
  const high = Number((value >> 32n) & 0xffffffffn);
  writeInteger(buffer, low, little ? offset : offset + 4, 4, little);
  writeInteger(buffer, high, little ? offset + 4 : offset, 4, little);
  return offset + 8;
}

function defineIntegers(size: number, little: boolean, end: string): void {
  for (let k = 0; k < 2; k++) {
    const signed = k === 1;
    const kind = signed ? "Int" : "UInt";
    const read = function (this: any, offset: any = 0): number {
      checkOffset(this, offset, size);
      return signed ? readSigned(this, offset, size, little) : readUnsigned(this, offset, size, little);
    };
    const write = function (this: any, value: any, offset: any = 0): number {
      const number = +value;
      if (size === 1) checkNumber(offset);
      checkValue(number, size, signed);
      checkOffset(this, offset, size);
      return writeInteger(this, number, offset, size, little);
    };
    const name = `${kind}${size * 8}${end}`;
    define({ [`read${name}`]: read, [`write${name}`]: write });
    if (!signed) define({ [`readUint${size * 8}${end}`]: read, [`writeUint${size * 8}${end}`]: write });
  }
}

function defineSized(little: boolean, end: string): void {
  for (let k = 0; k < 2; k++) {
    const signed = k === 1;
    const read = function (this: any, offset: any, size: any): number {
      if (offset === undefined) throw invalidArgType("offset", "of type number", offset);
      checkSize(size);
      checkOffset(this, offset, size);
      return signed ? readSigned(this, offset, size, little) : readUnsigned(this, offset, size, little);
    };
    const write = function (this: any, value: any, offset: any, size: any): number {
      checkSize(size);
      const number = +value;
      if (size === 1) checkNumber(offset);
      checkValue(number, size, signed);
      checkOffset(this, offset, size);
      return writeInteger(this, number, offset, size, little);
    };
    define({ [`read${signed ? "Int" : "UInt"}${end}`]: read, [`write${signed ? "Int" : "UInt"}${end}`]: write });
    if (!signed) define({ [`readUint${end}`]: read, [`writeUint${end}`]: write });
    const readLong = function (this: any, offset: any = 0): bigint {
      return readBig(this, offset, little, signed);
    };
    const writeLong = function (this: any, value: any, offset: any = 0): number {
      return writeBig(this, value, offset, little, signed);
    };
    const name = `Big${signed ? "Int" : "UInt"}64${end}`;
    define({ [`read${name}`]: readLong, [`write${name}`]: writeLong });
    if (!signed) define({ [`readBigUint64${end}`]: readLong, [`writeBigUint64${end}`]: writeLong });
  }
}

/** The machine's own order is little-endian: WebAssembly has no other. */
function defineFloats(little: boolean, end: string): void {
  const kinds: [string, any, Uint8Array, number][] = [["Float", float32, scratch4, 4], ["Double", float64, scratch8, 8]];
  for (let k = 0; k < kinds.length; k++) {
    const name = kinds[k]![0];
    const numbers = kinds[k]![1];
    const bytes = kinds[k]![2];
    const size = kinds[k]![3];
    define({
      [`read${name}${end}`](this: any, offset: any = 0): number {
        checkOffset(this, offset, size);
        for (let i = 0; i < size; i++) bytes[little ? i : size - 1 - i] = this[offset + i];
        return numbers[0];
      },
      [`write${name}${end}`](this: any, value: any, offset: any = 0): number {
        const number = +value;
        checkOffset(this, offset, size);
        numbers[0] = number;
        for (let i = 0; i < size; i++) this[offset + i] = bytes[little ? i : size - 1 - i]!;
        return offset + size;
      },
    });
  }
}

defineIntegers(1, true, "");
for (let k = 0; k < 2; k++) {
  const little = k === 0;
  const end = little ? "LE" : "BE";
  defineIntegers(2, little, end);
  defineIntegers(4, little, end);
  defineSized(little, end);
  defineFloats(little, end);
}
