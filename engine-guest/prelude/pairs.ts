/**
 * The iterator shared by `Headers`, `URLSearchParams` and `FormData`: it walks a flat list `[name, value, …]` by
 * index and asks for the list anew at each step, so that it sees changes as WebIDL wants.
 */
import {
  IteratorPrototype, Symbol, TypeError, apply, construct, defineProperty, objectCreate, setPrototypeOf,
} from "./primordials.ts";

/** What is yielded: both, the name, or the value. */
export type PairKind = 0 | 1 | 2;

class PairIterator {
  #pairs: () => any[];
  #kind: PairKind;
  #at = 0;

  constructor(pairs: () => any[], kind: PairKind) {
    this.#pairs = pairs;
    this.#kind = kind;
  }

  next(): IteratorResult<any> {
    const pairs = this.#pairs();
    const at = this.#at;
    if (at >= pairs.length) return { value: undefined, done: true };
    this.#at = at + 2;
    const kind = this.#kind;
    return { value: kind === 0 ? [pairs[at], pairs[at + 1]] : pairs[at + kind - 1], done: false };
  }
}
setPrototypeOf(PairIterator.prototype, IteratorPrototype);
defineProperty(PairIterator.prototype, "next", { enumerable: true });
delete (PairIterator.prototype as any).constructor;

/** The constructor to name where an iterator over this class of collection is made. */
export function pairIterator(collection: string): unknown {
  const target = function (): void {};
  const proto = objectCreate(PairIterator.prototype);
  defineProperty(proto, Symbol.toStringTag, { value: `${collection} Iterator`, configurable: true });
  target.prototype = proto;
  return target;
}

/** An iterator over the flat list that `pairs` returns. */
export function iteratePairs(target: unknown, pairs: () => any[], kind: PairKind): any {
  return construct(PairIterator, [pairs, kind], target as any);
}

/** `forEach` over a flat list of pairs. */
export function forEachPair(pairs: () => any[], owner: unknown, callback: any, thisArg: unknown): void {
  if (typeof callback !== "function") throw new TypeError("forEach expects a function");
  for (let at = 0; at < pairs().length; at += 2) {
    const now = pairs();
    apply(callback, thisArg, [now[at + 1], now[at], owner]);
  }
}

/** Collects a user's sequence of pairs, or record, as a flat list of whatever it holds. */
export function pairsFrom(init: any, what: string): any[] {
  const flat: any[] = [];
  for (const pair of init) {
    const inner: any[] = [];
    if (typeof pair === "string" || pair === null || pair === undefined || pair[Symbol.iterator] === undefined) {
      throw new TypeError(`${what}: each entry must be a [name, value] pair`);
    }
    for (const item of pair) inner[inner.length] = item;
    if (inner.length !== 2) throw new TypeError(`${what}: each entry must be a [name, value] pair`);
    flat[flat.length] = inner[0];
    flat[flat.length] = inner[1];
  }
  return flat;
}
