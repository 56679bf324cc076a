// Parameters of statements, as they leave for the host.
import { test } from "node:test";
import assert from "node:assert/strict";
import { load } from "./mock.mjs";

const { encodeParam } = await load("features/postgres/params");

test("a parameter is text as the server reads it, bytes, or JSON", () => {
  const check = (value, expect) => assert.deepStrictEqual(encodeParam(value), expect);
  check(null, null);
  check(undefined, null);
  check("a'b", "a'b");
  check(1e21, "1e+21");
  check(NaN, "NaN");
  check(-5n, "-5");
  check(false, "false");
  check(new Date(0), "1970-01-01T00:00:00.000Z");
  check(new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  check(new Uint16Array([258]), new Uint8Array([2, 1]));
  check(new Uint8Array([7]).buffer, new Uint8Array([7]));
  check([1, null, ["x"]], ['[1,null,["x"]]']);
  check([1n, new Date(0)], ['["1","1970-01-01T00:00:00.000Z"]']);
  check({ a: undefined, b: 2 }, ['{"b":2}']);
});

test("what can't be a parameter is a TypeError", () => {
  for (const value of [Symbol("x"), () => {}, new Date(NaN)]) assert.throws(() => encodeParam(value), TypeError);
  const loop = [];
  loop.push(loop);
  assert.throws(() => encodeParam(loop), TypeError);
});
