// `URLPattern`, by the URL Pattern Standard.
import { test } from "node:test";
import assert from "node:assert/strict";
import "./mock.mjs";

const groups = (pattern, input, component = "pathname") => pattern.exec(input)?.[component].groups;

test("a constructor string gives a pattern for each component", () => {
  const pattern = new URLPattern("https://*.example.com:8080/books/:id(\\d+)\\?q=*#:part");
  const read = ({ protocol, username, hostname, port, pathname, search, hash }) =>
    [protocol, username, hostname, port, pathname, search, hash];
  assert.deepEqual(read(pattern), ["https", "*", "*.example.com", "8080", "/books/:id(\\d+)", "q=*", ":part"]);
  assert.equal(pattern.hasRegExpGroups, true);
  const result = pattern.exec("https://a.example.com:8080/books/7?q=x#y");
  assert.deepEqual(result.pathname, { input: "/books/7", groups: { id: "7" } });
  assert.deepEqual(result.hash.groups, { part: "y" });
  assert.deepEqual(result.inputs, ["https://a.example.com:8080/books/7?q=x#y"]);
  assert.equal(pattern.test("https://a.example.com:8080/books/x?q=x#y"), false);
  assert.equal(new URLPattern("/a/*", "http://h/").test("/a/b?c", "http://h"), true);
});

test("groups may be optional, repeated, and have a prefix", () => {
  const at = (path) => ({ pathname: path });
  assert.deepEqual(groups(new URLPattern(at("/a/:b?")), at("/a")), { b: undefined });
  assert.deepEqual(groups(new URLPattern(at("/a/:b*")), at("/a/x/y")), { b: "x/y" });
  assert.equal(groups(new URLPattern(at("/a/:b+")), at("/a")), undefined);
  assert.deepEqual(groups(new URLPattern(at("/a{-:b}?")), at("/a-x")), { b: "x" });
  assert.equal(new URLPattern(at("/A"), { ignoreCase: true }).test(at("/a")), true);
  assert.equal(new URLPattern(at("/café")).pathname, "/caf%C3%A9");
  assert.equal(new URLPattern({ hostname: "h", search: ":q" }).test("http://h/?"), false);
});

test("what is no pattern is a TypeError, what is no URL does not match", () => {
  for (const bad of ["/a/:b/:b", "/(", "/{a", "/((a))", "/(é)"]) {
    assert.throws(() => new URLPattern({ pathname: bad }), TypeError, bad);
  }
  assert.throws(() => new URLPattern("/relative"), TypeError);
  assert.throws(() => new URLPattern({ port: "x" }), TypeError);
  assert.throws(() => new URLPattern({}, "http://h/"), TypeError);
  assert.equal(new URLPattern().test("no url"), false);
  assert.equal(new URLPattern().exec({ port: "x" }), null);
});
