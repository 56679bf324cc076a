/**
 * Rejections that nobody handles are reported. A promise gets a few turns of the microtask queue first, because code
 * often attaches its handler a moment after the promise was rejected.
 */
import { setRejectionTracker } from "./native.ts";
import { Map, mapDelete, mapHas, mapSet, promiseResolved, promiseThen, uncurry } from "./primordials.ts";
import { reportHandled, reportRejection } from "./reporting.ts";

const TURNS = 64;

const unhandled = new Map<object, unknown>();

/** Those that were reported, for the event that takes the report back. */
const reported = new WeakMap<object, unknown>();
const reportedHas = uncurry(WeakMap.prototype.has);
const reportedSet = uncurry(WeakMap.prototype.set);
const reportedDelete = uncurry(WeakMap.prototype.delete);

function wait(promise: object, reason: unknown, turns: number): void {
  if (!mapHas(unhandled, promise)) return;
  if (turns > 0) {
    promiseThen(promiseResolved(undefined), () => wait(promise, reason, turns - 1));
    return;
  }
  mapDelete(unhandled, promise);
  reportedSet(reported, promise, reason);
  reportRejection(promise, reason);
}

setRejectionTracker((promise, reason, handled) => {
  if (!handled) {
    mapSet(unhandled, promise, reason);
    wait(promise, reason, TURNS);
  } else if (!mapDelete(unhandled, promise) && reportedHas(reported, promise)) {
    reportedDelete(reported, promise);
    reportHandled(promise, reason);
  }
});
