/**
 * The queue of chunks with sizes that both kinds of stream keep, and the queuing strategies.
 */
import { RangeError, TypeError, isObject, webClass } from "../primordials.ts";

export interface ChunkQueue {
  chunks: any[];
  sizes: number[];
  /** Index of the first chunk; what stands before it is gone. */
  head: number;
  total: number;
}

export function newQueue(): ChunkQueue {
  return { chunks: [], sizes: [], head: 0, total: 0 };
}

export function queueLength(queue: ChunkQueue): number {
  return queue.chunks.length - queue.head;
}

/** Adds a chunk; a size that is no finite positive number is a RangeError. */
export function pushChunk(queue: ChunkQueue, chunk: unknown, size: unknown): void {
  const weight = +(size as number);
  if (!(weight >= 0) || weight === Infinity) throw new RangeError("a chunk's size must be a number from 0 up");
  queue.chunks[queue.chunks.length] = chunk;
  queue.sizes[queue.sizes.length] = weight;
  queue.total += weight;
}

export function shiftChunk(queue: ChunkQueue): any {
  const at = queue.head++;
  const chunk = queue.chunks[at];
  queue.total -= queue.sizes[at]!;
  if (queue.total < 0) queue.total = 0;
  queue.chunks[at] = undefined;
  if (queue.head === queue.chunks.length) clearQueue(queue);
  else if (queue.head >= 64) compact(queue);
  return chunk;
}

export function firstChunk(queue: ChunkQueue): any {
  return queue.chunks[queue.head];
}

export function clearQueue(queue: ChunkQueue): void {
  queue.chunks = [];
  queue.sizes = [];
  queue.head = 0;
  queue.total = 0;
}

function compact(queue: ChunkQueue): void {
  const { chunks, sizes, head } = queue;
  const left = chunks.length - head;
  for (let i = 0; i < left; i++) {
    chunks[i] = chunks[head + i];
    sizes[i] = sizes[head + i]!;
  }
  chunks.length = left;
  sizes.length = left;
  queue.head = 0;
}

export interface Strategy {
  highWaterMark: number;
  size: ((chunk: any) => number) | null;
}

/** Reads a `QueuingStrategy`. */
export function readStrategy(init: any, highWaterMark: number): Strategy {
  if (init === undefined || init === null) return { highWaterMark, size: null };
  const { highWaterMark: mark, size } = init;
  if (size !== undefined && typeof size !== "function") throw new TypeError("a strategy's size must be a function");
  if (mark !== undefined) {
    highWaterMark = +mark;
    if (!(highWaterMark >= 0)) throw new RangeError("a strategy's highWaterMark must be a number from 0 up");
  }
  return { highWaterMark, size: size ?? null };
}

function markOf(init: any): number {
  if (!isObject(init) || init.highWaterMark === undefined) throw new TypeError("a strategy needs a highWaterMark");
  return +init.highWaterMark;
}

const countSize = (): number => 1;
const byteSize = (chunk: any): number => chunk.byteLength;

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
