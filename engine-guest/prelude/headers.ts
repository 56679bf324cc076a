/**
 * `Headers`, and the header block: one string `name\nvalue\nname\nvalue`, the form in which headers cross to the host.
 *
 * A block is also how `Request` and `Response` hold headers until somebody touches them: an incoming request's block
 * is kept as it came, and the init object of a `Response` is copied straight into a block. A `Headers` object, and
 * the flat list `[name, value, …]` inside it, are made when they are first asked for.
 *
 * Names and values that have been checked are remembered (bounded), because checking a string character by
 * character costs far more in an interpreter than finding it in a table.
 */
import { forEachPair, iteratePairs, pairIterator, pairsFrom } from "./pairs.ts";
import {
  Symbol, TypeError, arrayIndexOf, arrayJoin, arraySort, defineProperty, jsonStringify, objectKeys,
  regExpExec, stringCharCodeAt, stringLower, stringIndexOf, stringSlice, stringSplit, stringStartsWith, toStr, webClass,
} from "./primordials.ts";
import { INTERNAL } from "./internal.ts";
import { CF_JSON, HEADERS, TYPE, type BodyState, type HeadersValue } from "./state.ts";

const { iterator } = Symbol;
const HEADERS_ITERATOR = pairIterator("Headers");

const REMEMBERED_MAX = 256;
const REMEMBERED_LENGTH_MAX = 64;

/** Name as written → lower-case name, for names already checked. */
const knownNames: Record<string, string> = { __proto__: null as any };
/** Name as written → the start of its line in a block: the lower-case name and a line feed. */
const knownLines: Record<string, string> = { __proto__: null as any };
let knownNameCount = 0;
/** Values already checked and normalised. */
const knownValues: Record<string, true> = { __proto__: null as any };
let knownValueCount = 0;

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_VALUE = /[^\x01-\x09\x0b\x0c\x0e-\xff]/;

for (const name of [
  "Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
  "Access-Control-Allow-Origin", "Age", "Authorization", "Cache-Control", "CF-Connecting-IP", "Connection",
  "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Date", "ETag", "Expires", "Host",
  "If-Modified-Since", "If-None-Match", "Last-Modified", "Link", "Location", "Origin", "Range", "Referer",
  "Retry-After", "Set-Cookie", "Transfer-Encoding", "User-Agent", "Vary", "X-Forwarded-For", "X-Request-Id",
]) {
  const lower = stringLower(name);
  rememberName(name, lower);
  rememberName(lower, lower);
}
for (const value of [
  "", "0", "1", "*", "no-store", "no-cache", "text/plain", "text/html", "application/json", "text/plain;charset=UTF-8",
  "text/plain;charset=utf-8", "text/plain; charset=utf-8", "text/html;charset=UTF-8", "text/html;charset=utf-8",
  "text/html; charset=utf-8", "application/json; charset=utf-8", "text/css", "text/javascript", "text/event-stream",
  "application/octet-stream",
]) knownValues[value] = true;

/** Checks a header name; answers it in lower case. */
export function headerName(name: unknown): string {
  const text = toStr(name);
  return knownNames[text] ?? learnName(text);
}

function rememberName(name: string, lower: string): void {
  knownNames[name] = lower;
  knownLines[name] = lower + "\n";
}

function learnName(name: string): string {
  if (regExpExec(NAME, name) === null) throw new TypeError(`${quote(name)} is not a header name`);
  const lower = stringLower(name);
  if (knownNameCount < REMEMBERED_MAX && name.length <= REMEMBERED_LENGTH_MAX) {
    rememberName(name, lower);
    knownNameCount++;
  }
  return lower;
}

/** Checks a header value; answers it without white space around it. */
export function headerValue(value: unknown, name: string): string {
  const text = toStr(value);
  return knownValues[text] === true ? text : learnValue(text, name);
}

function learnValue(value: string, name: string): string {
  const text = trimmed(value);
  if (regExpExec(BAD_VALUE, text) !== null) {
    throw new TypeError(`the value of header "${name}" holds a character that headers cannot carry: ${quote(text)}`);
  }
  if (text.length === value.length && knownValueCount < REMEMBERED_MAX && text.length <= REMEMBERED_LENGTH_MAX) {
    knownValues[text] = true;
    knownValueCount++;
  }
  return text;
}

function isEdgeSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isEdgeSpace(stringCharCodeAt(value, from))) from++;
  while (to > from && isEdgeSpace(stringCharCodeAt(value, to - 1))) to--;
  return from === 0 && to === value.length ? value : stringSlice(value, from, to);
}

function quote(text: string): string {
  const shown = text.length > 80 ? `${stringSlice(text, 0, 80)}…` : text;
  return jsonStringify(shown)!;
}

const TYPE_LINE = "content-type\n";

/** Set by `blockFrom`: whether the block it made names a content type. */
export let blockHasType = false;

/** Copies a `HeadersInit` into a header block. This is the hot path of `new Response(…, {headers: {…}})`. */
export function blockFrom(init: any): string {
  blockHasType = false;
  if (typeof init !== "object" || init === null) {
    throw new TypeError("headers must be an object, a list of pairs or a Headers object");
  }
  if (init[iterator] !== undefined) return blockFromIterable(init);
  const known = knownValues;
  const names = objectKeys(init);
  const count = names.length;
  let block = "";
  for (let i = 0; i < count; i++) {
    const name = names[i]!;
    const line = knownLines[name] ?? headerName(name) + "\n";
    let value = init[name];
    if (typeof value !== "string" || known[value] !== true) value = headerValue(value, name);
    if (line === TYPE_LINE) blockHasType = true;
    block = i === 0 ? line + value : block + "\n" + line + value;
  }
  return block;
}

function blockFromIterable(init: any): string {
  if (isHeaders(init)) {
    const block = blockOf(init);
    blockHasType = stringStartsWith(block, TYPE_LINE) || nameInBlock(block, TYPE_LINE) >= 0;
    return block;
  }
  const list = checkedPairs(pairsFrom(init, "headers"));
  blockHasType = findName(list, "content-type", 0) >= 0;
  return arrayJoin(list, "\n");
}

function checkedPairs(pairs: unknown[]): string[] {
  for (let i = 0; i < pairs.length; i += 2) {
    const name = headerName(pairs[i]);
    pairs[i] = name;
    pairs[i + 1] = headerValue(pairs[i + 1], name);
  }
  return pairs as string[];
}

/** Where `name` stands in the list from index `from` on (names are at even places), or -1. */
function findName(list: string[], name: string, from: number): number {
  for (let at = arrayIndexOf(list, name, from); at >= 0; at = arrayIndexOf(list, name, at + 1)) {
    if ((at & 1) === 0) return at;
  }
  return -1;
}

// The steps are functions of the state, not private methods: those cost each object a brand and each call a check.

function open(state: HeadersState): string[] {
  return (state[LIST] ??= state[BLOCK] === "" ? [] : stringSplit(state[BLOCK], "\n"));
}

/** The list, about to be changed. */
function change(state: HeadersState): string[] {
  aboutToChange(state);
  return open(state);
}

function aboutToChange(state: HeadersState): void {
  if (state[IMMUTABLE]) {
    throw new TypeError("these headers are immutable; change a copy: new Headers(headers), new Response(body, response)");
  }
  state[SORTED] = null;
}

/** Adds a header; a short block that nobody has opened stays one. */
function addLine(state: HeadersState, key: string, text: string): void {
  const block = state[BLOCK];
  if (state[LIST] === null && block.length < CLOSED_LENGTH_MAX) {
    state[BLOCK] = block === "" ? key + "\n" + text : block + "\n" + key + "\n" + text;
    return;
  }
  const list = open(state);
  list[list.length] = key;
  list[list.length] = text;
}

function sorted(state: HeadersState): string[] {
  return (state[SORTED] ??= sortedPairs(open(state)));
}

type HeadersState = [
  /** Valid while the list is null. */
  block: string,
  list: string[] | null,
  /** Sorted and combined pairs, kept until the next change. */
  sorted: string[] | null,
  /** The standard's guard "immutable": what came from outside is not changed. */
  immutable: boolean,
];
const BLOCK = 0;
const LIST = 1;
const SORTED = 2;
const IMMUTABLE = 3;

/** A longer block is opened when it is to grow, for it would be copied each time. */
const CLOSED_LENGTH_MAX = 2048;

export let isHeaders: (value: unknown) => value is Headers;
let blockOf: (headers: Headers) => string;
let listOf: (headers: Headers) => string[];
let valueOfHeader: (headers: Headers, name: string) => string | null;
let copyOf: (headers: Headers) => Headers;

/** The combined value of a header; a block that has not been opened is searched as it is. */
function lookUp(state: HeadersState, name: string): string | null {
  return state[LIST] === null ? valueInBlock(state[BLOCK], name) : findValue(state[LIST], name);
}

/** Splitting a block costs a few microseconds; searching it is one native call for a header that is not there. */
function valueInBlock(block: string, name: string): string | null {
  const line = knownLines[name] ?? name + "\n";
  const start = nameInBlock(block, line);
  if (start < 0) return null;
  const from = start + line.length;
  const end = stringIndexOf(block, "\n", from);
  if (end < 0) return stringSlice(block, from);
  if (stringIndexOf(block, "\n" + line, end) < 0) return stringSlice(block, from, end);
  return findValue(stringSplit(block, "\n"), name);
}

/** Where the line stands as a name, or -1. A value may look the same: names are the even lines. */
function nameInBlock(block: string, line: string): number {
  if (stringStartsWith(block, line)) return 0;
  let lines = 0;
  let counted = 0;
  for (let at = stringIndexOf(block, "\n" + line); at >= 0; at = stringIndexOf(block, "\n" + line, at + 1)) {
    for (; counted <= at; lines++) counted = stringIndexOf(block, "\n", counted) + 1;
    if ((lines & 1) === 0) return at + 1;
  }
  return -1;
}

function findValue(list: string[], name: string): string | null {
  let at = findName(list, name, 0);
  if (at < 0) return null;
  let value = list[at + 1]!;
  while ((at = findName(list, name, at + 2)) >= 0) value += ", " + list[at + 1]!;
  return value;
}

/** The headers of a request or response, or a collection of one's own. Names are case-insensitive. */
export class Headers {
  #state: HeadersState;

  constructor(init?: any, block?: any, immutable?: any) {
    if (init === INTERNAL) this.#state = [block, null, null, immutable];
    else this.#state = [init === undefined ? "" : blockFrom(init), null, null, false];
  }

  static {
    isHeaders = (value) => typeof value === "object" && value !== null && #state in value;
    listOf = (headers) => open(headers.#state);
    copyOf = (headers) => new Headers(INTERNAL, blockOf(headers), headers.#state[IMMUTABLE]);
    valueOfHeader = (headers, name) => lookUp(headers.#state, name);
    blockOf = (headers) => {
      const state = headers.#state;
      const list = state[LIST];
      return list === null ? state[BLOCK] : arrayJoin(list, "\n");
    };
  }

  get(name: string): string | null {
    return lookUp(this.#state, headerName(name));
  }

  has(name: string): boolean {
    return lookUp(this.#state, headerName(name)) !== null;
  }

  set(name: string, value: string): void {
    const key = headerName(name);
    const text = headerValue(value, key);
    const state = this.#state;
    aboutToChange(state);
    if (state[LIST] === null && nameInBlock(state[BLOCK], knownLines[key] ?? key + "\n") < 0) {
      return addLine(state, key, text);
    }
    const list = open(state);
    const at = findName(list, key, 0);
    if (at < 0) return addLine(state, key, text);
    list[at + 1] = text;
    removeName(list, key, at + 2);
  }

  append(name: string, value: string): void {
    const key = headerName(name);
    const text = headerValue(value, key);
    const state = this.#state;
    aboutToChange(state);
    addLine(state, key, text);
  }

  delete(name: string): void {
    removeName(change(this.#state), headerName(name), 0);
  }

  getSetCookie(): string[] {
    return setCookies(open(this.#state));
  }

  /** What `getSetCookie` gives, under the name that older Workers code knows; for no other header. */
  getAll(name: string): string[] {
    if (headerName(name) !== "set-cookie") throw new TypeError("getAll takes only Set-Cookie; use get()");
    return setCookies(open(this.#state));
  }

  forEach(callback: (value: string, name: string, owner: Headers) => void, thisArg?: unknown): void {
    const state = this.#state;
    forEachPair(() => sorted(state), this, callback, thisArg);
  }

  entries(): IterableIterator<[string, string]> {
    const state = this.#state;
    return iteratePairs(HEADERS_ITERATOR, () => sorted(state), 0);
  }

  keys(): IterableIterator<string> {
    const state = this.#state;
    return iteratePairs(HEADERS_ITERATOR, () => sorted(state), 1);
  }

  values(): IterableIterator<string> {
    const state = this.#state;
    return iteratePairs(HEADERS_ITERATOR, () => sorted(state), 2);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, string]>;
}
webClass(Headers, 0);
defineProperty(Headers.prototype, Symbol.iterator, {
  value: Headers.prototype.entries, writable: true, configurable: true,
});

function setCookies(list: string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] === "set-cookie") found[found.length] = list[at + 1]!;
  }
  return found;
}

function removeName(list: string[], name: string, from: number): void {
  let to = from;
  for (let at = from; at < list.length; at += 2) {
    if (list[at] === name) continue;
    list[to] = list[at]!;
    list[to + 1] = list[at + 1]!;
    to += 2;
  }
  list.length = to;
}

/** Pairs in the order of iteration: by name, equal names combined, except that each `set-cookie` stands alone. */
function sortedPairs(list: string[]): string[] {
  const names: string[] = [];
  for (let at = 0; at < list.length; at += 2) {
    if (arrayIndexOf(names, list[at]) < 0) names[names.length] = list[at]!;
  }
  arraySort(names);
  const sorted: string[] = [];
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    let combined: string | null = null;
    for (let at = findName(list, name, 0); at >= 0; at = findName(list, name, at + 2)) {
      if (name === "set-cookie") {
        sorted[sorted.length] = name;
        sorted[sorted.length] = list[at + 1]!;
      } else {
        combined = combined === null ? list[at + 1]! : combined + ", " + list[at + 1]!;
      }
    }
    if (combined !== null) {
      sorted[sorted.length] = name;
      sorted[sorted.length] = combined;
    }
  }
  return sorted;
}

/**
 * The `Headers` object of a request or response. What came from outside has immutable ones: a fetched response,
 * `Response.error()`, or the request of an event.
 */
export function headersOf(state: BodyState): Headers {
  const headers = state[HEADERS];
  if (typeof headers !== "string") return headers;
  const type = state[TYPE];
  const immutable = typeof type === "string" ? type !== "default" : state[CF_JSON] !== undefined;
  return (state[HEADERS] = new Headers(INTERNAL, headers, immutable));
}

/** The headers of a clone: as they are, with the same guard. */
export function clonedHeaders(state: BodyState): HeadersValue {
  const headers = state[HEADERS];
  return typeof headers === "string" ? headers : copyOf(headers);
}

/** Headers that nobody may change. */
export function immutableHeaders(block: string): Headers {
  return new Headers(INTERNAL, block, true);
}

/** The header block of a request or response. */
export function headerBlock(state: BodyState): string {
  const headers = state[HEADERS];
  return typeof headers === "string" ? headers : blockOf(headers);
}

/** One header of a request or response. */
export function headerOf(state: BodyState, name: string): string | null {
  const headers = state[HEADERS];
  return typeof headers === "string" ? valueInBlock(headers, name) : valueOfHeader(headers, name);
}

/** Adds a content type unless the headers already name one. */
export function defaultContentType(state: BodyState, type: string): void {
  const block = headerBlock(state);
  if (headerOf(state, "content-type") !== null) return;
  state[HEADERS] = block === "" ? "content-type\n" + type : block + "\ncontent-type\n" + type;
}

/** The pairs as iteration gives them. */
export function headerList(headers: Headers): string[] {
  return sortedPairs(listOf(headers));
}
