/**
 * `process.env`: the text variables and secrets of the manifest, as strings. It is empty while modules are evaluated, but
 * for `NODE_ENV`, because nothing of an environment may be part of an image.
 */
import { Proxy } from "../../library.ts";
import {
  Object, Set, TypeError, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, isArray, isObject,
  jsonStringify, objectCreate, objectKeys, ownKeys, setAdd, setHas,
} from "../../primordials.ts";
import { env } from "../../env.ts";

/** What was taken over from `env`, so that what a worker deletes stays away. */
const taken = new Set<string>();

const store: any = objectCreate(null);
defineProperty(store, "NODE_ENV", { value: "production", writable: true, configurable: true, enumerable: true });

/** Takes what has come into `env` since. */
function current(): any {
  const names = objectKeys(env);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (setHas(taken, name)) continue;
    setAdd(taken, name);
    const value = env[name];
    if (typeof value === "string") store[name] = value;
    else if (!isObject(value) || getPrototypeOf(value) === Object.prototype || isArray(value)) store[name] = jsonStringify(value);
  }
  return store;
}

export const environment: any = new Proxy(store, {
  get: (_target, name) => (typeof name === "string" ? current()[name] : undefined),
  has: (_target, name) => name in current(),
  set(_target, name, value) {
    if (typeof name === "symbol" || typeof value === "symbol") throw new TypeError("Cannot convert a Symbol value to a string");
    current()[name] = `${value}`;
    return true;
  },
  deleteProperty: (_target, name) => delete current()[name],
  ownKeys: () => ownKeys(current()),
  getOwnPropertyDescriptor: (_target, name) => getOwnPropertyDescriptor(current(), name),
  defineProperty(_target, name, descriptor) {
    defineProperty(current(), name, {
      value: `${descriptor.value}`, writable: true, configurable: true, enumerable: true,
    });
    return true;
  },
});
