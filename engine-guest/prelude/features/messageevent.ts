/**
 * `MessageEvent`: what sockets, event sources and ports say.
 */
import { Event } from "../events.ts";
import { Symbol, TypeError, freeze, toStr, webClass } from "../primordials.ts";

/** A message that arrived. */
export class MessageEvent extends Event {
  #data: unknown;
  #origin: string;
  #lastEventId: string;
  #source: unknown;
  #ports: readonly unknown[];

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("MessageEvent needs a type");
    super(type, init);
    const { data = null, origin = "", lastEventId = "", source = null, ports } = init ?? {};
    this.#data = data;
    this.#origin = toStr(origin);
    this.#lastEventId = toStr(lastEventId);
    this.#source = source;
    const list: unknown[] = [];
    if (ports !== undefined) {
      const iterator = ports[Symbol.iterator]();
      for (let step = iterator.next(); !step.done; step = iterator.next()) list[list.length] = step.value;
    }
    this.#ports = freeze(list);
  }

  get data(): unknown {
    return this.#data;
  }

  get origin(): string {
    return this.#origin;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  get source(): unknown {
    return this.#source;
  }

  get ports(): readonly unknown[] {
    return this.#ports;
  }
}
webClass(MessageEvent, 1);
