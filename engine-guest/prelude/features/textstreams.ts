/**
 * `TextEncoderStream` and `TextDecoderStream` (Encoding Standard, sections 7.5 and 7.6), made with a `TransformStream`.
 */
import { TextDecoder, TextEncoder } from "../encoding.ts";
import { stringCharCodeAt, stringSlice, toStr, uncurry, webClass } from "../primordials.ts";
import type { ReadableStream } from "../streams/readable.ts";
import { TransformStream, type TransformStreamDefaultController } from "../streams/transform.ts";
import type { WritableStream } from "../streams/writable.ts";

const encode = uncurry(TextEncoder.prototype.encode);
const decode = uncurry(TextDecoder.prototype.decode);

/** Strings in, UTF-8 out; a surrogate pair split between two chunks is put together again. */
export class TextEncoderStream {
  #transform: TransformStream;

  constructor() {
    const encoder = new TextEncoder();
    let high = "";
    this.#transform = new TransformStream({
      transform(chunk: unknown, controller: TransformStreamDefaultController): void {
        let text = high + toStr(chunk);
        high = "";
        const last = text.length === 0 ? 0 : stringCharCodeAt(text, text.length - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
          high = text[text.length - 1]!;
          text = stringSlice(text, 0, -1);
        }
        if (text !== "") controller.enqueue(encode(encoder, text));
      },
      flush(controller: TransformStreamDefaultController): void {
        if (high !== "") controller.enqueue(encode(encoder, high));
      },
    });
  }

  get encoding(): string {
    void this.#transform;
    return "utf-8";
  }

  get readable(): ReadableStream {
    return this.#transform.readable;
  }

  get writable(): WritableStream {
    return this.#transform.writable;
  }
}
webClass(TextEncoderStream);

/** UTF-8 in, strings out. */
export class TextDecoderStream {
  #transform: TransformStream;
  #decoder: TextDecoder;

  constructor(label: string = "utf-8", options: any = undefined) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#transform = new TransformStream({
      transform(chunk: unknown, controller: TransformStreamDefaultController): void {
        // A chunk that is missing is no bytes either, where decode() would take it for none.
        const text: string = decode(decoder, chunk === undefined ? null : chunk, { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller: TransformStreamDefaultController): void {
        const text: string = decode(decoder);
        if (text !== "") controller.enqueue(text);
      },
    });
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }

  get fatal(): boolean {
    return this.#decoder.fatal;
  }

  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }

  get readable(): ReadableStream {
    return this.#transform.readable;
  }

  get writable(): WritableStream {
    return this.#transform.writable;
  }
}
webClass(TextDecoderStream);
