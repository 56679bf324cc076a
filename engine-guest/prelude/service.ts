/**
 * Service bindings and the assets binding: `env.NAME.fetch(request | url, init)`, a request that leaves no network
 * trace and reaches the other worker's handler as it is.
 */
import { send } from "./fetch.ts";
import { INTERNAL } from "./internal.ts";
import { TypeError, promiseRejected, webClass } from "./primordials.ts";
import { requestState } from "./request.ts";
import type { Response } from "./response.ts";

/** Another worker, or the app's assets. */
export class Fetcher {
  #binding: number;

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  fetch(input: any, init: any = undefined): Promise<Response> {
    const binding = this.#binding;
    try {
      return send(requestState(input, init), binding);
    } catch (error) {
      return promiseRejected(error);
    }
  }
}
webClass(Fetcher);

export function makeService(binding: number): Fetcher {
  return new Fetcher(INTERNAL, binding);
}
