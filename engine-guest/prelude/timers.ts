/**
 * `setTimeout` and its siblings. A timer is a host operation; its number is that operation's id, and an interval
 * keeps the number of its first one.
 */
import { OP_TIMER, start } from "./native.ts";
import { cancelOperation, whenComplete } from "./operations.ts";
import {
  Map, TypeError, apply, isObject, mapDelete, mapGet, mapSet, promiseResolved, promiseThen,
} from "./primordials.ts";
import { report } from "./reporting.ts";

const DELAY_MS_MAX = 0x7fffffff;

/** Timer number → the operation it waits for now. */
const running = new Map<number, number>();

function delayOf(delay: unknown): number {
  const ms = +(delay as number);
  return ms >= 1 && ms <= DELAY_MS_MAX ? ms : ms > DELAY_MS_MAX ? 1 : 0;
}

function run(callback: any, args: unknown[]): void {
  try {
    apply(callback, globalThis, args);
  } catch (error) {
    report("a timer's callback threw", error);
  }
}

function checkCallback(callback: unknown, name: string): void {
  if (typeof callback !== "function") throw new TypeError(`${name} expects a function`);
}

export function setTimeout(callback: any, delay: unknown = 0, ...args: unknown[]): number {
  checkCallback(callback, "setTimeout");
  const id = start(OP_TIMER, delayOf(delay));
  mapSet(running, id, id);
  whenComplete(id, (ok) => {
    mapDelete(running, id);
    if (ok) run(callback, args);
  });
  return id;
}

export function setInterval(callback: any, delay: unknown = 0, ...args: unknown[]): number {
  checkCallback(callback, "setInterval");
  const ms = delayOf(delay);
  const first = start(OP_TIMER, ms);
  mapSet(running, first, first);
  const tick = (ok: boolean): void => {
    if (!ok) {
      mapDelete(running, first);
      return;
    }
    run(callback, args);
    if (mapGet(running, first) === undefined) return;
    const next = start(OP_TIMER, ms);
    mapSet(running, first, next);
    whenComplete(next, tick);
  };
  whenComplete(first, tick);
  return first;
}

/** Takes the number of a timer, or what becomes one: the objects of `node:timers`. */
export function clearTimeout(timer: any = undefined): void {
  if (isObject(timer) || typeof timer === "string") timer = +timer;
  const operation = mapGet(running, timer);
  if (operation === undefined) return;
  mapDelete(running, timer);
  cancelOperation(operation);
}

export function clearInterval(timer: unknown = undefined): void {
  clearTimeout(timer);
}

export function queueMicrotask(callback: any): void {
  checkCallback(callback, "queueMicrotask");
  promiseThen(promiseResolved(undefined), () => {
    try {
      callback();
    } catch (error) {
      report("a microtask threw", error);
    }
  });
}
