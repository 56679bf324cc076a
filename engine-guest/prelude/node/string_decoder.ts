/**
 * `node:string_decoder`: text out of chunks, with characters that two chunks share kept whole.
 */
import {
  Uint8Array, bytesOf, concatBytes, defineProperties, defineProperty, isView, typedArraySubarray,
} from "../primordials.ts";
import { invalidArgType } from "./internal/errors.ts";
import { encodingOf, textOf } from "./internal/encodings.ts";

/** How many bytes at the end begin a character that is not whole yet. */
function unfinishedUtf8(bytes: Uint8Array): number {
  const { length } = bytes;
  for (let back = 1; back <= 3 && back <= length; back++) {
    const byte = bytes[length - back]!;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const wanted = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    return wanted > back && (back === 1 || secondFits(byte, bytes[length - back + 1]!)) ? back : 0;
  }
  return 0;
}

function secondFits(first: number, second: number): boolean {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second <= 0x9f;
  if (first === 0xf0) return second >= 0x90;
  return first !== 0xf4 || second <= 0x8f;
}

function unfinished(bytes: Uint8Array, encoding: string): number {
  if (encoding === "utf8") return unfinishedUtf8(bytes);
  if (encoding === "base64" || encoding === "base64url") return bytes.length % 3;
  if (encoding !== "utf16le") return 0;
  const odd = bytes.length % 2;
  const high = bytes[bytes.length - odd - 1];
  return high !== undefined && bytes.length - odd >= 2 && (high & 0xfc) === 0xd8 ? odd + 2 : odd;
}

export function StringDecoder(this: any, encoding?: any): any {
  this.encoding = encodingOf(encoding);
  if (this.encoding === "utf-16le") this.encoding = "utf16le";
  defineProperty(this, "_rest", { value: new Uint8Array(0), writable: true, configurable: true });
}

const proto: any = StringDecoder.prototype;

proto.write = function write(this: any, chunk: any): string {
  if (typeof chunk === "string") return chunk;
  const given = bytesOf(chunk);
  if (given === null || !isView(chunk)) {
    throw invalidArgType("buf", "an instance of Buffer, TypedArray, or DataView", chunk);
  }
  const bytes = this._rest.length === 0 ? given : concatBytes([this._rest, given]);
  const kept = unfinished(bytes, this.encoding);
  this._rest = kept === 0 ? new Uint8Array(0) : new Uint8Array(typedArraySubarray(bytes, bytes.length - kept));
  return textOf(kept === 0 ? bytes : typedArraySubarray(bytes, 0, bytes.length - kept), this.encoding);
};

proto.end = function end(this: any, chunk?: any): string {
  const text = chunk === undefined ? "" : this.write(chunk);
  const rest = this._rest;
  this._rest = new Uint8Array(0);
  if (rest.length === 0) return text;
  if (this.encoding === "utf8") return `${text}\ufffd`;
  if (this.encoding === "utf16le") return text + textOf(typedArraySubarray(rest, 0, rest.length & ~1), "utf16le");
  return text + textOf(rest, this.encoding);
};

proto.text = function text(this: any, chunk: any, offset: number): string {
  this._rest = new Uint8Array(0);
  return this.write(typedArraySubarray(bytesOf(chunk), offset));
};

defineProperties(proto, {
  lastChar: { configurable: true, enumerable: true, get(this: any) { return this._rest; } },
  lastNeed: { configurable: true, enumerable: true, get(this: any) { return this._rest.length === 0 ? 0 : 1; } },
  lastTotal: { configurable: true, enumerable: true, get(this: any) { return this._rest.length; } },
});

export default { StringDecoder };
