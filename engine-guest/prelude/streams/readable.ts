/**
 * `ReadableStream` with its default controller and reader (WHATWG Streams, section 4).
 *
 * The algorithms work on a `StreamState`; readers ask by callback (`ReadRequest`), so that the body pumps need no
 * promise per chunk. A stream over a body (`streamOver`) keeps its *origin*: as long as nobody has locked or read it,
 * whoever forwards it takes the origin and leaves the stream aside. Over a body that is whole it has not even a state
 * until then.
 */
import { feature } from "../features.ts";
import { HostBody, cancelBody, readBody } from "../hostbody.ts";
import { INTERNAL } from "../internal.ts";
import { utf8Encode } from "../native.ts";
import type { Waiter } from "../operations.ts";
import {
  AsyncIteratorPrototype, type Deferred, Promise, RangeError, Symbol, TypeError, Uint8Array, apply, bytesOf,
  concatBytes, defineProperty, deferred, isObject, isView, markHandled, promiseRejected, promiseResolved, promiseThen,
  setPrototypeOf, toStr, webClass,
} from "../primordials.ts";
import { dictionary, enforceRange, markOf, method, readStrategy, sizeOf, underlying } from "../webidl.ts";
import { type ChunkQueue, clearQueue, newQueue, pushChunk, queueLength, shiftChunk } from "./queue.ts";

/** How a reader waits for one chunk. A reader that brought its own buffer gets it back at the end. */
export interface ReadRequest {
  chunk(value: any): void;
  close(view?: any): void;
  error(reason: unknown): void;
}

export interface ReaderState {
  stream: StreamState | null;
  closed: Deferred<undefined>;
  requests: ReadRequest[];
  /** Whether it reads into buffers that it brings. */
  byob: boolean;
}

type Origin = Uint8Array | HostBody;
/** A body that is all there. */
type Whole = string | Uint8Array;

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
  /** Whether chunks are bytes, so that a reader may bring its buffer. */
  bytes: boolean;
  /** What the byte controller keeps; a body of the prelude's own gets one when it is needed. */
  byte: ByteState | null;
  origin: Origin | null;
  /** The bytes that it will give in all, no more and no fewer, where that is known. */
  bytesInAll: number | null;
}

/** What the byte controller keeps, and only it looks at. */
export interface ByteState {
  readonly kind: "bytes";
}

/** Where streams that have a byte controller differ: a feature, for most workers have none. */
export interface ByteSteps {
  /** Makes the controller. */
  setUp(state: StreamState, autoAllocate: number): unknown;
  reader(stream: ReadableStream): unknown;
  read(state: StreamState, request: ReadRequest): void;
  enqueue(state: StreamState, chunk: any): void;
  close(state: StreamState): void;
  /** The stream failed or was cancelled. */
  drop(state: StreamState): void;
  /** The reader let go. */
  release(state: StreamState): void;
  tee(state: StreamState): [ReadableStream, ReadableStream];
}

let loaded: ByteSteps | null = null;

export function byteSteps(): ByteSteps {
  return (loaded ??= feature("bytestreams").steps as ByteSteps);
}

export function newState(highWaterMark: number): StreamState {
  return {
    phase: "readable", reason: undefined, reader: null, disturbed: false, queue: newQueue(), highWaterMark, size: null,
    pull: null, cancel: null, started: false, pulling: false, pullAgain: false, closeRequested: false, bytes: false,
    byte: null, origin: null, bytesInAll: null,
  };
}

// ---- the controller's algorithms ----

export function forget(state: StreamState): void {
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

/** Whether the source should be asked for more, if there is one to ask. */
export function wantsChunks(state: StreamState): boolean {
  if (!canEnqueue(state) || !state.started) return false;
  if (state.reader !== null && state.reader.requests.length > 0) return true;
  return desiredSize(state)! > 0;
}

/** What an internal `pull` returns when it calls `pullDone` itself. */
const LATER = INTERNAL;

export function pullIfNeeded(state: StreamState): void {
  if (state.pull === null || !wantsChunks(state)) return;
  if (state.pulling) {
    state.pullAgain = true;
    return;
  }
  state.pulling = true;
  let result: unknown;
  try {
    result = state.pull!();
  } catch (error) {
    result = promiseRejected(error);
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
  if (state.byte !== null) return byteSteps().enqueue(state, chunk);
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

export function takeRequest(reader: ReaderState): ReadRequest {
  const { requests } = reader;
  const first = requests[0]!;
  for (let i = 1; i < requests.length; i++) requests[i - 1] = requests[i]!;
  requests.length--;
  return first;
}

export function closeController(state: StreamState): void {
  if (!canEnqueue(state)) throw new TypeError("the stream is already closed or has failed");
  if (state.byte !== null) return byteSteps().close(state);
  state.closeRequested = true;
  if (queueLength(state.queue) === 0) {
    forget(state);
    closeStream(state);
  }
}

export function closeStream(state: StreamState): void {
  state.phase = "closed";
  const { reader } = state;
  if (reader === null) return;
  reader.closed.resolve(undefined);
  if (!reader.byob) endRequests(reader);
}

function endRequests(reader: ReaderState): void {
  const { requests } = reader;
  reader.requests = [];
  for (let i = 0; i < requests.length; i++) requests[i]!.close();
}

export function errorStream(state: StreamState, reason: unknown): void {
  if (state.phase !== "readable") return;
  if (state.byte !== null) byteSteps().drop(state);
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
  closeStream(state);
  if (state.reader !== null && state.reader.byob) endRequests(state.reader);
  if (state.byte !== null) byteSteps().drop(state);
  clearQueue(state.queue);
  const { cancel } = state;
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
  if (state.byte !== null) return byteSteps().read(state, request);
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
export function acquireReader(state: StreamState, byob = false): ReaderState {
  if (state.reader !== null) throw new TypeError("the stream is already locked to a reader");
  const reader: ReaderState = { stream: state, closed: deferred(), requests: [], byob };
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
  if (state.byte !== null) byteSteps().release(state);
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
    enqueue(this.#state, chunk);
  }

  close(): void {
    closeController(this.#state);
  }

  error(reason: unknown = undefined): void {
    errorStream(this.#state, reason);
  }
}
webClass(ReadableStreamDefaultController);

/** What a method that answers with a promise does when it is called on something else. */
export function illegal(): Promise<never> {
  return promiseRejected(new TypeError("Illegal invocation"));
}

export function letGo(): Promise<never> {
  return promiseRejected(new TypeError("the reader's lock was released"));
}

let readerOf: (reader: unknown) => ReaderState | null;

/** Reads a stream chunk by chunk. */
export class ReadableStreamDefaultReader {
  #reader: ReaderState;

  constructor(stream: ReadableStream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    this.#reader = acquireReader(stateOf(stream));
  }

  static {
    readerOf = (reader: any) => (isObject(reader) && #reader in reader ? reader.#reader : null);
  }

  get closed(): Promise<undefined> {
    const reader = readerOf(this);
    return reader === null ? illegal() : reader.closed.promise;
  }

  read(): Promise<{ value: any; done: boolean }> {
    const reader = readerOf(this);
    if (reader === null) return illegal();
    return reader.stream === null ? letGo() : readPromise(reader);
  }

  cancel(reason: unknown = undefined): Promise<undefined> {
    const reader = readerOf(this);
    if (reader === null) return illegal();
    return reader.stream === null ? letGo() : cancelStream(reader.stream, reason);
  }

  releaseLock(): void {
    releaseReader(this.#reader);
  }
}
webClass(ReadableStreamDefaultReader);

/** Gives what a read comes to as a promise. */
export function promising(resolve: (result: any) => void, reject: (reason: unknown) => void): ReadRequest {
  return {
    chunk: (value) => resolve({ value, done: false }),
    close: (value) => resolve({ value, done: true }),
    error: reject,
  };
}

function readPromise(reader: ReaderState): Promise<{ value: any; done: boolean }> {
  return new Promise((resolve, reject) => readChunk(reader, promising(resolve, reject)));
}

let stateOf: (stream: ReadableStream) => StreamState;
let isUnopened: (stream: ReadableStream) => boolean;

// What bodies ask for is set by the class, and looks at its fields: a response that is given another's body asks for
// much of it, and none of that opens the stream.

export let isReadableStream: (value: unknown) => value is ReadableStream;
export let isLocked: (stream: ReadableStream) => boolean;
export let isDisturbed: (stream: ReadableStream) => boolean;
/** Whether it is too late to take it as a body: it is locked, or somebody has read it. */
export let isTaken: (stream: ReadableStream) => boolean;
/** Takes a body that is whole out of a stream that nobody has touched; null for any other value. */
export let takeWhole: (value: unknown) => Whole | null;

/** What tee.ts, which stands above, adds to the class. */
interface Extensions {
  tee(stream: ReadableStream): [ReadableStream, ReadableStream];
  from(iterable: any): ReadableStream;
}

let extensions: Extensions;

export function extendStreams(added: Extensions): void {
  extensions = added;
}

/** A sequence of chunks that come when they come. */
export class ReadableStream {
  /** Null until somebody looks, if the body below is all that there is to it. */
  #state: StreamState | null = null;
  #whole: Whole | null = null;

  constructor(source: any = undefined, strategy: any = undefined, whole: any = null) {
    if (source === INTERNAL) {
      this.#state = strategy;
      this.#whole = whole;
      return;
    }
    const read = readStrategy(strategy);
    const from = underlying(source, "an underlying source");
    const auto = from.autoAllocateChunkSize;
    const autoAllocate = auto === undefined ? -1 : enforceRange(auto, "autoAllocateChunkSize");
    const cancel = method(from, "cancel");
    const pull = method(from, "pull");
    const start = method(from, "start");
    const { type } = from;
    const bytes = type !== undefined;
    if (bytes && toStr(type) !== "bytes") throw new TypeError("an underlying source has the type \"bytes\", or none");
    if (bytes && read.size !== undefined) throw new RangeError("the strategy of a byte stream has no size");
    const state = newState(markOf(read, bytes ? 0 : 1));
    state.bytes = bytes;
    state.size = sizeOf(read);
    this.#state = state;
    const controller = bytes
      ? byteSteps().setUp(state, autoAllocate)
      : new ReadableStreamDefaultController(INTERNAL, state);
    if (pull !== undefined) state.pull = () => apply(pull, source, [controller]);
    if (cancel !== undefined) state.cancel = (reason) => apply(cancel, source, [reason]);
    startSource(state, start === undefined ? undefined : apply(start, source, [controller]));
  }

  static {
    stateOf = (stream) => stream.#state ?? stream.#open();
    isUnopened = (stream) => stream.#state === null && stream.#whole !== null;
    isReadableStream = (value): value is ReadableStream =>
      typeof value === "object" && value !== null && #state in value;
    isLocked = (stream) => {
      const state = stream.#state;
      return state === null ? stream.#whole === null : state.reader !== null;
    };
    isDisturbed = (stream) => {
      const state = stream.#state;
      return state === null ? stream.#whole === null : state.disturbed;
    };
    isTaken = (stream) => {
      const state = stream.#state;
      return state === null ? stream.#whole === null : state.reader !== null || state.disturbed;
    };
    takeWhole = (value) => {
      if (!isReadableStream(value) || value.#state !== null) return null;
      const whole = value.#whole;
      value.#whole = null;
      return whole;
    };
  }

  static from(iterable: any): ReadableStream {
    return extensions.from(iterable);
  }

  /** Makes the state; one whose body was taken meanwhile is locked and disturbed. */
  #open(): StreamState {
    const state = wholeState(this.#whole);
    this.#state = state;
    this.#whole = null;
    return state;
  }

  get locked(): boolean {
    return isLocked(this);
  }

  cancel(reason: unknown = undefined): Promise<undefined> {
    if (!isReadableStream(this)) return illegal();
    if (isLocked(this)) return promiseRejected(new TypeError("a locked stream cannot be cancelled"));
    return cancelStream(stateOf(this), reason);
  }

  getReader(options: any = undefined): any {
    void this.#state;
    const { mode } = dictionary(options, "a reader's options");
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    if (toStr(mode) !== "byob") throw new TypeError("a reader's mode is \"byob\", or left out");
    return byteSteps().reader(this);
  }

  pipeThrough(transform: any, options: any = undefined): ReadableStream {
    void this.#state;
    return feature("pipes").pipeThrough(this, transform, options);
  }

  pipeTo(destination: any, options: any = undefined): Promise<undefined> {
    return isReadableStream(this) ? feature("pipes").pipeTo(this, destination, options) : illegal();
  }

  tee(): [ReadableStream, ReadableStream] {
    void this.#state;
    return extensions.tee(this);
  }

  values(options: any = undefined): any {
    const state = stateOf(this);
    const preventCancel = !!dictionary(options, "an iterator's options").preventCancel;
    return new StreamIterator(acquireReader(state), preventCancel);
  }

  declare [Symbol.asyncIterator]: (options?: any) => AsyncIterableIterator<any>;
}
webClass(ReadableStream);
defineProperty(ReadableStream.prototype, Symbol.asyncIterator, {
  value: ReadableStream.prototype.values, writable: true, configurable: true,
});

/** Waits for what `start` gave: by a promise of our own, as WebIDL has it, which is later than the one given. */
export function startSource(state: StreamState, start: unknown): void {
  promiseThen(
    new Promise((resolve) => resolve(start)),
    () => {
      state.started = true;
      pullIfNeeded(state);
    },
    (reason: unknown) => errorStream(state, reason),
  );
}

const END = (): any => ({ value: undefined, done: true });

let iteratorOf: (value: any) => StreamIterator | null;

class StreamIterator {
  #reader: ReaderState;
  #preventCancel: boolean;
  #last: Promise<any> | null = null;
  #finished = false;

  constructor(reader: ReaderState, preventCancel: boolean) {
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  static {
    iteratorOf = (value) => (isObject(value) && #reader in value ? value : null);
  }

  #queue(step: () => Promise<any>): Promise<any> {
    return (this.#last = this.#last === null ? step() : promiseThen(this.#last, step, step));
  }

  next(): Promise<any> {
    const iterator = iteratorOf(this);
    if (iterator === null) return illegal();
    return iterator.#queue(() => {
      if (iterator.#finished) return promiseResolved(END());
      const reader = iterator.#reader;
      const read = new Promise((resolve, reject) => {
        readChunk(reader, {
          chunk: (value) => resolve({ value, done: false }),
          close: () => {
            iterator.#finish();
            resolve(END());
          },
          error: (reason) => {
            iterator.#finish();
            reject(reason);
          },
        });
      });
      // WebIDL's iterators have this step between, and a source can notice it.
      return promiseThen(read, (result: unknown) => result);
    });
  }

  return(value: unknown): Promise<any> {
    const iterator = iteratorOf(this);
    if (iterator === null) return illegal();
    return iterator.#queue(() => {
      if (iterator.#finished) return promiseResolved({ value, done: true });
      const { stream } = iterator.#reader;
      const cancelled = iterator.#preventCancel ? promiseResolved(undefined) : cancelStream(stream!, value);
      iterator.#finish();
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
defineProperty(StreamIterator.prototype, Symbol.toStringTag, { value: "ReadableStream AsyncIterator", configurable: true });

// ---- for the prelude's own modules ----

export function readableState(stream: ReadableStream): StreamState {
  return stateOf(stream);
}

/** What a stream will give in all, in bytes; null where only its end can tell. */
export function bytesInAll(stream: ReadableStream): number | null {
  return isUnopened(stream) ? null : stateOf(stream).bytesInAll;
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

/** The stream over a body; nothing is read before somebody reads. A body that is used up gives a closed, disturbed one. */
export function streamOver(origin: Origin | string, used: boolean): ReadableStream {
  if (!used && !(origin instanceof HostBody)) return new ReadableStream(INTERNAL, null, origin);
  const state = newState(0);
  if (used) {
    state.phase = "closed";
    state.disturbed = true;
  } else {
    state.started = true;
    setOrigin(state, origin as HostBody);
  }
  return new ReadableStream(INTERNAL, state);
}

/** The state of a stream over a body that is whole; null for one that was taken. */
function wholeState(whole: Whole | null): StreamState {
  const state = newState(0);
  state.started = true;
  state.bytes = true;
  if (whole === null) {
    acquireReader(state);
    state.disturbed = true;
    return state;
  }
  const bytes = typeof whole === "string" ? utf8Encode(whole) : whole;
  state.origin = bytes;
  state.pull = () => {
    if (bytes.length > 0) enqueue(state, new Uint8Array(bytes));
    closeController(state);
  };
  return state;
}

/** Makes a body of the host's the source of a stream that nobody has touched. */
export function setOrigin(state: StreamState, origin: HostBody): void {
  state.bytes = true;
  state.origin = origin;
  state.pull = () => {
    readBody(origin, (ok, value) => pulled(state, ok, value));
    return LATER;
  };
  state.cancel = (reason) => cancelBody(origin, reason);
}

/** Whether a stream still has all that it began with, and nobody who reads it. */
export function isUntouched(state: StreamState): boolean {
  return state.phase === "readable" && !state.disturbed && state.reader === null && queueLength(state.queue) === 0 &&
    !state.closeRequested;
}

function pulled(state: StreamState, ok: boolean, value: any): void {
  if (state.phase !== "readable") return;
  if (!ok) return errorStream(state, value);
  if (value === null) return closeController(state);
  enqueue(state, value);
  pullDone(state);
}

/** Takes the origin of a stream that nobody has touched, and leaves the stream locked and disturbed; else null. */
export function takeOrigin(stream: ReadableStream): Origin | string | null {
  if (isUnopened(stream)) return takeWhole(stream);
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
  readOn(sourceOf(stream), [], waiter);
}

/** No function of this holds itself: what a script makes of the stream would wait for the collector of cycles. */
function readOn(source: StreamSource, chunks: Uint8Array[], waiter: Waiter): void {
  let isReading: boolean;
  let isRead: boolean;
  do {
    isReading = true;
    isRead = false;
    source.read((ok, value) => {
      if (!ok) return waiter(false, value);
      if (value === null) return waiter(true, concatBytes(chunks));
      const bytes = isView(value) ? bytesOf(value) : null;
      if (bytes === null) {
        const error = new TypeError("a body's stream must give Uint8Array chunks");
        source.cancel(error);
        return waiter(false, error);
      }
      chunks[chunks.length] = bytes;
      isRead = true;
      if (!isReading) readOn(source, chunks, waiter);
    });
    isReading = false;
  } while (isRead);
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
