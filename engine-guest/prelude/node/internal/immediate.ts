/**
 * `setImmediate`: the callback runs with the next event, as a timer of no delay does.
 */
import { Symbol, apply, isObject } from "../../primordials.ts";
import { checkFunction } from "./errors.ts";
import { clearTimeout, setTimeout } from "../../timers.ts";

/** What `setImmediate` answers. */
export class Immediate {
  #timer: number;

  constructor(timer: number) {
    this.#timer = timer;
  }

  static clear(immediate: any): void {
    if (isObject(immediate) && #timer in immediate) clearTimeout((immediate as Immediate).#timer);
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.toPrimitive](): number {
    return this.#timer;
  }
}

export function setImmediate(callback: any, ...args: any[]): Immediate {
  checkFunction(callback, "callback");
  return new Immediate(setTimeout(() => apply(callback, undefined, args), 0));
}

export function clearImmediate(immediate: any): void {
  Immediate.clear(immediate);
}
