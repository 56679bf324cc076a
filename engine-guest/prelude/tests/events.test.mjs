// What the suites of others do not cover: the Workers shape of streams, waiting, and what nobody caught.
import { test } from "node:test";
import assert from "node:assert/strict";
import { OP, complete, host, inside, operation, settle, utf8 } from "./mock.mjs";

test("a FixedLengthStream takes as many bytes as it was promised", async () => {
  const exact = new FixedLengthStream(3);
  const writer = exact.writable.getWriter();
  const read = new Response(exact.readable).text();
  writer.write(utf8("ab"));
  writer.write(utf8("c"));
  await writer.close();
  assert.equal(await read, "abc");

  const over = new FixedLengthStream(1);
  const broken = assert.rejects(new Response(over.readable).text(), RangeError);
  const long = over.writable.getWriter();
  long.closed.catch(() => {});
  await assert.rejects(long.write(utf8("ab")), RangeError);
  await broken;
  const under = new FixedLengthStream(2);
  const failed = assert.rejects(new Response(under.readable).text(), RangeError);
  const short = under.writable.getWriter();
  short.closed.catch(() => {});
  short.write(utf8("a"));
  await assert.rejects(short.close(), RangeError);
  await failed;
  assert.throws(() => new FixedLengthStream(-1), TypeError);
});

test("a body is read into a buffer that the reader brings", async () => {
  const got = inside(async (request) => {
    const reader = request.body.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(4), { min: 4 });
    const rest = await reader.read(new Uint8Array(4));
    const end = await reader.read(new Uint8Array(4));
    return [new TextDecoder().decode(value), new TextDecoder().decode(rest.value), end.done, end.value.byteLength];
  }, { method: "POST", body: true, handle: 3 });
  await complete(operation(OP.BODY_READ), utf8("ab"));
  await complete(operation(OP.BODY_READ), utf8("cde"));
  await complete(operation(OP.BODY_READ), null);
  assert.deepEqual(await got, ["abcd", "e", true, 0]);
});

test("a clone of a body does not share its bytes", async () => {
  const [first, second] = new Response(utf8("abc")).body.tee();
  const one = (await first.getReader().read()).value;
  one[0] = 0;
  assert.equal(await new Response(second).text(), "abc");
});

test("scheduler.wait waits, and a signal ends it", async () => {
  const waited = inside(() => scheduler.wait(5));
  await settle();
  assert.deepEqual(operation(OP.TIMER).args, [5]);
  await complete(operation(OP.TIMER));
  assert.equal(await waited, undefined);
  const controller = new AbortController();
  const ended = inside(() => scheduler.wait(5, { signal: controller.signal }));
  controller.abort(new Error("enough"));
  await assert.rejects(ended, /enough/);
  assert.ok(host.cancelled.includes(operation(OP.TIMER).id));
});

test("a message arrives in a task of its own, cloned", async () => {
  const { port1, port2 } = new MessageChannel();
  const heard = [];
  port2.onmessage = (event) => heard.push(event.data);
  const sent = { a: [1] };
  port1.postMessage(sent);
  sent.a[0] = 2;
  await settle();
  assert.deepEqual(heard, []);
  await complete(operation(OP.TIMER));
  assert.deepEqual(heard, [{ a: [1] }]);
  const moved = structuredClone(port1, { transfer: [port1] });
  moved.postMessage("through");
  port1.postMessage("nowhere");
  await complete(operation(OP.TIMER));
  assert.deepEqual(heard[1], "through");
  assert.throws(() => structuredClone(port2), { name: "DataCloneError" });
});

test("a worker hears of what nobody caught, and may keep it from the log", async () => {
  const heard = [];
  const listener = (event) => {
    heard.push([event.type, (event.error ?? event.reason).message]);
    event.preventDefault();
  };
  addEventListener("error", listener);
  addEventListener("unhandledrejection", listener);
  const before = host.logs.length;
  reportError(new Error("one"));
  queueMicrotask(() => {
    throw new Error("two");
  });
  Promise.reject(new Error("three"));
  await settle();
  assert.deepEqual(heard, [["error", "one"], ["error", "two"], ["unhandledrejection", "three"]]);
  assert.equal(host.logs.length, before);
  removeEventListener("error", listener);
  removeEventListener("unhandledrejection", listener);
  reportError(new Error("four"));
  assert.match(host.logs.at(-1)[1], /four/);
});

test("the timeline keeps the newest entries", () => {
  for (let i = 0; i < 1100; i++) performance.mark(`m${i}`);
  const marks = performance.getEntriesByType("mark");
  assert.equal(marks.length, 1000);
  assert.equal(marks.at(-1).name, "m1099");
  performance.clearMarks();
  assert.deepEqual(performance.getEntries(), []);
});
