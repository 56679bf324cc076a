// Keys, members of literals, flags and results of regular expressions, for which there are short ways: with properties of
// all kinds, with accessors that a script has replaced. Run by the engine and by Node, which must agree.
let told;
const tell = (...what) => told.push(JSON.stringify(what));

function keys() {
  const symbol = Symbol("s");
  const of = (object) => tell(Object.keys(object), Object.getOwnPropertyNames(object));
  of({});
  of({ b: 1, a: 2, "": 3, "é": 4, "日": 5 });
  of({ b: 1, 2: 2, 1: 3, "-1": 4, "01": 5, "4294967294": 6, "4294967295": 7 });
  of({ a: 1, [symbol]: 2, b: 3 });
  of({ get a() { throw new Error("asked"); }, b: 1 });
  of(Object.defineProperty({ a: 1, c: 2 }, "b", { value: 3, enumerable: false }));
  of(Object.freeze({ b: 1, a: 2 }));
  const gone = { a: 1, b: 2, c: 3 };
  delete gone.b;
  of(gone);
  gone.b = 4;
  of(gone);
  of(Object.create({ inherited: 1 }, { own: { value: 1, enumerable: true } }));
  class Point {
    x = 1;
    #hidden = 2;
    y = 3;
  }
  of(new Point());
  of([7, 8]);
  of("ab");
  of(new Proxy({ a: 1, b: 2 }, { ownKeys: () => ["b", "a"] }));
  const list = Object.keys({ a: 1, b: 2 });
  list.push("c");
  list.length = 5;
  tell(list, list.length);
  try {
    Object.keys(null);
  } catch (error) {
    tell(error.name);
  }
}

function literals() {
  for (let i = 0; i < 3; i++) tell({ a: 1, b: 2, a: 3 }, { ...{ a: 1, b: 2 }, b: 3, c: 4 }, { a: 1, __proto__: { z: 1 } }.z);
  class Base {
    constructor(early) {
      if (early) this.field = "early";
      if (early === 2) Object.preventExtensions(this);
      if (early === 3) return new Proxy(this, { defineProperty: (target, name) => (tell("asked", name), Reflect.defineProperty(target, name, { value: "other", configurable: true })) });
    }
  }
  class Derived extends Base {
    field = "late";
    other = this.field;
  }
  for (let early = 0; early < 4; early++) {
    try {
      const made = new Derived(early);
      tell(made.field, made.other, Object.keys(made));
    } catch (error) {
      tell(error.name);
    }
  }
  Object.defineProperty(Object.prototype, "trap", { set() { tell("set"); }, configurable: true });
  const own = { trap: 1 };
  tell(own.trap, Object.keys(own));
  delete Object.prototype.trap;
}

function expressions() {
  const all = /a(b)?(c)(?<name>d)?/dgimsuy;
  tell(all.flags, /x/.flags, /x/v.flags, RegExp.prototype.flags, String(/x/gi));
  const found = "xacd".match(/a(b)?(c)(?<name>d)?/d);
  tell(found, found.length, found.index, found.input, found.groups, found.indices, Object.keys(found), Array.isArray(found));
  found.push("more");
  found[0] += "!";
  tell(found.slice(), found.length, "aXbX".match(/X/g), "aXbX".match(/Y/g), "aXbX".match(/Y/), "a".match(/(?:)/));
  const odd = /x/gi;
  Object.defineProperty(odd, "global", { value: false });
  tell(odd.flags, "xx".match(odd));
  class Sub extends RegExp {
    get sticky() {
      return true;
    }
  }
  tell(new Sub("x", "g").flags, new Sub("x", "g") instanceof Sub);
  const plain = Object.create(RegExp.prototype);
  try {
    tell(plain.flags);
  } catch (error) {
    tell(error.name);
  }
  const getter = Object.getOwnPropertyDescriptor(RegExp.prototype, "ignoreCase");
  const order = [];
  Object.defineProperty(RegExp.prototype, "ignoreCase", { get() { order.push("i"); return "yes"; }, configurable: true });
  tell(/x/.flags, /x/g.flags, [...order], "x".match(/x/));
  Object.defineProperty(RegExp.prototype, "ignoreCase", getter);
  tell(/x/.flags, /x/gi.flags);
  const { get } = Object.getOwnPropertyDescriptor(RegExp.prototype, "flags");
  tell(get.call({ global: 1, sticky: "y", hasIndices: 0, get unicode() { return {}; } }), get.call(/x/m));
  const swapped = Object.getOwnPropertyDescriptor(RegExp.prototype, "dotAll");
  Object.defineProperty(RegExp.prototype, "dotAll", Object.getOwnPropertyDescriptor(RegExp.prototype, "global"));
  tell(/x/g.flags, /x/s.flags);
  Object.defineProperty(RegExp.prototype, "dotAll", swapped);
}

export default {
  fetch() {
    told = [];
    keys();
    literals();
    expressions();
    return new Response(told.join("\n"));
  },
};
