/**
 * `WebAssembly.Global`: a number that the host has, or a value of JavaScript that lies in the guest.
 */
import { INTERNAL } from "../../internal.ts";
import {
  WASM_GLOBAL_GET, WASM_GLOBAL_NEW, WASM_GLOBAL_SET, wasm, wasmRefsGet, wasmRefsSet,
} from "../../native.ts";
import { BigInt, TypeError, isObject, webClass } from "../../primordials.ts";
import { newRefs } from "./table.ts";
import { descriptorOf, fromWire, letterOf, toWire } from "./values.ts";

export let globalState: (global: Global) => { id: number; letter: string; mutable: boolean };
export let isGlobal: (value: unknown) => value is Global;

export class Global {
  #id: number;
  #letter: string;
  #mutable: boolean;

  static {
    globalState = (global) => ({ id: global.#id, letter: global.#letter, mutable: global.#mutable });
    isGlobal = (value): value is Global => isObject(value) && #id in value;
  }

  constructor(descriptor: any, value: any = undefined) {
    if (descriptor === INTERNAL) {
      this.#id = value.id;
      this.#letter = value.letter;
      this.#mutable = value.mutable;
      return;
    }
    descriptorOf(descriptor, "the descriptor of a WebAssembly.Global");
    this.#mutable = !!descriptor.mutable;
    const letter = (this.#letter = letterOf(descriptor.value));
    if (letter === "v" || letter === "r") throw new TypeError("a global of v128 or anyfunc can't be made here");
    if (letter === "e") {
      this.#id = newRefs(1, 1, value);
    } else {
      const zero = letter === "I" ? BigInt(0) : 0;
      this.#id = newGlobal(letter, this.#mutable, value === undefined ? zero : value);
    }
  }

  get value(): unknown {
    if (this.#letter === "e") return wasmRefsGet(this.#id, 0);
    return fromWire(this.#letter, wasm(WASM_GLOBAL_GET, this.#id));
  }

  set value(value: unknown) {
    void this.#id;
    if (arguments.length === 0) throw new TypeError("the value is missing");
    if (!this.#mutable) throw new TypeError("this global can't be changed");
    if (this.#letter === "e") wasmRefsSet(this.#id, 0, value);
    else wasm(WASM_GLOBAL_SET, this.#id, toWire(this.#letter, value));
  }

  valueOf(): unknown {
    void this.#id;
    return this.value;
  }
}
webClass(Global, 1);

/** A numeric global of the host; its number. */
export function newGlobal(letter: string, mutable: boolean, value: unknown): number {
  return wasm(WASM_GLOBAL_NEW, letter, mutable, toWire(letter, value));
}
