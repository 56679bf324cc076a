/**
 * A blob bucket, in the shape that Workers code knows from R2. Bodies pass as they are: what came from the host goes
 * back to it without a byte of it here.
 */
import { type BodyMethods, extractBody, giveBodyMethods, takeBody, wholeBuffer } from "../body.ts";
import { Headers } from "../headers.ts";
import { HostBody } from "../hostbody.ts";
import { INTERNAL } from "../internal.ts";
import {
  OP_BLOB_ABORT, OP_BLOB_COMPLETE, OP_BLOB_CREATE_UPLOAD, OP_BLOB_DELETE, OP_BLOB_GET, OP_BLOB_HEAD, OP_BLOB_LIST,
  OP_BLOB_PUT, OP_BLOB_PUT_PART, ask, promiseResult, promiseState, start,
} from "../native.ts";
import { operation } from "../operations.ts";
import {
  Date, RangeError, TypeError, Uint8Array, bytesOf, dateGetTime, isArray, isObject, isView, jsonParse, jsonStringify,
  numberToString, objectKeys, promiseRejected, promiseResolved, regExpExec, stringTrim, toStr, typedArrayLength, webClass,
} from "../primordials.ts";
import { openSending, pump } from "../sending.ts";
import type { BodyState, BodyValue } from "../state.ts";
import type { ReadableStream } from "../streams/readable.ts";

/**
 * What is known of a blob, as the host gives it: key, version, size, ETag, time in ms, HTTP and custom metadata as JSON
 * (null for none), offset and length of the range (null for none), durability (null for none), and then the digests,
 * each with its name before its bytes.
 */
type Info = any[];
const KEY = 0;
const VERSION = 1;
const SIZE = 2;
const ETAG = 3;
const UPLOADED_MS = 4;
const HTTP = 5;
const CUSTOM = 6;
const RANGE_OFFSET = 7;
const RANGE_LENGTH = 8;
const DURABILITY = 9;
const DIGESTS_FROM = 10;

/** [member of `httpMetadata`, name on the wire, header] */
const FIELDS: [string, string, string][] = [
  ["contentType", "content_type", "content-type"],
  ["contentLanguage", "content_language", "content-language"],
  ["contentDisposition", "content_disposition", "content-disposition"],
  ["contentEncoding", "content_encoding", "content-encoding"],
  ["cacheControl", "cache_control", "cache-control"],
  ["cacheExpiry", "expires", "expires"],
];

function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < typedArrayLength(bytes); i++) {
    const digits = numberToString(bytes[i]!, 16);
    text += digits.length === 1 ? "0" + digits : digits;
  }
  return text;
}

/** Digests of the content: those that are known. */
export class R2Checksums {
  constructor(token: unknown = undefined, info: Info = []) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    for (let i = DIGESTS_FROM; i < info.length; i += 2) (this as any)[info[i]] = wholeBuffer(info[i + 1]);
  }

  toJSON(): Record<string, string> {
    const hex: Record<string, string> = {};
    const names = objectKeys(this);
    for (let i = 0; i < names.length; i++) hex[names[i]!] = hexOf(new Uint8Array((this as any)[names[i]!]));
    return hex;
  }
}
webClass(R2Checksums);

function httpMetadata(json: string | null): any {
  const metadata: any = {};
  if (json === null) return metadata;
  const http = jsonParse(json);
  for (let i = 0; i < FIELDS.length; i++) {
    const value = http[FIELDS[i]![1]];
    if (value === undefined) continue;
    metadata[FIELDS[i]![0]] = FIELDS[i]![0] === "cacheExpiry" ? new Date(value) : value;
  }
  return metadata;
}

/** What is known of a blob. */
export class R2Object {
  declare readonly key: string;
  declare readonly version: string;
  declare readonly size: number;
  declare readonly etag: string;
  declare readonly httpEtag: string;
  declare readonly checksums: R2Checksums;
  declare readonly uploaded: Date;
  declare readonly httpMetadata: any;
  declare readonly customMetadata: Record<string, string>;
  declare readonly range?: { offset: number; length: number };
  declare readonly storageClass: string;
  declare readonly durability?: string;

  constructor(token: unknown = undefined, info: Info | null = null) {
    if (token !== INTERNAL || info === null) throw new TypeError("Illegal constructor");
    this.key = info[KEY];
    this.version = info[VERSION];
    this.size = info[SIZE];
    this.etag = info[ETAG];
    this.httpEtag = `"${info[ETAG]}"`;
    this.checksums = new R2Checksums(INTERNAL, info);
    this.uploaded = new Date(info[UPLOADED_MS]);
    this.httpMetadata = httpMetadata(info[HTTP]);
    this.customMetadata = info[CUSTOM] === null ? {} : jsonParse(info[CUSTOM]);
    if (info[RANGE_OFFSET] !== null) this.range = { offset: info[RANGE_OFFSET], length: info[RANGE_LENGTH] };
    this.storageClass = "Standard";
    if (info[DURABILITY] !== null) this.durability = info[DURABILITY];
  }

  /** Sets the headers that a response with this blob carries. */
  writeHttpMetadata(headers: Headers): void {
    for (let i = 0; i < FIELDS.length; i++) {
      const value = this.httpMetadata[FIELDS[i]![0]];
      if (value === undefined) continue;
      headers.set(FIELDS[i]![2], FIELDS[i]![0] === "cacheExpiry" ? (value as any).toUTCString() : value);
    }
  }
}
webClass(R2Object);

let stateOf: (blob: any) => BodyState;

/** A blob with its content. */
export interface R2ObjectBody extends BodyMethods {}
export class R2ObjectBody extends R2Object {
  #state: BodyState;

  constructor(token: unknown = undefined, info: Info | null = null, body: BodyValue = null) {
    super(token, info);
    const type = info![HTTP] === null ? undefined : this.httpMetadata.contentType;
    this.#state = [body, type === undefined ? "" : `content-type\n${type}`, false];
  }

  static {
    stateOf = (blob) => blob.#state;
  }
}
giveBodyMethods(R2ObjectBody.prototype, (blob) => stateOf(blob));
webClass(R2ObjectBody);

const objectOf = (info: Info | null): R2Object | null => (info === null ? null : new R2Object(INTERNAL, info));

/** A promise of what `make` makes of the answer to a question, if that is there already; what comes late is made so. */
function made<T>(asked: Promise<any>, make: (answer: any) => T): Promise<T> {
  return promiseState(asked) === 1 ? promiseResolved(make(promiseResult(asked))) : asked;
}

const lateObject = (ok: boolean, answer: any): unknown => (ok ? objectOf(answer) : answer);
const lateFound = (ok: boolean, answer: any): unknown => (ok ? foundOf(answer) : answer);

/** Of `[info, has content, bytes, handle]`. */
function foundOf(found: any): R2ObjectBody | R2Object | null {
  if (found === null) return null;
  if (!found[1]) return new R2Object(INTERNAL, found[0]);
  return new R2ObjectBody(INTERNAL, found[0], found[3] === 0 ? found[2] : new HostBody(found[3]));
}

function checkKey(key: unknown): string {
  if (typeof key !== "string") throw new TypeError("the key of a blob must be a string");
  return key;
}

function time(value: any, name: string): number {
  const ms = typeof value === "number" ? value : dateGetTime(value);
  if (ms !== ms) throw new TypeError(`${name} is no valid date`);
  return ms;
}

function dateOf(headers: Headers, name: string): number | undefined {
  const text = headers.get(name);
  if (text === null) return undefined;
  const ms = dateGetTime(new Date(text));
  // A date that is none is no condition, as HTTP has it.
  return ms === ms ? ms : undefined;
}

function onlyIf(condition: any): any {
  if (condition === undefined || condition === null) return {};
  if (condition instanceof Headers) {
    return {
      etagMatches: condition.get("if-match") ?? undefined,
      etagDoesNotMatch: condition.get("if-none-match") ?? undefined,
      uploadedBefore: dateOf(condition, "if-unmodified-since"),
      uploadedAfter: dateOf(condition, "if-modified-since"),
      secondsGranularity: true,
    };
  }
  if (!isObject(condition)) throw new TypeError("onlyIf must be an object or Headers");
  const wire: any = { secondsGranularity: !!condition.secondsGranularity };
  if (condition.etagMatches !== undefined) wire.etagMatches = toStr(condition.etagMatches);
  if (condition.etagDoesNotMatch !== undefined) wire.etagDoesNotMatch = toStr(condition.etagDoesNotMatch);
  // Before this moment, so at the latest one millisecond ahead of it.
  if (condition.uploadedBefore !== undefined) wire.uploadedBefore = time(condition.uploadedBefore, "uploadedBefore") - 1;
  if (condition.uploadedAfter !== undefined) wire.uploadedAfter = time(condition.uploadedAfter, "uploadedAfter");
  return wire;
}

function wholeNumber(value: unknown, name: string, least: number): number {
  const number = +(value as number);
  if (!(number >= least) || number % 1 !== 0) throw new RangeError(`${name} must be a whole number from ${least} on`);
  return number;
}

const RANGE = /^bytes=(\d*)-(\d*)$/;

function addRange(wire: any, range: any): void {
  if (range === undefined || range === null) return;
  if (range instanceof Headers) {
    const found: any = regExpExec(RANGE, stringTrim(range.get("range") ?? ""));
    // A field that is no single range asks for everything, as HTTP has it.
    if (found === null || (found[1] === "" && found[2] === "")) return;
    if (found[1] === "") {
      wire.suffix = +found[2];
      return;
    }
    wire.offset = +found[1];
    if (found[2] !== "" && +found[2] >= wire.offset) wire.length = +found[2] - wire.offset + 1;
    return;
  }
  if (!isObject(range)) throw new TypeError("range must be an object or Headers");
  if (range.suffix !== undefined) {
    if (range.offset !== undefined || range.length !== undefined) {
      throw new TypeError("range has a suffix, or an offset and a length");
    }
    wire.suffix = wholeNumber(range.suffix, "range.suffix", 1);
    return;
  }
  if (range.offset !== undefined) wire.offset = wholeNumber(range.offset, "range.offset", 0);
  if (range.length !== undefined) wire.length = wholeNumber(range.length, "range.length", 1);
}

function httpWire(metadata: any): Record<string, string> {
  const wire: Record<string, string> = {};
  if (metadata === undefined || metadata === null) return wire;
  if (!isObject(metadata)) throw new TypeError("httpMetadata must be an object or Headers");
  for (let i = 0; i < FIELDS.length; i++) {
    const [member, name, header] = FIELDS[i]!;
    const value = metadata instanceof Headers ? metadata.get(header) : metadata[member];
    if (value === undefined || value === null) continue;
    const isDate = member === "cacheExpiry" && typeof value !== "string";
    wire[name] = isDate ? (new Date(time(value, member)) as any).toUTCString() : toStr(value);
  }
  return wire;
}

function customWire(metadata: any): Record<string, string> {
  const wire: Record<string, string> = {};
  if (metadata === undefined || metadata === null) return wire;
  if (!isObject(metadata)) throw new TypeError("customMetadata must be an object");
  const names = objectKeys(metadata);
  for (let i = 0; i < names.length; i++) wire[names[i]!] = toStr(metadata[names[i]!]);
  return wire;
}

const DIGESTS = ["md5", "sha1", "sha256"];

/** Content is encrypted with the app's own key; whoever brings another must not believe that it was used. */
function refuseKey(options: any): void {
  if (options.ssecKey === undefined) return;
  throw new TypeError("ssecKey is not supported: blobs are encrypted with the app's own key; encrypt before put instead");
}

function getWire(options: any): string | null {
  if (options === undefined || options === null) return null;
  refuseKey(options);
  const wire: any = { onlyIf: onlyIf(options.onlyIf) };
  addRange(wire, options.range);
  return jsonStringify(wire)!;
}

function putWire(options: any): string | null {
  if (options === undefined || options === null) return null;
  if (!isObject(options)) throw new TypeError("the options must be an object");
  refuseKey(options);
  const wire: any = {
    onlyIf: onlyIf(options.onlyIf), http: httpWire(options.httpMetadata), custom: customWire(options.customMetadata),
  };
  let digests = 0;
  for (let i = 0; i < DIGESTS.length; i++) {
    const value = options[DIGESTS[i]!];
    if (value === undefined) continue;
    const bytes = bytesOf(value);
    wire[DIGESTS[i]!] = bytes === null ? toStr(value) : hexOf(bytes);
    digests++;
  }
  if (digests > 1) throw new TypeError("a blob is put with one checksum: md5, sha1 or sha256");
  if (options.sha384 !== undefined || options.sha512 !== undefined) {
    throw new TypeError("SHA-384 and SHA-512 are not kept; use sha256");
  }
  return jsonStringify(wire)!;
}

const isWhole = (body: BodyValue): boolean => body === null || typeof body === "string" || isView(body);

/** Starts an operation whose value may be a body that is not whole, and sees the body on its way. */
function sendWith<T>(
  body: BodyValue, begin: (value: any, stream: number) => number, use: ((value: any) => T) | undefined = undefined,
): Promise<T> {
  if (isWhole(body)) return operation(begin(body, 0), use);
  const streamId = openSending(body);
  let sending: { stop(reason: unknown): void };
  const answered = operation(begin(true, streamId), use, (error) => {
    sending.stop(error);
    return error;
  });
  sending = pump(streamId, body as HostBody | ReadableStream, () => {});
  return answered;
}

function valueBody(value: any): BodyValue {
  if (value === null || typeof value === "string") return value;
  if (value === undefined) throw new TypeError("a blob's value must be a string, bytes, a Blob, a stream or null");
  return takeBody([extractBody(value), "", false]);
}

/** An upload in parts. */
export class R2MultipartUpload {
  #binding: number;
  declare readonly key: string;
  declare readonly uploadId: string;

  constructor(token: unknown = undefined, binding: number = 0, key: string = "", uploadId: string = "") {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
    this.key = key;
    this.uploadId = uploadId;
  }

  async uploadPart(
    partNumber: number, value: any, options: any = undefined,
  ): Promise<{ partNumber: number; etag: string }> {
    if (isObject(options)) refuseKey(options);
    const number = wholeNumber(partNumber, "partNumber", 1);
    const body = valueBody(value);
    const etag = await sendWith(body, (whole, stream) =>
      start(OP_BLOB_PUT_PART, this.#binding, this.key, this.uploadId, number, whole, stream));
    return { partNumber: number, etag };
  }

  async abort(): Promise<void> {
    await operation(start(OP_BLOB_ABORT, this.#binding, this.key, this.uploadId));
  }

  async complete(uploadedParts: { partNumber: number; etag: string }[]): Promise<R2Object> {
    if (!isArray(uploadedParts)) throw new TypeError("complete takes the parts as uploadPart answered them");
    const parts: any[] = [];
    for (let i = 0; i < uploadedParts.length; i++) {
      const part: any = uploadedParts[i];
      parts[i] = { partNumber: wholeNumber(part?.partNumber, "partNumber", 1), etag: toStr(part?.etag) };
    }
    const wire = jsonStringify(parts)!;
    const info = await operation(start(OP_BLOB_COMPLETE, this.#binding, this.key, this.uploadId, wire));
    return new R2Object(INTERNAL, info);
  }
}
webClass(R2MultipartUpload);

/** A bucket. */
export class R2Bucket {
  #binding: number;

  constructor(token: unknown = undefined, binding: number = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }

  /** What is known of a blob; null if there is none. */
  head(key: string): Promise<R2Object | null> {
    const binding = this.#binding;
    try {
      return made(ask(lateObject, OP_BLOB_HEAD, binding, checkKey(key)), objectOf);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** A blob, or null; without its content if a condition does not hold. */
  get(key: string, options: any = undefined): Promise<R2ObjectBody | R2Object | null> {
    const binding = this.#binding;
    try {
      const wire = getWire(options);
      return made(ask(lateFound, OP_BLOB_GET, binding, checkKey(key), wire), foundOf);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** Stores a blob; resolves once it is durable, with null if a condition does not hold. */
  put(key: string, value: any, options: any = undefined): Promise<R2Object | null> {
    const binding = this.#binding;
    try {
      const name = checkKey(key);
      const wire = putWire(options);
      const body = valueBody(value);
      if (isWhole(body)) {
        return made(ask(lateObject, OP_BLOB_PUT, binding, name, body as string | Uint8Array | null, 0, wire), objectOf);
      }
      const begin = (whole: any, stream: number): number => start(OP_BLOB_PUT, binding, name, whole, stream, wire);
      return sendWith(body, begin, objectOf);
    } catch (error) {
      return promiseRejected(error);
    }
  }

  /** Deletes a blob or several; no error if there is none. */
  async delete(keys: string | string[]): Promise<{ durability: string } | undefined> {
    const all: string[] = [];
    if (isArray(keys)) for (let i = 0; i < keys.length; i++) all[i] = checkKey(keys[i]);
    else all[0] = checkKey(keys);
    const durability = await operation(start(OP_BLOB_DELETE, this.#binding, all));
    return durability === null ? undefined : { durability };
  }

  /** Blobs in the order of their keys, and the common prefixes of those behind the delimiter. */
  async list(options: any = undefined): Promise<any> {
    const wire: any = {};
    for (const name of ["prefix", "delimiter", "cursor", "startAfter"]) {
      if (options?.[name] !== undefined && options[name] !== null) wire[name] = toStr(options[name]);
    }
    if (options?.limit !== undefined) wire.limit = wholeNumber(options.limit, "limit", 1);
    const page: any = await operation(start(OP_BLOB_LIST, this.#binding, jsonStringify(wire)!));
    const objects: R2Object[] = [];
    for (let i = 2; i < page.length; i++) objects[i - 2] = new R2Object(INTERNAL, page[i]);
    const answer: any = { objects, truncated: page[0] !== null, delimitedPrefixes: page[1] };
    if (page[0] !== null) answer.cursor = page[0];
    return answer;
  }

  /** Begins an upload in parts: all but the last have at least 5 MiB. */
  async createMultipartUpload(key: string, options: any = undefined): Promise<R2MultipartUpload> {
    const name = checkKey(key);
    const id = await operation(start(OP_BLOB_CREATE_UPLOAD, this.#binding, name, putWire(options)));
    return new R2MultipartUpload(INTERNAL, this.#binding, name, id as string);
  }

  /** The upload with this id, which is not looked for before it is used. */
  resumeMultipartUpload(key: string, uploadId: string): R2MultipartUpload {
    return new R2MultipartUpload(INTERNAL, this.#binding, checkKey(key), toStr(uploadId));
  }
}
webClass(R2Bucket);

export function makeBucket(binding: number): R2Bucket {
  return new R2Bucket(INTERNAL, binding);
}
