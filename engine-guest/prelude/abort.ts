/**
 * `AbortController` and `AbortSignal`, and the plain callbacks by which the prelude's own operations listen to one.
 */
import { DOMException, abortError } from "./errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute, hasListeners, setFollowSignal } from "./events.ts";
import { INTERNAL } from "./internal.ts";
import { OP_TIMER, start } from "./native.ts";
import { whenComplete } from "./operations.ts";
import { TypeError, isObject, webClass } from "./primordials.ts";
import { enforceRange } from "./webidl.ts";

/** A signal, as the prelude's own modules see it. */
export type AbortSource = AbortSignal;

interface SignalState {
  aborted: boolean;
  reason: unknown;
  /** The prelude's own listeners; they run before the event is fired. */
  steps: (() => void)[] | null;
  /** Signals made by `any` that follow this one; a signal that follows is itself never followed. */
  followers: AbortSignal[] | null;
  /** Whom a signal made by `any` follows; `null` for any other. */
  sources: AbortSignal[] | null;
}

let stateOf: (signal: AbortSignal) => SignalState;
let brand: (value: unknown) => boolean;

/** Tells when an operation should stop. */
export class AbortSignal extends EventTarget {
  #state: SignalState;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("an AbortSignal comes from an AbortController");
    super();
    this.#state = { aborted: false, reason: undefined, steps: null, followers: null, sources: null };
  }

  static {
    stateOf = (signal) => signal.#state;
    brand = (value) => isObject(value) && #state in value;
  }

  static abort(reason: unknown = abortError()): AbortSignal {
    const signal = newAbortSignal();
    abortSource(signal, reason);
    return signal;
  }

  static timeout(ms: number): AbortSignal {
    const delay = enforceRange(ms, "the time in ms");
    const signal = newAbortSignal();
    whenComplete(start(OP_TIMER, delay), (ok) => {
      // A timer that went with its request fires for nobody.
      if (ok) abortSource(signal, new DOMException("The operation timed out", "TimeoutError"));
    });
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const result = newAbortSignal();
    const sources: AbortSignal[] = [];
    for (const signal of signals) {
      if (!brand(signal)) throw new TypeError("AbortSignal.any takes AbortSignals");
      sources[sources.length] = signal;
    }
    for (let i = 0; i < sources.length; i++) {
      const state = stateOf(sources[i]!);
      if (state.aborted) {
        abortSource(result, state.reason);
        return result;
      }
    }
    stateOf(result).sources = [];
    for (let i = 0; i < sources.length; i++) {
      const further = stateOf(sources[i]!).sources;
      if (further === null) follow(sources[i]!, result);
      else for (let j = 0; j < further.length; j++) follow(further[j]!, result);
    }
    return result;
  }

  get aborted(): boolean {
    return this.#state.aborted;
  }

  get reason(): unknown {
    return this.#state.reason;
  }

  throwIfAborted(): void {
    if (this.#state.aborted) throw this.#state.reason;
  }
}
webClass(AbortSignal);
handlerAttribute(AbortSignal.prototype, "abort");

/** Owns one signal. */
export class AbortController {
  #signal = newAbortSignal();

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason: unknown = abortError()): void {
    abortSource(this.#signal, reason);
  }
}
webClass(AbortController);

/** A signal that is not aborted. */
export function newAbortSignal(): AbortSignal {
  return new AbortSignal(INTERNAL);
}

/** True for an `AbortSignal`. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return brand(value);
}

/** Followers at which those that have aborted meanwhile are looked for, so that a long life gathers none. */
const FOLLOWERS_SWEPT = 32;

function follow(source: AbortSignal, follower: AbortSignal): void {
  const { sources } = stateOf(follower);
  for (let i = 0; i < sources!.length; i++) if (sources![i] === source) return;
  sources![sources!.length] = source;
  const followers = (stateOf(source).followers ??= []);
  if (followers.length > 0 && followers.length % FOLLOWERS_SWEPT === 0) {
    let to = 0;
    for (let at = 0; at < followers.length; at++) {
      if (!stateOf(followers[at]!).aborted) followers[to++] = followers[at]!;
    }
    followers.length = to;
  }
  followers[followers.length] = follower;
}

/** Aborts a signal and everything that follows it, once. All have their reason before anybody hears of it. */
export function abortSource(signal: AbortSource, reason: unknown): void {
  const state = stateOf(signal);
  if (state.aborted) return;
  state.aborted = true;
  state.reason = reason;
  const { followers } = state;
  state.followers = null;
  const reached: AbortSignal[] = [];
  if (followers !== null) {
    for (let i = 0; i < followers.length; i++) {
      const other = stateOf(followers[i]!);
      if (other.aborted) continue;
      other.aborted = true;
      other.reason = reason;
      reached[reached.length] = followers[i]!;
    }
  }
  tellAborted(signal);
  for (let i = 0; i < reached.length; i++) tellAborted(reached[i]!);
}

function tellAborted(signal: AbortSignal): void {
  const state = stateOf(signal);
  const { steps } = state;
  state.steps = null;
  if (steps !== null) for (let i = 0; i < steps.length; i++) steps[i]!();
  fireTrusted(signal, new Event("abort"));
}

export function isAborted(signal: AbortSource): boolean {
  return stateOf(signal).aborted;
}

export function abortReason(signal: AbortSource): unknown {
  return stateOf(signal).reason;
}

/** Whether anything but so many steps of the prelude's own would notice that the signal aborts. */
export function isWatched(signal: AbortSource, steps: number): boolean {
  const { followers, steps: own } = stateOf(signal);
  return (own !== null && own.length > steps) || followers !== null || hasListeners(signal);
}

/** Runs `step` when the signal aborts, unless it already has. */
export function onAbort(signal: AbortSource, step: () => void): void {
  const state = stateOf(signal);
  if (state.aborted) return;
  const steps = (state.steps ??= []);
  steps[steps.length] = step;
}

setFollowSignal((signal, step) => {
  if (!brand(signal)) throw new TypeError("signal must be an AbortSignal");
  if (isAborted(signal as AbortSignal)) return false;
  onAbort(signal as AbortSignal, step);
  return true;
});

/** Forgets a step. */
export function offAbort(signal: AbortSource, step: () => void): void {
  const { steps } = stateOf(signal);
  if (steps === null) return;
  let to = 0;
  for (let at = 0; at < steps.length; at++) if (steps[at] !== step) steps[to++] = steps[at]!;
  steps.length = to;
}
