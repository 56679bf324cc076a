/**
 * `FileReader` and `ProgressEvent` (File API, section 6), for libraries that know no other way to read a blob. The bytes
 * are at hand, so a read is a series of events and waits for nothing.
 */
import { type Blob, blobBytes, blobType, isBlob } from "../blob.ts";
import { encodingOf, textFrom } from "../encoding.ts";
import { DOMException } from "../errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute } from "../events.ts";
import { mimeOfHeader, parameterOf } from "./forms/mime.ts";
import { btoa, bytesToLatin1 } from "../native.ts";
import {
  Number, TypeError, Uint8Array, defineProperty, promiseResolved, promiseThen, toStr, typedArrayBuffer, webClass,
} from "../primordials.ts";

/** How far something has come. */
class ProgressEvent extends Event {
  #values: { lengthComputable: boolean; loaded: number; total: number };

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("ProgressEvent needs a type");
    super(type, init);
    const { lengthComputable, loaded, total } = init ?? {};
    this.#values = {
      lengthComputable: !!lengthComputable, loaded: Number(loaded ?? 0) || 0, total: Number(total ?? 0) || 0,
    };
  }

  get lengthComputable(): boolean {
    return this.#values.lengthComputable;
  }

  get loaded(): number {
    return this.#values.loaded;
  }

  get total(): number {
    return this.#values.total;
  }
}
webClass(ProgressEvent, 1);

const EMPTY = 0;
const LOADING = 1;
const DONE = 2;

/** Makes the result of a blob's bytes. */
type Package = (bytes: Uint8Array, type: string) => string | ArrayBuffer;

interface ReaderState {
  phase: number;
  result: string | ArrayBuffer | null;
  /** Counts the reads, so that one that was aborted fires nothing more. */
  read: number;
}

const asBuffer: Package = (bytes) => typedArrayBuffer(new Uint8Array(bytes));

const asBinary: Package = (bytes) => bytesToLatin1(bytes);

const asUrl: Package = (bytes, type) => {
  return `data:${type === "" ? "application/octet-stream" : type};base64,${btoa(bytesToLatin1(bytes))}`;
};

/** The encoding that the caller names, else the one that the type names, else UTF-8; a mark at the start decides. */
function asText(label: string | undefined): Package {
  return (bytes, type) => {
    const mime = mimeOfHeader(type === "" ? null : type);
    const named = knownEncoding(label) ?? knownEncoding(mime === null ? null : parameterOf(mime, "charset"));
    return textFrom(bytes, markedEncoding(bytes) ?? named ?? "utf-8");
  };
}

function knownEncoding(label: string | null | undefined): string | null {
  if (label === null || label === undefined) return null;
  try {
    return encodingOf(label);
  } catch {
    return null;
  }
}

function markedEncoding(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : null;
}

/** Reads a blob, and tells of it by events. */
class FileReader extends EventTarget {
  #state: ReaderState = { phase: EMPTY, result: null, read: 0 };

  get readyState(): number {
    return this.#state.phase;
  }

  get result(): string | ArrayBuffer | null {
    return this.#state.result;
  }

  /** A blob that is whole can always be read. */
  get error(): DOMException | null {
    void this.#state;
    return null;
  }

  readAsArrayBuffer(blob: Blob): void {
    read(this, this.#state, blob, asBuffer);
  }

  readAsBinaryString(blob: Blob): void {
    read(this, this.#state, blob, asBinary);
  }

  readAsText(blob: Blob, encoding: string | undefined = undefined): void {
    read(this, this.#state, blob, asText(encoding === undefined ? undefined : toStr(encoding)));
  }

  readAsDataURL(blob: Blob): void {
    read(this, this.#state, blob, asUrl);
  }

  abort(): void {
    const state = this.#state;
    state.result = null;
    if (state.phase !== LOADING) return;
    state.phase = DONE;
    state.read++;
    fire(this, "abort", 0, 0);
    // The handler may have begun another read.
    if ((state.phase as number) !== LOADING) fire(this, "loadend", 0, 0);
  }
}
webClass(FileReader);
for (const type of ["loadstart", "progress", "load", "abort", "error", "loadend"]) {
  handlerAttribute(FileReader.prototype, type);
}
for (const [name, value] of [["EMPTY", EMPTY], ["LOADING", LOADING], ["DONE", DONE]] as [string, number][]) {
  defineProperty(FileReader, name, { value, enumerable: true });
  defineProperty(FileReader.prototype, name, { value, enumerable: true });
}

function fire(reader: FileReader, type: string, loaded: number, total: number): void {
  fireTrusted(reader, new ProgressEvent(type, { lengthComputable: true, loaded, total }));
}

function read(reader: FileReader, state: ReaderState, blob: unknown, make: Package): void {
  if (!isBlob(blob)) throw new TypeError("a FileReader reads a Blob");
  if (state.phase === LOADING) throw new DOMException("the FileReader is already reading", "InvalidStateError");
  state.phase = LOADING;
  state.result = null;
  const bytes = blobBytes(blob);
  const type = blobType(blob);
  const { length } = bytes;
  const turn = ++state.read;
  const steps: (() => void)[] = [
    () => fire(reader, "loadstart", 0, length),
    () => {
      if (length > 0) fire(reader, "progress", length, length);
    },
    () => {
      state.result = make(bytes, type);
      state.phase = DONE;
      fire(reader, "load", length, length);
    },
    () => fire(reader, "loadend", length, length),
  ];
  const next = (at: number): void => {
    // Two turns: who waits for one event with a promise is there before the next.
    promiseThen(promiseThen(promiseResolved(undefined), () => undefined), () => {
      if (state.read !== turn) return;
      steps[at]!();
      if (at + 1 < steps.length) next(at + 1);
    });
  };
  next(0);
}

export { FileReader, ProgressEvent };
