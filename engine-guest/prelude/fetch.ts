/**
 * `fetch`, and the sending of requests that it shares with service bindings.
 */
import { type AbortSource, abortReason, isAborted, offAbort, onAbort } from "./abort.ts";
import { takeBody } from "./body.ts";
import { HostBody, cancelBody } from "./hostbody.ts";
import { headerBlock, headerOf } from "./headers.ts";
import { invocationSignal } from "./invocation.ts";
import { OP_FETCH, OP_SERVICE, askFor, makeResponse, start } from "./native.ts";
import { cancelOperation, whenComplete } from "./operations.ts";
import { Promise, isView, promiseRejected } from "./primordials.ts";
import { peekRequest, requestState } from "./request.ts";
import { type Response, isNullBodyStatus, responsePrototype, wrapResponse } from "./response.ts";
import { type Sending, openSending, pump } from "./sending.ts";
import { carrySocket } from "./sockets.ts";
import {
  ABORTED, BODY, type BodyValue, HEADERS, ID, INVOCATION, METHOD, OPTIONS, REDIRECT, REQUEST_URL, RESPONSE_URL, SIGNAL,
  STATUS, type RequestState, type ResponseState,
} from "./state.ts";
import { type ReadableStream, isReadableStream, sourceOf } from "./streams/readable.ts";

/** Sends a request over the network. */
export function fetch(input: any, init: any = undefined): Promise<Response> {
  return sendTo(-1, input, init);
}

/** What `fetch` is given goes to the binding or the stub of an object, or over the network where that is -1. */
export function sendTo(binding: number | string, input: any, init: any): Promise<Response> {
  try {
    const given = init === undefined ? peekRequest(input) : null;
    // One that has no body to be taken is sent as it is.
    if (given !== null && given[BODY] === null) return given[SIGNAL] === null ? sendWhole(given, binding) : send(given, binding);
    const state = requestState(input, init, true);
    return state[SIGNAL] === null && isWhole(state[BODY]) ? sendWhole(state, binding) : send(state, binding);
  } catch (error) {
    return promiseRejected(error);
  }
}

function signalFor(state: RequestState): AbortSource | null {
  const invocation = state[INVOCATION];
  return state[SIGNAL] ?? (invocation === null ? null : invocationSignal(invocation));
}

const isWhole = (body: BodyValue): boolean => body === null || typeof body === "string" || isView(body);

/** Sends a request to the binding or the stub of an object, or over the network where that is -1. */
export function send(state: RequestState, binding: number | string): Promise<Response> {
  const signal = signalFor(state);
  const body = takeBody(state);
  if (signal !== null && isAborted(signal)) {
    giveUp(body, abortReason(signal));
    return promiseRejected(abortReason(signal));
  }
  const whole = isWhole(body);
  const streamId = whole ? 0 : openSending(body);
  const sent = whole ? body : true;
  const block = withCacheMode(state, headerBlock(state));
  const method = state[METHOD];
  const url = state[REQUEST_URL];
  const redirect = state[REDIRECT];
  const id = binding === -1
    ? start(OP_FETCH, method, url, block, sent as any, streamId, redirect)
    : start(OP_SERVICE, binding, method, url, block, sent as any, streamId, redirect);
  const sending = whole ? null : pump(streamId, body as HostBody | ReadableStream, () => {});
  return received(id, method === "HEAD", signal, sending);
}

/**
 * Most requests: there is nothing to stream, and nothing aborts it but that the client leaves whose event it came with.
 * So no signal is made, and nobody listens to one.
 */
export function sendWhole(state: RequestState, binding: number | string): Promise<Response> {
  const body = state[BODY] === null ? null : takeBody(state) as string | Uint8Array;
  const invocation = state[INVOCATION];
  if (invocation !== null && invocation[ABORTED] !== undefined) return promiseRejected(invocation[ABORTED]);
  const owner = invocation === null ? 0 : invocation[ID];
  const headers = state[HEADERS];
  let block = typeof headers === "string" ? headers : headerBlock(state);
  if (state.length > OPTIONS) block = withCacheMode(state, block);
  const late = state[METHOD] === "HEAD" ? arrivedBodiless : arrived;
  return binding === -1
    ? askFor(owner, late, state, OP_FETCH, state[METHOD], state[REQUEST_URL], block, body, 0, state[REDIRECT])
    : askFor(owner, late, state, OP_SERVICE, binding, state[METHOD], state[REQUEST_URL], block, body, 0, state[REDIRECT]);
}

/** What the promise of a request gets, of which nothing was streamed and that had no signal. */
export function arrived(ok: boolean, value: any, state: RequestState): unknown {
  if (!ok) return value;
  const status = value[0];
  if (typeof status !== "number") {
    // What a worker or an object answered within the call is the state itself, but for what is known here.
    const answered: ResponseState = value;
    if (answered[RESPONSE_URL] === null) answered[RESPONSE_URL] = state[REQUEST_URL];
    if (answered[STATUS] !== 200 && isNullBodyStatus(answered[STATUS])) answered[BODY] = null;
    return makeResponse(responsePrototype, answered);
  }
  // An answer whose body is all there, and may be.
  if (value[BODY_HANDLE] === 0 && status >= 200 && !isNullBodyStatus(status)) {
    return makeResponse(responsePrototype, [value[5], value[4], false, status, value[1], value[2], value[3], "basic"]);
  }
  return wrapResponse(responseState(value, false, signalFor(state)));
}

/** The same of a request whose answer has no body, whatever came with it. */
function arrivedBodiless(ok: boolean, value: any, state: RequestState): unknown {
  if (ok && typeof value[0] === "number") return wrapResponse(responseState(value, true, signalFor(state)));
  if (ok) value[BODY] = null;
  return arrived(ok, value, state);
}

/** A body that nobody will send. */
function giveUp(body: BodyValue, reason: unknown): void {
  if (body instanceof HostBody) cancelBody(body);
  else if (isReadableStream(body)) sourceOf(body).cancel(reason);
}

/** What a request's cache mode says to caches on the way (Fetch Standard, HTTP-network-or-cache fetch). */
function withCacheMode(state: RequestState, block: string): string {
  if (state.length <= OPTIONS) return block;
  const { cache } = state[OPTIONS]!;
  const named = (name: string): boolean => headerOf(state, name) !== null;
  let lines = "";
  if (cache === "no-store" || cache === "reload") {
    if (!named("pragma")) lines = "pragma\nno-cache";
    if (!named("cache-control")) lines += (lines === "" ? "" : "\n") + "cache-control\nno-cache";
  } else if (cache === "no-cache" && !named("cache-control")) lines = "cache-control\nmax-age=0";
  return lines === "" ? block : block === "" ? lines : block + "\n" + lines;
}

function received(id: number, bodiless: boolean, signal: AbortSource | null, sending: Sending | null): Promise<Response> {
  return new Promise((resolve, reject) => {
    let abort: (() => void) | null = null;
    if (signal !== null) {
      abort = () => {
        const reason = abortReason(signal);
        cancelOperation(id);
        if (sending !== null) sending.stop(reason);
        reject(reason);
      };
      onAbort(signal, abort);
    }
    whenComplete(id, (ok, value) => {
      if (abort !== null) offAbort(signal!, abort);
      if (ok) return resolve(wrapResponse(responseState(value, bodiless, signal)));
      if (sending !== null) sending.stop(value);
      reject(value);
    });
  });
}

/** An answer that brings a socket: its number stands where that of a body would. */
function switched(answer: any[]): ResponseState {
  return carrySocket([null, answer[4], false, 101, answer[1], answer[2], answer[3], "basic"], answer[6]);
}

/** Where in an answer the handle of a body stands that is not whole. */
const BODY_HANDLE = 6;

function responseState(answer: any[], bodiless: boolean, signal: AbortSource | null): ResponseState {
  if (answer[0] === 101) return switched(answer);
  const handle: number = answer[BODY_HANDLE];
  const status: number = answer[0];
  let body: BodyValue = handle === 0 ? answer[5] : new HostBody(handle, signal, answer[7]);
  if (bodiless || isNullBodyStatus(status)) {
    if (body instanceof HostBody) cancelBody(body);
    body = null;
  }
  return [body, answer[4], false, status, answer[1], answer[2], answer[3], "basic"];
}
