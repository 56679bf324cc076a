/**
 * `node:buffer`. A `Buffer` is a `Uint8Array` with Node's prototype; there is no pool, each has memory of its own.
 */
import { stringCodePointAt } from "../library.ts";
import { utf8Decode } from "../native.ts";
import {
  Error, Uint8Array, arrayIndexOf, bytesOf, freeze, isArrayBuffer, isUint8Array, isView, setPrototypeOf,
} from "../primordials.ts";
import { codedError, invalidArgType } from "./internal/errors.ts";
import { Blob, File } from "../blob.ts";
import { atob, btoa } from "../encoding.ts";
import { Buffer, MAX_LENGTH, STRING_LENGTH_MAX } from "./internal/buffer.ts";
import "./internal/buffernumbers.ts";
import { knownEncoding } from "./internal/encodings.ts";

export const kMaxLength = MAX_LENGTH;
export const kStringMaxLength = STRING_LENGTH_MAX;
export const constants = freeze({ MAX_LENGTH, MAX_STRING_LENGTH: STRING_LENGTH_MAX });
export const INSPECT_MAX_BYTES = 50;

export function SlowBuffer(length: any): any {
  return Buffer.allocUnsafeSlow(length);
}
setPrototypeOf(SlowBuffer, Buffer);
SlowBuffer.prototype = Buffer.prototype;

function bytesIn(input: any, name: string): Uint8Array {
  const bytes = isView(input) || isArrayBuffer(input) ? bytesOf(input) : null;
  if (bytes === null) throw invalidArgType(name, "an instance of ArrayBuffer, Buffer, or TypedArray", input);
  return bytes;
}

export function isUtf8(input: any): boolean {
  const bytes = bytesIn(input, "input");
  try {
    utf8Decode(bytes, true, true);
    return true;
  } catch {
    return false;
  }
}

export function isAscii(input: any): boolean {
  const bytes = bytesIn(input, "input");
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 0x7f) return false;
  return true;
}

/** Bytes of one encoding in another; what it has no character for becomes `?`. */
export function transcode(source: any, from: any, to: any): any {
  if (!isUint8Array(source)) throw invalidArgType("source", "an instance of Buffer or Uint8Array", source);
  const names = ["utf8", "utf16le", "latin1", "ascii"];
  const read = knownEncoding(from);
  const write = knownEncoding(to);
  if (read === undefined || write === undefined || arrayIndexOf(names, read) < 0 || arrayIndexOf(names, write) < 0) {
    throw codedError(Error, "U_ILLEGAL_ARGUMENT_ERROR", "Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]");
  }
  const text = Buffer.from(source).toString(read);
  if (write !== "latin1" && write !== "ascii") return Buffer.from(text, write);
  const most = write === "latin1" ? 0xff : 0x7f;
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const point = stringCodePointAt(text, i);
    if (point > 0xffff) i++;
    out += point > most ? "?" : text[i];
  }
  return Buffer.from(out, "latin1");
}

/** Object URLs are not made here, so none resolves. */
export function resolveObjectURL(_id: string): undefined {
  return undefined;
}

export { Blob, Buffer, File, atob, btoa };
export default {
  Buffer, SlowBuffer, transcode, isUtf8, isAscii, kMaxLength, kStringMaxLength, constants, INSPECT_MAX_BYTES, atob,
  btoa, Blob, File, resolveObjectURL,
};
