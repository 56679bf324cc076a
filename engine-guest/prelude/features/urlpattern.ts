/**
 * `URLPattern` (WHATWG URL Pattern Standard): a pattern for each of the eight components of a URL, compiled to a
 * regular expression. What a component's pattern is made of stands in `urlpattern/parts.ts`; here are the canonical
 * forms, what the constructor and `exec` are given, and the class.
 */
import { CALL_URL_SET, call, utf8Encode } from "../native.ts";
import {
  Number, TypeError, arrayIndexOf, fromCharCode, isObject, numberToString, regExpExec, stringLastIndexOf, stringLower,
  stringReplaceAll, stringSlice, stringUpper, stringWellFormed, toStr, webClass,
} from "../primordials.ts";
import { type UrlParts, componentsOf, parseUrl } from "../url.ts";
import {
  type Component, DEFAULT, type Encode, HOSTNAME, PATHNAME, type Token, badPattern, between, codePoints, compile,
  escapePattern, tokenize,
} from "./urlpattern/parts.ts";

// ---- canonical forms ----

const SPECIAL = ["http", "https", "ws", "wss", "ftp", "file"];
const DEFAULT_PORTS = ["80", "443", "80", "443", "21", ""];
const DUMMY = "https://dummy.invalid/";

/** The parts of a URL as `componentsOf` gives them, in the order of a pattern's. */
const NAMES = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];
const PROTOCOL = 0;
const USERNAME = 1;
const PASSWORD = 2;
const HOST = 3;
const PORT = 4;
const PATH = 5;
const SEARCH = 6;
const HASH = 7;

function isSpecial(scheme: string): boolean {
  return arrayIndexOf(SPECIAL, scheme) >= 0;
}

/** One component of the dummy URL after its setter ran. */
function throughSetter(field: string, value: string, component: number): string {
  return componentsOf(call(CALL_URL_SET, DUMMY, field, value) as UrlParts)[component]!;
}

function canonicalProtocol(value: string): string {
  if (value === "") return value;
  const parts = parseUrl(value + "://dummy.invalid/");
  if (parts === null) throw badPattern(`"${value}" is no protocol`);
  return componentsOf(parts)[PROTOCOL]!;
}

function canonicalUsername(value: string): string {
  return value === "" ? value : throughSetter("username", value, USERNAME);
}

function canonicalPassword(value: string): string {
  return value === "" ? value : throughSetter("password", value, PASSWORD);
}

function canonicalHost(value: string): string {
  if (value === "") return value;
  const host = throughSetter("hostname", value, HOST);
  // The setter leaves alone what it cannot set.
  if (host === "dummy.invalid" && stringLower(value) !== host) throw badPattern(`"${value}" is no host name`);
  return host;
}

function canonicalIpv6(value: string): string {
  if (regExpExec(/^[0-9A-Fa-f[\]:]*$/, value) === null) throw badPattern(`"${value}" is no IPv6 address`);
  return stringLower(value);
}

function canonicalPort(value: string, protocol: string = ""): string {
  if (value === "") return value;
  const digits = regExpExec(/^[0-9]+/, withoutNewlines(value));
  const port = digits === null ? -1 : Number(digits[0]);
  if (port < 0 || port > 65535) throw badPattern(`"${value}" is no port`);
  const text = numberToString(port, 10);
  return text === DEFAULT_PORTS[arrayIndexOf(SPECIAL, protocol)] ? "" : text;
}

function withoutNewlines(value: string): string {
  return stringReplaceAll(stringReplaceAll(stringReplaceAll(value, "\t", ""), "\n", ""), "\r", "");
}

function canonicalPath(value: string): string {
  if (value === "") return value;
  if (value[0] === "/") return throughSetter("pathname", value, PATH);
  // A slash, and something after it, so that a dot at the beginning is no segment of its own.
  return stringSlice(throughSetter("pathname", "/-" + value, PATH), 2);
}

function canonicalOpaquePath(value: string): string {
  const bytes = utf8Encode(withoutNewlines(value));
  let out = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x20 && byte <= 0x7e) out += fromCharCode(byte);
    else out += (byte < 16 ? "%0" : "%") + stringUpper(numberToString(byte, 16));
  }
  return out;
}

function canonicalSearch(value: string): string {
  return value === "" ? value : throughSetter("search", "?" + value, SEARCH);
}

function canonicalHash(value: string): string {
  return value === "" ? value : throughSetter("hash", "#" + value, HASH);
}

// ---- processing of what the constructor, test and exec are given ----

/** The eight components, undefined for one that is missing. */
type Init = (string | undefined)[];

interface GivenInit {
  components: Init;
  base: string | undefined;
}

function readInit(input: any): GivenInit {
  const components: Init = [];
  const { baseURL } = input;
  const base = baseURL === undefined ? undefined : stringWellFormed(toStr(baseURL));
  for (let i = 0; i < NAMES.length; i++) {
    const value = input[NAMES[i]!];
    components[i] = value === undefined ? undefined : stringWellFormed(toStr(value));
  }
  return { components, base };
}

/** For each component, which of those that are named keep it from being taken from the base. */
const SHADOWED_BY: number[][] = [
  [PROTOCOL], [PROTOCOL, HOST, PORT, USERNAME], [PROTOCOL, HOST, PORT, USERNAME, PASSWORD], [PROTOCOL, HOST],
  [PROTOCOL, HOST, PORT], [PROTOCOL, HOST, PORT, PATH], [PROTOCOL, HOST, PORT, PATH, SEARCH],
  [PROTOCOL, HOST, PORT, PATH, SEARCH, HASH],
];

function inherit(given: Init, result: Init, base: string[], pattern: boolean): void {
  for (let i = 0; i < NAMES.length; i++) {
    if (pattern && (i === USERNAME || i === PASSWORD)) continue;
    let shadowed = false;
    const by = SHADOWED_BY[i]!;
    for (let j = 0; j < by.length; j++) shadowed ||= given[by[j]!] !== undefined;
    if (!shadowed) result[i] = pattern ? escapePattern(base[i]!) : base[i]!;
  }
}

function isAbsolutePath(path: string, pattern: boolean): boolean {
  return path[0] === "/" || (pattern && path.length >= 2 && (path[0] === "\\" || path[0] === "{") && path[1] === "/");
}

function withoutEnd(value: string, end: string): string {
  return value[value.length - 1] === end ? stringSlice(value, 0, -1) : value;
}

function withoutStart(value: string, start: string): string {
  return value[0] === start ? stringSlice(value, 1) : value;
}

/** Completes an init from its base and, unless it is a pattern, makes each component canonical. */
function processInit(init: GivenInit, pattern: boolean): Init {
  const given = init.components;
  const result: Init = [];
  for (let i = 0; i < NAMES.length; i++) result[i] = pattern ? undefined : "";
  let base: string[] | null = null;
  if (init.base !== undefined) {
    const parts = parseUrl(init.base);
    if (parts === null) throw badPattern(`the base "${init.base}" is no URL`);
    base = componentsOf(parts);
    inherit(given, result, base, pattern);
  }
  const set = (component: number, value: string, canonical: Encode): void => {
    result[component] = pattern ? value : canonical(value);
  };
  if (given[PROTOCOL] !== undefined) set(PROTOCOL, withoutEnd(given[PROTOCOL]!, ":"), canonicalProtocol);
  if (given[USERNAME] !== undefined) set(USERNAME, given[USERNAME]!, canonicalUsername);
  if (given[PASSWORD] !== undefined) set(PASSWORD, given[PASSWORD]!, canonicalPassword);
  if (given[HOST] !== undefined) set(HOST, given[HOST]!, canonicalHost);
  const protocol = result[PROTOCOL] ?? "";
  if (given[PORT] !== undefined) set(PORT, given[PORT]!, (value) => canonicalPort(value, protocol));
  if (given[PATH] !== undefined) {
    const hierarchical = protocol === "" || isSpecial(protocol);
    set(PATH, resolvePath(given[PATH]!, base, pattern), hierarchical ? canonicalPath : canonicalOpaquePath);
  }
  if (given[SEARCH] !== undefined) set(SEARCH, withoutStart(given[SEARCH]!, "?"), canonicalSearch);
  if (given[HASH] !== undefined) set(HASH, withoutStart(given[HASH]!, "#"), canonicalHash);
  return result;
}

/** A relative pathname stands in the folder of the base, unless that has an opaque path. */
function resolvePath(path: string, base: string[] | null, pattern: boolean): string {
  if (base === null || isAbsolutePath(path, pattern) || (base[PATH] !== "" && base[PATH]![0] !== "/")) return path;
  const folder = pattern ? escapePattern(base[PATH]!) : base[PATH]!;
  const slash = stringLastIndexOf(folder, "/");
  return slash < 0 ? path : stringSlice(folder, 0, slash + 1) + path;
}

// ---- constructor strings ----

/** The states of the parser: before anything is known, the eight components, and what may hold a user name. */
type State = number;
const START = -1;
const AUTHORITY = -2;
const DONE = -3;

class ConstructorString {
  points: string[];
  tokens: Token[];
  result: Init = [];
  componentStart = 0;
  at = 0;
  step = 1;
  depth = 0;
  brackets = 0;
  special = false;
  state: State = START;

  constructor(input: string) {
    this.points = codePoints(input);
    this.tokens = tokenize(this.points, true);
  }

  token(index: number): Token {
    return this.tokens[index < this.tokens.length ? index : this.tokens.length - 1]!;
  }

  is(value: string, offset: number = 0): boolean {
    const token = this.token(this.at + offset);
    return token.value === value && (token.type === "char" || token.type === "escaped" || token.type === "invalid");
  }

  startsSearch(): boolean {
    if (this.is("?")) return true;
    if (this.token(this.at).value !== "?") return false;
    if (this.at === 0) return true;
    const { type } = this.token(this.at - 1);
    return type !== "name" && type !== "regexp" && type !== "close" && type !== "asterisk";
  }

  component(): string {
    return between(this.points, this.token(this.componentStart).index, this.token(this.at).index);
  }

  rewind(state: State): void {
    this.at = this.componentStart;
    this.step = 0;
    this.state = state;
  }

  change(state: State, skip: number): void {
    const from = this.state;
    if (from >= 0) this.result[from] = this.component();
    if (from !== START && state !== DONE) {
      const before = from === AUTHORITY ? USERNAME : from;
      if (before < HOST && state >= PORT) this.result[HOST] ??= "";
      if (before < PATH && state >= SEARCH) this.result[PATH] ??= this.special ? "/" : "";
      if (before < SEARCH && state === HASH) this.result[SEARCH] ??= "";
    }
    this.state = state;
    this.at += skip;
    this.componentStart = this.at;
    this.step = 0;
  }

  parse(): Init {
    for (; this.at < this.tokens.length; this.at += this.step) {
      this.step = 1;
      const { type } = this.token(this.at);
      if (type === "end") {
        if (!this.atEnd()) break;
      } else if (type === "open") this.depth++;
      else {
        if (this.depth > 0) {
          if (type !== "close") continue;
          this.depth--;
        }
        this.inState();
      }
    }
    if (this.result[HOST] !== undefined && this.result[PORT] === undefined) this.result[PORT] = "";
    return this.result;
  }

  /** True if it goes on from the beginning of the component. */
  atEnd(): boolean {
    if (this.state === START) {
      this.rewind(START);
      if (this.is("#")) this.change(HASH, 1);
      else if (this.startsSearch()) this.change(SEARCH, 1);
      else this.change(PATH, 0);
      return true;
    }
    if (this.state === AUTHORITY) {
      this.rewind(HOST);
      return true;
    }
    this.change(DONE, 0);
    return false;
  }

  inState(): void {
    switch (this.state) {
      case START:
        if (this.is(":")) this.rewind(PROTOCOL);
        return;
      case PROTOCOL:
        if (this.is(":")) this.afterProtocol();
        return;
      case AUTHORITY:
        if (this.is("@")) this.rewind(USERNAME);
        else if (this.is("/") || this.startsSearch() || this.is("#")) this.rewind(HOST);
        return;
      case USERNAME:
        if (this.is(":")) this.change(PASSWORD, 1);
        else if (this.is("@")) this.change(HOST, 1);
        return;
      case PASSWORD:
        if (this.is("@")) this.change(HOST, 1);
        return;
      case HOST:
        if (this.is("[")) this.brackets++;
        else if (this.is("]")) this.brackets--;
        else if (this.is(":") && this.brackets === 0) this.change(PORT, 1);
        else this.afterHost();
        return;
      case PORT:
        return this.afterHost();
      case PATH:
        if (this.startsSearch()) this.change(SEARCH, 1);
        else if (this.is("#")) this.change(HASH, 1);
        return;
      case SEARCH:
        if (this.is("#")) this.change(HASH, 1);
    }
  }

  afterProtocol(): void {
    this.special = matchesSpecial(compile(this.component(), canonicalProtocol, DEFAULT, false));
    const slashes = this.is("/", 1) && this.is("/", 2);
    this.change(slashes || this.special ? AUTHORITY : PATH, slashes ? 3 : 1);
  }

  afterHost(): void {
    if (this.is("/")) this.change(PATH, 0);
    else if (this.startsSearch()) this.change(SEARCH, 1);
    else if (this.is("#")) this.change(HASH, 1);
  }
}

function matchesSpecial(protocol: Component): boolean {
  for (let i = 0; i < SPECIAL.length; i++) if (regExpExec(protocol.expression, SPECIAL[i]) !== null) return true;
  return false;
}

// ---- the class ----

function isIpv6Pattern(pattern: string): boolean {
  return pattern.length >= 2 && (pattern[0] === "[" || ((pattern[0] === "{" || pattern[0] === "\\") && pattern[1] === "["));
}

function compileAll(init: GivenInit, ignoreCase: boolean): Component[] {
  const processed = processInit(init, true);
  for (let i = 0; i < NAMES.length; i++) processed[i] ??= "*";
  const protocol = processed[PROTOCOL]!;
  const port = processed[PORT]!;
  if (port !== "" && port === DEFAULT_PORTS[arrayIndexOf(SPECIAL, protocol)]) processed[PORT] = "";
  const host = processed[HOST]!;
  const components: Component[] = [
    compile(protocol, canonicalProtocol, DEFAULT, false),
    compile(processed[USERNAME]!, canonicalUsername, DEFAULT, false),
    compile(processed[PASSWORD]!, canonicalPassword, DEFAULT, false),
    compile(host, isIpv6Pattern(host) ? canonicalIpv6 : canonicalHost, HOSTNAME, false),
    compile(processed[PORT]!, (value) => canonicalPort(value), DEFAULT, false),
  ];
  components[PATH] = matchesSpecial(components[PROTOCOL]!)
    ? compile(processed[PATH]!, canonicalPath, PATHNAME, ignoreCase)
    : compile(processed[PATH]!, canonicalOpaquePath, DEFAULT, ignoreCase);
  components[SEARCH] = compile(processed[SEARCH]!, canonicalSearch, DEFAULT, ignoreCase);
  components[HASH] = compile(processed[HASH]!, canonicalHash, DEFAULT, ignoreCase);
  return components;
}

/** The components of what is to be matched; null if it is no URL. */
function subjectOf(input: any, base: string | undefined): Init | null {
  if (isObject(input)) {
    if (base !== undefined) throw new TypeError("URLPattern: a base URL goes with a string only");
    const init = readInit(input);
    try {
      return processInit(init, false);
    } catch {
      return null;
    }
  }
  const parts = parseUrl(stringWellFormed(toStr(input)), base);
  return parts === null ? null : componentsOf(parts);
}

/** The arguments of `test` and `exec`, as the standard reads them. */
function match(components: Component[], input: any, base: unknown): { subject: Init; found: RegExpExecArray[] } | null {
  const subject = subjectOf(input, base === undefined ? undefined : stringWellFormed(toStr(base)));
  if (subject === null) return null;
  const found: RegExpExecArray[] = [];
  for (let i = 0; i < NAMES.length; i++) {
    const result = regExpExec(components[i]!.expression, subject[i]!);
    if (result === null) return null;
    found[i] = result;
  }
  return { subject, found };
}

function componentResult(component: Component, input: string, found: RegExpExecArray): object {
  const groups: Record<string, string | undefined> = {};
  for (let i = 0; i < component.names.length; i++) groups[component.names[i]!] = found[i + 1];
  return { input, groups };
}

/** A pattern of URLs. */
class URLPattern {
  #components: Component[];

  constructor(input: any = {}, baseOrOptions: any = undefined, options: any = undefined) {
    const withBase = arguments.length > 2 || (baseOrOptions !== undefined && baseOrOptions !== null && !isObject(baseOrOptions));
    const base = withBase ? stringWellFormed(toStr(baseOrOptions)) : undefined;
    const given = withBase ? options : baseOrOptions;
    if (given !== undefined && given !== null && !isObject(given)) throw new TypeError("URLPattern: options must be an object");
    const ignoreCase = !!given?.ignoreCase;
    let init: GivenInit;
    if (isObject(input)) {
      if (base !== undefined) throw new TypeError("URLPattern: a base URL goes with a string only");
      init = readInit(input);
    } else {
      init = { components: new ConstructorString(stringWellFormed(toStr(input))).parse(), base };
      if (base === undefined && init.components[PROTOCOL] === undefined) {
        throw new TypeError("URLPattern: a relative pattern needs a base URL");
      }
    }
    this.#components = compileAll(init, ignoreCase);
  }

  test(input: any = {}, baseURL: string | undefined = undefined): boolean {
    return match(this.#components, input, baseURL) !== null;
  }

  exec(input: any = {}, baseURL: string | undefined = undefined): any {
    const components = this.#components;
    const matched = match(components, input, baseURL);
    if (matched === null) return null;
    const inputs = [isObject(input) ? input : stringWellFormed(toStr(input))];
    if (baseURL !== undefined) inputs[1] = stringWellFormed(toStr(baseURL));
    const result: any = { inputs };
    for (let i = 0; i < NAMES.length; i++) {
      result[NAMES[i]!] = componentResult(components[i]!, matched.subject[i]!, matched.found[i]!);
    }
    return result;
  }

  get protocol(): string {
    return this.#components[PROTOCOL]!.pattern;
  }

  get username(): string {
    return this.#components[USERNAME]!.pattern;
  }

  get password(): string {
    return this.#components[PASSWORD]!.pattern;
  }

  get hostname(): string {
    return this.#components[HOST]!.pattern;
  }

  get port(): string {
    return this.#components[PORT]!.pattern;
  }

  get pathname(): string {
    return this.#components[PATH]!.pattern;
  }

  get search(): string {
    return this.#components[SEARCH]!.pattern;
  }

  get hash(): string {
    return this.#components[HASH]!.pattern;
  }

  get hasRegExpGroups(): boolean {
    const components = this.#components;
    for (let i = 0; i < components.length; i++) if (components[i]!.hasExpressions) return true;
    return false;
  }
}
webClass(URLPattern, 0);

export { URLPattern };
