/**
 * What `Request` and `Response` have in common: a body that is a string, bytes, a host handle or a stream, and the
 * ways to take it. A body that is whole never becomes a stream unless somebody asks for `.body`.
 */
import { type Blob, blobBytes, blobFrom, blobType, isBlob } from "./blob.ts";
import type { FormData } from "./features/forms/formdata.ts";
import { blobTypeOf, decodeForm, encodeForm, isFormData } from "./forms.ts";
import { HostBody, readWholeBody } from "./hostbody.ts";
import { headerOf } from "./headers.ts";
import { utf8Decode, utf8Encode } from "./native.ts";
import {
  Promise, TypeError, Uint8Array, bytesOf, defineProperty, getOwnPropertyDescriptor, isView, jsonParse, ownKeys,
  promiseRejected, promiseResolved, stringCharCodeAt, stringSlice, stringWellFormed, toStr,
  typedArrayBuffer, typedArrayByteLength,
} from "./primordials.ts";
import {
  type ReadableStream, isDisturbed, isLocked, isReadableStream, isTaken, readWholeStream, streamOver, takeOrigin,
} from "./streams/readable.ts";
import { teeStream } from "./streams/tee.ts";
import { isSearchParams, searchParamsString } from "./searchparams.ts";
import { BODY, USED, type BodyState, type BodyValue } from "./state.ts";

/** Set by `extractBody`: the content type that the body implies, or null. */
export let extractedType: string | null = null;

/** Turns a `BodyInit` into what is stored; copies bytes, so that later changes do not show. */
export function extractBody(body: any): BodyValue {
  extractedType = null;
  if (body === null || body === undefined) return null;
  if (typeof body === "string") {
    extractedType = "text/plain;charset=UTF-8";
    return body;
  }
  if (isReadableStream(body)) {
    if (isTaken(body)) throw new TypeError("the body's stream is locked or has been read");
    return body;
  }
  const bytes = bytesOf(body);
  if (bytes !== null) return new Uint8Array(bytes);
  if (isSearchParams(body)) {
    extractedType = "application/x-www-form-urlencoded;charset=UTF-8";
    return searchParamsString(body);
  }
  if (isFormData(body)) {
    const encoded = encodeForm(body);
    extractedType = encoded.type;
    return encoded.bytes;
  }
  if (isBlob(body)) {
    const type = blobType(body);
    extractedType = type === "" ? null : type;
    return blobBytes(body);
  }
  const text = toStr(body);
  extractedType = "text/plain;charset=UTF-8";
  return text;
}

/** True if the body has been taken or is being read. */
export function bodyUsed(state: BodyState): boolean {
  if (state[USED]) return true;
  const body = state[BODY];
  return body !== null && typeof body !== "string" && isReadableStream(body) && isDisturbed(body);
}

/** The `body` attribute. */
export function bodyStream(state: BodyState): ReadableStream | null {
  const body = state[BODY];
  if (body === null || (typeof body !== "string" && isReadableStream(body))) return body;
  const stream = streamOver(body, state[USED]);
  state[BODY] = stream;
  return stream;
}

/** Marks the body as taken and answers it, in the plainest form it has. Throws if that is too late. */
export function takeBody(state: BodyState): BodyValue {
  const body = state[BODY];
  if (body === null) return null;
  if (state[USED]) throw new TypeError("the body has already been used");
  if (!isReadableStream(body)) {
    state[USED] = true;
    return body;
  }
  if (isTaken(body)) throw new TypeError("the body has already been used or its stream is locked");
  state[USED] = true;
  return takeOrigin(body) ?? body;
}

/** The body for a clone; the original keeps one too. */
export function cloneBody(state: BodyState): BodyValue {
  const body = state[BODY];
  if (body === null) return null;
  if (bodyUsed(state) || (isReadableStream(body) && isLocked(body))) {
    throw new TypeError("a request or response cannot be cloned after its body has been used");
  }
  if (typeof body === "string") return body;
  if (isView(body)) return new Uint8Array(body as Uint8Array);
  const branches = teeStream(bodyStream(state)!);
  state[BODY] = branches[0];
  return branches[1];
}

export type Form = "text" | "json" | "bytes" | "arrayBuffer" | "blob" | "formData";

/** What a body can be read as: the members that `Request` and `Response` share. */
export interface BodyMethods {
  readonly body: ReadableStream | null;
  readonly bodyUsed: boolean;
  text(): Promise<string>;
  json(): Promise<any>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
  blob(): Promise<Blob>;
  formData(): Promise<FormData>;
}

type StateOf = (owner: any) => BodyState;

/** Gives a class the shared members; `stateOf` refuses what is no object of it. */
export function giveBodyMethods(proto: object, stateOf: StateOf): void {
  const members: BodyMethods = {
    get body() {
      return bodyStream(stateOf(this));
    },
    get bodyUsed() {
      return bodyUsed(stateOf(this));
    },
    text() {
      return consume(this, stateOf, "text");
    },
    json() {
      return consume(this, stateOf, "json");
    },
    arrayBuffer() {
      return consume(this, stateOf, "arrayBuffer");
    },
    bytes() {
      return consume(this, stateOf, "bytes");
    },
    blob() {
      return consume(this, stateOf, "blob");
    },
    formData() {
      return consume(this, stateOf, "formData");
    },
  };
  const names = ownKeys(members);
  for (let i = 0; i < names.length; i++) {
    defineProperty(proto, names[i]!, getOwnPropertyDescriptor(members, names[i]!)!);
  }
}

function consume(owner: unknown, stateOf: StateOf, form: Form): Promise<any> {
  try {
    const state = stateOf(owner);
    const body = takeBody(state);
    if (body === null || typeof body === "string") return promiseResolved(finish(state, body ?? "", form));
    if (isView(body)) return promiseResolved(finish(state, body as Uint8Array, form));
    return new Promise((resolve, reject) => {
      const waiter = (ok: boolean, value: any): void => {
        if (!ok) return reject(value);
        try {
          resolve(finish(state, value, form));
        } catch (error) {
          reject(error);
        }
      };
      if (body instanceof HostBody) readWholeBody(body, form === "text" || form === "json", waiter);
      else readWholeStream(body as ReadableStream, waiter);
    });
  } catch (error) {
    return promiseRejected(error);
  }
}

function withoutMark(text: string): string {
  return stringCharCodeAt(text, 0) === 0xfeff ? stringSlice(text, 1) : text;
}

function finish(state: BodyState, body: string | Uint8Array, form: Form): any {
  switch (form) {
    case "text":
      return typeof body === "string" ? withoutMark(stringWellFormed(body)) : utf8Decode(body, false, false);
    case "json":
      return jsonParse(typeof body === "string" ? withoutMark(body) : utf8Decode(body, false, false));
  }
  const bytes = typeof body === "string" ? utf8Encode(body) : body;
  switch (form) {
    case "bytes":
      return bytes;
    case "arrayBuffer":
      return wholeBuffer(bytes);
    case "blob":
      return blobFrom(bytes, blobTypeOf(headerOf(state, "content-type")));
    default:
      return decodeForm(bytes, headerOf(state, "content-type"));
  }
}

/** The buffer that holds exactly these bytes. */
export function wholeBuffer(bytes: Uint8Array): ArrayBuffer {
  const buffer = typedArrayBuffer(bytes);
  return buffer.byteLength === typedArrayByteLength(bytes) ? buffer : typedArrayBuffer(new Uint8Array(bytes));
}
