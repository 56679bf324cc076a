/**
 * Where the calls of stubs go, and what they give: an `RpcPromise` stands for a result, or for a member that may be called
 * or awaited. It is a function, as an `RpcStub` is, for anything may turn out to be one.
 */
import {
  Given, type Held, RpcStub, type StubState, isStub, stubGone, stubState,
} from "../../entrypoint.ts";
import { INTERNAL } from "../../internal.ts";
import { promiseCatch, promiseFinally } from "../../library.ts";
import { logError } from "../../log.ts";
import { OP_RPC_CALL, ask as askHost, makeCallable, start } from "../../native.ts";
import { whenComplete } from "../../operations.ts";
import {
  Object, Promise, Symbol, TypeError, Uint8Array, arraySlice, defineProperty, hasOwn, isArray, isObject, isView, promiseRejected,
  promiseResolved, promiseThen, setPrototypeOf, webClass,
} from "../../primordials.ts";
import { membersBy } from "../../service.ts";
import { decode, decodeArrived, isPrimitive } from "./decode.ts";
import { type Outgoing, encode, encodeArguments, setPromiseBrand } from "./encode.ts";
import { perform, setForward } from "./perform.ts";
import {
  type Arrived, type Session, adoptSession, giveUpBodies, openBodies, openSession, sendBodies, setStubMaker,
} from "./session.ts";

/** Where calls and reads go. */
interface Source {
  request(isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown>;
}

/** A source that a stub holds. */
type HeldSource = Source & Held;

interface PromiseState {
  /** Null for a result, until somebody calls what is in it. */
  source: Source | null;
  path: string[];
  /** Once it is asked for. */
  promise: Promise<any> | null;
}

/** A stub as a source: one that was disposed of leads nowhere. */
function ofStub(state: StubState<HeldSource>): Source {
  return {
    request: (isCall, path, outgoing) => {
      if (!state.disposed) return state.source.request(isCall, path, outgoing);
      giveUpBodies(outgoing.bodies, undefined);
      return promiseRejected(stubGone());
    },
  };
}

let promiseOf: (promise: any) => PromiseState;
let promiseBrand: (value: any) => boolean;

/** A result that may not be there yet, whose members can be called all the same; or a member that is not called yet. */
class RpcPromise extends Given {
  #state: PromiseState;

  constructor(token: unknown, state: PromiseState) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super(makeCallable(RpcPromise.prototype));
    this.#state = state;
  }

  static {
    promiseOf = (promise) => promise.#state;
    promiseBrand = (value) => isObject(value) && #state in value;
  }

  then(done: any, failed: any): Promise<any> {
    return promiseThen(settled(this.#state), done, failed);
  }

  catch(failed: any): Promise<any> {
    return promiseCatch(settled(this.#state), failed);
  }

  finally(over: any): Promise<any> {
    return promiseFinally(settled(this.#state), over);
  }

  /** Lets the result go, when it comes. */
  [Symbol.dispose](): void {
    const { promise } = this.#state;
    if (promise !== null) promiseThen(promise, disposeValue, () => {});
  }
}
webClass(RpcPromise, 0);
setPrototypeOf(RpcPromise.prototype, membersBy((promise, name) => {
  const state = promiseOf(promise);
  return memberOf(sourceOf(state), state.path, name);
}));

function sourceOf(state: PromiseState): Source {
  return (state.source ??= new Later(state.promise!));
}

/** The call of something that is not there yet. */
export function callPromise(promise: RpcPromise, args: unknown[]): RpcPromise {
  const state = promiseOf(promise);
  return callOn(sourceOf(state), state.path, args);
}

function settled(state: PromiseState): Promise<any> {
  return (state.promise ??= ask(sourceOf(state), false, state.path, { tokens: [], exports: [], bodies: [] }));
}

function ask(source: Source, isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown> {
  try {
    return source.request(isCall, path, outgoing);
  } catch (error) {
    return promiseRejected(error);
  }
}

function memberOf(source: Source, path: string[], name: string): RpcPromise {
  const longer = arraySlice(path, 0);
  longer[longer.length] = name;
  return new RpcPromise(INTERNAL, { source, path: longer, promise: null });
}

function callOn(source: Source, path: string[], args: unknown[]): RpcPromise {
  let promise: Promise<unknown>;
  try {
    promise = source.request(true, path, args.length === 0 ? NOTHING : encodeArguments(args));
  } catch (error) {
    promise = promiseRejected(error);
  }
  return new RpcPromise(INTERNAL, { source: null, path: [], promise });
}

/** What a call of a stub gives, and what its member is. */
export const callStub = (state: StubState, args: unknown[]): RpcPromise => callOn(ofStub(state), [], args);
export const stubMember = (state: StubState, name: string): RpcPromise => memberOf(ofStub(state), [], name);
export const localSource = (target: object): HeldSource => new Local(target);

/** What was called last, for it is mostly called again. */
let lastBinding: Binding | null = null;

/** What `env.NAME.member` is. */
export function bindingMember(binding: number | string, name: string): RpcPromise {
  if (lastBinding === null || lastBinding.binding !== binding) lastBinding = new Binding(binding);
  return new RpcPromise(INTERNAL, { source: lastBinding, path: [name], promise: null });
}

function disposeValue(value: any): void {
  try {
    if (isObject(value) && typeof value[Symbol.dispose] === "function") value[Symbol.dispose]();
  } catch (error) {
    logError("a disposer threw", error);
  }
}

/** A result as its caller gets it: what it holds by reference goes with it. */
function surface({ value, stubs }: Arrived): unknown {
  if (isObject(value) && !isStub(value)) {
    const dispose = (): void => {
      for (let i = 0; i < stubs.length; i++) stubs[i]![Symbol.dispose]();
    };
    defineProperty(value, Symbol.dispose, { value: dispose, writable: true, configurable: true });
  }
  return value;
}

/** A list of nothing, which is what most calls pass. */
const NOTHING = encode([]);
const NO_ARGUMENTS = NOTHING.tokens;

/** The end of a call that passed nothing by reference. */
function arrived(ok: boolean, value: any): unknown {
  if (!ok) return value;
  const message = value[0];
  const tokens = message[2];
  // Mostly a value that is nothing but itself.
  if (message[0] && value[2] === 0 && isArray(tokens) && isPrimitive(tokens)) return tokens[tokens.length - 1];
  return answered(null, value);
}

const NONE: never[] = [];

/** A service binding, or a stub of an object: each call is an event of the other side. */
class Binding implements Source {
  binding: number | string;

  constructor(binding: number | string) {
    this.binding = binding;
  }

  request(isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown> {
    const { exports, bodies, tokens } = outgoing;
    if (exports.length === 0 && bodies.length === 0) {
      return askHost(arrived, OP_RPC_CALL, this.binding, [isCall, path, 0, isCall ? tokens : NO_ARGUMENTS], NONE, 0);
    }
    const session = exports.length > 0 ? openSession(null) : null;
    let streams: number[];
    let id: number;
    try {
      const base = session === null ? 0 : session.export(outgoing);
      streams = openBodies(bodies);
      const message = [isCall, path, base, isCall ? tokens : NO_ARGUMENTS];
      id = start(OP_RPC_CALL, this.binding, message, streams, session === null ? 0 : session.id);
    } catch (error) {
      giveUpBodies(bodies, error);
      if (session !== null) session.close();
      return promiseRejected(error);
    }
    if (bodies.length > 0) sendBodies(bodies, streams, () => {});
    if (session !== null) session.read();
    return new Promise((resolve, reject) => {
      whenComplete(id, (ok, value) => {
        try {
          if (ok) return resolve(answered(session, value));
          if (session !== null) session.close();
          reject(value);
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

/** The answer: [[is a value, base, tokens], handles, session or 0]. Throws what the method threw. */
function answered(opened: Session | null, answer: any[]): unknown {
  const message = answer[0];
  const sessionId = answer[2];
  const session = opened ?? (sessionId === 0 ? null : adoptSession(sessionId, null));
  try {
    const arrived = decodeArrived(message[2], answer[1], session, message[1]);
    if (message[0]) return surface(arrived);
    throw arrived.value;
  } finally {
    if (session !== null) {
      session.answered = true;
      session.closeIfIdle();
    }
  }
}

/** Something that the other side of a session exported. */
class Imported implements HeldSource {
  session: Session;
  id: number;
  refs = 1;

  constructor(session: Session, id: number) {
    this.session = session;
    this.id = id;
  }

  request(isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown> {
    const { tokens } = isCall ? outgoing : encode([]);
    return promiseThen(this.session.request(this.id, isCall, path, { ...outgoing, tokens }), surface);
  }

  release(): void {
    this.session.release(this.id);
  }
}

/** Something of this worker's own: called as if it were elsewhere. */
class Local implements HeldSource {
  target: any;
  refs = 1;

  constructor(target: object) {
    this.target = target;
  }

  request(isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown> {
    const args: any = isCall ? asArrived(outgoing) : [];
    const result = promiseThen(promiseResolved(undefined), () => perform(this.target, isCall, path, args));
    return promiseThen(result, (value: unknown) => asArrived(encode(value)));
  }

  release(): void {
    disposeValue(this.target);
  }
}

/** A copy, as the other side of a border would see it. */
function asArrived({ tokens, exports, bodies }: Outgoing): unknown {
  for (let i = 0; i < tokens.length; i++) if (isView(tokens[i])) tokens[i] = new Uint8Array(tokens[i] as Uint8Array);
  return decode(tokens, {
    body: (place) => bodies[place]!,
    stub: (place) => isStub(exports[place]) ? exports[place].dup() : new RpcStub(exports[place]),
  });
}

/** The result of a call, before it is there. */
class Later implements Source {
  promise: Promise<unknown>;

  constructor(promise: Promise<unknown>) {
    this.promise = promise;
  }

  request(isCall: boolean, path: string[], outgoing: Outgoing): Promise<unknown> {
    if (!isCall && path.length === 0) return this.promise;
    return promiseThen(this.promise, (value: any) => {
      for (let i = 0; i < path.length; i++) {
        if (isStub(value)) return ask(ofStub(stubState(value)), isCall, arraySlice(path, i), outgoing);
        value = ownMember(value, path[i]!);
      }
      if (isCall && isStub(value)) return ask(ofStub(stubState(value)), true, [], outgoing);
      if (!isCall) return value;
      giveUpBodies(outgoing.bodies, undefined);
      throw new TypeError(`the result of the call has no method ${path.length === 0 ? "to call" : path[path.length - 1]}`);
    });
  }
}

function ownMember(value: any, name: string): unknown {
  if (value === undefined || value === null) throw new TypeError(`the result of the call is ${value}, and has no ${name}`);
  return hasOwn(Object(value), name) ? value[name] : undefined;
}

setPromiseBrand((value) => promiseBrand(value));
setStubMaker((session, id) => new RpcStub(INTERNAL, { source: new Imported(session, id), disposed: false }));
setForward((stub, isCall, path, outgoing) => ask(ofStub(stubState(stub)), isCall, path, outgoing));
