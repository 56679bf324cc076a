/**
 * `EventSource` (HTML Standard, section 9.2): an event stream over `fetch`, with reconnection.
 */
import { abortSource, newAbortSignal, type AbortSource } from "../abort.ts";
import { bodyStream } from "../body.ts";
import { DOMException } from "../errors.ts";
import { Event, EventTarget, fireTrusted, handlerAttribute } from "../events.ts";
import { send } from "../fetch.ts";
import { headerBlock, headerOf } from "../headers.ts";
import { OP_TIMER, bytesToLatin1, start, utf8Decode, utf8Encode } from "../native.ts";
import { cancelOperation, whenComplete } from "../operations.ts";
import {
  TypeError, concatBytes, defineProperty, promiseThen, regExpExec, stringCharCodeAt, stringIndexOf, stringLower,
  stringSlice, stringSplit, stringTrim, toStr, typedArrayByteLength, typedArraySubarray, webClass,
} from "../primordials.ts";
import { requestState } from "../request.ts";
import { type Response, peekResponse } from "../response.ts";
import { HEADERS, RESPONSE_URL, type RequestState, type ResponseState, STATUS } from "../state.ts";
import { type StreamSource, flattened, sourceOf } from "../streams/readable.ts";
import { parseUrl } from "../url.ts";
import { ErrorEvent } from "./errorevents.ts";
import { MessageEvent } from "./messageevent.ts";
import { originOf } from "./websocket/address.ts";

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** Until the stream says otherwise. */
const RETRY_MS = 3000;

/** One line of a stream may be this long, and one event; beyond it the stream is given up. */
const EVENT_BYTES = 1 << 20;

interface State {
  url: string;
  withCredentials: boolean;
  readyState: number;
  signal: AbortSource;
  timer: number;
  retryMs: number;
  lastEventId: string;
  /** Where the stream comes from, redirects followed. */
  origin: string;
  headers: any;
}

let stateOf: (source: EventSource) => State;

/** A subscription to a stream of events. */
export class EventSource extends EventTarget {
  #state: State;

  constructor(url: any, init: any = undefined) {
    if (arguments.length === 0) throw new TypeError("EventSource needs an address");
    super();
    const parsed = parseUrl(toStr(url));
    if (parsed === null) throw new DOMException(`${toStr(url)} is not an absolute URL`, "SyntaxError");
    this.#state = {
      url: parsed[0]!, withCredentials: !!init?.withCredentials, readyState: CONNECTING, signal: newAbortSignal(),
      timer: 0, retryMs: RETRY_MS, lastEventId: "", origin: originOf(parsed[0]!), headers: init?.headers,
    };
    connect(this, this.#state);
  }

  static {
    stateOf = (source) => source.#state;
  }

  get url(): string {
    return this.#state.url;
  }

  get withCredentials(): boolean {
    return this.#state.withCredentials;
  }

  get readyState(): number {
    return this.#state.readyState;
  }

  close(): void {
    const state = this.#state;
    state.readyState = CLOSED;
    if (state.timer !== 0) cancelOperation(state.timer);
    state.timer = 0;
    abortSource(state.signal, new DOMException("the EventSource was closed", "AbortError"));
  }
}
webClass(EventSource, 1);
handlerAttribute(EventSource.prototype, "open");
handlerAttribute(EventSource.prototype, "message");
handlerAttribute(EventSource.prototype, "error");
const STATES: [string, number][] = [["CONNECTING", CONNECTING], ["OPEN", OPEN], ["CLOSED", CLOSED]];
for (let i = 0; i < STATES.length; i++) {
  defineProperty(EventSource, STATES[i]![0], { value: STATES[i]![1], enumerable: true });
  defineProperty(EventSource.prototype, STATES[i]![0], { value: STATES[i]![1], enumerable: true });
}

function connect(source: EventSource, state: State): void {
  let answer: Promise<Response>;
  try {
    const request = requestState(state.url, { headers: state.headers, signal: state.signal });
    add(request, "accept", "text/event-stream");
    add(request, "cache-control", "no-cache");
    if (state.lastEventId !== "") add(request, "last-event-id", headerText(state.lastEventId));
    answer = send(request, -1);
  } catch (error) {
    return fail(source, state, error);
  }
  promiseThen(
    answer,
    (response: Response) => answered(source, state, peekResponse(response)!),
    // The connection failed, which may be over by the next attempt.
    (error: unknown) => reconnect(source, state, error),
  );
}

/** Adds a field, unless there is one of that name. */
function add(request: RequestState, name: string, value: string): void {
  if (headerOf(request, name) !== null) return;
  const block = headerBlock(request);
  request[HEADERS] = `${block === "" ? "" : block + "\n"}${name}\n${value}`;
}

/** A header carries bytes: the UTF-8 of an id, a character for each. */
function headerText(text: string): string {
  return bytesToLatin1(utf8Encode(text));
}

function answered(source: EventSource, state: State, response: ResponseState): void {
  if (state.readyState === CLOSED) return;
  const status = response[STATUS];
  const body = bodyStream(response);
  const type = stringLower(stringTrim(stringSplit(headerOf(response, "content-type") ?? "", ";")[0]));
  if (status !== 200 || type !== "text/event-stream") {
    if (body !== null) sourceOf(body).cancel(undefined);
    const what = status !== 200 ? `status ${status}` : `the content type "${type}"`;
    return fail(source, state, new TypeError(`${state.url} answered with ${what} where an event stream was expected`));
  }
  if (response[RESPONSE_URL] !== "") state.origin = originOf(response[RESPONSE_URL]);
  state.readyState = OPEN;
  fireTrusted(source, new Event("open"));
  if (body === null) return reconnect(source, state, undefined);
  read(source, state, sourceOf(body));
}

function read(source: EventSource, state: State, chunks: StreamSource): void {
  const parser = new Parser(source, state);
  const next = flattened(() => chunks.read((ok, value) => {
    if (stateOf(source).readyState === CLOSED) return chunks.cancel(undefined);
    if (!ok || value === null) return reconnect(source, state, ok ? undefined : value);
    if (!parser.push(value)) {
      chunks.cancel(undefined);
      return fail(source, state, new TypeError(`an event of ${state.url} has more than ${EVENT_BYTES} bytes`));
    }
    next();
  }));
  next();
}

/** The connection is over; a new one is tried after a while. */
function reconnect(source: EventSource, state: State, error: unknown): void {
  if (state.readyState === CLOSED) return;
  state.readyState = CONNECTING;
  fireError(source, error);
  if ((state.readyState as number) === CLOSED) return;
  try {
    state.timer = start(OP_TIMER, state.retryMs);
  } catch (refused) {
    return fail(source, state, refused);
  }
  whenComplete(state.timer, () => {
    state.timer = 0;
    if (state.readyState === CONNECTING) connect(source, state);
  });
}

/** What no further attempt would mend. */
function fail(source: EventSource, state: State, error: unknown): void {
  if (state.readyState === CLOSED) return;
  state.readyState = CLOSED;
  fireError(source, error);
}

function fireError(source: EventSource, error: unknown): void {
  const message = error === undefined ? "" : toStr((error as any)?.message ?? error);
  fireTrusted(source, new ErrorEvent("error", { message, error }));
}

const LF = 10;
const CR = 13;
const DIGITS = /^[0-9]+$/;

/** The line protocol of an event stream (section 9.2.6). */
class Parser {
  source: EventSource;
  state: State;
  /** A line that is not complete. */
  pieces: Uint8Array[] = [];
  bytes = 0;
  first = true;
  /** The last line ended in CR: an LF that follows belongs to it. */
  afterCr = false;
  data = "";
  dataLines = 0;
  type = "";
  id: string;

  constructor(source: EventSource, state: State) {
    this.source = source;
    this.state = state;
    this.id = state.lastEventId;
  }

  /** False if a line or an event is too long. */
  push(chunk: Uint8Array): boolean {
    const length = typedArrayByteLength(chunk);
    let from = 0;
    if (this.afterCr && length > 0) {
      if (chunk[0] === LF) from = 1;
      this.afterCr = false;
    }
    for (let at = from; at < length; at++) {
      const byte = chunk[at];
      if (byte !== LF && byte !== CR) continue;
      if (!this.keep(typedArraySubarray(chunk, from, at))) return false;
      this.endLine();
      if (this.state.readyState === CLOSED) return true;
      if (byte === CR) {
        if (at + 1 === length) this.afterCr = true;
        else if (chunk[at + 1] === LF) at++;
      }
      from = at + 1;
    }
    return from >= length || this.keep(typedArraySubarray(chunk, from, length));
  }

  keep(piece: Uint8Array): boolean {
    if (typedArrayByteLength(piece) > 0) this.pieces[this.pieces.length] = piece;
    this.bytes += typedArrayByteLength(piece);
    return this.bytes + this.data.length <= EVENT_BYTES;
  }

  endLine(): void {
    let line = this.bytes === 0 ? "" : utf8Decode(concatBytes(this.pieces), false, true);
    this.pieces = [];
    this.bytes = 0;
    if (this.first) {
      this.first = false;
      if (stringCharCodeAt(line, 0) === 0xfeff) line = stringSlice(line, 1);
    }
    if (line === "") return this.dispatch();
    const colon = stringIndexOf(line, ":");
    if (colon === 0) return;
    const name = colon < 0 ? line : stringSlice(line, 0, colon);
    let value = colon < 0 ? "" : stringSlice(line, colon + 1);
    if (stringCharCodeAt(value, 0) === 0x20) value = stringSlice(value, 1);
    this.field(name, value);
  }

  field(name: string, value: string): void {
    if (name === "data") {
      this.data += this.dataLines++ === 0 ? value : `\n${value}`;
    } else if (name === "event") this.type = value;
    else if (name === "id") {
      if (stringIndexOf(value, "\0") < 0) this.id = value;
    } else if (name === "retry" && regExpExec(DIGITS, value) !== null) this.state.retryMs = +value;
  }

  dispatch(): void {
    const { data, type, dataLines } = this;
    this.state.lastEventId = this.id;
    this.data = "";
    this.dataLines = 0;
    this.type = "";
    if (dataLines === 0) return;
    const { origin } = this.state;
    fireTrusted(this.source, new MessageEvent(type === "" ? "message" : type, { data, origin, lastEventId: this.id }));
  }
}
