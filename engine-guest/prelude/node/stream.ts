/**
 * `node:stream`. As in Node.js, the module is the old `Stream` with everything else on it.
 */
import { objectAssign } from "../library.ts";
import { defineProperty } from "../primordials.ts";
import "./internal/streams/from.ts";
import "./internal/streams/operators.ts";
import { destroyer } from "./internal/streams/destroy.ts";
import { Duplex, PassThrough, Transform } from "./internal/streams/duplex.ts";
import { finished, finishedPromise } from "./internal/streams/finished.ts";
import { Stream } from "./internal/streams/legacy.ts";
import {
  addAbortSignal, getDefaultHighWaterMark, setDefaultHighWaterMark,
} from "./internal/streams/options.ts";
import { compose, pipeline, pipelinePromise } from "./internal/streams/pipeline.ts";
import { Readable } from "./internal/streams/readable.ts";
import { Writable } from "./internal/streams/writable.ts";
import { isDestroyed } from "./internal/streams/destroy.ts";
import { customPromisify } from "./internal/promisify.ts";

export const promises = { finished: finishedPromise, pipeline: pipelinePromise };
defineProperty(pipeline, customPromisify, { value: pipelinePromise, enumerable: true });
defineProperty(finished, customPromisify, { value: finishedPromise, enumerable: true });

export function destroy(stream: any, error?: any): any {
  destroyer(stream, error);
  return stream;
}

export function isErrored(stream: any): boolean {
  return !!(stream?._readableState?.errored || stream?._writableState?.errored || stream?.errored);
}

export function isReadable(stream: any): boolean | null {
  if (stream?._readableState === undefined && typeof stream?.readable !== "boolean") return null;
  if (isDestroyed(stream)) return false;
  return !!stream.readable && !stream._readableState?.endEmitted;
}

export function isWritable(stream: any): boolean | null {
  if (stream?._writableState === undefined && typeof stream?.writable !== "boolean") return null;
  if (isDestroyed(stream)) return false;
  return !!stream.writable && !stream._writableState?.ending;
}

/** Two duplexes, each of which reads what is written to the other. */
export function duplexPair(options?: any): any[] {
  const sides: any[] = [];
  const waiting: any[] = [null, null];
  for (let i = 0; i < 2; i++) {
    sides[i] = new (Duplex as any)({
      ...options,
      read() {
        const callback = waiting[i];
        waiting[i] = null;
        if (callback !== null) callback();
      },
      write(chunk: any, encoding: any, callback: any) {
        if (chunk.length === 0) return callback();
        sides[1 - i].push(chunk, encoding);
        waiting[1 - i] = callback;
      },
      final(callback: any) {
        sides[1 - i].on("end", callback);
        sides[1 - i].push(null);
      },
    });
  }
  return sides;
}

export function isDisturbed(stream: any): boolean {
  return !!(stream?._readableState?.dataEmitted || stream?.readableDidRead || stream?.readableAborted);
}

const all: any = objectAssign(Stream, {
  Stream, Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished, compose, addAbortSignal, promises, destroy,
  isErrored, isReadable, isWritable, isDisturbed, isDestroyed, duplexPair, getDefaultHighWaterMark, setDefaultHighWaterMark,
});
export {
  Duplex, PassThrough, Readable, Stream, Transform, Writable, addAbortSignal, compose, finished, getDefaultHighWaterMark,
  pipeline, setDefaultHighWaterMark,
};
export default all;
