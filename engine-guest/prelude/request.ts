/**
 * `Request`, for what comes in (one cheap array around what the host sent) and for what `fetch` sends out.
 */
import { type AbortSignal, type AbortSource, isAbortSignal, newAbortSignal } from "./abort.ts";
import type { Blob } from "./blob.ts";
import type { FormData } from "./formdata.ts";
import type { ReadableStream } from "./streams/readable.ts";
import { bodyStream, bodyUsed, cloneBody, consume, extractBody, extractedType, takeBody } from "./body.ts";
import { type Headers, blockFrom, blockHasType, defaultContentType, headerBlock, headersOf } from "./headers.ts";
import { INTERNAL } from "./internal.ts";
import { TypeError, isObject, jsonParse, regExpExec, stringUpper, toStr, webClass } from "./primordials.ts";
import { invocationSignal } from "./invocation.ts";
import {
  BODY, CF, CF_JSON, HEADERS, INVOCATION, METHOD, REDIRECT, REQUEST_URL, SIGNAL, type RequestState,
} from "./state.ts";
import { parseUrl } from "./url.ts";

const METHOD_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

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

/** The state of a `Request`, or null if `value` is none. */
export let peekRequest: (value: unknown) => RequestState | null;

/** A `Request` around a state that is already checked. */
export function wrapRequest(state: RequestState): Request {
  return new Request(INTERNAL, state);
}

/** A request, incoming or to be sent. */
export class Request {
  #state: RequestState;

  constructor(input: any, init?: any) {
    this.#state = input === INTERNAL ? init : requestState(input, init);
  }

  static {
    peekRequest = (value) => (isObject(value) && #state in value ? value.#state : null);
  }

  get method(): string {
    return this.#state[METHOD];
  }

  get url(): string {
    return this.#state[REQUEST_URL];
  }

  get headers(): Headers {
    return headersOf(this.#state);
  }

  get body(): ReadableStream | null {
    return bodyStream(this.#state);
  }

  get bodyUsed(): boolean {
    return bodyUsed(this.#state);
  }

  get redirect(): string {
    return this.#state[REDIRECT];
  }

  get signal(): AbortSignal {
    return signalOf(this.#state) as AbortSignal;
  }

  get cf(): unknown {
    return cfOf(this.#state);
  }

  get cache(): string {
    return "default";
  }

  get credentials(): string {
    return "same-origin";
  }

  get destination(): string {
    return "";
  }

  get integrity(): string {
    return "";
  }

  get keepalive(): boolean {
    return false;
  }

  get mode(): string {
    return "cors";
  }

  get referrer(): string {
    return "about:client";
  }

  get referrerPolicy(): string {
    return "";
  }

  get duplex(): string {
    return "half";
  }

  clone(): Request {
    const state = this.#state;
    const body = cloneBody(state);
    return wrapRequest([
      body, headerBlock(state), false, state[METHOD], state[REQUEST_URL], state[REDIRECT], state[SIGNAL],
      state[INVOCATION], null, cfOf(state),
    ]);
  }

  text(): Promise<string> {
    return consume(this.#state, "text");
  }

  json(): Promise<any> {
    return consume(this.#state, "json");
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return consume(this.#state, "arrayBuffer");
  }

  bytes(): Promise<Uint8Array> {
    return consume(this.#state, "bytes");
  }

  blob(): Promise<Blob> {
    return consume(this.#state, "blob");
  }

  formData(): Promise<FormData> {
    return consume(this.#state, "formData");
  }
}
webClass(Request, 1);

function signalOf(state: RequestState): AbortSource {
  const invocation = state[INVOCATION];
  return (state[SIGNAL] ??= invocation === null ? newAbortSignal() : invocationSignal(invocation));
}

function cfOf(state: RequestState): unknown {
  const json = state[CF_JSON];
  if (json !== null) {
    state[CF] = jsonParse(json);
    state[CF_JSON] = null;
  }
  return state[CF];
}

/** Builds the state for `new Request(input, init)` and `fetch(input, init)`. */
export function requestState(input: any, init: any): RequestState {
  const source = peekRequest(input);
  const state = source === null ? stateFromUrl(input) : stateFromRequest(source);
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
  if (parsed[3] !== "" || parsed[4] !== "") {
    throw new TypeError("the URL of a request cannot carry a user name or password");
  }
  return [null, "", false, "GET", parsed[0]!, "follow", null, null, null, undefined];
}

function stateFromRequest(source: RequestState): RequestState {
  return [
    source[BODY], headerBlock(source), false, source[METHOD], source[REQUEST_URL], source[REDIRECT], source[SIGNAL],
    source[INVOCATION], null, cfOf(source),
  ];
}

function applyInit(state: RequestState, init: any): void {
  const { method, headers, body, redirect, signal, cf } = init;
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
