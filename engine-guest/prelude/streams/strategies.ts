/**
 * The two queuing strategies (WHATWG Streams, section 7).
 */
import { TypeError, webClass } from "../primordials.ts";
import { dictionary } from "../webidl.ts";

function markOf(init: any): number {
  const { highWaterMark } = dictionary(init, "a strategy");
  if (highWaterMark === undefined) throw new TypeError("a strategy needs a highWaterMark");
  return +highWaterMark;
}

// Methods, for they are to be no constructors; by the name that the standard gives both.
const { size: countSize } = { size: (): number => 1 };
const { size: byteSize } = { size: (chunk: any): number => chunk.byteLength };

/** Counts chunks. */
export class CountQueuingStrategy {
  #highWaterMark: number;

  constructor(init: { highWaterMark: number }) {
    this.#highWaterMark = markOf(init);
  }

  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  get size(): () => number {
    void this.#highWaterMark;
    return countSize;
  }
}
webClass(CountQueuingStrategy);

/** Counts bytes. */
export class ByteLengthQueuingStrategy {
  #highWaterMark: number;

  constructor(init: { highWaterMark: number }) {
    this.#highWaterMark = markOf(init);
  }

  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  get size(): (chunk: any) => number {
    void this.#highWaterMark;
    return byteSize;
  }
}
webClass(ByteLengthQueuingStrategy);
