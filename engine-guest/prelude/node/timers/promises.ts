/**
 * `node:timers/promises`.
 */
import { Promise, promiseRejected } from "../../primordials.ts";
import { checkObject, checkSignal, invalidArgType, nodeAbortError } from "../internal/errors.ts";
import {
  clearInterval, clearTimeout, setInterval as startInterval, setTimeout as startTimeout,
} from "../../timers.ts";

function checkOptions(options: any): void {
  if (options === undefined) return;
  checkObject(options, "options");
  checkSignal(options.signal, "options.signal");
  if (options.ref !== undefined && typeof options.ref !== "boolean") throw invalidArgType("options.ref", "of type boolean", options.ref);
}

export function setTimeout(delay?: any, value?: any, options?: any): Promise<any> {
  try {
    if (delay !== undefined && typeof delay !== "number") throw invalidArgType("delay", "of type number", delay);
    checkOptions(options);
  } catch (error) {
    return promiseRejected(error);
  }
  const signal = options?.signal;
  if (signal?.aborted) return promiseRejected(nodeAbortError(signal.reason));
  return new Promise((resolve, reject) => {
    const timer = startTimeout(() => {
      if (signal !== undefined) signal.removeEventListener("abort", abort);
      resolve(value);
    }, delay);
    const abort = (): void => {
      clearTimeout(timer);
      reject(nodeAbortError(signal.reason));
    };
    if (signal !== undefined) signal.addEventListener("abort", abort, { once: true });
  });
}

export function setImmediate(value?: any, options?: any): Promise<any> {
  return setTimeout(0, value, options);
}

export async function* setInterval(delay?: any, value?: any, options?: any): AsyncGenerator<any> {
  if (delay !== undefined && typeof delay !== "number") throw invalidArgType("delay", "of type number", delay);
  checkOptions(options);
  const signal = options?.signal;
  if (signal?.aborted) throw nodeAbortError(signal.reason);
  let due = 0;
  let wake: (() => void) | null = null;
  const nudge = (): void => {
    const awake = wake;
    wake = null;
    if (awake !== null) awake();
  };
  const timer = startInterval(() => {
    due++;
    nudge();
  }, delay);
  if (signal !== undefined) signal.addEventListener("abort", nudge, { once: true });
  try {
    for (;;) {
      if (signal?.aborted) throw nodeAbortError(signal.reason);
      if (due > 0) {
        due--;
        yield value;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    clearInterval(timer);
    if (signal !== undefined) signal.removeEventListener("abort", nudge);
  }
}

const wait = (delay?: any, options?: any): Promise<void> => setTimeout(delay, undefined, options);
export const scheduler = { wait, yield: (): Promise<void> => setImmediate() };
export default { setTimeout, setImmediate, setInterval, scheduler };
