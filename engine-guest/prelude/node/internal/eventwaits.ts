/**
 * `events.once` and `events.on`: events as a promise, and as an async iterator.
 */
import { objectAssign } from "../../library.ts";
import {
  AsyncIteratorPrototype, Error, Promise, arrayShift, objectCreate, promiseRejected, promiseResolved,
} from "../../primordials.ts";
import { checkObject, checkSignal, invalidArgType, nodeAbortError } from "./errors.ts";

function listen(emitter: any, name: any, listener: any, once: boolean): void {
  if (typeof emitter?.on === "function") {
    if (once) emitter.once(name, listener);
    else emitter.on(name, listener);
  } else if (typeof emitter?.addEventListener === "function") {
    emitter.addEventListener(name, listener, once ? { once } : undefined);
  } else {
    throw invalidArgType("emitter", "an instance of EventEmitter", emitter);
  }
}

function unlisten(emitter: any, name: any, listener: any): void {
  if (typeof emitter.removeListener === "function") emitter.removeListener(name, listener);
  else emitter.removeEventListener(name, listener);
}

/** The arguments of the next event `name`; rejected by an `error`. */
export async function once(emitter: any, name: any, options: any = {}): Promise<any[]> {
  checkObject(options, "options");
  const { signal } = options;
  checkSignal(signal, "options.signal");
  if (signal?.aborted) throw nodeAbortError(signal.reason);
  return new Promise<any[]>((resolve, reject) => {
    const ended = (): void => {
      unlisten(emitter, name, onEvent);
      if (watchErrors) unlisten(emitter, "error", onError);
      if (signal !== undefined) signal.removeEventListener("abort", onAbort);
    };
    const onEvent = (...args: any[]): void => {
      ended();
      resolve(args);
    };
    const onError = (error: unknown): void => {
      ended();
      reject(error);
    };
    const onAbort = (): void => {
      ended();
      reject(nodeAbortError(signal.reason));
    };
    const watchErrors = name !== "error" && typeof emitter?.once === "function";
    listen(emitter, name, onEvent, true);
    if (watchErrors) listen(emitter, "error", onError, true);
    if (signal !== undefined) signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Every event `name`, as an async iterator that queues what nobody has asked for yet. */
export function on(emitter: any, name: any, options: any = {}): any {
  checkObject(options, "options");
  const { signal } = options;
  checkSignal(signal, "options.signal");
  if (signal?.aborted) throw nodeAbortError(signal.reason);
  const events: any[] = [];
  const waiting: any[] = [];
  const high = options.highWaterMark ?? options.highWatermark ?? Infinity;
  const low = options.lowWaterMark ?? options.lowWatermark ?? 1;
  let failure: { error: unknown } | null = null;
  let finished = false;
  let paused = false;
  const onEvent = (...args: any[]): void => {
    if (waiting.length > 0) arrayShift(waiting).resolve({ value: args, done: false });
    else {
      events[events.length] = args;
      if (events.length > high && !paused && typeof emitter.pause === "function") {
        paused = true;
        emitter.pause();
      }
    }
  };
  const onError = (error: unknown): void => {
    failure = { error };
    if (waiting.length > 0) {
      const { reject } = arrayShift(waiting);
      failure = null;
      finished = true;
      reject(error);
    }
    close();
  };
  const onAbort = (): void => onError(nodeAbortError(signal.reason));
  const closeEvents: any[] = options.close ?? [];
  const close = (): any => {
    unlisten(emitter, name, onEvent);
    if (watchErrors) unlisten(emitter, "error", onError);
    for (let i = 0; i < closeEvents.length; i++) unlisten(emitter, closeEvents[i], close);
    if (signal !== undefined) signal.removeEventListener("abort", onAbort);
    finished = true;
    while (waiting.length > 0) arrayShift(waiting).resolve({ value: undefined, done: true });
    return promiseResolved({ value: undefined, done: true });
  };
  const watchErrors = name !== "error" && typeof emitter?.on === "function";
  listen(emitter, name, onEvent, false);
  if (watchErrors) listen(emitter, "error", onError, false);
  for (let i = 0; i < closeEvents.length; i++) listen(emitter, closeEvents[i], close, true);
  if (signal !== undefined) signal.addEventListener("abort", onAbort, { once: true });
  return objectAssign(objectCreate(AsyncIteratorPrototype), {
    next(): Promise<any> {
      if (events.length > 0) {
        const value = arrayShift(events);
        if (paused && events.length < low) {
          paused = false;
          emitter.resume();
        }
        return promiseResolved({ value, done: false });
      }
      if (failure !== null) {
        const { error } = failure;
        failure = null;
        return promiseRejected(error);
      }
      if (finished) return promiseResolved({ value: undefined, done: true });
      return new Promise((resolve, reject) => {
        waiting[waiting.length] = { resolve, reject };
      });
    },
    return: close,
    throw(error: any): void {
      if (!(error instanceof Error)) throw invalidArgType("EventEmitter.AsyncIterator", "an instance of Error", error);
      onError(error);
    },
  });
}
