/**
 * Events from the host: calls the worker's handlers and hands their answers back. `fetch` is the hot path: a handler
 * that returns a whole `Response` synchronously costs no promise, no map entry and no stream.
 */
import { takeBody } from "./body.ts";
import { buildEnv, endEvaluation, env } from "./env.ts";
import { describeError, hostError } from "./errors.ts";
import { feature, preload } from "./features.ts";
import { arrived } from "./fetch.ts";
import { HostBody } from "./hostbody.ts";
import { headerBlock, headerOf } from "./headers.ts";
import { INTERNAL } from "./internal.ts";
import {
  type ExecutionContext, abortInvocation, contextPrototype, hold, keep, markAnswered, release,
} from "./invocation.ts";
import {
  CALL_CODED, CALL_FAIL, EVENT_ABORT, EVENT_COMPLETE, EVENT_FETCH, EVENT_INIT, EVENT_OBJECT_ALARM,
  EVENT_OBJECT_CLOSED, EVENT_OBJECT_FETCH, EVENT_OBJECT_INIT, EVENT_OBJECT_MESSAGE, EVENT_OBJECT_RPC, EVENT_PRELOAD, EVENT_RAN, EVENT_RPC,
  EVENT_SCHEDULED,
  EVENT_START, atEnd, call, handOver, makeContext, makeRequest, passOn, peekResponse,
  promiseResult, promiseState, respond, setDispatch, setEnds,
} from "./native.ts";
import { complete } from "./operations.ts";
import { hasOwn, isObject, isView, markHandled, promiseResolved, promiseThen } from "./primordials.ts";
import { requestPrototype } from "./request.ts";
import { anyEncoded, isEncoded } from "./response.ts";
import { ScheduledController } from "./scheduled.ts";
import { isHandedOver, openSending, pump } from "./sending.ts";
import { callFeature } from "./service.ts";
import { answerWithSocket } from "./sockets.ts";
import {
  ABORTED, ANSWERED, BODY, type BodyValue, HEADERS, ID, INVOCATION, INVOCATION_SIGNAL, type Invocation, KEPT, PENDING, REQUEST_BODY,
  type RequestState, type ResponseState, STATUS, STATUS_TEXT, STOP_SENDING, USED,
} from "./state.ts";
import { type ReadableStream, takeWhole } from "./streams/readable.ts";

type Whole = null | string | Uint8Array;

/** The entry module; bindings may name its exports. */
let entryModule: any = {};
/** Its default export; a class makes one object per event. */
let entry: any;
let entryIsClass = false;

function onStart(namespace: any): void {
  endEvaluation();
  if (isObject(namespace)) entryModule = namespace;
  entry = entryModule.default;
  entryIsClass = typeof entry === "function" && isObject(entry.prototype);
}

/** The function the host calls for every event; FETCH and RAN first, the rest in `dispatchOther`. */
function dispatch(
  kind: number, id: number, method: any, url?: any, block?: any, body?: any, bodyHandle?: any, cfJson?: any,
  entryName?: any, props?: any,
): void | Promise<unknown> {
  if (kind !== EVENT_FETCH) {
    if (kind === EVENT_RAN) return onRan(method, url, block);
    if (kind === EVENT_OBJECT_FETCH) return objectFetch(id, method, url, block, body, bodyHandle, cfJson);
    return dispatchOther(kind, id, method, url, block, body, bodyHandle);
  }
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null, props];
  const asked: RequestState = [body, block, false, method, url, "manual", null, invocation, cfJson, undefined];
  if (body === true) asked[BODY] = invocation[REQUEST_BODY] = new HostBody(bodyHandle);
  const context = makeContext(contextPrototype, invocation);
  let result: unknown;
  try {
    const handler = typeof entryName === "string" ? namedEntry(entryName, context)
      : entryIsClass ? new entry(context, env) : entry;
    if (handler === undefined || handler === null || handler.fetch === undefined) return noHandler(invocation, "fetch", entryName);
    result = handler.fetch(makeRequest(requestPrototype, asked), env, context);
  } catch (error) {
    return fail(invocation, error);
  }
  const response = peekResponse(result);
  if (response !== null) return answer(invocation, response);
  const state = promiseState(result);
  if (state !== 0 && state !== 1) return answerWhenSettled(invocation, result);
  // Told of again when all jobs ran, by RAN: mostly it is settled then, and nobody had to wait for it.
  ran = invocation;
  return result as Promise<unknown>;
}

/** Whose answer is a promise that was not settled before its jobs ran. */
let ran: Invocation | null = null;
/** The same of an event whose answer is no response. */
let ranElse: ((promise: Promise<unknown>) => void) | null = null;

/** Has a promise told of again when its jobs ran: what `dispatch` returns. */
export function whenRan(promise: Promise<unknown>, tell: (promise: Promise<unknown>) => void): Promise<unknown> {
  ranElse = tell;
  return promise;
}

/** Who has the result of a promise while RAN looks at it: the promise, the shim, and two calls. */
const HOLDERS_OF_RESULT = 4;

/**
 * RAN, with the promise's result once it is fulfilled, and whether nobody else will hear of it: by the operation that alone
 * settles one that waits. Also done by hand for a promise that was not returned.
 */
export function onRan(promise: Promise<unknown>, result: unknown, alone: number): void {
  const tell = ranElse;
  if (tell !== null) {
    ranElse = null;
    return tell(promise);
  }
  const invocation = ran!;
  ran = null;
  if (alone !== 0) {
    // What another answers is the answer: it need not come by here.
    if (result === undefined) {
      // Who has the signal wants to hear that the client left.
      const isHeard = invocation[PENDING] !== 0 || invocation[INVOCATION_SIGNAL] !== null;
      if (!isHeard && handOver(alone, arrived, invocation, INVOCATION)) return;
    } else if (passOn(invocation[ID], result, invocation[PENDING] !== 0, HOLDERS_OF_RESULT)) return answered(invocation);
  }
  const response = peekResponse(result);
  if (response !== null) return answer(invocation, response);
  answerWhenSettled(invocation, promise);
}

/** What a `fetch` handler returned, as `dispatch` may return it. */
export function answerSoon(invocation: Invocation, result: unknown): void | Promise<unknown> {
  if (promiseState(result) !== 0) return answerResult(invocation, result);
  ran = invocation;
  return result as Promise<unknown>;
}

/** The same where it is over already, or nobody looks at what is returned. */
export function answerResult(invocation: Invocation, result: unknown): void {
  const response = peekResponse(result);
  if (response === null) answerWhenSettled(invocation, result);
  else answer(invocation, response);
}

/** A named export as the handlers of an event; an object of it if it is a class. */
function namedEntry(name: string, context: ExecutionContext): any {
  const exported = namedExport(name);
  return typeof exported === "function" && isObject(exported.prototype) ? new (exported as any)(context, env) : exported;
}

export function namedExport(name: string): unknown {
  if (hasOwn(entryModule, name)) return entryModule[name];
  throw hostError("Error", `the worker has no export "${name}", which the binding names as its entry point`, "no_entrypoint");
}

/** A call of a method in another worker. */
function onRpc(
  id: number, name: string | null, props: string | null, request: any, handles: any, sessionId: number,
): void | Promise<unknown> {
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null, props];
  const context = makeContext(contextPrototype, invocation);
  let exported: unknown;
  try {
    exported = name === null ? entry : namedExport(name);
  } catch (error) {
    return fail(invocation, error);
  }
  return callFeature().serveCall(
    invocation, exported, (made: any) => new made(context, env), request, handles, sessionId,
  );
}

/** The events of an instance that is a durable object. */
let objectEvents: any = null;
/** The one that comes most. */
let objectFetch: any = null;

function dispatchOther(
  kind: number, id: number, a: any, b: any, c: any, d: any, e: any,
): void | Promise<unknown> {
  switch (kind) {
    case EVENT_RPC:
      return onRpc(id, a, b, c, d, e);
    case EVENT_COMPLETE:
      return complete(id, a, b);
    case EVENT_ABORT:
      return abortInvocation(id);
    case EVENT_SCHEDULED:
      return onScheduled(id, a, b);
    case EVENT_PRELOAD:
      return preload(a);
    case EVENT_START:
      return onStart(a);
    case EVENT_INIT:
      return buildEnv(a);
    case EVENT_OBJECT_INIT:
      objectEvents = feature("objects");
      objectFetch = objectEvents.onFetch;
      return objectEvents.onInit(a, b, c);
    // Name and props belong to entry points.
    case EVENT_OBJECT_RPC:
      return objectEvents.onRpc(id, c, d, e);
    case EVENT_OBJECT_ALARM:
      return objectEvents.onAlarm(id, a, b);
    case EVENT_OBJECT_MESSAGE:
      return objectEvents.onMessage(id, a, b);
    case EVENT_OBJECT_CLOSED:
      return objectEvents.onClosed(id, a, b, c, d, e);
  }
}

export function fail(invocation: Invocation, thrown: unknown): void {
  const { name, message, stack } = describeError(thrown);
  failAs(invocation, name, message, stack, codeOf(thrown));
}

/** The stable code of an error that the host raised, so that it keeps it when nobody catches it. */
function codeOf(thrown: unknown): string {
  try {
    const code = isObject(thrown) ? (thrown as { code?: unknown }).code : undefined;
    return typeof code === "string" ? code : "";
  } catch {
    return "";
  }
}

function failAs(invocation: Invocation, name: string, message: string, stack: string, code: string = ""): void {
  markAnswered(invocation);
  call(CALL_FAIL, invocation[ID], name, message, stack, invocation[PENDING] > 0, code);
}

function noHandler(invocation: Invocation, name: string, entryName: unknown = undefined): void {
  const message = typeof entryName === "string"
    ? `the worker's export ${entryName} has no ${name}() method`
    : `the entry module's default export has no ${name}() method; write: export default { ${name}(…) { … } }`;
  failAs(invocation, "NoHandler", message, "");
}

/** The class of a durable object lacks the method that an event wants. */
export function noMethod(invocation: Invocation, name: string, className: string): void {
  failAs(invocation, "NoHandler", `the class ${className} has no ${name}() method`, "");
}

function answerWhenSettled(invocation: Invocation, result: unknown): void {
  if (!isObject(result)) return answerValue(invocation, result);
  let promise: Promise<unknown>;
  try {
    const state = promiseState(result);
    if (state === 1) return answerValue(invocation, promiseResult(result));
    if (state === 2) {
      markHandled(result);
      return fail(invocation, promiseResult(result));
    }
    if (state !== 0 && typeof result.then !== "function") return answerValue(invocation, result);
    promise = promiseResolved(result);
  } catch (error) {
    return fail(invocation, error);
  }
  keep(invocation);
  atEnd(promise, invocation);
}

function answerValue(invocation: Invocation, value: unknown): void {
  const response = peekResponse(value);
  if (response !== null) return answer(invocation, response);
  failAs(
    invocation, "InvalidResponse",
    `the fetch() handler returned ${kindOf(value)} where a Response was expected`, "",
  );
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing (is a return missing?)";
  if (value === null) return "null";
  if (typeof value === "string") return "a string (wrap it: new Response(text))";
  if (typeof value === "function") return "a function";
  return typeof value === "object" ? "an object that is no Response" : `a ${typeof value}`;
}

function answer(invocation: Invocation, state: ResponseState): void {
  let body = state[BODY];
  const status = state[STATUS];
  if (body !== null && typeof body !== "string" && !isView(body)) {
    const whole = state[USED] ? null : takeWhole(body);
    if (whole === null) return answerStreamed(invocation, state);
    body = whole;
  } else if (state[USED] && body !== null) return failUsed(invocation);
  if (status < 200) return answerOddly(invocation, state);
  const headers = state[HEADERS];
  if (anyEncoded && isEncoded(state)) call(CALL_CODED, 0, invocation[ID]);
  respond(
    invocation[ID], status, typeof headers === "string" ? headers : headerBlock(state), body as Whole, 0,
    invocation[PENDING] !== 0, state[STATUS_TEXT],
  );
  answered(invocation);
}

function answered(invocation: Invocation): void {
  invocation[ANSWERED] = true;
  if (invocation[KEPT]) markAnswered(invocation);
}

/** Status 0 is an error's; 101 brings a socket. */
function answerOddly(invocation: Invocation, state: ResponseState): void {
  if (state[STATUS] === 0) {
    return failAs(invocation, "InvalidResponse", "the fetch() handler returned Response.error()", "");
  }
  try {
    // The event goes on until the socket's end, so that handlers may pass work to waitUntil.
    if (answerWithSocket(invocation[ID], state, () => release(invocation))) hold(invocation);
  } catch (error) {
    if (codeOf(error) !== "") return fail(invocation, error);
    const { message, stack } = describeError(error);
    return failAs(invocation, "InvalidResponse", message, stack);
  }
  respond(invocation[ID], 101, headerBlock(state), null, 0, invocation[PENDING] !== 0, state[STATUS_TEXT]);
  markAnswered(invocation);
}

function failUsed(invocation: Invocation): void {
  failAs(
    invocation, "InvalidResponse",
    "the fetch() handler returned a Response whose body was already used or whose stream is locked", "",
  );
}

function answerStreamed(invocation: Invocation, state: ResponseState): void {
  let body: BodyValue;
  try {
    body = takeBody(state);
  } catch {
    return failUsed(invocation);
  }
  const id = invocation[ID];
  const block = headerBlock(state);
  const reason = state[STATUS_TEXT];
  if (typeof body === "string" || body === null || isView(body)) {
    if (anyEncoded && isEncoded(state)) call(CALL_CODED, 0, id);
    respond(id, state[STATUS], block, body as Whole, 0, invocation[PENDING] !== 0, reason);
    return markAnswered(invocation);
  }
  if (isCodedAlready(state, body)) call(CALL_CODED, body instanceof HostBody ? body.handle : 0, id);
  const streamId = openSending(body, invocation);
  if (isHandedOver(body)) {
    respond(id, state[STATUS], block, true, streamId, invocation[PENDING] !== 0, reason);
    return markAnswered(invocation);
  }
  hold(invocation);
  respond(id, state[STATUS], block, true, streamId, true, reason);
  markAnswered(invocation);
  const sending = pump(streamId, body as HostBody | ReadableStream, () => release(invocation));
  if (invocation[ABORTED] !== undefined) sending.stop(invocation[ABORTED]);
  else invocation[STOP_SENDING] = sending.stop;
}

/** Whether the body goes out as it is: the script has encoded it, or it is passed on as the host received it. */
function isCodedAlready(state: ResponseState, body: BodyValue): boolean {
  if (isEncoded(state)) return true;
  return body instanceof HostBody && body.coding !== null && body.coding === headerOf(state, "content-encoding");
}

function onScheduled(id: number, cron: string, timeMs: number): void {
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null];
  hold(invocation);
  let result: unknown;
  try {
    const context = makeContext(contextPrototype, invocation);
    const handler = entryIsClass ? new entry(context, env) : entry;
    if (!isObject(handler) || typeof handler.scheduled !== "function") return noHandlerScheduled(invocation);
    result = handler.scheduled(new ScheduledController(INTERNAL, cron, timeMs), env, context);
  } catch (error) {
    return failScheduled(invocation, error);
  }
  promiseThen(
    promiseResolved(result),
    () => {
      invocation[ANSWERED] = true;
      release(invocation);
    },
    (reason: unknown) => failScheduled(invocation, reason),
  );
}

function failScheduled(invocation: Invocation, thrown: unknown): void {
  invocation[PENDING]--;
  fail(invocation, thrown);
}

function noHandlerScheduled(invocation: Invocation): void {
  invocation[PENDING]--;
  noHandler(invocation, "scheduled");
}

setDispatch(dispatch);
setEnds(answerValue, fail);
