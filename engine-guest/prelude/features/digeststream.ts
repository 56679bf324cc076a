/**
 * `crypto.DigestStream`: a writable stream that keeps nothing of what is written to it but the digest. The state of
 * the digest lies here between two writes, so that the host has nothing to clean up.
 */
import { wholeBuffer } from "../body.ts";
import { CRYPTO_RUNNING_DIGEST, call, utf8Encode } from "../native.ts";
import {
  type Deferred, TypeError, Uint8Array, deferred, markHandled, typedArraySubarray, webClass,
} from "../primordials.ts";
import { WritableStream } from "../streams/writable.ts";
import { normalize } from "./subtle/normalize.ts";
import { INLINE_BYTES, copyOf, isBufferSource } from "./subtle/run.ts";
import "./subtle.ts";

class Running {
  #name: string;
  #state: Uint8Array | null = null;
  #bytes = 0;
  readonly done: Deferred<ArrayBuffer> = deferred<ArrayBuffer>();

  constructor(name: string) {
    this.#name = name;
  }

  get bytes(): number {
    return this.#bytes;
  }

  write(chunk: unknown): void {
    if (typeof chunk !== "string" && !isBufferSource(chunk)) {
      throw new TypeError("a DigestStream takes strings, ArrayBuffers and views of them");
    }
    const bytes = typeof chunk === "string" ? utf8Encode(chunk) : copyOf(chunk);
    for (let at = 0; at < bytes.length; at += INLINE_BYTES) {
      const piece = typedArraySubarray(bytes, at, at + INLINE_BYTES);
      this.#state = call(CRYPTO_RUNNING_DIGEST, this.#name, this.#state, piece, false);
    }
    this.#bytes += bytes.length;
  }

  finish(): void {
    const digest: Uint8Array = call(CRYPTO_RUNNING_DIGEST, this.#name, this.#state, new Uint8Array(0), true);
    this.done.resolve(wholeBuffer(digest));
  }
}

/** A stream to a digest. */
export class DigestStream extends WritableStream {
  #running: Running;

  constructor(algorithm: any) {
    const running = new Running(normalize("digest", algorithm).name);
    super({
      write(chunk: unknown): void {
        try {
          running.write(chunk);
        } catch (error) {
          running.done.reject(error);
          throw error;
        }
      },
      close: () => running.finish(),
      abort: (reason: unknown) => running.done.reject(reason),
    });
    markHandled(running.done.promise);
    this.#running = running;
  }

  /** The digest, once the stream is closed. */
  get digest(): Promise<ArrayBuffer> {
    return this.#running.done.promise;
  }

  get bytesWritten(): number {
    return this.#running.bytes;
  }
}
webClass(DigestStream);
