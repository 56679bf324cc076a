/**
 * `node:diagnostics_channel`: named channels between a library and who watches it.
 */
import { arrayConcat } from "../library.ts";
import {
  Map, apply, arrayIndexOf, arraySlice, arraySplice, mapGet, mapSet, promiseResolved, promiseThen,
} from "../primordials.ts";
import { checkFunction, invalidArgType } from "./internal/errors.ts";
import { logError } from "../log.ts";

const channels = new Map<any, any>();

/** A channel. It costs next to nothing while nobody listens. */
export class Channel {
  name: any;
  #subscribers: any[] = [];
  /** Storages that `runStores` enters, each with what makes its store of a message. */
  #stores: [any, any][] = [];

  constructor(name: any) {
    this.name = name;
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.length > 0 || this.#stores.length > 0;
  }

  subscribe(subscriber: any): void {
    checkFunction(subscriber, "subscription");
    this.#subscribers = arrayConcat(this.#subscribers, [subscriber]);
  }

  unsubscribe(subscriber: any): boolean {
    const at = arrayIndexOf(this.#subscribers, subscriber);
    if (at < 0) return false;
    this.#subscribers = arraySlice(this.#subscribers);
    arraySplice(this.#subscribers, at, 1);
    return true;
  }

  publish(message: any): void {
    const list = this.#subscribers;
    for (let i = 0; i < list.length; i++) {
      try {
        list[i](message, this.name);
      } catch (error) {
        logError("a subscriber of a diagnostics channel threw", error);
      }
    }
  }

  bindStore(storage: any, transform?: any): void {
    this.unbindStore(storage);
    this.#stores[this.#stores.length] = [storage, transform];
  }

  unbindStore(storage: any): boolean {
    for (let i = 0; i < this.#stores.length; i++) {
      if (this.#stores[i]![0] !== storage) continue;
      arraySplice(this.#stores, i, 1);
      return true;
    }
    return false;
  }

  runStores(message: any, fn: any, self?: any, ...args: any[]): any {
    let run = (): any => {
      this.publish(message);
      return apply(fn, self, args);
    };
    for (let i = 0; i < this.#stores.length; i++) {
      const storage = this.#stores[i]![0];
      const transform = this.#stores[i]![1];
      const next = run;
      run = () => {
        let store = message;
        try {
          if (transform !== undefined) store = transform(message);
        } catch (error) {
          logError("the transform of a bound store threw", error);
          return next();
        }
        return storage.run(store, next);
      };
    }
    return run();
  }
}

export function channel(name: any): Channel {
  const known = mapGet(channels, name);
  if (known !== undefined) return known;
  if (typeof name !== "string" && typeof name !== "symbol") throw invalidArgType("channel", "one of type string or symbol", name);
  const made = new Channel(name);
  mapSet(channels, name, made);
  return made;
}

export function subscribe(name: any, subscriber: any): void {
  channel(name).subscribe(subscriber);
}

export function unsubscribe(name: any, subscriber: any): boolean {
  return channel(name).unsubscribe(subscriber);
}

export function hasSubscribers(name: any): boolean {
  return mapGet(channels, name)?.hasSubscribers ?? false;
}

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"];

/** Five channels that follow one operation. */
class TracingChannel {
  start: any;
  end: any;
  asyncStart: any;
  asyncEnd: any;
  error: any;

  constructor(given: any) {
    for (let i = 0; i < EVENTS.length; i++) {
      const event = EVENTS[i]!;
      (this as any)[event] = typeof given === "string" ? channel(`tracing:${given}:${event}`) : given[event];
    }
  }

  get hasSubscribers(): boolean {
    for (let i = 0; i < EVENTS.length; i++) if ((this as any)[EVENTS[i]!].hasSubscribers) return true;
    return false;
  }

  subscribe(handlers: any): void {
    for (let i = 0; i < EVENTS.length; i++) if (handlers[EVENTS[i]!]) (this as any)[EVENTS[i]!].subscribe(handlers[EVENTS[i]!]);
  }

  unsubscribe(handlers: any): boolean {
    let all = true;
    for (let i = 0; i < EVENTS.length; i++) {
      const event = EVENTS[i]!;
      if (handlers[event] && !(this as any)[event].unsubscribe(handlers[event])) all = false;
    }
    return all;
  }

  traceSync(fn: any, context: any = {}, self?: any, ...args: any[]): any {
    return this.start.runStores(context, () => {
      try {
        context.result = apply(fn, self, args);
        return context.result;
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(fn: any, context: any = {}, self?: any, ...args: any[]): any {
    return this.start.runStores(context, () => {
      try {
        return promiseThen(promiseResolved(apply(fn, self, args)), (result: any) => {
          context.result = result;
          this.asyncStart.publish(context);
          this.asyncEnd.publish(context);
          return result;
        }, (error: any) => {
          context.error = error;
          this.error.publish(context);
          this.asyncStart.publish(context);
          this.asyncEnd.publish(context);
          throw error;
        });
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  traceCallback(fn: any, position: number = -1, context: any = {}, self?: any, ...args: any[]): any {
    const at = position < 0 ? args.length + position : position;
    const callback = args[at];
    checkFunction(callback, "callback");
    const channels_ = this;
    args[at] = function (this: any, error: any, result: any): any {
      if (error) {
        context.error = error;
        channels_.error.publish(context);
      } else context.result = result;
      const given = arguments;
      return channels_.asyncStart.runStores(context, () => {
        try {
          return apply(callback, this, given as any);
        } finally {
          channels_.asyncEnd.publish(context);
        }
      });
    };
    return this.start.runStores(context, () => {
      try {
        return apply(fn, self, args);
      } catch (error) {
        context.error = error;
        this.error.publish(context);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
}

export function tracingChannel(name: any): any {
  return new TracingChannel(name);
}

export default { Channel, channel, hasSubscribers, subscribe, tracingChannel, unsubscribe };
