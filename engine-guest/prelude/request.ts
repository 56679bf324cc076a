/**
 * `Request`, for what comes in (one cheap array around what the host sent) and for what `fetch` sends out.
 */
import { type AbortSignal, type AbortSource, isAbortSignal, newAbortSignal } from "./abort.ts";
import { type BodyMethods, cloneBody, extractBody, extractedType, giveBodyMethods, takeBody } from "./body.ts";
import {
  type Headers, blockFrom, blockHasType, clonedHeaders, defaultContentType, headerBlock, headersOf,
} from "./headers.ts";
import { invocationSignal } from "./invocation.ts";
import { keepRequest, makeRequest, peekRequest, requestGetters, stateOfRequest as stateOf } from "./native.ts";
import { TypeError, giveGetters, isObject, jsonParse, regExpExec, stringUpper, toStr, webClass } from "./primordials.ts";
import { optionsFrom } from "./requestoptions.ts";
import {
  BODY, CF, CF_JSON, HEADERS, INVOCATION, METHOD, OPTIONS, REDIRECT, REQUEST_URL, SIGNAL, type RequestOptions,
  type RequestState,
} from "./state.ts";
import { hasCredentials, parseUrl } from "./url.ts";

const METHOD_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The state of a `Request`, or null if a value is none. */
export { peekRequest };

function checkMethod(method: unknown): string {
  const text = toStr(method);
  if (text === "GET" || text === "POST") return text;
  if (regExpExec(METHOD_TOKEN, text) === null) throw new TypeError(`"${text}" is not an HTTP method`);
  const upper = stringUpper(text);
  switch (upper) {
    case "CONNECT": case "TRACE": case "TRACK":
      throw new TypeError(`the method ${upper} cannot be used`);
    case "GET": case "POST": case "PUT": case "DELETE": case "HEAD": case "OPTIONS":
      return upper;
    default:
      return text;
  }
}

/** A `Request` around a state that is already checked. */
export function wrapRequest(state: RequestState): Request {
  return makeRequest(requestPrototype, state);
}

/** What has a getter of the guest's own comes besides. */
export interface Request extends BodyMethods {
  readonly method: string;
  readonly url: string;
  readonly redirect: string;
}

/** A request, incoming or to be sent. */
export class Request {
  constructor(input: any, init?: any) {
    keepRequest(this, requestState(input, init));
  }

  get headers(): Headers {
    return headersOf(stateOf(this));
  }

  get signal(): AbortSignal {
    return signalOf(stateOf(this)) as AbortSignal;
  }

  get cf(): unknown {
    return cfOf(stateOf(this));
  }

  get cache(): string {
    return optionOf(stateOf(this), "cache") ?? "default";
  }

  get credentials(): string {
    return optionOf(stateOf(this), "credentials") ?? "same-origin";
  }

  get destination(): string {
    void stateOf(this);
    return "";
  }

  get integrity(): string {
    return optionOf(stateOf(this), "integrity") ?? "";
  }

  get keepalive(): boolean {
    return optionOf(stateOf(this), "keepalive") ?? false;
  }

  get mode(): string {
    return optionOf(stateOf(this), "mode") ?? "cors";
  }

  get referrer(): string {
    return optionOf(stateOf(this), "referrer") ?? "about:client";
  }

  get referrerPolicy(): string {
    return optionOf(stateOf(this), "referrerPolicy") ?? "";
  }

  get isReloadNavigation(): boolean {
    void stateOf(this);
    return false;
  }

  get isHistoryNavigation(): boolean {
    void stateOf(this);
    return false;
  }

  get duplex(): string {
    void stateOf(this);
    return "half";
  }

  clone(): Request {
    const state = stateOf(this);
    const body = cloneBody(state);
    const cf = cfOf(state);
    const cloned: RequestState = [
      body, clonedHeaders(state), false, state[METHOD], state[REQUEST_URL], state[REDIRECT], state[SIGNAL],
      state[INVOCATION], state[CF_JSON] === undefined ? undefined : null, cf,
    ];
    if (state.length > OPTIONS) cloned[OPTIONS] = state[OPTIONS];
    return wrapRequest(cloned);
  }
}
giveGetters(Request.prototype, requestGetters);
giveBodyMethods(Request.prototype, stateOf);
webClass(Request, 1);

export const requestPrototype = Request.prototype;

function signalOf(state: RequestState): AbortSource {
  const invocation = state[INVOCATION];
  return (state[SIGNAL] ??= invocation === null ? newAbortSignal() : invocationSignal(invocation));
}

function optionOf<K extends keyof RequestOptions>(state: RequestState, name: K): RequestOptions[K] | undefined {
  return state.length > OPTIONS ? state[OPTIONS]![name] : undefined;
}

function cfOf(state: RequestState): unknown {
  const json = state[CF_JSON];
  if (typeof json === "string") {
    state[CF] = jsonParse(json);
    state[CF_JSON] = null;
  }
  return state[CF];
}

/** Builds the state for `new Request(input, init)` and `fetch(input, init)`; `cf` is of no use to what is sent. */
export function requestState(input: any, init: any, sent = false): RequestState {
  const source = peekRequest(input);
  const state = source === null ? stateFromUrl(input) : stateFromRequest(source, sent ? undefined : cfOf(source));
  if (init !== undefined && init !== null) {
    if (!isObject(init)) throw new TypeError("the second argument of Request must be an object");
    applyInit(state, init);
  }
  const body = state[BODY];
  if (body !== null && (state[METHOD] === "GET" || state[METHOD] === "HEAD")) {
    throw new TypeError(`a ${state[METHOD]} request cannot have a body`);
  }
  if (source !== null && body !== null && body === source[BODY]) state[BODY] = takeBody(source);
  return state;
}

function stateFromUrl(input: unknown): RequestState {
  const text = toStr(input);
  const parsed = parseUrl(text);
  if (parsed === null) throw new TypeError(`"${text}" is not an absolute URL`);
  if (hasCredentials(parsed)) {
    throw new TypeError("the URL of a request cannot carry a user name or password");
  }
  return [null, "", false, "GET", parsed[0], "follow", null, null, undefined, undefined];
}

function stateFromRequest(source: RequestState, cf: unknown): RequestState {
  const state: RequestState = [
    source[BODY], headerBlock(source), false, source[METHOD], source[REQUEST_URL], source[REDIRECT], source[SIGNAL],
    source[INVOCATION], undefined, cf,
  ];
  if (source.length > OPTIONS) state[OPTIONS] = source[OPTIONS];
  return state;
}

function applyInit(state: RequestState, init: any): void {
  const { method, headers, body, redirect, signal, cf } = init;
  const options = optionsFrom(init, state.length > OPTIONS ? state[OPTIONS]! : null);
  if (options !== null) state[OPTIONS] = options;
  if (method !== undefined) state[METHOD] = checkMethod(method);
  let typed = false;
  if (headers !== undefined) {
    state[HEADERS] = blockFrom(headers);
    typed = blockHasType;
  }
  if (redirect !== undefined) {
    if (redirect !== "follow" && redirect !== "manual" && redirect !== "error") {
      throw new TypeError(`"${toStr(redirect)}" is not a redirect mode (follow, manual, error)`);
    }
    state[REDIRECT] = redirect;
  }
  if (signal === null) {
    state[SIGNAL] = null;
    state[INVOCATION] = null;
  } else if (signal !== undefined) {
    if (!isAbortSignal(signal)) throw new TypeError("a request's signal must be an AbortSignal");
    state[SIGNAL] = signal;
  }
  if (cf !== undefined) state[CF] = cf;
  if (body === null) state[BODY] = null;
  else if (body !== undefined) {
    state[BODY] = extractBody(body);
    if (!typed && extractedType !== null) defaultContentType(state, extractedType);
  }
}
