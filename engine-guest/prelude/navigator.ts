/**
 * `navigator`, by which libraries tell where they run.
 */
import { INTERNAL } from "./internal.ts";
import { TypeError, webClass } from "./primordials.ts";

export class Navigator {
  #userAgent = "Selvedge";

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get userAgent(): string {
    return this.#userAgent;
  }
}
webClass(Navigator);

export const navigator = new Navigator(INTERNAL);
