/**
 * `CompressionStream` and `DecompressionStream` (Compression Standard): gzip, deflate, deflate-raw and brotli.
 *
 * The codec is the host's, reached by a handle that is opened with the first chunk and goes with the request. Each
 * call gives one bounded piece of output, which is handed on only when somebody asks for it: a small input that
 * unfolds into gigabytes waits in the codec, not in memory.
 */
import { CALL_CODEC_OPEN, CALL_CODEC_STEP, CALL_HELD_DROP, call } from "../native.ts";
import {
  type Deferred, TypeError, Uint8Array, bytesOf, deferred, isArrayBuffer, promiseResolved, toStr, typedArrayBuffer,
  typedArraySubarray, webClass,
} from "../primordials.ts";
import {
  type ReadableStream, type StreamState, closeController, enqueue, errorStream, internalStream,
} from "../streams/readable.ts";
import {
  type WritableState, type WritableStream, errorIfWritable, internalWritable, writableState,
} from "../streams/writable.ts";

/** What one call is given at the most, so that it stays short. */
const PIECE_BYTES = 64 << 10;

/** The two ends, and the codec between them. */
class Pair {
  readable: ReadableStream;
  writable: WritableStream;
  #format: string;
  #compress: boolean;
  #handle = 0;
  #source!: StreamState;
  #sink: WritableState;
  /** Somebody waits for a chunk. */
  #wanted = false;
  #asked: Deferred<undefined> | null = null;
  /** Why it ended early, once it has. */
  #failure: { reason: unknown } | null = null;

  constructor(format: string, compress: boolean) {
    this.#format = format;
    this.#compress = compress;
    this.readable = internalStream(0, (state) => {
      this.#source = state;
      return {
        pull: () => {
          this.#wanted = true;
          this.#wake();
        },
        cancel: (reason) => {
          errorIfWritable(this.#sink, reason);
          this.#give(reason);
        },
      };
    });
    this.writable = internalWritable(1, null, promiseResolved(undefined), {
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
      abort: (reason) => {
        errorStream(this.#source, reason);
        this.#give(reason);
      },
    });
    this.#sink = writableState(this.writable);
  }

  #wake(): void {
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null) asked.resolve(undefined);
  }

  /** Lets the codec go; whoever waits for room hears of it. */
  #give(reason: unknown): void {
    this.#failure ??= { reason };
    if (this.#handle !== 0) call(CALL_HELD_DROP, this.#handle);
    this.#handle = 0;
    this.#wake();
  }

  #fail(reason: unknown): never {
    errorStream(this.#source, reason);
    this.#give(reason);
    throw reason;
  }

  async #write(chunk: unknown): Promise<void> {
    try {
      let bytes = bytesOf(chunk);
      if (bytes === null || !isArrayBuffer(typedArrayBuffer(bytes))) {
        throw new TypeError("a chunk must be an ArrayBuffer or a view of one, not shared");
      }
      if (bytes.length <= PIECE_BYTES) {
        if (bytes.length > 0) await this.#run(bytes, false);
        return;
      }
      // A copy: the chunk may change or be detached while its pieces wait.
      bytes = new Uint8Array(bytes);
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await this.#run(typedArraySubarray(bytes, at, at + PIECE_BYTES), false);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #close(): Promise<void> {
    try {
      await this.#run(null, true);
      // The host let it go with the last piece.
      this.#handle = 0;
      closeController(this.#source);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Takes one piece through the codec, and hands its output on piece by piece. */
  async #run(input: Uint8Array | null, finish: boolean): Promise<void> {
    if (this.#failure !== null) throw this.#failure.reason;
    if (this.#handle === 0) this.#handle = call(CALL_CODEC_OPEN, this.#format, this.#compress);
    for (let more = true; more; input = null) {
      const step: [output: Uint8Array, more: boolean] = call(CALL_CODEC_STEP, this.#handle, input, finish);
      more = step[1];
      if (step[0].length === 0) continue;
      if (!this.#wanted) {
        this.#asked = deferred();
        await this.#asked.promise;
        if (this.#failure !== null) throw (this.#failure as { reason: unknown }).reason;
      }
      this.#wanted = false;
      enqueue(this.#source, step[0]);
    }
  }
}

function checkFormat(format: unknown): string {
  const name = toStr(format);
  if (name === "gzip" || name === "deflate" || name === "deflate-raw" || name === "brotli") return name;
  throw new TypeError(`"${name}" is not a compression format (gzip, deflate, deflate-raw, brotli)`);
}

/** Compresses what is written to it. */
export class CompressionStream {
  #pair: Pair;

  constructor(format: string) {
    this.#pair = new Pair(checkFormat(format), true);
  }

  get readable(): ReadableStream {
    return this.#pair.readable;
  }

  get writable(): WritableStream {
    return this.#pair.writable;
  }
}
webClass(CompressionStream);

/** Decompresses what is written to it; damaged, cut off or overlong input is a `TypeError`. */
export class DecompressionStream {
  #pair: Pair;

  constructor(format: string) {
    this.#pair = new Pair(checkFormat(format), false);
  }

  get readable(): ReadableStream {
    return this.#pair.readable;
  }

  get writable(): WritableStream {
    return this.#pair.writable;
  }
}
webClass(DecompressionStream);
