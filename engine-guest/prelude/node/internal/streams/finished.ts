/**
 * `finished`: tells once when a stream is over, well or badly.
 */
import { asyncContext, setAsyncContext } from "../../../native.ts";
import { Error, Promise, apply, promiseResolved, promiseThen } from "../../../primordials.ts";
import { checkFunction, checkObject, checkSignal, codedError, invalidArgType, nodeAbortError } from "../errors.ts";
import { ReadableStream } from "../../../streams/readable.ts";
import { TransformStream } from "../../../streams/transform.ts";
import { WritableStream } from "../../../streams/writable.ts";
import { nextTick } from "../ticks.ts";
import { isRequest } from "./destroy.ts";

function premature(): any {
  return codedError(Error, "ERR_STREAM_PREMATURE_CLOSE", "Premature close");
}

function isReadableSide(stream: any): boolean {
  return stream._readableState ? stream._readableState.readable !== false : typeof stream.read === "function" || stream.readable === true;
}

function isWritableSide(stream: any): boolean {
  return stream._writableState ? stream._writableState.writable !== false : typeof stream.write === "function" && stream.writable !== false;
}

export function isNodeStream(value: any): boolean {
  return !!value && (!!value._readableState || !!value._writableState
    || (typeof value.write === "function" && typeof value.on === "function")
    || (typeof value.pipe === "function" && typeof value.on === "function"));
}

export function isWebStream(value: any): boolean {
  return value instanceof ReadableStream || value instanceof WritableStream || value instanceof TransformStream;
}

function whenWebEnds(stream: any, options: any, callback: any): () => void {
  let told = false;
  const tell = (error?: any): void => {
    if (told) return;
    told = true;
    if (error === undefined) apply(callback, stream, []);
    else apply(callback, stream, [error]);
  };
  if (options.signal) {
    if (options.signal.aborted) nextTick(tell, nodeAbortError(options.signal.reason));
    else options.signal.addEventListener("abort", () => tell(nodeAbortError(options.signal.reason)), { once: true });
  }
  const { closedPromiseOf } = webHooks;
  promiseThen(closedPromiseOf(stream), () => nextTick(tell), (error: unknown) => nextTick(tell, error));
  return () => {
    told = true;
  };
}

/** web.ts knows how to wait for a web stream. */
export const webHooks: { closedPromiseOf: (stream: any) => Promise<unknown> } = {
  closedPromiseOf: () => promiseResolved(undefined),
};

export function finished(stream: any, options: any, callback?: any): () => void {
  if (callback === undefined && typeof options === "function") {
    callback = options;
    options = {};
  } else if (options === null || options === undefined) options = {};
  else checkObject(options, "options");
  checkFunction(callback, "callback");
  checkSignal(options.signal, "options.signal");
  if (isWebStream(stream)) return whenWebEnds(stream, options, callback);
  if (!isNodeStream(stream)) throw invalidArgType("stream", "an instance of ReadableStream, WritableStream, or Stream", stream);
  return watch(stream, options, callback);
}

function watch(stream: any, options: any, given: any): () => void {
  let told = false;
  const frame = asyncContext();
  const callback = (error?: any): void => {
    if (told) return;
    told = true;
    const previous = setAsyncContext(frame);
    try {
      if (error === undefined) apply(given, stream, []);
      else apply(given, stream, [error]);
    } finally {
      setAsyncContext(previous);
    }
  };
  const readable = options.readable ?? isReadableSide(stream);
  const writable = options.writable ?? isWritableSide(stream);
  const r = stream._readableState;
  const w = stream._writableState;
  const automatic = !!(w?.autoDestroy ?? r?.autoDestroy) && (w?.emitClose ?? r?.emitClose) !== false && (w || r).closed !== undefined;
  const willClose = automatic && isReadableSide(stream) === readable && isWritableSide(stream) === writable;
  let writableDone = w ? w.finished || (w.writable === false) : stream.writable === false;
  let readableDone = r ? r.endEmitted || (r.readable === false) : stream.readable === false;
  const onFinish = (): void => {
    writableDone = true;
    if (stream.destroyed && willClose && !readable) return willClose ? undefined : callback();
    if (willClose && (!stream.readable || readable)) return;
    if (!readable || readableDone) callback();
  };
  const onEnd = (): void => {
    readableDone = true;
    if (willClose && (!stream.writable || writable)) return;
    if (!writable || writableDone) callback();
  };
  const onError = (error: any): void => callback(error);
  const erroredBy = (): any => w?.errored ?? r?.errored ?? null;
  const onClose = (): void => {
    const errored = erroredBy();
    if (errored && typeof errored !== "boolean") return callback(errored);
    if (readable && !readableDone && isReadableSide(stream) && !(r?.endEmitted)) return callback(premature());
    if (writable && !writableDone && !(w?.finished)) return callback(premature());
    callback();
  };
  const onRequest = (): void => stream.req.on("finish", onFinish);
  if (isRequest(stream)) {
    stream.on("complete", onFinish);
    if (!willClose) stream.on("abort", onClose);
    if (stream.req) onRequest();
    else stream.on("request", onRequest);
  } else if (writable && !w) {
    stream.on("end", onFinish);
    stream.on("close", onFinish);
  }
  if (!willClose && typeof stream.aborted === "boolean") stream.on("aborted", onClose);
  stream.on("end", onEnd);
  stream.on("finish", onFinish);
  if (options.error !== false) stream.on("error", onError);
  stream.on("close", onClose);
  const closed = (w ?? r)?.closed || stream._closed;
  if (closed) nextTick(onClose);
  else if (w?.errorEmitted || r?.errorEmitted) {
    if (!willClose) nextTick(onClose);
  } else if (!readable && (!willClose || stream.readable) && (writableDone || stream.writable === false)) nextTick(onClose);
  else if (!writable && (!willClose || stream.writable) && (readableDone || stream.readable === false)) nextTick(onClose);
  const cleanup = (): void => {
    told = true;
    const names: [string, any][] = [
      ["aborted", onClose], ["complete", onFinish], ["abort", onClose], ["request", onRequest], ["end", onFinish],
      ["close", onFinish], ["finish", onFinish], ["end", onEnd], ["error", onError], ["close", onClose],
    ];
    for (let i = 0; i < names.length; i++) stream.removeListener(names[i]![0], names[i]![1]);
  };
  if (options.signal && !closed) {
    const abort = (): void => {
      const tell = callback;
      cleanupQuietly();
      tell(nodeAbortError(options.signal.reason));
    };
    const cleanupQuietly = (): void => {
      const before = told;
      cleanup();
      told = before;
    };
    if (options.signal.aborted) nextTick(abort);
    else options.signal.addEventListener("abort", abort, { once: true });
  }
  return cleanup;
}

/** `finished` as a promise. */
export function finishedPromise(stream: any, options?: any): Promise<void> {
  let automatic = false;
  if (options?.cleanup !== undefined) {
    if (typeof options.cleanup !== "boolean") throw invalidArgType("cleanup", "of type boolean", options.cleanup);
    automatic = options.cleanup;
  }
  return new Promise<void>((resolve, reject) => {
    const cleanup = finished(stream, options ?? {}, (error: any) => {
      if (automatic) cleanup();
      if (error) reject(error);
      else resolve();
    });
  });
}
