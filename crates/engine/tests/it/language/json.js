// JSON of odd and of random values: run by the engine and by Node, which must agree.
let said;
const say = (x) => said.push(x.replace(/[^ -~]/g, (c) => "\\u" + c.charCodeAt(0).toString(16)));
let seed;
const rnd = () => {
  seed = Math.imul(seed, 1103515245) + 12345 >>> 0;
  return seed / 4294967296;
};
const ri = (n2) => Math.floor(rnd() * n2);
let h, n, bad;
const add = (s) => {
  s = String(s);
  n++;
  for (let i = 0; i < s.length; i++) h = Math.imul(h, 31) + s.charCodeAt(i) | 0;
};
const strs = ["", "a", "abc", "name", "hello world", 'quote"s', "back\\slash", "tab\x09", "nl\n", "\x01", "\x7f", "é", "ÿ", "日本", "😀", "\uD800", "\uDC00x", "a".repeat(40), "long " + "x".repeat(100) + "\n", "/", "\b\f\r", "__proto__", "0",
"12", "-1", "1e3", "toJSON0", "constructor"];
const num = () => {
  switch (ri(9)) {
    case 0:
      return ri(1e3) - 500;
    case 1:
      return (ri(2e6) - 1e6) / 100;
    case 2:
      return rnd();
    case 3:
      return rnd() * 1e21;
    case 4:
      return -0;
    case 5:
      return [NaN, Infinity, -Infinity, 1e21, 1e-7, 12345678901234568e4, 5e-324, 17976931348623157e292, 0.1 + 0.2, 1e15,
      9999999999999999e-1, 1e-6, 1234e-9, 4294967296, -2147483648, 2147483648, 2 ** 53, 15e299][ri(18)];
    case 6:
      return (ri(1e9) * 1e6 + ri(1e6)) / 10 ** ri(16);
    case 7:
      return ri(4294967296) - 2147483648;
    default:
      return Math.round(rnd() * 1e6) / 10 ** ri(8);
  }
};
const val = (d) => {
  const k = ri(d > 4 ? 5 : 8);
  switch (k) {
    case 0:
      return strs[ri(strs.length)];
    case 1:
      return num();
    case 2:
      return rnd() < 0.5;
    case 3:
      return null;
    case 4:
      return rnd() < 0.2 ? void 0 : num();
    case 5: {
      const a = [];
      for (let i = ri(6); i > 0; i--) a.push(val(d + 1));
      return a;
    }
    default: {
      const o = {};
      const m = ri(3);
      const c = ri(6);
      for (let i = 0; i < c; i++) {
        const key = m === 0 ? ["id", "name", "tags", "score", "active", "x"][i] : strs[ri(strs.length)];
        Object.defineProperty(o, key, { value: val(d + 1), writable: true, enumerable: true, configurable: true });
      }
      return o;
    }
  }
};
const dump = (v) => {
  if (typeof v === "number") return Object.is(v, -0) ? "-0" : String(v);
  if (Array.isArray(v)) return "[" + v.map(dump).join() + "]";
  if (v && typeof v === "object") return "{" + Reflect.ownKeys(v).map((k) => String(k) + ":" + dump(Object.getOwnPropertyDescriptor(
  v, k).value)).join() + "}";
  return typeof v + ":" + v;
};
const T = (f) => {
  try {
    say(String(f()));
  } catch (e) {
    say(e.constructor.name);
  }
};
function random() {
  for (let i = 0; i < 500; i++) {
    const v = val(0);
    const s = JSON.stringify(v);
    add(s);
    if (s !== void 0) {
      add(dump(JSON.parse(s)));
      const sp = JSON.stringify(v, null, 2);
      add(sp);
      add(dump(JSON.parse(sp)));
      for (let k = 0; k < 3; k++) {
        const p = ri(s.length + 1);
        const t = s.slice(0, p) + ["", '"', "}", "]", ",", ":", "0", "-", ".", "e", " ", "\\", "\n", "t", "é", "\0", "\
{", "["][ri(18)] + s.slice(p + ri(2));
        try {
          add(dump(JSON.parse(t)));
        } catch (e) {
          add("E" + (e instanceof SyntaxError));
        }
      }
    }
  }
  for (let i = 0; i < 4e3; i++) {
    const x = num();
    add(x);
    add(JSON.stringify([x]));
    if (Number.isFinite(x) && !Object.is(x, -0) && Number(String(x)) !== x) bad.push(x);
    add(dump(JSON.parse("[" + x.toString().replace(/NaN|-?Infinity/, "null") + "]")));
  }
  for (const t of ["1.", "01", "-", "-a", "+1", ".5", "1e", "1e+", "1E5", "1e-5", "-0", "-0.0", "0.0", "00", "1.5.2", "\
123456789012345678901234567890", "0.1234567890123456789", "1e400", "1e-400", "9007199254740993", "1.0", "-1.0", "10000\
0000000000000000", "0e0", "[1,]", '{"a":1,}', "{,}", "[,]", '{"a" : 1 , "b":2}', " [ 1 , 2 ] ", "[1 2]", "tru", "truex",
  "nul", '"a', '"\\u12"', '"\\x"', '"\\u00e9\\ud83d\\ude00"', "'a'", "\uFEFF1", " 1", "1\0", '{"a":1,"a":2,"b":3}', '\
{"1":1,"0":0,"a":2}', '{"__proto__":{"x":1}}', "{a:1}", "[", "{", '{"a"', '{"a":', '{"a":1', '"\x1f"', "[[[[[[[[[[1]]]]]]\
]]]]", "", "   ", "// c\n1"]) {
    try {
      add(t + "=" + dump(JSON.parse(t)));
      say(t + "=" + dump(JSON.parse(t)));
    } catch (e) {
      add(t + "!");
      say(t + "!" + (e instanceof SyntaxError));
    }
  }
  add(dump(JSON.parse('[{"a":1,"b":2},{"a":1},{"a":1,"b":2,"c":3},{"b":1,"a":2},{"a":1,"b":2},{"a\\u0062":1},{"ab":1},{\
"a":{"a":1,"b":{"a":1,"b":2}},"b":2},{"a":1,"b":2,"a":3},{"a":1,"0":2},{"a":1,"b":2}]')));
}
function corners() {
  T(() => JSON.stringify({ toJSON(k) {
    return "k" + k;
  } }));
  T(() => JSON.stringify({ a: { toJSON(k) {
    return k;
  } }, b: [{ toJSON(k) {
    return k + 1;
  } }] }));
  T(() => JSON.stringify({ a: 1n }));
  T(() => JSON.stringify([1n]));
  T(() => JSON.stringify(1n));
  T(() => {
    BigInt.prototype.toJSON = function() {
      return "big" + this;
    };
    try {
      return JSON.stringify({ a: 1n, b: [2n] });
    } finally {
      delete BigInt.prototype.toJSON;
    }
  });
  T(() => {
    const o = {};
    o.o = o;
    return JSON.stringify(o);
  });
  T(() => {
    const a = [];
    a.push({ a });
    return JSON.stringify(a);
  });
  T(() => {
    const x = { y: 1 };
    return JSON.stringify([x, x, { x }]);
  });
  T(() => JSON.stringify({ f() {
  }, s: /* @__PURE__ */ Symbol(), u: void 0, d: /* @__PURE__ */ new Date(0), n: new Number(3), st: new String("q"), b: new Boolean(
  false), m: /* @__PURE__ */ new Map([[1, 2]]), re: /x/, e: new Error("x") }));
  T(() => JSON.stringify([function() {
  }, /* @__PURE__ */ Symbol(), void 0, , 1]));
  T(() => JSON.stringify({ get a() {
    return 5;
  }, b: 1 }));
  T(() => {
    const o = { a: { toJSON() {
      delete o.b;
      o.c = 9;
      return 1;
    } }, b: 2, c: 3 };
    return JSON.stringify(o);
  });
  T(() => {
    const o = [{ toJSON() {
      o.length = 2;
      return 1;
    } }, 2, 3, { x: 1 }];
    return JSON.stringify(o);
  });
  T(() => {
    const o = [{ toJSON() {
      o.push(7);
      o[1] = { z: 1 };
      return 1;
    } }, 2, 3];
    return JSON.stringify(o);
  });
  T(() => {
    const c = { x: { y: 1 } };
    const o = { p: { q: { r: 1 } }, a: { toJSON() {
      Object.prototype.toJSON = function(k) {
        return typeof this === "object" ? "T" + k : this;
      };
      return 0;
    } }, z: { x: { y: 1 } }, w: [{ y: 2 }] };
    try {
      return JSON.stringify(o);
    } finally {
      delete Object.prototype.toJSON;
    }
  });
  T(() => {
    class G {
      get a() {
        return { x: { y: 1 } };
      }
      get b() {
        Object.prototype.toJSON = function(k) {
          return "T" + k;
        };
        return { x: { y: 1 } };
      }
    }
    const g = Object.create(null, { a: { enumerable: true, get() {
      return { x: { y: 1 } };
    } }, b: { enumerable: true, get() {
      Object.prototype.toJSON = function(k) {
        return "T" + k;
      };
      return { x: { y: 1 } };
    } }, c: { enumerable: true, get() {
      delete Object.prototype.toJSON;
      return { x: { y: 1 } };
    } } });
    try {
      return JSON.stringify(g) + JSON.stringify([g]);
    } finally {
      delete Object.prototype.toJSON;
    }
  });
  T(() => {
    Array.prototype.toJSON = function() {
      return "arr";
    };
    try {
      return JSON.stringify({ a: [1], b: { c: [2] } });
    } finally {
      delete Array.prototype.toJSON;
    }
  });
  T(() => JSON.stringify(new Proxy({ a: 1, b: { c: 2 } }, {})));
  T(() => JSON.stringify({ p: new Proxy([1, 2, { a: 1 }], {}) }));
  T(() => JSON.stringify(Object.freeze({ a: Object.freeze([1, { b: 2 }]) })));
  T(() => JSON.stringify(new Uint8Array([1, 2])));
  T(() => JSON.stringify({ u: new Float64Array([1.5]), a: /* @__PURE__ */ (function() {
    return arguments;
  })(1, 2) }));
  T(() => {
    const p = { inherited: 1 };
    const o = Object.create(p);
    o.own = 2;
    return JSON.stringify(o);
  });
  T(() => {
    const p = new Proxy({}, { get(t, k) {
      return k === "toJSON" ? () => "px" : void 0;
    } });
    const o = Object.create(p);
    o.a = 1;
    return JSON.stringify([o, { k: o }]);
  });
  T(() => {
    const o = { b: 1, a: 2, 1: 3, 0: 4 };
    return JSON.stringify(o);
  });
  T(() => {
    const o = { a: 1, b: 2, c: 3 };
    delete o.b;
    o.d = 4;
    return JSON.stringify(o);
  });
  T(() => {
    const o = { [/* @__PURE__ */ Symbol("x")]: 1, a: 2 };
    return JSON.stringify(o);
  });
  T(() => {
    const o = {};
    Object.defineProperty(o, "h", { value: 1 });
    o.a = 1;
    return JSON.stringify([o]);
  });
  T(() => {
    class A {
      #p = 1;
      x = 2;
    }
    return JSON.stringify([new A(), new A()]);
  });
  T(() => JSON.stringify({ a: [1, { b: 2 }] }, ["a", "b"]));
  T(() => JSON.stringify({ a: [1, { b: 2 }] }, (k, v) => typeof v === "number" ? v + 1 : v));
  T(() => JSON.stringify({ a: [1, { b: [] }], c: {} }, null, "--"));
  T(() => {
    const a = [1, 2, 3];
    a.length = 5;
    return JSON.stringify(a);
  });
  T(() => {
    const a = [1, 2, 3];
    a.foo = 1;
    a[10] = 1;
    return JSON.stringify({ a });
  });
  T(() => {
    class X extends Array {
    }
    return JSON.stringify([new X(3), X.from([1, 2])]);
  });
  T(() => {
    let d = [];
    for (let i = 0; i < 2e5; i++) d = [d];
    return JSON.stringify(d).length;
  });
  T(() => {
    let d = {};
    for (let i = 0; i < 2e5; i++) d = { d };
    return JSON.stringify(d).length;
  });
  T(() => {
    const o = JSON.parse('[{"a":1,"b":2},{"a":3,"b":4}]');
    o[0].c = 1;
    delete o[1].a;
    Object.setPrototypeOf(o[0], null);
    return Object.keys(o[0]) + "|" + Object.keys(o[1]) + JSON.stringify(JSON.parse('[{"a":1,"b":2},{"a":3,"b":4}]')) +
    ("toString" in JSON.parse('[{"a":1,"b":2}]')[0]);
  });
  T(() => {
    Object.defineProperty(Object.prototype, "a", { set(v) {
      throw new Error("setter");
    }, configurable: true });
    try {
      return JSON.stringify(JSON.parse('[{"a":1,"b":2},{"a":1,"b":2}]'));
    } finally {
      delete Object.prototype.a;
    }
  });
  T(() => {
    let s = "x";
    for (let i = 0; i < 200; i++) s += '"y' + i;
    return JSON.stringify({ s, t: [s] }).length + JSON.stringify(s + "日");
  });
  T(() => JSON.parse('["' + "é".repeat(3) + '","ÿ",{"ék":1}]').length + Object.keys(JSON.parse('[{"ék":1},{"ék":2}]')[1]));
  T(() => {
    const t = 'zz[{"a":1,"b":"' + "x".repeat(200) + '"}]zz';
    return JSON.parse(t.slice(2, -2))[0].b.length;
  });
  T(() => JSON.stringify("日".repeat(3) + '\n"'));
  T(() => JSON.stringify({ "日": 1, "é\n": 2 }));
}
export const answer = () => {
  said = [];
  seed = 12345;
  h = n = 0;
  bad = [];
  random();
  corners();
  say(`${n} ${h} ${bad.length}`);
  return said.join("\n");
};
export default { fetch() {
  return new Response(answer());
} };
