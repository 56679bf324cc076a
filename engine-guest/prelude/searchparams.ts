/**
 * `URLSearchParams`: a flat list `[name, value, …]`, and the `application/x-www-form-urlencoded` coding around it.
 */
import { utf8Decode, utf8Encode } from "./native.ts";
import { forEachPair, iteratePairs, pairIterator, pairsFrom } from "./pairs.ts";
import {
  Symbol, arraySlice, arraySort, defineProperty, fromCharCode, isObject, objectKeys,
  regExpExec, stringIndexOf, stringReplaceAll, stringSlice, stringSplit, stringWellFormed, toStr, typedArraySubarray,
  webClass,
} from "./primordials.ts";

const PLAIN = /^[A-Za-z0-9*\-._]*$/;

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Decodes `%xx` in bytes, in place; answers the part that is left. */
function percentDecode(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  let to = 0;
  for (let at = 0; at < length; at++) {
    let byte = bytes[at]!;
    if (byte === 0x25 && at + 2 < length) {
      const high = hexDigit(bytes[at + 1]!);
      const low = hexDigit(bytes[at + 2]!);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        at += 2;
      }
    }
    bytes[to++] = byte;
  }
  return typedArraySubarray(bytes, 0, to);
}

function decodePart(text: string): string {
  const spaced = stringIndexOf(text, "+") < 0 ? text : stringReplaceAll(text, "+", " ");
  if (stringIndexOf(spaced, "%") < 0) return stringWellFormed(spaced);
  return utf8Decode(percentDecode(utf8Encode(spaced)), false, true);
}

const PARAMS_ITERATOR = pairIterator("URLSearchParams");

const HEX = "0123456789ABCDEF";

function encodePart(text: string): string {
  if (regExpExec(PLAIN, text) !== null) return text;
  const bytes = utf8Encode(text);
  let out = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (
      (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) ||
      byte === 0x2a || byte === 0x2d || byte === 0x2e || byte === 0x5f
    ) out += fromCharCode(byte);
    else if (byte === 0x20) out += "+";
    else out += "%" + HEX[byte >> 4] + HEX[byte & 15];
  }
  return out;
}

/** Reads `a=b&c=d` into a flat list. */
export function parseForm(text: string): string[] {
  const list: string[] = [];
  const pieces: string[] = stringSplit(text, "&");
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    if (piece === "") continue;
    const equals = stringIndexOf(piece, "=");
    list[list.length] = decodePart(equals < 0 ? piece : stringSlice(piece, 0, equals));
    list[list.length] = equals < 0 ? "" : decodePart(stringSlice(piece, equals + 1));
  }
  return list;
}

function writeForm(list: string[]): string {
  let out = "";
  for (let at = 0; at < list.length; at += 2) {
    out += (at === 0 ? "" : "&") + encodePart(list[at]!) + "=" + encodePart(list[at + 1]!);
  }
  return out;
}

function usv(value: unknown): string {
  return stringWellFormed(toStr(value));
}

/** Adds an entry of a record; two keys that differ only in what is no character are one, and the last one counts. */
function setName(list: string[], name: string, value: string, written: string): void {
  let at = list.length;
  if (name !== written) for (let i = 0; i < list.length; i += 2) if (list[i] === name) at = i;
  list[at] = name;
  list[at + 1] = value;
}

function listFrom(init: any): string[] {
  if (!isObject(init)) {
    const text = usv(init);
    return parseForm(text[0] === "?" ? stringSlice(text, 1) : text);
  }
  const begin = init[Symbol.iterator];
  if (begin === entries && brand(init)) return arraySlice(listOf(init));
  let list: any[];
  if (begin !== undefined && begin !== null) list = pairsFrom(init, "URLSearchParams");
  else {
    list = [];
    const names = objectKeys(init);
    for (let i = 0; i < names.length; i++) setName(list, usv(names[i]), usv(init[names[i]!]), names[i]!);
    return list;
  }
  for (let i = 0; i < list.length; i++) list[i] = usv(list[i]);
  return list;
}

let brand: (value: unknown) => value is URLSearchParams;
let listOf: (params: URLSearchParams) => string[];
let adopt: (params: URLSearchParams, list: string[], changed: ((query: string) => void) | null) => void;

/** A query or form as names and values. */
export class URLSearchParams {
  #list: string[];
  /** Tells the URL that owns this query. */
  #changed: ((query: string) => void) | null = null;

  constructor(init: any = "") {
    this.#list = listFrom(init === null ? "null" : init);
  }

  static {
    brand = (value): value is URLSearchParams => isObject(value) && #list in value;
    listOf = (params) => params.#list;
    adopt = (params, list, changed) => {
      params.#list = list;
      if (changed !== null) params.#changed = changed;
    };
  }

  #update(): void {
    if (this.#changed !== null) this.#changed(writeForm(this.#list));
  }

  get size(): number {
    return this.#list.length / 2;
  }

  append(name: string, value: string): void {
    const list = this.#list;
    const text = usv(value);
    list[list.length] = usv(name);
    list[list.length] = text;
    this.#update();
  }

  delete(name: string, value: string | undefined = undefined): void {
    const list = this.#list;
    const key = usv(name);
    const only = value === undefined ? undefined : usv(value);
    let to = 0;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === key && (only === undefined || list[at + 1] === only)) continue;
      list[to] = list[at]!;
      list[to + 1] = list[at + 1]!;
      to += 2;
    }
    list.length = to;
    this.#update();
  }

  get(name: string): string | null {
    const list = this.#list;
    const key = usv(name);
    for (let at = 0; at < list.length; at += 2) if (list[at] === key) return list[at + 1]!;
    return null;
  }

  getAll(name: string): string[] {
    const list = this.#list;
    const key = usv(name);
    const found: string[] = [];
    for (let at = 0; at < list.length; at += 2) if (list[at] === key) found[found.length] = list[at + 1]!;
    return found;
  }

  has(name: string, value: string | undefined = undefined): boolean {
    const list = this.#list;
    const key = usv(name);
    const only = value === undefined ? undefined : usv(value);
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === key && (only === undefined || list[at + 1] === only)) return true;
    }
    return false;
  }

  set(name: string, value: string): void {
    const list = this.#list;
    const key = usv(name);
    const text = usv(value);
    let found = false;
    let to = 0;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === key && found) continue;
      list[to] = list[at]!;
      list[to + 1] = list[at] === key ? text : list[at + 1]!;
      found ||= list[at] === key;
      to += 2;
    }
    list.length = to;
    if (!found) {
      list[to] = key;
      list[to + 1] = text;
    }
    this.#update();
  }

  sort(): void {
    const list = this.#list;
    const pairs: [string, string][] = [];
    for (let at = 0; at < list.length; at += 2) pairs[at / 2] = [list[at]!, list[at + 1]!];
    arraySort(pairs, (a: [string, string], b: [string, string]) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    for (let i = 0; i < pairs.length; i++) {
      list[2 * i] = pairs[i]![0];
      list[2 * i + 1] = pairs[i]![1];
    }
    this.#update();
  }

  forEach(callback: any, thisArg: unknown = undefined): void {
    forEachPair(() => this.#list, this, callback, thisArg);
  }

  entries(): IterableIterator<[string, string]> {
    void this.#list;
    return iteratePairs(PARAMS_ITERATOR, () => this.#list, 0);
  }

  keys(): IterableIterator<string> {
    void this.#list;
    return iteratePairs(PARAMS_ITERATOR, () => this.#list, 1);
  }

  values(): IterableIterator<string> {
    void this.#list;
    return iteratePairs(PARAMS_ITERATOR, () => this.#list, 2);
  }

  toString(): string {
    return writeForm(this.#list);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, string]>;
}
webClass(URLSearchParams);
const { entries } = URLSearchParams.prototype;
defineProperty(URLSearchParams.prototype, Symbol.iterator, {
  value: entries, writable: true, configurable: true,
});

export function isSearchParams(value: unknown): value is URLSearchParams {
  return brand(value);
}

/** The encoded form, whatever the prototype says. */
export function searchParamsString(params: URLSearchParams): string {
  return writeForm(listOf(params));
}

/** The query of a URL: every change is told to `changed`. */
export function ownedSearchParams(search: string, changed: (query: string) => void): URLSearchParams {
  const params = new URLSearchParams();
  adopt(params, parseForm(stringSlice(search, 1)), changed);
  return params;
}

/** The URL's query was set by another way. */
export function resetSearchParams(params: URLSearchParams, search: string): void {
  adopt(params, parseForm(stringSlice(search, 1)), null);
}

/** The pairs themselves; not to be changed. */
export function searchParamsList(params: URLSearchParams): readonly string[] {
  return listOf(params);
}
