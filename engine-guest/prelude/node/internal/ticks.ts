/**
 * `process.nextTick`: a queue of its own for each request, that one microtask drains. It comes after the microtasks
 * that are queued already, where Node.js runs it before them; among themselves a request's ticks keep their order.
 * One queue for all would let the request that drains it own the timers that others' ticks set, and they would go
 * when it ends.
 */
import { asyncContext, getContext, setAsyncContext } from "../../native.ts";
import { Map, apply, mapDelete, mapGet, mapSet, promiseResolved, promiseThen } from "../../primordials.ts";
import { checkFunction } from "./errors.ts";
import { logError } from "../../log.ts";

const queues = new Map<number, any[]>();

function drain(): void {
  const request = getContext();
  for (let run = mapGet(queues, request); run.length > 0; run = mapGet(queues, request)) {
    mapSet(queues, request, []);
    for (let at = 0; at < run.length; at += 3) {
      setAsyncContext(run[at + 2]);
      try {
        apply(run[at], undefined, run[at + 1]);
      } catch (error) {
        logError("a function given to process.nextTick threw", error);
      }
    }
  }
  mapDelete(queues, request);
}

export function nextTick(fn: any, ...args: any[]): void {
  checkFunction(fn, "callback");
  const request = getContext();
  let queue = mapGet(queues, request);
  if (queue === undefined) {
    queue = [];
    mapSet(queues, request, queue);
    promiseThen(promiseResolved(undefined), drain);
  }
  const at = queue.length;
  queue[at] = fn;
  queue[at + 1] = args;
  queue[at + 2] = asyncContext();
}
