/**
 * `ReadableStream.prototype.tee` and `ReadableStream.from`.
 */
import {
  type Deferred, Symbol, TypeError, Uint8Array, apply, deferred, isObject, isUint8Array, markHandled, promiseResolved,
  promiseThen,
} from "../primordials.ts";
import {
  type ReadableStream, type ReaderState, type StreamState, acquireReader, byteSteps, cancelStream, closeController,
  enqueue, errorStream, extendStreams, internalStream, readChunk, readableState, startSource,
} from "./readable.ts";

/** What both kinds of tee keep: two branches of one source, which is cancelled when both are given up. */
interface Tee {
  source: StreamState;
  states: StreamState[];
  gone: [boolean, boolean];
  reading: boolean;
  again: [boolean, boolean];
  cancelled: Deferred<undefined>;
}

export function newTee(source: StreamState): Tee {
  const tee: Tee = {
    source, states: [], gone: [false, false], reading: false, again: [false, false], cancelled: deferred(),
  };
  markHandled(tee.cancelled.promise);
  return tee;
}

export function isOpen(state: StreamState): boolean {
  return state.phase === "readable" && !state.closeRequested;
}

/** A branch; `pull` is called for one that lacks chunks while nothing is being read. */
export function branch(tee: Tee, index: 0 | 1, bytes: boolean, pull: (index: 0 | 1) => void, reasons: unknown[]): ReadableStream {
  const stream = internalStream(bytes ? 0 : 1, (state) => {
    tee.states[index] = state;
    state.bytes = bytes;
    return {
      pull: () => {
        if (tee.reading) tee.again[index] = true;
        else {
          tee.reading = true;
          pull(index);
        }
      },
      cancel: (reason) => {
        tee.gone[index] = true;
        reasons[index] = reason;
        if (tee.gone[0] && tee.gone[1]) tee.cancelled.resolve(cancelStream(tee.source, reasons) as any);
        return tee.cancelled.promise;
      },
    };
  });
  const state = tee.states[index]!;
  state.started = false;
  startSource(state, undefined);
  return stream;
}

function failTee(tee: Tee, reason: unknown): void {
  errorStream(tee.states[0]!, reason);
  errorStream(tee.states[1]!, reason);
}

/** Nobody waits for the source any more, if anybody still reads a branch. */
export function settleTee(tee: Tee): void {
  if (!tee.gone[0] || !tee.gone[1]) tee.cancelled.resolve(undefined);
}

export function failWith(tee: Tee, isCurrent: () => boolean, reader: ReaderState): void {
  promiseThen(reader.closed.promise, undefined, (reason: unknown) => {
    if (!isCurrent()) return;
    failTee(tee, reason);
    settleTee(tee);
  });
}

/** After a chunk went to the branches: goes on if one of them asked meanwhile. */
export function delivered(tee: Tee, pull: (index: 0 | 1) => void): void {
  const { again } = tee;
  tee.reading = again[0] || again[1];
  if (tee.reading) pull(again[0] ? 0 : 1);
}

/** Two streams that each give every chunk. Of a body's bytes the second gets copies. */
export function teeStream(stream: ReadableStream): [ReadableStream, ReadableStream] {
  const source = readableState(stream);
  if (source.byte !== null) return byteSteps().tee(source);
  const tee = newTee(source);
  const reader = acquireReader(source);
  const { states, gone } = tee;
  const pull = (): void => {
    readChunk(reader, {
      chunk: (value) =>
        promiseThen(promiseResolved(undefined), () => {
          tee.again = [false, false];
          const copy = source.bytes && !gone[1] && isUint8Array(value) ? new Uint8Array(value) : value;
          if (!gone[0] && isOpen(states[0]!)) enqueue(states[0]!, value);
          if (!gone[1] && isOpen(states[1]!)) enqueue(states[1]!, copy);
          delivered(tee, pull);
        }),
      close: () => {
        tee.reading = false;
        for (let i = 0; i < 2; i++) if (!gone[i] && isOpen(states[i]!)) closeController(states[i]!);
        settleTee(tee);
      },
      error: () => {
        tee.reading = false;
      },
    });
  };
  const reasons: unknown[] = [undefined, undefined];
  const first = branch(tee, 0, source.bytes, pull, reasons);
  const second = branch(tee, 1, source.bytes, pull, reasons);
  failWith(tee, () => true, reader);
  return [first, second];
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

extendStreams({ tee: teeStream, from: streamFrom });
