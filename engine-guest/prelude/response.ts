/**
 * `Response`. Its state is one array (state.ts); its headers stay a block until somebody asks for them.
 */
import type { Blob } from "./blob.ts";
import type { FormData } from "./formdata.ts";
import type { ReadableStream } from "./streams/readable.ts";
import { bodyStream, bodyUsed, cloneBody, consume, extractBody, extractedType } from "./body.ts";
import { type Headers, blockFrom, blockHasType, headerBlock, headersOf } from "./headers.ts";
import { INTERNAL } from "./internal.ts";
import { Number, RangeError, TypeError, jsonStringify, regExpExec, toStr, webClass } from "./primordials.ts";
import {
  HEADERS, REDIRECTED, RESPONSE_URL, STATUS, STATUS_TEXT, TYPE, type ResponseState,
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

function isNullBodyStatus(status: number): boolean {
  return status === 204 || status === 304 || status === 205;
}

function withType(block: string, line: string): string {
  return block === "" ? line : block + "\n" + line;
}

/** The state of a `Response`, or null if `value` is none. */
export let peekResponse: (value: unknown) => ResponseState | null;

/** What a handler returns and what `fetch` resolves with. */
export class Response {
  #state: ResponseState;

  constructor(body?: any, init?: any) {
    if (body === INTERNAL) {
      this.#state = init;
      return;
    }
    let status = 200;
    let block = "";
    let typed = false;
    let reason = "";
    if (init !== undefined && init !== null) {
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("the second argument of Response must be an object");
      const { status: wanted, headers, statusText } = init;
      if (statusText !== undefined) reason = checkReason(statusText);
      if (wanted !== undefined && wanted !== 200) {
        if (wanted === 101) {
          const socket = socketOfInit(body, init);
          block = headers === undefined ? "" : blockFrom(headers);
          this.#state = carrySocket([null, block, false, 101, reason, "", false, "default"], socket);
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
    }
    if (status !== 200 && body !== null && isNullBodyStatus(status)) {
      throw new TypeError(`a response with status ${status} cannot have a body`);
    }
    this.#state = [body, block, false, status, reason, "", false, "default"];
  }

  static {
    peekResponse = (value) => (typeof value === "object" && value !== null && #state in value ? value.#state : null);
  }

  static json(data: unknown, init: any = undefined): Response {
    const text = jsonStringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON form");
    const response = new Response(text, init);
    const state = response.#state;
    if (init === undefined || init === null || init.headers === undefined) state[HEADERS] = JSON_BLOCK;
    else {
      const block = blockFrom(init.headers);
      state[HEADERS] = blockHasType ? block : withType(block, JSON_BLOCK);
    }
    return response;
  }

  static redirect(url: unknown, status: number = 302): Response {
    const parsed = parseUrl(toStr(url));
    if (parsed === null) throw new TypeError(`Response.redirect: ${toStr(url)} is not an absolute URL`);
    if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) {
      throw new RangeError(`${toStr(status)} is not a redirect status`);
    }
    return wrapResponse([null, "location\n" + parsed[0], false, status, "", "", false, "default"]);
  }

  static error(): Response {
    return wrapResponse([null, "", false, 0, "", "", false, "error"]);
  }

  get status(): number {
    return this.#state[STATUS];
  }

  get ok(): boolean {
    const status = this.#state[STATUS];
    return status >= 200 && status <= 299;
  }

  get statusText(): string {
    return this.#state[STATUS_TEXT];
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

  get url(): string {
    return this.#state[RESPONSE_URL];
  }

  get redirected(): boolean {
    return this.#state[REDIRECTED];
  }

  get type(): string {
    return this.#state[TYPE];
  }

  /** What a response of status 101 brings; null for others. */
  get webSocket(): object | null {
    const state = this.#state;
    return state[STATUS] === 101 ? socketOf(state) : null;
  }

  clone(): Response {
    const state = this.#state;
    if (state[STATUS] === 101) throw new TypeError("a response with a webSocket cannot be cloned");
    const body = cloneBody(state);
    return wrapResponse([
      body, headerBlock(state), false, state[STATUS], state[STATUS_TEXT], state[RESPONSE_URL], state[REDIRECTED],
      state[TYPE],
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
webClass(Response, 0);

/** A `Response` around a state that is already checked. */
export function wrapResponse(state: ResponseState): Response {
  return new Response(INTERNAL, state);
}
