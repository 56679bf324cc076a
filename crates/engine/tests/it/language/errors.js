// What is wrong with a call, a property or a list, in the words of V8: run by the engine and by Node, which must agree.
const nothing = undefined;
const none = null;
const box = { list: [1], deep: { er: { x: 1 } }, make() { return { inner: 5 }; }, [Symbol.for("s")]: 1, size: 3 };

const tried = [
  () => nothing(),
  () => none(),
  () => box.missing(),
  () => box.deep.er.run(),
  () => box.deep.er.x(1, 2),
  () => box.make().run(),
  () => box.make().inner(),
  () => box.make(1, (2)).inner.run(),
  () => box
    .make()
    .run(),
  () => box?.missing(),
  () => box.size(),
  () => { const { run } = box; run(); },
  () => { const text = "é€😀"; return text.and(text); },
  () => new nothing(),
  () => new box.deep.er(),
  () => new box.missing.deeper(),
  () => [1].map(nothing),
  () => [1].map(5),
  () => [1].forEach(none),
  () => new Promise(),
  () => [..."ab"].reduce(),
  () => nothing.x,
  () => none.x,
  () => nothing["a b"],
  () => none[0],
  () => box.missing.x,
  () => box.deep.er.x.y.z,
  () => { nothing.x = 1; },
  () => { none.x = 1; },
  () => { box.missing.x = 1; },
  () => gone,
  () => gone(),
  () => box.list.at(5).name,
  () => (function () { return this.x; }).call(undefined),
  () => `${nothing.x}`,
  async () => box.later(),
];

export default {
  async fetch() {
    const said = [];
    for (const run of tried) {
      try {
        said.push(String(await run()));
      } catch (error) {
        said.push(`${error.name}: ${error.message}`);
      }
    }
    return new Response(said.join("\n"));
  },
};
