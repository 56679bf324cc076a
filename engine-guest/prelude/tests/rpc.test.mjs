// The encoding in which workers pass values to each other.
import { test } from "node:test";
import assert from "node:assert/strict";
import { load } from "./mock.mjs";

const { encode } = await load("features/rpc/encode");
const { decode } = await load("features/rpc/decode");
const { RpcTarget } = await load("entrypoint");

/** As the border does it: bytes arrive as copies. */
const beside = (outgoing) => ({
  body: (place) => outgoing.bodies[place],
  stub: (place) => ({ stubOf: outgoing.exports[place] }),
});
const trip = (value) => {
  const outgoing = encode(value);
  return decode(structuredClone(outgoing.tokens), beside(outgoing));
};

/** A generator of values from a seed. */
function maker(seed) {
  const next = (most) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >>> 8) % most;
  };
  const met = [];
  const make = (depth) => {
    const kind = next(depth > 4 ? 8 : 15);
    const keep = (value) => {
      met.push(value);
      return value;
    };
    switch (kind) {
      case 0: return undefined;
      case 1: return null;
      case 2: return next(2) === 0;
      case 3: return [0, -0, 1, -1.5, NaN, Infinity, 2 ** 53][next(7)];
      case 4: return "\ud83d\ude00 text".slice(next(3));
      case 5: return BigInt(next(1000)) << 70n;
      case 6: return keep(new Date(next(1e6)));
      case 7: return met.length > 0 ? met[next(met.length)] : "none";
      case 8: return keep(new Uint8Array(Array.from({ length: next(9) }, () => next(256))));
      case 9: {
        const map = keep(new Map());
        for (let i = next(4); i > 0; i--) map.set(make(depth + 1), make(depth + 1));
        return map;
      }
      case 10: {
        const set = keep(new Set());
        for (let i = next(4); i > 0; i--) set.add(make(depth + 1));
        return set;
      }
      case 11: case 12: {
        const array = keep([]);
        for (let i = next(6); i > 0; i--) {
          if (next(5) === 0) array.length++;
          else array.push(make(depth + 1));
        }
        return array;
      }
      default: {
        const object = keep({});
        for (let i = next(6); i > 0; i--) {
          const key = ["a", "b c", "__proto__", "toString", "0"][next(5)];
          Object.defineProperty(object, key, { value: make(depth + 1), enumerable: true, configurable: true, writable: true });
        }
        return object;
      }
    }
  };
  return { make: () => make(0), next };
}

test("whatever can be cloned arrives as it would from structuredClone", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const value = maker(seed).make();
    assert.deepStrictEqual(trip(value), value, `seed ${seed}`);
  }
});

test("an object that stands twice arrives once, and cycles are kept", () => {
  const inner = { n: 1 };
  const value = { a: inner, b: [inner], m: new Map([[inner, inner]]) };
  value.self = value;
  const there = trip(value);
  assert.equal(there.self, there);
  assert.equal(there.b[0], there.a);
  assert.equal(there.m.get(there.a), there.a);
  const sparse = [];
  sparse[4e9] = { n: 1 };
  assert.equal(trip(sparse)[4e9].n, 1);
  const buffer = new Uint8Array([1, 2, 3]).buffer;
  const views = trip([new Uint8Array(buffer, 1), buffer, new DataView(buffer)]);
  assert.equal(views[0].buffer, views[1]);
  assert.equal(views[2].buffer, views[1]);
});

test("functions and targets are exported, each once in a message", () => {
  class Mine extends RpcTarget {}
  const mine = new Mine();
  const f = () => {};
  const outgoing = encode([mine, f, { again: mine }]);
  assert.deepEqual(outgoing.exports, [mine, f]);
  const there = decode(outgoing.tokens, beside(outgoing));
  assert.equal(there[0], there[2].again);
  assert.equal(there[1].stubOf, f);
});

test("what is no message is an error and nothing else", () => {
  const random = maker(7);
  for (let round = 0; round < 20000; round++) {
    const seed = maker(round + 1);
    const { tokens } = encode(seed.make());
    const broken = structuredClone(tokens);
    for (let i = random.next(3); i >= 0 && broken.length > 0; i--) {
      const at = random.next(broken.length);
      switch (random.next(4)) {
        case 0: broken.splice(at, 1); break;
        case 1: broken[at] = random.next(24); break;
        case 2: broken[at] = ["x", null, true, undefined, -1, 1e9, []][random.next(6)]; break;
        case 3: broken.length = at; break;
      }
    }
    // A length of a list is bounded by what there is to fill it.
    try {
      decode(broken, { body: () => assert.fail, stub: () => ({}) });
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), `round ${round}: ${error}`);
    }
  }
  for (const none of [undefined, null, 5, "text", {}]) assert.throws(() => decode(none, {}), TypeError);
});

test("arguments of one part each are written and read as any list is", async () => {
  const { encodeArguments } = await load("features/rpc/encode");
  const { decodeArguments } = await load("features/rpc/decode");
  const lists = [
    [], [1], ["a", 2, null, undefined, true, NaN, -0, ""], [1n, 2], [[1], 2], ["x", { a: 1 }], [new Date(5)], [undefined],
  ];
  for (const list of lists) {
    const { tokens } = encodeArguments(list);
    assert.deepEqual(tokens, encode(list).tokens);
    assert.deepEqual(decodeArguments(structuredClone(tokens), [], null, 0), { value: list, stubs: [] });
  }
  const array = 5;
  assert.throws(() => decodeArguments([array, 2, "a"], [], null, 0), TypeError);
  assert.throws(() => decodeArguments(["a"], [], null, 0), TypeError);
  assert.throws(() => encodeArguments(["a", Symbol("b")]), { name: "DataCloneError" });
});

test("a method that was called last is looked for again where it may be gone", async () => {
  const { perform } = await load("features/rpc/perform");
  class Counter extends RpcTarget {
    count() {
      return 1;
    }
  }
  const counter = new Counter();
  assert.equal(perform(counter, true, ["count"], []), 1);
  assert.equal(perform(counter, true, ["count"], []), 1);
  counter.count = () => 2;
  assert.throws(() => perform(counter, true, ["count"], []), TypeError);
  assert.equal(perform(new Counter(), true, ["count"], []), 1);
  delete Counter.prototype.count;
  assert.throws(() => perform(new Counter(), true, ["count"], []), TypeError);
});
