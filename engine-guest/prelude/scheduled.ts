/**
 * The first argument of a `scheduled` handler.
 */
import { INTERNAL } from "./internal.ts";
import { TypeError, webClass } from "./primordials.ts";

export class ScheduledController {
  #cron: string;
  #scheduledTime: number;

  constructor(token: unknown = undefined, cron: string = "", scheduledTime: number = 0) {
    if (token !== INTERNAL) throw new TypeError("ScheduledController cannot be constructed");
    this.#cron = cron;
    this.#scheduledTime = scheduledTime;
  }

  /** The schedule that fired, as the manifest writes it. */
  get cron(): string {
    return this.#cron;
  }

  /** When it was due, in milliseconds since 1970. */
  get scheduledTime(): number {
    return this.#scheduledTime;
  }

  get type(): string {
    return "scheduled";
  }

  /** Accepted for compatibility: a failed schedule is not retried here, so there is nothing to switch off. */
  noRetry(): void {
    void this.#cron;
  }
}
webClass(ScheduledController);
