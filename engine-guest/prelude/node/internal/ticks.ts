/**
 * `process.nextTick`: a queue of its own that one microtask drains. It comes after the microtasks that are queued
 * already, where Node.js runs it before them; among themselves ticks keep their order.
 */
import { asyncContext, setAsyncContext } from "../../native.ts";
import { apply, promiseResolved, promiseThen } from "../../primordials.ts";
import { checkFunction } from "./errors.ts";
import { logError } from "../../log.ts";

let queue: any[] = [];
let scheduled = false;

function drain(): void {
  while (queue.length > 0) {
    const run = queue;
    queue = [];
    for (let at = 0; at < run.length; at += 3) {
      setAsyncContext(run[at + 2]);
      try {
        apply(run[at], undefined, run[at + 1]);
      } catch (error) {
        logError("a function given to process.nextTick threw", error);
      }
    }
  }
  scheduled = false;
}

export function nextTick(fn: any, ...args: any[]): void {
  checkFunction(fn, "callback");
  const at = queue.length;
  queue[at] = fn;
  queue[at + 1] = args;
  queue[at + 2] = asyncContext();
  if (scheduled) return;
  scheduled = true;
  promiseThen(promiseResolved(undefined), drain);
}
