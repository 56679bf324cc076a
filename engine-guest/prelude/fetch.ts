/**
 * `fetch`, and the sending of requests that it shares with service bindings.
 */
import { type AbortSource, abortReason, isAborted, offAbort, onAbort } from "./abort.ts";
import { takeBody } from "./body.ts";
import { HostBody } from "./hostbody.ts";
import { headerBlock } from "./headers.ts";
import { invocationSignal } from "./invocation.ts";
import { OP_FETCH, OP_SERVICE, start } from "./native.ts";
import { cancelOperation, whenComplete } from "./operations.ts";
import { Promise, isView, promiseRejected } from "./primordials.ts";
import { requestState } from "./request.ts";
import { type Response, wrapResponse } from "./response.ts";
import { type Sending, openSending, pump } from "./sending.ts";
import { carrySocket } from "./sockets.ts";
import {
  INVOCATION, METHOD, REDIRECT, REQUEST_URL, SIGNAL, type RequestState, type ResponseState,
} from "./state.ts";
import type { ReadableStream } from "./streams/readable.ts";

/** Sends a request over the network. */
export function fetch(input: any, init: any = undefined): Promise<Response> {
  try {
    return send(requestState(input, init), -1);
  } catch (error) {
    return promiseRejected(error);
  }
}

function signalFor(state: RequestState): AbortSource | null {
  const invocation = state[INVOCATION];
  return state[SIGNAL] ?? (invocation === null ? null : invocationSignal(invocation));
}

/** Sends a request to the binding, or over the network where that is -1. */
export function send(state: RequestState, binding: number): Promise<Response> {
  const signal = signalFor(state);
  if (signal !== null && isAborted(signal)) return promiseRejected(abortReason(signal));
  const body = takeBody(state);
  const whole = body === null || typeof body === "string" || isView(body);
  const streamId = whole ? 0 : openSending();
  const sent = whole ? body : true;
  const block = headerBlock(state);
  const method = state[METHOD];
  const url = state[REQUEST_URL];
  const redirect = state[REDIRECT];
  const id = binding < 0
    ? start(OP_FETCH, method, url, block, sent as any, streamId, redirect)
    : start(OP_SERVICE, binding, method, url, block, sent as any, streamId, redirect);
  const sending = whole ? null : pump(streamId, body as HostBody | ReadableStream, () => {});
  return received(id, signal, sending);
}

function received(id: number, signal: AbortSource | null, sending: Sending | null): Promise<Response> {
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
      if (ok) return resolve(wrapResponse(responseState(value, signal)));
      if (sending !== null) sending.stop(value);
      reject(value);
    });
  });
}

/** An answer that brings a socket: its number stands where that of a body would. */
function switched(answer: any[]): ResponseState {
  return carrySocket([null, answer[4], false, 101, answer[1], answer[2], answer[3], "basic"], answer[6]);
}

function responseState(answer: any[], signal: AbortSource | null): ResponseState {
  if (answer[0] === 101) return switched(answer);
  const handle: number = answer[6];
  const body = handle === 0 ? answer[5] : new HostBody(handle, signal);
  return [body, answer[4], false, answer[0], answer[1], answer[2], answer[3], "basic"];
}
