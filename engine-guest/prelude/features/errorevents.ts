/**
 * `ErrorEvent` and `PromiseRejectionEvent`: what the global object hears of, and what a worker may make itself.
 */
import { Event } from "../events.ts";
import { TypeError, isObject, toStr, webClass } from "../primordials.ts";

/** An error that nobody caught. */
export class ErrorEvent extends Event {
  #values: { message: string; filename: string; lineno: number; colno: number; error: unknown };

  constructor(type: string, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("ErrorEvent needs a type");
    super(type, init);
    const { colno = 0, error, filename = "", lineno = 0, message = "" } = init ?? {};
    this.#values = {
      message: toStr(message), filename: toStr(filename), lineno: lineno >>> 0, colno: colno >>> 0, error,
    };
  }

  get message(): string {
    return this.#values.message;
  }

  get filename(): string {
    return this.#values.filename;
  }

  get lineno(): number {
    return this.#values.lineno;
  }

  get colno(): number {
    return this.#values.colno;
  }

  get error(): unknown {
    return this.#values.error;
  }
}
webClass(ErrorEvent, 1);

/** A promise that was rejected, and nobody handled it; or somebody did after all. */
export class PromiseRejectionEvent extends Event {
  #promise: object;
  #reason: unknown;

  constructor(type: string, init: any) {
    if (arguments.length < 2) throw new TypeError("PromiseRejectionEvent needs a type and an init");
    super(type, init);
    const { promise, reason } = init ?? {};
    if (!isObject(promise)) throw new TypeError("a PromiseRejectionEvent needs a promise");
    this.#promise = promise;
    this.#reason = reason;
  }

  get promise(): object {
    return this.#promise;
  }

  get reason(): unknown {
    return this.#reason;
  }
}
webClass(PromiseRejectionEvent, 2);
