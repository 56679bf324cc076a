/**
 * Values on their way out: by structured clone, but that functions and `RpcTarget` objects are passed by reference, and
 * requests, responses and streams with their bodies.
 */
import { blobBytes, blobType, fileName, isBlob, isFile } from "../../blob.ts";
import { takeBody } from "../../body.ts";
import { RpcTarget, isStub } from "../../entrypoint.ts";
import { DOMException } from "../../errors.ts";
import { headerBlock, isHeaders } from "../../headers.ts";
import { bigintValueOf, booleanValueOf, numberValueOf, stringValueOf } from "../../library.ts";
import { RPC_STACK, call, promiseState, utf8Encode, type Wire } from "../../native.ts";
import {
  Error, Map, Object, TypeError, Uint8Array, dataViewBuffer, dataViewByteLength,
  dataViewByteOffset, dateGetTime, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isArray, isArrayBuffer, isView,
  mapForEach, mapGet, mapSet, mapSize, objectKeys, objectToString, regExpFlags, regExpSource, setForEach, setSize, toStr,
  typedArrayBuffer, typedArrayByteOffset, typedArrayLength, typedArrayTag,
} from "../../primordials.ts";
import { peekRequest } from "../../request.ts";
import { peekResponse } from "../../response.ts";
import {
  BODY, type BodyState, type BodyValue, METHOD, REDIRECT, REQUEST_URL, STATUS, STATUS_TEXT,
} from "../../state.ts";
import { isDisturbed, isLocked, isReadableStream, takeOrigin } from "../../streams/readable.ts";
import {
  ARRAY, BIGINT, BLOB, BOXED, BUFFER, DATE, END, ERROR, HEADERS, HOLE, MAP, NUMBER, OBJECT, REFERENCE, REGEXP, REQUEST,
  RESPONSE, SET, SPARSE, STREAM, STUB, VIEW,
} from "./tokens.ts";

/** A message that belongs to no session yet. */
export interface Outgoing {
  tokens: Wire[];
  /** What it passes by reference. */
  exports: any[];
  bodies: BodyValue[];
}

interface Writer extends Outgoing {
  /** The object that was met first; mostly there is no other. */
  first: object | null;
  /** Objects that were met after it, with their places. */
  seen: Map<object, number> | null;
  count: number;
}

/** What the promises of calls are, told by stub.ts, where they are at home; there is none before it is loaded. */
let isPromise: (value: unknown) => boolean = () => false;

export function setPromiseBrand(brand: (value: unknown) => boolean): void {
  isPromise = brand;
}

const objectPrototype = Object.prototype;

/** What most messages pass by reference, and of bodies. */
const NONE: any[] = [];

export function encode(value: unknown): Outgoing {
  switch (typeof value) {
    case "number":
      return { tokens: [NUMBER, value], exports: NONE, bodies: NONE };
    case "string":
    case "boolean":
    case "undefined":
      return { tokens: [value], exports: NONE, bodies: NONE };
  }
  const writer: Writer = { tokens: [], exports: [], bodies: [], first: null, seen: null, count: 0 };
  write(value, writer);
  return writer;
}

/** The same for the arguments of a call, which are mostly few and plain. */
export function encodeArguments(args: unknown[]): Outgoing {
  const { length } = args;
  const tokens: Wire[] = [ARRAY, length];
  let at = 2;
  for (let i = 0; i < length; i++) {
    const value: any = args[i];
    switch (typeof value) {
      case "number":
        tokens[at++] = NUMBER;
        break;
      case "string":
      case "boolean":
      case "undefined":
        break;
      default:
        if (value !== null) return encode(args);
    }
    tokens[at++] = value;
  }
  return { tokens, exports: NONE, bodies: NONE };
}

function refuse(what: string): never {
  throw new DOMException(`${what} can't be passed to another worker`, "DataCloneError");
}

function put(writer: Writer, token: Wire): void {
  writer.tokens[writer.tokens.length] = token;
}

function write(value: any, writer: Writer): void {
  switch (typeof value) {
    case "number":
      put(writer, NUMBER);
      return put(writer, value);
    case "bigint":
      put(writer, BIGINT);
      return put(writer, toStr(value));
    case "symbol":
      return refuse("a symbol");
    case "function":
      return writeReference(value, writer);
    case "object":
      if (value === null) return put(writer, null);
      return writeObject(value, writer);
    default:
      return put(writer, value);
  }
}

/** True if the object was met before. */
function met(value: object, writer: Writer): boolean {
  const { first, seen } = writer;
  const place: number | undefined = value === first ? 0 : seen === null ? undefined : mapGet(seen, value);
  if (place === undefined) {
    if (first === null) writer.first = value;
    else mapSet(writer.seen ??= new Map(), value, writer.count);
    writer.count++;
    return false;
  }
  put(writer, REFERENCE);
  put(writer, place);
  return true;
}

function writeReference(value: any, writer: Writer): void {
  if (isPromise(value)) refuse("the promise of a call, which has to be awaited first,");
  if (met(value, writer)) return;
  put(writer, STUB);
  put(writer, writer.exports.length);
  writer.exports[writer.exports.length] = value;
}

/** What is passed by reference belongs to the message from here on: stubs as references of their own. */
export function ownExports(outgoing: Outgoing): void {
  const { exports } = outgoing;
  for (let i = 0; i < exports.length; i++) if (isStub(exports[i])) exports[i] = exports[i].dup();
}

function writeObject(value: any, writer: Writer): void {
  if (value instanceof RpcTarget) return writeReference(value, writer);
  if (met(value, writer)) return;
  if (isArray(value)) return writeArray(value, writer);
  const prototype = getPrototypeOf(value);
  if (prototype === objectPrototype || prototype === null) return writePlain(value, writer);
  if (isView(value)) return writeView(value, writer);
  if (isArrayBuffer(value)) return writeBuffer(value, writer);
  if (value instanceof Error) return writeError(value, writer);
  if (!writeWeb(value, writer) && !writeTagged(value, writer)) refuseInstance(value);
}

/** A list this long is looked at for holes before each place of it is. */
const LONG = 10_000;

function writeArray(value: unknown[], writer: Writer): void {
  const { length } = value;
  if (length > LONG) {
    const places = objectKeys(value);
    if (places.length < length / 2) return writeSparse(value, places, writer);
  }
  put(writer, ARRAY);
  put(writer, length);
  for (let i = 0; i < length; i++) {
    const item = value[i];
    if (item === undefined && !hasOwn(value, i)) put(writer, HOLE);
    else write(item, writer);
  }
}

function writeSparse(value: any, places: string[], writer: Writer): void {
  put(writer, SPARSE);
  put(writer, value.length);
  writeMembers(value, places, writer);
}

function writePlain(value: any, writer: Writer): void {
  put(writer, OBJECT);
  writeMembers(value, objectKeys(value), writer);
}

function writeMembers(value: any, keys: string[], writer: Writer): void {
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (!hasOwn(value, key)) continue;
    put(writer, key);
    write(value[key], writer);
  }
  put(writer, END);
}

function writeBuffer(buffer: ArrayBuffer, writer: Writer): void {
  put(writer, BUFFER);
  put(writer, new Uint8Array(buffer));
}

function writeView(value: any, writer: Writer): void {
  const tag: string | undefined = typedArrayTag(value);
  put(writer, VIEW);
  put(writer, tag ?? "DataView");
  put(writer, tag === undefined ? dataViewByteOffset(value) : typedArrayByteOffset(value));
  put(writer, tag === undefined ? dataViewByteLength(value) : typedArrayLength(value));
  const buffer = tag === undefined ? dataViewBuffer(value) : typedArrayBuffer(value);
  if (!isArrayBuffer(buffer)) refuse("a view of shared memory");
  write(buffer, writer);
}

function writeError(value: any, writer: Writer): void {
  const { name, stack, code } = value;
  put(writer, ERROR);
  put(writer, value instanceof DOMException);
  put(writer, toStr(name ?? "Error"));
  put(writer, toStr(value.message ?? ""));
  put(writer, typeof stack === "string" ? call(RPC_STACK, stack) : null);
  put(writer, typeof code === "string" ? code : null);
  const cause = getOwnPropertyDescriptor(value, "cause");
  if (cause === undefined || !("value" in cause)) put(writer, HOLE);
  else write(cause.value, writer);
}

/** The platform's own objects. */
function writeWeb(value: any, writer: Writer): boolean {
  if (isBlob(value)) {
    put(writer, BLOB);
    put(writer, blobBytes(value));
    put(writer, blobType(value));
    put(writer, isFile(value) ? fileName(value) : null);
    put(writer, isFile(value) ? toStr(value.lastModified) : null);
    return true;
  }
  if (isHeaders(value)) {
    put(writer, HEADERS);
    put(writer, headerBlock([null, value, false]));
    return true;
  }
  if (isReadableStream(value)) {
    if (isLocked(value) || isDisturbed(value)) throw new TypeError("a stream that is locked or was read can't be passed on");
    const taken = takeOrigin(value) ?? value;
    const origin = typeof taken === "string" ? utf8Encode(taken) : taken;
    if (isView(origin)) writeTwo(writer, STREAM, origin as Wire);
    else writeBody(origin as BodyValue, writer);
    return true;
  }
  const request = peekRequest(value);
  if (request !== null) {
    put(writer, REQUEST);
    put(writer, request[METHOD]);
    put(writer, request[REQUEST_URL]);
    put(writer, headerBlock(request));
    put(writer, request[REDIRECT]);
    writeBodyOf(request, writer);
    return true;
  }
  const response = peekResponse(value);
  if (response === null) return false;
  if (response[STATUS] < 200) refuse("a response of this status");
  put(writer, RESPONSE);
  put(writer, toStr(response[STATUS]));
  put(writer, response[STATUS_TEXT]);
  put(writer, headerBlock(response));
  writeBodyOf(response, writer);
  return true;
}

/** A whole body stands in the message, any other beside it. */
function writeBodyOf(state: BodyState, writer: Writer): void {
  const body = state[BODY] === null ? null : takeBody(state);
  if (body === null || typeof body === "string" || isView(body)) put(writer, body as Wire);
  else writeBody(body, writer);
}

function writeBody(body: BodyValue, writer: Writer): void {
  put(writer, STREAM);
  put(writer, writer.bodies.length);
  writer.bodies[writer.bodies.length] = body;
}

/** Built-ins known by their tag; false for anything else. */
function writeTagged(value: any, writer: Writer): boolean {
  const from = writer.tokens.length;
  try {
    switch (objectToString(value)) {
      case "[object Date]": return writeTwo(writer, DATE, toStr(dateGetTime(value)));
      case "[object RegExp]":
        writeTwo(writer, REGEXP, regExpSource(value));
        put(writer, regExpFlags(value));
        return true;
      case "[object Boolean]": return writeTwo(writer, BOXED, booleanValueOf(value));
      case "[object String]": return writeTwo(writer, BOXED, stringValueOf(value));
      case "[object Number]": return writeBoxed(writer, numberValueOf(value));
      case "[object BigInt]": return writeBoxed(writer, bigintValueOf(value));
      case "[object Map]": return mapSize(value) >= 0 && writeMap(value, writer);
      case "[object Set]": return setSize(value) >= 0 && writeSet(value, writer);
    }
  } catch (error) {
    // A tag that lies is no built-in; what is inside of one may be refused.
    if (writer.tokens.length > from) throw error;
  }
  return false;
}

function writeTwo(writer: Writer, tag: number, value: Wire): true {
  put(writer, tag);
  put(writer, value);
  return true;
}

function writeBoxed(writer: Writer, value: number | bigint): true {
  put(writer, BOXED);
  write(value, writer);
  return true;
}

function writeMap(value: any, writer: Writer): true {
  const pairs: unknown[] = [];
  mapForEach(value, (item: unknown, key: unknown) => {
    pairs[pairs.length] = key;
    pairs[pairs.length] = item;
  });
  return writeList(writer, MAP, pairs);
}

function writeSet(value: any, writer: Writer): true {
  const items: unknown[] = [];
  setForEach(value, (item: unknown) => {
    items[items.length] = item;
  });
  return writeList(writer, SET, items);
}

function writeList(writer: Writer, tag: number, items: unknown[]): true {
  put(writer, tag);
  for (let i = 0; i < items.length; i++) write(items[i], writer);
  put(writer, END);
  return true;
}

function refuseInstance(value: any): never {
  const state = promiseState(value);
  if (state === 0 || state === 1 || state === 2) refuse("a promise");
  const { constructor } = value;
  const name = typeof constructor === "function" ? toStr(constructor.name) : "";
  refuse(
    `${name === "" ? "an object of a class" : `an object of the class ${name}`}, which neither is a plain object nor ` +
      "extends RpcTarget,",
  );
}
