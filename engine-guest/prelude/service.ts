/**
 * Service bindings and the assets binding: `env.NAME.fetch(request | url, init)`, a request that leaves no network
 * trace and reaches the other worker's handler as it is; and `env.NAME.method(…)`, a call of a method there, which is
 * a feature.
 */
import { feature } from "./features.ts";
import { sendTo } from "./fetch.ts";
import { INTERNAL } from "./internal.ts";
import { Proxy } from "./library.ts";
import { Object, TypeError, setPrototypeOf, webClass } from "./primordials.ts";
import type { Response } from "./response.ts";

let bindingOf: (fetcher: any) => number;

/** Another worker, or the app's assets. */
export class Fetcher {
  #binding: number;

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  static {
    bindingOf = (fetcher) => fetcher.#binding;
  }

  fetch(input: any, init: any = undefined): Promise<Response> {
    return sendTo(this.#binding, input, init);
  }
}
webClass(Fetcher);

/**
 * What stands at the end of the prototypes of things that may have any member, for those members: it makes what
 * `named` gives of each name, but for what every object has, and for what would make a promise or JSON of it.
 */
export function membersBy(named: (owner: any, name: string) => unknown): object {
  return new Proxy(Object.prototype, {
    get(everyObject: any, name: any, owner: any): unknown {
      if (typeof name !== "string" || name in everyObject || name === "then" || name === "toJSON") return everyObject[name];
      return named(owner, name);
    },
  });
}

let calls: any = null;

/** What calls take, which is a feature. */
export function callFeature(): any {
  return (calls ??= feature("rpc"));
}

setPrototypeOf(Fetcher.prototype, membersBy((fetcher, name) => callFeature().bindingMember(bindingOf(fetcher), name)));

export function makeService(binding: number): Fetcher {
  return new Fetcher(INTERNAL, binding);
}
