/**
 * `URL`. Parsing and setting are the host's: one call gives the href and where its parts lie, and a part is cut out
 * when it is asked for. The query is shared with a live `URLSearchParams`, made when it is first asked for.
 */
import { INTERNAL } from "./internal.ts";
import { CALL_URL_PARSE, CALL_URL_SET, call } from "./native.ts";
import {
  TypeError, isObject, jsonStringify, stringSlice, stringWellFormed, toStr, webClass,
} from "./primordials.ts";
import { URLSearchParams, ownedSearchParams, resetSearchParams } from "./searchparams.ts";

/** The href, and the indices into it at which parts begin or end. An href is ASCII. */
export type UrlParts = [
  href: string, schemeEnd: number, usernameEnd: number, hostStart: number, hostEnd: number, authorityEnd: number,
  pathStart: number, queryStart: number, fragmentStart: number,
];

const HREF = 0;
const SCHEME_END = 1;
const USERNAME_END = 2;
const HOST_START = 3;
const HOST_END = 4;
const AUTHORITY_END = 5;
const PATH_START = 6;
const QUERY_START = 7;
const FRAGMENT_START = 8;

/** The parts of an absolute URL, or of `href` resolved against `base`; null if it is no URL. */
export function parseUrl(href: string, base?: string): UrlParts | null {
  if (base !== undefined) return call(CALL_URL_PARSE, href, base);
  if (href !== lastHref) {
    lastParts = call(CALL_URL_PARSE, href);
    lastHref = href;
  }
  return lastParts;
}

/** What was parsed last: the URL of one request is mostly parsed in several places. Parts are never changed. */
let lastHref: string | undefined = undefined;
let lastParts: UrlParts | null = null;

function usv(value: unknown): string {
  return stringWellFormed(toStr(value));
}

/** Parses the arguments of the constructor and its kin. */
function parseArguments(url: unknown, base: unknown): UrlParts | null {
  const href = usv(url);
  return base === undefined ? parseUrl(href) : parseUrl(href, usv(base));
}

function setPart(parts: UrlParts, field: string, value: unknown): UrlParts {
  return call(CALL_URL_SET, parts[HREF], field, usv(value)) ?? parts;
}

function cut(parts: UrlParts, from: number, to: number): string {
  return stringSlice(parts[HREF], from, to);
}

function protocolOf(parts: UrlParts): string {
  return cut(parts, 0, parts[SCHEME_END]);
}

/** `host:port` */
function hostOf(parts: UrlParts): string {
  return cut(parts, parts[HOST_START], parts[AUTHORITY_END]);
}

function hasAuthority(parts: UrlParts): boolean {
  return parts[HOST_START] > parts[SCHEME_END];
}

/** Whether there is a user name or a password. */
export function hasCredentials(parts: UrlParts): boolean {
  return hasAuthority(parts) && parts[HOST_START] > parts[SCHEME_END] + 2;
}

function usernameOf(parts: UrlParts): string {
  return hasCredentials(parts) ? cut(parts, parts[SCHEME_END] + 2, parts[USERNAME_END]) : "";
}

function passwordOf(parts: UrlParts): string {
  return hasCredentials(parts) ? cut(parts, parts[USERNAME_END] + 1, parts[HOST_START] - 1) : "";
}

function pathOf(parts: UrlParts): string {
  return cut(parts, parts[PATH_START], parts[QUERY_START]);
}

/** The query with its question mark, unless it is empty. */
function searchOf(parts: UrlParts): string {
  return parts[FRAGMENT_START] - parts[QUERY_START] > 1 ? cut(parts, parts[QUERY_START], parts[FRAGMENT_START]) : "";
}

function originOf(parts: UrlParts): string {
  switch (protocolOf(parts)) {
    case "http:": case "https:": case "ws:": case "wss:": case "ftp:":
      return protocolOf(parts) + "//" + hostOf(parts);
    case "blob:": {
      const inner = parseUrl(pathOf(parts));
      const protocol = inner === null ? "" : protocolOf(inner);
      return protocol === "http:" || protocol === "https:" ? originOf(inner!) : "null";
    }
    default:
      return "null";
  }
}

/** Scheme, user name, password, host name, port, path, query and fragment, without what stands between them. */
export function componentsOf(parts: UrlParts): string[] {
  const search = searchOf(parts);
  const { length } = parts[HREF];
  return [
    cut(parts, 0, parts[SCHEME_END] - 1), usernameOf(parts), passwordOf(parts),
    cut(parts, parts[HOST_START], parts[HOST_END]), cut(parts, parts[HOST_END] + 1, parts[AUTHORITY_END]),
    pathOf(parts), search === "" ? "" : stringSlice(search, 1), cut(parts, parts[FRAGMENT_START] + 1, length),
  ];
}

function invalid(href: unknown, base: unknown): TypeError {
  const against = base === undefined ? "" : ` against ${jsonStringify(toStr(base))}`;
  return new TypeError(`Invalid URL: ${jsonStringify(toStr(href))}${against}`);
}

/** The text of a `URL`, or null if `value` is none. */
export let hrefOf: (value: unknown) => string | null;

let replaceParts: (url: URL, parts: UrlParts) => void;

/** An absolute URL and its parts. */
export class URL {
  #parts: UrlParts;
  #params: URLSearchParams | null = null;

  constructor(url: string | URL, base?: string | URL) {
    if (url === INTERNAL) {
      this.#parts = base as any;
      return;
    }
    const parts = url === lastHref && base === undefined ? lastParts : parseArguments(url, base);
    if (parts === null) throw invalid(url, base);
    this.#parts = parts;
  }

  static {
    hrefOf = (value) => (isObject(value) && #parts in value ? value.#parts[HREF]! : null);
    replaceParts = (url, parts) => {
      url.#parts = parts;
      if (url.#params !== null) resetSearchParams(url.#params, searchOf(parts));
    };
  }

  static canParse(url: string | URL, base: string | URL | undefined = undefined): boolean {
    if (arguments.length === 0) throw new TypeError("URL.canParse needs a string");
    return parseArguments(url, base) !== null;
  }

  static parse(url: string | URL, base: string | URL | undefined = undefined): URL | null {
    if (arguments.length === 0) throw new TypeError("URL.parse needs a string");
    const parts = parseArguments(url, base);
    return parts === null ? null : new URL(INTERNAL, parts as any);
  }

  get href(): string {
    return this.#parts[HREF];
  }

  set href(value: string) {
    const parts = parseUrl(usv(value));
    if (parts === null) throw invalid(value, undefined);
    replaceParts(this, parts);
  }

  get origin(): string {
    return originOf(this.#parts);
  }

  get protocol(): string {
    return protocolOf(this.#parts);
  }

  set protocol(value: string) {
    this.#parts = setPart(this.#parts, "protocol", value);
  }

  get username(): string {
    return usernameOf(this.#parts);
  }

  set username(value: string) {
    this.#parts = setPart(this.#parts, "username", value);
  }

  get password(): string {
    return passwordOf(this.#parts);
  }

  set password(value: string) {
    this.#parts = setPart(this.#parts, "password", value);
  }

  get host(): string {
    return hostOf(this.#parts);
  }

  set host(value: string) {
    this.#parts = setPart(this.#parts, "host", value);
  }

  get hostname(): string {
    const parts = this.#parts;
    return cut(parts, parts[HOST_START], parts[HOST_END]);
  }

  set hostname(value: string) {
    this.#parts = setPart(this.#parts, "hostname", value);
  }

  get port(): string {
    const parts = this.#parts;
    return cut(parts, parts[HOST_END] + 1, parts[AUTHORITY_END]);
  }

  set port(value: string) {
    this.#parts = setPart(this.#parts, "port", value);
  }

  get pathname(): string {
    return pathOf(this.#parts);
  }

  set pathname(value: string) {
    this.#parts = setPart(this.#parts, "pathname", value);
  }

  get search(): string {
    return searchOf(this.#parts);
  }

  set search(value: string) {
    replaceParts(this, setPart(this.#parts, "search", value));
  }

  get searchParams(): URLSearchParams {
    return (this.#params ??= ownedSearchParams(searchOf(this.#parts), (query) => {
      this.#parts = setPart(this.#parts, "search", query);
    }));
  }

  get hash(): string {
    const parts = this.#parts;
    const href = parts[HREF];
    return href.length - parts[FRAGMENT_START] > 1 ? cut(parts, parts[FRAGMENT_START], href.length) : "";
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
webClass(URL, 1);
