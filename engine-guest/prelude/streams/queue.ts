/**
 * The queue of chunks with sizes that both kinds of stream keep.
 */
import { RangeError } from "../primordials.ts";

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
  if (queue.head === queue.chunks.length) {
    // The total stays: what rounding left in it counts (Streams, section 8.1).
    queue.chunks = [];
    queue.sizes = [];
    queue.head = 0;
  } else if (queue.head >= 64) compact(queue);
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
