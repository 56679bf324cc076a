/**
 * `node:timers`. Here a timer is an object, as in Node; the global functions give numbers, as on the web. Either kind is
 * taken by the `clear` functions of both.
 */
import { Symbol, apply, defineProperty, isObject } from "../primordials.ts";
import { clearTimeout as stop, setInterval as startInterval, setTimeout as startTimeout } from "../timers.ts";
import { checkFunction } from "./internal/errors.ts";
import { clearImmediate, setImmediate } from "./internal/immediate.ts";
import { customPromisify } from "./internal/promisify.ts";
import * as promises from "./timers/promises.ts";

/**
 * A timer. `refresh` starts it anew, unless it was cleared here. No worker lives for its timers, so `unref` changes
 * nothing but what `hasRef` says.
 */
class Timeout {
  #begin: (run: () => void) => number;
  #run: () => void;
  #timer: number;
  #cleared = false;
  #holds = true;

  constructor(begin: (run: () => void) => number, callback: any, args: unknown[]) {
    this.#begin = begin;
    this.#run = () => apply(callback, this, args);
    this.#timer = begin(this.#run);
  }

  static clear(timer: unknown): void {
    if (isObject(timer) && #cleared in timer) (timer as Timeout).#cleared = true;
    stop(timer);
  }

  ref(): this {
    this.#holds = true;
    return this;
  }

  unref(): this {
    this.#holds = false;
    return this;
  }

  hasRef(): boolean {
    return this.#holds;
  }

  refresh(): this {
    if (this.#cleared) return this;
    stop(this.#timer);
    this.#timer = this.#begin(this.#run);
    return this;
  }

  close(): this {
    Timeout.clear(this);
    return this;
  }

  /** What the global functions take. */
  [Symbol.toPrimitive](): number {
    return this.#timer;
  }

  [(Symbol as any).dispose](): void {
    this.close();
  }
}

function setTimeout(callback: any, delay: unknown = undefined, ...args: unknown[]): Timeout {
  checkFunction(callback, "callback");
  return new Timeout((run) => startTimeout(run, delay), callback, args);
}
defineProperty(setTimeout, customPromisify, { value: promises.setTimeout, configurable: true });

function setInterval(callback: any, delay: unknown = undefined, ...args: unknown[]): Timeout {
  checkFunction(callback, "callback");
  return new Timeout((run) => startInterval(run, delay), callback, args);
}

function clearTimeout(timer: unknown = undefined): void {
  Timeout.clear(timer);
}

function clearInterval(timer: unknown = undefined): void {
  Timeout.clear(timer);
}

const asDefault = promises.default;
export { asDefault as promises, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
export default { promises: asDefault, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
