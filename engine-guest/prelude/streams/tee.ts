/**
 * `ReadableStream.prototype.tee` and `ReadableStream.from`.
 */
import {
  type Deferred, Symbol, TypeError, Uint8Array, apply, deferred, isObject, isUint8Array, markHandled, promiseResolved,
  promiseThen,
} from "../primordials.ts";
import {
  type ReadableStream, type StreamState, acquireReader, cancelStream, closeController, enqueue, errorStream,
  internalStream, readChunk, readableState,
} from "./readable.ts";

/** Two streams that each give every chunk; with `copyChunks`, the second gets copies of bytes. */
export function teeStream(stream: ReadableStream, copyChunks: boolean): [ReadableStream, ReadableStream] {
  const source = readableState(stream);
  const reader = acquireReader(source);
  const cancelled: Deferred<undefined> = deferred();
  const reasons: [unknown, unknown] = [undefined, undefined];
  const gone: [boolean, boolean] = [false, false];
  const states: StreamState[] = [];
  let reading = false;

  const each = (act: (state: StreamState) => void): void => {
    for (let i = 0; i < 2; i++) if (!gone[i]) act(states[i]!);
  };
  const deliver = (value: any): void => {
    reading = false;
    if (!gone[0] && states[0]!.phase === "readable") enqueue(states[0]!, value);
    if (!gone[1] && states[1]!.phase === "readable") {
      enqueue(states[1]!, copyChunks && isUint8Array(value) ? new Uint8Array(value) : value);
    }
  };
  const pull = (): unknown => {
    if (reading) return undefined;
    reading = true;
    readChunk(reader, {
      chunk: (value) => promiseThen(promiseResolved(undefined), () => deliver(value)),
      close: () => {
        reading = false;
        each((state) => state.phase === "readable" && closeController(state));
        if (!gone[0] || !gone[1]) cancelled.resolve(undefined);
      },
      error: () => {
        reading = false;
      },
    });
    return undefined;
  };
  const cancel = (index: 0 | 1) => (reason: unknown): unknown => {
    gone[index] = true;
    reasons[index] = reason;
    if (gone[0] && gone[1]) cancelled.resolve(cancelStream(source, reasons) as any);
    return cancelled.promise;
  };
  const branch = (index: 0 | 1): ReadableStream =>
    internalStream(1, (state) => {
      states[index] = state;
      return { pull, cancel: cancel(index) };
    });
  const branches: [ReadableStream, ReadableStream] = [branch(0), branch(1)];
  promiseThen(reader.closed.promise, undefined, (reason: unknown) => {
    errorStream(states[0]!, reason);
    errorStream(states[1]!, reason);
    if (!gone[0] || !gone[1]) cancelled.resolve(undefined);
  });
  markHandled(cancelled.promise);
  return branches;
}

/** A stream of what an iterable or async iterable yields. */
export function streamFrom(iterable: any): ReadableStream {
  if (iterable === null || iterable === undefined) throw new TypeError("ReadableStream.from needs an iterable");
  const make = iterable[Symbol.asyncIterator] ?? iterable[Symbol.iterator];
  if (typeof make !== "function") throw new TypeError("ReadableStream.from needs an iterable");
  const iterator = apply(make, iterable, []);
  if (!isObject(iterator)) throw new TypeError("the iterable gave no iterator");
  const { next } = iterator;
  return internalStream(0, (state) => ({
    pull: async () => {
      const result = await apply(next, iterator, []);
      if (!isObject(result)) throw new TypeError("the iterator gave no result object");
      if (result.done) {
        if (state.phase === "readable") closeController(state);
        return;
      }
      const value = await result.value;
      if (state.phase === "readable") enqueue(state, value);
    },
    cancel: async (reason) => {
      const end = iterator.return;
      if (end === undefined || end === null) return;
      if (!isObject(await apply(end, iterator, [reason]))) throw new TypeError("the iterator gave no result object");
    },
  }));
}
