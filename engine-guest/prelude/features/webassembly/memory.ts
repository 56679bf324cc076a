/**
 * `WebAssembly.Memory`: a window of the guest's own memory, so that its buffer is no copy.
 */
import { INTERNAL } from "../../internal.ts";
import { wasmBuffer, wasmGrow, wasmMemory } from "../../native.ts";
import {
  RangeError, TypeError, arrayBufferByteLength, arrayBufferDetached, defineProperty, isObject, webClass,
} from "../../primordials.ts";
import { descriptorOf, initialOf, limit, toIndex } from "./values.ts";

const PAGE_BYTES = 65536;
const PAGES_MAX = 65536;

export let memoryId: (memory: Memory) => number;
export let memoryMaximum: (memory: Memory) => number | undefined;
export let isMemory: (value: unknown) => value is Memory;

export class Memory {
  #id: number;
  #buffer: ArrayBuffer | null = null;
  #maximum: number | undefined;

  static {
    memoryId = (memory) => memory.#id;
    memoryMaximum = (memory) => memory.#maximum;
    isMemory = (value): value is Memory => isObject(value) && #id in value;
  }

  constructor(descriptor: any, initial: number = 0, maximum: number | undefined = undefined) {
    if (descriptor !== INTERNAL) {
      descriptorOf(descriptor, "the descriptor of a WebAssembly.Memory");
      initial = initialOf(descriptor, "the descriptor of a WebAssembly.Memory");
      maximum = limit(descriptor, "maximum");
      if (descriptor.shared) throw new TypeError("there is no shared memory: there are no threads");
    }
    if (initial > PAGES_MAX || (maximum !== undefined && maximum > PAGES_MAX)) {
      throw new RangeError("a WebAssembly.Memory has 65536 pages at most");
    }
    if (maximum !== undefined && maximum < initial) {
      throw new RangeError("the maximum of a WebAssembly.Memory is less than its initial size");
    }
    const id = wasmMemory(initial, maximum ?? PAGES_MAX);
    if (id === -2) {
      const message = "this worker's instance can't have more WebAssembly memories (limits.wasm_memories)";
      const error = new RangeError(message);
      defineProperty(error, "code", { value: "too_many_wasm_instances", configurable: true, writable: true });
      throw error;
    }
    if (id < 0) {
      throw new RangeError(`there is no room for ${initial} pages of WebAssembly memory (limits.memory_mib)`);
    }
    this.#id = id;
    this.#maximum = maximum;
  }

  /** The memory; another object after it grew. */
  get buffer(): ArrayBuffer {
    if (this.#buffer === null || arrayBufferDetached(this.#buffer)) this.#buffer = wasmBuffer(this.#id);
    return this.#buffer;
  }

  /** Adds pages, and answers how many there were. */
  grow(delta: unknown): number {
    const before = wasmGrow(this.#id, toIndex(delta, "delta"));
    if (before < 0) throw new RangeError("the memory can't grow by so many pages (limits.memory_mib, or its maximum)");
    return before;
  }
}
webClass(Memory);

export const pagesOf = (memory: Memory): number => arrayBufferByteLength(memory.buffer) / PAGE_BYTES;
