/**
 * `AbortController` and `AbortSignal`, and the plain callbacks by which the prelude's own operations listen to one.
 */
import { DOMException, abortError } from "./errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute, setFollowSignal } from "./events.ts";
import { INTERNAL } from "./internal.ts";
import { OP_TIMER, start } from "./native.ts";
import { whenComplete } from "./operations.ts";
import { Number, RangeError, TypeError, isObject, webClass } from "./primordials.ts";

/** A signal, as the prelude's own modules see it. */
export type AbortSource = AbortSignal;

interface SignalState {
  aborted: boolean;
  reason: unknown;
  /** The prelude's own listeners; they run before the event is fired. */
  steps: (() => void)[] | null;
  /** Signals made by `any` that follow this one. */
  followers: AbortSignal[] | null;
}

let stateOf: (signal: AbortSignal) => SignalState;
let brand: (value: unknown) => boolean;

/** Tells when an operation should stop. */
export class AbortSignal extends EventTarget {
  #state: SignalState;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("an AbortSignal comes from an AbortController");
    super();
    this.#state = { aborted: false, reason: undefined, steps: null, followers: null };
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
    const delay = Number(ms);
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER)) throw new RangeError("AbortSignal.timeout needs a time in ms");
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
    for (let i = 0; i < sources.length; i++) {
      const followers = (stateOf(sources[i]!).followers ??= []);
      followers[followers.length] = result;
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

/** Aborts a signal and everything that follows it, once. */
export function abortSource(signal: AbortSource, reason: unknown): void {
  const state = stateOf(signal);
  if (state.aborted) return;
  state.aborted = true;
  state.reason = reason;
  const { steps, followers } = state;
  state.steps = null;
  state.followers = null;
  if (steps !== null) for (let i = 0; i < steps.length; i++) steps[i]!();
  fireTrusted(signal, new Event("abort"));
  if (followers !== null) for (let i = 0; i < followers.length; i++) abortSource(followers[i]!, reason);
}

export function isAborted(signal: AbortSource): boolean {
  return stateOf(signal).aborted;
}

export function abortReason(signal: AbortSource): unknown {
  return stateOf(signal).reason;
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
