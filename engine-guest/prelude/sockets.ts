/**
 * What the rest of the prelude knows of WebSockets, which is next to nothing: that a response of status 101 carries
 * one. A socket that came from the host stays a number until somebody looks at it; the class is a feature.
 */
import { feature } from "./features.ts";
import { CALL_SOCKET_ANSWER, call } from "./native.ts";
import { RangeError, TypeError, WeakMap, weakMapGet, weakMapSet } from "./primordials.ts";
import type { ResponseState } from "./state.ts";

const carried = new WeakMap<ResponseState, object | number>();

/** Lets a response carry a socket: a `WebSocket`, or the host's number of one. */
export function carrySocket(state: ResponseState, socket: object | number): ResponseState {
  weakMapSet(carried, state, socket);
  return state;
}

/** The socket of `new Response(body, { status: 101, webSocket })`. */
export function socketOfInit(body: unknown, init: any): object {
  const socket = init.webSocket;
  if (socket === undefined || socket === null) {
    throw new RangeError("a response with status 101 needs a webSocket; others have a status from 200 to 599");
  }
  if (body !== undefined && body !== null) throw new TypeError("a response with a webSocket cannot have a body");
  feature("websocket").checkUnused(socket);
  return socket;
}

/** `response.webSocket` */
export function socketOf(state: ResponseState): object | null {
  const socket: object | number | undefined = weakMapGet(carried, state);
  if (typeof socket !== "number") return socket ?? null;
  const wrapped = feature("websocket").wrapSocket(socket);
  weakMapSet(carried, state, wrapped);
  return wrapped;
}

/**
 * Hands the socket of a response to the host, together with the answer of the event `id`; throws if there is none. True
 * if the other end stays with this worker: `over` is then called when it has ended and its handlers know.
 */
export function answerWithSocket(id: number, state: ResponseState, over: () => void): boolean {
  const socket: object | number | undefined = weakMapGet(carried, state);
  if (socket === undefined) throw new TypeError("a response with status 101 has lost its webSocket");
  if (typeof socket === "number") {
    call(CALL_SOCKET_ANSWER, id, socket);
    return false;
  }
  const { giveAway } = feature("websocket");
  const given: [number, boolean] = giveAway(socket, over);
  call(CALL_SOCKET_ANSWER, id, given[0]);
  return given[1];
}
