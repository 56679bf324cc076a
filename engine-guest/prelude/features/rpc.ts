/**
 * Calls of methods in other workers (decision 0005): the two ends at which they enter the prelude. What `env.NAME.method`
 * is comes from here, and what the host's RPC event does.
 */
import { onRan, whenRan } from "../dispatch.ts";
import { keep } from "../invocation.ts";
import { promiseResult, promiseState } from "../native.ts";
import { TypeError, isObject } from "../primordials.ts";
import type { Invocation } from "../state.ts";
import { DurableObject, WorkerEntrypoint } from "../entrypoint.ts";
import { type Arrived, type Session, adoptSession } from "./rpc/session.ts";
import { decodeArguments } from "./rpc/decode.ts";
import { perform } from "./rpc/perform.ts";
import { answerCall, whenSettled } from "./rpc/serve.ts";
import { bindingMember, callPromise, callStub, localSource, stubMember } from "./rpc/stub.ts";

export { bindingMember, callPromise, callStub, localSource, stubMember };

/** [is a call, path, the first export's number, tokens] */
type Request = [isCall: boolean, path: string[], base: number, tokens: any[]];
const IS_CALL = 0;
const PATH = 1;
const BASE = 2;
const TOKENS = 3;

/** Serves a call: `make` makes the object whose method is called. A promise that it returns is the dispatcher's. */
export function serveCall(
  invocation: Invocation, exported: unknown, make: (entry: any) => object, request: Request, handles: number[],
  sessionId: number,
): void | Promise<unknown> {
  const session = sessionId === 0 ? null : adoptSession(sessionId, invocation);
  let args: Arrived | null = null;
  let result: unknown;
  try {
    if (!isEntrypoint(exported)) throw new TypeError(noMethods(exported));
    args = decodeArguments(request[TOKENS], handles, session, request[BASE]);
    result = perform(make(exported), request[IS_CALL], request[PATH], args.value);
  } catch (error) {
    return answerCall(invocation, session, args, true, error);
  }
  if (!isObject(result)) return answerCall(invocation, session, args, false, result);
  if (promiseState(result) !== 0) return answerSettled(invocation, session, args, result);
  return whenRan(result as Promise<unknown>, (promise) => answerSettled(invocation, session, args, promise));
}

/** The same in an event that was held back: nobody looks at what it returns. */
export function serveHeldCall(
  invocation: Invocation, exported: unknown, make: (entry: any) => object, request: Request, handles: number[],
  sessionId: number,
): void {
  const promise = serveCall(invocation, exported, make, request, handles, sessionId);
  if (promise !== undefined) onRan(promise, undefined, 0);
}

function answerSettled(invocation: Invocation, session: Session | null, args: Arrived | null, result: unknown): void {
  if (promiseState(result) === 1) return answerCall(invocation, session, args, false, promiseResult(result));
  keep(invocation);
  whenSettled(
    result,
    (value) => answerCall(invocation, session, args, false, value),
    (reason) => answerCall(invocation, session, args, true, reason),
  );
}

/** The entry point that was called last: a class stays one. */
let lastEntrypoint: unknown = null;

function isEntrypoint(exported: unknown): boolean {
  if (exported === lastEntrypoint) return true;
  if (typeof exported !== "function") return false;
  const { prototype } = exported;
  if (!(prototype instanceof WorkerEntrypoint || prototype instanceof DurableObject)) return false;
  lastEntrypoint = exported;
  return true;
}

function noMethods(exported: unknown): string {
  const what = typeof exported === "function" ? "a function or class that extends neither WorkerEntrypoint nor DurableObject" : "an object";
  return `the worker exports ${what} here, whose methods can't be called from outside; ` +
    `export a class that extends WorkerEntrypoint of "cloudflare:workers"`;
}
