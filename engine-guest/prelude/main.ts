/**
 * The prelude's entry: loads every module and puts the platform's names on the global object.
 *
 * It runs once, when the engine image is built; everything that must differ between instances (random numbers, the
 * clock, `env`) is asked of the host later.
 */
import "./rejections.ts";
import "./dispatch.ts";
import { AbortController, AbortSignal } from "./abort.ts";
import { Blob, File } from "./blob.ts";
import { console } from "./console.ts";
import { Crypto, SubtleCrypto, crypto } from "./crypto.ts";
import { TextDecoder, TextEncoder, atob, btoa } from "./encoding.ts";
import { DOMException } from "./errors.ts";
import { CustomEvent, Event, EventTarget } from "./events.ts";
import { fetch } from "./fetch.ts";
import { installFeatures } from "./features.ts";
import { Headers } from "./headers.ts";
import { Navigator, navigator } from "./navigator.ts";
import { defineProperty } from "./primordials.ts";
import { Performance, performance } from "./performance.ts";
import { Request } from "./request.ts";
import { Response } from "./response.ts";
import { URLSearchParams } from "./searchparams.ts";
import {
  ReadableStream, ReadableStreamDefaultController, ReadableStreamDefaultReader,
} from "./streams/readable.ts";
import { reportError } from "./reporting.ts";
import { clearInterval, clearTimeout, queueMicrotask, setInterval, setTimeout } from "./timers.ts";
import { URL } from "./url.ts";

const provided: Record<string, unknown> = {
  AbortController, AbortSignal, Blob, Crypto, CustomEvent, DOMException, Event, EventTarget, File, Headers,
  Navigator, Performance, ReadableStream, ReadableStreamDefaultController, ReadableStreamDefaultReader, Request,
  Response, SubtleCrypto, TextDecoder, TextEncoder, URL, URLSearchParams, atob, btoa, clearInterval, clearTimeout,
  console, crypto, fetch, navigator, performance, queueMicrotask, reportError, setInterval, setTimeout,
  self: globalThis,
};
for (const name in provided) {
  defineProperty(globalThis, name, { value: provided[name], writable: true, configurable: true, enumerable: false });
}
installFeatures();
