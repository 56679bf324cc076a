// Strings that grow, while others have them as they were: run by the engine and by Node, which must agree.
let told, count, sum, out;
const tell = (what) => told.push(what);
const add = (text) => {
  count++;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0;
};
const parts = ["a", "bc", "€", "", "long ".repeat(30), "é", "z".repeat(600), "1"];
const push = (text) => {
  out += text;
  return out;
};

function kept() {
  const earlier = [];
  out = "";
  for (let i = 0; i < 3000; i++) {
    push(parts[i % 8]);
    if (i % 97 === 0) earlier.push(out);
  }
  for (const text of earlier) add(text);
  add(out);
}

function local() {
  let text = "";
  for (let i = 0; i < 3000; i++) {
    text += parts[i % 8];
    if (i % 500 === 0) {
      const copy = text;
      text += "!";
      add(text);
      text = copy;
    }
  }
  add(text);
}

function doubled() {
  let text = "ab";
  for (let i = 0; i < 16; i++) text += text;
  tell(text.length);
  out = "x";
  const twice = () => {
    out += out;
  };
  for (let i = 0; i < 20; i++) twice();
  tell(out.length);
}

function keys() {
  const map = new Map(), object = {}, list = [];
  out = "q";
  for (let i = 0; i < 100; i++) {
    out += i;
    map.set(out, i);
    object[out] = i;
    list.push(out);
  }
  for (const text of list) add(`${map.get(text)} ${object[text]} ${text}`);
}

function order() {
  out = "abc";
  const later = (x) => {
    out += "d";
    return x;
  };
  tell(later(out) + out);
  out = "abc";
  tell(out + (out += "d"));
  out = "abc";
  out = out + (out += "e");
  tell(out);
  out = "n";
  out += 1;
  out += null;
  out += 1.5;
  out += { toString() { out = "changed"; return "T"; } };
  tell(out);
  try {
    out += Symbol();
  } catch (error) {
    tell(error.constructor.name);
  }
  tell(out);
  (function (a) {
    const more = () => {
      a += "x";
    };
    more();
    more();
    tell(a + arguments.length);
  })("argument");
}

function slices() {
  out = "a".repeat(40);
  const part = out.slice(3, 30);
  out += "b";
  tell(part);
  const long = "h".repeat(5000);
  let cut = long.slice(10, 4000);
  cut += "t";
  out = long.slice(20, 4500);
  push("t");
  tell([cut.length, out.length, long === "h".repeat(5000)].join());
}

function long() {
  out = "";
  for (let i = 0; i < 200000; i++) out += "0123456789";
  const before = out;
  out += "€";
  tell([before.length, out.length, out.slice(999990, 1000020), out.charCodeAt(2000000), before.endsWith("9")].join());
}

function* growing() {
  let text = "";
  for (;;) text += yield text;
}

class Odd {
  constructor() {
    this.b = 1;
    this[2] = 1;
    this.a = 1;
    this[1] = 1;
    Object.defineProperty(this, "hidden", { value: 1 });
  }
  get computed() {
    return 1;
  }
}
Odd.prototype.inherited = 1;

function names() {
  const seen = [];
  for (const name in new Odd()) seen.push(name);
  tell(seen.join());
  tell(Object.getOwnPropertyNames(new Odd()).join());
  tell(Reflect.ownKeys({ x: 1, [Symbol.iterator]: 1, 3: 1 }).map(String).join());
}

export default {
  fetch() {
    told = [];
    count = 0;
    sum = 0;
    for (const test of [kept, local, doubled, keys, order, slices, long, names]) test();
    const generator = growing();
    generator.next();
    for (const text of ["a", "b", "€"]) tell(generator.next(text).value);
    return new Response(`${told.join("\n")}\n${count} ${sum}`);
  },
};
