/**
 * `ReadableStream` with its default controller and reader (WHATWG Streams, section 4).
 *
 * The algorithms work on a `StreamState`; readers ask by callback (`ReadRequest`), so that the body pumps need no
 * promise per chunk. A stream over a body of the host's (`streamOver`) keeps its *origin*: as long as nobody has
 * locked or read it, whoever forwards it takes the origin and leaves the stream aside.
 */
import { HostBody, cancelBody, readBody } from "../hostbody.ts";
import { INTERNAL } from "../internal.ts";
import type { Waiter } from "../operations.ts";
import {
  AsyncIteratorPrototype, type Deferred, Promise, RangeError, Symbol, TypeError, Uint8Array, apply, bytesOf,
  concatBytes, defineProperty, deferred, isObject, isView, markHandled, promiseRejected, promiseResolved, promiseThen,
  setPrototypeOf, webClass,
} from "../primordials.ts";
import { type ChunkQueue, clearQueue, newQueue, pushChunk, queueLength, readStrategy, shiftChunk } from "./queue.ts";

/** How a reader waits for one chunk. */
export interface ReadRequest {
  chunk(value: any): void;
  close(): void;
  error(reason: unknown): void;
}

export interface ReaderState {
  stream: StreamState | null;
  closed: Deferred<undefined>;
  requests: ReadRequest[];
}

type Origin = Uint8Array | HostBody;

export interface StreamState {
  phase: "readable" | "closed" | "errored";
  reason: unknown;
  reader: ReaderState | null;
  disturbed: boolean;
  queue: ChunkQueue;
  highWaterMark: number;
  size: ((chunk: any) => number) | null;
  pull: (() => unknown) | null;
  cancel: ((reason: unknown) => unknown) | null;
  started: boolean;
  pulling: boolean;
  pullAgain: boolean;
  closeRequested: boolean;
  bytes: boolean;
  origin: Origin | null;
}

function newState(highWaterMark: number): StreamState {
  return {
    phase: "readable", reason: undefined, reader: null, disturbed: false, queue: newQueue(), highWaterMark, size: null,
    pull: null, cancel: null, started: false, pulling: false, pullAgain: false, closeRequested: false, bytes: false,
    origin: null,
  };
}

// ---- the controller's algorithms ----

function forget(state: StreamState): void {
  state.pull = null;
  state.cancel = null;
  state.size = null;
}

export function desiredSize(state: StreamState): number | null {
  if (state.phase === "errored") return null;
  return state.phase === "closed" ? 0 : state.highWaterMark - state.queue.total;
}

function canEnqueue(state: StreamState): boolean {
  return state.phase === "readable" && !state.closeRequested;
}

function wantsPull(state: StreamState): boolean {
  if (!canEnqueue(state) || !state.started || state.pull === null) return false;
  if (state.reader !== null && state.reader.requests.length > 0) return true;
  return desiredSize(state)! > 0;
}

/** What an internal `pull` returns when it calls `pullDone` itself. */
const LATER = INTERNAL;

function pullIfNeeded(state: StreamState): void {
  if (!wantsPull(state)) return;
  if (state.pulling) {
    state.pullAgain = true;
    return;
  }
  state.pulling = true;
  let result: unknown;
  try {
    result = state.pull!();
  } catch (error) {
    return errorStream(state, error);
  }
  if (result === LATER) return;
  promiseThen(promiseResolved(result), () => pullDone(state), (reason: unknown) => errorStream(state, reason));
}

function pullDone(state: StreamState): void {
  state.pulling = false;
  if (!state.pullAgain) return;
  state.pullAgain = false;
  pullIfNeeded(state);
}

export function enqueue(state: StreamState, chunk: unknown): void {
  if (!canEnqueue(state)) throw new TypeError("the stream is closed or has failed; nothing can be enqueued");
  const { reader } = state;
  if (reader !== null && reader.requests.length > 0) {
    takeRequest(reader).chunk(chunk);
  } else {
    try {
      pushChunk(state.queue, chunk, state.size === null ? 1 : state.size(chunk));
    } catch (error) {
      errorStream(state, error);
      throw error;
    }
  }
  pullIfNeeded(state);
}

function takeRequest(reader: ReaderState): ReadRequest {
  const { requests } = reader;
  const first = requests[0]!;
  for (let i = 1; i < requests.length; i++) requests[i - 1] = requests[i]!;
  requests.length--;
  return first;
}

export function closeController(state: StreamState): void {
  if (!canEnqueue(state)) throw new TypeError("the stream is already closed or has failed");
  state.closeRequested = true;
  if (queueLength(state.queue) === 0) {
    forget(state);
    closeStream(state);
  }
}

function closeStream(state: StreamState): void {
  state.phase = "closed";
  const { reader } = state;
  if (reader === null) return;
  const { requests } = reader;
  reader.requests = [];
  reader.closed.resolve(undefined);
  for (let i = 0; i < requests.length; i++) requests[i]!.close();
}

export function errorStream(state: StreamState, reason: unknown): void {
  if (state.phase !== "readable") return;
  clearQueue(state.queue);
  forget(state);
  state.phase = "errored";
  state.reason = reason;
  const { reader } = state;
  if (reader === null) return;
  const { requests } = reader;
  reader.requests = [];
  markHandled(reader.closed.promise);
  reader.closed.reject(reason);
  for (let i = 0; i < requests.length; i++) requests[i]!.error(reason);
}

/** Cancels; the promise settles when the source has been told. */
export function cancelStream(state: StreamState, reason: unknown): Promise<undefined> {
  state.disturbed = true;
  if (state.phase === "closed") return promiseResolved(undefined);
  if (state.phase === "errored") return promiseRejected(state.reason);
  const { cancel } = state;
  closeStream(state);
  clearQueue(state.queue);
  forget(state);
  if (cancel === null) return promiseResolved(undefined);
  try {
    return promiseThen(promiseResolved(cancel(reason)), () => undefined);
  } catch (error) {
    return promiseRejected(error);
  }
}

/** Asks for one chunk. */
export function readChunk(reader: ReaderState, request: ReadRequest): void {
  const state = reader.stream!;
  state.disturbed = true;
  if (state.phase === "closed") return request.close();
  if (state.phase === "errored") return request.error(state.reason);
  if (queueLength(state.queue) > 0) {
    const chunk = shiftChunk(state.queue);
    if (state.closeRequested && queueLength(state.queue) === 0) {
      forget(state);
      closeStream(state);
    } else pullIfNeeded(state);
    return request.chunk(chunk);
  }
  reader.requests[reader.requests.length] = request;
  pullIfNeeded(state);
}

/** Locks a stream for a reader. */
export function acquireReader(state: StreamState): ReaderState {
  if (state.reader !== null) throw new TypeError("the stream is already locked to a reader");
  const reader: ReaderState = { stream: state, closed: deferred(), requests: [] };
  state.reader = reader;
  if (state.phase === "closed") reader.closed.resolve(undefined);
  else if (state.phase === "errored") {
    markHandled(reader.closed.promise);
    reader.closed.reject(state.reason);
  }
  return reader;
}

export function releaseReader(reader: ReaderState): void {
  const state = reader.stream;
  if (state === null) return;
  const released = new TypeError("the reader's lock was released");
  if (state.phase !== "readable") reader.closed = deferred();
  markHandled(reader.closed.promise);
  reader.closed.reject(released);
  state.reader = null;
  reader.stream = null;
  const { requests } = reader;
  reader.requests = [];
  for (let i = 0; i < requests.length; i++) requests[i]!.error(released);
}

// ---- the public classes ----

/** What an underlying source enqueues to. */
export class ReadableStreamDefaultController {
  #state: StreamState;

  constructor(token: unknown = undefined, state: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get desiredSize(): number | null {
    return desiredSize(this.#state);
  }

  enqueue(chunk: any = undefined): void {
    const state = this.#state;
    if (state.bytes) {
      if (!isView(chunk)) throw new TypeError("a byte stream takes only views of bytes");
      chunk = bytesOf(chunk);
      if (chunk.length === 0) throw new TypeError("a byte stream takes no empty chunk");
    }
    enqueue(state, chunk);
  }

  close(): void {
    closeController(this.#state);
  }

  error(reason: unknown = undefined): void {
    errorStream(this.#state, reason);
  }
}
webClass(ReadableStreamDefaultController);

/** Reads a stream chunk by chunk. */
export class ReadableStreamDefaultReader {
  #reader: ReaderState;

  constructor(stream: ReadableStream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    this.#reader = acquireReader(stateOf(stream));
  }

  get closed(): Promise<undefined> {
    return this.#reader.closed.promise;
  }

  read(): Promise<{ value: any; done: boolean }> {
    const reader = this.#reader;
    if (reader.stream === null) return promiseRejected(new TypeError("the reader's lock was released"));
    return readPromise(reader);
  }

  cancel(reason: unknown = undefined): Promise<undefined> {
    const { stream } = this.#reader;
    if (stream === null) return promiseRejected(new TypeError("the reader's lock was released"));
    return cancelStream(stream, reason);
  }

  releaseLock(): void {
    releaseReader(this.#reader);
  }
}
webClass(ReadableStreamDefaultReader);

function readPromise(reader: ReaderState): Promise<{ value: any; done: boolean }> {
  return new Promise((resolve, reject) => {
    readChunk(reader, {
      chunk: (value) => resolve({ value, done: false }),
      close: () => resolve({ value: undefined, done: true }),
      error: reject,
    });
  });
}

let stateOf: (stream: ReadableStream) => StreamState;
let brand: (value: unknown) => value is ReadableStream;

/** What the modules above this one add to the class. */
interface Extensions {
  pipe(source: ReadableStream, destination: any, options: any): Promise<undefined>;
  tee(stream: ReadableStream): [ReadableStream, ReadableStream];
  from(iterable: any): ReadableStream;
}

let extensions: Extensions;

export function extendStreams(added: Extensions): void {
  extensions = added;
}

/** A sequence of chunks that come when they come. */
export class ReadableStream {
  #state: StreamState;

  constructor(source: any = undefined, strategy: any = undefined) {
    if (source === INTERNAL) {
      this.#state = strategy;
      return;
    }
    const bytes = source?.type === "bytes";
    if (source?.type !== undefined && !bytes) throw new RangeError(`"${source.type}" is not a type of stream`);
    const { highWaterMark, size } = readStrategy(strategy, bytes ? 0 : 1);
    const state = newState(highWaterMark);
    state.bytes = bytes;
    state.size = size === null ? null : (chunk) => apply(size, undefined, [chunk]);
    this.#state = state;
    if (source === undefined || source === null) state.started = true;
    else setUpSource(state, source);
  }

  static {
    stateOf = (stream) => stream.#state;
    brand = (value): value is ReadableStream => isObject(value) && #state in value;
  }

  static from(iterable: any): ReadableStream {
    return extensions.from(iterable);
  }

  get locked(): boolean {
    return this.#state.reader !== null;
  }

  cancel(reason: unknown = undefined): Promise<undefined> {
    if (this.#state.reader !== null) return promiseRejected(new TypeError("a locked stream cannot be cancelled"));
    return cancelStream(this.#state, reason);
  }

  getReader(options: any = undefined): ReadableStreamDefaultReader {
    void this.#state;
    const mode = options?.mode;
    if (mode !== undefined) throw new TypeError(`a reader of mode "${mode}" is not supported by this stream`);
    return new ReadableStreamDefaultReader(this);
  }

  pipeTo(destination: any, options: any = undefined): Promise<undefined> {
    return extensions.pipe(this, destination, options);
  }

  pipeThrough(transform: any, options: any = undefined): ReadableStream {
    void this.#state;
    const { readable, writable } = transform;
    markHandled(extensions.pipe(this, writable, options));
    return readable;
  }

  tee(): [ReadableStream, ReadableStream] {
    void this.#state;
    return extensions.tee(this);
  }

  values(options: any = undefined): any {
    return new StreamIterator(acquireReader(this.#state), !!options?.preventCancel);
  }

  declare [Symbol.asyncIterator]: (options?: any) => AsyncIterableIterator<any>;
}
webClass(ReadableStream);
defineProperty(ReadableStream.prototype, Symbol.asyncIterator, {
  value: ReadableStream.prototype.values, writable: true, configurable: true,
});

function setUpSource(state: StreamState, source: any): void {
  const { start, pull, cancel } = source;
  const controller = new ReadableStreamDefaultController(INTERNAL, state);
  if (pull !== undefined) state.pull = () => apply(pull, source, [controller]);
  if (cancel !== undefined) state.cancel = (reason) => apply(cancel, source, [reason]);
  const started = start === undefined ? undefined : apply(start, source, [controller]);
  promiseThen(
    promiseResolved(started),
    () => {
      state.started = true;
      pullIfNeeded(state);
    },
    (reason: unknown) => errorStream(state, reason),
  );
}

class StreamIterator {
  #reader: ReaderState;
  #preventCancel: boolean;
  #last: Promise<any> | null = null;
  #finished = false;

  constructor(reader: ReaderState, preventCancel: boolean) {
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  #queue(step: () => Promise<any>): Promise<any> {
    const next = this.#last === null ? step() : promiseThen(this.#last, step, step);
    this.#last = next;
    return next;
  }

  next(): Promise<any> {
    return this.#queue(() => {
      if (this.#finished) return promiseResolved({ value: undefined, done: true });
      return promiseThen(
        readPromise(this.#reader),
        (result: { done: boolean }) => {
          if (result.done) this.#finish();
          return result;
        },
        (reason: unknown) => {
          this.#finish();
          throw reason;
        },
      );
    });
  }

  return(value: unknown = undefined): Promise<any> {
    return this.#queue(() => {
      if (this.#finished) return promiseResolved({ value, done: true });
      const { stream } = this.#reader;
      const cancelled = this.#preventCancel ? promiseResolved(undefined) : cancelStream(stream!, value);
      this.#finish();
      return promiseThen(cancelled, () => ({ value, done: true }));
    });
  }

  #finish(): void {
    this.#finished = true;
    releaseReader(this.#reader);
  }
}
setPrototypeOf(StreamIterator.prototype, AsyncIteratorPrototype);
defineProperty(StreamIterator.prototype, "next", { enumerable: true });
defineProperty(StreamIterator.prototype, "return", { enumerable: true });
delete (StreamIterator.prototype as any).constructor;

// ---- for the prelude's own modules ----

export function isReadableStream(value: unknown): value is ReadableStream {
  return brand(value);
}

export function readableState(stream: ReadableStream): StreamState {
  return stateOf(stream);
}

export function isLocked(stream: ReadableStream): boolean {
  return stateOf(stream).reader !== null;
}

export function isDisturbed(stream: ReadableStream): boolean {
  return stateOf(stream).disturbed;
}

/** A stream whose source is the prelude's own; `pull` and `cancel` run without a controller object. */
export function internalStream(
  highWaterMark: number,
  source: (state: StreamState) => Pick<StreamState, "pull" | "cancel">,
): ReadableStream {
  const state = newState(highWaterMark);
  const { pull, cancel } = source(state);
  state.pull = pull;
  state.cancel = cancel;
  state.started = true;
  return new ReadableStream(INTERNAL, state);
}

/** Starts an internal stream's source, where that is to happen before the first read. */
export function startPulling(state: StreamState): void {
  state.started = true;
  pullIfNeeded(state);
}

/** The stream over a body; nothing is read before somebody reads. A body that is used up gives a closed, disturbed one. */
export function streamOver(origin: Origin, used: boolean): ReadableStream {
  const state = newState(0);
  const stream = new ReadableStream(INTERNAL, state);
  if (used) {
    state.phase = "closed";
    state.disturbed = true;
    return stream;
  }
  state.started = true;
  state.bytes = true;
  state.origin = origin;
  if (origin instanceof HostBody) {
    state.pull = () => {
      readBody(origin, (ok, value) => pulled(state, ok, value));
      return LATER;
    };
    state.cancel = () => cancelBody(origin);
  } else {
    state.pull = () => {
      if (origin.length > 0) enqueue(state, new Uint8Array(origin));
      closeController(state);
    };
  }
  return stream;
}

function pulled(state: StreamState, ok: boolean, value: any): void {
  if (state.phase !== "readable") return;
  if (!ok) return errorStream(state, value);
  if (value === null) return closeController(state);
  enqueue(state, value);
  pullDone(state);
}

/** Takes the origin of a stream that nobody has touched, and leaves the stream locked and disturbed; else null. */
export function takeOrigin(stream: ReadableStream): Origin | null {
  const state = stateOf(stream);
  const { origin } = state;
  if (origin === null || state.disturbed || state.reader !== null) return null;
  acquireReader(state);
  state.disturbed = true;
  state.origin = null;
  return origin;
}

/** A stream as the pumps read it. */
export interface StreamSource {
  read(waiter: Waiter): void;
  cancel(reason: unknown): void;
}

/** Locks the stream and reads it by callback: `(true, chunk)`, `(true, null)` at the end, `(false, reason)`. */
export function sourceOf(stream: ReadableStream): StreamSource {
  const state = stateOf(stream);
  const reader = acquireReader(state);
  return {
    read: (waiter) =>
      readChunk(reader, {
        chunk: (value) => waiter(true, value === null ? undefined : value),
        close: () => waiter(true, null),
        error: (reason) => waiter(false, reason),
      }),
    cancel: (reason) => markHandled(cancelStream(state, reason)),
  };
}

/** Reads all of a stream of bytes: `(true, bytes)` or `(false, reason)`. */
export function readWholeStream(stream: ReadableStream, waiter: Waiter): void {
  const source = sourceOf(stream);
  const chunks: Uint8Array[] = [];
  const step: Waiter = (ok, value) => {
    if (!ok) return waiter(false, value);
    if (value === null) return waiter(true, concatBytes(chunks));
    const bytes = isView(value) ? bytesOf(value) : null;
    if (bytes === null) {
      const error = new TypeError("a body's stream must give Uint8Array chunks");
      source.cancel(error);
      return waiter(false, error);
    }
    chunks[chunks.length] = bytes;
    next();
  };
  const next = flattened(() => source.read(step));
  next();
}

/** Makes a step that calls itself from its own callback run as a loop, not as recursion. */
export function flattened(step: () => void): () => void {
  let running = false;
  let again = false;
  return () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        step();
      }
    } finally {
      running = false;
    }
  };
}
