// What lowered classes call for standard decorators (the TC39 proposal, as of TypeScript 5).
const callable = (value, what) => {
  if (typeof value !== "function") throw new TypeError(`${what} is no function`);
  return value;
};

const contextOf = (kind, name, extra, metadata, more, state) => ({
  kind,
  name,
  ...more,
  metadata,
  addInitializer(initializer) {
    if (state.done) throw new TypeError("addInitializer was called after decoration");
    extra.push(callable(initializer, "an initializer"));
  },
});

const accessTo = (kind, key) => {
  const access = { has: (object) => key in object };
  if (kind !== "setter") access.get = (object) => object[key];
  if (kind === "setter" || kind === "field" || kind === "accessor") access.set = (object, value) => { object[key] = value; };
  return access;
};

// Calls decorators from the last to the first; `value` is what the next one is given.
const apply = (decorators, describe, value, take) => {
  for (let i = decorators.length - 1; i >= 0; i--) {
    const state = { done: false };
    const result = (0, callable(decorators[i], "a decorator"))(value(), describe(state));
    state.done = true;
    if (result !== undefined) take(result);
  }
};

const PART = { method: "value", getter: "get", setter: "set" };

export default {
  // The metadata of a class that is being defined, whose name is settled before anybody asks.
  begin(target, name) {
    const own = Object.getOwnPropertyDescriptor(target, "name");
    if (own === undefined || (typeof own.value === "string" && own.value !== name)) Object.defineProperty(target, "name", { value: name, configurable: true });
    if (!Symbol.metadata) return undefined;
    return Object.create(Object.getPrototypeOf(target)?.[Symbol.metadata] ?? null);
  },

  end(target, metadata) {
    if (metadata) Object.defineProperty(target, Symbol.metadata, { value: metadata, configurable: true, enumerable: true, writable: true });
  },

  key: (value) => (typeof value === "symbol" ? value : `${value}`),

  member(target, kind, isStatic, name, access, decorators, metadata, inits, extra) {
    const isPrivate = access !== undefined;
    const more = { static: isStatic, private: isPrivate, access: access ?? accessTo(kind, name) };
    const describe = (state) => contextOf(kind, name, extra, metadata, more, state);
    if (kind === "field") return apply(decorators, describe, () => undefined, (init) => inits.unshift(callable(init, "an initializer")));
    const home = isStatic ? target : target.prototype;
    const descriptor = Object.getOwnPropertyDescriptor(home, name);
    if (kind === "accessor") {
      apply(decorators, describe, () => ({ get: descriptor.get, set: descriptor.set }), (result) => {
        if (typeof result !== "object" || result === null) throw new TypeError("a decorator of an accessor returns an object");
        if (result.get !== undefined) descriptor.get = callable(result.get, "a getter");
        if (result.set !== undefined) descriptor.set = callable(result.set, "a setter");
        if (result.init !== undefined) inits.unshift(callable(result.init, "an initializer"));
      });
    } else {
      apply(decorators, describe, () => descriptor[PART[kind]], (result) => {
        descriptor[PART[kind]] = callable(result, "what a decorator returns");
      });
    }
    Object.defineProperty(home, name, descriptor);
  },

  // The class that the decorators make of another.
  replace(target, decorators, name, metadata, extra) {
    let result = target;
    const describe = (state) => contextOf("class", name, extra, metadata, {}, state);
    apply(decorators, describe, () => result, (other) => { result = callable(other, "what a decorator returns"); });
    this.end(result, metadata);
    return result;
  },

  init(self, inits, value) {
    for (let i = 0; i < inits.length; i++) value = inits[i].call(self, value);
    return value;
  },

  run(self, extra) {
    for (let i = 0; i < extra.length; i++) extra[i].call(self);
  },
};
