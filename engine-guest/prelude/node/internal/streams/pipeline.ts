/**
 * `pipeline` and `compose`: streams, iterables and functions in a row, which end together.
 */
import { symbolAsyncIterator, symbolIterator } from "../../../library.ts";
import {
  Error, Promise, TypeError, Uint8Array, arraySlice, isArray, isObject, promiseThen,
} from "../../../primordials.ts";
import { checkFunction, codedError, invalidArgType, missingArgs, nodeAbortError, received } from "../errors.ts";
import { AbortController } from "../../../abort.ts";
import { nextTick } from "../ticks.ts";
import { destroyer } from "./destroy.ts";
import { Duplex, PassThrough, pair } from "./duplex.ts";
import { finished, isNodeStream, isWebStream } from "./finished.ts";
import { from, iterate } from "./from.ts";
import { toNode } from "./web.ts";

function isIterable(value: any): boolean {
  return isObject(value) && (typeof value[symbolAsyncIterator] === "function" || typeof value[symbolIterator] === "function");
}

function isReadableStream(value: any): boolean {
  return isNodeStream(value) && (value._readableState ? value._readableState.readable !== false : typeof value.pipe === "function");
}

/** Writes everything that an iterable gives, with back-pressure. */
async function pump(iterable: any, writable: any, end: boolean, signal: any): Promise<void> {
  let failure: any;
  let wake: (() => void) | null = null;
  let over = false;
  const resume = (error?: any): void => {
    if (error) failure = error;
    const awake = wake;
    wake = null;
    if (awake) awake();
  };
  writable.on("drain", resume);
  const cleanup = finished(writable, { readable: false }, (error: any) => {
    over = true;
    resume(error);
  });
  try {
    const wait = async (): Promise<void> => {
      if (failure) throw failure;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (failure) throw failure;
    };
    if (writable.writableNeedDrain) await wait();
    for await (const chunk of iterable) {
      if (signal.aborted) throw nodeAbortError(signal.reason);
      if (!writable.write(chunk)) await wait();
    }
    if (end) {
      writable.end();
      while (!over) await wait();
    }
  } finally {
    cleanup();
    writable.removeListener("drain", resume);
  }
}

interface Run {
  signal: any;
  abort: (error?: any) => void;
  pending: number;
  error: any;
  value: any;
  destroys: ((error: any) => void)[];
  callback: (error: any, value?: any) => void;
}

function done(run: Run, error: any): void {
  if (error && (!run.error || run.error.code === "ERR_STREAM_PREMATURE_CLOSE")) run.error = error;
  run.pending--;
  if (!run.error && run.pending > 0) return;
  const { destroys } = run;
  run.destroys = [];
  for (let i = 0; i < destroys.length; i++) destroys[i]!(run.error);
  run.abort();
  if (run.pending <= 0) nextTick(run.callback, run.error, run.value);
}

function watch(run: Run, stream: any, reading: boolean, writing: boolean): void {
  let over = false;
  stream.on("close", () => {
    over = true;
  });
  run.pending++;
  finished(stream, { readable: reading, writable: writing }, (error: any) => {
    over = !error;
    const r = stream._readableState;
    const ended = error?.code === "ERR_STREAM_PREMATURE_CLOSE" && reading && r?.ended && !r.errored && !r.errorEmitted;
    done(run, ended ? undefined : error);
  });
  run.destroys[run.destroys.length] = (error) => {
    if (over) return;
    over = true;
    destroyer(stream, error || codedError(Error, "ERR_STREAM_DESTROYED", "Cannot call pipe after a stream was destroyed"));
  };
}

function start(run: Run, fn: () => Promise<any>): void {
  run.pending++;
  promiseThen(fn(), () => nextTick(done, run, undefined), (error: any) => nextTick(done, run, error));
}

export function pipelineOf(parts: any[], callback: any, options: any = {}): any {
  const streams: any[] = parts.length === 1 && isArray(parts[0]) ? arraySlice(parts[0]) : parts;
  if (streams.length < 2) throw missingArgs('"streams" argument');
  for (let i = 0; i < streams.length; i++) if (isWebStream(streams[i])) streams[i] = toNode(streams[i]);
  const controller: any = new AbortController();
  const { signal } = controller;
  let told = false;
  const run: Run = {
    signal, pending: 1, error: undefined, value: undefined, destroys: [],
    abort: (reason) => {
      if (!signal.aborted) controller.abort(reason);
    },
    callback: (error, value) => {
      if (told) return;
      told = true;
      options.signal?.removeEventListener("abort", onAbort);
      callback(error, value);
    },
  };
  const onAbort = (): void => {
    run.pending++;
    done(run, nodeAbortError(options.signal.reason));
  };
  if (options.signal) {
    if (options.signal.aborted) nextTick(onAbort);
    else options.signal.addEventListener("abort", onAbort, { once: true });
  }
  const result = link(run, streams, options.end !== false);
  nextTick(done, run, undefined);
  return result;
}

function link(run: Run, streams: any[], endLast: boolean): any {
  let flow: any;
  const last = streams.length - 1;
  for (let i = 0; i <= last; i++) {
    const part = streams[i];
    const reading = i < last;
    const end = reading || endLast;
    if (isNodeStream(part) && end) watch(run, part, reading, i > 0);
    if (i === 0) {
      if (typeof part === "function") {
        flow = part({ signal: run.signal });
        if (!isIterable(flow)) throw returnError("Iterable, AsyncIterable or Stream", "source", flow);
      } else if (isIterable(part) || isNodeStream(part)) flow = part;
      else flow = (Duplex as any).from(part);
    } else if (typeof part === "function") {
      const made = part(isNodeStream(flow) && isReadableStream(flow) ? iterate(flow) : flow, { signal: run.signal });
      if (reading) {
        if (!isIterable(made)) throw returnError("AsyncIterable", `transform[${i - 1}]`, made);
        flow = made;
      } else flow = lastFunction(run, made);
    } else if (isNodeStream(part)) {
      joinTo(run, flow, part, end);
      flow = part;
    } else flow = (Duplex as any).from(part);
  }
  return flow;
}

function returnError(wanted: string, name: string, got: any): any {
  return codedError(TypeError, "ERR_INVALID_RETURN_VALUE", `Expected ${wanted} to be returned from the "${name}" function but got ${received(got)}.`);
}

function joinTo(run: Run, flow: any, part: any, end: boolean): void {
  if (!isNodeStream(flow)) {
    start(run, () => pump(flow, part, end, run.signal));
    return;
  }
  flow.pipe(part, { end: false });
  if (!end) return;
  const finish = (): void => part.end();
  if (flow.readableEnded || (flow._readableState?.endEmitted)) nextTick(finish);
  else flow.once("end", finish);
}

/** A function at the end: an iterable becomes a stream to read, a promise is what the pipeline comes to. */
function lastFunction(run: Run, made: any): any {
  const out = new (PassThrough as any)({ objectMode: true });
  if (isObject(made) && typeof made.then === "function") {
    start(run, async () => {
      const value = await made;
      run.value = value;
      if (value !== null && value !== undefined) out.write(value);
      out.end();
    });
  } else if (isIterable(made)) {
    start(run, () => pump(made, out, true, run.signal));
  } else throw returnError("AsyncIterable or Promise", "destination", made);
  watch(run, out, false, true);
  return out;
}

export function pipeline(...args: any[]): any {
  const callback = args[args.length - 1];
  checkFunction(callback, "streams[stream.length - 1]");
  let told = false;
  return pipelineOf(arraySlice(args, 0, -1), (error: any, value: any) => {
    if (told) return;
    told = true;
    callback(error, value);
  });
}

export function pipelinePromise(...args: any[]): Promise<any> {
  return new Promise((resolve, reject) => {
    let options: any = {};
    const last = args[args.length - 1];
    const plain = isObject(last) && typeof last !== "function" && !isNodeStream(last) && !isIterable(last) && !isWebStream(last);
    if (plain) {
      options = last;
      args.length--;
    }
    pipelineOf(args, (error: any, value: any) => (error ? reject(error) : resolve(value)), options);
  });
}

/** One duplex that writes to the first and reads from the last. */
export function compose(...streams: any[]): any {
  if (streams.length === 0) throw missingArgs('"streams" argument');
  const parts = arraySlice(streams);
  for (let i = 0; i < parts.length; i++) if (isWebStream(parts[i])) parts[i] = toNode(parts[i]);
  if (parts.length === 1) return isNodeStream(parts[0]) ? parts[0] : (Duplex as any).from(parts[0]);
  const head = typeof parts[0] === "function" || isIterable(parts[0]) && !isNodeStream(parts[0])
    ? (Duplex as any).from(parts[0]) : parts[0];
  const tail = typeof parts[parts.length - 1] === "function" ? (Duplex as any).from(parts[parts.length - 1]) : parts[parts.length - 1];
  parts[0] = head;
  parts[parts.length - 1] = tail;
  const whole = pair(isReadableStream(tail) ? tail : null, head._writableState ? head : null);
  pipelineOf(parts, (error: any) => {
    if (error) whole.destroy(error);
  });
  return whole;
}

(Duplex as any).from = function (body: any): any {
  if (isNodeStream(body) && body._writableState && body._readableState) return body;
  if (isNodeStream(body)) return body._writableState ? pair(null, body) : pair(body, null);
  if (isWebStream(body)) return toNode(body);
  if (typeof body === "function") return fromFunction(body);
  if (isObject(body) && typeof body.arrayBuffer === "function") return from(blobBytes(body));
  if (isIterable(body) || typeof body === "string") return pair(from(body, { writable: false }), null);
  if (isObject(body) && typeof body.then === "function") {
    return pair(from((async function* () {
      const value = await body;
      if (value !== null && value !== undefined) yield value;
    })()), null);
  }
  if (isObject(body) && (isObject(body.readable) || isObject(body.writable))) {
    const readable = isWebStream(body.readable) ? toNode(body.readable) : body.readable;
    const writable = isWebStream(body.writable) ? toNode(body.writable) : body.writable;
    return pair(readable, writable);
  }
  throw invalidArgType(
    "body", "an instance of Blob, ReadableStream, WritableStream, Stream, Iterable, AsyncIterable, or Promise or of type function", body,
  );
};

async function* blobBytes(blob: any): AsyncGenerator<any> {
  yield new Uint8Array(await blob.arrayBuffer());
}

function fromFunction(fn: any): any {
  const input = new (PassThrough as any)({ objectMode: true });
  const made = fn(iterate(input), { signal: new AbortController().signal });
  if (isIterable(made)) return pair(from(made), input);
  if (isObject(made) && typeof made.then === "function") {
    const sink = pair(null, input);
    promiseThen(made, undefined, (error: any) => sink.destroy(error));
    return sink;
  }
  throw returnError("Iterable, AsyncIterable or AsyncFunction", "body", made);
}
