/**
 * The encodings of `Buffer`: strings to bytes and back. The coding itself is native wherever it can be.
 */
import {
  bytesFromBase64, bytesFromHex, bytesToBase64, bytesToHex, parseInt, stringReplace, typedArraySlice,
} from "../../library.ts";
import { bytesToLatin1, latin1ToBytes, utf16Decode, utf8Decode, utf8Encode } from "../../native.ts";
import {
  String, TypeError, Uint8Array, freeze, regExpExec, stringCharCodeAt, stringIndexOf, stringLower, stringSlice,
} from "../../primordials.ts";
import { codedError } from "./errors.ts";

export type Encoding = "utf8" | "utf16le" | "latin1" | "ascii" | "base64" | "base64url" | "hex";

const NAMES: Record<string, Encoding> = {
  __proto__: null as any,
  "utf8": "utf8", "utf-8": "utf8", "ucs2": "utf16le", "ucs-2": "utf16le", "utf16le": "utf16le", "utf-16le": "utf16le",
  "latin1": "latin1", "binary": "latin1", "ascii": "ascii", "base64": "base64", "base64url": "base64url", "hex": "hex",
};
freeze(NAMES);

/** The encoding of that name, or undefined. */
export function knownEncoding(name: any): Encoding | undefined {
  if (typeof name !== "string") return undefined;
  return NAMES[name] ?? NAMES[stringLower(name)];
}

/** The encoding of that name, utf8 where none is named. */
export function encodingOf(name: any): Encoding {
  if (name === undefined || name === null || name === "") return "utf8";
  const encoding = knownEncoding(name);
  if (encoding === undefined) throw codedError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(name)}`);
  return encoding;
}

function asciiText(bytes: Uint8Array): string {
  const low = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) low[i] = bytes[i]! & 0x7f;
  return bytesToLatin1(low);
}

const URL_SAFE = freeze({ alphabet: "base64url", omitPadding: true });

export function textOf(bytes: Uint8Array, encoding: Encoding): string {
  switch (encoding) {
    case "utf8": return utf8Decode(bytes, false, true);
    case "utf16le": return utf16Decode(bytes);
    case "latin1": return bytesToLatin1(bytes);
    case "ascii": return asciiText(bytes);
    case "base64": return bytesToBase64(bytes);
    case "base64url": return bytesToBase64(bytes, URL_SAFE);
    case "hex": return bytesToHex(bytes);
  }
}

function unitsBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    const unit = stringCharCodeAt(text, i);
    bytes[i * 2] = unit;
    bytes[i * 2 + 1] = unit >> 8;
  }
  return bytes;
}

function lowBytes(text: string): Uint8Array {
  const known: Uint8Array | null = latin1ToBytes(text);
  if (known !== null) return known;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = stringCharCodeAt(text, i);
  return bytes;
}

/** Hexadecimal up to the first pair that is none. */
function hexBytes(text: string): Uint8Array {
  const even = text.length % 2 === 0 ? text : stringSlice(text, 0, -1);
  try {
    return bytesFromHex(even);
  } catch {
    const bytes = new Uint8Array(even.length / 2);
    let to = 0;
    for (; to < bytes.length; to++) {
      const pair = stringSlice(even, to * 2, to * 2 + 2);
      if (regExpExec(PAIR, pair) === null) break;
      bytes[to] = parseInt(pair, 16);
    }
    return typedArraySlice(bytes, 0, to);
  }
}

const PAIR = /^[0-9A-Fa-f]{2}$/;
const NOT_BASE64 = /[^A-Za-z0-9+/]/g;
const FROM_DASH = /-/g;
const FROM_LINE = /_/g;

/** Base64 of either alphabet; what belongs to neither is passed over, `=` ends it. */
function base64Bytes(text: string): Uint8Array {
  try {
    return bytesFromBase64(text);
  } catch {
    const end = stringIndexOf(text, "=");
    const plain = end < 0 ? text : stringSlice(text, 0, end);
    let digits: string = stringReplace(stringReplace(plain, FROM_DASH, "+"), FROM_LINE, "/");
    digits = stringReplace(digits, NOT_BASE64, "");
    if (digits.length % 4 === 1) digits = stringSlice(digits, 0, -1);
    return bytesFromBase64(digits);
  }
}

/** A fresh array of the bytes of a string. */
export function bytesOfText(text: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case "utf8": return utf8Encode(text);
    case "utf16le": return unitsBytes(text);
    case "latin1": case "ascii": return lowBytes(text);
    case "base64": case "base64url": return base64Bytes(text);
    case "hex": return hexBytes(text);
  }
}

export function byteLengthOfText(text: string, encoding: Encoding): number {
  switch (encoding) {
    case "utf8": return utf8Encode(text).length;
    case "utf16le": return text.length * 2;
    case "latin1": case "ascii": return text.length;
    case "hex": return text.length >>> 1;
    default: {
      let { length } = text;
      if (text[length - 1] === "=") length--;
      if (length > 1 && text[length - 1] === "=") length--;
      return (length * 3) >>> 2;
    }
  }
}
