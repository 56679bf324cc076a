/**
 * What nobody caught: errors of callbacks and rejections of promises. A worker hears of them by the global object's
 * `error`, `unhandledrejection` and `rejectionhandled` events; unless it prevents that, they are written to the log.
 */
import { describeError } from "./errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute, isHeard, setReport } from "./events.ts";
import { logError } from "./log.ts";
import { TypeError, defineProperty, isObject, toStr, webClass } from "./primordials.ts";

/** An error that nobody caught. */
export class ErrorEvent extends Event {
  #values: { message: string; filename: string; lineno: number; colno: number; error: unknown };

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("ErrorEvent needs a type");
    super(type, init);
    const { colno = 0, error, filename = "", lineno = 0, message = "" } = init ?? {};
    this.#values = {
      message: toStr(message), filename: toStr(filename), lineno: lineno >>> 0, colno: colno >>> 0, error,
    };
  }

  get message(): string {
    return this.#values.message;
  }

  get filename(): string {
    return this.#values.filename;
  }

  get lineno(): number {
    return this.#values.lineno;
  }

  get colno(): number {
    return this.#values.colno;
  }

  get error(): unknown {
    return this.#values.error;
  }
}
webClass(ErrorEvent, 1);

/** A promise that was rejected, and nobody handled it; or somebody did after all. */
export class PromiseRejectionEvent extends Event {
  #promise: object;
  #reason: unknown;

  constructor(type: string, init: any) {
    if (arguments.length < 2) throw new TypeError("PromiseRejectionEvent needs a type and an init");
    super(type, init);
    const { promise, reason } = init ?? {};
    if (!isObject(promise)) throw new TypeError("a PromiseRejectionEvent needs a promise");
    this.#promise = promise;
    this.#reason = reason;
  }

  get promise(): object {
    return this.#promise;
  }

  get reason(): unknown {
    return this.#reason;
  }
}
webClass(PromiseRejectionEvent, 2);

/** An error within the handling of an error is only logged. */
let reporting = false;

/** Fires the event at the global object; true if a listener prevented what would come next. */
function prevented(event: Event): boolean {
  reporting = true;
  try {
    fireTrusted(globalThis as any, event);
  } finally {
    reporting = false;
  }
  return event.defaultPrevented;
}

/** Reports an exception that nobody caught. `context` says in the log what was going on. */
export function report(context: string, thrown: unknown): void {
  if (!reporting && isHeard("error")) {
    const { name, message } = describeError(thrown);
    const text = `Uncaught ${name}: ${message}`;
    if (prevented(new ErrorEvent("error", { cancelable: true, message: text, error: thrown }))) return;
  }
  logError(context, thrown);
}
setReport(report);

export function reportRejection(promise: object, reason: unknown): void {
  if (isHeard("unhandledrejection")) {
    if (prevented(new PromiseRejectionEvent("unhandledrejection", { cancelable: true, promise, reason }))) return;
  }
  logError("a promise was rejected and nobody handled it", reason);
}

export function reportHandled(promise: object, reason: unknown): void {
  if (isHeard("rejectionhandled")) prevented(new PromiseRejectionEvent("rejectionhandled", { promise, reason }));
}

export function reportError(error: unknown): void {
  if (arguments.length === 0) throw new TypeError("reportError needs what was thrown");
  report("reportError", error);
}

// The global object is no EventTarget, and has what one has.
for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"] as const) {
  defineProperty(globalThis, name, {
    value: EventTarget.prototype[name], writable: true, configurable: true, enumerable: true,
  });
}
handlerAttribute(globalThis, "error");
handlerAttribute(globalThis, "unhandledrejection");
handlerAttribute(globalThis, "rejectionhandled");
