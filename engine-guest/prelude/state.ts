/**
 * The state of requests, responses and invocations: arrays with named places.
 *
 * They are arrays because QuickJS makes an array literal in one allocation, where an object literal takes a shape
 * look-up per property and several reallocations (measured: 57 ns for six places, 372 ns for six properties), and
 * three of these are made for every event. Requests and responses share the first three places, so that everything
 * about bodies and headers works on either.
 */
import type { AbortSource } from "./abort.ts";
import type { Headers } from "./headers.ts";
import type { HostBody } from "./hostbody.ts";
import type { ReadableStream } from "./streams/readable.ts";

export type BodyValue = null | string | Uint8Array | HostBody | ReadableStream;

/** A header block until somebody asks for the `Headers` object. */
export type HeadersValue = string | Headers;

export type BodyState = [body: BodyValue, headers: HeadersValue, used: boolean, ...rest: any[]];

export type ResponseState = [
  body: BodyValue, headers: HeadersValue, used: boolean,
  status: number, statusText: string, url: string, redirected: boolean, type: string,
];

export type RequestState = [
  body: BodyValue, headers: HeadersValue, used: boolean,
  method: string, url: string, redirect: string,
  /** What may abort it, once that exists. */
  signal: AbortSource | null,
  /** The event this request came in with; its signal aborts when the client leaves. */
  invocation: Invocation | null,
  /** `cf` as JSON text until somebody reads it (then null); undefined in a request that a script made. */
  cfJson: string | null | undefined,
  cf: unknown,
  /** What a script's init named besides; a place that only such requests have. */
  options?: RequestOptions,
];

/** Members of `RequestInit` that are kept to be read again. */
export interface RequestOptions {
  cache: string;
  credentials: string;
  integrity: string;
  keepalive: boolean;
  mode: string;
  priority: string;
  referrer: string;
  referrerPolicy: string;
}

export type Invocation = [
  id: number,
  /** `waitUntil` promises and a response stream that are not finished. */
  pending: number,
  /** Set once the host has the response or the failure. */
  answered: boolean,
  /** Set while it stands among the live ones. */
  kept: boolean,
  signal: AbortSource | null,
  /** Why it was aborted, once it was. */
  aborted: unknown,
  requestBody: HostBody | null,
  /** Stops the response stream. */
  stopSending: ((reason: unknown) => void) | null,
  /** What the binding says that the event came over, as JSON until somebody reads it. */
  props?: unknown,
];

export const BODY = 0;
export const HEADERS = 1;
export const USED = 2;

export const STATUS = 3;
export const STATUS_TEXT = 4;
export const RESPONSE_URL = 5;
export const REDIRECTED = 6;
export const TYPE = 7;

export const METHOD = 3;
export const REQUEST_URL = 4;
export const REDIRECT = 5;
export const SIGNAL = 6;
export const INVOCATION = 7;
export const CF_JSON = 8;
export const CF = 9;
export const OPTIONS = 10;

export const ID = 0;
export const PENDING = 1;
export const ANSWERED = 2;
export const KEPT = 3;
export const INVOCATION_SIGNAL = 4;
export const ABORTED = 5;
export const REQUEST_BODY = 6;
export const STOP_SENDING = 7;
export const PROPS = 8;
