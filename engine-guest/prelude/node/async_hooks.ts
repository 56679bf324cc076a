/**
 * `node:async_hooks`: `AsyncLocalStorage` and `AsyncResource`.
 *
 * The engine carries one value per continuation (patch 0005): captured where a promise reaction is registered, a job
 * is queued or an operation is started, and current again while that code runs. Here the value is a *frame*, a flat
 * array `[storage, store, storage, store, …]` that is never changed, or `undefined` where nothing is stored.
 */
import { asyncContext, setAsyncContext } from "../native.ts";
import { apply, arraySlice, defineProperty, freeze, isObject } from "../primordials.ts";
import { checkFunction, checkString, invalidArgType } from "./internal/errors.ts";

type Frame = unknown[] | undefined;

/** The frame with `store` under `storage`. */
function frameWith(frame: Frame, storage: unknown, store: unknown): Frame {
  const next: unknown[] = frame === undefined ? [] : arraySlice(frame);
  let at = 0;
  while (at < next.length && next[at] !== storage) at += 2;
  next[at] = storage;
  next[at + 1] = store;
  return next;
}

/** Runs `fn` in a frame. */
function runIn(frame: Frame, fn: any, self: unknown, args: unknown[]): any {
  const previous = setAsyncContext(frame);
  try {
    return apply(fn, self, args);
  } finally {
    setAsyncContext(previous);
  }
}

/** A value that follows a chain of asynchronous calls. */
export class AsyncLocalStorage {
  #enabled = true;
  #defaultValue: unknown;
  #name: string;

  constructor(options: any = undefined) {
    if (options !== undefined && !isObject(options)) throw invalidArgType("options", "of type object", options);
    if (options?.name !== undefined) checkString(options.name, "options.name");
    this.#defaultValue = options?.defaultValue;
    this.#name = options?.name ?? "";
  }

  static bind(fn: any): any {
    checkFunction(fn, "fn");
    const frame = asyncContext();
    return function (this: unknown, ...args: unknown[]) {
      return runIn(frame, fn, this, args);
    };
  }

  static snapshot(): any {
    const frame = asyncContext();
    return function (this: unknown, fn: any, ...args: unknown[]) {
      return runIn(frame, fn, this, args);
    };
  }

  get name(): string {
    return this.#name;
  }

  getStore(): any {
    if (!this.#enabled) return undefined;
    const frame: Frame = asyncContext();
    if (frame !== undefined) {
      for (let at = 0; at < frame.length; at += 2) if (frame[at] === this) return frame[at + 1];
    }
    return this.#defaultValue;
  }

  run(store: unknown, fn: any, ...args: unknown[]): any {
    this.#enabled = true;
    return runIn(frameWith(asyncContext(), this, store), fn, undefined, args);
  }

  exit(fn: any, ...args: unknown[]): any {
    return runIn(frameWith(asyncContext(), this, undefined), fn, undefined, args);
  }

  enterWith(store: unknown): void {
    this.#enabled = true;
    setAsyncContext(frameWith(asyncContext(), this, store));
  }

  disable(): void {
    this.#enabled = false;
  }
}

let ids = 1;

/** Keeps the context of the place where it was made. */
export class AsyncResource {
  #frame: Frame;
  #id: number;
  #type: string;

  constructor(type: string, _options: any = undefined) {
    checkString(type, "type");
    this.#type = type;
    this.#frame = asyncContext();
    this.#id = ++ids;
  }

  static bind(fn: any, type: any = undefined, self: any = undefined): any {
    checkFunction(fn, "fn");
    return new AsyncResource(type ?? (fn.name || "bound-anonymous-fn")).bind(fn, self);
  }

  get type(): string {
    return this.#type;
  }

  runInAsyncScope(fn: any, self: any = undefined, ...args: unknown[]): any {
    return runIn(this.#frame, fn, self, args);
  }

  emitDestroy(): this {
    void this.#id;
    return this;
  }

  asyncId(): number {
    return this.#id;
  }

  triggerAsyncId(): number {
    void this.#id;
    return 0;
  }

  bind(fn: any, self: any = undefined): any {
    checkFunction(fn, "fn");
    const frame = this.#frame;
    const bound = function (this: unknown, ...args: unknown[]) {
      return runIn(frame, fn, self === undefined ? this : self, args);
    };
    defineProperty(bound, "length", { value: fn.length, configurable: true });
    return bound;
  }
}

/** Hooks are accepted and never called: nothing here follows single resources. */
export function createHook(callbacks: any): any {
  if (!isObject(callbacks)) throw invalidArgType("callbacks", "of type object", callbacks);
  const hook = {
    enable: () => hook,
    disable: () => hook,
  };
  return hook;
}

export function executionAsyncId(): number {
  return 0;
}

export function triggerAsyncId(): number {
  return 0;
}

const resource = {};

export function executionAsyncResource(): object {
  return resource;
}

export const asyncWrapProviders = freeze({ __proto__: null, NONE: 0 });

export default {
  AsyncLocalStorage, AsyncResource, createHook, executionAsyncId, triggerAsyncId, executionAsyncResource,
  asyncWrapProviders,
};
