/**
 * The classes that workers call each other with. What makes them work is a feature, which an import of these alone does
 * not bring.
 */
import { hostError } from "./errors.ts";
import { INTERNAL } from "./internal.ts";
import { makeCallable, setCallable } from "./native.ts";
import { Symbol, TypeError, isObject, setPrototypeOf, webClass } from "./primordials.ts";
import { callFeature, membersBy } from "./service.ts";

/** What a worker exports, by default or by name: an object of it is made for each event. */
export class WorkerEntrypoint {
  ctx: unknown;
  env: unknown;

  constructor(ctx: unknown = undefined, environment: unknown = undefined) {
    this.ctx = ctx;
    this.env = environment;
  }
}
webClass(WorkerEntrypoint);

/** A class of objects of which each id has one, with a memory and a storage of its own. */
export class DurableObject {
  ctx: unknown;
  env: unknown;

  constructor(ctx: unknown = undefined, environment: unknown = undefined) {
    this.ctx = ctx;
    this.env = environment;
  }
}
webClass(DurableObject);

/** An object that stays where it is when it is passed to another worker, which gets a stub of it. */
export class RpcTarget {}
webClass(RpcTarget);

/** Something that somebody holds, and lets go. */
export interface Held {
  refs: number;
  release(): void;
}

export interface StubState<Source extends Held = any> {
  source: Source;
  disposed: boolean;
}

/** A constructor that makes nothing of its own, so that a class can give private state to a function. */
export const Given: any = function (given: object) {
  return given;
};

/** What happens when something that `makeCallable` made is called: it is a stub, or the promise of a call. */
setCallable(function (this: any, ...args: unknown[]): unknown {
  return isStub(this) ? callFeature().callStub(stubState(this), args) : callFeature().callPromise(this, args);
});

/** The state of a stub. */
export let stubState: (stub: any) => StubState;
export let isStub: (value: unknown) => boolean;

/** A reference to a function or an `RpcTarget`, here or in another worker. Its methods may be called, and itself. */
export class RpcStub extends Given {
  #state: StubState;

  constructor(target: any, given: any = undefined) {
    const state: StubState = target === INTERNAL
      ? given : { source: callFeature().localSource(checkTarget(target)), disposed: false };
    super(makeCallable(RpcStub.prototype));
    this.#state = state;
  }

  static {
    stubState = (stub) => stub.#state;
    isStub = (value) => isObject(value) && #state in value;
  }

  /** A stub of its own to the same thing, which has to be disposed of for itself. */
  dup(): RpcStub {
    const { source, disposed } = this.#state;
    if (disposed) throw stubGone();
    source.refs++;
    return new RpcStub(INTERNAL, { source, disposed: false });
  }

  [Symbol.dispose](): void {
    const state = this.#state;
    if (state.disposed) return;
    state.disposed = true;
    if (--state.source.refs === 0) state.source.release();
  }
}
webClass(RpcStub, 1);
setPrototypeOf(RpcStub.prototype, membersBy((stub, name) => callFeature().stubMember(stubState(stub), name)));

function checkTarget(target: any): object {
  if (typeof target === "function" || target instanceof RpcTarget) return target;
  throw new TypeError("an RpcStub is made of a function or of an object that extends RpcTarget");
}

export function stubGone(): Error {
  return hostError("Error", "the stub was disposed of", "rpc_ended");
}
