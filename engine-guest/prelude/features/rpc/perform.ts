/**
 * Does what a call asks for: finds the member that its path names, as far as another worker may reach, and calls or
 * reads it.
 */
import { DurableObject, RpcTarget, WorkerEntrypoint, isStub } from "../../entrypoint.ts";
import { functionBind } from "../../library.ts";
import {
  Object, TypeError, apply, arraySlice, getPrototypeOf, hasOwn, isArray, isObject, promiseResolved, promiseThen,
} from "../../primordials.ts";
import { encode } from "./encode.ts";
import { isThenable } from "./settled.ts";

/** Names that no class offers. */
const RESERVED = ["constructor", "dup"];
/** Names that mean something else on an entry point. */
const HANDLERS = [
  "fetch", "connect", "scheduled", "queue", "email", "tail", "tailStream", "trace", "test", "alarm", "webSocketMessage",
  "webSocketClose", "webSocketError",
];

/** Passes a call on to where a stub leads, told by stub.ts. */
let forward: (stub: any, isCall: boolean, path: string[], args: any) => Promise<unknown>;

export function setForward(passOn: typeof forward): void {
  forward = passOn;
}

/** Answers the result, or a promise of it. */
export function perform(target: any, isCall: boolean, path: string[], args: any[]): unknown {
  if (!isArray(path)) throw new TypeError("a message from another worker is not well-formed");
  let owner: any;
  let value = target;
  for (let i = 0; i < path.length; i++) {
    if (isStub(value)) return forward(value, isCall, arraySlice(path, i), encode(args));
    if (isThenable(value)) {
      const rest = arraySlice(path, i);
      return promiseThen(promiseResolved(value), (settled: any) => perform(settled, isCall, rest, args));
    }
    owner = value;
    value = member(value, path[i]!);
  }
  if (!isCall) return typeof value === "function" && owner !== undefined && !isStub(value) ? functionBind(value, owner) : value;
  if (isStub(value)) return forward(value, true, [], encode(args));
  if (isThenable(value)) return promiseThen(promiseResolved(value), (settled: any) => perform(settled, true, [], args));
  if (typeof value !== "function") {
    throw new TypeError(path.length === 0 ? "this is no function" : `${path[path.length - 1]} is no function of the other worker's`);
  }
  return apply(value, owner, args);
}

function member(owner: any, name: string): any {
  const none = (): never => {
    throw new TypeError(`the other worker offers no method or property "${name}" here`);
  };
  if (!isObject(owner) || typeof owner === "function") return none();
  const isEntrypoint = owner instanceof WorkerEntrypoint || owner instanceof DurableObject;
  if (!isEntrypoint && !(owner instanceof RpcTarget)) {
    const prototype = getPrototypeOf(owner);
    const isPlain = prototype === Object.prototype || prototype === null || isArray(owner);
    return isPlain && hasOwn(owner, name) ? owner[name] : none();
  }
  const own = getPrototypeOf(owner);
  if (own === lastPrototype && name === lastName && hasOwn(own, name) && !hasOwn(owner, name)) return (owner as any)[name];
  if (isIn(RESERVED, name) || hasOwn(owner, name)) return none();
  if (isEntrypoint && isIn(HANDLERS, name)) {
    throw new TypeError(`${name} is a handler of the other worker's, and no method that can be called`);
  }
  for (let at = own; at !== null && !isPlatforms(at); at = getPrototypeOf(at)) {
    if (!hasOwn(at, name)) continue;
    if (at === own) {
      lastPrototype = own;
      lastName = name;
    }
    return (owner as any)[name];
  }
  return none();
}

/** A class of an entry point or target, and a member of its own that may be called: most calls are of the last one's. */
let lastPrototype: object | null = null;
let lastName = "";

function isPlatforms(prototype: object): boolean {
  return prototype === WorkerEntrypoint.prototype || prototype === DurableObject.prototype
    || prototype === RpcTarget.prototype || prototype === Object.prototype;
}

function isIn(names: string[], name: string): boolean {
  for (let i = 0; i < names.length; i++) if (names[i] === name) return true;
  return false;
}
