/**
 * `events.addAbortListener`.
 */
import { symbolFor } from "../../library.ts";
import { Symbol, promiseResolved, promiseThen } from "../../primordials.ts";
import { checkFunction, checkSignal, invalidArgType } from "./errors.ts";

export function addAbortListener(signal: any, listener: any): any {
  if (signal === undefined) throw invalidArgType("signal", "an instance of AbortSignal", signal);
  checkSignal(signal, "signal");
  checkFunction(listener, "listener");
  let remove: () => void = () => {};
  if (signal.aborted) {
    promiseThen(promiseResolved(undefined), () => listener());
  } else {
    signal.addEventListener("abort", listener, { once: true });
    remove = () => signal.removeEventListener("abort", listener);
  }
  const { dispose = symbolFor("nodejs.dispose") } = Symbol as any;
  return { __proto__: null, [dispose]: () => remove() };
}
