// Promises, and in which order they settle: run by the engine and by Node, which must agree.
let said;
const say = (x) => said.push(x);
async function order() {
  const seen = [];
  const p = (n) => () => seen.push(n);
  const q = (async () => {
    seen.push("a1");
    await null;
    seen.push("a2");
    await new Promise((r2) => r2());
    seen.push("a3");
    return 1;
  })().then(p("a-then"));
  Promise.resolve().then(p(1)).then(p(2)).then(p(3)).then(p(4)).then(p(5));
  const r = (async () => Promise.resolve(7))().then(p("ret-promise"));
  const t = (async () => ({ then(f) {
    seen.push("then-called");
    f(8);
  } }))().then(p("thenable"));
  new Promise((r2) => r2(Promise.resolve())).then(p("res-promise"));
  Promise.reject(1).catch(p("caught")).finally(p("fin"));
  (async () => {
    throw new Error("x");
  })().catch((e) => seen.push("E" + e.message));
  (async () => {
    try {
      await Promise.reject(new Error("y"));
    } catch (e) {
      seen.push("C" + e.message);
    } finally {
      await 0;
      seen.push("F");
    }
  })();
  (async () => {
    for await (const x of [Promise.resolve(1), 2]) seen.push("fa" + x);
  })();
  (async function* () {
    yield 1;
    yield Promise.resolve(2);
    return 3;
  })().next().then((v) => seen.push("ag" + v.value));
  await q;
  await r;
  await t;
  for (let i = 0; i < 20; i++) await i;
  say(seen.join());
}
async function corners() {
  let self;
  self = new Promise((r) => setTimeout ? queueMicrotask(() => r(self)) : 0);
  try {
    await self;
  } catch (e) {
    say(e.constructor.name);
  }
  let f;
  const ap = (async () => {
    await null;
    return f;
  })();
  f = ap;
  try {
    await ap;
  } catch (e) {
    say("async self " + e.constructor.name);
  }
  const tp = Promise.resolve(1).then(() => tp);
  try {
    await tp;
  } catch (e) {
    say("then self " + e.constructor.name);
  }
  class P extends Promise {
    constructor(x) {
      super(x);
      say("P ctor");
    }
  }
  const s = P.resolve(5);
  say(s instanceof P);
  say(s.then((x) => x) instanceof P);
  say(await s.then((x) => x + 1));
  class S extends Promise {
    static get [Symbol.species]() {
      return Promise;
    }
  }
  const ss = S.resolve(1).then((x) => x);
  say(ss instanceof S);
  function C(ex) {
    let a, b;
    const o = Object.create(C.prototype);
    ex((x) => {
      say("C res " + x);
    }, (x) => {
      say("C rej " + x);
    });
    return o;
  }
  C.prototype = {};
  Promise.resolve.call(C, 3);
  Promise.reject.call(C, 4);
  const pr = Promise.resolve(9);
  pr.constructor = { [Symbol.species]: C };
  pr.then((x) => x * 2);
  await null;
  await null;
  function D(ex) {
    ex(() => {
    }, () => {
    });
    return {};
  }
  say(typeof Promise.resolve.call(D, 1));
  try {
    Promise.resolve.call(function(ex) {
      ex(1, 2);
    }, 1);
  } catch (e) {
    say(e.constructor.name);
  }
  try {
    Promise.resolve.call(1);
  } catch (e) {
    say(e.constructor.name);
  }
  const bad = { get then() {
    throw new Error("getter");
  } };
  try {
    await (async () => bad)();
  } catch (e) {
    say(e.message);
  }
  try {
    await Promise.resolve(bad);
  } catch (e) {
    say("2" + e.message);
  }
  try {
    await Promise.resolve(1).then(() => bad);
  } catch (e) {
    say("3" + e.message);
  }
  say(await Promise.resolve({ then(a, b) {
    a(1);
    a(2);
    b(3);
    throw new Error("late");
  } }));
  const orig = Promise.prototype.then;
  let n = 0;
  Promise.prototype.then = function(a, b) {
    n++;
    return orig.call(this, a, b);
  };
  await (async () => Promise.resolve(1))();
  await Promise.resolve(2);
  Promise.prototype.then = orig;
  say("then " + n);
  let resolve;
  const promise = new Promise((r) => {
    resolve = r;
  });
  resolve(4);
  resolve(5);
  say(await promise);
  say(resolve.name === "" && resolve.length === 1);
  say((await Promise.allSettled([1, Promise.reject(2), (async () => {
    throw 3;
  })()])).map((x) => x.status + (x.value ?? x.reason)).join());
  say(await Promise.any([Promise.reject(1), 2]));
  say(await Promise.race([new Promise(() => {
  }), (async () => 6)()]));
  try {
    await Promise.all([1, Promise.reject(7)]);
  } catch (e) {
    say(e);
  }
  try {
    await Promise.any([Promise.reject(1)]);
  } catch (e) {
    say(e.constructor.name);
  }
  try {
    await (async (x = (() => {
      throw new Error("param");
    })()) => 1)();
  } catch (e) {
    say(e.message);
  }
  let cyc = {};
  for (let i = 0; i < 1e3; i++) {
    const h = {};
    h.p = (async () => {
      await new Promise(() => {
      });
      return h;
    })();
    h.q = new Promise(() => {
    }).then(() => h);
  }
}
export const answer = async () => {
  said = [];
  await order();
  await corners();
  return said.join("\n");
};
export default { async fetch() {
  return new Response(await answer());
} };
