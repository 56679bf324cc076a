/**
 * A change feed as an async iterator without an end of its own: each reading waits with the host until there is something
 * to tell, and goes on where the one before ended.
 */
import { INTERNAL } from "../../internal.ts";
import { cancelOperation, whenComplete } from "../../operations.ts";
import {
  AsyncIteratorPrototype, Promise, TypeError, arrayShift, promiseResolved, promiseThen, setPrototypeOf,
} from "../../primordials.ts";

const END = { value: undefined, done: true } as const;

/** What a feed is made of. */
export interface Source<T> {
  /** Begins a reading from a position; null asks where now is. */
  read(position: number | null, first: boolean): number;
  /** Appends what a reading brought. */
  gather(parts: any[], told: T[]): void;
}

export class Watcher<T> {
  #source: Source<T>;
  #position: number | null;
  #first = true;
  #told: T[] = [];
  /** The wait for the host that is under way. */
  #waiting: { id: number; end: () => void } | null = null;
  #ended = false;
  /** Calls of `next` are answered one after the other. */
  #turn: Promise<unknown> = promiseResolved(undefined);
  #failure: { error: unknown } | null = null;

  constructor(token: unknown, source: Source<T>, position: number | null) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#source = source;
    this.#position = position;
    // What is written from this call on is told: a start of "now" is asked for at once.
    if (position === null) {
      this.#turn = promiseThen(this.#read(), () => {}, (error: unknown) => {
        this.#failure = { error };
      });
    }
  }

  next(): Promise<any> {
    const answer = promiseThen(this.#turn, () => this.#next());
    this.#turn = promiseThen(answer, () => {}, () => {});
    return answer;
  }

  /** Ends the watch; what waits is answered with the end. */
  return(value: unknown = undefined): Promise<any> {
    this.#ended = true;
    const waiting = this.#waiting;
    if (waiting !== null) {
      cancelOperation(waiting.id);
      waiting.end();
    }
    return promiseResolved({ value, done: true });
  }

  async #next(): Promise<any> {
    for (;;) {
      if (this.#failure !== null) {
        const { error } = this.#failure;
        this.#failure = null;
        this.#ended = true;
        throw error;
      }
      if (this.#ended) return END;
      if (this.#told.length > 0) return { value: arrayShift(this.#told), done: false };
      try {
        await this.#read();
      } catch (error) {
        this.#ended = true;
        throw error;
      }
    }
  }

  #read(): Promise<void> {
    const id = this.#source.read(this.#position, this.#first);
    this.#first = false;
    return new Promise((resolve, reject) => {
      this.#waiting = { id, end: resolve };
      whenComplete(id, (ok, value): unknown => {
        this.#waiting = null;
        // Without a message it is not the host that failed: the request is over, and nobody listens any more.
        if (!ok) return value.message === "" ? (this.#ended = true) : reject(value);
        this.#position = value[0];
        this.#source.gather(value[1], this.#told);
        resolve();
      });
    });
  }
}
setPrototypeOf(Watcher.prototype, AsyncIteratorPrototype);
