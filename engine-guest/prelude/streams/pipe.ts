/**
 * `pipeTo`: moves chunks from a readable to a writable stream as fast as the writable wants them, and carries ends
 * and failures over in both directions.
 */
import { type AbortSignal, abortReason, isAbortSignal, isAborted, offAbort, onAbort } from "../abort.ts";
import {
  type Deferred, TypeError, deferred, markHandled, promiseRejected, promiseResolved, promiseThen,
} from "../primordials.ts";
import { HostBody } from "../hostbody.ts";
import { dictionary } from "../webidl.ts";
import {
  type ReadableStream, type ReaderState, type StreamState, acquireReader, cancelStream, closeController, errorStream,
  isLocked, isReadableStream, isUntouched, setOrigin, readChunk, readableState, releaseReader,
} from "./readable.ts";
import {
  type WritableState, type WritableStream, type WriterState, abortWritable, acquireWriter, closeQueuedOrInFlight,
  closeUnwritten, closeWritable, errorIfWritable, isUnwritten, isWritableStream, releaseWriter,
  writableDesiredSize, writableState, writeChunk,
} from "./writable.ts";

const ignore = (): void => {};

interface PipeOptions {
  preventClose: boolean;
  preventAbort: boolean;
  preventCancel: boolean;
  signal: AbortSignal | undefined;
}

/** One pipe on its way. */
class Pipe {
  from: StreamState;
  to: WritableState;
  options: PipeOptions;
  reader: ReaderState;
  writer: WriterState;
  finished: Deferred<undefined> = deferred();
  over = false;
  lastWrite: Promise<unknown> = promiseResolved(undefined);
  step = (): void => this.advance();
  aborted = (): void => this.abort();

  constructor(from: StreamState, to: WritableState, options: PipeOptions) {
    this.from = from;
    this.to = to;
    this.options = options;
    this.reader = acquireReader(from);
    this.writer = acquireWriter(to);
    from.disturbed = true;
  }

  run(): Promise<undefined> {
    const { from, to } = this;
    const { preventAbort, preventCancel, preventClose, signal } = this.options;
    if (signal !== undefined) {
      if (isAborted(signal)) {
        this.abort();
        return this.finished.promise;
      }
      onAbort(signal, this.aborted);
    }
    const sourceFailed = (reason: unknown): void =>
      this.shutDown(preventAbort ? null : () => abortWritable(to, reason), true, reason);
    const sourceEnded = (): void => this.shutDown(preventClose ? null : () => closeAfterPipe(to), false, undefined);
    const sinkFailed = (reason: unknown): void =>
      this.shutDown(preventCancel ? null : () => cancelStream(from, reason), true, reason);
    // What has already happened counts at once, in this order; the rest when it happens.
    if (from.phase === "errored") sourceFailed(from.reason);
    if (to.phase === "errored") sinkFailed(to.reason);
    if (from.phase === "closed") sourceEnded();
    promiseThen(this.reader.closed.promise, sourceEnded, sourceFailed);
    promiseThen(this.writer.closed.promise, undefined, sinkFailed);
    if (closeQueuedOrInFlight(to) || to.phase === "closed") sinkFailed(new TypeError("the destination closed before the source ended"));
    this.advance();
    return this.finished.promise;
  }

  /** Moves one chunk, when the destination has room for it. */
  advance(): void {
    if (this.over) return;
    const { to, step } = this;
    const room = writableDesiredSize(to);
    if (room === null || room <= 0) {
      promiseThen(this.writer.ready.promise, step, ignore);
      return;
    }
    readChunk(this.reader, {
      chunk: (value) => {
        // The write has an end to wait for even before it begins.
        this.lastWrite = promiseThen(promiseResolved(undefined), () => {
          const write = writeChunk(this.writer, value);
          step();
          return promiseThen(write, ignore, ignore);
        });
      },
      close: ignore,
      error: ignore,
    });
  }

  abort(): void {
    const { from, to } = this;
    const { preventAbort, preventCancel, signal } = this.options;
    const reason = abortReason(signal!);
    const abortBoth = async (): Promise<void> => {
      const writing = preventAbort || to.phase !== "writable" ? null : abortWritable(to, reason);
      const reading = preventCancel || from.phase !== "readable" ? null : cancelStream(from, reason);
      if (reading !== null) markHandled(reading);
      await writing;
      await reading;
    };
    this.shutDown(abortBoth, true, reason);
  }

  /** Stops, waits for what is written already, runs `action`, and settles. */
  shutDown(action: (() => Promise<unknown>) | null, failed: boolean, reason: unknown): void {
    if (this.over) return;
    this.over = true;
    const { to } = this;
    const act = (): void => {
      if (action === null) return this.finish(failed, reason);
      promiseThen(action(), () => this.finish(failed, reason), (failure: unknown) => this.finish(true, failure));
    };
    if (to.phase === "writable" && !closeQueuedOrInFlight(to)) promiseThen(this.written(), act);
    else act();
  }

  /** Settles when all that was read is written, what is written meanwhile included. */
  written(): Promise<unknown> {
    const { lastWrite } = this;
    return promiseThen(lastWrite, () => (lastWrite === this.lastWrite ? undefined : this.written()));
  }

  finish(failed: boolean, reason: unknown): void {
    const { signal } = this.options;
    releaseWriter(this.writer);
    releaseReader(this.reader);
    if (signal !== undefined) offAbort(signal, this.aborted);
    if (failed) this.finished.reject(reason);
    else this.finished.resolve(undefined);
  }
}

function closeAfterPipe(to: WritableState): Promise<unknown> {
  if (closeQueuedOrInFlight(to) || to.phase === "closed") return promiseResolved(undefined);
  return to.phase === "errored" ? promiseRejected(to.reason) : closeWritable(to);
}

function readOptions(given: any): PipeOptions {
  const from = dictionary(given, "the options of a pipe");
  const preventAbort = !!from.preventAbort;
  const preventCancel = !!from.preventCancel;
  const preventClose = !!from.preventClose;
  const { signal } = from;
  if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError("signal must be an AbortSignal");
  return { preventClose, preventAbort, preventCancel, signal };
}

function start(source: ReadableStream, destination: WritableStream, options: PipeOptions): Promise<undefined> {
  const to = writableState(destination);
  if (isLocked(source) || to.writer !== null) throw new TypeError("a locked stream cannot be piped");
  const from = readableState(source);
  return joined(from, to, options) ?? new Pipe(from, to, options).run();
}

/**
 * A body of the host's that is piped into a transform which changes nothing becomes the source of the transform's other
 * side, from where it can go back to the host as it came. `null` where anybody could tell the difference.
 */
function joined(from: StreamState, to: WritableState, options: PipeOptions): Promise<undefined> | null {
  const { origin } = from;
  const { identity } = to;
  const { preventAbort, preventCancel, preventClose, signal } = options;
  if (!(origin instanceof HostBody) || identity === null || signal !== undefined) return null;
  if (preventAbort || preventCancel || preventClose || origin.done || origin.operation !== 0) return null;
  if (!isUntouched(from) || !isUnwritten(to) || !isUntouched(identity) || identity.origin !== null) return null;
  const reader = acquireReader(from);
  const writer = acquireWriter(to);
  const end = deferred<undefined>();
  from.disturbed = true;
  from.origin = null;
  from.pull = null;
  from.cancel = null;
  setOrigin(identity, origin);
  to.identity = null;
  origin.ended = (failure) => {
    if (failure === null) {
      closeController(from);
      closeUnwritten(writer);
      end.resolve(undefined);
    } else {
      errorStream(from, failure.reason);
      errorIfWritable(to, failure.reason);
      releaseWriter(writer);
      end.reject(failure.reason);
    }
    releaseReader(reader);
  };
  return end.promise;
}

export function pipeTo(source: ReadableStream, destination: any, options: any): Promise<undefined> {
  try {
    if (!isWritableStream(destination)) throw new TypeError("pipeTo needs a WritableStream");
    return start(source, destination, readOptions(options));
  } catch (error) {
    return promiseRejected(error);
  }
}

export function pipeThrough(source: ReadableStream, pair: any, options: any): ReadableStream {
  const { readable, writable } = pairOf(pair);
  markHandled(start(source, writable, readOptions(options)));
  return readable;
}

function pairOf(pair: any): { readable: ReadableStream; writable: WritableStream } {
  const from = dictionary(pair, "a transform");
  const { readable } = from;
  if (!isReadableStream(readable)) throw new TypeError("a transform's readable must be a ReadableStream");
  const { writable } = from;
  if (!isWritableStream(writable)) throw new TypeError("a transform's writable must be a WritableStream");
  return { readable, writable };
}
