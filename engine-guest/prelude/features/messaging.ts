/**
 * `MessageChannel` and `MessagePort`: two ends, of which each says what the other hears (HTML, section 9.4). A message
 * is cloned when it is posted, and arrives in a task of its own.
 */
import { Event, EventTarget, fireTrusted, handlerAttribute } from "../events.ts";
import { INTERNAL } from "../internal.ts";
import { OP_TIMER, start } from "../native.ts";
import { whenComplete } from "../operations.ts";
import {
  TypeError, apply, defineProperty, getOwnPropertyDescriptor, isArray, isObject, webClass,
} from "../primordials.ts";
import { dictionary, readSequence } from "../webidl.ts";
import { cloneWith, setPorts } from "./clone.ts";
import { MessageEvent } from "./messageevent.ts";

interface PortState {
  /** The port of this end; another one once it has been transferred. */
  port: MessagePort;
  other: PortState | null;
  /** What arrived before the port was started. */
  waiting: { data: unknown; ports: unknown[] }[];
  started: boolean;
  closed: boolean;
}

let stateOf: (port: MessagePort) => PortState;
let isPort: (value: unknown) => value is MessagePort;
/** Gives a port the end of another, which is of no use any more. */
let move: (from: MessagePort, to: MessagePort) => void;

function newState(): PortState {
  return { port: null as any, other: null, waiting: [], started: false, closed: false };
}

/** One end of a channel. */
export class MessagePort extends EventTarget {
  #state: PortState;

  constructor(token: unknown = undefined, state: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super();
    this.#state = state;
    this.#state.port = this;
  }

  static {
    stateOf = (port) => port.#state;
    isPort = (value): value is MessagePort => isObject(value) && #state in value;
    move = (from, to) => {
      const state = from.#state;
      from.#state = { ...newState(), port: from, closed: true };
      state.started = false;
      state.port = to;
      to.#state = state;
    };
  }

  postMessage(message: any, options: any = undefined): void {
    const state = this.#state;
    if (arguments.length === 0) throw new TypeError("postMessage needs a message");
    const list = isArray(options) ? options : dictionary(options, "the options of postMessage").transfer;
    const transfer = list === undefined ? [] : readSequence(list, "transfer");
    const { value, ports } = cloneWith(message, transfer, this);
    const { other } = state;
    if (other === null || other.closed) return;
    other.waiting[other.waiting.length] = { data: value, ports };
    if (other.started) deliverSoon(other);
  }

  start(): void {
    void this.#state;
    startPort(this);
  }

  close(): void {
    const state = this.#state;
    state.closed = true;
    state.waiting = [];
    const { other } = state;
    state.other = null;
    if (other === null) return;
    other.other = null;
    inTask(() => {
      if (!other.closed) fireTrusted(other.port, new Event("close"));
      other.closed = true;
    });
  }
}
webClass(MessagePort);
handlerAttribute(MessagePort.prototype, "message");
handlerAttribute(MessagePort.prototype, "messageerror");
handlerAttribute(MessagePort.prototype, "close");

// To set `onmessage` starts the port; to add a listener does not.
const onmessage = getOwnPropertyDescriptor(MessagePort.prototype, "onmessage")!;
const setHandler = onmessage.set!;
const { set } = getOwnPropertyDescriptor({
  set onmessage(handler: any) {
    apply(setHandler, this, [handler]);
    startPort(this as any);
  },
}, "onmessage")!;
defineProperty(MessagePort.prototype, "onmessage", { get: onmessage.get, set, enumerable: true });

function startPort(port: MessagePort): void {
  const state = stateOf(port);
  if (state.started) return;
  state.started = true;
  for (let i = 0; i < state.waiting.length; i++) deliverSoon(state);
}

function inTask(step: () => void): void {
  whenComplete(start(OP_TIMER, 0), (ok) => {
    if (ok) step();
  });
}

function deliverSoon(state: PortState): void {
  inTask(() => {
    if (state.closed || !state.started || state.waiting.length === 0) return;
    const { data, ports } = state.waiting[0]!;
    for (let i = 1; i < state.waiting.length; i++) state.waiting[i - 1] = state.waiting[i]!;
    state.waiting.length--;
    fireTrusted(state.port, new MessageEvent("message", { data, ports }));
  });
}

/** Two ports that are each other's other end. */
export class MessageChannel {
  #port1: MessagePort;
  #port2: MessagePort;

  constructor() {
    const first = newState();
    const second = newState();
    first.other = second;
    second.other = first;
    this.#port1 = new MessagePort(INTERNAL, first);
    this.#port2 = new MessagePort(INTERNAL, second);
  }

  get port1(): MessagePort {
    return this.#port1;
  }

  get port2(): MessagePort {
    return this.#port2;
  }
}
webClass(MessageChannel);

setPorts({
  isPort,
  isDetached: (port) => stateOf(port).closed && stateOf(port).other === null,
  make: () => new MessagePort(INTERNAL, newState()),
  move,
});
