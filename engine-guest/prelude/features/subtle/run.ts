/**
 * How the parts of `crypto.subtle` compute: what is quick at once, within the event, and the rest as an operation of
 * the host. Errors are made here too, by the names of the Web Cryptography API.
 */
import { DOMException } from "../../errors.ts";
import { atob, btoa, bytesToLatin1, call, latin1ToBytes, start } from "../../native.ts";
import { operation } from "../../operations.ts";
import {
  TypeError, Uint8Array, arrayBufferByteLength, bytesOf, isArrayBuffer, isView, regExpExec, stringReplaceAll,
  typedArraySubarray, typedArrayTag,
} from "../../primordials.ts";

/** More data than this is worked on off the core. The host refuses a call with more. */
export const INLINE_BYTES = 65_536;

/** One computation: the answer, or a promise of it if it may take long. */
export function compute(
  long: boolean, code: number, a?: any, b?: any, c?: any, d?: any, e?: any, f?: any, g?: any, h?: any, i?: any,
): any {
  return long ? operation(start(code, a, b, c, d, e, f, g, h, i)) : call(code, a, b, c, d, e, f, g, h, i);
}

export function notSupported(message: string): DOMException {
  return new DOMException(message, "NotSupportedError");
}

export function invalidAccess(message: string): DOMException {
  return new DOMException(message, "InvalidAccessError");
}

export function operationError(message: string): DOMException {
  return new DOMException(message, "OperationError");
}

export function dataError(message: string): DOMException {
  return new DOMException(message, "DataError");
}

export function syntaxError(message: string): DOMException {
  return new DOMException(message, "SyntaxError");
}

export function isBufferSource(value: unknown): boolean {
  return isView(value) || isArrayBuffer(value);
}

/** A copy of the bytes of a BufferSource; none if its buffer was transferred away. */
export function copyOf(value: unknown): Uint8Array {
  try {
    return new Uint8Array(bytesOf(value)!);
  } catch {
    return new Uint8Array(0);
  }
}

/** Bytes that a caller gave, or the TypeError that they are none. */
export function bufferSource(value: unknown, what: string): Uint8Array {
  if (!isBufferSource(value)) throw new TypeError(`${what} must be an ArrayBuffer or a view of one`);
  return copyOf(value);
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** The bytes of base64url without padding; null if it is something else. */
export function fromBase64url(text: string): Uint8Array | null {
  if (regExpExec(BASE64URL, text) === null) return null;
  const binary = atob(stringReplaceAll(stringReplaceAll(text, "-", "+"), "_", "/"));
  return binary === null ? null : latin1ToBytes(binary);
}

export function toBase64url(bytes: Uint8Array): string {
  const text = btoa(bytesToLatin1(bytes))!;
  return stringReplaceAll(stringReplaceAll(stringReplaceAll(text, "+", "-"), "/", "_"), "=", "");
}

/** The first `bits` bits; those of the last byte that go beyond are zero. */
export function firstBits(bytes: Uint8Array, bits: number): Uint8Array {
  const length = (bits + 7) >> 3;
  const first = length === bytes.length ? bytes : new Uint8Array(typedArraySubarray(bytes, 0, length));
  if (bits % 8 !== 0) first[length - 1] = first[length - 1]! & (0xff << (8 - (bits % 8)));
  return first;
}
