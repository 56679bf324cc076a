/**
 * `Event`, `CustomEvent` and `EventTarget`. There is no tree here, so an event has one target and no phases to speak of.
 */
import { logError } from "./log.ts";
import { now } from "./native.ts";
import {
  TypeError, apply, arraySlice, defineProperty, getOwnPropertyDescriptor, isObject, toStr, webClass,
} from "./primordials.ts";
import { DOMException } from "./errors.ts";
import { dictionary } from "./webidl.ts";

interface EventState {
  type: string;
  bubbles: boolean;
  cancelable: boolean;
  composed: boolean;
  target: EventTarget | null;
  dispatching: boolean;
  prevented: boolean;
  /** No listener of another phase is to be called; or no listener at all. */
  stopped: boolean;
  stoppedAtOnce: boolean;
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
    const name = toStr(type);
    const options = dictionary(init, "an event's init");
    this.#state = {
      type: name, bubbles: !!options.bubbles, cancelable: !!options.cancelable, composed: !!options.composed,
      target: null, dispatching: false, prevented: false, stopped: false, stoppedAtOnce: false, passive: false,
      trusted: false, time: now(),
    };
    // It cannot be redefined, so it stands on each event.
    defineProperty(this, "isTrusted", IS_TRUSTED);
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

  set returnValue(value: any) {
    if (!value) prevent(this.#state);
  }

  get cancelBubble(): boolean {
    return this.#state.stopped;
  }

  set cancelBubble(value: any) {
    if (value) this.#state.stopped = true;
  }

  get timeStamp(): number {
    return this.#state.time;
  }

  initEvent(type: string, bubbles: any = false, cancelable: any = false): void {
    initEvent(this.#state, arguments.length, type, bubbles, cancelable);
  }

  composedPath(): EventTarget[] {
    const { dispatching, target } = this.#state;
    return dispatching && target !== null ? [target] : [];
  }

  preventDefault(): void {
    prevent(this.#state);
  }

  stopPropagation(): void {
    this.#state.stopped = true;
  }

  stopImmediatePropagation(): void {
    const state = this.#state;
    state.stopped = true;
    state.stoppedAtOnce = true;
  }
}
webClass(Event, 1);

const IS_TRUSTED = {
  ...getOwnPropertyDescriptor({
    get isTrusted(): boolean {
      return stateOf(this as any).trusted;
    },
  }, "isTrusted"),
  configurable: false,
};

function prevent(state: EventState): void {
  if (state.cancelable && !state.passive) state.prevented = true;
}

function initEvent(state: EventState, given: number, type: string, bubbles: any, cancelable: any): void {
  if (given === 0) throw new TypeError("an event needs a type");
  const name = toStr(type);
  if (state.dispatching) return;
  state.stopped = false;
  state.stoppedAtOnce = false;
  state.prevented = false;
  state.trusted = false;
  state.target = null;
  state.type = name;
  state.bubbles = !!bubbles;
  state.cancelable = !!cancelable;
}

const PHASES: [string, number][] = [["NONE", 0], ["CAPTURING_PHASE", 1], ["AT_TARGET", 2], ["BUBBLING_PHASE", 3]];
for (const [name, value] of PHASES) {
  defineProperty(Event, name, { value, enumerable: true });
  defineProperty(Event.prototype, name, { value, enumerable: true });
}

/** An event that carries a value. */
export class CustomEvent extends Event {
  #detail: unknown;

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("CustomEvent needs a type");
    super(type, init);
    this.#detail = init?.detail ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }

  initCustomEvent(type: string, bubbles: any = false, cancelable: any = false, detail: any = null): void {
    void this.#detail;
    const state = stateOf(this);
    const open = !state.dispatching;
    initEvent(state, arguments.length, type, bubbles, cancelable);
    if (open) this.#detail = detail;
  }
}
webClass(CustomEvent, 1);

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

let listenersOf: (target: any) => Listener[];

/** Whose listeners those of the global object are: it is no `EventTarget`, but has its three methods. */
let globalTarget: EventTarget;

function receiver(self: any): any {
  return self === undefined || self === null || self === globalThis ? globalTarget : self;
}

/** Something that events can be sent to. */
export class EventTarget {
  #listeners: Listener[] | null = null;

  static {
    listenersOf = (target) => (receiver(target).#listeners ??= []);
  }

  addEventListener(type: string, callback: any, options: any = undefined): void {
    const listeners = listenersOf(this);
    if (arguments.length < 2) throw new TypeError("addEventListener needs a type and a listener");
    const name = toStr(type);
    if (callback !== null && callback !== undefined && !isObject(callback)) {
      throw new TypeError("an event listener must be a function or an object");
    }
    const given = isObject(options) ? options : { capture: options };
    const capture = !!given.capture;
    const once = !!given.once;
    const passive = !!given.passive;
    const { signal } = given;
    const listener = { type: name, callback, capture, once, passive, removed: false };
    // Asked first, for it refuses what is no signal, whatever the listener is.
    if (signal !== undefined && !followSignal(signal, () => removeListener(listeners, listener))) return;
    if (callback === null || callback === undefined) return;
    if (findListener(listeners, name, callback, capture) === null) listeners[listeners.length] = listener;
  }

  removeEventListener(type: string, callback: any, options: any = undefined): void {
    const listeners = listenersOf(this);
    if (arguments.length < 2) throw new TypeError("removeEventListener needs a type and a listener");
    const name = toStr(type);
    const capture = !!(isObject(options) ? options.capture : options);
    const known = findListener(listeners, name, callback, capture);
    if (known !== null) removeListener(listeners, known);
  }

  dispatchEvent(event: Event): boolean {
    listenersOf(this);
    const state = stateOf(event);
    if (state.dispatching) throw new DOMException("the event is already being dispatched", "InvalidStateError");
    state.trusted = false;
    return deliver(this, event, state);
  }
}
webClass(EventTarget);
globalTarget = new EventTarget();

function findListener(listeners: Listener[], type: string, callback: any, capture: boolean): Listener | null {
  for (let i = 0; i < listeners.length; i++) {
    const known = listeners[i]!;
    if (known.type === type && known.callback === callback && known.capture === capture) return known;
  }
  return null;
}

function removeListener(listeners: Listener[], listener: Listener): void {
  listener.removed = true;
  let to = 0;
  for (let at = 0; at < listeners.length; at++) {
    if (listeners[at] !== listener) listeners[to++] = listeners[at]!;
  }
  listeners.length = to;
}

export function hasListeners(target: EventTarget): boolean {
  return listenersOf(target).length > 0;
}

/** Whether anybody would hear an event of this type at the global object. */
export function isHeard(type: string): boolean {
  const listeners = listenersOf(globalTarget);
  for (let i = 0; i < listeners.length; i++) if (listeners[i]!.type === type) return true;
  return false;
}

function deliver(target: EventTarget, event: Event, state: EventState): boolean {
  const listeners = listenersOf(target);
  const self = receiver(target) === globalTarget ? (globalThis as any) : target;
  state.target = self;
  state.dispatching = true;
  // Those that capture come first, though there is but one target.
  callListeners(listeners, self, event, state, true);
  callListeners(listeners, self, event, state, false);
  state.dispatching = false;
  state.stopped = false;
  state.stoppedAtOnce = false;
  return !state.prevented;
}

function callListeners(listeners: Listener[], target: any, event: Event, state: EventState, capture: boolean): void {
  if (state.stopped) return;
  const snapshot: Listener[] = arraySlice(listeners);
  for (let i = 0; i < snapshot.length && !state.stoppedAtOnce; i++) {
    const listener = snapshot[i]!;
    if (listener.removed || listener.capture !== capture || listener.type !== state.type) continue;
    if (listener.once) removeListener(listeners, listener);
    state.passive = listener.passive;
    callListener(listener.callback, target, event);
    state.passive = false;
  }
}

/** Calls one listener; what it throws is reported and goes no further. */
function callListener(callback: any, target: EventTarget, event: Event): void {
  try {
    if (typeof callback === "function") return apply(callback, target, [event]);
    const { handleEvent } = callback;
    if (typeof handleEvent !== "function") throw new TypeError("an event listener's handleEvent must be a function");
    apply(handleEvent, callback, [event]);
  } catch (error) {
    reportThrown("an event listener threw", error);
  }
}

type Report = (context: string, thrown: unknown) => void;

/** What nobody caught goes to the log, until reporting.ts is there to let a worker hear of it. */
let reportThrown: Report = logError;

export function setReport(report: Report): void {
  reportThrown = report;
}

/** Sends an event of the platform's own. */
export function fireTrusted(target: EventTarget, event: Event): void {
  const state = stateOf(event);
  state.trusted = true;
  deliver(target, event, state);
}

/** Defines an `on…` attribute: its handler stands in the order of its first assignment. */
export function handlerAttribute(proto: object, type: string): void {
  const handlers = new WeakMap<object, { handler: any }>();
  const { get, set } = WeakMap.prototype;
  const read = (self: object): any => apply(get, handlers, [receiver(self)]);
  const { addEventListener } = EventTarget.prototype;
  const attribute = {
    get [`on${type}`](): any {
      listenersOf(this);
      return read(this)?.handler ?? null;
    },
    set [`on${type}`](handler: any) {
      listenersOf(this);
      const value = isObject(handler) ? handler : null;
      const known = read(this);
      if (known !== undefined) {
        known.handler = value;
      } else if (value !== null) {
        const slot = { handler: value };
        apply(set, handlers, [receiver(this), slot]);
        apply(addEventListener, this, [type, (event: Event) => callHandler(slot.handler, event)]);
      }
    },
  };
  defineProperty(proto, `on${type}`, { ...getOwnPropertyDescriptor(attribute, `on${type}`), enumerable: true });
}

/** A handler cancels its event by answering false; that of the global object's errors by answering true. */
function callHandler(handler: any, event: any): void {
  if (typeof handler !== "function") return;
  const state = stateOf(event);
  if (state.target === globalThis as any && state.type === "error") {
    const { message, filename, lineno, colno, error } = event;
    if (apply(handler, globalThis, [message, filename, lineno, colno, error]) === true) prevent(state);
  } else if (apply(handler, state.target, [event]) === false) prevent(state);
}
