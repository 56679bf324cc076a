// The platform's classes and functions, one area a test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { OP, complete, host, inside, load, operation, settle, utf8 } from "./mock.mjs";

const decode = (bytes) => new TextDecoder().decode(bytes);

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function logged(...args) {
  console.log(...args);
  return host.logs.at(-1)[1];
}

test("Headers are case-insensitive, combined and sorted, with set-cookie apart", () => {
  const headers = new Headers({ B: "2", a: "1" });
  headers.append("b", " 3\t");
  headers.append("Set-Cookie", "x=1");
  headers.append("set-cookie", "y=2");
  assert.deepEqual([...headers], [["a", "1"], ["b", "2, 3"], ["set-cookie", "x=1"], ["set-cookie", "y=2"]]);
  assert.equal(headers.get("B"), "2, 3");
  assert.deepEqual(headers.getSetCookie(), ["x=1", "y=2"]);
  headers.delete("A");
  headers.set("b", "4");
  assert.deepEqual([...headers.keys()], ["b", "set-cookie", "set-cookie"]);
  assert.equal(headers.get("none"), null);
  for (const bad of [["a b", ""], ["a", "x\ny"], ["a", "\u0100"], ["", ""]]) {
    assert.throws(() => headers.set(...bad), TypeError);
  }
  assert.throws(() => new Headers([["a"]]), TypeError);
  assert.throws(() => Headers.prototype.get.call({}, "a"), TypeError);
});

test("a header block is searched as it came", async () => {
  const headers = "connection\nupgrade\nhost\nconnection\nupgrade\nh2c\nx-a\n1\nx-b\n\nx-a\n2\nhos\nt";
  const got = await inside((request) => {
    const names = ["Connection", "upgrade", "host", "x-a", "x-b", "hos", "ho", "h2c", "1", "t"];
    const before = names.map((name) => request.headers.get(name));
    assert.throws(() => request.headers.append("y", "z"), /immutable/);
    const copy = new Request(request).headers;
    copy.append("y", "z");
    assert.deepEqual(names.map((name) => copy.get(name)), before);
    return before;
  }, { headers });
  assert.deepEqual(got, ["upgrade", "h2c", "connection", "1, 2", "", "t", null, null, null, null]);
});

test("headers that grow are the same, however long they are and whether anybody looked", () => {
  for (const count of [1, 3, 200]) {
    const [grown, seen] = [new Headers({ "x-first": "0" }), new Headers({ "x-first": "0" })];
    for (let i = 0; i < count; i++) {
      for (const headers of [grown, seen]) {
        headers.set(`x-${i}`, "value");
        headers.append("x-many", `${i}`);
        headers.set("X-First", `${i}`);
      }
      if (i % 50 === 0) assert.equal([...seen].length, i + 3);
    }
    assert.deepEqual([...grown], [...seen]);
    assert.equal(grown.get("x-first"), `${count - 1}`);
    assert.equal(grown.get("x-many"), Array.from({ length: count }, (_, i) => i).join(", "));
  }
  // A value that looks like a name is none.
  const headers = new Headers({ a: "b" });
  headers.set("b", "c");
  assert.deepEqual([...headers], [["a", "b"], ["b", "c"]]);
});

test("Response checks its arguments", async () => {
  assert.throws(() => new Response("", { status: 199 }), RangeError);
  assert.throws(() => new Response("x", { status: 204 }), TypeError);
  assert.equal(new Response(null, { status: 204 }).body, null);
  assert.equal(Response.redirect("http://a.test/b").headers.get("location"), "http://a.test/b");
  assert.equal(Response.error().type, "error");
  assert.equal(await new Response(new URLSearchParams("a=b c")).text(), "a=b+c");
  assert.equal(await new Response(utf8("\ufeffabc")).text(), "abc");
  const response = new Response("once");
  const reader = response.body.getReader();
  assert.equal(decode((await reader.read()).value), "once");
  assert.equal((await reader.read()).done, true);
  assert.equal(response.bodyUsed, true);
  await assert.rejects(response.text(), TypeError);
});

test("Request takes another one's body and defaults", async () => {
  const first = new Request("http://a.test/?q", { method: "post", body: "b", headers: { "x-a": "1" } });
  assert.equal(first.method, "POST");
  const second = new Request(first, { headers: { "x-b": "2" } });
  assert.equal(first.bodyUsed, true);
  assert.equal(await second.text(), "b");
  assert.deepEqual([...second.headers.keys()], ["x-b"]);
  assert.throws(() => new Request("http://a.test/", { body: "b" }), /GET request cannot have a body/);
  assert.throws(() => new Request("http://u:p@a.test/"), TypeError);
});

test("URL and its search parameters follow each other", () => {
  const url = new URL("../c?x=1#h", "http://a.test/b/d");
  assert.equal(url.href, "http://a.test/c?x=1#h");
  url.searchParams.append("ä b", "&");
  assert.equal(url.search, "?x=1&%C3%A4+b=%26");
  url.search = "?z=9";
  assert.equal(url.searchParams.get("z"), "9");
  url.searchParams.delete("z");
  assert.equal(url.href, "http://a.test/c#h");
  assert.equal(URL.canParse("nope"), false);
  assert.equal(URL.parse("nope"), null);
  assert.throws(() => new URL("nope"), { name: "TypeError", message: /Invalid URL: "nope"/ });
  const params = new URLSearchParams([["b", "1"], ["a", "2"], ["b", "3"]]);
  params.sort();
  assert.equal(`${params}`, "a=2&b=1&b=3");
  params.set("b", "x");
  assert.deepEqual([...params], [["a", "2"], ["b", "x"]]);
  assert.equal(params.has("b", "y"), false);
  assert.equal(new URLSearchParams("?a=%zz&=&b").toString(), "a=%25zz&=&b=");
});

test("forms of both kinds", async () => {
  const urlencoded = new Response("name=J%C3%B6rg+B&x=1", { headers: { "content-type": "application/x-www-form-urlencoded" } });
  assert.equal((await urlencoded.formData()).get("name"), "Jörg B");
  const form = new FormData();
  form.append("text", "ä\nb");
  form.append('na"me', new File([utf8("\0\xff")], "f ü.bin", { type: "image/png" }));
  const back = await new Response(form).formData();
  assert.equal(back.get("text"), "ä\r\nb");
  const file = back.get('na"me');
  assert.equal(file.name, "f ü.bin");
  assert.equal(file.type, "image/png");
  assert.deepEqual(await file.bytes(), utf8("\0\xff"));
  await assert.rejects(new Response("--b\r\n", { headers: { "content-type": "multipart/form-data; boundary=b" } }).formData(), /malformed/);
  await assert.rejects(new Response("x").formData(), /content type/);
});

test("ReadableStream: order, back-pressure, errors, cancel, tee, from", async () => {
  let cancelled;
  const stream = new ReadableStream({
    start(controller) { controller.enqueue(1); controller.enqueue(2); controller.close(); },
  });
  assert.deepEqual(await collect(stream), [1, 2]);
  const failing = new ReadableStream({ pull() { throw new Error("pull"); } });
  await assert.rejects(failing.getReader().read(), /pull/);
  const endless = new ReadableStream({ pull(c) { c.enqueue(0); }, cancel(reason) { cancelled = reason; } });
  for await (const chunk of endless) if (chunk === 0) break;
  assert.equal(cancelled, undefined);
  assert.equal(endless.locked, false);
  const [a, b] = ReadableStream.from(["x", "y"]).tee();
  assert.deepEqual([await collect(a), await collect(b)], [["x", "y"], ["x", "y"]]);
  const locked = new ReadableStream();
  const reader = locked.getReader();
  assert.throws(() => locked.getReader(), TypeError);
  await assert.rejects(locked.cancel(), TypeError);
  const pending = reader.read();
  reader.releaseLock();
  await assert.rejects(pending, TypeError);
  await assert.rejects(reader.closed, TypeError);
});

test("a long queue is read without recursion", async () => {
  const many = new ReadableStream({
    start(c) { for (let i = 0; i < 50_000; i++) c.enqueue(new Uint8Array(1)); c.close(); },
  }, { highWaterMark: 1e9 });
  assert.equal((await new Response(many).bytes()).length, 50_000);
});

test("WritableStream and TransformStream, piped", async () => {
  const seen = [];
  const sink = new WritableStream({ write(chunk) { seen.push(chunk); }, close() { seen.push("end"); } });
  const upper = new TransformStream({ transform(chunk, c) { c.enqueue(chunk.toUpperCase()); }, flush(c) { c.enqueue("!"); } });
  await ReadableStream.from(["a", "b"]).pipeThrough(upper).pipeTo(sink);
  assert.deepEqual(seen, ["A", "B", "!", "end"]);
  const broken = new WritableStream({ write() { throw new Error("disk"); } });
  let cancelled;
  const source = new ReadableStream({ pull(c) { c.enqueue(1); }, cancel(reason) { cancelled = reason; } });
  await assert.rejects(source.pipeTo(broken), /disk/);
  assert.match(cancelled.message, /disk/);
  const controller = new AbortController();
  const stuck = new ReadableStream().pipeTo(new WritableStream(), { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(stuck, /enough/);
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const written = writer.write("x").then(() => writer.close());
  assert.deepEqual(await collect(readable), ["x"]);
  await written;
  const text = ReadableStream.from([utf8("ä").subarray(0, 1), utf8("ä").subarray(1)]).pipeThrough(new TextDecoderStream());
  assert.equal((await collect(text)).join(""), "ä");
});

test("signals: reasons, any, timeout, listeners", async () => {
  const controller = new AbortController();
  const both = AbortSignal.any([controller.signal, new AbortController().signal]);
  const events = [];
  both.onabort = (event) => events.push(event.type, event.target === both);
  both.addEventListener("abort", () => events.push("once"), { once: true });
  controller.abort("why");
  controller.abort("again");
  assert.deepEqual(events, ["abort", true, "once"]);
  assert.equal(both.reason, "why");
  assert.throws(() => AbortSignal.abort().throwIfAborted(), { name: "AbortError", code: 20 });
  const timeout = AbortSignal.timeout(5);
  await complete(operation(OP.TIMER));
  assert.equal(timeout.reason.name, "TimeoutError");
  assert.throws(() => new AbortSignal(), TypeError);
});

test("EventTarget: order, once, removal, exceptions", () => {
  const target = new EventTarget();
  const calls = [];
  const gone = () => calls.push("gone");
  target.addEventListener("x", () => { throw new Error("listener"); });
  target.addEventListener("x", gone);
  target.addEventListener("x", { handleEvent(event) { calls.push(event.detail); event.preventDefault(); } });
  target.removeEventListener("x", gone);
  assert.equal(target.dispatchEvent(new CustomEvent("x", { detail: 7, cancelable: true })), false);
  assert.deepEqual(calls, [7]);
  assert.match(host.logs.at(-1)[1], /listener/);
});

test("timers run once, repeat, and stop", async () => {
  const calls = [];
  const one = setTimeout((a) => calls.push(a), 10, "one");
  assert.deepEqual(operation(OP.TIMER).args, [10]);
  await complete({ id: one });
  clearTimeout(setTimeout(() => calls.push("never"), 1));
  assert.equal(host.cancelled.at(-1), operation(OP.TIMER).id);
  const every = setInterval(() => calls.push("tick"), 5);
  await complete(operation(OP.TIMER));
  await complete(operation(OP.TIMER));
  clearInterval(every);
  assert.deepEqual(calls, ["one", "tick", "tick"]);
  assert.equal(host.cancelled.at(-1), operation(OP.TIMER).id);
});

test("console writes values as a person reads them", () => {
  const cycle = { name: "x", list: [1, , "two"] };
  cycle.self = cycle;
  assert.equal(logged("a %s %d %i %f %j %%", "b", 1.5, 2.9, "3.5", { a: 1 }), 'a b 1.5 2 3.5 {"a":1} %');
  assert.equal(logged(cycle), "{ name: 'x', list: [ 1, <1 empty item>, 'two' ], self: [Circular] }");
  assert.equal(logged(new Map([["k", new Set([1])]]), null, -0, 5n), "Map(1) { 'k' => Set(1) { 1 } } null -0 5n");
  assert.equal(logged({ a: { b: { c: { d: 1 } } } }), "{ a: { b: { c: [Object] } } }");
  assert.equal(logged(class A {}, function f() {}, () => {}), "[class A] [Function: f] [Function (anonymous)]");
  assert.equal(logged(new (class P { x = 1; get y() { return 1; } })()), "P { x: 1 }");
  assert.match(logged(new Error("outer", { cause: new TypeError("inner") })), /^Error: outer\n[^]*\[cause\]: TypeError: inner/);
  assert.equal(logged({ get a() { throw new Error(); } }), "{ a: [Getter] }");
  assert.match(logged(new Response("x", { status: 201 })), /^Response \{[^]*status: 201/);
  assert.equal(logged(Promise.resolve(1), new Uint8Array(2)), "Promise { 1 } Uint8Array(2) [ 0, 0 ]");
  assert.equal(logged(Object.create(null)), "[Object: null prototype] {}");
  console.group("g");
  assert.equal(logged("in\nside"), "  in\n  side");
  console.groupEnd();
  console.table([{ a: 1, b: "x" }]);
  assert.match(host.logs.at(-1)[1], /│ \(index\) │ a │ b   │\n/);
  console.assert(1 === 2, "math");
  assert.deepEqual(host.logs.at(-1), ["error", "Assertion failed: math"]);
  console.time("t");
  host.time += 5;
  console.timeEnd("t");
  assert.equal(host.logs.at(-1)[1], "t: 5.000 ms");
});

test("groups, counts and timers of console are an invocation's own", () => {
  const as = (context, run) => {
    host.context = context;
    run();
    host.context = 0;
    return host.logs.at(-1)[1];
  };
  as(1, () => console.group());
  as(1, () => console.count("a"));
  as(1, () => console.time("t"));
  assert.equal(as(2, () => console.log("other")), "other");
  assert.equal(as(1, () => console.log("mine")), "  mine");
  assert.equal(as(2, () => console.count("a")), "a: 1");
  assert.equal(as(1, () => console.count("a")), "  a: 2");
  assert.match(as(2, () => console.timeEnd("t")), /does not exist/);
  assert.match(as(1, () => console.timeEnd("t")), /^  t: /);
  // Of those that are long over nothing is kept.
  for (let context = 3; context < 1000; context++) as(context, () => console.group());
  assert.equal(as(1, () => console.log("mine")), "mine");
});

test("a failure tells the errors that an AggregateError is made of", async () => {
  const { describeError } = await load("errors");
  const inner = new RangeError("inner", { cause: new Error("deeper") });
  const { message, stack } = describeError(new AggregateError([new TypeError("a"), inner, 7], "all failed"));
  assert.equal(message, "all failed");
  assert.match(stack, /^    at [^]*\nerror 1 of 3: TypeError: a\n    at [^]*\nerror 2 of 3: RangeError: inner\n    at [^]*\nerror 3 of 3: 7$/);
  const caused = describeError(new Error("x", { cause: new AggregateError([inner], "all") }));
  assert.match(caused.stack, /\ncaused by: AggregateError: all\n[^]*\nerror 1 of 1: RangeError: inner\n/);
});

test("structuredClone copies what can be copied", () => {
  const value = { date: new Date(5), re: /a/gi, map: new Map([[1, { a: [1, , 3] }]]), set: new Set(["x"]), big: 5n, n: Object(1) };
  value.self = value;
  value.bytes = new Uint8Array([1, 2, 3]).subarray(1);
  value.same = value.bytes.buffer;
  value.error = new RangeError("r", { cause: "c" });
  const copy = structuredClone(value);
  assert.deepEqual(copy, value);
  assert.equal(copy.self, copy);
  assert.equal(copy.same, copy.bytes.buffer);
  assert.notEqual(copy.same, value.same);
  assert.equal(copy.error.constructor, RangeError);
  for (const bad of [() => {}, Symbol("s"), Promise.resolve(), new WeakMap(), new Response(), { a: [() => {}] }]) {
    assert.throws(() => structuredClone(bad), { name: "DataCloneError", code: 25 });
  }
  const buffer = new ArrayBuffer(4);
  assert.equal(structuredClone(buffer, { transfer: [buffer] }).byteLength, 4);
  assert.equal(host.detached.at(-1), buffer);
});

test("text coding, base64, crypto", async () => {
  const decoder = new TextDecoder();
  const bytes = utf8("\ufeff€𝄞x");
  let text = "";
  for (const byte of bytes) text += decoder.decode(Uint8Array.of(byte), { stream: true });
  assert.equal(text + decoder.decode(), "€𝄞x");
  assert.equal(new TextDecoder("utf8", { ignoreBOM: true }).decode(bytes)[0], "\ufeff");
  assert.throws(() => new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.of(0xff)), TypeError);
  assert.throws(() => new TextDecoder("latin-x"), RangeError);
  assert.equal(decoder.decode(Uint8Array.of(0xe2, 0x82), { stream: true }) + decoder.decode(), "\ufffd");
  assert.deepEqual(new TextEncoder().encodeInto("a€b", new Uint8Array(3)), { read: 1, written: 1 });
  assert.deepEqual(new TextEncoder().encodeInto("𝄞b", new Uint8Array(4)), { read: 2, written: 4 });
  assert.equal(atob(btoa("\xffa")), "\xffa");
  assert.throws(() => btoa("€"), { name: "InvalidCharacterError" });
  assert.match(crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.throws(() => crypto.getRandomValues(new Float32Array(1)), { name: "TypeMismatchError" });
  assert.throws(() => crypto.getRandomValues(new Uint8Array(65_537)), { name: "QuotaExceededError" });
  assert.notDeepEqual(crypto.getRandomValues(new Uint8Array(16)), new Uint8Array(16));
  const digest = crypto.subtle.digest({ name: "sha-256" }, utf8("x"));
  assert.equal(Buffer.from(await digest).toString("hex"), "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
  await assert.rejects(crypto.subtle.digest("SHA-3", utf8("x")), { name: "NotSupportedError" });
});

test("nothing of the inside shows", async () => {
  await settle();
  for (const value of [new Response(), new Request("http://a/"), new Headers(), new URL("http://a/"), new ReadableStream()]) {
    assert.deepEqual(Reflect.ownKeys(value), []);
    assert.equal(Object.prototype.toString.call(value), `[object ${value.constructor.name}]`);
    for (const key of Reflect.ownKeys(value.constructor)) {
      assert.ok(["length", "name", "prototype", "json", "redirect", "error", "canParse", "parse", "from"].includes(key), key);
    }
  }
  assert.equal(globalThis.__sv, undefined);
  assert.equal(self, globalThis);
  assert.equal(navigator.userAgent, "Selvedge");
});
