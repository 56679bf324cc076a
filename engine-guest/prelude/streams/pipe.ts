/**
 * `pipeTo`: moves chunks from a readable to a writable stream as fast as the writable wants them, and carries ends
 * and failures over in both directions. Also hooks the modules above `readable.ts` into its class.
 */
import { type AbortSignal, abortReason, isAbortSignal, isAborted, offAbort, onAbort } from "../abort.ts";
import {
  type Deferred, TypeError, deferred, isObject, markHandled, promiseRejected, promiseResolved, promiseThen,
} from "../primordials.ts";
import {
  type ReadableStream, type ReaderState, type StreamState, acquireReader, cancelStream, extendStreams, isLocked,
  isReadableStream, readChunk, readableState, releaseReader,
} from "./readable.ts";
import { streamFrom, teeStream } from "./tee.ts";
import {
  type WritableState, type WriterState, abortWritable, acquireWriter, closeQueuedOrInFlight, closeWritable, isWritableStream, releaseWriter,
  writableDesiredSize, writableState, writeChunk,
} from "./writable.ts";

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
    const { signal } = this.options;
    if (signal !== undefined && isAborted(signal)) {
      this.abort();
      return this.finished.promise;
    }
    if (signal !== undefined) onAbort(signal, this.aborted);
    const check = (): void => {
      if (this.from.phase === "errored" || this.to.phase !== "writable") this.checkEnds();
    };
    promiseThen(this.reader.closed.promise, check, check);
    promiseThen(this.writer.closed.promise, check, check);
    this.advance();
    return this.finished.promise;
  }

  /** Moves one chunk, when the destination has room for it. */
  advance(): void {
    if (this.checkEnds()) return;
    const { to, step } = this;
    if (writableDesiredSize(to)! <= 0) {
      promiseThen(this.writer.ready.promise, step, step);
      return;
    }
    readChunk(this.reader, {
      chunk: (value) => {
        promiseThen(promiseResolved(undefined), () => {
          const write = writeChunk(to, value);
          markHandled(write);
          this.lastWrite = write;
          step();
        });
      },
      close: step,
      error: step,
    });
  }

  /** True if the pipe is over, one way or another. */
  checkEnds(): boolean {
    if (this.over) return true;
    const { from, to } = this;
    const { preventAbort, preventCancel, preventClose } = this.options;
    if (from.phase === "errored") {
      this.shutDown(preventAbort ? null : () => abortWritable(to, from.reason), true, from.reason);
    } else if (to.phase === "errored" || to.phase === "erroring") {
      this.shutDown(preventCancel ? null : () => cancelStream(from, to.reason), true, to.reason);
    } else if (from.phase === "closed") {
      const close = (): Promise<unknown> => (closeQueuedOrInFlight(to) ? promiseResolved(undefined) : closeWritable(to));
      this.shutDown(preventClose ? null : close, false, undefined);
    } else if (closeQueuedOrInFlight(to) || to.phase === "closed") {
      const closed = new TypeError("the destination closed before the source ended");
      this.shutDown(preventCancel ? null : () => cancelStream(from, closed), true, closed);
    }
    return this.over;
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
    const wait = to.phase === "writable" && !closeQueuedOrInFlight(to);
    const act = (): void => {
      if (action === null) return this.finish(failed, reason);
      promiseThen(action(), () => this.finish(failed, reason), (failure: unknown) => this.finish(true, failure));
    };
    promiseThen(wait ? this.lastWrite : promiseResolved(undefined), act, act);
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

function pipe(source: ReadableStream, destination: any, options: any): Promise<undefined> {
  if (!isReadableStream(source)) return promiseRejected(new TypeError("pipeTo works on a ReadableStream"));
  if (!isWritableStream(destination)) return promiseRejected(new TypeError("pipeTo needs a WritableStream"));
  const given = isObject(options) ? options : {};
  const { signal } = given;
  if (signal !== undefined && !isAbortSignal(signal)) {
    return promiseRejected(new TypeError("signal must be an AbortSignal"));
  }
  const to = writableState(destination);
  if (isLocked(source) || to.writer !== null) {
    return promiseRejected(new TypeError("a locked stream cannot be piped"));
  }
  const checked: PipeOptions = {
    preventClose: !!given.preventClose, preventAbort: !!given.preventAbort, preventCancel: !!given.preventCancel, signal,
  };
  return new Pipe(readableState(source), to, checked).run();
}

extendStreams({ pipe, tee: (stream) => teeStream(stream, false), from: streamFrom });
