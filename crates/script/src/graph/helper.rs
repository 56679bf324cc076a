//! Functions that transformed TypeScript calls, as modules of the script that needs them.

use crate::compile::HELPERS;

/// The source of a helper, by the specifier that the transformer writes.
pub(super) fn by_specifier(specifier: &str) -> Option<&'static str> {
    let name = specifier.strip_prefix(HELPERS)?.strip_prefix("/helpers/")?;
    HELPER_SOURCES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

static HELPER_SOURCES: &[(&str, &str)] = &[
    ("decorate", DECORATE),
    ("decorateParam", PARAM),
    ("decorateMetadata", METADATA),
    ("decorators", include_str!("decorators.js")),
    ("usingCtx", USING),
];

/// Legacy decorators run from the last to the first, on a class (two arguments), on a property
/// (`void 0` for the descriptor), or on a method (`null`: look it up).
const DECORATE: &str = r#"export default function decorate(decorators, target, key, given) {
  const count = arguments.length;
  let value = count < 3 ? target : given === null ? Object.getOwnPropertyDescriptor(target, key) : given;
  for (let i = decorators.length - 1; i >= 0; i--) {
    const decorator = decorators[i];
    if (!decorator) continue;
    const returned = count < 3 ? decorator(value) : count > 3 ? decorator(target, key, value) : decorator(target, key);
    if (returned) value = returned;
  }
  if (count > 3 && value) Object.defineProperty(target, key, value);
  return value;
}
"#;

const PARAM: &str = r#"export default function decorateParam(index, decorator) {
  return (target, key) => decorator(target, key, index);
}
"#;

const METADATA: &str = r#"export default function decorateMetadata(key, value) {
  if (typeof Reflect.metadata === "function") return Reflect.metadata(key, value);
}
"#;

/// What a block with `using` declarations keeps: resources in order, disposed of in reverse, with
/// the errors of disposal chained by SuppressedError.
const USING: &str = r#"const disposeKey = Symbol.dispose ?? Symbol.for("Symbol.dispose");
const asyncDisposeKey = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
const suppressed = (error, earlier) => {
  if (typeof SuppressedError === "function") return new SuppressedError(error, earlier);
  return Object.assign(new Error("An error was suppressed during disposal"), { name: "SuppressedError", error, suppressed: earlier });
};
export default function usingCtx() {
  const none = {};
  let failure = none;
  const stack = [];
  const add = (isAwait, value) => {
    if (value === null || value === undefined) {
      if (isAwait) stack.push({ isAwait });
      return value;
    }
    if (Object(value) !== value) throw new TypeError("using declarations take objects, null or undefined");
    let dispose = isAwait ? value[asyncDisposeKey] : undefined;
    if (dispose === undefined || dispose === null) {
      const inner = value[disposeKey];
      dispose = isAwait && typeof inner === "function" ? function () { inner.call(this); } : inner;
    }
    if (typeof dispose !== "function") throw new TypeError("the value of a using declaration is not disposable");
    stack.push({ isAwait, value, dispose });
    return value;
  };
  const fail = (error) => { failure = failure === none ? error : suppressed(error, failure); };
  return {
    get e() { return failure === none ? none : failure; },
    set e(error) { failure = error; },
    u: (value) => add(false, value),
    a: (value) => add(true, value),
    d() {
      const next = () => {
        for (let entry; (entry = stack.pop()); ) {
          try {
            const result = entry.dispose ? entry.dispose.call(entry.value) : undefined;
            if (entry.isAwait) return Promise.resolve(result).then(next, (error) => { fail(error); return next(); });
          } catch (error) {
            fail(error);
            if (entry.isAwait) return Promise.resolve().then(next);
          }
        }
        if (failure !== none) throw failure;
      };
      return next();
    },
  };
}
"#;
