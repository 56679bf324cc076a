/**
 * `performance`. The clock is the guest's: it moves only when an event arrives, so that code cannot time its neighbours.
 * What marks and measures need is a feature.
 */
import { EventTarget } from "./events.ts";
import { feature } from "./features.ts";
import { INTERNAL } from "./internal.ts";
import { now } from "./native.ts";
import { TypeError, webClass } from "./primordials.ts";

const timeline = (): any => feature("performance").timeline;

function need(given: number, what: string): void {
  if (given === 0) throw new TypeError(`${what} is missing`);
}

export class Performance extends EventTarget {
  #brand = true;

  constructor(token: unknown = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super();
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

  mark(name: string, options: any = undefined): unknown {
    void this.#brand;
    need(arguments.length, "the name of the mark");
    return timeline().mark(name, options);
  }

  measure(name: string, startOrOptions: any = undefined, end: any = undefined): unknown {
    void this.#brand;
    need(arguments.length, "the name of the measure");
    return timeline().measure(name, startOrOptions, end);
  }

  clearMarks(name: any = undefined): void {
    void this.#brand;
    timeline().clear("mark", name);
  }

  clearMeasures(name: any = undefined): void {
    void this.#brand;
    timeline().clear("measure", name);
  }

  getEntries(): unknown[] {
    void this.#brand;
    return timeline().select(undefined, undefined);
  }

  getEntriesByType(type: string): unknown[] {
    void this.#brand;
    need(arguments.length, "the type of the entries");
    return timeline().select(undefined, `${type}`);
  }

  getEntriesByName(name: string, type: any = undefined): unknown[] {
    void this.#brand;
    need(arguments.length, "the name of the entries");
    return timeline().select(`${name}`, type);
  }
}
webClass(Performance);

export const performance = new Performance(INTERNAL);
