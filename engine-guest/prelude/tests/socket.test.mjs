// WebSockets and event sources; the host's half is played by hand.
import { test } from "node:test";
import assert from "node:assert/strict";
import { OP, complete, failOperation, failureOf, host, inside, operation, responseTo, send, settle, utf8 } from "./mock.mjs";

/** What was said about sockets, newest last. */
let said = [];
host.socketCall = (code, ...args) => {
  said.push([code, ...args]);
  if (code === 190) return 7000 + said.length;
  return code === 194 ? 11 : undefined;
};

function events(socket, into = []) {
  for (const type of ["open", "message", "close", "error"]) {
    socket.addEventListener(type, (event) => {
      if (type === "message") into.push(event.data);
      else into.push(type === "close" ? [event.code, event.reason, event.wasClean] : type);
    });
  }
  return into;
}

test("two sockets of one worker hear each other, in order", async () => {
  const { 0: one, 1: other } = new WebSocketPair();
  assert.deepEqual(Object.keys(new WebSocketPair()), ["0", "1"]);
  assert.throws(() => one.send("too early"), TypeError);
  one.accept();
  assert.throws(() => one.accept(), TypeError);
  const heardByOne = events(one);
  const heardByOther = events(other);
  one.send("a");
  one.send(new Uint8Array([1, 2]));
  await settle();
  assert.deepEqual(heardByOther, [], "not before it is accepted");
  other.accept();
  other.onmessage = (event) => event.data === "a" && other.send("back");
  await settle();
  assert.equal(heardByOther[0], "a");
  assert.ok(heardByOther[1] instanceof ArrayBuffer && heardByOther[1].byteLength === 2);
  assert.deepEqual(heardByOne, ["back"]);
  other.close(3000, "done");
  assert.equal(other.readyState, WebSocket.CLOSING);
  await settle();
  assert.deepEqual(heardByOne.at(-1), [3000, "done", true]);
  assert.deepEqual(heardByOther.at(-1), [3000, "done", true]);
  assert.equal(one.readyState, WebSocket.CLOSED);
  assert.throws(() => one.send("late"), TypeError);
  one.close();
});

test("messages and closes are checked", () => {
  const { 0: one, 1: other } = new WebSocketPair();
  one.accept();
  other.accept();
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "x", 1000.5]) {
    assert.throws(() => one.close(code), { name: "InvalidAccessError" }, String(code));
  }
  assert.throws(() => one.close(1000, "é".repeat(62)), { name: "SyntaxError" });
  assert.throws(() => one.close(undefined, "why"), TypeError);
  assert.throws(() => one.send(), TypeError);
  assert.throws(() => one.send(Symbol()), TypeError);
  assert.throws(() => WebSocket.prototype.send.call({}, ""), TypeError);
  one.binaryType = "nonsense";
  assert.equal(one.binaryType, "arraybuffer");
  one.serializeAttachment({ a: [1] });
  const kept = one.deserializeAttachment();
  assert.deepEqual(kept, { a: [1] });
  assert.notEqual(kept, one.deserializeAttachment());
  assert.throws(() => one.serializeAttachment(() => {}), { name: "DataCloneError" });
  assert.equal(other.deserializeAttachment(), null);
});

test("an upgrade gives one end to the host and reads from the other", async () => {
  said = [];
  let heard;
  const id = send(() => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.send("early");
    heard = events(server);
    server.addEventListener("message", ({ data }) => server.send(`echo ${data}`));
    return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": "chat" } });
  });
  const { status, headers, pending } = responseTo(id);
  assert.deepEqual([status, headers, pending], [101, "sec-websocket-protocol\nchat", true]);
  assert.deepEqual(said, [[190], [192, 7001, "early"], [191, id, 7001]]);
  await complete(operation(OP.SOCKET_READ), "hello");
  assert.deepEqual(said.at(-1), [192, 7001, "echo hello"]);
  await complete(operation(OP.SOCKET_READ), utf8("x"));
  assert.ok(heard[1] instanceof ArrayBuffer);
  assert.ok(!host.done.includes(id));
  await complete(operation(OP.SOCKET_READ), [1001, "bye", true, null]);
  assert.deepEqual(heard.at(-1), [1001, "bye", true]);
  assert.ok(host.done.includes(id));
});

test("what a close begins with waitUntil is waited for", async () => {
  let finish;
  const id = send((request, env, ctx) => {
    const { 0: client, 1: server } = new WebSocketPair();
    // Accepted when it suits the worker.
    queueMicrotask(() => server.accept());
    server.onclose = () => ctx.waitUntil(new Promise((resolve) => (finish = resolve)));
    return new Response(null, { status: 101, webSocket: client });
  });
  await settle();
  await complete(operation(OP.SOCKET_READ), [1006, "", false, null]);
  assert.ok(!host.done.includes(id));
  finish();
  await settle();
  assert.ok(host.done.includes(id));
});

test("a socket that goes out must be unused, and 101 needs one", async () => {
  assert.throws(() => new Response(null, { status: 101 }), RangeError);
  assert.throws(() => new Response(null, { status: 101, webSocket: {} }), TypeError);
  const { 0: client, 1: server } = new WebSocketPair();
  assert.throws(() => new Response("body", { status: 101, webSocket: client }), TypeError);
  server.accept();
  assert.throws(() => new Response(null, { status: 101, webSocket: server }), TypeError);
  const response = new Response(null, { status: 101, webSocket: client });
  assert.equal(response.webSocket, client);
  assert.equal(new Response("").webSocket, null);
  const first = send(() => response);
  assert.equal(responseTo(first).status, 101);
  assert.throws(() => client.accept(), TypeError);
  const second = send(() => response);
  assert.match(failureOf(second).message, /went out with a response already/);
});

test("fetch brings a socket, to be accepted or passed on", async () => {
  said = [];
  const answer = [101, "Switching Protocols", "http://a.test/", false, "upgrade\nwebsocket", null, 42];
  const id = send(() => fetch("http://a.test/", { headers: { upgrade: "websocket" } }));
  await complete(operation(OP.FETCH), answer);
  assert.equal(responseTo(id).status, 101);
  assert.deepEqual(said, [[191, id, 42]], "it passes without being looked at");

  const response = inside(() => fetch("http://a.test/", { headers: { upgrade: "websocket" } }));
  await settle();
  await complete(operation(OP.FETCH), [...answer.slice(0, 6), 43]);
  const socket = (await response).webSocket;
  assert.ok(socket instanceof WebSocket && socket === (await response).webSocket);
  const heard = events(socket);
  socket.accept();
  assert.deepEqual(operation(OP.SOCKET_READ).args, [43]);
  assert.equal(socket.bufferedAmount, 11);
  socket.close(1000, "enough");
  assert.deepEqual(said.at(-1), [193, 43, 1000, "enough"]);
  await complete(operation(OP.SOCKET_READ), [1000, "enough", true, null]);
  assert.deepEqual(heard, [[1000, "enough", true]]);
});

test("a client socket connects, speaks and ends", async () => {
  for (const bad of ["nonsense", "ftp://a.test/", "ws://a.test/#f"]) {
    assert.throws(() => new WebSocket(bad), { name: "SyntaxError" }, bad);
  }
  assert.throws(() => new WebSocket("ws://a.test/", ["a", "a"]), { name: "SyntaxError" });
  assert.throws(() => new WebSocket("ws://a.test/", "a b"), { name: "SyntaxError" });
  const socket = new WebSocket("wss://a.test/x?y", ["chat", "other"]);
  const heard = events(socket);
  const { args } = operation(OP.FETCH);
  assert.deepEqual(args.slice(0, 3), ["GET", "https://a.test/x?y", "upgrade\nwebsocket\nsec-websocket-protocol\nchat, other"]);
  assert.equal(socket.readyState, WebSocket.CONNECTING);
  assert.throws(() => socket.send("x"), { name: "InvalidStateError" });
  await complete(operation(OP.FETCH), [101, "", "", false, "sec-websocket-protocol\nchat", null, 50]);
  assert.deepEqual([socket.protocol, socket.url, socket.readyState], ["chat", "wss://a.test/x?y", 1]);
  socket.addEventListener("message", ({ origin }) => assert.equal(origin, "wss://a.test"), { once: true });
  await complete(operation(OP.SOCKET_READ), "hi");
  await complete(operation(OP.SOCKET_READ), [1011, "", false, "socket_idle"]);
  socket.send("ignored");
  assert.deepEqual(heard, ["open", "hi", "error", [1011, "", false]]);
});

test("a client socket that cannot connect says so", async () => {
  const refused = new WebSocket("ws://a.test/");
  const heard = events(refused);
  await failOperation(operation(OP.FETCH), "TypeError", "no route", "egress_denied");
  assert.deepEqual(heard, ["error", [1006, "", false]]);
  const plain = events(new WebSocket("ws://a.test/"));
  await complete(operation(OP.FETCH), [200, "OK", "", false, "", null, 0]);
  assert.deepEqual(plain, ["error", [1006, "", false]]);
  const closed = new WebSocket("ws://a.test/");
  const early = events(closed);
  closed.close();
  await settle();
  assert.deepEqual(early, ["error", [1006, "", false]]);
  said = [];
  await complete(operation(OP.FETCH), [101, "", "", false, "", null, 60]);
  assert.deepEqual(said, [[193, 60, null, ""]]);
});

async function eventStream(...chunks) {
  const source = new EventSource("http://a.test/events");
  const heard = [];
  for (const type of ["open", "message", "error", "add"]) {
    source.addEventListener(type, (event) => heard.push(event.data === undefined ? type : [type, event.data, event.lastEventId]));
  }
  await complete(operation(OP.FETCH), [200, "OK", "http://a.test/events", false, "content-type\ntext/event-stream; charset=utf-8", null, 9]);
  for (const chunk of chunks) await complete(operation(OP.BODY_READ), chunk);
  return { source, heard };
}

test("an event stream is parsed, however it is cut", async () => {
  const text = "\ufeff: hello\r\ndata: one\rdata:two\n\nid: 5\nevent: add\ndata\n\r\nid\ndata:  é\r\n\r\nretry: 10\nnothing: x\ndata: lost";
  const expect = ["open", ["message", "one\ntwo", ""], ["add", "", "5"], ["message", " é", ""]];
  const bytes = utf8(text);
  const whole = await eventStream(bytes);
  assert.deepEqual(whole.heard, expect);
  const single = await eventStream(...[...bytes].map((byte) => new Uint8Array([byte])));
  assert.deepEqual(single.heard, expect);
  whole.source.close();
  single.source.close();
  assert.equal(single.source.readyState, EventSource.CLOSED);
});

test("an event source comes back with the last id, after the stream's own delay", async () => {
  const { source, heard } = await eventStream(utf8("retry: 10\nid: 7\ndata: x\n\n"), null);
  assert.deepEqual(heard, ["open", ["message", "x", "7"], "error"]);
  assert.equal(source.readyState, EventSource.CONNECTING);
  const timer = operation(OP.TIMER);
  assert.deepEqual(timer.args, [10]);
  await complete(timer, undefined);
  assert.match(operation(OP.FETCH).args[2], /last-event-id\n7/);
  await complete(operation(OP.FETCH), [204, "No Content", "", false, "", null, 0]);
  assert.equal(source.readyState, EventSource.CLOSED);
  assert.deepEqual(heard.slice(3), ["error"]);
});
