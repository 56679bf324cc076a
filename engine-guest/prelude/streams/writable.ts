/**
 * `WritableStream` with its default controller and writer (WHATWG Streams, section 5).
 */
import { AbortController, type AbortSignal } from "../abort.ts";
import { INTERNAL } from "../internal.ts";
import { promiseState } from "../native.ts";
import {
  type Deferred, Promise, RangeError, TypeError, apply, deferred, isObject, markHandled, promiseRejected, promiseResolved,
  promiseThen, webClass,
} from "../primordials.ts";
import { markOf, method, readStrategy, sizeOf, underlying } from "../webidl.ts";
import { type ChunkQueue, clearQueue, firstChunk, newQueue, pushChunk, queueLength, shiftChunk } from "./queue.ts";
import { type StreamState, illegal } from "./readable.ts";

type Phase = "writable" | "erroring" | "errored" | "closed";

export interface WriterState {
  stream: WritableState | null;
  ready: Deferred<undefined>;
  closed: Deferred<undefined>;
}

export interface WritableState {
  phase: Phase;
  reason: unknown;
  writer: WriterState | null;
  queue: ChunkQueue;
  highWaterMark: number;
  size: ((chunk: any) => number) | null;
  started: boolean;
  write: ((chunk: any) => unknown) | null;
  close: (() => unknown) | null;
  abort: ((reason: unknown) => unknown) | null;
  controller: AbortController | null;
  /** Why the stream was aborted, for a signal that is asked for later. */
  aborted: { reason: unknown } | null;
  /** The other side, where what is written comes out as it is. */
  identity: StreamState | null;
  backpressure: boolean;
  writes: Deferred<undefined>[];
  inFlightWrite: Deferred<undefined> | null;
  closeRequest: Deferred<undefined> | null;
  inFlightClose: Deferred<undefined> | null;
  pendingAbort: { done: Deferred<undefined>; reason: unknown; wasErroring: boolean } | null;
}

/** Stands in the queue for the close that comes after all writes. */
const CLOSE = INTERNAL;

function newState(highWaterMark: number, size: ((chunk: any) => number) | null): WritableState {
  return {
    phase: "writable", reason: undefined, writer: null, queue: newQueue(), highWaterMark, size, started: false,
    write: null, close: null, abort: null, controller: null, aborted: null, identity: null,
    backpressure: highWaterMark <= 0, writes: [],
    inFlightWrite: null, closeRequest: null, inFlightClose: null, pendingAbort: null,
  };
}

function handled<T>(end: Deferred<T>): Deferred<T> {
  markHandled(end.promise);
  return end;
}

export function closeQueuedOrInFlight(state: WritableState): boolean {
  return state.closeRequest !== null || state.inFlightClose !== null;
}

export function writableDesiredSize(state: WritableState): number | null {
  if (state.phase === "errored" || state.phase === "erroring") return null;
  return state.phase === "closed" ? 0 : state.highWaterMark - state.queue.total;
}

function updateBackpressure(state: WritableState, backpressure: boolean): void {
  const { writer } = state;
  if (writer !== null && backpressure !== state.backpressure) {
    if (backpressure) writer.ready = deferred();
    else writer.ready.resolve(undefined);
  }
  state.backpressure = backpressure;
}

/** Begins to fail: writes already handed over finish first. */
export function startErroring(state: WritableState, reason: unknown): void {
  state.phase = "erroring";
  state.reason = reason;
  const { writer } = state;
  if (writer !== null) rejectReady(writer, reason);
  if (state.inFlightWrite === null && state.inFlightClose === null && state.started) finishErroring(state);
}

/** A rejected promise in the place of `end`; the same one, if it was still pending. Nobody has to handle it. */
function rejectedEnd(end: Deferred<undefined>, reason: unknown): Deferred<undefined> {
  const rejected = promiseState(end.promise) === 0 ? end : deferred<undefined>();
  handled(rejected).reject(reason);
  return rejected;
}

function rejectReady(writer: WriterState, reason: unknown): void {
  writer.ready = rejectedEnd(writer.ready, reason);
}

export function errorIfWritable(state: WritableState, reason: unknown): void {
  if (state.phase === "writable") startErroring(state, reason);
}

function dealWithRejection(state: WritableState, reason: unknown): void {
  if (state.phase === "writable") startErroring(state, reason);
  else finishErroring(state);
}

function finishErroring(state: WritableState): void {
  state.phase = "errored";
  clearQueue(state.queue);
  const { writes, pendingAbort, abort } = state;
  state.writes = [];
  for (let i = 0; i < writes.length; i++) writes[i]!.reject(state.reason);
  if (pendingAbort === null) return rejectCloseAndClosed(state);
  state.pendingAbort = null;
  if (pendingAbort.wasErroring) {
    pendingAbort.done.reject(state.reason);
    return rejectCloseAndClosed(state);
  }
  let result: unknown;
  try {
    result = abort === null ? undefined : abort(pendingAbort.reason);
  } catch (error) {
    result = promiseRejected(error);
  }
  forget(state);
  promiseThen(
    promiseResolved(result),
    () => {
      pendingAbort.done.resolve(undefined);
      rejectCloseAndClosed(state);
    },
    (reason: unknown) => {
      pendingAbort.done.reject(reason);
      rejectCloseAndClosed(state);
    },
  );
}

function rejectCloseAndClosed(state: WritableState): void {
  if (state.closeRequest !== null) {
    state.closeRequest.reject(state.reason);
    state.closeRequest = null;
  }
  if (state.writer !== null) {
    markHandled(state.writer.closed.promise);
    state.writer.closed.reject(state.reason);
  }
}

function forget(state: WritableState): void {
  state.write = null;
  state.close = null;
  state.abort = null;
  state.size = null;
}

function advance(state: WritableState): void {
  if (!state.started || state.inFlightWrite !== null) return;
  if (state.phase === "erroring") return finishErroring(state);
  if (state.phase !== "writable" || queueLength(state.queue) === 0) return;
  const chunk = firstChunk(state.queue);
  if (chunk === CLOSE) runClose(state);
  else runWrite(state, chunk);
}

function callSink(step: () => unknown, done: () => void, failed: (reason: unknown) => void): void {
  let result: unknown;
  try {
    result = step();
  } catch (error) {
    result = promiseRejected(error);
  }
  promiseThen(promiseResolved(result), done, failed);
}

function runClose(state: WritableState): void {
  const request = state.closeRequest!;
  state.inFlightClose = request;
  state.closeRequest = null;
  shiftChunk(state.queue);
  const { close } = state;
  callSink(
    () => (close === null ? undefined : close()),
    () => {
      state.inFlightClose = null;
      request.resolve(undefined);
      if (state.phase === "erroring" && state.pendingAbort !== null) {
        state.pendingAbort.done.resolve(undefined);
        state.pendingAbort = null;
      }
      state.phase = "closed";
      if (state.writer !== null) state.writer.closed.resolve(undefined);
    },
    (reason) => {
      state.inFlightClose = null;
      request.reject(reason);
      if (state.pendingAbort !== null) {
        state.pendingAbort.done.reject(reason);
        state.pendingAbort = null;
      }
      dealWithRejection(state, reason);
    },
  );
  forget(state);
}

function runWrite(state: WritableState, chunk: unknown): void {
  const request = state.writes[0]!;
  for (let i = 1; i < state.writes.length; i++) state.writes[i - 1] = state.writes[i]!;
  state.writes.length--;
  state.inFlightWrite = request;
  const { write } = state;
  callSink(
    () => (write === null ? undefined : write(chunk)),
    () => {
      state.inFlightWrite = null;
      request.resolve(undefined);
      shiftChunk(state.queue);
      if (!closeQueuedOrInFlight(state) && state.phase === "writable") {
        updateBackpressure(state, writableDesiredSize(state)! <= 0);
      }
      advance(state);
    },
    (reason) => {
      state.inFlightWrite = null;
      request.reject(reason);
      if (state.phase === "writable") forget(state);
      dealWithRejection(state, reason);
    },
  );
}

const closing = (): TypeError => new TypeError("the stream is closed or closing; nothing can be written");

/** Writes for `writer`, or for a pipe that holds the stream. */
export function writeChunk(writer: WriterState, chunk: unknown): Promise<undefined> {
  const state = writer.stream!;
  let size = 1;
  if (state.size !== null) {
    try {
      size = state.size(chunk);
    } catch (error) {
      errorIfWritable(state, error);
    }
    if (writer.stream !== state) return released();
  }
  if (state.phase === "errored") return promiseRejected(state.reason);
  if (closeQueuedOrInFlight(state) || state.phase === "closed") return promiseRejected(closing());
  if (state.phase === "erroring") return promiseRejected(state.reason);
  const done = deferred<undefined>();
  state.writes[state.writes.length] = done;
  try {
    pushChunk(state.queue, chunk, size);
  } catch (error) {
    errorIfWritable(state, error);
    return done.promise;
  }
  if (state.phase === "writable") updateBackpressure(state, writableDesiredSize(state)! <= 0);
  advance(state);
  return done.promise;
}

export function closeWritable(state: WritableState): Promise<undefined> {
  if (state.phase === "closed" || state.phase === "errored" || closeQueuedOrInFlight(state)) {
    return promiseRejected(new TypeError("the stream is closed, closing or has failed"));
  }
  const done = deferred<undefined>();
  state.closeRequest = done;
  if (state.writer !== null && state.backpressure && state.phase === "writable") state.writer.ready.resolve(undefined);
  pushChunk(state.queue, CLOSE, 0);
  advance(state);
  return done.promise;
}

export function abortWritable(state: WritableState, reason: unknown): Promise<undefined> {
  if (state.phase === "closed" || state.phase === "errored") return promiseResolved(undefined);
  state.aborted ??= { reason };
  if (state.controller !== null) state.controller.abort(reason);
  const phase = state.phase as Phase;
  if (phase === "closed" || phase === "errored") return promiseResolved(undefined);
  if (state.pendingAbort !== null) return state.pendingAbort.done.promise;
  const wasErroring = phase === "erroring";
  const done = deferred<undefined>();
  state.pendingAbort = { done, reason: wasErroring ? undefined : reason, wasErroring };
  if (!wasErroring) startErroring(state, reason);
  return done.promise;
}

export function acquireWriter(state: WritableState): WriterState {
  if (state.writer !== null) throw new TypeError("the stream is already locked to a writer");
  const writer: WriterState = { stream: state, ready: deferred(), closed: deferred() };
  state.writer = writer;
  const { ready, closed } = writer;
  if (state.phase === "writable") {
    if (closeQueuedOrInFlight(state) || !state.backpressure) ready.resolve(undefined);
  } else if (state.phase === "closed") {
    ready.resolve(undefined);
    closed.resolve(undefined);
  } else {
    handled(ready).reject(state.reason);
    if (state.phase === "errored") handled(closed).reject(state.reason);
  }
  return writer;
}

export function releaseWriter(writer: WriterState): void {
  const state = writer.stream;
  if (state === null) return;
  const reason = new TypeError("the writer's lock was released");
  rejectReady(writer, reason);
  writer.closed = rejectedEnd(writer.closed, reason);
  state.writer = null;
  writer.stream = null;
}

/** What an underlying sink may do to its stream. */
export class WritableStreamDefaultController {
  #state: WritableState;

  constructor(token: unknown = undefined, state: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get signal(): AbortSignal {
    const state = this.#state;
    if (state.controller === null) {
      state.controller = new AbortController();
      if (state.aborted !== null) state.controller.abort(state.aborted.reason);
    }
    return state.controller.signal;
  }

  error(reason: unknown = undefined): void {
    if (this.#state.phase === "writable") {
      forget(this.#state);
      startErroring(this.#state, reason);
    }
  }
}
webClass(WritableStreamDefaultController);

const released = (): Promise<never> => promiseRejected(new TypeError("the writer's lock was released"));

let writerOf: (writer: unknown) => WriterState | null;

/** Writes to a stream chunk by chunk. */
export class WritableStreamDefaultWriter {
  #writer: WriterState;

  constructor(stream: WritableStream) {
    if (!isWritableStream(stream)) throw new TypeError("a writer needs a WritableStream");
    this.#writer = acquireWriter(stateOf(stream));
  }

  static {
    writerOf = (writer: any) => (isObject(writer) && #writer in writer ? writer.#writer : null);
  }

  get closed(): Promise<undefined> {
    const writer = writerOf(this);
    return writer === null ? illegal() : writer.closed.promise;
  }

  get desiredSize(): number | null {
    const { stream } = this.#writer;
    if (stream === null) throw new TypeError("the writer's lock was released");
    return writableDesiredSize(stream);
  }

  get ready(): Promise<undefined> {
    const writer = writerOf(this);
    return writer === null ? illegal() : writer.ready.promise;
  }

  abort(reason: unknown = undefined): Promise<undefined> {
    const writer = writerOf(this);
    if (writer === null) return illegal();
    return writer.stream === null ? released() : abortWritable(writer.stream, reason);
  }

  close(): Promise<undefined> {
    const writer = writerOf(this);
    if (writer === null) return illegal();
    return writer.stream === null ? released() : closeWritable(writer.stream);
  }

  releaseLock(): void {
    releaseWriter(this.#writer);
  }

  write(chunk: any = undefined): Promise<undefined> {
    const writer = writerOf(this);
    if (writer === null) return illegal();
    return writer.stream === null ? released() : writeChunk(writer, chunk);
  }
}
webClass(WritableStreamDefaultWriter);

let stateOf: (stream: WritableStream) => WritableState;
let brand: (value: unknown) => value is WritableStream;

/** A place to put chunks. */
export class WritableStream {
  #state: WritableState;

  constructor(sink: any = undefined, strategy: any = undefined) {
    if (sink === INTERNAL) {
      this.#state = strategy;
      return;
    }
    const read = readStrategy(strategy);
    const from = underlying(sink, "an underlying sink");
    const abort = method(from, "abort");
    const close = method(from, "close");
    const start = method(from, "start");
    if (from.type !== undefined) throw new RangeError("an underlying sink has no type");
    const write = method(from, "write");
    const state = newState(markOf(read, 1), sizeOf(read));
    this.#state = state;
    const controller = new WritableStreamDefaultController(INTERNAL, state);
    if (write !== undefined) state.write = (chunk) => apply(write, sink, [chunk, controller]);
    if (close !== undefined) state.close = () => apply(close, sink, []);
    if (abort !== undefined) state.abort = (reason) => apply(abort, sink, [reason]);
    started(state, start === undefined ? undefined : apply(start, sink, [controller]));
  }

  static {
    stateOf = (stream) => stream.#state;
    brand = (value): value is WritableStream => isObject(value) && #state in value;
  }

  get locked(): boolean {
    return this.#state.writer !== null;
  }

  abort(reason: unknown = undefined): Promise<undefined> {
    if (!isWritableStream(this)) return illegal();
    const state = this.#state;
    if (state.writer !== null) return promiseRejected(new TypeError("a locked stream cannot be aborted"));
    return abortWritable(state, reason);
  }

  close(): Promise<undefined> {
    if (!isWritableStream(this)) return illegal();
    const state = this.#state;
    if (state.writer !== null) return promiseRejected(new TypeError("a locked stream cannot be closed"));
    return closeWritable(state);
  }

  getWriter(): WritableStreamDefaultWriter {
    void this.#state;
    return new WritableStreamDefaultWriter(this);
  }
}
webClass(WritableStream);

function started(state: WritableState, start: unknown): void {
  promiseThen(
    new Promise((resolve) => resolve(start)),
    () => {
      state.started = true;
      advance(state);
    },
    (reason: unknown) => {
      state.started = true;
      dealWithRejection(state, reason);
    },
  );
}

/** Whether nothing has been written, and nobody is about to. */
export function isUnwritten(state: WritableState): boolean {
  return state.phase === "writable" && state.writer === null && queueLength(state.queue) === 0 &&
    state.inFlightWrite === null && !closeQueuedOrInFlight(state) && state.pendingAbort === null;
}

/** Closes what was never written to, once somebody else has seen to its content. */
export function closeUnwritten(writer: WriterState): void {
  const state = writer.stream!;
  state.phase = "closed";
  forget(state);
  writer.closed.resolve(undefined);
  releaseWriter(writer);
}

export function isWritableStream(value: unknown): value is WritableStream {
  return brand(value);
}

export function writableState(stream: WritableStream): WritableState {
  return stateOf(stream);
}

/** A stream whose sink is the prelude's own. */
export function internalWritable(
  highWaterMark: number, size: ((chunk: any) => number) | null, start: Promise<unknown>,
  sink: Pick<WritableState, "write" | "close" | "abort">,
): WritableStream {
  const state = newState(highWaterMark, size);
  state.write = sink.write;
  state.close = sink.close;
  state.abort = sink.abort;
  started(state, start);
  return new WritableStream(INTERNAL, state);
}
