/**
 * `EventEmitter` itself.
 *
 * Listeners stand in `_events`, a null-prototype object of functions and arrays of functions, as in Node.js, because
 * packages look into it. An array is replaced when it changes, so an emission under way keeps its own.
 */
import { arrayConcat, symbolFor } from "../../library.ts";
import {
  Error, String, Symbol, apply, defineProperties, defineProperty, getPrototypeOf, isObject, objectCreate, ownKeys,
  promiseResolved, promiseThen,
} from "../../primordials.ts";
import { checkFunction, codedError, invalidArgType, outOfRange } from "./errors.ts";
import { logWarning } from "./warning.ts";
import { inspect } from "../../inspect.ts";

export const captureRejectionSymbol = symbolFor("nodejs.rejection");
export const errorMonitor = Symbol("events.errorMonitor");
const kCapture = Symbol("kCapture");

let defaultMax = 10;

export function EventEmitter(this: any, options?: any): void {
  EventEmitter.init.call(this, options);
}

function checkCount(count: any, name: string): void {
  if (typeof count !== "number") throw invalidArgType(name, "of type number", count);
  if (count < 0 || count !== count) throw outOfRange(name, ">= 0", count);
}

EventEmitter.init = function (this: any, options?: any): void {
  if (this._events === undefined || this._events === getPrototypeOf(this)._events) {
    this._events = objectCreate(null);
    this._eventsCount = 0;
  }
  this._maxListeners = this._maxListeners || undefined;
  if (options?.captureRejections !== undefined) {
    if (typeof options.captureRejections !== "boolean") {
      throw invalidArgType("options.captureRejections", "of type boolean", options.captureRejections);
    }
    this[kCapture] = options.captureRejections;
  } else if (captureAll) {
    this[kCapture] = true;
  }
};

let captureAll = false;
defineProperties(EventEmitter, {
  defaultMaxListeners: {
    enumerable: true,
    get: () => defaultMax,
    set: (count: any) => {
      checkCount(count, "defaultMaxListeners");
      defaultMax = count;
    },
  },
  captureRejections: {
    enumerable: true,
    get: () => captureAll,
    set: (value: any) => {
      if (typeof value !== "boolean") throw invalidArgType("EventEmitter.captureRejections", "of type boolean", value);
      captureAll = value;
    },
  },
});

const proto: any = EventEmitter.prototype;
proto._events = undefined;
proto._eventsCount = 0;
proto._maxListeners = undefined;
defineProperty(proto, kCapture, { value: false, writable: true });

function checkListener(listener: unknown): void {
  checkFunction(listener, "listener");
}

function maxOf(emitter: any): number {
  return emitter._maxListeners === undefined ? defaultMax : emitter._maxListeners;
}

function add(target: any, type: any, listener: any, first: boolean): any {
  checkListener(listener);
  let events = target._events;
  if (events === undefined) {
    events = target._events = objectCreate(null);
    target._eventsCount = 0;
  } else if (events.newListener !== undefined) {
    target.emit("newListener", type, listener.listener ?? listener);
    events = target._events;
  }
  const known = events[type];
  if (known === undefined) {
    events[type] = listener;
    ++target._eventsCount;
    return target;
  }
  const before: any[] = typeof known === "function" ? [known] : known;
  const list: any[] = [];
  if (first) list[0] = listener;
  for (let i = 0; i < before.length; i++) list[list.length] = before[i];
  if (!first) list[list.length] = listener;
  events[type] = list;
  if ((before as any).warned) (list as any).warned = true;
  const most = maxOf(target);
  if (most > 0 && list.length > most && !(list as any).warned) {
    (list as any).warned = true;
    logWarning(
      "MaxListenersExceededWarning",
      `Possible EventEmitter memory leak detected. ${list.length} ${String(type)} listeners added to `
        + `${inspect(target, { depth: -1 })}. MaxListeners is ${most}. Use emitter.setMaxListeners() to increase limit`,
    );
  }
  return target;
}

function remove(emitter: any, type: any, listener: any): any {
  checkListener(listener);
  const events = emitter._events;
  const known = events?.[type];
  if (known === undefined) return emitter;
  if (known === listener || known.listener === listener) {
    drop(emitter, type);
    if (emitter._events?.removeListener !== undefined) emitter.emit("removeListener", type, known.listener ?? listener);
    return emitter;
  }
  if (typeof known === "function") return emitter;
  let at = known.length - 1;
  while (at >= 0 && known[at] !== listener && known[at].listener !== listener) at--;
  if (at < 0) return emitter;
  const list: any[] = [];
  for (let i = 0; i < known.length; i++) if (i !== at) list[list.length] = known[i];
  if (known.warned) (list as any).warned = true;
  events[type] = list.length === 1 ? list[0] : list;
  if (events.removeListener !== undefined) emitter.emit("removeListener", type, known[at].listener ?? listener);
  return emitter;
}

function drop(emitter: any, type: any): void {
  if (--emitter._eventsCount === 0) emitter._events = objectCreate(null);
  else delete emitter._events[type];
}

/** What stands for a listener that is to run once. */
function wrapOnce(target: any, type: any, listener: any): any {
  checkListener(listener);
  let fired = false;
  const wrapped: any = function (...args: unknown[]) {
    if (fired) return undefined;
    fired = true;
    remove(target, type, wrapped);
    return apply(listener, target, args);
  };
  wrapped.listener = listener;
  return wrapped;
}

function unhandled(emitter: any, args: any[]): never {
  const given = args[0];
  if (given instanceof Error) throw given;
  let shown: string;
  try {
    shown = inspect(given);
  } catch {
    shown = String(given);
  }
  const error = codedError(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`);
  error.context = given;
  throw error;
}

/** A listener that returned a promise which was rejected, where rejections are captured. */
function capture(emitter: any, result: any, type: any, args: any[]): void {
  try {
    const { then } = result;
    if (typeof then !== "function") return;
    apply(then, result, [undefined, (reason: unknown) => {
      queueTask(() => {
        if (typeof emitter[captureRejectionSymbol] === "function") {
          apply(emitter[captureRejectionSymbol], emitter, arrayConcat([reason, type], args));
          return;
        }
        const previous = emitter[kCapture];
        try {
          emitter[kCapture] = false;
          emitter.emit("error", reason);
        } finally {
          emitter[kCapture] = previous;
        }
      });
    }]);
  } catch (error) {
    emitter.emit("error", error);
  }
}

function queueTask(task: () => void): void {
  promiseThen(promiseResolved(undefined), task);
}

proto.emit = function emit(this: any, type: any, ...args: any[]): boolean {
  const events = this._events;
  if (type === "error") {
    if (events?.[errorMonitor] !== undefined) apply(emit, this, arrayConcat([errorMonitor], args));
    if (events === undefined || events.error === undefined) unhandled(this, args);
  }
  const handler = events?.[type];
  if (handler === undefined) return false;
  const capturing = this[kCapture] === true;
  if (typeof handler === "function") {
    const result = apply(handler, this, args);
    if (capturing && isObject(result)) capture(this, result, type, args);
    return true;
  }
  for (let i = 0; i < handler.length; i++) {
    const result = apply(handler[i], this, args);
    if (capturing && isObject(result)) capture(this, result, type, args);
  }
  return true;
};

proto.addListener = function addListener(this: any, type: any, listener: any): any {
  return add(this, type, listener, false);
};
proto.on = proto.addListener;
proto.prependListener = function prependListener(this: any, type: any, listener: any): any {
  return add(this, type, listener, true);
};
proto.once = function once(this: any, type: any, listener: any): any {
  checkListener(listener);
  this.on(type, wrapOnce(this, type, listener));
  return this;
};
proto.prependOnceListener = function prependOnceListener(this: any, type: any, listener: any): any {
  checkListener(listener);
  this.prependListener(type, wrapOnce(this, type, listener));
  return this;
};
proto.removeListener = function removeListener(this: any, type: any, listener: any): any {
  return remove(this, type, listener);
};
proto.off = proto.removeListener;

proto.removeAllListeners = function removeAllListeners(this: any, type?: any): any {
  const events = this._events;
  if (events === undefined) return this;
  if (events.removeListener === undefined) {
    if (arguments.length === 0) {
      this._events = objectCreate(null);
      this._eventsCount = 0;
    } else if (events[type] !== undefined) {
      drop(this, type);
    }
    return this;
  }
  if (arguments.length === 0) {
    const types = ownKeys(events);
    for (let i = 0; i < types.length; i++) if (types[i] !== "removeListener") this.removeAllListeners(types[i]);
    this.removeAllListeners("removeListener");
    this._events = objectCreate(null);
    this._eventsCount = 0;
    return this;
  }
  const listeners = events[type];
  if (typeof listeners === "function") this.removeListener(type, listeners);
  else if (listeners !== undefined) {
    for (let i = listeners.length - 1; i >= 0; i--) this.removeListener(type, listeners[i]);
  }
  return this;
};

function listenersOf(emitter: any, type: any, unwrap: boolean): any[] {
  const known = emitter._events?.[type];
  if (known === undefined) return [];
  if (typeof known === "function") return [unwrap ? known.listener ?? known : known];
  const list: any[] = [];
  for (let i = 0; i < known.length; i++) list[i] = unwrap ? known[i].listener ?? known[i] : known[i];
  return list;
}

proto.listeners = function listeners(this: any, type: any): any[] {
  return listenersOf(this, type, true);
};
proto.rawListeners = function rawListeners(this: any, type: any): any[] {
  return listenersOf(this, type, false);
};
proto.listenerCount = function (this: any, type: any, listener?: any): number {
  const list = listenersOf(this, type, false);
  if (listener === undefined || listener === null) return list.length;
  let count = 0;
  for (let i = 0; i < list.length; i++) if (list[i] === listener || list[i].listener === listener) count++;
  return count;
};
proto.eventNames = function eventNames(this: any): any[] {
  return this._eventsCount > 0 ? ownKeys(this._events) : [];
};
proto.setMaxListeners = function setMaxListeners(this: any, count: any): any {
  checkCount(count, "setMaxListeners");
  this._maxListeners = count;
  return this;
};
proto.getMaxListeners = function getMaxListeners(this: any): number {
  return maxOf(this);
};

function isTarget(value: any): boolean {
  return typeof value?.addEventListener === "function" && typeof value?.removeEventListener === "function";
}

/** The listeners of an emitter. Those of an `EventTarget` can't be known from outside. */
export function getEventListeners(emitter: any, type: any): any[] {
  if (typeof emitter?.listeners === "function") return emitter.listeners(type);
  if (isTarget(emitter)) return [];
  throw invalidArgType("emitter", "an instance of EventEmitter or EventTarget", emitter);
}

export function listenerCount(emitter: any, type: any): number {
  if (typeof emitter?.listenerCount === "function") return emitter.listenerCount(type);
  return listenersOf(emitter, type, false).length;
}

export function getMaxListeners(emitter: any): number {
  if (typeof emitter?.getMaxListeners === "function") return emitter.getMaxListeners();
  if (isTarget(emitter)) return defaultMax;
  throw invalidArgType("emitter", "an instance of EventEmitter or EventTarget", emitter);
}

export function setMaxListeners(count: any = defaultMax, ...targets: any[]): void {
  checkCount(count, "setMaxListeners");
  if (targets.length === 0) defaultMax = count;
  for (let i = 0; i < targets.length; i++) {
    if (typeof targets[i]?.setMaxListeners === "function") targets[i].setMaxListeners(count);
    else if (!isTarget(targets[i])) {
      throw invalidArgType("eventTargets", "an instance of EventEmitter or EventTarget", targets[i]);
    }
  }
}
