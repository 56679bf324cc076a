/**
 * Values on their way in. What arrives was made by another worker's prelude, and is trusted no further than that it is
 * well-formed at the border: what does not fit is an error.
 */
import { blobFrom, fileFrom } from "../../blob.ts";
import { DOMException, hostError } from "../../errors.ts";
import { Headers } from "../../headers.ts";
import { HostBody } from "../../hostbody.ts";
import { INTERNAL } from "../../internal.ts";
import { EvalError, ReferenceError, URIError } from "../../library.ts";
import {
  BigInt, DataView, Date, Error, Map, Number, Object, RegExp, Set, TypeError, defineProperty, isArray, isView, mapSet,
  setAdd, typedArrayBuffer, typedArrayConstructor,
} from "../../primordials.ts";
import { wrapRequest } from "../../request.ts";
import { wrapResponse } from "../../response.ts";
import type { BodyValue, RequestState } from "../../state.ts";
import { type ReadableStream, isReadableStream, streamOver } from "../../streams/readable.ts";
import type { Arrived, Session } from "./session.ts";
import {
  ARRAY, BIGINT, BLOB, BOXED, BUFFER, DATE, END, ERROR, HEADERS, HOLE, MAP, NUMBER, OBJECT, REFERENCE, REGEXP, REQUEST,
  RESPONSE, SET, SPARSE, STREAM, STUB, VIEW,
} from "./tokens.ts";

/** Where what stands beside the tokens comes from. */
export interface Beside {
  body(place: number): BodyValue;
  stub(place: number): object;
}

interface Reader {
  tokens: any[];
  at: number;
  seen: any[];
  beside: Beside;
}

export function decode(tokens: any, beside: Beside): unknown {
  if (!isArray(tokens)) return broken();
  return isPrimitive(tokens) ? tokens[tokens.length - 1] : read({ tokens, at: 0, seen: [], beside });
}

/** A value of one part, which needs no reader. */
export function isPrimitive(tokens: any[]): boolean {
  const { length } = tokens;
  return length === 1 ? typeof tokens[0] !== "number" : length === 2 && tokens[0] === NUMBER;
}

/** Decodes a message that came with handles of bodies, over a session if it holds stubs. */
export function decodeArrived(tokens: any, handles: number[], session: Session | null, base: number): Arrived {
  if (isArray(tokens) && isPrimitive(tokens)) return { value: tokens[tokens.length - 1], stubs: [] };
  const stubs: any[] = [];
  const value = decode(tokens, {
    body: (place) => {
      const handle = handles[place];
      return typeof handle === "number" ? new HostBody(handle) : broken();
    },
    stub: (place) => session === null ? broken() : (stubs[stubs.length] = session.import(base + place)),
  });
  return { value, stubs };
}

/** The same for the arguments of a call, which are a list. */
export function decodeArguments(tokens: any, handles: number[], session: Session | null, base: number): Arrived {
  const plain = isArray(tokens) && tokens[0] === ARRAY ? plainArguments(tokens) : null;
  if (plain !== null) return { value: plain, stubs: NO_STUBS };
  const arrived = decodeArrived(tokens, handles, session, base);
  return isArray(arrived.value) ? arrived : broken();
}

const NO_STUBS: any[] = [];

/** A list of values of one part each; null for any other. */
function plainArguments(tokens: any[]): any[] | null {
  const { length } = tokens;
  const count = tokens[1];
  const values: any[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    if (typeof tokens[at] === "number" && tokens[at++] !== NUMBER) return null;
    if (at >= length) return null;
    values[i] = tokens[at++];
  }
  return at === length && typeof count === "number" ? values : null;
}

function broken(): never {
  throw new TypeError("a message from another worker is not well-formed");
}

function next(reader: Reader): any {
  return reader.tokens[reader.at++];
}

function remember<T>(reader: Reader, value: T): T {
  reader.seen[reader.seen.length] = value;
  return value;
}

/** Keeps a place for an object that is made once its parts are there. */
function reserve(reader: Reader): number {
  const place = reader.seen.length;
  reader.seen[place] = undefined;
  return place;
}

function read(reader: Reader): any {
  const token = next(reader);
  if (typeof token !== "number") return token;
  switch (token) {
    case NUMBER: return next(reader);
    case BIGINT: return BigInt(next(reader));
    case REFERENCE: return reader.seen[next(reader)];
    case OBJECT: return readMembers(reader, remember(reader, {}));
    case ARRAY: return readArray(reader);
    case SPARSE: return readSparse(reader);
    case MAP: return readMap(reader);
    case SET: return readSet(reader);
    case BUFFER: return remember(reader, typedArrayBuffer(next(reader)));
    case VIEW: return readView(reader);
    case ERROR: return readError(reader);
    case DATE: return remember(reader, new Date(Number(next(reader))));
    case REGEXP: return remember(reader, new RegExp(next(reader), next(reader)));
    case BOXED: return readBoxed(reader);
    case STUB: return remember(reader, reader.beside.stub(next(reader)));
    default: return readWeb(token, reader);
  }
}

function isAtEnd(reader: Reader): boolean {
  if (reader.at >= reader.tokens.length) return broken();
  if (reader.tokens[reader.at] !== END) return false;
  reader.at++;
  return true;
}

const objectPrototype = Object.prototype;

function readSparse(reader: Reader): any {
  const length = next(reader);
  const to: any[] = remember(reader, []);
  readMembers(reader, to);
  to.length = length;
  return to;
}

function readMembers(reader: Reader, to: any): any {
  while (!isAtEnd(reader)) {
    const name = next(reader);
    if (typeof name !== "string") broken();
    const value = read(reader);
    // What every object has, a setter among it, is only hidden, not called.
    if (name in objectPrototype) {
      defineProperty(to, name, { value, writable: true, enumerable: true, configurable: true });
    } else to[name] = value;
  }
  return to;
}

function readArray(reader: Reader): any {
  const length = next(reader);
  const to: any[] = remember(reader, []);
  for (let i = 0; i < length; i++) {
    if (reader.at >= reader.tokens.length) broken();
    if (reader.tokens[reader.at] === HOLE) reader.at++;
    else to[i] = read(reader);
  }
  to.length = length;
  return to;
}

function readMap(reader: Reader): any {
  const to = remember(reader, new Map<unknown, unknown>());
  while (!isAtEnd(reader)) {
    const key = read(reader);
    mapSet(to, key, read(reader));
  }
  return to;
}

function readSet(reader: Reader): any {
  const to = remember(reader, new Set<unknown>());
  while (!isAtEnd(reader)) setAdd(to, read(reader));
  return to;
}

function readView(reader: Reader): any {
  const place = reserve(reader);
  const name = next(reader);
  const offset = next(reader);
  const length = next(reader);
  const buffer = read(reader);
  const make = name === "DataView" ? DataView : typedArrayConstructor(name);
  if (make === undefined) broken();
  return (reader.seen[place] = new make(buffer, offset, length));
}

function readBoxed(reader: Reader): any {
  const place = reserve(reader);
  return (reader.seen[place] = Object(read(reader)));
}

function readError(reader: Reader): any {
  const isDom = next(reader);
  const name = next(reader);
  const message = next(reader);
  const stack = next(reader);
  const code = next(reader);
  const to: any = remember(reader, isDom ? new DOMException(message, name) : errorNamed(name, message));
  const own = (key: string, value: unknown, enumerable: boolean): void => {
    defineProperty(to, key, { value, writable: true, configurable: true, enumerable });
  };
  // Without one, it has that of nobody: where it was decoded says nothing.
  own("stack", stack ?? (message === "" ? name : `${name}: ${message}`), false);
  if (code !== null) own("code", code, true);
  if (reader.tokens[reader.at] === HOLE) reader.at++;
  else own("cause", read(reader), false);
  return to;
}

/** Those that `hostError` does not make by their names, it would make a DOMException of, or a plain Error with the name. */
function errorNamed(name: string, message: string): Error {
  switch (name) {
    case "EvalError": case "ReferenceError": case "URIError":
      return new (globalErrors[name])(message);
    case "TypeError": case "RangeError": case "SyntaxError": case "Error":
      return hostError(name, message);
  }
  const error = new Error(message);
  defineProperty(error, "name", { value: name, writable: true, configurable: true });
  return error;
}

const globalErrors: Record<string, any> = { __proto__: null as any, EvalError, ReferenceError, URIError };

/** The platform's own objects. */
function readWeb(token: number, reader: Reader): any {
  const place = reserve(reader);
  switch (token) {
    case BLOB: return (reader.seen[place] = readBlob(reader));
    case HEADERS: return (reader.seen[place] = new Headers(INTERNAL, next(reader), false));
    case STREAM: return (reader.seen[place] = streamOf(next(reader), reader));
    case REQUEST: {
      const method = next(reader);
      const url = next(reader);
      const block = next(reader);
      const redirect = next(reader);
      const body = readBody(reader);
      const state: RequestState = [body, block, false, method, url, redirect, null, null, undefined, undefined];
      return (reader.seen[place] = wrapRequest(state));
    }
    case RESPONSE: {
      const status = Number(next(reader));
      const statusText = next(reader);
      const block = next(reader);
      const body = readBody(reader);
      return (reader.seen[place] = wrapResponse([body, block, false, status, statusText, "", false, "default"]));
    }
    default: return broken();
  }
}

/** Of a body that is whole, or of one that comes beside the message. */
function streamOf(body: any, reader: Reader): ReadableStream {
  const origin: any = isView(body) ? body : reader.beside.body(body);
  return isReadableStream(origin) ? origin : streamOver(origin, false);
}

function readBody(reader: Reader): BodyValue {
  const token = next(reader);
  if (token !== STREAM) return token === null || typeof token === "string" || isView(token) ? token : broken();
  return reader.beside.body(next(reader));
}

function readBlob(reader: Reader): object {
  const bytes = next(reader);
  const type = next(reader);
  const name = next(reader);
  const time = next(reader);
  return name === null ? blobFrom(bytes, type) : fileFrom(bytes, type, name, Number(time));
}
