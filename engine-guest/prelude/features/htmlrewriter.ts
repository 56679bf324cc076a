/**
 * `HTMLRewriter`, as Workers have it.
 *
 * The host parses a piece of the document and records what the selectors matched; the handlers run here, over the
 * records, one after another, and may be asynchronous; what they did to a token is collected in an `Edit`, and the host
 * puts the piece out with all edits filled in. So a piece costs two calls to the host, however many handlers run.
 */
import { takeBody } from "../body.ts";
import { headerBlock, headerOf } from "../headers.ts";
import { HostBody, cancelBody, readBody } from "../hostbody.ts";
import { Edit, type Ends, type TokenRecord, makeToken } from "./htmlrewriter/tokens.ts";
import {
  CALL_HELD_DROP, CALL_REWRITER_FILL, CALL_REWRITER_OPEN, CALL_REWRITER_PARSE, CALL_SELECTOR_CHECK, call, utf8Encode,
} from "../native.ts";
import {
  Map, Promise, TypeError, apply, bytesOf, isObject, isView, mapDelete, mapGet, regExpExec, stringSplit, toStr,
  typedArraySubarray, webClass,
} from "../primordials.ts";
import { peekResponse, wrapResponse, type Response } from "../response.ts";
import {
  REDIRECTED, RESPONSE_URL, STATUS, STATUS_TEXT, TYPE, type BodyValue, type ResponseState,
} from "../state.ts";
import {
  type ReadableStream, type StreamSource, type StreamState, closeController, enqueue, internalStream, sourceOf,
} from "../streams/readable.ts";

/** What a call of `on` or `onDocument` registered. */
interface Registration {
  selector: string | null;
  /** `this` of the handlers. */
  owner: any;
  element: any;
  comments: any;
  text: any;
  doctype: any;
  end: any;
}

/** The bits by which the host is told what to record. */
const WANTS = { __proto__: null as any, element: 1, comments: 2, text: 4, doctype: 8, end: 16 };

/** What the host is given at once. */
const PIECE_BYTES = 64 << 10;

function handlerIn(handlers: any, name: string): any {
  const handler = handlers[name];
  if (handler === undefined || typeof handler === "function") return handler;
  throw new TypeError(`HTMLRewriter: the handler "${name}" must be a function`);
}

/** Rewrites HTML while it streams. */
export class HTMLRewriter {
  #registrations: Registration[] = [];

  /** Calls `handlers` for the elements that match the selector, and for comments and text inside of them. */
  on(selector: string, handlers: any): HTMLRewriter {
    const text = toStr(selector);
    if (!isObject(handlers)) throw new TypeError("HTMLRewriter.on: the handlers must be an object");
    call(CALL_SELECTOR_CHECK, text);
    return this.#add({
      selector: text, owner: handlers, element: handlerIn(handlers, "element"),
      comments: handlerIn(handlers, "comments"), text: handlerIn(handlers, "text"), doctype: undefined, end: undefined,
    });
  }

  /** Calls `handlers` for the document type, all comments and text, and the end. */
  onDocument(handlers: any): HTMLRewriter {
    if (!isObject(handlers)) throw new TypeError("HTMLRewriter.onDocument: the handlers must be an object");
    return this.#add({
      selector: null, owner: handlers, element: undefined, comments: handlerIn(handlers, "comments"),
      text: handlerIn(handlers, "text"), doctype: handlerIn(handlers, "doctype"), end: handlerIn(handlers, "end"),
    });
  }

  #add(registration: Registration): HTMLRewriter {
    const registrations = this.#registrations;
    registrations[registrations.length] = registration;
    return this;
  }

  /** The same response with its body rewritten, as it is read. */
  transform(response: Response): Response {
    const registrations = this.#registrations;
    const state = peekResponse(response);
    if (state === null) throw new TypeError("HTMLRewriter.transform takes a Response");
    const headers = withoutLength(headerBlock(state));
    const charset = charsetOf(headerOf(state, "content-type") ?? "");
    let body = takeBody(state);
    if (body !== null && registrations.length > 0) body = new Rewriting(registrations, charset, body).stream;
    return wrapResponse([
      body, headers, false, state[STATUS], state[STATUS_TEXT], state[RESPONSE_URL], state[REDIRECTED], state[TYPE],
    ] as ResponseState);
  }
}
webClass(HTMLRewriter);

const CHARSET = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;]+))/i;

function charsetOf(type: string): string {
  const found = regExpExec(CHARSET, type);
  return found === null ? "utf-8" : found[1] ?? found[2];
}

/** The length of the body is not known any more. */
function withoutLength(block: string): string {
  const lines: string[] = block === "" ? [] : stringSplit(block, "\n");
  let kept = "";
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] === "content-length") continue;
    kept += (kept === "" ? "" : "\n") + lines[i] + "\n" + lines[i + 1];
  }
  return kept;
}

/** The body as it is read: whole, from the host, or a stream. */
function chunksOf(body: BodyValue): StreamSource {
  if (body instanceof HostBody) {
    return { read: (waiter) => readBody(body, waiter), cancel: () => cancelBody(body) };
  }
  if (typeof body === "string" || isView(body)) {
    let rest: Uint8Array | null = typeof body === "string" ? utf8Encode(body) : (body as Uint8Array);
    return {
      read: (waiter) => {
        const chunk = rest;
        rest = null;
        waiter(true, chunk);
      },
      cancel: () => {
        rest = null;
      },
    };
  }
  return sourceOf(body as ReadableStream);
}

const END_TAG = 1;
const NAMES = ["element", "end", "text", "comments", "doctype", "end"] as const;

/** One document being rewritten. */
class Rewriting {
  stream: ReadableStream;
  #registrations: Registration[];
  #source: StreamSource;
  #handle: number;
  #out!: StreamState;
  /** Handlers of `onEndTag`, by the id of their element. */
  #ends: Ends = new Map();
  /** What was read and is not parsed yet, and the place in it. */
  #chunk: Uint8Array | null = null;
  #at = 0;
  #last = false;
  /** The host has more to parse of what it was given. */
  #more = false;
  #done = false;

  constructor(registrations: Registration[], charset: string, body: BodyValue) {
    this.#registrations = registrations;
    const wanted: any[] = [];
    for (let i = 0; i < registrations.length; i++) {
      const registration: any = registrations[i];
      let bits = 0;
      for (const name in WANTS) if (registration[name] !== undefined) bits |= (WANTS as any)[name];
      wanted[wanted.length] = registration.selector;
      wanted[wanted.length] = bits;
    }
    this.#handle = call(CALL_REWRITER_OPEN, charset, wanted);
    this.#source = chunksOf(body);
    this.stream = internalStream(0, (state) => {
      this.#out = state;
      return { pull: () => this.#pull(), cancel: (reason) => this.#stop(reason) };
    });
  }

  #stop(reason: unknown): void {
    if (this.#handle !== 0) call(CALL_HELD_DROP, this.#handle);
    this.#handle = 0;
    this.#source.cancel(reason);
  }

  /** Goes on until there is something to hand over. */
  async #pull(): Promise<void> {
    try {
      while (this.#handle !== 0) {
        if (!this.#more && !this.#last && this.#chunk === null) await this.#read();
        if (this.#handle === 0) return;
        const output = await this.#step();
        if (this.#handle === 0 && !this.#done) return;
        if (output.length > 0) enqueue(this.#out, output);
        if (this.#done) return closeController(this.#out);
        if (output.length > 0) return;
      }
    } catch (error) {
      this.#stop(error);
      throw error;
    }
  }

  #read(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#source.read((ok, value) => {
        if (!ok) return reject(value);
        if (value === null) this.#last = true;
        else {
          this.#chunk = isView(value) ? bytesOf(value) : null;
          this.#at = 0;
          if (this.#chunk === null) return reject(new TypeError("a body's stream must give Uint8Array chunks"));
        }
        resolve();
      });
    });
  }

  /** The next part of what was read, or null. */
  #piece(): Uint8Array | null {
    const chunk = this.#chunk;
    if (chunk === null || this.#more) return null;
    const from = this.#at;
    const to = from + PIECE_BYTES;
    this.#at = to;
    if (to >= chunk.length) this.#chunk = null;
    return from === 0 && to >= chunk.length ? chunk : typedArraySubarray(chunk, from, to);
  }

  /** Parses one piece and runs the handlers over it. Answers what can be put out. */
  async #step(): Promise<Uint8Array> {
    const answer: [output: Uint8Array, records: TokenRecord[] | null, more: boolean] = call(
      CALL_REWRITER_PARSE, this.#handle, this.#piece(), this.#last,
    );
    this.#more = answer[2];
    const records = answer[1];
    let output = answer[0];
    if (records !== null) {
      const edits: any[] = [];
      for (let i = 0; i < records.length; i++) {
        const record = records[i]!;
        const edit = new Edit(record[1]);
        // Most handlers do not wait, and then neither does this.
        const waiting = record[0] === END_TAG ? this.#endTag(record, edit) : this.#run(record, edit);
        if (waiting !== undefined) await waiting;
        edit.close();
        if (this.#handle === 0) return output;
        if (edit.isPending()) await edit.settled();
        if (edit.touched) edits[edits.length] = edit.wire();
      }
      if (this.#handle === 0) return output;
      output = call(CALL_REWRITER_FILL, this.#handle, edits);
    }
    if (this.#last && !this.#more) {
      // The host let it go with the last piece.
      this.#done = true;
      this.#handle = 0;
    }
    return output;
  }

  /** Calls the handlers of one token; a promise only if one of them waits. */
  #run(record: TokenRecord, edit: Edit): Promise<void> | undefined {
    const handlers = record[2];
    const name = NAMES[record[0]]!;
    const token = makeToken(record, edit, this.#ends);
    const registrations = this.#registrations;
    for (let i = 0; i < handlers.length; i++) {
      const registration = registrations[handlers[i]!]!;
      const result = apply(registration[name], registration.owner, [token]);
      if (isObject(result) && typeof result.then === "function") {
        return this.#goOn(result, handlers, i + 1, name, token);
      }
    }
    return undefined;
  }

  async #goOn(result: any, handlers: number[], from: number, name: (typeof NAMES)[number], token: any): Promise<void> {
    await result;
    for (let i = from; i < handlers.length; i++) {
      const registration = this.#registrations[handlers[i]!]!;
      await apply(registration[name], registration.owner, [token]);
    }
  }

  #endTag(record: TokenRecord, edit: Edit): Promise<void> | undefined {
    const element: number = record[3];
    const handlers: any[] | undefined = mapGet(this.#ends, element);
    if (handlers === undefined) return undefined;
    mapDelete(this.#ends, element);
    const token = makeToken(record, edit, this.#ends);
    return this.#endTagHandlers(handlers, token);
  }

  async #endTagHandlers(handlers: any[], token: any): Promise<void> {
    for (let i = 0; i < handlers.length; i++) await apply(handlers[i], undefined, [token]);
  }
}
