/**
 * `Blob` and `File`: immutable bytes with a type. They are whole in memory here, so slicing copies nothing but a view.
 */
import { utf8Decode, utf8Encode, now } from "./native.ts";
import {
  Symbol, TypeError, Uint8Array, bytesOf, concatBytes, isObject, max, min, promiseResolved, regExpExec, stringLower,
  stringWellFormed, toStr, trunc, typedArrayBuffer, typedArraySubarray, webClass,
} from "./primordials.ts";
import { INTERNAL } from "./internal.ts";
import { type ReadableStream, streamOver } from "./streams/readable.ts";

const PRINTABLE = /^[\x20-\x7e]*$/;

interface BlobState {
  bytes: Uint8Array;
  type: string;
}

let stateOf: (blob: Blob) => BlobState;
let brand: (value: unknown) => value is Blob;

function checkType(type: unknown): string {
  const text = toStr(type);
  return regExpExec(PRINTABLE, text) === null ? "" : stringLower(text);
}

function joinParts(parts: any): Uint8Array {
  if (!isObject(parts) || parts[Symbol.iterator] === undefined) throw new TypeError("Blob takes a list of parts");
  const chunks: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = bytesOf(part);
    if (bytes !== null) chunks[chunks.length] = bytes;
    else if (brand(part)) chunks[chunks.length] = stateOf(part).bytes;
    else chunks[chunks.length] = utf8Encode(stringWellFormed(toStr(part)));
  }
  return chunks.length === 1 ? new Uint8Array(chunks[0]!) : concatBytes(chunks);
}

/** Bytes with a type. */
export class Blob {
  #state: BlobState;

  constructor(parts: any = [], options: any = undefined) {
    if (parts === INTERNAL) this.#state = options;
    else this.#state = { bytes: joinParts(parts), type: options?.type === undefined ? "" : checkType(options.type) };
  }

  static {
    stateOf = (blob) => blob.#state;
    brand = (value): value is Blob => isObject(value) && #state in value;
  }

  get size(): number {
    return this.#state.bytes.length;
  }

  get type(): string {
    return this.#state.type;
  }

  slice(start: number = 0, end: number | undefined = undefined, type: string = ""): Blob {
    const { bytes } = this.#state;
    const { length } = bytes;
    const clamp = (at: number): number => (at < 0 ? max(length + at, 0) : min(at, length));
    const from = clamp(trunc(start) || 0);
    const to = end === undefined ? length : clamp(trunc(end) || 0);
    return blobFrom(typedArraySubarray(bytes, from, max(from, to)), checkType(type));
  }

  text(): Promise<string> {
    return promiseResolved(utf8Decode(this.#state.bytes, false, false));
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return promiseResolved(typedArrayBuffer(new Uint8Array(this.#state.bytes)));
  }

  bytes(): Promise<Uint8Array> {
    return promiseResolved(new Uint8Array(this.#state.bytes));
  }

  stream(): ReadableStream {
    return streamOver(this.#state.bytes, false);
  }
}
webClass(Blob);

/** A blob with a name and a time. */
export class File extends Blob {
  #name: string;
  #lastModified: number;

  constructor(parts: any, name: string, options: any = undefined) {
    super(parts, options);
    this.#name = stringWellFormed(toStr(name));
    this.#lastModified = options?.lastModified === undefined ? trunc(now()) : trunc(+options.lastModified) || 0;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }
}
webClass(File);

export function isBlob(value: unknown): value is Blob {
  return brand(value);
}

/** The blob's own bytes; not to be changed. */
export function blobBytes(blob: Blob): Uint8Array {
  return stateOf(blob).bytes;
}

export function blobType(blob: Blob): string {
  return stateOf(blob).type;
}

/** A blob around bytes that nobody will change. */
export function blobFrom(bytes: Uint8Array, type: string): Blob {
  return new Blob(INTERNAL, { bytes, type });
}

/** A file around bytes that nobody will change. */
export function fileFrom(bytes: Uint8Array, type: string, name: string): File {
  return new File(INTERNAL, name, { bytes, type });
}
