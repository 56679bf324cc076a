/**
 * Asynchronous host operations: who waits for which operation id, and what COMPLETE does with it.
 *
 * A waiter is a callback `(ok, value)`; `value` is the operation's result, or the ready-made error. Callbacks are the
 * base because the body pumps need no promise per chunk; `operation` wraps one in a promise.
 */
import { CALL_CANCEL, asyncContext, call, setAsyncContext, type Wire } from "./native.ts";
import { Map, Promise, mapDelete, mapGet, mapSet } from "./primordials.ts";
import { hostError } from "./errors.ts";

export type Waiter = (ok: boolean, value: any) => void;

const waiting = new Map<number, Waiter>();

/** Waits for the operation `id`. The waiter runs in the async context that is current now. */
export function whenComplete(id: number, waiter: Waiter): void {
  const context = asyncContext();
  mapSet(waiting, id, context === undefined ? waiter : (ok: boolean, value: any): void => {
    const previous = setAsyncContext(context);
    try {
      waiter(ok, value);
    } finally {
      setAsyncContext(previous);
    }
  });
}

/**
 * A promise of the operation `id`, or of what `use` makes of its result. `explain` makes an error of the one that it
 * ends with. It is one promise, and no turn of the queue lies between the end of the operation and its own.
 */
export function operation<T = any>(
  id: number, use: ((value: any) => T) | undefined = undefined, explain: ((error: any) => unknown) | undefined = undefined,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    mapSet(waiting, id, (ok: boolean, value: any): void => {
      if (!ok) return reject(explain === undefined ? value : explain(value));
      if (use === undefined) return resolve(value);
      let made: T;
      try {
        made = use(value);
      } catch (error) {
        return reject(error);
      }
      resolve(made);
    });
  });
}

/** Gives an operation up: its end is no longer awaited and the host stops working on it. */
export function cancelOperation(id: number): void {
  if (mapDelete(waiting, id)) call(CALL_CANCEL, id);
}

/** The COMPLETE event. */
export function complete(id: number, ok: boolean, value: Wire): void {
  const waiter: Waiter | undefined = mapGet(waiting, id);
  if (waiter === undefined) return;
  mapDelete(waiting, id);
  if (ok) waiter(true, value);
  else {
    const failure = value as string[];
    waiter(false, hostError(failure[0]!, failure[1]!, failure[2]));
  }
}
