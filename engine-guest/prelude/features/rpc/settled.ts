/**
 * What a method gave: at once if it can be, for that costs no turn of the queue.
 */
import { promiseResult, promiseState } from "../../native.ts";
import { isObject, markHandled, promiseResolved, promiseThen } from "../../primordials.ts";

/** True for what `await` would wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && typeof value.then === "function";
}

export function whenSettled(result: unknown, done: (value: unknown) => void, failed: (reason: unknown) => void): void {
  let promise: Promise<unknown>;
  try {
    if (!isThenable(result)) return done(result);
    const state = promiseState(result);
    if (state === 1) return done(promiseResult(result));
    if (state === 2) {
      markHandled(result as any);
      return failed(promiseResult(result));
    }
    promise = promiseResolved(result) as Promise<unknown>;
  } catch (error) {
    return failed(error);
  }
  promiseThen(promise, done, failed);
}
