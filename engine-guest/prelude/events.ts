/**
 * `Event`, `CustomEvent` and `EventTarget`. There is no tree here, so an event has one target and no phases to speak of.
 */
import { logError } from "./log.ts";
import { now } from "./native.ts";
import { TypeError, apply, arraySlice, defineProperty, isObject, toStr, webClass } from "./primordials.ts";
import { DOMException } from "./errors.ts";

interface EventState {
  type: string;
  bubbles: boolean;
  cancelable: boolean;
  composed: boolean;
  target: EventTarget | null;
  dispatching: boolean;
  prevented: boolean;
  stopped: boolean;
  passive: boolean;
  trusted: boolean;
  time: number;
}

let stateOf: (event: Event) => EventState;

/** Something that happened to a target. */
export class Event {
  #state: EventState;

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("Event needs a type");
    const options = init === undefined || init === null ? {} : init;
    this.#state = {
      type: toStr(type), bubbles: !!options.bubbles, cancelable: !!options.cancelable, composed: !!options.composed,
      target: null, dispatching: false, prevented: false, stopped: false, passive: false, trusted: false, time: now(),
    };
  }

  static {
    stateOf = (event) => event.#state;
  }

  get type(): string {
    return this.#state.type;
  }

  get target(): EventTarget | null {
    return this.#state.target;
  }

  get srcElement(): EventTarget | null {
    return this.#state.target;
  }

  get currentTarget(): EventTarget | null {
    return this.#state.dispatching ? this.#state.target : null;
  }

  get eventPhase(): number {
    return this.#state.dispatching ? 2 : 0;
  }

  get bubbles(): boolean {
    return this.#state.bubbles;
  }

  get cancelable(): boolean {
    return this.#state.cancelable;
  }

  get composed(): boolean {
    return this.#state.composed;
  }

  get defaultPrevented(): boolean {
    return this.#state.prevented;
  }

  get returnValue(): boolean {
    return !this.#state.prevented;
  }

  get cancelBubble(): boolean {
    return this.#state.stopped;
  }

  get timeStamp(): number {
    return this.#state.time;
  }

  get isTrusted(): boolean {
    return this.#state.trusted;
  }

  composedPath(): EventTarget[] {
    const { dispatching, target } = this.#state;
    return dispatching && target !== null ? [target] : [];
  }

  preventDefault(): void {
    const state = this.#state;
    if (state.cancelable && !state.passive) state.prevented = true;
  }

  stopPropagation(): void {
    void this.#state;
  }

  stopImmediatePropagation(): void {
    this.#state.stopped = true;
  }
}
webClass(Event);
const PHASES: [string, number][] = [["NONE", 0], ["CAPTURING_PHASE", 1], ["AT_TARGET", 2], ["BUBBLING_PHASE", 3]];
for (const [name, value] of PHASES) {
  defineProperty(Event, name, { value, enumerable: true });
  defineProperty(Event.prototype, name, { value, enumerable: true });
}

/** An event that carries a value. */
export class CustomEvent extends Event {
  #detail: unknown;

  constructor(type: string, init: any = undefined) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }
}
webClass(CustomEvent);

/** Runs the step when the signal aborts; false if it already has. Throws if it is no signal. */
type FollowSignal = (signal: unknown, step: () => void) => boolean;

let followSignal: FollowSignal;

/** abort.ts stands above this module and gives it the one thing it needs to know about signals. */
export function setFollowSignal(follow: FollowSignal): void {
  followSignal = follow;
}

interface Listener {
  type: string;
  callback: any;
  capture: boolean;
  once: boolean;
  passive: boolean;
  removed: boolean;
}

let listenersOf: (target: EventTarget) => Listener[] | null;

/** Something that events can be sent to. */
export class EventTarget {
  #listeners: Listener[] | null = null;

  static {
    listenersOf = (target) => target.#listeners;
  }

  addEventListener(type: string, callback: any, options: any = undefined): void {
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    if (callback === null || callback === undefined) return;
    if (!isObject(callback)) throw new TypeError("an event listener must be a function or an object");
    const signal = isObject(options) ? options.signal : undefined;
    const name = toStr(type);
    const listeners = (this.#listeners ??= []);
    for (let i = 0; i < listeners.length; i++) {
      const known = listeners[i]!;
      if (known.type === name && known.callback === callback && known.capture === capture) return;
    }
    const listener = { type: name, callback, capture, once: !!options?.once, passive: !!options?.passive, removed: false };
    if (signal !== undefined && !followSignal(signal, () => removeListener(listeners, listener))) return;
    listeners[listeners.length] = listener;
  }

  removeEventListener(type: string, callback: any, options: any = undefined): void {
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const listeners = this.#listeners;
    if (listeners === null) return;
    const name = toStr(type);
    for (let i = 0; i < listeners.length; i++) {
      const known = listeners[i]!;
      if (known.type === name && known.callback === callback && known.capture === capture) {
        return removeListener(listeners, known);
      }
    }
  }

  dispatchEvent(event: Event): boolean {
    const state = stateOf(event);
    if (state.dispatching) throw new DOMException("the event is already being dispatched", "InvalidStateError");
    state.trusted = false;
    return deliver(this, event, state);
  }
}
webClass(EventTarget);

function removeListener(listeners: Listener[], listener: Listener): void {
  listener.removed = true;
  let to = 0;
  for (let at = 0; at < listeners.length; at++) {
    if (listeners[at] !== listener) listeners[to++] = listeners[at]!;
  }
  listeners.length = to;
}

function deliver(target: EventTarget, event: Event, state: EventState): boolean {
  state.target = target;
  state.dispatching = true;
  const listeners = listenersOf(target);
  const snapshot: Listener[] = listeners === null ? [] : arraySlice(listeners);
  for (let i = 0; i < snapshot.length && !state.stopped; i++) {
    const listener = snapshot[i]!;
    if (listener.removed || listener.type !== state.type) continue;
    if (listener.once) removeListener(listeners!, listener);
    state.passive = listener.passive;
    callListener(listener.callback, target, event);
    state.passive = false;
  }
  state.dispatching = false;
  state.stopped = false;
  return !state.prevented;
}

/** Calls one listener; what it throws is logged and goes no further. */
function callListener(callback: any, target: EventTarget, event: Event): void {
  try {
    if (typeof callback === "function") apply(callback, target, [event]);
    else apply(callback.handleEvent, callback, [event]);
  } catch (error) {
    logError("an event listener threw", error);
  }
}

/** Sends an event of the platform's own. */
export function fireTrusted(target: EventTarget, event: Event): void {
  const state = stateOf(event);
  state.trusted = true;
  deliver(target, event, state);
}

/** Defines an `on…` attribute: its handler stands in the order of its first assignment. */
export function handlerAttribute(proto: object, type: string): void {
  const handlers = new WeakMap<object, { handler: any; proxy: (event: Event) => void }>();
  const { get, set } = WeakMap.prototype;
  const read = (self: object): any => apply(get, handlers, [self]);
  const { addEventListener } = EventTarget.prototype;
  defineProperty(proto, `on${type}`, {
    configurable: true,
    enumerable: true,
    get(this: EventTarget) {
      listenersOf(this);
      return read(this)?.handler ?? null;
    },
    set(this: EventTarget, handler: any) {
      listenersOf(this);
      const value = isObject(handler) ? handler : null;
      const known = read(this);
      if (known !== undefined) {
        known.handler = value;
      } else if (value !== null) {
        const slot = {
          handler: value,
          proxy: (event: Event): void => {
            if (typeof slot.handler === "function") apply(slot.handler, this, [event]);
          },
        };
        apply(set, handlers, [this, slot]);
        apply(addEventListener, this, [type, slot.proxy]);
      }
    },
  });
}
