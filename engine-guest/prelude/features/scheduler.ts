/**
 * `scheduler.wait`: a timer as a promise.
 */
import { abortReason, isAbortSignal, isAborted, offAbort, onAbort } from "../abort.ts";
import { INTERNAL } from "../internal.ts";
import { Promise, TypeError, promiseRejected, webClass } from "../primordials.ts";
import { clearTimeout, setTimeout } from "../timers.ts";
import { dictionary } from "../webidl.ts";

/** Waiting, as a promise. */
export class Scheduler {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  /** Resolves after so many milliseconds; `signal` ends the wait with its reason. */
  wait(delay: unknown, options: any = undefined): Promise<undefined> {
    try {
      void this.#brand;
      const { signal } = dictionary(options, "the options of wait");
      if (signal !== undefined && !isAbortSignal(signal)) throw new TypeError("signal must be an AbortSignal");
      if (signal !== undefined && isAborted(signal)) throw abortReason(signal);
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer);
          reject(abortReason(signal));
        };
        const timer = setTimeout(() => {
          if (signal !== undefined) offAbort(signal, stop);
          resolve(undefined);
        }, delay);
        if (signal !== undefined) onAbort(signal, stop);
      });
    } catch (error) {
      return promiseRejected(error);
    }
  }
}
webClass(Scheduler);

export const scheduler = new Scheduler(INTERNAL);
