/**
 * `TransformStream` (WHATWG Streams, section 6).
 */
import { INTERNAL } from "../internal.ts";
import {
  type Deferred, Promise, RangeError, TypeError, apply, deferred, promiseThen,
  webClass,
} from "../primordials.ts";
import { markOf, method, readStrategy, sizeOf, underlying } from "../webidl.ts";
import {
  type ReadableStream, type StreamState, closeController, desiredSize, enqueue, errorStream, internalStream,
  startSource, wantsChunks,
} from "./readable.ts";
import { type WritableState, type WritableStream, errorIfWritable, internalWritable, writableState } from "./writable.ts";

interface TransformState {
  readable: StreamState;
  writable: WritableState;
  backpressure: boolean;
  changed: Deferred<undefined>;
  transform: (chunk: unknown) => unknown;
  flush: () => unknown;
  cancel: (reason: unknown) => unknown;
  finish: Promise<unknown> | null;
}

function setBackpressure(state: TransformState, backpressure: boolean): void {
  state.changed.resolve(undefined);
  state.changed = deferred();
  state.backpressure = backpressure;
}

function errorBoth(state: TransformState, reason: unknown): void {
  errorStream(state.readable, reason);
  errorWritableSide(state, reason);
}

function errorWritableSide(state: TransformState, reason: unknown): void {
  forget(state);
  errorIfWritable(state.writable, reason);
  if (state.backpressure) setBackpressure(state, false);
}

/** Runs a step that may throw, and answers with a promise of our own, as WebIDL has it. */
function attempt(step: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(step()));
}

function transformEnqueue(state: TransformState, chunk: unknown): void {
  const { readable } = state;
  if (readable.phase !== "readable" || readable.closeRequested) {
    throw new TypeError("the readable side is closed or has failed");
  }
  try {
    enqueue(readable, chunk);
  } catch (error) {
    errorWritableSide(state, error);
    throw readable.reason;
  }
  if (!state.backpressure && !wantsChunks(readable)) setBackpressure(state, true);
}

function perform(state: TransformState, chunk: unknown): Promise<unknown> {
  return promiseThen(attempt(() => state.transform(chunk)), undefined, (reason: unknown) => {
    errorBoth(state, reason);
    throw reason;
  });
}

function sinkWrite(state: TransformState, chunk: unknown): Promise<unknown> {
  if (!state.backpressure) return perform(state, chunk);
  return promiseThen(state.changed.promise, () => {
    if (state.writable.phase === "erroring") throw state.writable.reason;
    return perform(state, chunk);
  });
}

/** The three ends of a transform: whichever comes first settles the others too. */
function finish(
  state: TransformState, step: () => unknown, done: (end: Deferred<undefined>) => void, failed: (reason: unknown) => void,
): Promise<unknown> {
  if (state.finish !== null) return state.finish;
  const end = deferred<undefined>();
  state.finish = end.promise;
  const result = attempt(step);
  forget(state);
  promiseThen(result, () => done(end), (reason: unknown) => {
    failed(reason);
    end.reject(reason);
  });
  return end.promise;
}

function forget(state: TransformState): void {
  state.transform = nothing;
  state.flush = nothing;
  state.cancel = nothing;
}

const nothing = (): void => {};

function sinkClose(state: TransformState): Promise<unknown> {
  const { readable } = state;
  return finish(state, state.flush, (end) => {
    if (readable.phase === "errored") return end.reject(readable.reason);
    if (readable.phase === "readable" && !readable.closeRequested) closeController(readable);
    end.resolve(undefined);
  }, (reason) => errorStream(readable, reason));
}

function sinkAbort(state: TransformState, reason: unknown): Promise<unknown> {
  const { readable } = state;
  return finish(state, () => state.cancel(reason), (end) => {
    if (readable.phase === "errored") return end.reject(readable.reason);
    errorStream(readable, reason);
    end.resolve(undefined);
  }, (failure) => errorStream(readable, failure));
}

function sourceCancel(state: TransformState, reason: unknown): Promise<unknown> {
  const { writable } = state;
  return finish(state, () => state.cancel(reason), (end) => {
    if (writable.phase === "errored") return end.reject(writable.reason);
    errorWritableSide(state, reason);
    end.resolve(undefined);
  }, (failure) => errorWritableSide(state, failure));
}

/** What a transformer puts its results into. */
export class TransformStreamDefaultController {
  #state: TransformState;

  constructor(token: unknown = undefined, state: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get desiredSize(): number | null {
    return desiredSize(this.#state.readable);
  }

  enqueue(chunk: any = undefined): void {
    transformEnqueue(this.#state, chunk);
  }

  error(reason: unknown = undefined): void {
    errorBoth(this.#state, reason);
  }

  terminate(): void {
    const { readable } = this.#state;
    if (readable.phase === "readable" && !readable.closeRequested) closeController(readable);
    errorWritableSide(this.#state, new TypeError("the transform was terminated"));
  }
}
webClass(TransformStreamDefaultController);

/** A writable and a readable side with a function between them. */
export class TransformStream {
  #readable: ReadableStream;
  #writable: WritableStream;

  constructor(transformer: any = undefined, writableStrategy: any = undefined, readableStrategy: any = undefined) {
    const outer = readStrategy(writableStrategy);
    const inner = readStrategy(readableStrategy);
    const from = underlying(transformer, "a transformer");
    const cancel = method(from, "cancel");
    const flush = method(from, "flush");
    const { readableType } = from;
    const start = method(from, "start");
    const transform = method(from, "transform");
    const { writableType } = from;
    if (readableType !== undefined || writableType !== undefined) {
      throw new RangeError("a transformer's readableType and writableType must be left out");
    }
    const readableMark = markOf(inner, 0);
    const writableMark = markOf(outer, 1);
    const began = deferred<unknown>();
    const state = { backpressure: true, changed: deferred<undefined>(), finish: null } as TransformState;
    const controller = new TransformStreamDefaultController(INTERNAL, state);
    state.transform = transform === undefined
      ? (chunk) => transformEnqueue(state, chunk)
      : (chunk) => apply(transform, transformer, [chunk, controller]);
    state.flush = () => (flush === undefined ? undefined : apply(flush, transformer, [controller]));
    state.cancel = (reason) => (cancel === undefined ? undefined : apply(cancel, transformer, [reason]));
    this.#readable = internalStream(readableMark, (readable) => {
      state.readable = readable;
      readable.size = sizeOf(inner);
      return {
        pull: () => {
          setBackpressure(state, false);
          return state.changed.promise;
        },
        cancel: (reason) => sourceCancel(state, reason),
      };
    });
    state.readable.started = false;
    this.#writable = internalWritable(writableMark, sizeOf(outer), began.promise, {
      write: (chunk) => sinkWrite(state, chunk),
      close: () => sinkClose(state),
      abort: (reason) => sinkAbort(state, reason),
    });
    state.writable = writableState(this.#writable);
    const plain = transform === undefined && flush === undefined && cancel === undefined && start === undefined;
    if (plain && inner.size === undefined && outer.size === undefined) state.writable.identity = state.readable;
    startSource(state.readable, began.promise);
    began.resolve(start === undefined ? undefined : apply(start, transformer, [controller]));
  }

  get readable(): ReadableStream {
    return this.#readable;
  }

  get writable(): WritableStream {
    return this.#writable;
  }
}
webClass(TransformStream);
