// KV beside the names of Workers: transactions, counters, the change feed, lists with values.
import { before, test } from "node:test";
import assert from "node:assert/strict";
import { EVENT, complete, failOperation, host, inside, operation, settle, utf8 } from "./mock.mjs";

const OP = { COMMIT: 530, ADD: 531, CHANGES: 532, LIST: 533 };

before(() => host.dispatch(EVENT.INIT, 0, JSON.stringify([{ name: "KV", kind: "kv", binding: 3 }])));

test("a transaction crosses as two flat lists", async () => {
  const made = inside((request, env) =>
    env.KV.atomic()
      .check({ key: "a", revision: 7 }).check({ key: "b", revision: null }).check({ key: "c", exists: true })
      .put("a", "one", { metadata: { n: 1 } }).delete("b").add("n").add("m", -5n)
      .commit());
  await settle();
  assert.deepEqual(operation(OP.COMMIT).args, [
    3,
    ["a", "revision", 7, "b", "absent", 0, "c", "present", 0],
    ["a", "put", "one", '{"metadata":{"n":1}}', "b", "delete", null, null, "n", "add", "1", null, "m", "add", "-5", null],
  ]);
  await complete(operation(OP.COMMIT), [9, ["1", "9007199254740993"], "fsync"]);
  assert.deepEqual(await made, {
    revision: 9, counters: new Map([["n", 1], ["m", 9007199254740993n]]), durability: "fsync",
  });
});

test("what no transaction can hold is a TypeError at once", async () => {
  const refused = (build) => assert.rejects(inside(async (request, env) => build(env.KV.atomic())), TypeError);
  await refused((t) => t.check({ key: "a" }));
  await refused((t) => t.check(null));
  await refused((t) => t.check({ key: "a", revision: -1 }));
  await refused((t) => t.put("a", new ReadableStream()));
  await refused((t) => t.put("a", "x", { ifAbsent: true }));
  await refused((t) => t.put(1, "x"));
  await refused((t) => t.add("a", 1.5));
  await refused((t) => t.add("a", 2 ** 53));
  await assert.rejects(inside(async (request, env) => new (env.KV.atomic().constructor)()), /Illegal constructor/);
});

test("a counter is a number where that is exact", async () => {
  const added = inside((request, env) => env.KV.add("n", 2));
  await settle();
  assert.deepEqual(operation(OP.ADD).args, [3, "n", "2"]);
  await complete(operation(OP.ADD), [4, ["9223372036854775807"]]);
  assert.equal(await added, 9223372036854775807n);
});

test("a watch groups changes by write, and waits on from where it was", async () => {
  const seen = [];
  const watched = inside(async (request, env) => {
    for await (const written of env.KV.watch({ prefix: "a", since: 5 })) {
      seen.push(written);
      if (seen.length === 3) return "done";
    }
  });
  await settle();
  assert.deepEqual(operation(OP.CHANGES).args, [3, "a", 5, true]);
  await complete(operation(OP.CHANGES), [8, ["a1", "put", 6, "a2", "delete", 6, "a3", "expire", 7]]);
  await settle();
  assert.deepEqual(operation(OP.CHANGES).args, [3, "a", 8, false]);
  await complete(operation(OP.CHANGES), [12, ["a1", "put", 12]]);
  assert.equal(await watched, "done");
  assert.deepEqual(seen, [
    { revision: 6, changes: [{ key: "a1", type: "put" }, { key: "a2", type: "delete" }] },
    { revision: 7, changes: [{ key: "a3", type: "expire" }] },
    { revision: 12, changes: [{ key: "a1", type: "put" }] },
  ]);
});

test("a watch from now asks where now is, and an end cancels its wait", async () => {
  const ended = inside(async (request, env) => {
    const watcher = env.KV.watch();
    const first = watcher.next();
    await new Promise((resolve) => (host.goOn = resolve));
    await watcher.return();
    return [await first, await watcher.next()];
  });
  await settle();
  assert.deepEqual(operation(OP.CHANGES).args, [3, "", null, true]);
  await complete(operation(OP.CHANGES), [20, []]);
  await settle();
  const waiting = operation(OP.CHANGES);
  assert.deepEqual(waiting.args, [3, "", 20, false]);
  host.goOn();
  assert.deepEqual(await ended, [{ value: undefined, done: true }, { value: undefined, done: true }]);
  assert.ok(host.cancelled.includes(waiting.id));
});

test("a gap ends a watch with its code", async () => {
  const gap = inside(async (request, env) => {
    const watcher = env.KV.watch({ since: 1 });
    const error = await watcher.next().catch((error) => error);
    return [error.code, await watcher.next()];
  });
  await settle();
  await failOperation(operation(OP.CHANGES), "Error", "gone", "changes_gone");
  assert.deepEqual(await gap, ["changes_gone", { value: undefined, done: true }]);
});

test("a list gives values as they are asked for", async () => {
  const page = JSON.stringify({ keys: [{ name: "a" }, { name: "b" }], list_complete: true, revision: 9 });
  const listed = inside((request, env) => env.KV.list({ prefix: "p", values: "json", changedSince: 4, limit: 2 }));
  await settle();
  assert.deepEqual(operation(OP.LIST).args, [3, "p", null, 2, 4, true]);
  await complete(operation(OP.LIST), [page, [utf8("[1]"), null]]);
  assert.deepEqual((await listed).keys, [{ name: "a", value: [1] }, { name: "b", value: null }]);
  await assert.rejects(inside((request, env) => env.KV.list({ values: "stream" })), TypeError);
});
