/**
 * `TextEncoder`, `TextDecoder`, `atob` and `btoa`; the coding itself is native.
 */
import { DOMException } from "./errors.ts";
import {
  CALL_TEXT_DECODE, CALL_TEXT_LABEL, atob as nativeAtob, btoa as nativeBtoa, call, utf8Decode, utf8Encode,
} from "./native.ts";
import {
  RangeError, TypeError, Uint8Array, bytesOf, concatBytes, isObject, isUint8Array, stringCharCodeAt, stringSlice,
  stringStartsWith, toStr, typedArrayLength, typedArraySet, typedArraySubarray, webClass,
} from "./primordials.ts";

/** Strings to UTF-8. */
export class TextEncoder {
  #brand = true;

  get encoding(): string {
    void this.#brand;
    return "utf-8";
  }

  encode(text: string = ""): Uint8Array {
    void this.#brand;
    return utf8Encode(toStr(text));
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    void this.#brand;
    if (!isUint8Array(target)) throw new TypeError("encodeInto writes into a Uint8Array");
    const source = toStr(text);
    const bytes = utf8Encode(source);
    const room = typedArrayLength(target);
    if (bytes.length <= room && room > 0) {
      typedArraySet(target, bytes);
      return { read: source.length, written: bytes.length };
    }
    const written = characterStart(bytes, room);
    // A target without room may have lost its buffer.
    if (written === 0) return { read: 0, written: 0 };
    typedArraySet(target, typedArraySubarray(bytes, 0, written));
    let read = 0;
    for (let i = 0; i < written; i++) {
      const byte = bytes[i]!;
      if ((byte & 0xc0) !== 0x80) read += byte >= 0xf0 ? 2 : 1;
    }
    return { read, written };
  }
}
webClass(TextEncoder);

/** The greatest index up to `at` at which a character starts. */
function characterStart(bytes: Uint8Array, at: number): number {
  while (at > 0 && (bytes[at]! & 0xc0) === 0x80) at--;
  return at;
}

/** How many bytes at the end are the beginning of a character that may still become whole. */
function unfinished(bytes: Uint8Array): number {
  const { length } = bytes;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back]!;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const wanted = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte <= 0xef ? 3 : byte >= 0xc2 && byte <= 0xdf ? 2 : 1;
    return wanted > back && (back === 1 || secondFits(byte, bytes[length - back + 1]!)) ? back : 0;
  }
  return 0;
}

/** Whether `second` may follow `first` (it narrows the range after E0, ED, F0 and F4). */
function secondFits(first: number, second: number): boolean {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second <= 0x9f;
  if (first === 0xf0) return second >= 0x90;
  if (first === 0xf4) return second <= 0x8f;
  return true;
}

/** The name of the encoding that a label means. */
export function encodingOf(label: string): string {
  const text = toStr(label);
  if (text === "utf-8" || text === "utf8" || text === "UTF-8") return "utf-8";
  const name: string | null = call(CALL_TEXT_LABEL, text);
  if (name === null) throw new RangeError(`TextDecoder: the encoding "${text}" is not known`);
  return name;
}

const NOTHING = new Uint8Array(0);

/** Bytes to strings. UTF-8 is decoded here, every other encoding by the host. */
export class TextDecoder {
  #encoding: string;
  #fatal: boolean;
  #ignoreBOM: boolean;
  /** What a streamed call left over. */
  #rest: Uint8Array | null = null;
  /** Whether a byte order mark would still be at the start. */
  #atStart = true;
  /** What the host wants to hear again with the next piece of a stream. */
  #word = 0;

  constructor(label: string = "utf-8", options: any = undefined) {
    this.#encoding = encodingOf(label);
    if (options !== undefined && options !== null && !isObject(options)) {
      throw new TypeError("the options of a TextDecoder must be an object");
    }
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }

  get encoding(): string {
    return this.#encoding;
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#ignoreBOM;
  }

  decode(input: any = undefined, options: any = undefined): string {
    const rest = this.#rest;
    const given = input === undefined ? NOTHING : bytesOf(input);
    if (given === null) throw new TypeError("TextDecoder decodes an ArrayBuffer or a view of one");
    if (options !== undefined && options !== null && !isObject(options)) {
      throw new TypeError("the options of decode() must be an object");
    }
    const stream = !!options?.stream;
    const bytes = rest === null ? given : concatBytes([rest, given]);
    this.#rest = null;
    return this.#encoding === "utf-8" ? this.#utf8(bytes, stream) : this.#other(bytes, stream);
  }

  #utf8(given: Uint8Array, stream: boolean): string {
    let bytes = given;
    if (stream) {
      const kept = unfinished(bytes);
      if (kept > 0) {
        this.#rest = new Uint8Array(typedArraySubarray(bytes, bytes.length - kept));
        bytes = typedArraySubarray(bytes, 0, bytes.length - kept);
      }
    }
    const atStart = this.#atStart;
    this.#atStart = stream ? atStart && bytes.length === 0 : true;
    return utf8Decode(bytes, this.#fatal, this.#ignoreBOM || !atStart);
  }

  #other(bytes: Uint8Array, stream: boolean): string {
    const word = this.#word;
    const atStart = this.#atStart;
    this.#word = 0;
    this.#atStart = true;
    const answer: [text: string, rest: number, word: number] | null =
      call(CALL_TEXT_DECODE, this.#encoding, word, bytes, this.#fatal, !stream);
    if (answer === null) throw new TypeError(`the bytes are not valid ${this.#encoding}`);
    const text = answer[0];
    const kept = answer[1];
    if (stream) {
      if (kept > 0) this.#rest = new Uint8Array(typedArraySubarray(bytes, bytes.length - kept));
      this.#word = answer[2];
      this.#atStart = atStart && text === "";
    }
    const marked = atStart && !this.#ignoreBOM && stringStartsWith(this.#encoding, "utf-16");
    return marked && stringCharCodeAt(text, 0) === 0xfeff ? stringSlice(text, 1) : text;
  }
}
webClass(TextDecoder);

/** The text that bytes are in an encoding, by its name; without a mark at the start. */
export function textFrom(bytes: Uint8Array, encoding: string): string {
  if (encoding === "utf-8") return utf8Decode(bytes, false, false);
  const text: string = call(CALL_TEXT_DECODE, encoding, 0, bytes, false, true)[0];
  return stringCharCodeAt(text, 0) === 0xfeff ? stringSlice(text, 1) : text;
}

/** Base64 to a binary string. */
export function atob(data: string): string {
  const decoded = nativeAtob(toStr(data));
  if (decoded === null) throw new DOMException("atob: the string is not correct base64", "InvalidCharacterError");
  return decoded;
}

/** A binary string to base64. */
export function btoa(data: string): string {
  const encoded = nativeBtoa(toStr(data));
  if (encoded === null) {
    throw new DOMException("btoa: the string holds a character above U+00FF", "InvalidCharacterError");
  }
  return encoded;
}
