/**
 * `CloseEvent`: how a socket ended.
 */
import { Event } from "../events.ts";
import { TypeError, toStr, webClass } from "../primordials.ts";

/** The end of a `WebSocket`. */
export class CloseEvent extends Event {
  #wasClean: boolean;
  #code: number;
  #reason: string;

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("CloseEvent needs a type");
    super(type, init);
    const { wasClean = false, code = 0, reason = "" } = init ?? {};
    this.#wasClean = !!wasClean;
    this.#code = (code as number) & 0xffff;
    this.#reason = toStr(reason);
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }

  get code(): number {
    return this.#code;
  }

  get reason(): string {
    return this.#reason;
  }
}
webClass(CloseEvent, 1);
