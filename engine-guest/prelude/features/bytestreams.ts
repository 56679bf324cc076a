/**
 * Byte streams: the controller, the reader that brings its own buffer, and the request that shows a source that buffer
 * (WHATWG Streams, sections 4.5, 4.7 and 4.8); and the tee of such a stream.
 *
 * A body of the prelude's own is a plain stream of byte chunks until somebody reads it with a buffer; then it gets a
 * controller (`upgrade`).
 */
import { INTERNAL } from "../internal.ts";
import {
  ArrayBuffer, DataView, Promise, RangeError, TypeError, Uint8Array, arrayBufferByteLength, arrayBufferDetached,
  arrayBufferSlice, arrayBufferTransfer, bytesOf, dataViewBuffer, dataViewByteLength, dataViewByteOffset, isArrayBuffer,
  isObject, isView, min, promiseRejected, promiseResolved, promiseThen, typedArrayBuffer, typedArrayByteLength, typedArrayByteOffset,
  typedArrayConstructor, typedArrayLength, typedArraySet, typedArrayTag, webClass,
} from "../primordials.ts";
import { dictionary, enforceRange } from "../webidl.ts";
import { firstChunk, newQueue, pushChunk, shiftChunk } from "../streams/queue.ts";
import {
  type ByteState, type ByteSteps, type ReadRequest, type ReadableStream, type ReaderState, type StreamState,
  acquireReader, cancelStream, closeController, closeStream, desiredSize, enqueue as enqueueChunk, errorStream, forget,
  illegal, isReadableStream, letGo, promising, pullIfNeeded, readChunk, readableState, releaseReader, takeRequest,
} from "../streams/readable.ts";
import { branch, delivered, failWith, isOpen, newTee, settleTee } from "../streams/tee.ts";

/** A buffer that waits to be filled. */
interface PullInto {
  buffer: ArrayBuffer;
  bufferLength: number;
  offset: number;
  length: number;
  filled: number;
  least: number;
  elementSize: number;
  view: any;
  kind: "default" | "byob" | "none";
}

interface Bytes extends ByteState {
  pending: PullInto[];
  /** -1 where no buffer is allocated for a plain reader. */
  autoAllocate: number;
  request: ReadableStreamBYOBRequest | null;
  /** Whether the source is the prelude's own, which leaves the last buffer to be given back here. */
  own: boolean;
}

function bytesState(state: StreamState): Bytes {
  return state.byte as Bytes;
}

interface View {
  buffer: ArrayBuffer;
  offset: number;
  length: number;
  /** `undefined` for a DataView. */
  tag: string | undefined;
}

/** Looks at a view without asking anything that a script may have changed. */
function viewOf(value: any, what: string): View {
  if (!isView(value)) throw new TypeError(`${what} must be a view of bytes`);
  const tag = typedArrayTag(value);
  const view = tag !== undefined
    ? { buffer: typedArrayBuffer(value), offset: typedArrayByteOffset(value), length: typedArrayByteLength(value), tag }
    : { buffer: dataViewBuffer(value), offset: dataViewByteOffset(value), length: dataViewByteLength(value), tag };
  if (!isArrayBuffer(view.buffer)) throw new TypeError(`${what} must not be shared memory`);
  return view;
}

function transfer(buffer: ArrayBuffer): ArrayBuffer {
  if (arrayBufferDetached(buffer)) throw new TypeError("the buffer has been detached");
  return arrayBufferTransfer(buffer);
}

// ---- the queue ----

function push(state: StreamState, buffer: ArrayBuffer, offset: number, length: number): void {
  pushChunk(state.queue, new Uint8Array(buffer, offset, length), length);
}

function pushClone(state: StreamState, buffer: ArrayBuffer, offset: number, length: number): void {
  push(state, arrayBufferSlice(buffer, offset, offset + length), 0, length);
}

function pushDetached(state: StreamState, into: PullInto): void {
  if (into.filled > 0) pushClone(state, into.buffer, into.offset, into.filled);
  shiftPending(state);
}

function shiftPending(state: StreamState): PullInto {
  const { pending } = bytesState(state);
  const first = pending[0]!;
  for (let i = 1; i < pending.length; i++) pending[i - 1] = pending[i]!;
  pending.length--;
  return first;
}

/** Copies from the queue; true if that is enough to be handed over. */
function fillFromQueue(state: StreamState, into: PullInto): boolean {
  const { queue } = state;
  const filled = into.filled + min(queue.total, into.length - into.filled);
  const aligned = filled - (filled % into.elementSize);
  const ready = aligned >= into.least;
  let left = (ready ? aligned : filled) - into.filled;
  const to = new Uint8Array(into.buffer);
  while (left > 0) {
    const head: Uint8Array = firstChunk(queue);
    const length = typedArrayByteLength(head);
    const at = into.offset + into.filled;
    if (length <= left) {
      typedArraySet(to, shiftChunk(queue), at);
      into.filled += length;
      left -= length;
    } else {
      const buffer = typedArrayBuffer(head);
      const offset = typedArrayByteOffset(head);
      typedArraySet(to, new Uint8Array(buffer, offset, left), at);
      queue.chunks[queue.head] = new Uint8Array(buffer, offset + left, length - left);
      queue.sizes[queue.head] = length - left;
      queue.total -= left;
      into.filled += left;
      left = 0;
    }
  }
  return ready;
}

function drained(state: StreamState): void {
  if (state.queue.total === 0 && state.closeRequested) {
    forget(state);
    closeStream(state);
  } else pullIfNeeded(state);
}

// ---- handing over ----

function filledView(into: PullInto): any {
  return new into.view(transfer(into.buffer), into.offset, into.filled / into.elementSize);
}

function commit(state: StreamState, into: PullInto): void {
  const done = state.phase === "closed";
  const view = filledView(into);
  const request = takeRequest(state.reader!);
  if (!done) request.chunk(view);
  else request.close(into.kind === "default" ? undefined : view);
}

function commitAll(state: StreamState, filled: PullInto[]): void {
  for (let i = 0; i < filled.length; i++) commit(state, filled[i]!);
}

function fillPending(state: StreamState): PullInto[] {
  const { pending } = bytesState(state);
  const filled: PullInto[] = [];
  while (pending.length > 0 && state.queue.total > 0) {
    const first = pending[0]!;
    if (fillFromQueue(state, first)) {
      shiftPending(state);
      filled[filled.length] = first;
    }
  }
  return filled;
}

function giveFirst(state: StreamState, request: ReadRequest): void {
  const chunk = shiftChunk(state.queue);
  drained(state);
  request.chunk(chunk);
}

function invalidate(state: StreamState): void {
  const bytes = bytesState(state);
  if (bytes.request === null) return;
  retire(bytes.request);
  bytes.request = null;
}

// ---- the controller's steps ----

function read(state: StreamState, request: ReadRequest): void {
  if (state.queue.total > 0) return giveFirst(state, request);
  const { autoAllocate, pending } = bytesState(state);
  if (autoAllocate > 0) {
    let buffer: ArrayBuffer;
    try {
      buffer = new ArrayBuffer(autoAllocate);
    } catch (error) {
      return request.error(error);
    }
    pending[pending.length] = {
      buffer, bufferLength: autoAllocate, offset: 0, length: autoAllocate, filled: 0, least: 1, elementSize: 1,
      view: Uint8Array, kind: "default",
    };
  }
  const { requests } = state.reader!;
  requests[requests.length] = request;
  pullIfNeeded(state);
}

function readInto(state: StreamState, view: View, least: number, request: ReadRequest): void {
  state.disturbed = true;
  if (state.phase === "errored") return request.error(state.reason);
  const make: any = view.tag === undefined ? DataView : typedArrayConstructor(view.tag);
  const elementSize = view.tag === undefined ? 1 : make.BYTES_PER_ELEMENT;
  const bufferLength = arrayBufferByteLength(view.buffer);
  let buffer: ArrayBuffer;
  try {
    buffer = transfer(view.buffer);
  } catch (error) {
    return request.error(error);
  }
  const into: PullInto = {
    buffer, bufferLength, offset: view.offset, length: view.length, filled: 0, least: least * elementSize, elementSize,
    view: make, kind: "byob",
  };
  const { pending } = bytesState(state);
  const { requests } = state.reader!;
  if (pending.length === 0) {
    if (state.phase === "closed") return request.close(new make(buffer, view.offset, 0));
    if (state.queue.total > 0) {
      if (fillFromQueue(state, into)) {
        const filled = filledView(into);
        drained(state);
        return request.chunk(filled);
      }
      if (state.closeRequested) {
        const error = new TypeError("the stream ended in the middle of an element");
        errorStream(state, error);
        return request.error(error);
      }
    }
  }
  const waits = pending.length > 0;
  pending[pending.length] = into;
  requests[requests.length] = request;
  if (!waits) pullIfNeeded(state);
}

function enqueue(state: StreamState, chunk: any): void {
  const { buffer, offset, length } = viewOf(chunk, "a chunk");
  if (arrayBufferDetached(buffer)) throw new TypeError("the chunk's buffer has been detached");
  const own = transfer(buffer);
  const { pending } = bytesState(state);
  if (pending.length > 0) {
    const first = pending[0]!;
    if (arrayBufferDetached(first.buffer)) throw new TypeError("the buffer of the reader has been detached");
    invalidate(state);
    first.buffer = transfer(first.buffer);
    if (first.kind === "none") pushDetached(state, first);
  }
  const { reader } = state;
  if (reader !== null && !reader.byob) {
    while (reader.requests.length > 0 && state.queue.total > 0) giveFirst(state, takeRequest(reader));
    if (reader.requests.length === 0) push(state, own, offset, length);
    else {
      if (pending.length > 0) shiftPending(state);
      takeRequest(reader).chunk(new Uint8Array(own, offset, length));
    }
  } else {
    push(state, own, offset, length);
    if (reader !== null) commitAll(state, fillPending(state));
  }
  pullIfNeeded(state);
}

function close(state: StreamState): void {
  if (state.queue.total > 0) {
    state.closeRequested = true;
    return;
  }
  const first = bytesState(state).pending[0];
  if (first !== undefined && first.filled % first.elementSize !== 0) {
    const error = new TypeError("the stream ended in the middle of an element");
    errorStream(state, error);
    throw error;
  }
  forget(state);
  closeStream(state);
  if (first !== undefined && bytesState(state).own) respond(state, 0);
}

function drop(state: StreamState): void {
  invalidate(state);
  bytesState(state).pending = [];
}

function release(state: StreamState): void {
  const bytes = bytesState(state);
  const first = bytes.pending[0];
  if (first === undefined) return;
  first.kind = "none";
  bytes.pending = [first];
}

function respond(state: StreamState, written: number): void {
  const first = bytesState(state).pending[0]!;
  checkWritten(state, first, written);
  first.buffer = transfer(first.buffer);
  responded(state, written);
}

function respondWithNewView(state: StreamState, view: View): void {
  const first = bytesState(state).pending[0]!;
  if (state.phase !== "closed" || view.length > 0) checkWritten(state, first, view.length);
  if (first.offset + first.filled !== view.offset) throw new RangeError("the view does not begin where bytes are wanted");
  if (first.bufferLength !== arrayBufferByteLength(view.buffer)) throw new RangeError("the view's buffer has another length");
  if (first.filled + view.length > first.length) throw new RangeError("the view is longer than what is wanted");
  first.buffer = transfer(view.buffer);
  responded(state, view.length);
}

function checkWritten(state: StreamState, first: PullInto, written: number): void {
  if (state.phase === "closed") {
    if (written !== 0) throw new TypeError("the stream is closed: nothing can be written any more");
    return;
  }
  if (written === 0) throw new TypeError("at least one byte must be written while the stream is open");
  if (first.filled + written > first.length) throw new RangeError("more bytes than are wanted");
}

function responded(state: StreamState, written: number): void {
  const first = bytesState(state).pending[0]!;
  invalidate(state);
  if (state.phase === "closed") respondClosed(state, first);
  else respondReadable(state, first, written);
  pullIfNeeded(state);
}

function respondClosed(state: StreamState, first: PullInto): void {
  if (first.kind === "none") shiftPending(state);
  const { reader } = state;
  if (reader === null || !reader.byob) return;
  const filled: PullInto[] = [];
  while (filled.length < reader.requests.length) filled[filled.length] = shiftPending(state);
  commitAll(state, filled);
}

function respondReadable(state: StreamState, first: PullInto, written: number): void {
  first.filled += written;
  if (first.kind === "none") {
    pushDetached(state, first);
    return commitAll(state, fillPending(state));
  }
  if (first.filled < first.least) return;
  shiftPending(state);
  const rest = first.filled % first.elementSize;
  if (rest > 0) pushClone(state, first.buffer, first.offset + first.filled - rest, rest);
  first.filled -= rest;
  const filled = fillPending(state);
  commit(state, first);
  commitAll(state, filled);
}

// ---- the public classes ----

let retire: (request: ReadableStreamBYOBRequest) => void;

/** The buffer that a reader brought, for the source to fill. */
export class ReadableStreamBYOBRequest {
  #state: StreamState | null;
  #view: Uint8Array | null;

  constructor(token: unknown = undefined, state: any = undefined, view: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state;
    this.#view = view;
  }

  static {
    retire = (request) => {
      request.#state = null;
      request.#view = null;
    };
  }

  get view(): Uint8Array | null {
    return this.#view;
  }

  respond(bytesWritten: any): void {
    const view = this.#view;
    if (arguments.length === 0) throw new TypeError("respond needs the number of bytes");
    const written = enforceRange(bytesWritten, "bytesWritten");
    const state = this.#state;
    if (state === null) throw new TypeError("this request has been answered");
    if (arrayBufferDetached(typedArrayBuffer(view))) throw new TypeError("the request's buffer has been detached");
    respond(state, written);
  }

  respondWithNewView(view: any): void {
    void this.#view;
    const given = viewOf(view, "the view");
    const state = this.#state;
    if (state === null) throw new TypeError("this request has been answered");
    if (arrayBufferDetached(given.buffer)) throw new TypeError("the view's buffer has been detached");
    respondWithNewView(state, given);
  }
}
webClass(ReadableStreamBYOBRequest, 0);

/** What an underlying source of bytes enqueues to. */
export class ReadableByteStreamController {
  #state: StreamState;

  constructor(token: unknown = undefined, state: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get byobRequest(): ReadableStreamBYOBRequest | null {
    const bytes = bytesState(this.#state);
    const first = bytes.pending[0];
    if (bytes.request === null && first !== undefined) {
      const view = new Uint8Array(first.buffer, first.offset + first.filled, first.length - first.filled);
      bytes.request = new ReadableStreamBYOBRequest(INTERNAL, this.#state, view);
    }
    return bytes.request;
  }

  get desiredSize(): number | null {
    return desiredSize(this.#state);
  }

  close(): void {
    const state = this.#state;
    if (state.closeRequested || state.phase !== "readable") throw new TypeError("the stream is already closed or has failed");
    close(state);
  }

  enqueue(chunk: any): void {
    const state = this.#state;
    const { buffer, length } = viewOf(chunk, "a chunk");
    if (length === 0 || arrayBufferByteLength(buffer) === 0) throw new TypeError("a byte stream takes no empty chunk");
    if (state.closeRequested || state.phase !== "readable") {
      throw new TypeError("the stream is closed or has failed; nothing can be enqueued");
    }
    enqueue(state, chunk);
  }

  error(reason: unknown = undefined): void {
    errorStream(this.#state, reason);
  }
}
webClass(ReadableByteStreamController, 0);

let readerOf: (reader: unknown) => ReaderState | null;

/** Reads a stream of bytes into buffers that it is given. */
export class ReadableStreamBYOBReader {
  #reader: ReaderState;

  constructor(stream: ReadableStream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    const state = readableState(stream);
    if (state.reader !== null) throw new TypeError("the stream is already locked to a reader");
    if (!state.bytes) throw new TypeError("only a stream of bytes can be read into a buffer");
    if (state.byte === null) upgrade(state, true);
    this.#reader = acquireReader(state, true);
  }

  static {
    readerOf = (reader: any) => (isObject(reader) && #reader in reader ? reader.#reader : null);
  }

  get closed(): Promise<undefined> {
    const reader = readerOf(this);
    return reader === null ? illegal() : reader.closed.promise;
  }

  cancel(reason: unknown = undefined): Promise<undefined> {
    const reader = readerOf(this);
    if (reader === null) return illegal();
    return reader.stream === null ? letGo() : cancelStream(reader.stream, reason);
  }

  read(view: any, options: any = undefined): Promise<{ value: any; done: boolean }> {
    const reader = readerOf(this);
    if (reader === null) return illegal();
    try {
      const given = viewOf(view, "the view");
      const { min: least } = dictionary(options, "the options of read");
      const wanted = least === undefined ? 1 : enforceRange(least, "min");
      if (given.length === 0) throw new TypeError("the view has no bytes");
      if (arrayBufferByteLength(given.buffer) === 0) throw new TypeError("the view's buffer is empty or detached");
      if (wanted === 0) throw new TypeError("min must be at least 1");
      const elements = given.tag === undefined ? given.length : typedArrayLength(view);
      if (wanted > elements) throw new RangeError("min is more than the view holds");
      const { stream } = reader;
      if (stream === null) return letGo();
      return new Promise((resolve, reject) => readInto(stream, given, wanted, promising(resolve, reject)));
    } catch (error) {
      return promiseRejected(error);
    }
  }

  releaseLock(): void {
    releaseReader(this.#reader);
  }
}
webClass(ReadableStreamBYOBReader);

// ---- for readable.ts ----

function give(state: StreamState, autoAllocate: number, own: boolean): void {
  const bytes: Bytes = { kind: "bytes", pending: [], autoAllocate, request: null, own };
  state.byte = bytes;
}

/** Makes a stream of byte chunks one that a reader's buffer can be filled from. */
function upgrade(state: StreamState, own: boolean): void {
  give(state, -1, own);
  const { chunks, head } = state.queue;
  state.queue = newQueue();
  for (let i = head; i < chunks.length; i++) pushChunk(state.queue, chunks[i], typedArrayByteLength(chunks[i]));
}

/** What is left to fill of the first buffer that waits. */
function wantedView(state: StreamState): View | null {
  const first = bytesState(state).pending[0];
  if (first === undefined) return null;
  return { buffer: first.buffer, offset: first.offset + first.filled, length: first.length - first.filled, tag: "Uint8Array" };
}

/** As `teeStream`, where the source fills a buffer that a branch's reader brought (Streams, section 4.9.1). */
function teeBytes(source: StreamState): [ReadableStream, ReadableStream] {
  const tee = newTee(source);
  const { states, gone } = tee;
  let reader = acquireReader(source);
  const follow = (): void => {
    const own = reader;
    failWith(tee, () => own === reader, own);
  };
  const switchTo = (byob: boolean): void => {
    if (reader.byob === byob) return;
    releaseReader(reader);
    reader = acquireReader(source, byob);
    follow();
  };
  const closeBranch = (index: number): void => {
    if (!gone[index] && isOpen(states[index]!)) closeController(states[index]!);
  };
  const enqueueTo = (index: number, chunk: Uint8Array): void => {
    if (!gone[index] && isOpen(states[index]!)) enqueueChunk(states[index]!, chunk);
  };
  const answerNone = (index: number): void => {
    if (wantedView(states[index]!) !== null) respond(states[index]!, 0);
  };
  const error = (): void => {
    tee.reading = false;
  };
  const pullPlain = (): void => {
    switchTo(false);
    readChunk(reader, {
      chunk: (chunk) =>
        promiseThen(promiseResolved(undefined), () => {
          tee.again = [false, false];
          const copy = gone[0] || gone[1] ? chunk : new Uint8Array(chunk);
          enqueueTo(0, chunk);
          enqueueTo(1, copy);
          delivered(tee, pull);
        }),
      close: () => {
        tee.reading = false;
        closeBranch(0);
        closeBranch(1);
        answerNone(0);
        answerNone(1);
        settleTee(tee);
      },
      error,
    });
  };
  const pullInto = (view: View, index: 0 | 1): void => {
    switchTo(true);
    const other = index === 0 ? 1 : 0;
    readInto(source, view, 1, {
      chunk: (chunk) =>
        promiseThen(promiseResolved(undefined), () => {
          tee.again = [false, false];
          const copy = gone[other] ? null : new Uint8Array(bytesOf(chunk)!);
          if (!gone[index]) respondWithNewView(states[index]!, viewOf(chunk, "a chunk"));
          if (copy !== null) enqueueTo(other, copy);
          delivered(tee, pull);
        }),
      close: (chunk) => {
        tee.reading = false;
        closeBranch(index);
        closeBranch(other);
        if (chunk !== undefined) {
          if (!gone[index]) respondWithNewView(states[index]!, viewOf(chunk, "a chunk"));
          if (!gone[other]) answerNone(other);
        }
        settleTee(tee);
      },
      error,
    });
  };
  const pull = (index: 0 | 1): void => {
    const view = wantedView(states[index]!);
    if (view === null) pullPlain();
    else pullInto(view, index);
  };
  const reasons: unknown[] = [undefined, undefined];
  const branches: [ReadableStream, ReadableStream] = [branch(tee, 0, true, pull, reasons), branch(tee, 1, true, pull, reasons)];
  upgrade(states[0]!, false);
  upgrade(states[1]!, false);
  follow();
  return branches;
}

/** For `byteSteps` of readable.ts. */
export const steps: ByteSteps = {
  setUp: (state, autoAllocate) => {
    if (autoAllocate === 0) throw new TypeError("autoAllocateChunkSize must be at least 1");
    give(state, autoAllocate, false);
    return new ReadableByteStreamController(INTERNAL, state);
  },
  reader: (stream) => new ReadableStreamBYOBReader(stream),
  read,
  enqueue,
  close,
  drop,
  release,
  tee: teeBytes,
};
