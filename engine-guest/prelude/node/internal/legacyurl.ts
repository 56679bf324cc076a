/**
 * `url.parse` and what goes with it: URLs as they were read before the URL Standard. It accepts what has no scheme, and
 * keeps what the standard would change.
 */
import {
  arrayConcat, arrayUnshift, decodeURIComponent, objectAssign, stringEndsWith, stringReplace,
} from "../../library.ts";
import {
  TypeError, apply, arrayJoin, arrayShift, arraySplice, max, objectCreate, objectKeys, regExpExec, stringIndexOf,
  stringLower, stringReplaceAll, stringSlice, stringSplit, stringStartsWith,
} from "../../primordials.ts";
import { checkString, codedError } from "./errors.ts";
import querystring from "../querystring.ts";
import { toASCII } from "./idna.ts";

const SLASHED: Record<string, boolean> = {
  __proto__: null as any,
  "http": true, "http:": true, "https": true, "https:": true, "ftp": true, "ftp:": true, "gopher": true, "gopher:": true,
  "file": true, "file:": true, "ws": true, "ws:": true, "wss": true, "wss:": true,
};
const NO_HOST: Record<string, boolean> = { __proto__: null as any, "javascript": true, "javascript:": true };

export function Url(this: any): void {
  this.protocol = null;
  this.slashes = null;
  this.auth = null;
  this.host = null;
  this.port = null;
  this.hostname = null;
  this.hash = null;
  this.search = null;
  this.query = null;
  this.pathname = null;
  this.path = null;
  this.href = null;
}

const PROTOCOL = /^[a-z0-9.+-]+:/i;
const PORT = /:[0-9]*$/;
const HOST_PATTERN = /^\/\/[^@/]+@[^@/]+/;
const SIMPLE = /^(\/\/?(?!\/)[^?\s]*)(\?[^\s]*)?$/;
const SPACE = /^[\s\uFEFF\xA0]+|[\s\uFEFF\xA0]+$/g;
const FORBIDDEN_HOST = /[\0\t\n\r #%/:<>?@[\\\]^|]/;
const FORBIDDEN_V6 = /[\0\t\n\r #%/<>?@\\^|]/;
const ESCAPED: Record<string, string> = {
  __proto__: null as any,
  "\t": "%09", "\n": "%0A", "\r": "%0D", " ": "%20", '"': "%22", "'": "%27", "<": "%3C", ">": "%3E", "\\": "%5C",
  "^": "%5E", "`": "%60", "{": "%7B", "|": "%7C", "}": "%7D",
};

export function parse(url: any, parseQuery?: any, slashesDenoteHost?: any): any {
  if (url instanceof (Url as any)) return url;
  const made = new (Url as any)();
  made.parse(url, parseQuery, slashesDenoteHost);
  return made;
}

/** Backslashes before the query are slashes. */
function straighten(text: string): string {
  const trimmed: string = stringReplace(text, SPACE, "");
  let end = 0;
  while (end < trimmed.length && trimmed[end] !== "?" && trimmed[end] !== "#") end++;
  return stringReplaceAll(stringSlice(trimmed, 0, end), "\\", "/") + stringSlice(trimmed, end);
}

function invalid(url: string, message: string = "Invalid URL"): any {
  const error = codedError(TypeError, "ERR_INVALID_URL", message);
  error.input = url;
  return error;
}

const proto: any = Url.prototype;

proto.parse = function (this: any, url: any, parseQuery?: any, slashesDenoteHost?: any): any {
  checkString(url, "url");
  let rest = straighten(url);
  if (!slashesDenoteHost && stringIndexOf(rest, "#") < 0 && parseSimple(this, rest, parseQuery)) return this;
  const found = regExpExec(PROTOCOL, rest);
  let lower = "";
  if (found !== null) {
    lower = stringLower(found[0]);
    this.protocol = lower;
    rest = stringSlice(rest, found[0].length);
  }
  let slashes = false;
  if (slashesDenoteHost || found !== null || regExpExec(HOST_PATTERN, rest) !== null) {
    slashes = rest[0] === "/" && rest[1] === "/";
    if (slashes && !(lower !== "" && NO_HOST[lower])) {
      rest = stringSlice(rest, 2);
      this.slashes = true;
    }
  }
  if (!NO_HOST[lower] && (slashes || (found !== null && !SLASHED[lower]))) rest = parseAuthority(this, url, rest);
  if (!NO_HOST[lower]) rest = escapeRest(rest);
  parseTail(this, rest, parseQuery);
  if (SLASHED[lower] && this.hostname && !this.pathname) this.pathname = "/";
  if (this.pathname || this.search) this.path = `${this.pathname || ""}${this.search || ""}`;
  this.href = this.format();
  return this;
};

/** A path with a query, and nothing else. */
function parseSimple(self: any, rest: string, parseQuery: any): boolean {
  const found = regExpExec(SIMPLE, rest);
  if (found === null) return false;
  self.path = rest;
  self.href = rest;
  self.pathname = found[1];
  if (found[2]) {
    self.search = found[2];
    self.query = parseQuery ? querystring.parse(stringSlice(found[2], 1)) : stringSlice(found[2], 1);
  } else if (parseQuery) {
    self.search = null;
    self.query = objectCreate(null);
  }
  return true;
}

function parseAuthority(self: any, url: string, given: string): string {
  let rest = given;
  let at = -1;
  let nonHost = -1;
  for (let i = 0; i < rest.length; i++) {
    const c = rest[i]!;
    if (c === "\t" || c === "\n" || c === "\r") {
      rest = stringSlice(rest, 0, i) + stringSlice(rest, i + 1);
      i--;
    } else if (stringIndexOf(" \"%';<>\\^`{|}", c) >= 0) {
      if (nonHost < 0) nonHost = i;
    } else if (c === "#" || c === "/" || c === "?") {
      if (nonHost < 0) nonHost = i;
      break;
    } else if (c === "@") {
      at = i;
      nonHost = -1;
    }
  }
  let start = 0;
  if (at >= 0) {
    self.auth = decodeURIComponent(stringSlice(rest, 0, at));
    start = at + 1;
  }
  const end = nonHost < 0 ? rest.length : nonHost;
  self.host = stringSlice(rest, start, end);
  const left: string = nonHost < 0 ? "" : stringSlice(rest, nonHost);
  const port = regExpExec(PORT, self.host);
  let host: string = self.host;
  if (port !== null) {
    if (port[0] !== ":") self.port = stringSlice(port[0], 1);
    host = stringSlice(host, 0, host.length - port[0].length);
  }
  self.hostname = host;
  const v6 = host[0] === "[" && host[host.length - 1] === "]";
  let after = left;
  if (!v6) after = trimHostname(self, after);
  self.hostname = self.hostname.length > 255 ? "" : stringLower(self.hostname);
  if (self.hostname !== "") {
    if (v6) {
      if (regExpExec(FORBIDDEN_V6, self.hostname) !== null) throw invalid(url);
    } else {
      self.hostname = toASCII(self.hostname);
      if (self.hostname === "" || regExpExec(FORBIDDEN_HOST, self.hostname) !== null) throw invalid(url);
    }
  }
  self.host = `${self.hostname || ""}${self.port ? `:${self.port}` : ""}`;
  if (v6) {
    self.hostname = stringSlice(self.hostname, 1, -1);
    if (after[0] !== "/") after = `/${after}`;
  }
  return after;
}

const HOST_CHARACTER = /[a-z0-9._+\-\x80-\uFFFF]/i;

/** What can't be part of a host name begins the path. */
function trimHostname(self: any, rest: string): string {
  const { hostname } = self;
  for (let i = 0; i < hostname.length; i++) {
    if (regExpExec(HOST_CHARACTER, hostname[i]) !== null) continue;
    self.hostname = stringSlice(hostname, 0, i);
    return `/${stringSlice(hostname, i)}${rest}`;
  }
  return rest;
}

function escapeRest(rest: string): string {
  let out = "";
  for (let i = 0; i < rest.length; i++) out += ESCAPED[rest[i]!] ?? rest[i];
  return out;
}

function parseTail(self: any, rest: string, parseQuery: any): void {
  const hash: number = stringIndexOf(rest, "#");
  if (hash >= 0) self.hash = stringSlice(rest, hash);
  const before: string = hash >= 0 ? stringSlice(rest, 0, hash) : rest;
  const question: number = stringIndexOf(before, "?");
  if (question >= 0) {
    self.search = stringSlice(before, question);
    self.query = stringSlice(before, question + 1);
    if (parseQuery) self.query = querystring.parse(self.query);
  } else if (parseQuery) {
    self.search = null;
    self.query = objectCreate(null);
  }
  const path: string = question >= 0 ? stringSlice(before, 0, question) : before;
  if (path !== "") self.pathname = path;
}

const AUTH_KEPT = /%3A/gi;

proto.format = function (this: any): string {
  let auth = this.auth || "";
  if (auth) auth = `${stringReplace(querystring.escape(auth), AUTH_KEPT, ":")}@`;
  let protocol = this.protocol || "";
  let pathname = this.pathname || "";
  let hash = this.hash || "";
  let host = "";
  let query = "";
  if (this.host) host = auth + this.host;
  else if (this.hostname) {
    const v6 = stringIndexOf(this.hostname, ":") >= 0 && this.hostname[0] !== "[";
    host = `${auth}${v6 ? `[${this.hostname}]` : this.hostname}${this.port ? `:${this.port}` : ""}`;
  }
  if (this.query !== null && typeof this.query === "object") query = querystring.stringify(this.query);
  let search = this.search || (query && `?${query}`) || "";
  if (protocol && protocol[protocol.length - 1] !== ":") protocol += ":";
  pathname = stringReplaceAll(stringReplaceAll(pathname, "#", "%23"), "?", "%3F");
  if (this.slashes || SLASHED[protocol]) {
    if (this.slashes || host) {
      if (pathname && pathname[0] !== "/") pathname = `/${pathname}`;
      host = `//${host}`;
    } else if (stringStartsWith(protocol, "file")) host = "//";
  }
  search = stringReplaceAll(search, "#", "%23");
  if (hash && hash[0] !== "#") hash = `#${hash}`;
  if (search && search[0] !== "?") search = `?${search}`;
  return protocol + host + pathname + search + hash;
};

export function formatLegacy(url: any): string {
  return apply(proto.format, url, []);
}

export function resolve(source: any, relative: any): string {
  return parse(source, false, true).resolve(relative);
}

export function resolveObject(source: any, relative: any): any {
  return source ? parse(source, false, true).resolveObject(relative) : relative;
}

proto.resolve = function (this: any, relative: any): string {
  return this.resolveObject(parse(relative, false, true)).format();
};

function copyFields(to: any, from: any, names: string[]): void {
  for (let i = 0; i < names.length; i++) to[names[i]!] = from[names[i]!];
}

function setPath(result: any): void {
  if (result.pathname !== null || result.search !== null) result.path = `${result.pathname || ""}${result.search || ""}`;
}

proto.resolveObject = function (this: any, given: any): any {
  const relative = typeof given === "string" ? parse(given, false, true) : given;
  const result = new (Url as any)();
  objectAssign(result, this);
  result.hash = relative.hash;
  if (relative.href === "") {
    result.href = result.format();
    return result;
  }
  if (relative.slashes && !relative.protocol) {
    const names = objectKeys(relative);
    for (let i = 0; i < names.length; i++) if (names[i] !== "protocol") result[names[i]!] = relative[names[i]!];
    if (SLASHED[result.protocol] && result.hostname && !result.pathname) result.path = result.pathname = "/";
    result.href = result.format();
    return result;
  }
  if (relative.protocol && relative.protocol !== result.protocol) return resolveOther(result, relative);
  return resolvePath(result, relative);
};

/** Another scheme: nothing of the base but the host of one that should have named its own. */
function resolveOther(result: any, relative: any): any {
  if (!SLASHED[relative.protocol]) {
    objectAssign(result, relative);
    result.href = result.format();
    return result;
  }
  result.protocol = relative.protocol;
  if (!relative.host && regExpExec(/^file:?$/, relative.protocol) === null && !NO_HOST[relative.protocol]) {
    const parts: string[] = stringSplit(relative.pathname || "", "/");
    while (parts.length > 0 && !(relative.host = arrayShift(parts)));
    if (!relative.host) relative.host = "";
    if (!relative.hostname) relative.hostname = "";
    if (parts[0] !== "") arrayUnshift(parts, "");
    if (parts.length < 2) arrayUnshift(parts, "");
    result.pathname = arrayJoin(parts, "/");
  } else result.pathname = relative.pathname;
  copyFields(result, relative, ["search", "query"]);
  result.host = relative.host || "";
  result.auth = relative.auth;
  result.hostname = relative.hostname || relative.host;
  result.port = relative.port;
  if (result.pathname || result.search) result.path = `${result.pathname || ""}${result.search || ""}`;
  result.slashes = result.slashes || relative.slashes;
  result.href = result.format();
  return result;
}

function resolvePath(result: any, relative: any): any {
  const sourceAbsolute = !!result.pathname && result.pathname[0] === "/";
  const relativeAbsolute = relative.host || (relative.pathname && relative.pathname[0] === "/");
  let endAbsolute = relativeAbsolute || sourceAbsolute || (result.host && relative.pathname);
  const removeAllDots = endAbsolute;
  let source: string[] = (result.pathname && stringSplit(result.pathname, "/")) || [];
  const path: string[] = (relative.pathname && stringSplit(relative.pathname, "/")) || [];
  const bare = result.protocol && !SLASHED[result.protocol];
  if (bare) {
    result.hostname = "";
    result.port = null;
    if (result.host) {
      if (source[0] === "") source[0] = result.host;
      else arrayUnshift(source, result.host);
    }
    result.host = "";
    if (relative.protocol) {
      relative.hostname = null;
      relative.port = null;
      result.auth = null;
      if (relative.host) {
        if (path[0] === "") path[0] = relative.host;
        else arrayUnshift(path, relative.host);
      }
      relative.host = null;
    }
    endAbsolute = endAbsolute && (path[0] === "" || source[0] === "");
  }
  if (relativeAbsolute) {
    if (relative.host || relative.host === "") {
      if (result.host !== relative.host) result.auth = null;
      result.host = relative.host;
      result.port = relative.port;
    }
    if (relative.hostname || relative.hostname === "") {
      if (result.hostname !== relative.hostname) result.auth = null;
      result.hostname = relative.hostname;
    }
    copyFields(result, relative, ["search", "query"]);
    source = path;
  } else if (path.length > 0) {
    source.length = max(0, source.length - 1);
    source = arrayConcat(source, path);
    copyFields(result, relative, ["search", "query"]);
  } else if (relative.search !== null && relative.search !== undefined) {
    if (bare) {
      result.hostname = result.host = source.length > 0 ? arrayShift(source) : undefined;
      splitAuth(result);
    }
    copyFields(result, relative, ["search", "query"]);
    setPath(result);
    result.href = result.format();
    return result;
  }
  return finishPath(result, relative, source, { endAbsolute: !!endAbsolute, removeAllDots: !!removeAllDots, bare: !!bare });
}

function splitAuth(result: any): void {
  const parts = result.host && stringIndexOf(result.host, "@") > 0 ? stringSplit(result.host, "@") : false;
  if (!parts) return;
  result.auth = arrayShift(parts);
  result.host = result.hostname = arrayShift(parts);
}

function finishPath(result: any, relative: any, source: string[], how: any): any {
  if (source.length === 0) {
    result.pathname = null;
    result.path = result.search ? `/${result.search}` : null;
    result.href = result.format();
    return result;
  }
  let last = source[source.length - 1]!;
  const trailing = ((result.host || relative.host || source.length > 1) && (last === "." || last === "..")) || last === "";
  let up = 0;
  for (let i = source.length - 1; i >= 0; i--) {
    last = source[i]!;
    if (last === ".") arraySplice(source, i, 1);
    else if (last === "..") {
      arraySplice(source, i, 1);
      up++;
    } else if (up) {
      arraySplice(source, i, 1);
      up--;
    }
  }
  let endAbsolute = how.endAbsolute;
  if (!endAbsolute && !how.removeAllDots) while (up--) arrayUnshift(source, "..");
  if (endAbsolute && source[0] !== "" && (!source[0] || source[0][0] !== "/")) arrayUnshift(source, "");
  if (trailing && !stringEndsWith(arrayJoin(source, "/"), "/")) source[source.length] = "";
  const absolute = source[0] === "" || (source[0] && source[0][0] === "/");
  if (how.bare) {
    result.hostname = result.host = absolute ? "" : source.length > 0 ? arrayShift(source) : "";
    splitAuth(result);
  }
  endAbsolute = endAbsolute || (result.host && source.length > 0);
  if (endAbsolute && !absolute) arrayUnshift(source, "");
  if (source.length === 0) {
    result.pathname = null;
    result.path = null;
  } else result.pathname = arrayJoin(source, "/");
  setPath(result);
  result.auth = relative.auth || result.auth;
  result.slashes = result.slashes || relative.slashes;
  result.href = result.format();
  return result;
}
