/**
 * Rejections that nobody handles are written to the log. A promise gets a few turns of the microtask queue first,
 * because code often attaches its handler a moment after the promise was rejected.
 */
import { logError } from "./log.ts";
import { setRejectionTracker } from "./native.ts";
import { Map, mapDelete, mapHas, mapSet, promiseResolved, promiseThen } from "./primordials.ts";

const TURNS = 16;

const unhandled = new Map<object, unknown>();

function report(promise: object, reason: unknown, turns: number): void {
  if (!mapHas(unhandled, promise)) return;
  if (turns > 0) {
    promiseThen(promiseResolved(undefined), () => report(promise, reason, turns - 1));
    return;
  }
  mapDelete(unhandled, promise);
  logError("a promise was rejected and nobody handled it", reason);
}

setRejectionTracker((promise, reason, handled) => {
  if (handled) {
    mapDelete(unhandled, promise);
    return;
  }
  mapSet(unhandled, promise, reason);
  report(promise, reason, TURNS);
});
