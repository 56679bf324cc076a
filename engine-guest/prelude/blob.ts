/**
 * `Blob` and `File`: immutable bytes with a type. They are whole in memory here, so slicing copies nothing but a view.
 */
import { utf8Decode, utf8Encode, now } from "./native.ts";
import {
  Symbol, TypeError, Uint8Array, apply, bytesOf, concatBytes, floor, isObject, max, min, promiseRejected,
  promiseResolved, regExpExec, stringLower, stringReplaceAll, stringWellFormed, toStr, trunc, typedArrayBuffer,
  typedArraySubarray, webClass,
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
let fileState: (file: File) => [name: string, lastModified: number];
export let isFile: (value: unknown) => value is File;

function checkType(type: unknown): string {
  const text = toStr(type);
  return regExpExec(PRINTABLE, text) === null ? "" : stringLower(text);
}

type Part = string | Blob | Uint8Array;

/**
 * The parts as they are given; what they hold is looked at once the options are known. The steps are those of WebIDL's
 * sequences, which a list can watch.
 */
function readParts(parts: any): Part[] {
  const begin = isObject(parts) ? parts[Symbol.iterator] : undefined;
  if (typeof begin !== "function") throw new TypeError("Blob takes a list of parts");
  const iterator = apply(begin, parts, []);
  if (!isObject(iterator)) throw new TypeError("the list of a Blob's parts gave no iterator");
  const { next } = iterator;
  const list: Part[] = [];
  for (;;) {
    const result: any = apply(next, iterator, []);
    if (!isObject(result)) throw new TypeError("the iterator gave no result object");
    if (result.done) return list;
    const part = result.value;
    list[list.length] = bytesOf(part) ?? (brand(part) ? part : stringWellFormed(toStr(part)));
  }
}

function joinParts(parts: Part[], native: boolean): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (typeof part === "string") chunks[i] = utf8Encode(native ? nativeLines(part) : part);
    else chunks[i] = brand(part) ? stateOf(part).bytes : part;
  }
  return chunks.length === 1 ? new Uint8Array(chunks[0]!) : concatBytes(chunks);
}

function nativeLines(text: string): string {
  return stringReplaceAll(stringReplaceAll(text, "\r\n", "\n"), "\r", "\n");
}

/** Makes the state; `options` is read in the order that the standard's dictionaries have. */
function makeState(parts: any, options: any): BlobState {
  const list = parts === undefined ? [] : readParts(parts);
  let native = false;
  let type = "";
  if (options !== undefined && options !== null) {
    if (!isObject(options)) throw new TypeError("the options of a Blob must be an object");
    const { endings } = options;
    if (endings !== undefined) {
      const wanted = toStr(endings);
      if (wanted !== "transparent" && wanted !== "native") {
        throw new TypeError(`"${wanted}" is no kind of line ending (transparent, native)`);
      }
      native = wanted === "native";
    }
    const given = options.type;
    if (given !== undefined) type = checkType(given);
  }
  return { bytes: joinParts(list, native), type };
}

/** WebIDL's `[Clamp] long long`. */
function clampLong(value: unknown): number {
  const number = +(value as number);
  if (number !== number) return 0;
  const bounded = max(-9007199254740991, min(9007199254740991, number));
  const down = floor(bounded);
  const rest = bounded - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

/** Bytes with a type. */
export class Blob {
  #state: BlobState;

  constructor(parts: any = undefined, options: any = undefined) {
    this.#state = parts === INTERNAL ? options : makeState(parts, options);
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
    const place = (at: number): number => (at < 0 ? max(length + at, 0) : min(at, length));
    const from = place(clampLong(start));
    const to = end === undefined ? length : place(clampLong(end));
    return blobFrom(typedArraySubarray(bytes, from, max(from, to)), checkType(type));
  }

  text(): Promise<string> {
    return copied(this, (bytes) => utf8Decode(bytes, false, false));
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return copied(this, (bytes) => typedArrayBuffer(new Uint8Array(bytes)));
  }

  bytes(): Promise<Uint8Array> {
    return copied(this, (bytes) => new Uint8Array(bytes));
  }

  stream(): ReadableStream {
    return streamOver(this.#state.bytes, false);
  }
}
webClass(Blob);

function copied<T>(blob: Blob, make: (bytes: Uint8Array) => T): Promise<T> {
  try {
    return promiseResolved(make(stateOf(blob).bytes));
  } catch (error) {
    return promiseRejected(error);
  }
}

/** A blob with a name and a time. */
export class File extends Blob {
  #name: string;
  #lastModified: number;

  constructor(parts: any, name: string, options: any = undefined) {
    if (arguments.length < 2) throw new TypeError("a File needs its parts and a name");
    if (parts !== INTERNAL && !isObject(parts)) throw new TypeError("File takes a list of parts");
    super(parts, options);
    this.#name = stringWellFormed(toStr(name));
    const given = options?.lastModified;
    this.#lastModified = given === undefined ? trunc(now()) : trunc(+given) || 0;
  }

  static {
    fileState = (file) => [file.#name, file.#lastModified];
    isFile = (value): value is File => isObject(value) && #name in value;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }
}
webClass(File);

/** A file's own name, whatever the prototype says. */
export function fileName(file: File): string {
  return fileState(file)[0];
}

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
export function fileFrom(bytes: Uint8Array, type: string, name: string, lastModified?: number): File {
  return new File(INTERNAL, name, { bytes, type, lastModified });
}

/** The same file under another name. */
export function renamedFile(file: Blob, name: string): File {
  return fileFrom(blobBytes(file), blobType(file), name, isFile(file) ? fileState(file)[1] : undefined);
}
