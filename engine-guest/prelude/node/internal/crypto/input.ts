/**
 * What the functions of `node:crypto` take as data, and give as digests.
 */
import { Uint8Array, bytesOf, typedArraySubarray } from "../../../primordials.ts";
import { invalidArgType } from "../errors.ts";
import { Buffer, asBuffer } from "../buffer.ts";
import { bytesOfText, encodingOf } from "../encodings.ts";
import { isKeyObject, secretOf } from "./keys.ts";

/** The bytes of a string in an encoding, or of a view or buffer. */
export function bytesIn(data: any, encoding: any, name: string): Uint8Array {
  if (typeof data === "string") return bytesOfText(data, encoding === "buffer" ? "utf8" : encodingOf(encoding));
  const bytes = bytesOf(data);
  if (bytes === null) {
    throw invalidArgType(name, "of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView", data);
  }
  return bytes;
}

/** A key or password: bytes, text or a secret `KeyObject`. */
export function keyBytes(key: any, encoding: any, name: string): Uint8Array {
  return isKeyObject(key) ? secretOf(key) : bytesIn(key, encoding, name);
}

/** Bytes as a `Buffer`, or as text in the encoding that was asked for. */
export function given(bytes: Uint8Array, encoding: any): any {
  const buffer = asBuffer(bytes);
  return encoding === undefined || encoding === null || encoding === "buffer" ? buffer : buffer.toString(encoding);
}

/** How much of large data goes to the host at a time, so that the guest's clock sees each piece. */
const PIECE_BYTES = 256 << 10;

/** Calls `step` with one piece after another. */
export function inPieces(data: Uint8Array, step: (piece: Uint8Array) => void): void {
  if (data.length <= PIECE_BYTES) return step(bytesOf(data)!);
  for (let at = 0; at < data.length; at += PIECE_BYTES) step(typedArraySubarray(bytesOf(data), at, at + PIECE_BYTES));
}

export { Buffer };
