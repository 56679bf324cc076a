/**
 * `WebSocket` and `WebSocketPair`.
 *
 * A socket is one of two things. Where both ends are this worker's, a message goes from one object to the other and the
 * host never hears of it. As soon as one end leaves, with a response, the other is the host's: it is known there by a
 * number, sends with a call, and listens with one read at a time, each of which ends with a message or with the end.
 *
 * What a pair gives, and what `fetch` answers, speaks once it is accepted, as Workers have it; a socket made with an
 * address is a browser's.
 */
import { blobBytes, blobFrom, isBlob } from "../blob.ts";
import { DOMException } from "../errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute } from "../events.ts";
import { feature } from "../features.ts";
import { INTERNAL } from "../internal.ts";
import {
  CALL_SOCKET_BUFFERED, CALL_SOCKET_CLOSE, CALL_SOCKET_OPEN, CALL_SOCKET_SEND, OBJECT_ATTACH, OBJECT_ATTACHMENT,
  OBJECT_SOCKET_ACCEPT, OBJECT_SOCKET_CLOSE, OBJECT_SOCKET_SEND, OP_FETCH, OP_SOCKET_READ, call, start,
  utf8Encode,
} from "../native.ts";
import { whenComplete } from "../operations.ts";
import {
  Map, Number, Symbol, TypeError, Uint8Array, arrayBufferByteLength, arrayJoin, arraySplice, bytesOf, defineProperty, isArray,
  isObject, isUint8Array, mapDelete, mapGet, mapSet, promiseResolved, promiseThen, regExpExec, stringIndexOf, stringSlice, stringSplit,
  stringTrim, stringWellFormed, toStr, typedArrayBuffer, typedArrayByteLength, typedArrayByteOffset, typedArraySet,
  webClass,
} from "../primordials.ts";
import { parseUrl } from "../url.ts";
import { CloseEvent } from "./closeevent.ts";
import { ErrorEvent } from "./errorevents.ts";
import { MessageEvent } from "./messageevent.ts";
import { originOf, schemeOf } from "./websocket/address.ts";

type Data = string | Uint8Array;
type End = [code: number, reason: string, clean: boolean, cause: string | null];
/** What waits to be heard: messages, and at most one end after them. */
type Heard = Data | End;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

interface State {
  readyState: number;
  /** The host's number, once the host has the other end. */
  host: number;
  /** The other end, while it is this worker's. */
  peer: WebSocket | null;
  /** It is somebody else's now. */
  given: boolean;
  accepted: boolean;
  /** Made with an address: lenient where browsers are. */
  client: boolean;
  /** What the other end of a pair sent that was not delivered. */
  heard: Heard[];
  delivering: boolean;
  binaryType: string;
  url: string | null;
  protocol: string;
  extensions: string;
  attachment: unknown;
  /** The object's number of it, if a durable object keeps it. */
  kept: number;
  /** Called once the end was heard. */
  over: (() => void) | null;
}

let stateOf: (socket: WebSocket) => State;
let brand: (value: unknown) => boolean;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** One end of a conversation. */
export class WebSocket extends EventTarget {
  #state: State = {
    readyState: OPEN, host: 0, peer: null, given: false, accepted: false, client: false, heard: [], delivering: false,
    binaryType: "arraybuffer", url: null, protocol: "", extensions: "", attachment: null, kept: 0, over: null,
  };

  constructor(url: any, protocols: any = undefined) {
    if (arguments.length === 0) throw new TypeError("WebSocket needs an address");
    super();
    if (url !== INTERNAL) connect(this, this.#state, toStr(url), protocols);
  }

  static {
    stateOf = (socket) => socket.#state;
    brand = (value) => isObject(value) && #state in value;
  }

  get readyState(): number {
    return this.#state.readyState;
  }

  get url(): string | null {
    return this.#state.url;
  }

  get protocol(): string {
    return this.#state.protocol;
  }

  get extensions(): string {
    return this.#state.extensions;
  }

  get bufferedAmount(): number {
    const { host } = this.#state;
    return host === 0 ? 0 : call(CALL_SOCKET_BUFFERED, host);
  }

  get binaryType(): string {
    return this.#state.binaryType;
  }

  set binaryType(type: any) {
    if (type === "arraybuffer" || type === "blob") this.#state.binaryType = type;
    else void this.#state;
  }

  /** Begins to deliver what arrives. */
  accept(): void {
    const state = this.#state;
    if (state.client) return;
    if (state.given) throw new TypeError("a WebSocket that was given away with a response cannot be accepted");
    if (state.accepted) throw new TypeError("this WebSocket is accepted already");
    state.accepted = true;
    if (state.host !== 0) listen(this, state);
    else deliver(this, state);
  }

  send(data: any): void {
    const state = this.#state;
    if (arguments.length === 0) throw new TypeError("send needs a message");
    const message = messageFrom(data);
    if (state.readyState === CONNECTING) {
      throw new DOMException("the WebSocket is not open yet", "InvalidStateError");
    }
    if (!mayTalk(state, "send")) return;
    if (state.readyState >= CLOSING) {
      if (state.client) return;
      throw new TypeError("a WebSocket cannot send() after it was closed");
    }
    transmit(state, message);
  }

  close(code: any = undefined, reason: any = undefined): void {
    const state = this.#state;
    const status = code === undefined ? 1005 : checkCode(code);
    const text = reason === undefined ? "" : stringWellFormed(toStr(reason));
    if (typedArrayByteLength(utf8Encode(text)) > 123) {
      throw new DOMException("the reason of a close has more than 123 bytes", "SyntaxError");
    }
    if (text !== "" && status === 1005) throw new TypeError("a close with a reason needs a code");
    if (state.readyState >= CLOSING) return;
    if (state.readyState === CONNECTING) return giveUp(this, state);
    if (!mayTalk(state, "close")) return;
    state.readyState = CLOSING;
    hangUp(this, state, [status, text, true, null]);
  }

  /** Keeps a value with the socket, as a structured clone. */
  serializeAttachment(value: any): void {
    const state = this.#state;
    if (state.kept !== 0) call(OBJECT_ATTACH, state.kept, feature("objects").encodeValue(value));
    else state.attachment = feature("clone").structuredClone(value);
  }

  deserializeAttachment(): any {
    const { attachment, kept } = this.#state;
    if (kept !== 0) {
      const tokens = call(OBJECT_ATTACHMENT, kept);
      return tokens === null ? null : feature("objects").decodeValue(tokens);
    }
    return attachment === null ? null : feature("clone").structuredClone(attachment);
  }
}
webClass(WebSocket, 1);
handlerAttribute(WebSocket.prototype, "open");
handlerAttribute(WebSocket.prototype, "message");
handlerAttribute(WebSocket.prototype, "close");
handlerAttribute(WebSocket.prototype, "error");
const STATES: [string, number][] = [["CONNECTING", CONNECTING], ["OPEN", OPEN], ["CLOSING", CLOSING], ["CLOSED", CLOSED]];
for (let i = 0; i < STATES.length; i++) {
  const name = STATES[i]![0];
  const value = STATES[i]![1];
  defineProperty(WebSocket, name, { value, enumerable: true });
  defineProperty(WebSocket.prototype, name, { value, enumerable: true });
  // What Workers have beside the standard's.
  defineProperty(WebSocket, `READY_STATE_${name}`, { value, enumerable: true });
}

/** Two sockets, `0` and `1`, each of which hears what the other says. */
export class WebSocketPair {
  0: WebSocket;
  1: WebSocket;

  constructor() {
    const one = (this[0] = new WebSocket(INTERNAL));
    const other = (this[1] = new WebSocket(INTERNAL));
    stateOf(one).peer = other;
    stateOf(other).peer = one;
  }
}
webClass(WebSocketPair);

function mayTalk(state: State, what: string): boolean {
  if (state.accepted) return true;
  if (state.given) throw new TypeError(`a WebSocket that was given away with a response cannot ${what}()`);
  throw new TypeError(`call accept() on this WebSocket before ${what}()`);
}

function checkCode(code: unknown): number {
  const status = Number(code) & 0xffff;
  const reserved = status === 1004 || status === 1005 || status === 1006 || status === 1015;
  if (Number(code) !== status || status < 1000 || status > 4999 || reserved || (status > 1014 && status < 3000)) {
    throw new DOMException(`${toStr(code)} is no code that a close can have`, "InvalidAccessError");
  }
  return status;
}

/** A message as it travels: a well-formed string, or bytes of its own. */
function messageFrom(data: any): Data {
  if (typeof data === "string") return stringWellFormed(data);
  const bytes = isBlob(data) ? blobBytes(data) : bytesOf(data);
  if (bytes === null) return stringWellFormed(toStr(data));
  const copy = new Uint8Array(typedArrayByteLength(bytes));
  typedArraySet(copy, bytes);
  return copy;
}

/** Sends to wherever the other end is. */
function transmit(state: State, message: Data): void {
  if (state.kept !== 0) call(OBJECT_SOCKET_SEND, state.kept, message);
  else if (state.host !== 0) call(CALL_SOCKET_SEND, state.host, message);
  else if (state.peer !== null) say(state.peer, message);
}

/** Says goodbye to wherever the other end is. */
function hangUp(socket: WebSocket, state: State, end: End): void {
  if (state.kept !== 0) call(OBJECT_SOCKET_CLOSE, state.kept, end[0], end[1]);
  else if (state.host !== 0) call(CALL_SOCKET_CLOSE, state.host, end[0], end[1]);
  else if (state.peer !== null) {
    say(state.peer, end);
    // There is no closing handshake between two objects of one worker.
    later(() => ended(socket, state, end));
  }
}

function later(step: () => void): void {
  promiseThen(promiseResolved(undefined), step);
}

/** What one end of a pair says to the other. */
function say(to: WebSocket, what: Heard): void {
  const state = stateOf(to);
  if (state.readyState === CLOSED) return;
  state.heard[state.heard.length] = what;
  if (state.accepted) deliver(to, state);
}

/** Delivers what was heard, each as a task of its own. */
function deliver(socket: WebSocket, state: State): void {
  if (state.delivering || state.heard.length === 0) return;
  state.delivering = true;
  later(() => {
    state.delivering = false;
    if (state.heard.length === 0) return;
    const what = arraySplice(state.heard, 0, 1)[0];
    if (isArray(what)) return ended(socket, state, what as End);
    received(socket, state, what);
    deliver(socket, state);
  });
}

function received(socket: WebSocket, state: State, message: Data): void {
  if (state.readyState > CLOSING) return;
  const data = typeof message === "string" ? message : binary(state, message);
  fireTrusted(socket, new MessageEvent("message", { data, origin: state.url === null ? "" : originOf(state.url) }));
}

function binary(state: State, bytes: Uint8Array): unknown {
  if (state.binaryType === "blob") return blobFrom(bytes, "");
  const buffer = typedArrayBuffer(bytes);
  if (typedArrayByteOffset(bytes) === 0 && arrayBufferByteLength(buffer) === typedArrayByteLength(bytes)) return buffer;
  const copy = new Uint8Array(typedArrayByteLength(bytes));
  typedArraySet(copy, bytes);
  return typedArrayBuffer(copy);
}

function ended(socket: WebSocket, state: State, end: End): void {
  const { over } = state;
  if (state.host !== 0) state.over = null;
  fireEnd(socket, state, end);
  if (state.host !== 0 && over !== null) over();
}

function fireEnd(socket: WebSocket, state: State, end: End): void {
  if (state.readyState === CLOSED) return;
  // A pair's other end says goodbye in return, so both have closed.
  const { peer } = state;
  if (peer !== null && stateOf(peer).readyState < CLOSING) stateOf(peer).readyState = CLOSING;
  state.readyState = CLOSED;
  if (end[3] !== null) fireError(socket, `the WebSocket ended with code ${end[0]}: ${end[3]}`, end[3]);
  fireTrusted(socket, new CloseEvent("close", { code: end[0], reason: end[1], wasClean: end[2] }));
}

function fireError(socket: WebSocket, message: string, code: string): void {
  const error = new TypeError(message);
  if (code !== "") defineProperty(error, "code", { value: code, writable: true, configurable: true, enumerable: true });
  fireTrusted(socket, new ErrorEvent("error", { message, error }));
}

/** Reads from the host until the end. */
function listen(socket: WebSocket, state: State): void {
  whenComplete(start(OP_SOCKET_READ, state.host), (ok, value) => {
    if (!ok) return ended(socket, state, [1006, "", false, "internal"]);
    if (isArray(value)) return ended(socket, state, value as unknown as End);
    // Asked for first, so that a handler that throws away its instance does not stop it.
    listen(socket, state);
    received(socket, state, value);
  });
}

/** True for a `WebSocket` that may go out with a response. Throws what is wrong with it otherwise. */
export function checkUnused(value: unknown): void {
  if (!brand(value)) throw new TypeError("webSocket must be a WebSocket");
  const state = stateOf(value as WebSocket);
  if (state.client || state.accepted) throw new TypeError("a WebSocket that was accepted cannot go out with a response");
  if (state.given) throw new TypeError("this WebSocket went out with a response already");
}

/** A socket of the host's, which came with a response. */
export function wrapSocket(id: number): WebSocket {
  const socket = new WebSocket(INTERNAL);
  stateOf(socket).host = id;
  return socket;
}

/** The sockets that a durable object keeps, as far as anybody looked at them. */
const kept = new Map<number, WebSocket>();

/** Gives one end of a pair to the durable object that this instance is, for as long as it lasts. */
export function keepSocket(socket: any, tags: string[]): void {
  if (!brand(socket)) throw new TypeError("acceptWebSocket takes a WebSocket");
  const state = stateOf(socket);
  if (state.accepted) throw new TypeError("this WebSocket is accepted already");
  const { peer } = state;
  if (peer === null || state.given) throw new TypeError("acceptWebSocket takes one end of a WebSocketPair");
  const other = stateOf(peer);
  if (other.accepted) throw new TypeError("the other end of this WebSocket was accepted here already");
  const [id, far]: [number, number] = call(OBJECT_SOCKET_ACCEPT, tags);
  state.peer = null;
  other.peer = null;
  other.host = far;
  state.kept = id;
  state.accepted = true;
  mapSet(kept, id, socket);
}

/** A socket that the object keeps. */
export function wrapKept(id: number): WebSocket {
  const known = mapGet(kept, id);
  if (known !== undefined) return known;
  const socket = new WebSocket(INTERNAL);
  const state = stateOf(socket);
  state.kept = id;
  state.accepted = true;
  mapSet(kept, id, socket);
  return socket;
}

/** The object's number of a socket. */
export function keptOf(socket: any): number {
  if (!brand(socket) || stateOf(socket).kept === 0) throw new TypeError("this is no WebSocket that the object keeps");
  return stateOf(socket).kept;
}

/** A kept socket has ended. */
export function endKept(id: number): void {
  stateOf(wrapKept(id)).readyState = CLOSED;
  mapDelete(kept, id);
}

/**
 * Gives a socket to the host, for the response it goes out with. Answers the host's number, and whether the other end
 * stays here, whose end is told to `over`.
 */
export function giveAway(socket: WebSocket, over: () => void): [id: number, stays: boolean] {
  checkUnused(socket);
  const state = stateOf(socket);
  state.given = true;
  if (state.host !== 0) return [state.host, false];
  const peer = state.peer!;
  const other = stateOf(peer);
  const id: number = call(CALL_SOCKET_OPEN);
  state.peer = null;
  other.peer = null;
  other.host = id;
  other.over = over;
  // What the peer said meanwhile goes out after the answer.
  const { heard } = state;
  state.heard = [];
  for (let i = 0; i < heard.length; i++) {
    const what = heard[i]!;
    if (isArray(what)) hangUp(peer, other, what as End);
    else transmit(other, what as Data);
  }
  if (other.accepted) listen(peer, other);
  return [id, true];
}

/** The constructor with an address (WebSockets Standard, section 3.1). */
function connect(socket: WebSocket, state: State, address: string, protocols: any): void {
  const parsed = parseUrl(address);
  if (parsed === null) throw new DOMException(`${address} is not an absolute URL`, "SyntaxError");
  const href: string = parsed[0]!;
  const scheme = schemeOf(href);
  const http = scheme === "http:" || scheme === "ws:" ? "http:" : scheme === "https:" || scheme === "wss:" ? "https:" : "";
  if (http === "") throw new DOMException(`the scheme of a WebSocket is ws: or wss:, not ${scheme}`, "SyntaxError");
  if (stringIndexOf(href, "#") >= 0) throw new DOMException("the address of a WebSocket has no fragment", "SyntaxError");
  const offered = readProtocols(protocols);
  const rest = stringSlice(href, scheme.length);
  state.client = true;
  state.readyState = CONNECTING;
  state.url = (http === "http:" ? "ws:" : "wss:") + rest;
  let block = "upgrade\nwebsocket";
  if (offered.length > 0) block += `\nsec-websocket-protocol\n${arrayJoin(offered, ", ")}`;
  whenComplete(start(OP_FETCH, "GET", http + rest, block, null, 0, "error"), (ok, answer) => {
    if (!ok) return failed(socket, state, answer?.message ?? "", answer?.code ?? "");
    if (answer[0] !== 101) return failed(socket, state, `the server answered with status ${answer[0]}`, "upstream_protocol");
    opened(socket, state, answer);
  });
}

function opened(socket: WebSocket, state: State, answer: any[]): void {
  state.host = answer[6];
  const fields = stringSplit(answer[4], "\n");
  for (let i = 0; i + 1 < fields.length; i += 2) {
    if (fields[i] === "sec-websocket-protocol") state.protocol = stringTrim(fields[i + 1]);
  }
  // Closed while it was being opened.
  if (state.readyState !== CONNECTING) {
    call(CALL_SOCKET_CLOSE, state.host, null, "");
    return;
  }
  state.accepted = true;
  state.readyState = OPEN;
  listen(socket, state);
  fireTrusted(socket, new Event("open"));
}

function failed(socket: WebSocket, state: State, message: string, code: string): void {
  if (state.readyState === CLOSED) return;
  state.readyState = CLOSED;
  fireError(socket, message, code);
  fireTrusted(socket, new CloseEvent("close", { code: 1006, reason: "", wasClean: false }));
}

/** Closed before it was open: the connection is given up. */
function giveUp(socket: WebSocket, state: State): void {
  state.readyState = CLOSING;
  later(() => failed(socket, state, "the WebSocket was closed before it was open", ""));
}

function readProtocols(protocols: any): string[] {
  const given: unknown[] = [];
  if (protocols === undefined) return [];
  const list = isObject(protocols) ? protocols[Symbol.iterator] : undefined;
  if (list === undefined) given[0] = protocols;
  else {
    const iterator = protocols[Symbol.iterator]();
    for (let step = iterator.next(); !step.done; step = iterator.next()) given[given.length] = step.value;
  }
  const names: string[] = [];
  for (let i = 0; i < given.length; i++) {
    const name = toStr(given[i]);
    if (regExpExec(TOKEN, name) === null) throw new DOMException(`"${name}" is no sub-protocol`, "SyntaxError");
    for (let k = 0; k < names.length; k++) {
      if (names[k] === name) throw new DOMException(`the sub-protocol ${name} is named twice`, "SyntaxError");
    }
    names[names.length] = name;
  }
  return names;
}
