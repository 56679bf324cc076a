// Objects whose properties come, change and go, and strings: run by the engine and by Node, which must agree.
let said;
const say = (x) => said.push(x);
function shapes() {
  const mk = () => {
    const o = {};
    o.a = 1;
    o.b = 2;
    o.c = 3;
    o.d = 4;
    o.e = 5;
    return o;
  };
  const objs = [];
  for (let i = 0; i < 50; i++) objs.push(mk());
  say(JSON.stringify(objs[49]));
  delete objs[0].c;
  objs[0].c = 9;
  say(JSON.stringify(objs[0]) + JSON.stringify(objs[1]));
  Object.defineProperty(objs[2], "b", { get() {
    return "g";
  } });
  objs[2].f = 1;
  say(JSON.stringify(objs[2]));
  const z = mk();
  z.f = 2;
  say(JSON.stringify(z));
  Object.freeze(objs[3]);
  try {
    "use strict";
    objs[3].f = 1;
  } catch (e) {
    say("frozen");
  }
  say(JSON.stringify(objs[3]));
  const ne = Object.preventExtensions({ a: 1 });
  try {
    ne.b = 2;
  } catch (e) {
    say(e.constructor.name);
  }
  say(JSON.stringify(ne));
  try {
    Object.defineProperty(ne, "b", { value: 1 });
  } catch (e) {
    say(e.constructor.name);
  }
  class A {
    x = 1;
    y = 2;
    #z = 3;
    z() {
      return this.#z;
    }
  }
  for (let i = 0; i < 10; i++) new A();
  class B extends A {
    constructor() {
      super();
      Object.freeze(this);
    }
  }
  say(new B().z() + JSON.stringify(new B()));
  class R {
    constructor(o) {
      return o;
    }
  }
  class F extends R {
    f = 1;
    g = 2;
  }
  try {
    new F(Object.freeze({}));
  } catch (e) {
    say(e.constructor.name);
  }
  const px = new Proxy({}, { defineProperty(t, k3, d) {
    say("dp " + String(k3) + d.value);
    return Reflect.defineProperty(t, k3, d);
  } });
  new F(px);
  const fo = { f: 5, get g() {
    return 1;
  } };
  new F(fo);
  say(JSON.stringify(fo) + Object.getOwnPropertyDescriptor(fo, "g").value);
  const arr = [];
  new F(arr);
  say(arr.f + arr.g + arr.length);
  const ta = new Uint8Array(2);
  new F(ta);
  say(ta.f + ta.g);
  const fz = {};
  Object.defineProperty(fz, "f", { value: 1, configurable: false });
  try {
    new F(fz);
  } catch (e) {
    say(e.constructor.name);
  }
  const s1 = () => {
    const o = {};
    o.p1 = 1;
    o.p2 = 2;
    return o;
  };
  s1();
  s1();
  s1();
  Object.defineProperty(Object.prototype, "p2", { set(v) {
    say("setter " + v);
  }, configurable: true });
  say(JSON.stringify(s1()) + JSON.stringify({ p1: 1, p2: 2 }));
  delete Object.prototype.p2;
  say(JSON.stringify(s1()));
  Object.defineProperty(Object.prototype, "p2", { value: 7, writable: false, configurable: true });
  try {
    s1();
  } catch (e) {
    say(e.constructor.name);
  }
  say(JSON.stringify({ p1: 1, p2: 3 }));
  delete Object.prototype.p2;
  const proto = {};
  const c1 = () => {
    const o = Object.create(proto);
    o.m = 1;
    o.n = 2;
    return o;
  };
  for (let i = 0; i < 5; i++) c1();
  Object.setPrototypeOf(proto, { set n(v) {
    say("inh " + v);
  } });
  say(JSON.stringify(c1()));
  const o2 = c1();
  Object.setPrototypeOf(o2, null);
  o2.k = 1;
  say(JSON.stringify(o2) + ("toString" in o2));
  const dup = { a: 1, ["a"]: 2, a: 3, get a() {
    return 4;
  }, b: 1 };
  say(JSON.stringify(dup));
  say(JSON.stringify({ __proto__: { q: 1 }, a: 1 }) + { __proto__: { q: 1 }, a: 1 }.q);
  const big = {};
  for (let i = 0; i < 500; i++) big["k" + i] = i;
  for (let i = 0; i < 500; i += 3) delete big["k" + i];
  for (let i = 0; i < 100; i++) big["n" + i] = i;
  say(Object.keys(big).length + JSON.stringify(big).length);
  const bigs = [];
  for (let j = 0; j < 5; j++) {
    const b = {};
    for (let i = 0; i < 60; i++) b["q" + i] = i * j;
    bigs.push(b);
  }
  say(bigs.map((b) => Object.values(b).reduce((x, y) => x + y)).join());
  for (let r = 0; r < 2e3; r++) {
    const o = {};
    o["r" + r % 300] = 1;
    o["s" + r % 7] = 2;
    if (r % 300 !== r % 7 && Object.keys(o).length !== 2) say("bad");
    if (o["r" + r % 300] !== 1 || o["s" + r % 7] !== 2) say("bad");
  }
  say([1, 2, 3].indexOf("x") + "abcabc".indexOf("ca") + "abc".indexOf("", 2) + "abc".indexOf("", 9) + "abc".indexOf("a\
bcd") + "aé日a".indexOf("日") + "aéb".indexOf("é") + "abc".indexOf("日") + "aab".indexOf("ab", 1) + "abc".indexOf(
  "c", -5) + "abc".lastIndexOf("a") + "abcabc".lastIndexOf("c", 4) + "日本".indexOf("本"));
  say(["abc".includes(""), "abc".includes("bc", 1), "abc".includes("bc", 2), "abc".startsWith("b", 1), "abc".startsWith(
  "abcd"), "abc".endsWith("bc"), "abc".endsWith("b", 2), "abc".endsWith(""), "日本語".includes("本"), "日本語".
  endsWith("語"), "a".startsWith("日"), "abc".endsWith("zabc"), "\0a\0".includes("\0", 1)].join());
  say(["abc".charCodeAt(1), "abc".charCodeAt(-1), "abc".charCodeAt(3), "日".charCodeAt(0), "abc".charCodeAt(1.7), "ab\
c".charCodeAt("2"), String.prototype.charCodeAt.call(123, 1), "x".charCodeAt(2 ** 31)].join());
  try {
    String.prototype.charCodeAt.call(null, 0);
  } catch (e) {
    say(e.constructor.name);
  }
  const k = "string", k2 = "stri" + String("ng");
  say([typeof k === "string", k === k2, k !== k2, false, true, false, k === new String("string"), true, "ab".slice(0, 1) ===
  "a"].join());
  say(["a".repeat(300).split("").length, "xaxbx".replaceAll("x", "-"), "xaxbx".split("x").join("|"), "abcabc".replace(
  "ca", "!")].join());
}
export const answer = () => {
  said = [];
  shapes();
  return said.join("\n");
};
export default { fetch() {
  return new Response(answer());
} };
