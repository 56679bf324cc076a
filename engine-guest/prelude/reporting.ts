/**
 * What nobody caught: errors of callbacks and rejections of promises. A worker hears of them by the global object's
 * `error`, `unhandledrejection` and `rejectionhandled` events; unless it prevents that, they are written to the log.
 */
import { describeError } from "./errors.ts";
import { type Event, EventTarget, fireTrusted, handlerAttribute, isHeard, setReport } from "./events.ts";
import { feature } from "./features.ts";
import { logError } from "./log.ts";
import { TypeError, defineProperty } from "./primordials.ts";

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
    if (prevented(new (feature("errorevents").ErrorEvent)("error", { cancelable: true, message: text, error: thrown }))) return;
  }
  logError(context, thrown);
}
setReport(report);

export function reportRejection(promise: object, reason: unknown): void {
  if (isHeard("unhandledrejection")) {
    if (prevented(new (feature("errorevents").PromiseRejectionEvent)("unhandledrejection", { cancelable: true, promise, reason }))) return;
  }
  logError("a promise was rejected and nobody handled it", reason);
}

export function reportHandled(promise: object, reason: unknown): void {
  if (isHeard("rejectionhandled")) prevented(new (feature("errorevents").PromiseRejectionEvent)("rejectionhandled", { promise, reason }));
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
