/**
 * The events of an instance that is an object.
 */
import { answerResult, answerSoon, fail, namedExport, noMethod } from "../../dispatch.ts";
import { wholeBuffer } from "../../body.ts";
import { env } from "../../env.ts";
import { hostError } from "../../errors.ts";
import { HostBody } from "../../hostbody.ts";
import { INTERNAL } from "../../internal.ts";
import { hold, keep, latest, markAnswered } from "../../invocation.ts";
import { OBJECT_ALARM_OVER, call, makeRequest, respond } from "../../native.ts";
import { Error, isObject } from "../../primordials.ts";
import { type Request, requestPrototype } from "../../request.ts";
import { BODY, type Invocation, ID, PENDING, REQUEST_BODY, type RequestState } from "../../state.ts";
import { callFeature } from "../../service.ts";
import { whenSettled } from "../rpc/settled.ts";
import { endKept, wrapKept } from "../websocket.ts";
import { blocked, coming, deliver, goOn, nextPlace } from "./gate.ts";
import { makeId } from "./namespace.ts";
import { DurableObjectState, resetBecause } from "./state.ts";

let className = "";
let state: DurableObjectState;
let object: any;
/** While the constructor runs, and once it threw. */
let broken = false;

export function onInit(name: string, id: string, idName: string | null): void {
  className = name;
  state = new DurableObjectState(INTERNAL, makeId(id, idName ?? undefined));
}

/** The object, made when its first event comes. */
function theObject(): any {
  if (object !== undefined) return object;
  const made: any = namedExport(className);
  if (typeof made !== "function" || !isObject(made.prototype)) {
    throw hostError("Error", `the worker's export ${className} is no class`, "no_object_class");
  }
  if (broken) throw new Error("the object's constructor failed");
  try {
    broken = true;
    object = new made(state, env);
    broken = false;
  } catch (error) {
    resetBecause("the object's constructor failed", error);
    throw error;
  }
  return object;
}

/** Runs an event when the gate is open; whatever is thrown is its failure. */
function begin(id: number, run: (invocation: Invocation) => void): Invocation {
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null];
  keep(invocation);
  if (blocked === 0 && coming === 0 && object !== undefined) attempt(invocation, run);
  else {
    const place = nextPlace();
    deliver(id, place, () => {
      try {
        // What the constructor blocks, it blocks for this event too.
        theObject();
      } catch (error) {
        return fail(invocation, error);
      }
      goOn(id, place, () => attempt(invocation, run));
    });
  }
  return invocation;
}

function attempt(invocation: Invocation, run: (invocation: Invocation) => void): void {
  try {
    run(invocation);
  } catch (error) {
    fail(invocation, error);
  }
}

/** The hot path: nothing is held back, and the answer's promise is looked at when its jobs ran. */
export function onFetch(
  id: number, method: string, url: string, block: string, body: any, handle: number, cfJson: any,
): void | Promise<unknown> {
  if (object === undefined || blocked > 0 || coming > 0) {
    begin(id, (invocation) => {
      const request = requestOf(invocation, method, url, block, body, handle, cfJson);
      if (typeof object.fetch !== "function") return noMethod(invocation, "fetch", className);
      answerResult(invocation, object.fetch(request));
    });
    return;
  }
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null];
  latest[0] = invocation;
  let result: unknown;
  try {
    const state: RequestState = [body, block, false, method, url, "manual", null, invocation, cfJson, undefined];
    if (body === true) state[BODY] = invocation[REQUEST_BODY] = new HostBody(handle);
    if (typeof object.fetch !== "function") return noMethod(invocation, "fetch", className);
    result = object.fetch(makeRequest(requestPrototype, state));
  } catch (error) {
    return fail(invocation, error);
  }
  return answerSoon(invocation, result);
}

function requestOf(
  invocation: Invocation, method: string, url: string, block: string, body: any, handle: number, cfJson: any,
): Request {
  const state: RequestState = [body, block, false, method, url, "manual", null, invocation, cfJson, undefined];
  if (body === true) state[BODY] = invocation[REQUEST_BODY] = new HostBody(handle);
  return makeRequest(requestPrototype, state);
}

export function onRpc(id: number, request: any, handles: any, session: number): void | Promise<unknown> {
  if (object === undefined || blocked > 0 || coming > 0) {
    begin(id, (invocation) =>
      callFeature().serveHeldCall(invocation, object.constructor, theObject, request, handles, session));
    return;
  }
  const invocation: Invocation = [id, 0, false, false, null, undefined, null, null];
  latest[0] = invocation;
  try {
    return callFeature().serveCall(invocation, object.constructor, theObject, request, handles, session);
  } catch (error) {
    return fail(invocation, error);
  }
}

/** An event without an answer. */
function settle(invocation: Invocation, result: unknown, over: (well: boolean) => void): void {
  hold(invocation);
  whenSettled(
    result,
    () => {
      over(true);
      invocation[PENDING]--;
      respond(invocation[ID], 204, "", null, 0, invocation[PENDING] > 0, "");
      markAnswered(invocation);
    },
    (reason) => {
      over(false);
      invocation[PENDING]--;
      fail(invocation, reason);
    },
  );
}

function nothing(): void {}

export function onAlarm(id: number, scheduledTime: number, retryCount: number): void {
  begin(id, (invocation) => {
    if (typeof object.alarm !== "function") return noMethod(invocation, "alarm", className);
    let result: unknown;
    try {
      result = object.alarm({ scheduledTime, retryCount, isRetry: retryCount > 0 });
    } catch (error) {
      call(OBJECT_ALARM_OVER, false);
      throw error;
    }
    settle(invocation, result, (well) => call(OBJECT_ALARM_OVER, well));
  });
}

export function onMessage(id: number, socket: number, data: any): void {
  begin(id, (invocation) => {
    const message = typeof data === "string" ? data : wholeBuffer(data);
    const handles = typeof object.webSocketMessage === "function";
    settle(invocation, handles ? object.webSocketMessage(wrapKept(socket), message) : undefined, nothing);
  });
}

export function onClosed(id: number, socket: number, code: number, reason: string, clean: boolean, cause: any): void {
  begin(id, (invocation) => {
    const ended = wrapKept(socket);
    endKept(socket);
    let result: unknown;
    if (cause !== null && typeof object.webSocketError === "function") {
      result = object.webSocketError(ended, hostError("Error", `the WebSocket ended with code ${code}: ${cause}`, cause));
    } else if (typeof object.webSocketClose === "function") {
      result = object.webSocketClose(ended, code, reason, clean);
    }
    settle(invocation, result, nothing);
  });
}
