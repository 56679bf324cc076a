/**
 * One event that is being served: its id, what still keeps it open, and the `ctx` that its handler gets.
 *
 * An invocation that is answered at once, with a whole body and no `waitUntil`, is never entered anywhere; only one
 * that goes on after its handler returned stands in `live`, where ABORT finds it and from where DONE is sent.
 */
import { type AbortSource, abortSource, newAbortSignal } from "./abort.ts";
import { logError } from "./log.ts";
import { CALL_DONE, abandon, call, promiseState, stateOfContext } from "./native.ts";
import {
  Map, TypeError, isObject, jsonParse, mapDelete, mapGet, mapSet, promiseResolved, promiseThen, webClass,
} from "./primordials.ts";
import { failBody } from "./hostbody.ts";
import { abortError } from "./errors.ts";
import {
  ABORTED, ANSWERED, ID, INVOCATION_SIGNAL, KEPT, PENDING, PROPS, REQUEST_BODY, STOP_SENDING, type Invocation,
} from "./state.ts";


const live = new Map<number, Invocation>();

/** Keeps the invocation where ABORT can find it. */
export function keep(invocation: Invocation): void {
  invocation[KEPT] = true;
  mapSet(live, invocation[ID], invocation);
}

/** The event that came last, which need not be kept to be found. */
export const latest: [invocation: Invocation | null] = [null];

/** An event that goes on, by its id. */
export function liveInvocation(id: number): Invocation | undefined {
  const last = latest[0];
  return last !== null && last[ID] === id ? last : mapGet(live, id);
}

/** The host now has the answer. */
export function markAnswered(invocation: Invocation): void {
  invocation[ANSWERED] = true;
  if (invocation[KEPT] && invocation[PENDING] === 0) mapDelete(live, invocation[ID]);
}

/** One more thing to wait for. */
export function hold(invocation: Invocation): void {
  if (invocation[PENDING]++ === 0) keep(invocation);
}

/** One thing less. The last one sends DONE, provided that the answer is out. */
export function release(invocation: Invocation): void {
  if (--invocation[PENDING] > 0 || !invocation[ANSWERED]) return;
  mapDelete(live, invocation[ID]);
  call(CALL_DONE, invocation[ID]);
}

let onAbandoned: ((id: number) => void) | null = null;

/**
 * Tells of each request whose client left before there was an answer and that gave nothing to `waitUntil`: nobody waits
 * for what runs on its behalf.
 */
export function whenAbandoned(listener: (id: number) => void): void {
  onAbandoned = listener;
}

/** The client left: abort the request's signal, its body and the response stream. */
export function abortInvocation(id: number): void {
  const invocation: Invocation | undefined = mapGet(live, id);
  if (invocation === undefined || invocation[ABORTED] !== undefined) return;
  const reason = abortError("the client closed the connection");
  invocation[ABORTED] = reason;
  const body = invocation[REQUEST_BODY];
  const signal = invocation[INVOCATION_SIGNAL];
  const stopSending = invocation[STOP_SENDING];
  if (body !== null) failBody(body, reason);
  if (signal !== null) abortSource(signal, reason);
  abandon(id, reason);
  if (stopSending !== null) stopSending(reason);
  if (onAbandoned !== null && invocation[PENDING] === 0 && !invocation[ANSWERED]) onAbandoned(id);
}

/** The signal of the event's request, made when it is first asked for. */
export function invocationSignal(invocation: Invocation): AbortSource {
  const known = invocation[INVOCATION_SIGNAL];
  if (known !== null) return known;
  const signal = newAbortSignal();
  invocation[INVOCATION_SIGNAL] = signal;
  if (invocation[ABORTED] !== undefined) abortSource(signal, invocation[ABORTED]);
  return signal;
}

export function waitFor(invocation: Invocation, promise: unknown): void {
  const failed = (reason: unknown): void => logError("a promise given to waitUntil was rejected", reason);
  if (!isObject(promise)) return;
  if (invocation[ANSWERED] && invocation[PENDING] === 0) {
    promiseThen(promiseResolved(promise), undefined, failed);
    return;
  }
  const state = promiseState(promise);
  if (state === 1) return;
  hold(invocation);
  promiseThen(promiseResolved(promise), () => release(invocation), (reason: unknown) => {
    failed(reason);
    release(invocation);
  });
}

/** The third argument of a handler. */
export class ExecutionContext {
  constructor() {
    throw new TypeError("ExecutionContext cannot be constructed");
  }

  /** What the binding says that the event came over; an empty object without one. */
  get props(): unknown {
    const invocation: Invocation = stateOfContext(this);
    const props = invocation[PROPS];
    if (isObject(props)) return props;
    return (invocation[PROPS] = typeof props === "string" ? jsonParse(props) : {});
  }

  /** Keeps the invocation alive until `promise` settles; a rejection is logged. */
  waitUntil(promise: unknown): void {
    waitFor(stateOfContext(this), promise);
  }

  /**
   * Accepted for compatibility and without effect: there is no origin behind a worker to which a failed request could
   * be passed on.
   */
  passThroughOnException(): void {
    void stateOfContext(this);
  }
}
webClass(ExecutionContext, 0);

/** What `makeContext` makes one of, around its invocation. */
export const contextPrototype = ExecutionContext.prototype;
