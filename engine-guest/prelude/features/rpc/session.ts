/**
 * A session: what two workers say to each other for as long as one holds a reference into the other. Both ends are the
 * same but for who began. Messages, each a list:
 *
 * - [CALL, number, export, is a call, path, base, tokens]
 * - [RETURN, number, is a value, base, tokens]
 * - [RELEASE, export]
 *
 * The exports of a message are numbered from its base. What was exported stays until it is released, or the session ends.
 */
import { describeError, hostError } from "../../errors.ts";
import { cancelBody, HostBody } from "../../hostbody.ts";
import { hold, release } from "../../invocation.ts";
import { logError } from "../../log.ts";
import {
  OP_RPC_READ, RPC_CLOSE, RPC_LIMIT, RPC_OPEN, RPC_SEND, RPC_STACK, call, start, type Wire,
} from "../../native.ts";
import { whenComplete } from "../../operations.ts";
import {
  Map, Promise, Symbol, WeakMap, isArray, isObject, mapDelete, mapForEach, mapGet, mapHas, mapSet, mapSize, promiseRejected,
  stringIndexOf, stringSplit, weakMapGet, weakMapSet,
} from "../../primordials.ts";
import { isHandedOver, openSending, pump } from "../../sending.ts";
import type { BodyValue, Invocation } from "../../state.ts";
import { type ReadableStream, isReadableStream, sourceOf } from "../../streams/readable.ts";
import { decodeArguments, decodeArrived } from "./decode.ts";
import { type Outgoing, encode, ownExports } from "./encode.ts";
import { perform } from "./perform.ts";
import { whenSettled } from "./settled.ts";

const CALL = 0;
const RETURN = 1;
const RELEASE = 2;

/** A value that came, and the stubs in it. */
export interface Arrived {
  value: any;
  stubs: { [Symbol.dispose](): void }[];
}

interface Waiting {
  resolve: (arrived: Arrived) => void;
  reject: (reason: unknown) => void;
}

export const ended = (): Error =>
  hostError("Error", "the worker that this stub leads to has ended, or the request that got the stub is over", "rpc_ended");

/** How stubs are made, told by stub.ts. */
let makeStub: (session: Session, id: number) => object;

export function setStubMaker(make: (session: Session, id: number) => object): void {
  makeStub = make;
}

export class Session {
  id: number;
  /** The invocation that serves it, which lasts as long. */
  server: Invocation | null;
  /** The call that it began with is answered. */
  answered = false;
  closed = false;
  exports = new Map<number, any>();
  nextExport = 1;
  imports = 0;
  /** Calls that were made and are not answered, and the number of those that came and are not. */
  waiting = new Map<number, Waiting>();
  nextCall = 1;
  serving = 0;

  constructor(id: number, server: Invocation | null) {
    this.id = id;
    this.server = server;
    if (server !== null) hold(server);
  }

  /** Begins to read; what comes is charged to the request that runs now. */
  read(): void {
    let id: number;
    try {
      id = start(OP_RPC_READ, this.id);
    } catch {
      return this.end();
    }
    whenComplete(id, (ok, messages) => {
      if (this.closed) return;
      if (!ok || messages === null) return this.end();
      for (let i = 0; i < messages.length; i++) this.receive(messages[i][0], messages[i][1]);
      if (this.closed) return;
      this.read();
      this.closeIfIdle();
    });
  }

  /** Gives what a message passes by reference to the other side; answers the first number. */
  export(outgoing: Outgoing): number {
    const { exports } = outgoing;
    const base = this.nextExport;
    if (exports.length === 0) return base;
    const most = stubsMax();
    if (mapSize(this.exports) + exports.length > most) {
      throw hostError(
        "Error", `more than ${most} functions and objects are passed by reference over one call (limits.rpc_stubs)`,
        "too_many_stubs",
      );
    }
    ownExports(outgoing);
    for (let i = 0; i < exports.length; i++) {
      mapSet(this.exports, this.nextExport++, exports[i]);
      refer(exports[i], 1);
    }
    return base;
  }

  /** Takes back what no one was told of. */
  unexport(base: number): void {
    while (this.nextExport > base) this.drop(--this.nextExport);
  }

  import(id: number): any {
    this.imports++;
    return makeStub(this, id);
  }

  /** Calls something that the other side exported. */
  request(target: number, isCall: boolean, path: string[], outgoing: Outgoing): Promise<Arrived> {
    if (this.closed) return promiseRejected(ended());
    return new Promise((resolve, reject) => {
      const number = this.nextCall++;
      const base = this.export(outgoing);
      try {
        this.send([CALL, number, target, isCall, path, base, outgoing.tokens], outgoing.bodies);
      } catch (error) {
        this.unexport(base);
        return reject(error);
      }
      mapSet(this.waiting, number, { resolve, reject });
    });
  }

  /** An import is no longer held. */
  release(id: number): void {
    this.imports--;
    if (this.closed) return;
    this.send([RELEASE, id], []);
    this.closeIfIdle();
  }

  send(message: Wire[], bodies: BodyValue[]): void {
    const streams = openBodies(bodies);
    try {
      call(RPC_SEND, this.id, message, streams);
    } catch (error) {
      giveUpBodies(bodies, error);
      throw error;
    }
    sendBodies(bodies, streams, () => {});
  }

  receive(message: any, handles: number[]): void {
    switch (isArray(message) ? message[0] : undefined) {
      case CALL: return this.serve(message, handles);
      case RETURN: return this.settle(message, handles);
      case RELEASE: return this.drop(message[1]);
    }
  }

  serve(message: any[], handles: number[]): void {
    const number = message[1];
    const target = message[2];
    const isCall = message[3];
    const path = message[4];
    this.serving++;
    let args: Arrived | null = null;
    let result: unknown;
    try {
      args = decodeArguments(message[6], handles, this, message[5]);
      if (!mapHas(this.exports, target)) throw ended();
      result = perform(mapGet(this.exports, target), isCall, path, args.value);
    } catch (error) {
      return this.return(number, args, false, error);
    }
    whenSettled(
      result,
      (value) => this.return(number, args, true, value),
      (reason) => this.return(number, args, false, reason),
    );
  }

  return(number: number, args: Arrived | null, ok: boolean, value: unknown): void {
    this.serving--;
    if (!this.closed) {
      try {
        const outgoing = ok ? encode(value) : encodeThrown(value);
        const base = this.export(outgoing);
        try {
          this.send([RETURN, number, ok, base, outgoing.tokens], outgoing.bodies);
        } catch (error) {
          this.unexport(base);
          throw error;
        }
      } catch (error) {
        const outgoing = encodeThrown(error);
        this.send([RETURN, number, false, 0, outgoing.tokens], []);
      }
    }
    disposeAll(args);
    this.closeIfIdle();
  }

  settle(message: any[], handles: number[]): void {
    const number = message[1];
    const waiting: Waiting | undefined = mapGet(this.waiting, number);
    if (waiting === undefined) return;
    mapDelete(this.waiting, number);
    try {
      const arrived = decodeArrived(message[4], handles, this, message[3]);
      if (message[2]) waiting.resolve(arrived);
      else waiting.reject(arrived.value);
    } catch (error) {
      waiting.reject(error);
    }
  }

  drop(id: number): void {
    const target = mapGet(this.exports, id);
    if (mapDelete(this.exports, id)) refer(target, -1);
  }

  closeIfIdle(): void {
    if (this.closed || !this.answered || this.imports > 0 || this.serving > 0) return;
    if (mapSize(this.exports) > 0 || mapSize(this.waiting) > 0) return;
    this.close();
  }

  close(): void {
    if (this.closed) return;
    call(RPC_CLOSE, this.id);
    this.end();
  }

  /** Nothing more comes or goes. */
  end(): void {
    if (this.closed) return;
    this.closed = true;
    mapForEach(this.waiting, (waiting: Waiting) => waiting.reject(ended()));
    const { exports } = this;
    this.exports = new Map();
    mapForEach(exports, (target: any) => refer(target, -1));
    if (this.server !== null) release(this.server);
  }
}

/** Opens a session; the other end goes out with the next call or answer. */
export function openSession(server: Invocation | null): Session {
  return new Session(call(RPC_OPEN, server !== null), server);
}

/** Takes an end that came with a call, whose invocation serves it, or with an answer. */
export function adoptSession(id: number, server: Invocation | null): Session {
  const session = new Session(id, server);
  session.read();
  return session;
}

let most = -1;

/** Asked of the host when an instance first needs it: an image knows no limits. */
function stubsMax(): number {
  return most < 0 ? (most = call(RPC_LIMIT)) : most;
}

/** How many references lead to an object from outside. */
const references = new WeakMap<object, number>();

/** One more or less; the last one calls its disposer. */
function refer(target: any, change: number): void {
  const count = (weakMapGet(references, target) ?? 0) + change;
  weakMapSet(references, target, count);
  if (count > 0) return;
  try {
    const dispose = target[Symbol.dispose];
    if (typeof dispose === "function") target[Symbol.dispose]();
  } catch (error) {
    logError("a disposer threw", error);
  }
}

/** The stubs among arguments go when the method has returned. */
export function disposeAll(arrived: Arrived | null): void {
  if (arrived === null) return;
  for (let i = 0; i < arrived.stubs.length; i++) arrived.stubs[i]![Symbol.dispose]();
}

/** What was thrown, or if that can't be passed on, an error that says the same. */
export function encodeThrown(thrown: unknown): Outgoing {
  keepStack(thrown);
  try {
    const outgoing = encode(thrown);
    if (outgoing.exports.length === 0 && outgoing.bodies.length === 0) return outgoing;
  } catch {
    // Said below.
  }
  return encode(withoutParts(thrown));
}

/** A stack that does not leave the worker goes to its log, or nobody would see it. */
function keepStack(thrown: unknown): void {
  const { stack } = describeError(thrown);
  if (call(RPC_STACK, stack) !== null) return;
  const lines = stringSplit(stack, "\n");
  for (let i = 0; i < lines.length; i++) {
    // What the platform itself found wrong has nothing to show.
    const isOwn = stringIndexOf(lines[i], "    at ") === 0 && stringIndexOf(lines[i], "selvedge:") < 0;
    if (isOwn && stringIndexOf(lines[i], "(native)") < 0) return logError("a method that another worker called threw", thrown);
  }
}

function withoutParts(thrown: any): Error {
  try {
    if (isObject(thrown) && typeof thrown.message === "string") return hostError(`${thrown.name}`, thrown.message);
  } catch {
    // Said below.
  }
  return hostError("Error", "a value was thrown that can't be passed to another worker");
}

/** Opens a stream at the host for each body; nothing flows yet. */
export function openBodies(bodies: BodyValue[]): number[] {
  const streams: number[] = [];
  for (let i = 0; i < bodies.length; i++) streams[i] = openSending(bodies[i]);
  return streams;
}

/** Lets bodies flow; `over` is called for each, at once for those that the host has back. */
export function sendBodies(bodies: BodyValue[], streams: number[], over: () => void): void {
  for (let i = 0; i < bodies.length; i++) {
    const body = bodies[i]!;
    if (isHandedOver(body)) over();
    else pump(streams[i]!, body as HostBody | ReadableStream, over);
  }
}

export function giveUpBodies(bodies: BodyValue[], reason: unknown): void {
  for (let i = 0; i < bodies.length; i++) {
    const body = bodies[i];
    if (body instanceof HostBody) cancelBody(body);
    else if (isReadableStream(body)) sourceOf(body).cancel(reason);
  }
}
