/**
 * `URL`. Parsing and setting are the host's (one call gives all eleven parts); the query is shared with a live
 * `URLSearchParams`, which is made when it is first asked for.
 */
import { CALL_URL_PARSE, CALL_URL_SET, call } from "./native.ts";
import { TypeError, isObject, jsonStringify, toStr, webClass } from "./primordials.ts";
import { URLSearchParams, ownedSearchParams, resetSearchParams } from "./searchparams.ts";

/** `[href, origin, protocol, username, password, host, hostname, port, pathname, search, hash]` */
export type UrlParts = string[];

const HREF = 0;
const SEARCH = 9;

/** The parts of an absolute URL, or of `href` resolved against `base`; null if it is no URL. */
export function parseUrl(href: string, base?: string): UrlParts | null {
  return base === undefined ? call(CALL_URL_PARSE, href) : call(CALL_URL_PARSE, href, base);
}

function canParse(url: unknown, base: unknown): boolean {
  return (base === undefined ? parseUrl(toStr(url)) : parseUrl(toStr(url), toStr(base))) !== null;
}

function setPart(parts: UrlParts, field: string, value: unknown): UrlParts {
  return call(CALL_URL_SET, parts[HREF], field, toStr(value)) ?? parts;
}

/** The text of a `URL`, or null if `value` is none. */
export let hrefOf: (value: unknown) => string | null;

/** An absolute URL and its parts. */
export class URL {
  #parts: UrlParts;
  #params: URLSearchParams | null = null;

  constructor(url: string | URL, base: string | URL | undefined = undefined) {
    const href = toStr(url);
    const parts = base === undefined ? parseUrl(href) : parseUrl(href, toStr(base));
    if (parts === null) {
      const against = base === undefined ? "" : ` against ${jsonStringify(toStr(base))}`;
      throw new TypeError(`Invalid URL: ${jsonStringify(href)}${against}`);
    }
    this.#parts = parts;
  }

  static {
    hrefOf = (value) => (isObject(value) && #parts in value ? value.#parts[HREF]! : null);
  }

  static canParse(url: string | URL, base: string | URL | undefined = undefined): boolean {
    return canParse(url, base);
  }

  static parse(url: string | URL, base: string | URL | undefined = undefined): URL | null {
    return canParse(url, base) ? new URL(url, base) : null;
  }

  get href(): string {
    return this.#parts[HREF]!;
  }

  set href(value: string) {
    const href = toStr(value);
    const parts = parseUrl(href);
    if (parts === null) throw new TypeError(`Invalid URL: ${jsonStringify(href)}`);
    this.#replace(parts);
  }

  #replace(parts: UrlParts): void {
    this.#parts = parts;
    if (this.#params !== null) resetSearchParams(this.#params, parts[SEARCH]!);
  }

  get origin(): string {
    return this.#parts[1]!;
  }

  get protocol(): string {
    return this.#parts[2]!;
  }

  set protocol(value: string) {
    this.#parts = setPart(this.#parts, "protocol", value);
  }

  get username(): string {
    return this.#parts[3]!;
  }

  set username(value: string) {
    this.#parts = setPart(this.#parts, "username", value);
  }

  get password(): string {
    return this.#parts[4]!;
  }

  set password(value: string) {
    this.#parts = setPart(this.#parts, "password", value);
  }

  get host(): string {
    return this.#parts[5]!;
  }

  set host(value: string) {
    this.#parts = setPart(this.#parts, "host", value);
  }

  get hostname(): string {
    return this.#parts[6]!;
  }

  set hostname(value: string) {
    this.#parts = setPart(this.#parts, "hostname", value);
  }

  get port(): string {
    return this.#parts[7]!;
  }

  set port(value: string) {
    this.#parts = setPart(this.#parts, "port", value);
  }

  get pathname(): string {
    return this.#parts[8]!;
  }

  set pathname(value: string) {
    this.#parts = setPart(this.#parts, "pathname", value);
  }

  get search(): string {
    return this.#parts[SEARCH]!;
  }

  set search(value: string) {
    this.#replace(setPart(this.#parts, "search", value));
  }

  get searchParams(): URLSearchParams {
    return (this.#params ??= ownedSearchParams(this.#parts[SEARCH]!, (query) => {
      this.#parts = setPart(this.#parts, "search", query);
    }));
  }

  get hash(): string {
    return this.#parts[10]!;
  }

  set hash(value: string) {
    this.#parts = setPart(this.#parts, "hash", value);
  }

  toString(): string {
    return this.#parts[HREF]!;
  }

  toJSON(): string {
    return this.#parts[HREF]!;
  }
}
webClass(URL);
