/**
 * `URL`. Parsing and setting are the host's: one call gives the href and where its parts lie, and a part is cut out
 * when it is asked for. The query is shared with a live `URLSearchParams`, made when it is first asked for.
 */
import { CALL_URL_PARSE, CALL_URL_SET, call, keepUrl, makeUrl, peekUrl, stateOfUrl, urlGetters } from "./native.ts";
import {
  TypeError, giveGetters, jsonStringify, stringSlice, stringWellFormed, toStr, webClass,
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
export function hrefOf(value: unknown): string | null {
  const state: UrlState | null = peekUrl(value);
  return state === null ? null : state[PARTS][HREF];
}

type UrlState = [parts: UrlParts, params: URLSearchParams | null];

const PARTS = 0;
const PARAMS = 1;

function partsOf(url: URL): UrlParts {
  return stateOfUrl(url)[PARTS];
}

/** One of the parts is set; the query is not. */
function set(url: URL, field: string, value: unknown): void {
  const state: UrlState = stateOfUrl(url);
  state[PARTS] = setPart(state[PARTS], field, value);
}

function replaceParts(state: UrlState, parts: UrlParts): void {
  state[PARTS] = parts;
  if (state[PARAMS] !== null) resetSearchParams(state[PARAMS], searchOf(parts));
}

/** An absolute URL and its parts. The getters that are missing are the guest's own. */
export class URL {
  constructor(url: string | URL, base?: string | URL) {
    const parts = url === lastHref && base === undefined ? lastParts : parseArguments(url, base);
    if (parts === null) throw invalid(url, base);
    keepUrl(this, [parts, null]);
  }

  static canParse(url: string | URL, base: string | URL | undefined = undefined): boolean {
    if (arguments.length === 0) throw new TypeError("URL.canParse needs a string");
    return parseArguments(url, base) !== null;
  }

  static parse(url: string | URL, base: string | URL | undefined = undefined): URL | null {
    if (arguments.length === 0) throw new TypeError("URL.parse needs a string");
    const parts = parseArguments(url, base);
    return parts === null ? null : makeUrl(urlPrototype, [parts, null]);
  }

  set href(value: string) {
    const state: UrlState = stateOfUrl(this);
    const parts = parseUrl(usv(value));
    if (parts === null) throw invalid(value, undefined);
    replaceParts(state, parts);
  }

  get origin(): string {
    return originOf(partsOf(this));
  }

  get protocol(): string {
    return protocolOf(partsOf(this));
  }

  set protocol(value: string) {
    set(this, "protocol", value);
  }

  get username(): string {
    return usernameOf(partsOf(this));
  }

  set username(value: string) {
    set(this, "username", value);
  }

  get password(): string {
    return passwordOf(partsOf(this));
  }

  set password(value: string) {
    set(this, "password", value);
  }

  set host(value: string) {
    set(this, "host", value);
  }

  set hostname(value: string) {
    set(this, "hostname", value);
  }

  get port(): string {
    const parts = partsOf(this);
    return cut(parts, parts[HOST_END] + 1, parts[AUTHORITY_END]);
  }

  set port(value: string) {
    set(this, "port", value);
  }

  set pathname(value: string) {
    set(this, "pathname", value);
  }

  get search(): string {
    return searchOf(partsOf(this));
  }

  set search(value: string) {
    const state: UrlState = stateOfUrl(this);
    replaceParts(state, setPart(state[PARTS], "search", value));
  }

  get searchParams(): URLSearchParams {
    const state: UrlState = stateOfUrl(this);
    return (state[PARAMS] ??= ownedSearchParams(searchOf(state[PARTS]), (query) => {
      state[PARTS] = setPart(state[PARTS], "search", query);
    }));
  }

  get hash(): string {
    const parts = partsOf(this);
    const href = parts[HREF];
    return href.length - parts[FRAGMENT_START] > 1 ? cut(parts, parts[FRAGMENT_START], href.length) : "";
  }

  set hash(value: string) {
    set(this, "hash", value);
  }

  toString(): string {
    return partsOf(this)[HREF]!;
  }

  toJSON(): string {
    return partsOf(this)[HREF]!;
  }
}
giveGetters(URL.prototype, urlGetters);
webClass(URL, 1);

const urlPrototype = URL.prototype;
