/**
 * `caches`: the Cache API as Workers have it. The host keeps the responses and knows what may be stored and what is
 * fresh; this carries requests and responses there and back.
 */
import { takeBody } from "../body.ts";
import { HostBody } from "../hostbody.ts";
import { headerBlock } from "../headers.ts";
import { INTERNAL } from "../internal.ts";
import { CALL_LOG, OP_CACHE_DELETE, OP_CACHE_MATCH, OP_CACHE_PUT, call, start } from "../native.ts";
import { operation } from "../operations.ts";
import { TypeError, isView, promiseResolved, toStr, webClass } from "../primordials.ts";
import { peekRequest, requestState } from "../request.ts";
import { type Response, peekResponse, wrapResponse } from "../response.ts";
import { openSending, pump } from "../sending.ts";
import { METHOD, REQUEST_URL, STATUS, type RequestState, type ResponseState } from "../state.ts";
import type { ReadableStream } from "../streams/readable.ts";

/** A request as it is, its body untouched, or the one that a URL stands for. */
function asked(request: any): RequestState {
  return peekRequest(request) ?? requestState(request, undefined);
}

/** With `ignoreMethod` any request is taken for a GET. */
function methodOf(state: RequestState, options: any): string {
  return options !== undefined && options !== null && options.ignoreMethod ? "GET" : state[METHOD];
}

/** A cache of this app; other apps have their own. */
export class Cache {
  #name: string | null;

  constructor(token: unknown = undefined, name: any = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor; use caches.default or caches.open(name)");
    this.#name = name;
  }

  /** The stored response that answers the request, or undefined. */
  async match(request: any, options: any = undefined): Promise<Response | undefined> {
    const name = this.#name;
    const state = asked(request);
    const answer: any = await operation(
      start(OP_CACHE_MATCH, name, methodOf(state, options), state[REQUEST_URL], headerBlock(state)),
    );
    if (answer === null) return undefined;
    const handle: number = answer[6];
    const body = handle === 0 ? answer[5] : new HostBody(handle);
    return wrapResponse([body, answer[4], false, answer[0], answer[1], answer[2], answer[3], "default"] as ResponseState);
  }

  /** Stores a response, unless its headers forbid it; then a line in the log says why. */
  async put(request: any, response: Response): Promise<void> {
    const name = this.#name;
    const key = asked(request);
    const state = peekResponse(response);
    if (state === null) throw new TypeError("cache.put: the second argument must be a Response");
    const method = key[METHOD];
    if (method !== "GET") throw new TypeError(`cache.put: only responses to GET requests are stored, not to ${method}`);
    const block = headerBlock(state);
    const body = takeBody(state);
    const whole = body === null || typeof body === "string" || isView(body);
    const streamId = whole ? 0 : openSending();
    const stored = operation<string | null>(start(
      OP_CACHE_PUT, name, method, key[REQUEST_URL], headerBlock(key), state[STATUS], block,
      (whole ? body : true) as any, streamId,
    ));
    // What went wrong with the response's own body is told as it is, and not as what the host made of it.
    let broken: [reason: unknown] | null = null;
    const sending = whole ? null : pump(streamId, body as HostBody | ReadableStream, () => {}, (reason) => {
      broken = [reason];
    });
    try {
      const refused = await stored;
      if (refused === null) return;
      if (sending !== null) sending.stop(new TypeError(`not stored: ${refused}`));
      call(CALL_LOG, "warn", `cache.put: ${key[REQUEST_URL]} was not stored: ${refused}`);
    } catch (error) {
      if (broken !== null) throw broken[0];
      if (sending !== null) sending.stop(error);
      throw error;
    }
  }

  /** Removes what is stored for the request's URL; answers whether there was something. */
  async delete(request: any, options: any = undefined): Promise<boolean> {
    const name = this.#name;
    const state = asked(request);
    return operation(start(OP_CACHE_DELETE, name, methodOf(state, options), state[REQUEST_URL], headerBlock(state)));
  }
}
webClass(Cache, 0);

/** The caches of this app. */
export class CacheStorage {
  #default: Cache = new Cache(INTERNAL, null);

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get default(): Cache {
    return this.#default;
  }

  /** A cache by name; it needs no creation. */
  open(name: string): Promise<Cache> {
    void this.#default;
    return promiseResolved(new Cache(INTERNAL, toStr(name)));
  }
}
webClass(CacheStorage, 0);

export const caches = new CacheStorage(INTERNAL);
