/**
 * `Response`. Its state is one array (state.ts); its headers stay a block until somebody asks for them.
 */
import { type BodyMethods, cloneBody, extractBody, extractedType, giveBodyMethods } from "./body.ts";
import {
  type Headers, blockFrom, blockHasType, clonedHeaders, defaultContentType, headersOf, immutableHeaders,
} from "./headers.ts";
import { keepResponse, makeResponse, peekResponse, responseGetters, setResponsePrototype, stateOfResponse as stateOf } from "./native.ts";
import { Number, RangeError, TypeError, WeakSet, giveGetters, jsonStringify, regExpExec, toStr, uncurry, webClass } from "./primordials.ts";
import {
  BODY, REDIRECTED, RESPONSE_URL, STATUS, STATUS_TEXT, TYPE, type ResponseState,
} from "./state.ts";
import { carrySocket, socketOf, socketOfInit } from "./sockets.ts";
import { parseUrl } from "./url.ts";

const TEXT_BLOCK = "content-type\ntext/plain;charset=UTF-8";
const JSON_BLOCK = "content-type\napplication/json";
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

function checkStatus(status: unknown): number {
  const code = typeof status === "number" ? status & 0xffff : Number(status) & 0xffff;
  if (code < 200 || code > 599) {
    throw new RangeError(`a response's status must be from 200 to 599, not ${toStr(status)}`);
  }
  return code;
}

function checkReason(text: unknown): string {
  const reason = toStr(text);
  if (regExpExec(REASON_PHRASE, reason) === null) throw new TypeError("statusText holds a forbidden character");
  return reason;
}

/** Whether a response with this status has no body, not even an empty one. */
export function isNullBodyStatus(status: number): boolean {
  return status === 204 || status === 304 || status === 205;
}

function withType(block: string, line: string): string {
  return block === "" ? line : block + "\n" + line;
}

/** Responses whose body a script has encoded itself (`encodeBody: "manual"`); null until there is one. */
let encoded: WeakSet<ResponseState> | null = null;
/** Whether there is one: a variable, so that a response costs no call. */
export let anyEncoded = false;
const weakSetAdd = uncurry(WeakSet.prototype.add);
const weakSetHas = uncurry(WeakSet.prototype.has);

/** What `encodeBody` asks for; only a body that is no string can be encoded already. */
function isManual(wanted: unknown): boolean {
  if (wanted === "automatic") return false;
  if (wanted !== "manual") throw new TypeError(`encodeBody is automatic or manual, not "${toStr(wanted)}"`);
  return true;
}

function markEncoded(state: ResponseState): void {
  anyEncoded = true;
  weakSetAdd(encoded ??= new WeakSet(), state);
}

/** Whether the body is already in the coding that the headers name. */
export function isEncoded(state: ResponseState): boolean {
  return encoded !== null && weakSetHas(encoded, state);
}

/** The state of a `Response`, or null if a value is none. */
export { peekResponse };

/** What has a getter of the guest's own comes besides. */
export interface Response extends BodyMethods {
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
}

/** What a handler returns and what `fetch` resolves with. */
export class Response {
  constructor(body?: any, init?: any) {
    let status = 200;
    let block = "";
    let typed = false;
    let reason = "";
    let manual = false;
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("the second argument of Response must be an object");
      const { status: wanted, headers, statusText } = init;
      if (statusText !== undefined && statusText !== "") reason = checkReason(statusText);
      if (wanted !== undefined && wanted !== 200) {
        if (wanted === 101) {
          const socket = socketOfInit(body, init);
          block = headers === undefined ? "" : blockFrom(headers);
          keepResponse(this, carrySocket([null, block, false, 101, reason, "", false, "default"], socket));
          return;
        }
        status = checkStatus(wanted);
      }
      if (headers !== undefined) {
        block = blockFrom(headers);
        typed = blockHasType;
      }
    }
    if (typeof body === "string") {
      if (!typed) block = block === "" ? TEXT_BLOCK : block + "\n" + TEXT_BLOCK;
    } else if (body === undefined) {
      body = null;
    } else if (body !== null) {
      body = extractBody(body);
      if (!typed && extractedType !== null) block = withType(block, "content-type\n" + extractedType);
      const encodeBody = init?.encodeBody;
      if (encodeBody !== undefined) manual = isManual(encodeBody);
    }
    if (status !== 200 && body !== null && isNullBodyStatus(status)) {
      throw new TypeError(`a response with status ${status} cannot have a body`);
    }
    const state: ResponseState = [body, block, false, status, reason, "", false, "default"];
    keepResponse(this, state);
    if (manual) markEncoded(state);
  }

  static json(data: unknown, init: any = undefined): Response {
    const text = jsonStringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON form");
    if (init === undefined || init === null) {
      return wrapResponse([text, JSON_BLOCK, false, 200, "", "", false, "default"]);
    }
    const response = new Response(null, init);
    const state = stateOf(response);
    if (isNullBodyStatus(state[STATUS])) {
      throw new TypeError(`a response with status ${state[STATUS]} cannot have a body`);
    }
    state[BODY] = text;
    defaultContentType(state, "application/json");
    return response;
  }

  static redirect(url: unknown, status: number = 302): Response {
    const parsed = parseUrl(toStr(url));
    if (parsed === null) throw new TypeError(`Response.redirect: ${toStr(url)} is not an absolute URL`);
    const code = Number(status) & 0xffff;
    if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308) {
      throw new RangeError(`${toStr(status)} is not a redirect status`);
    }
    return wrapResponse([null, immutableHeaders("location\n" + parsed[0]), false, code, "", "", false, "default"]);
  }

  static error(): Response {
    return wrapResponse([null, "", false, 0, "", "", false, "error"]);
  }

  get ok(): boolean {
    const status = stateOf(this)[STATUS];
    return status >= 200 && status <= 299;
  }

  get headers(): Headers {
    return headersOf(stateOf(this));
  }

  /** What a response of status 101 brings; null for others. */
  get webSocket(): object | null {
    const state = stateOf(this);
    return state[STATUS] === 101 ? socketOf(state) : null;
  }

  clone(): Response {
    const state = stateOf(this);
    if (state[STATUS] === 101) throw new TypeError("a response with a webSocket cannot be cloned");
    const body = cloneBody(state);
    const cloned: ResponseState = [
      body, clonedHeaders(state), false, state[STATUS], state[STATUS_TEXT], state[RESPONSE_URL], state[REDIRECTED],
      state[TYPE],
    ];
    if (isEncoded(state)) markEncoded(cloned);
    return wrapResponse(cloned);
  }
}
giveGetters(Response.prototype, responseGetters);
giveBodyMethods(Response.prototype, stateOf);
webClass(Response, 0);

export const responsePrototype = Response.prototype;
setResponsePrototype(responsePrototype);

/** A `Response` around a state that is already checked. */
export function wrapResponse(state: ResponseState): Response {
  return makeResponse(responsePrototype, state);
}
