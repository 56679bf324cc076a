// Requests, responses, headers, forms and files: what the Fetch and File API standards say beyond the hot path.
import { test } from "node:test";
import assert from "node:assert/strict";
import { OP, complete, host, inside, operation, responseTo, send, settle, utf8 } from "./mock.mjs";

test("headers that came from outside are immutable, copies are not", async () => {
  const [incoming, clone, copy, response, mutable] = await inside(async (request) => {
    const fetched = fetch("http://o.test/");
    await complete(operation(OP.FETCH), [200, "OK", "http://o.test/", false, "x-a\n1", null, 0]);
    const answer = await fetched;
    return [request, request.clone(), new Request(request), answer, new Response(answer.body, answer)];
  }, { headers: "x-a\n1" });
  for (const { headers } of [incoming, clone, response, response.clone(), Response.error(), Response.redirect("http://a/")]) {
    assert.throws(() => headers.set("x-b", "2"), TypeError);
    assert.throws(() => headers.append("x-b", "2"), TypeError);
    assert.throws(() => headers.delete("x-a"), TypeError);
  }
  for (const { headers } of [copy, mutable, new Response().clone(), new Request("http://a/").clone()]) {
    headers.set("x-b", "2");
    assert.equal(headers.get("x-b"), "2");
  }
  assert.equal(copy.headers.get("x-a"), "1");
});

test("an incoming request is passed on without following redirects", async () => {
  await inside((request) => void fetch(request));
  assert.equal(operation(OP.FETCH).args[5], "manual");
  await inside(() => void fetch("http://a.test/"));
  assert.equal(operation(OP.FETCH).args[5], "follow");
});

test("members shared by Request and Response reject for what is neither", async () => {
  for (const name of ["text", "json", "bytes", "arrayBuffer", "blob", "formData"]) {
    await assert.rejects(Response.prototype[name].call({}), TypeError);
    assert.ok(Object.getOwnPropertyDescriptor(Request.prototype, name).enumerable);
    assert.equal(Request.prototype[name].name, name);
  }
  assert.throws(() => Object.getOwnPropertyDescriptor(Request.prototype, "body").get.call({}), TypeError);
});

test("Request keeps and checks what a browser would act on", () => {
  const request = new Request("http://a/", { cache: "no-store", mode: "same-origin", credentials: "omit", keepalive: 1,
    referrer: "http://b/x", referrerPolicy: "origin", integrity: "sha256-x" });
  const read = ({ cache, mode, credentials, keepalive, referrer, referrerPolicy, integrity }) =>
    [cache, mode, credentials, keepalive, referrer, referrerPolicy, integrity];
  const expect = ["no-store", "same-origin", "omit", true, "http://b/x", "origin", "sha256-x"];
  assert.deepEqual(read(request), expect);
  assert.deepEqual(read(request.clone()), expect);
  assert.deepEqual(read(new Request(request, { method: "POST" })), expect);
  for (const init of [{ cache: "x" }, { mode: "navigate" }, { credentials: "x" }, { referrerPolicy: "x" }, { window: 1 },
    { duplex: "full" }, { redirect: "x" }, { cache: "only-if-cached" }, { referrer: "http://:x" }]) {
    assert.throws(() => new Request("http://a/", init), TypeError, JSON.stringify(init));
  }
  assert.equal(new Request("http://a/").cache, "default");
});

test("Response.json and Response.redirect take what they are given", async () => {
  const response = Response.json({ a: 1 }, { status: 201, headers: { "content-type": "application/problem+json" } });
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(await response.text(), '{"a":1}');
  assert.equal(Response.json(1, { headers: { "x-a": "b" } }).headers.get("content-type"), "application/json");
  assert.throws(() => Response.json(undefined), TypeError);
  assert.throws(() => Response.json(1, { status: 204 }), TypeError);
  assert.equal(Response.redirect("http://a/", "307").status, 307);
  assert.throws(() => Response.redirect("http://a/", 200), RangeError);
});

test("a blob's type is the content type as the standard writes it", async () => {
  const typed = async (type) => (await new Response("x", { headers: { "content-type": type } }).blob()).type;
  assert.equal(await typed("Text/HTML; Charset=\"utf-8\"; a=b c"), "text/html;charset=utf-8;a=\"b c\"");
  assert.equal(await typed("nonsense"), "");
  assert.equal(await typed("text/plain;charset=gbk, text/plain"), "text/plain;charset=gbk");
});

test("Blob and File follow the File API", async () => {
  assert.equal(new Blob(undefined).size, 0);
  for (const parts of [null, "x", 7, new Date(), {}]) assert.throws(() => new Blob(parts), TypeError);
  assert.throws(() => new Blob([], { endings: "x" }), TypeError);
  assert.equal(await new Blob(["a\r\nb\rc\n"], { endings: "native" }).text(), "a\nb\nc\n");
  assert.equal(await new Blob(["hello"]).slice(-3, -1, "Text/X").text(), "ll");
  assert.equal(new Blob(["hello"]).slice(1.5, 4.5).size, 2);
  assert.equal(new Blob([], { type: "Text/É" }).type, "");
  assert.throws(() => new File([]), TypeError);
  assert.throws(() => new File("x", "n"), TypeError);
  const file = new File(["x"], "n", { lastModified: new Date(5) });
  assert.equal(file.lastModified, 5);
  assert.equal(Object.prototype.toString.call(file.slice()), "[object Blob]");
});

test("FormData checks its arguments and travels as multipart", async () => {
  const form = new FormData();
  assert.throws(() => new FormData(null), TypeError);
  assert.throws(() => form.append("a"), TypeError);
  assert.throws(() => form.append("a", "b", "c"), TypeError);
  assert.throws(() => form.get(), TypeError);
  form.append('q"\r\n', "a\nb");
  form.append("f", new File(["\x00\xff"], "n", { type: "x/y", lastModified: 3 }), "other");
  assert.equal(form.get("f").lastModified, 3);
  assert.equal(Object.prototype.toString.call(form.entries()), "[object FormData Iterator]");
  const back = await new Response(form).formData();
  assert.equal(back.get('q"\r\n'), "a\r\nb");
  assert.equal(back.get("f").name, "other");
  assert.equal(back.get("f").type, "x/y");
  assert.deepEqual([...(await back.get("f").bytes())], [0, 195, 191]);
  assert.deepEqual([...(await new Response(new FormData()).formData())], []);
});

test("encodings other than UTF-8 are the host's", () => {
  const decoder = new TextDecoder("Latin1");
  assert.equal(decoder.encoding, "windows-1252");
  assert.equal(decoder.decode(new Uint8Array([0xe9])), "é");
  assert.equal(new TextDecoder("utf-16").decode(new Uint8Array([0xff, 0xfe, 0x61, 0])), "a");
  assert.equal(new TextDecoder("utf-16", { ignoreBOM: true }).decode(new Uint8Array([0xff, 0xfe])), "\ufeff");
  assert.throws(() => new TextDecoder("replacement-x"), RangeError);
  assert.throws(() => new TextDecoder("utf-8", 1), TypeError);
});
