/**
 * `performance`. The clock is the guest's: it moves only when an event arrives, so that code cannot time its neighbours.
 */
import { INTERNAL } from "./internal.ts";
import { now } from "./native.ts";
import { TypeError, webClass } from "./primordials.ts";

export class Performance {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  /** Milliseconds since `timeOrigin`. */
  now(): number {
    void this.#brand;
    return now();
  }

  /**
   * Always 0 (1970): an instance starts from a memory image, so a time taken at its start would be that of the deploy.
   * `timeOrigin + now()` is the time of day, as everywhere.
   */
  get timeOrigin(): number {
    void this.#brand;
    return 0;
  }

  toJSON(): { timeOrigin: number } {
    void this.#brand;
    return { timeOrigin: 0 };
  }
}
webClass(Performance);

export const performance = new Performance(INTERNAL);
