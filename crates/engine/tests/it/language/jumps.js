// Comparisons, `&&`, `||` and `switch` over values of all kinds, and properties of variables: run by the engine and by
// Node, which must agree.
let told, count, sum;
const tell = (what) => told.push(what);
const add = (text) => {
  text = String(text);
  count++;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0;
};

function named(x) {
  switch (x) {
    case "a":
    case "b":
      return 1;
    case "1":
      return 2;
    case "":
      return 3;
    case "long name":
      return 4;
    case 5:
      return 5;
    case "c": {
    }
    case "d":
      return 6;
    default:
      return 0;
  }
}

function looped(turns) {
  let out = "";
  for (let i = 0; i < turns; i++) {
    switch ("abc"[i % 3]) {
      case "a":
        out += "A";
        continue;
      case "b":
        break;
      default:
        out += "C";
    }
    out += ".";
  }
  return out;
}

const objects = [{}, [], () => 1];
const values = [
  undefined, null, true, false, 0, -0, 1, 1.5, NaN, "", "a", "ab", ...objects, objects[0], Symbol.iterator, Symbol.iterator,
  1n, 2n ** 70n, 2n ** 70n, "x".repeat(3), "xxx", "1", "y".repeat(600) + "z".repeat(600), "y".repeat(600) + "z".repeat(600),
];

function compared(a, b) {
  let r = 0;
  if (a === b) r += 1;
  if (a !== b) r += 2;
  a === b && (r += 4);
  a !== b && (r += 8);
  a === b || (r += 16);
  a !== b || (r += 32);
  !a && (r += 64);
  !a || (r += 128);
  if (!b) r += 256;
  null !== a && (r += 512);
  null === a && (r += 1024);
  void 0 !== a && (r += 2048);
  if (null !== b) r += 4096;
  else r += 8192;
  r += null === a ? 16384 : 32768;
  a && b && (r += 65536);
  a || b || (r += 131072);
  "string" === typeof a && (r += 262144);
  if (typeof a === "object") r += 524288;
  if ("bigint" == typeof a) r += 1048576;
  if (typeof a !== "number") r += 2097152;
  if (typeof a == "nonsense") r += 4194304;
  a == null || (r += 8388608);
  const kept = [a === b && 7, a !== b || 7, a !== b && 8, null !== a, !a && 9, typeof a === "boolean", null === b && 1];
  return r + kept.join() + [(a && b) === a, (a || b) === b, ((a && b) || 7) === b, ((a || b) && 7) === 7, (a ?? b) === b].join();
}

function fields(o, p) {
  const q = o;
  return [o.a, q.a, o.b, p.length, q.length, p.slice === q.slice, q.toString === Object.prototype.toString, o.missing].join();
}

function thrown(f) {
  try {
    return String(f());
  } catch (error) {
    return error.constructor.name;
  }
}

function ends(a, b) {
  for (let i = 0; ; i++) {
    a && b(i);
    if (i === 3) return i;
  }
}

function last(a) {
  a && a();
}

function lastOr(a, b) {
  if (a) b && b();
  else a || b();
}

function finallyRun(a, then) {
  try {
    a && a();
  } finally {
    then();
  }
}

function* yielding(a) {
  a && (yield 1);
  a || (yield 2);
  return a && (yield 3);
}

function found(a) {
  for (const x of [1, 2, 3]) {
    x === 2 && a;
    if (x !== a) continue;
    return x;
  }
  return -1;
}

function assigned(a, b, c, d, e) {
  e = d;
  d = c;
  c = b;
  b = a;
  a = 9;
  return (() => {
    a = a + 1;
    b = b + 1;
    return [a, b, c, d, e].join();
  })();
}

const nested = (a) => (b) => (c) => {
  a = 1;
  b = 2;
  c = 3;
  return () => {
    a += 1;
    b += 1;
    return a + b + c;
  };
};

function counted(i) {
  let r = 0;
  while (r < i) r++;
  do r--;
  while (r > i);
  const u = i ? undefined : null;
  return [r, i >= 0, i <= 0 && 1, i < 0 || 2, i > 1 ? 3 : 4, i == 0, i != 1, u ?? 5, u?.x, [i === -1, i !== 2]].join();
}

const cases = Array.from({ length: 300 }, (_, i) => `case "k${i}": r = ${i}; break;`).join("");
const ands = Array.from({ length: 500 }, (_, i) => `a && (s += ${i}); a !== b || (s += 1);`).join("");
const locals = Array.from({ length: 400 }, (_, i) => `v${i} = ${i}`).join();

function all() {
  for (const x of ["a", "b", "1", "", "long name", 5, "5", "c", "d", undefined, null, {}, NaN, 1, "a".concat("")]) tell(named(x));
  let built = "long";
  for (let i = 0; i < 1; i++) built += " name";
  tell(named(built));
  tell(looped(7));
  for (const a of values) for (const b of values) add(compared(a, b));
  tell(fields({ a: 1, get b() { return this.a + 1; } }, "text"));
  tell(fields({ __proto__: { a: 3, b: 4 } }, [1]));
  tell(fields("word", { length: -1 }));
  let holder = { get value() { holder = null; return 42; } };
  tell((() => { const before = () => holder; return [holder.value, before()].join(); })());
  function own(o) { o = { get x() { o = null; return 1; } }; return o.x + String(o); }
  tell(own());
  tell(thrown(() => (function (x) { return x.a.b; })(undefined)));
  tell(thrown(() => (function (x) { return x.a.b; })({})));
  tell(thrown(() => (function (x) { return x.length.toFixed(1); })("word")));
  let calls = 0;
  tell(ends(1, () => calls++));
  tell(last(0));
  tell(last(() => calls++));
  tell(lastOr(1, 0));
  tell(lastOr(0, () => calls++));
  finallyRun(0, () => (calls += 100));
  tell(thrown(() => finallyRun(() => { throw new RangeError(); }, () => (calls += 100))));
  tell(calls);
  tell([...yielding(1), "|", ...yielding(0)].join());
  tell([found(2), found(9)].join());
  tell(assigned(1, 2, 3, 4));
  tell(nested(0)(0)(0)());
  for (let i = -3; i < 3; i++) tell(counted(i));
  const many = new Function("x", `let r = -1; switch (x) { ${cases} } return r;`);
  for (let i = 0; i < 300; i++) add(many("k" + i));
  tell(many("none"));
  tell(new Function("a", "b", `let s = 0; ${ands} return s;`)(1, 1));
  tell(new Function("a", "b", `let s = 0; for (let q = 0; q < 3; q++) { ${ands} if (q === 1) continue; } return s;`)(1, 1));
  tell(new Function(`var ${locals}; var o = { a: v399 }; return v300 + v399 + o.a;`)());
}

export default {
  fetch() {
    told = [];
    count = 0;
    sum = 0;
    all();
    return new Response(`${told.join("\n")}\n${count} ${sum}`);
  },
};
