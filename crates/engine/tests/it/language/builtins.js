// What the engine has in its own language: it is compiled when it is first asked for, and is like any other built-in
// function from outside. Node does not have all of it: the answers are those of the engine as it comes.
async function* numbers() {
  yield 1;
  yield 2;
  yield 3;
}

const failing = (run) => {
  try {
    return String(run());
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

export default {
  async fetch() {
    const told = [];
    const tell = (value) => told.push(JSON.stringify(value));
    tell(await Array.fromAsync(numbers()));
    tell(await Array.fromAsync([1, Promise.resolve(2)], (value, index) => value * 10 + index));
    tell(await Array.fromAsync({ length: 2, 0: "a", 1: Promise.resolve("b") }));
    tell(await Array.fromAsync([1], 5).catch((error) => error.name));
    tell([...Iterator.zip([[1, 2], [3, 4, 5]])]);
    tell([...Iterator.zip([[1, 2], [3, 4, 5]], { mode: "longest", padding: [9] })]);
    tell(failing(() => [...Iterator.zip([[1], [1, 2]], { mode: "strict" })]));
    tell([...Iterator.zipKeyed({ a: [1, 2], b: [3, 4] })]);
    const endless = {
      [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 7 }), return: () => (told.push("closed"), {}) }),
    };
    for (const values of Iterator.zip([endless])) {
      tell(values);
      break;
    }
    for (const builtin of [Array.fromAsync, Iterator.zip, Iterator.zipKeyed]) {
      tell([builtin.name, builtin.length, String(builtin), Object.getPrototypeOf(builtin) === Function.prototype]);
    }
    tell(failing(() => new Iterator.zip([])));
    return new Response(told.join("\n"));
  },
};
