/**
 * Node streams as web streams, and the other way round.
 */
import { Promise, Uint8Array, isUint8Array, promiseResolved, promiseThen } from "../../../primordials.ts";
import { checkObject, invalidArgType, nodeAbortError } from "../errors.ts";
import { ReadableStream } from "../../../streams/readable.ts";
import { WritableStream } from "../../../streams/writable.ts";
import { ByteLengthQueuingStrategy, CountQueuingStrategy } from "../../../streams/strategies.ts";
import { bufferOver } from "../buffer.ts";
import { nextTick } from "../ticks.ts";
import { destroyer } from "./destroy.ts";
import { Duplex } from "./duplex.ts";
import { finished, webHooks } from "./finished.ts";
import { Readable } from "./readable.ts";
import { Writable } from "./writable.ts";

/** Waits for a web stream without taking part in it: only a locked one can't be waited for. */
webHooks.closedPromiseOf = (stream: any): Promise<unknown> => {
  const side = stream instanceof ReadableStream || stream instanceof WritableStream ? stream : stream.readable;
  const holder: any = side instanceof ReadableStream ? (side as any).getReader() : (side as any).getWriter();
  const { closed } = holder;
  promiseThen(closed, undefined, () => {});
  holder.releaseLock();
  return closed;
};

export function readableFromWeb(stream: any, options: any = {}): any {
  if (!(stream instanceof ReadableStream)) throw invalidArgType("readableStream", "an instance of ReadableStream", stream);
  const reader: any = stream.getReader();
  let closed = false;
  const readable = new (Readable as any)({
    objectMode: options.objectMode, highWaterMark: options.highWaterMark, encoding: options.encoding, signal: options.signal,
    read(this: any) {
      promiseThen(reader.read(), (step: any) => {
        if (step.done) this.push(null);
        else this.push(isUint8Array(step.value) ? bufferOver(step.value) : step.value);
      }, (error: any) => destroyer(this, error));
    },
    destroy(error: any, callback: any) {
      const end = (): void => nextTick(callback, error);
      if (closed) return end();
      promiseThen(reader.cancel(error), end, end);
    },
  });
  promiseThen(reader.closed, () => {
    closed = true;
  }, (error: any) => {
    closed = true;
    destroyer(readable, error);
  });
  return readable;
}

export function writableFromWeb(stream: any, options: any = {}): any {
  if (!(stream instanceof WritableStream)) throw invalidArgType("writableStream", "an instance of WritableStream", stream);
  const writer: any = stream.getWriter();
  let closed = false;
  const writable = new (Writable as any)({
    highWaterMark: options.highWaterMark, objectMode: options.objectMode, decodeStrings: options.decodeStrings, signal: options.signal,
    write(chunk: any, _encoding: any, callback: any) {
      const settle = (error?: any): void => nextTick(callback, error);
      promiseThen(writer.ready, () => promiseThen(writer.write(chunk), () => settle(), settle), settle);
    },
    final(callback: any) {
      const settle = (error?: any): void => nextTick(callback, error);
      if (closed) return settle();
      promiseThen(writer.close(), () => settle(), settle);
    },
    destroy(error: any, callback: any) {
      const end = (): void => nextTick(callback, error);
      if (closed) return end();
      promiseThen(error ? writer.abort(error) : promiseResolved(undefined), end, end);
    },
  });
  promiseThen(writer.closed, () => {
    closed = true;
  }, (error: any) => {
    closed = true;
    destroyer(writable, error);
  });
  return writable;
}

export function duplexFromWeb(given: any, options: any = {}): any {
  checkObject(given, "pair");
  const readable = readableFromWeb(given.readable, options);
  const writable = writableFromWeb(given.writable, options);
  const duplex = new (Duplex as any)({
    objectMode: options.objectMode, allowHalfOpen: options.allowHalfOpen, signal: options.signal,
    read() {
      readable.resume();
    },
    write(chunk: any, encoding: any, callback: any) {
      writable.write(chunk, encoding, callback);
    },
    final(callback: any) {
      writable.end(callback);
    },
    destroy(error: any, callback: any) {
      if (!readable.destroyed) readable.destroy(error);
      if (!writable.destroyed && (error || !writable.writableFinished)) writable.destroy(error);
      callback(error);
    },
  });
  readable.on("data", (chunk: any) => {
    if (!duplex.push(chunk)) readable.pause();
  });
  readable.on("end", () => duplex.push(null));
  readable.on("error", (error: any) => duplex.destroy(error));
  writable.on("error", (error: any) => duplex.destroy(error));
  return duplex;
}

/** A web stream of any kind as a node stream. */
export function toNode(stream: any): any {
  if (stream instanceof ReadableStream) return readableFromWeb(stream, { objectMode: true });
  if (stream instanceof WritableStream) return writableFromWeb(stream, { objectMode: true });
  return duplexFromWeb(stream, { objectMode: true });
}

export function readableToWeb(readable: any, options: any = {}): any {
  if (readable?._readableState === undefined) throw invalidArgType("streamReadable", "an instance of stream.Readable", readable);
  if (readable.destroyed || readable.readable === false) {
    const empty: any = new ReadableStream();
    empty.cancel();
    return empty;
  }
  const { readableObjectMode, readableHighWaterMark } = readable;
  const strategy = options.strategy ?? (readableObjectMode
    ? new (CountQueuingStrategy as any)({ highWaterMark: readableHighWaterMark })
    : new (ByteLengthQueuingStrategy as any)({ highWaterMark: readableHighWaterMark }));
  let controller: any;
  let over = false;
  const onData = (chunk: any): void => {
    controller.enqueue(isUint8Array(chunk) && !readableObjectMode ? new Uint8Array(chunk) : chunk);
    if (controller.desiredSize <= 0) readable.pause();
  };
  readable.pause();
  const cleanup = finished(readable, { writable: false }, (error: any) => {
    const failure = error?.code === "ERR_STREAM_PREMATURE_CLOSE" ? nodeAbortError(error) : error;
    cleanup();
    readable.on("error", () => {});
    if (over) return;
    over = true;
    if (failure) controller.error(failure);
    else controller.close();
  });
  readable.on("data", onData);
  return new (ReadableStream as any)({
    start(given: any) {
      controller = given;
      readable.pause();
    },
    pull() {
      readable.resume();
    },
    cancel(reason: any) {
      over = true;
      destroyer(readable, reason);
    },
  }, strategy);
}

export function writableToWeb(writable: any): any {
  if (writable?._writableState === undefined) throw invalidArgType("streamWritable", "an instance of stream.Writable", writable);
  let controller: any;
  let waiting: { resolve: () => void; reject: (error: any) => void } | null = null;
  let closing: any = null;
  const cleanup = finished(writable, { readable: false }, (error: any) => {
    const failure = error?.code === "ERR_STREAM_PREMATURE_CLOSE" ? nodeAbortError(error) : error;
    cleanup();
    writable.on("error", () => {});
    if (failure) {
      waiting?.reject(failure);
      closing?.reject(failure);
      controller.error(failure);
    } else if (closing) closing.resolve();
    else controller.error(nodeAbortError());
    closing = null;
    waiting = null;
  });
  writable.on("drain", () => {
    waiting?.resolve();
    waiting = null;
  });
  const hold = (): Promise<void> => new Promise<void>((resolve, reject) => {
    waiting = { resolve, reject };
  });
  return new (WritableStream as any)({
    start(given: any) {
      controller = given;
    },
    write(chunk: any) {
      if (writable.writableNeedDrain || !writable.write(chunk)) return hold();
    },
    abort(reason: any) {
      destroyer(writable, reason);
    },
    close() {
      return new Promise<void>((resolve, reject) => {
        closing = { resolve, reject };
        writable.end();
      });
    },
  }, writable.writableObjectMode
    ? new (CountQueuingStrategy as any)({ highWaterMark: writable.writableHighWaterMark })
    : new (ByteLengthQueuingStrategy as any)({ highWaterMark: writable.writableHighWaterMark }));
}

(Readable as any).fromWeb = readableFromWeb;
(Readable as any).toWeb = readableToWeb;
(Readable as any).wrap = (source: any, options: any): any => new (Readable as any)({
  objectMode: source.readableObjectMode ?? source.objectMode ?? true, ...options,
  destroy(error: any, callback: any) {
    destroyer(source, error);
    callback(error);
  },
}).wrap(source);
(Writable as any).fromWeb = writableFromWeb;
(Writable as any).toWeb = writableToWeb;
(Duplex as any).fromWeb = duplexFromWeb;
(Duplex as any).toWeb = (duplex: any): any => ({ readable: readableToWeb(duplex), writable: writableToWeb(duplex) });
