/**
 * `ctx` of a durable object.
 */
import { describeError } from "../../errors.ts";
import { INTERNAL } from "../../internal.ts";
import { liveInvocation, waitFor } from "../../invocation.ts";
import {
  OBJECT_ABORT, OBJECT_AUTO_GET, OBJECT_AUTO_SET, OBJECT_AUTO_TIME, OBJECT_SOCKETS, OBJECT_SOCKET_TAGS, call, getContext,
} from "../../native.ts";
import {
  Date, Promise, RangeError, TypeError, isArray, promiseRejected, promiseResolved, promiseThen, toStr, webClass,
} from "../../primordials.ts";
import type { Invocation } from "../../state.ts";
import { keepSocket, keptOf, wrapKept } from "../websocket.ts";
import { WebSocketRequestResponsePair } from "./autoresponse.ts";
import { block, unblock } from "./gate.ts";
import type { DurableObjectId } from "./namespace.ts";
import { DurableObjectStorage } from "./storage.ts";

const TAGS_MAX = 10;
const TAG_CHARACTERS_MAX = 256;

/** Ends the instance: what it holds in memory can't be trusted. */
export function resetBecause(what: string, error: unknown): void {
  const { name, message, stack } = describeError(error);
  call(OBJECT_ABORT, `${what}: ${name}: ${message}`, stack);
}

export class DurableObjectState {
  #id: DurableObjectId;
  #storage: DurableObjectStorage;
  #props = {};

  constructor(token: unknown, id: DurableObjectId) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#id = id;
    this.#storage = new DurableObjectStorage(INTERNAL);
  }

  get id(): DurableObjectId {
    return this.#id;
  }

  get storage(): DurableObjectStorage {
    return this.#storage;
  }

  get props(): object {
    return this.#props;
  }

  waitUntil(promise: unknown): void {
    void this.#id;
    const invocation: Invocation | undefined = liveInvocation(getContext());
    if (invocation !== undefined) waitFor(invocation, promise);
  }

  /** Holds events back until the promise is settled; if it is rejected, the object is reset. */
  blockConcurrencyWhile(callback: () => any): Promise<any> {
    void this.#id;
    block();
    let result: any;
    try {
      result = promiseResolved(callback());
    } catch (error) {
      result = promiseRejected(error);
    }
    // The event that blocks goes on as long as it does, and with it what the callback has begun.
    const blocks = promiseThen(
      result,
      (value: unknown) => {
        unblock();
        return value;
      },
      (error: unknown) => {
        resetBecause("blockConcurrencyWhile failed", error);
        throw error;
      },
    );
    const invocation: Invocation | undefined = liveInvocation(getContext());
    if (invocation !== undefined) waitFor(invocation, blocks);
    return blocks;
  }

  /** Keeps one end of a `WebSocketPair`, whatever becomes of this instance. */
  acceptWebSocket(socket: any, tags: any = undefined): void {
    void this.#id;
    const checked: string[] = [];
    if (tags !== undefined) {
      if (!isArray(tags)) throw new TypeError("the tags of a WebSocket are a list of strings");
      if (tags.length > TAGS_MAX) throw new RangeError(`a WebSocket has at most ${TAGS_MAX} tags`);
      for (let i = 0; i < tags.length; i++) {
        const tag = toStr(tags[i]);
        if (tag.length === 0 || tag.length > TAG_CHARACTERS_MAX) {
          throw new RangeError(`a tag of a WebSocket has 1 to ${TAG_CHARACTERS_MAX} characters`);
        }
        checked[i] = tag;
      }
    }
    keepSocket(socket, checked);
  }

  getWebSockets(tag: any = undefined): any[] {
    void this.#id;
    const ids: number[] = call(OBJECT_SOCKETS, tag === undefined ? null : toStr(tag));
    const sockets: any[] = [];
    for (let i = 0; i < ids.length; i++) sockets[i] = wrapKept(ids[i]!);
    return sockets;
  }

  getTags(socket: any): string[] {
    void this.#id;
    return call(OBJECT_SOCKET_TAGS, keptOf(socket));
  }

  setWebSocketAutoResponse(pair: any = undefined): void {
    void this.#id;
    if (pair === undefined || pair === null) {
      call(OBJECT_AUTO_SET, null);
      return;
    }
    if (!(pair instanceof WebSocketRequestResponsePair)) {
      throw new TypeError("setWebSocketAutoResponse takes a WebSocketRequestResponsePair");
    }
    call(OBJECT_AUTO_SET, pair.request, pair.response);
  }

  getWebSocketAutoResponse(): WebSocketRequestResponsePair | null {
    void this.#id;
    const pair = call(OBJECT_AUTO_GET);
    return pair === null ? null : new WebSocketRequestResponsePair(pair[0], pair[1]);
  }

  getWebSocketAutoResponseTimestamp(socket: any): Date | null {
    void this.#id;
    const ms = call(OBJECT_AUTO_TIME, keptOf(socket));
    return ms === null ? null : new Date(ms);
  }

  /** Forgets everything that is only in memory: the next event makes the object anew. */
  abort(reason: any = undefined): never {
    void this.#id;
    const text = reason === undefined ? "no reason" : toStr(reason);
    call(OBJECT_ABORT, text, "");
    throw new TypeError(`the object was reset: ${text}`);
  }
}
webClass(DurableObjectState);
