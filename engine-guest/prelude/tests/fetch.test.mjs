// The fetch event: answers, failures, bodies, waitUntil, clients that leave.
import { test } from "node:test";
import assert from "node:assert/strict";
import { EVENT, OP, complete, failOperation, failureOf, host, inside, operation, responseTo, send, settle, utf8 } from "./mock.mjs";

test("a synchronous handler is answered before dispatch returns", () => {
  const id = send(() => new Response("hello", { headers: { "Content-Type": "text/plain", "X-A": " b " }, status: 201 }));
  assert.deepEqual(responseTo(id), {
    id, status: 201, headers: "content-type\ntext/plain\nx-a\nb", body: "hello", streamId: 0, pending: false, statusText: "",
  });
});

test("an async handler that never waits is answered at once too", () => {
  const id = send(async () => Response.json({ a: 1 }));
  assert.equal(responseTo(id).body, '{"a":1}');
  assert.equal(responseTo(id).headers, "content-type\napplication/json");
});

test("a response made of another's body goes out whole, and once", async () => {
  let first, second;
  const id = send(async () => {
    first = new Response("whole", { headers: { "x-a": "1" }, status: 201 });
    second = new Response(first.body, first);
    second.headers.set("X-B", "2");
    return second;
  });
  await settle();
  assert.deepEqual(responseTo(id), {
    id, status: 201, headers: "x-a\n1\ncontent-type\ntext/plain;charset=UTF-8\nx-b\n2", body: "whole", streamId: 0,
    pending: false, statusText: "",
  });
  assert.deepEqual([first.bodyUsed, second.bodyUsed, second.body.locked], [true, true, true]);
  for (const used of [first, second]) {
    const again = send(() => used);
    assert.match(failureOf(again).message, /already used/);
    assert.throws(() => new Response(used.body), TypeError);
  }
  const locked = new Response("text");
  locked.body.getReader();
  assert.match(failureOf(send(() => locked)).message, /already used/);
});

test("what is no Response is an InvalidResponse that says what it was", async () => {
  const cases = [[() => "text", /a string/], [() => {}, /is a return missing/], [async () => ({}), /no Response/]];
  for (const [handler, message] of cases) {
    const id = send(handler);
    await settle();
    assert.equal(failureOf(id).name, "InvalidResponse");
    assert.match(failureOf(id).message, message);
  }
  const id = send({});
  assert.equal(failureOf(id).name, "NoHandler");
});

test("a handler's exception carries name, message, stack and causes", async () => {
  for (const handler of [
    () => { throw new TypeError("outer", { cause: new RangeError("inner") }); },
    async () => { await null; throw new TypeError("outer", { cause: new RangeError("inner") }); },
    async () => { throw new TypeError("outer", { cause: new RangeError("inner") }); },
  ]) {
    const id = send(handler);
    await settle();
    const failure = failureOf(id);
    assert.equal(failure.name, "TypeError");
    assert.equal(failure.message, "outer");
    assert.match(failure.stack, /caused by: RangeError: inner/);
    assert.equal(failure.pending, false);
  }
});

test("a header set after the Response was made still counts, one changed in the init does not", () => {
  const id = send(() => {
    const headers = { "x-a": "1" };
    const response = new Response("", { headers });
    headers["x-a"] = "2";
    response.headers.append("set-cookie", "a=1");
    response.headers.append("set-cookie", "b=2");
    return response;
  });
  assert.equal(responseTo(id).headers, "x-a\n1\ncontent-type\ntext/plain;charset=UTF-8\nset-cookie\na=1\nset-cookie\nb=2");
});

test("waitUntil holds the invocation until it settles, and logs a rejection", async () => {
  let release;
  const id = send((request, env, ctx) => {
    ctx.waitUntil(new Promise((_, no) => { release = no; }));
    return new Response("x");
  });
  assert.equal(responseTo(id).pending, true);
  assert.ok(!host.done.includes(id));
  release(new Error("later"));
  await settle();
  assert.ok(host.done.includes(id));
  assert.match(host.logs.at(-1)[1], /waitUntil was rejected: Error: later/);
});

test("a failed handler with work left is done when the work is", async () => {
  let release;
  const id = send((request, env, ctx) => {
    ctx.waitUntil(new Promise((yes) => { release = yes; }));
    throw new Error("no");
  });
  assert.equal(failureOf(id).pending, true);
  release();
  await settle();
  assert.ok(host.done.includes(id));
});

test("a request's whole body is read in every form", async () => {
  const body = utf8('{"a":"ä"}');
  const options = { method: "POST", body, headers: "content-type\napplication/json" };
  assert.deepEqual(await inside((request) => request.json(), options), { a: "ä" });
  assert.equal(await inside((request) => request.text(), options), '{"a":"ä"}');
  assert.equal((await inside((request) => request.arrayBuffer(), options)).byteLength, body.length);
  await assert.rejects(inside(async (request) => { await request.text(); await request.text(); }, options), /already been used/);
  assert.deepEqual(await inside(async (request) => [await request.clone().text(), await request.text()], options),
    ['{"a":"ä"}', '{"a":"ä"}']);
});

test("a streamed body is read by what the host gathered, one read at a time", async () => {
  let text;
  send(async (request) => { text = await request.text(); return new Response(text); }, { method: "POST", body: true, handle: 77 });
  assert.deepEqual(operation(OP.BODY_REST).args, [77, true]);
  await complete(operation(OP.BODY_REST), [utf8("hel"), false]);
  assert.deepEqual(operation(OP.BODY_REST).args, [77, false], "what was begun as bytes goes on as bytes");
  await complete(operation(OP.BODY_REST), [utf8("lo\u00e9").subarray(0, 3), false]);
  await complete(operation(OP.BODY_REST), [utf8("\u00e9").subarray(1), true]);
  assert.equal(text, "hello\u00e9");
});

test("a streamed body that the host has whole comes as text", async () => {
  const streamed = { method: "POST", body: true, handle: 78 };
  const value = inside((request) => request.json(), streamed);
  await complete(operation(OP.BODY_REST), ["\ufeff{\"a\":1}", true]);
  assert.deepEqual(await value, { a: 1 });
  const wrong = inside((request) => request.json(), streamed);
  wrong.catch(() => {});
  await complete(operation(OP.BODY_REST), ["{", true]);
  await assert.rejects(wrong, SyntaxError);
  const bytes = inside((request) => request.bytes(), streamed);
  assert.deepEqual(operation(OP.BODY_REST).args, [78, false]);
  await complete(operation(OP.BODY_REST), [utf8("abc"), true]);
  assert.deepEqual(await bytes, utf8("abc"));
  const used = inside(async (request) => { await request.text(); return request.bodyUsed && request.text(); }, streamed);
  used.catch(() => {});
  await complete(operation(OP.BODY_REST), ["x", true]);
  await assert.rejects(used, /already been used/);
});

test("a client that leaves aborts the signal, the body and the response stream", async () => {
  let reason, bodyError;
  const id = send(async (request) => {
    request.signal.addEventListener("abort", () => { reason = request.signal.reason; });
    await request.text().catch((error) => { bodyError = error; });
    return new Response(new ReadableStream({ pull() { return new Promise(() => {}); } }));
  }, { method: "POST", body: true, handle: 5 });
  host.dispatch(EVENT.ABORT, id);
  await settle();
  assert.equal(reason.name, "AbortError");
  assert.equal(bodyError.name, "AbortError");
  assert.ok(host.bodiesCancelled.includes(5));
  const { streamId } = responseTo(id);
  assert.match(host.streams.get(streamId).state, /^aborted: AbortError/);
  assert.ok(host.done.includes(id));
});

test("a client that leaves gives up what was asked for with its request", async () => {
  let first, second;
  const id = send(async (request) => {
    await fetch(request).catch((error) => { first = error; });
    await fetch(request).catch((error) => { second = error; });
    return new Response();
  });
  await settle();
  const asked = operation(OP.FETCH);
  host.dispatch(EVENT.ABORT, id);
  await settle();
  assert.equal(first.name, "AbortError");
  assert.equal(second, first, "nothing more is begun for it");
  assert.ok(host.cancelled.includes(asked.id));
  assert.equal(operation(OP.FETCH), asked);
  // What has no request of the client's goes on.
  const other = inside(() => fetch("http://up.test/"));
  await settle();
  host.dispatch(EVENT.ABORT, id);
  await complete(operation(OP.FETCH), [200, "OK", "http://up.test/", false, "", null, 0, null]);
  assert.equal((await other).status, 200);
});

test("a response stream is written with back-pressure and then done", async () => {
  let pulls = 0;
  const id = send(() => new Response(new ReadableStream({
    pull(controller) {
      controller.enqueue(utf8(`chunk ${pulls++}`));
      if (pulls === 3) controller.close();
    },
  })));
  const { streamId, body, pending } = responseTo(id);
  assert.equal(body, true);
  assert.equal(pending, true);
  const written = [];
  for (;;) {
    await settle();
    const write = host.started.filter((op) => op.code === OP.STREAM_WRITE && op.args[0] === streamId)[written.length];
    if (!write) break;
    assert.ok(pulls <= written.length + 2, "the source is not pulled far ahead");
    written.push(new TextDecoder().decode(write.args[1]));
    await complete(write);
  }
  assert.deepEqual(written, ["chunk 0", "chunk 1", "chunk 2"]);
  assert.equal(host.streams.get(streamId).state, "closed");
  assert.ok(host.done.includes(id));
});

test("a fetched body is forwarded by handle", async () => {
  const id = send(async () => {
    const upstream = await fetch("http://up.test/x", { method: "PUT", body: "b", headers: [["a", "1"]] });
    return new Response(upstream.body, upstream);
  });
  const call = operation(OP.FETCH);
  assert.deepEqual(call.args, ["PUT", "http://up.test/x", "a\n1\ncontent-type\ntext/plain;charset=UTF-8", "b", 0, "follow"]);
  await complete(call, [203, "Fine", "http://up.test/x", false, "etag\n\"1\"", null, 9]);
  const answer = responseTo(id);
  assert.equal(answer.status, 203);
  assert.equal(answer.statusText, "Fine");
  assert.equal(answer.headers, "etag\n\"1\"");
  assert.equal(host.streams.get(answer.streamId).state, "linked: 9");
  assert.equal(answer.pending, false);
});

test("a body that a signal may still end, or whose client is watched, goes through the script", async () => {
  for (const watch of [
    (request) => ({ signal: AbortSignal.any([request.signal]) }),
    (request) => request.signal.addEventListener("abort", () => {}),
  ]) {
    const id = send(async (request) => new Response((await fetch("http://up.test/", watch(request))).body));
    await complete(operation(OP.FETCH), [200, "", "http://up.test/", false, "", null, 9]);
    await complete(operation(OP.BODY_READ), utf8("abc"));
    await complete(operation(OP.STREAM_WRITE));
    await complete(operation(OP.BODY_READ), null);
    assert.equal(host.streams.get(responseTo(id).streamId).state, "closed");
  }
});

test("a body that is piped through a transform which changes nothing is forwarded by handle", async () => {
  for (const make of [() => new TransformStream(), () => new IdentityTransformStream()]) {
    let piped;
    const id = send(async (request, env, ctx) => {
      const { body } = await fetch("http://up.test/");
      const { readable, writable } = make();
      piped = body.pipeTo(writable);
      ctx.waitUntil(piped);
      assert.ok(body.locked && writable.locked);
      return new Response(readable);
    });
    await complete(operation(OP.FETCH), [200, "", "http://up.test/", false, "", null, 9]);
    assert.equal(host.streams.get(responseTo(id).streamId).state, "linked: 9");
    await piped;
    assert.ok(host.done.includes(id));
  }
});

test("a body that is piped through such a transform and read by the script ends both sides", async () => {
  const read = inside(async () => {
    const { body } = await fetch("http://up.test/");
    const { readable, writable } = new TransformStream();
    const piped = body.pipeTo(writable);
    const text = await new Response(readable).text();
    await piped;
    assert.ok(!body.locked && !writable.locked);
    await assert.rejects(writable.getWriter().write(""), TypeError);
    return text;
  });
  await complete(operation(OP.FETCH), [200, "", "http://up.test/", false, "", null, 9]);
  await complete(operation(OP.BODY_REST), ["abc", true]);
  assert.equal(await read, "abc");
  let piped;
  const failing = inside(async () => {
    const { body } = await fetch("http://up.test/");
    const { readable, writable } = new TransformStream();
    piped = body.pipeTo(writable);
    piped.catch(() => {});
    return new Response(readable).text();
  });
  failing.catch(() => {});
  await complete(operation(OP.FETCH), [200, "", "http://up.test/", false, "", null, 9]);
  await failOperation(operation(OP.BODY_REST), "TypeError", "broken off", "");
  await assert.rejects(failing, { message: "broken off" });
  await assert.rejects(piped, { message: "broken off" });
});

test("a request's body is sent on by handle", async () => {
  send((request) => fetch("http://up.test/", { method: "POST", body: request.body }), { method: "POST", body: true, handle: 7 });
  await settle();
  assert.equal(host.streams.get(operation(OP.FETCH).args[4]).state, "linked: 7");
});

test("fetch rejects with the host's error, and an abort cancels the operation", async () => {
  const controller = new AbortController();
  const failed = inside(() => fetch("http://up.test/"));
  await settle();
  await failOperation(operation(OP.FETCH), "TypeError", "refused", "egress_denied");
  await assert.rejects(failed, { name: "TypeError", message: "refused", code: "egress_denied" });
  const aborted = inside(() => fetch("http://up.test/", { signal: controller.signal }));
  await settle();
  controller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  assert.ok(host.cancelled.includes(operation(OP.FETCH).id));
  await assert.rejects(fetch("/relative"), /not an absolute URL/);
});

test("an answer that comes with the call is a response like any other", async () => {
  host.dispatch(EVENT.INIT, 0, JSON.stringify([{ name: "OTHER", kind: "service", binding: 4 }]));
  const answers = { "http://other.test/a": [201, "Created", "http://other.test/a", false, "x-a\n1", utf8("made"), 0, null] };
  host.atOnce = (code, args) => (code === OP.SERVICE ? answers[args[2]] : undefined);
  const told = await inside(async (request, env) => {
    const response = await env.OTHER.fetch("http://other.test/a");
    return [response.status, response.url, response.headers.get("x-a"), await response.text()];
  });
  host.atOnce = () => undefined;
  assert.deepEqual(told, [201, "http://other.test/a", "1", "made"]);
});

test("I/O during evaluation is a clean error", async () => {
  host.evaluating = true;
  assert.throws(() => setTimeout(() => {}, 1), { code: "io_at_start" });
  await assert.rejects(fetch("http://up.test/"), { code: "io_at_start" });
  host.evaluating = false;
});

test("scheduled runs and is done", async () => {
  let seen;
  host.dispatch(EVENT.START, 0, { default: { async scheduled(controller) { seen = [controller.cron, controller.scheduledTime]; } } });
  host.dispatch(EVENT.SCHEDULED, 900, "* * * * *", 5);
  await settle();
  assert.deepEqual(seen, ["* * * * *", 5]);
  assert.ok(host.done.includes(900));
});

test("KV reads, writes and lists", async () => {
  host.dispatch(EVENT.INIT, 0, JSON.stringify([{ name: "KV", kind: "kv", binding: 3 }, { name: "NAME", kind: "text", value: "v" }]));
  const got = inside((request, env) => env.KV.getWithMetadata("k", "json"));
  await settle();
  assert.deepEqual(operation(OP.KV_GET).args, [3, "k"]);
  await complete(operation(OP.KV_GET), [utf8("[1]"), 0, '{"m":1}', "7"]);
  assert.deepEqual(await got, { value: [1], metadata: { m: 1 }, cacheStatus: null, revision: "7" });
  const late = inside((request, env) => Promise.all([env.KV.get("a"), env.KV.get("b", "json"), env.KV.get("c")]));
  await settle();
  const [a, b, c] = host.started.filter(({ code }) => code === OP.KV_READ).slice(-3);
  assert.deepEqual([a.args, b.args], [[3, "a", 0], [3, "b", 1]]);
  await complete(c, null);
  await complete(b, "[2]");
  await complete(a, "one");
  assert.deepEqual(await late, ["one", [2], null]);
  host.atOnce = (code, args) => (args[1] === "now" ? Promise.resolve("at once") : undefined);
  assert.equal(await inside((request, env) => env.KV.get("now")), "at once");
  host.atOnce = () => undefined;
  const put = inside((request, env) => env.KV.put("k", "v", { expirationTtl: 60, ifAbsent: true }));
  await settle();
  assert.deepEqual(operation(OP.KV_PUT).args, [3, "k", "v", 0, '{"ttlS":60,"ifAbsent":true}']);
  await failOperation(operation(OP.KV_PUT), "Error", "changed meanwhile", "revision_conflict");
  await assert.rejects(put, { code: "revision_conflict" });
  const many = inside((request, env) => env.KV.get(["a", "b"]));
  await settle();
  await complete(operation(OP.KV_GET_MANY), [[utf8("1"), 0, null, "1"], null]);
  assert.deepEqual([...(await many)], [["a", "1"], ["b", null]]);
  assert.equal(await inside((request, env) => env.NAME), "v");
});

test("an unhandled rejection is logged, one that is handled a moment later is not", async () => {
  const before = host.logs.length;
  Promise.reject(new Error("nobody cares"));
  await settle();
  assert.match(host.logs.slice(before).at(-1)[1], /nobody handled it: Error: nobody cares/);
});

test("the prelude works on when user code breaks the built-ins", async () => {
  const saved = [Array.prototype.push, String.prototype.slice, Map.prototype.get, globalThis.Promise];
  Array.prototype.push = String.prototype.slice = Map.prototype.get = () => { throw new Error("broken"); };
  globalThis.Promise = class {};
  const id = send(async (request) => {
    const headers = new Headers([["a", "b"]]);
    return new Response(request.headers.get("host") + new URL("http://a/?b=c").searchParams.get("b"), { headers });
  }, { headers: "host\nh" });
  [Array.prototype.push, String.prototype.slice, Map.prototype.get, globalThis.Promise] = saved;
  await settle();
  assert.equal(responseTo(id)?.body, "hc");
});
