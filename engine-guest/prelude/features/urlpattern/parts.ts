/**
 * Pattern strings of `URLPattern`: read into tokens, these into parts, and the parts written as a regular expression
 * and as a pattern string again (URL Pattern Standard, sections 2.1 to 2.3).
 */
import {
  RegExp, TypeError, numberToString, regExpExec, stringCharCodeAt, stringIndexOf, stringSlice,
} from "../../primordials.ts";

// ---- tokens ----

type TokenType =
  | "open" | "close" | "regexp" | "name" | "char" | "escaped" | "modifier" | "asterisk" | "end" | "invalid";

export interface Token {
  type: TokenType;
  /** Where it begins in the pattern, in code points. */
  index: number;
  value: string;
}

const NAME_START = /^[$_\p{ID_Start}]$/u;
const NAME_PART = /^[$_\u200c\u200d\p{ID_Continue}]$/u;

export function codePoints(text: string): string[] {
  const points: string[] = [];
  for (let at = 0; at < text.length;) {
    const code = stringCharCodeAt(text, at);
    const length = code >= 0xd800 && code <= 0xdbff && at + 1 < text.length ? 2 : 1;
    points[points.length] = stringSlice(text, at, at + length);
    at += length;
  }
  return points;
}

export function between(points: string[], from: number, to: number): string {
  let text = "";
  for (let i = from; i < to; i++) text += points[i];
  return text;
}

function isAscii(point: string): boolean {
  return point.length === 1 && stringCharCodeAt(point, 0) < 0x80;
}

export function badPattern(what: string): TypeError {
  return new TypeError(`URLPattern: ${what}`);
}

/** Where the expression that begins at `start`, after its bracket, ends; 0 if it is malformed. */
function expressionEnd(points: string[], start: number): number {
  let depth = 1;
  for (let at = start; at < points.length; at++) {
    const point = points[at]!;
    if (!isAscii(point) || (at === start && point === "?")) return 0;
    if (point === "\\") {
      if (++at >= points.length || !isAscii(points[at]!)) return 0;
    } else if (point === ")") {
      if (--depth === 0) return at === start ? 0 : at;
    } else if (point === "(") {
      depth++;
      // A group that captures would shift the numbers of all that follow.
      if (points[at + 1] !== "?") return 0;
    }
  }
  return 0;
}

export function tokenize(points: string[], lenient: boolean): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  const add = (type: TokenType, next: number, from: number, to: number): void => {
    tokens[tokens.length] = { type, index, value: between(points, from, to) };
    index = next;
  };
  const invalid = (next: number, from: number): void => {
    if (!lenient) throw badPattern(`there is something wrong at "${between(points, index, points.length)}"`);
    add("invalid", next, from, next);
  };
  while (index < points.length) {
    const next = index + 1;
    switch (points[index]) {
      case "*":
        add("asterisk", next, index, next);
        break;
      case "+": case "?":
        add("modifier", next, index, next);
        break;
      case "{":
        add("open", next, index, next);
        break;
      case "}":
        add("close", next, index, next);
        break;
      case "\\":
        if (next === points.length) invalid(next, index);
        else add("escaped", next + 1, next, next + 1);
        break;
      case ":": {
        let end = next;
        while (end < points.length && regExpExec(end === next ? NAME_START : NAME_PART, points[end]) !== null) end++;
        if (end === next) invalid(next, index);
        else add("name", end, next, end);
        break;
      }
      case "(": {
        const end = expressionEnd(points, next);
        if (end === 0) invalid(next, index);
        else add("regexp", end + 1, next, end);
        break;
      }
      default:
        add("char", next, index, next);
    }
  }
  add("end", index, index, index);
  return tokens;
}

// ---- parts ----

type PartType = "fixed" | "regexp" | "segment" | "full";

interface Part {
  type: PartType;
  value: string;
  /** `""`, `"?"`, `"*"` or `"+"` */
  modifier: string;
  name: string;
  prefix: string;
  suffix: string;
}

export interface Options {
  delimiter: string;
  prefix: string;
}

export const DEFAULT: Options = { delimiter: "", prefix: "" };
export const HOSTNAME: Options = { delimiter: ".", prefix: "" };
export const PATHNAME: Options = { delimiter: "/", prefix: "/" };

export type Encode = (value: string) => string;

const FULL_WILDCARD = ".*";

function segmentWildcard(options: Options): string {
  return `[^${escapeWith(options.delimiter, ".+*?^${}()[]|/\\")}]+?`;
}

function escapeWith(text: string, escaped: string): string {
  let out = "";
  for (let i = 0; i < text.length; i++) out += (stringIndexOf(escaped, text[i]) >= 0 ? "\\" : "") + text[i];
  return out;
}

export function escapePattern(text: string): string {
  return escapeWith(text, "+*?:{}()\\");
}

function escapeExpression(text: string): string {
  return escapeWith(text, ".+*?^${}()[]|/\\");
}

/** What is being read of a pattern string. */
class PartReader {
  tokens: Token[];
  encode: Encode;
  options: Options;
  parts: Part[] = [];
  pending = "";
  at = 0;
  nextNumber = 0;

  constructor(pattern: string, options: Options, encode: Encode) {
    this.tokens = tokenize(codePoints(pattern), false);
    this.encode = encode;
    this.options = options;
  }

  take(type: TokenType): Token | null {
    const token = this.tokens[this.at]!;
    if (token.type !== type) return null;
    this.at++;
    return token;
  }

  takeText(): string {
    let text = "";
    for (;;) {
      const token = this.take("char") ?? this.take("escaped");
      if (token === null) return text;
      text += token.value;
    }
  }

  takeModifier(): string {
    return (this.take("modifier") ?? this.take("asterisk"))?.value ?? "";
  }

  takeMatcher(name: Token | null): Token | null {
    return this.take("regexp") ?? (name === null ? this.take("asterisk") : null);
  }

  require(type: TokenType): void {
    if (this.take(type) === null) throw badPattern(`"${this.tokens[this.at]!.value}" is not expected where it stands`);
  }

  flush(): void {
    if (this.pending === "") return;
    const value = this.encode(this.pending);
    this.pending = "";
    this.push({ type: "fixed", value, modifier: "", name: "", prefix: "", suffix: "" });
  }

  push(part: Part): void {
    this.parts[this.parts.length] = part;
  }

  add(prefix: string, name: Token | null, matcher: Token | null, suffix: string, modifier: string): void {
    if (name === null && matcher === null) {
      if (modifier === "") {
        this.pending += prefix;
        return;
      }
      this.flush();
      if (prefix === "") return;
      return this.push({ type: "fixed", value: this.encode(prefix), modifier, name: "", prefix: "", suffix: "" });
    }
    this.flush();
    const segment = segmentWildcard(this.options);
    let value = matcher === null ? segment : matcher.type === "asterisk" ? FULL_WILDCARD : matcher.value;
    let type: PartType = "regexp";
    if (value === segment || value === FULL_WILDCARD) {
      type = value === segment ? "segment" : "full";
      value = "";
    }
    const called = name !== null ? name.value : numberToString(this.nextNumber++, 10);
    for (let i = 0; i < this.parts.length; i++) {
      if (this.parts[i]!.name === called) throw badPattern(`the name "${called}" is used twice`);
    }
    this.push({ type, value, modifier, name: called, prefix: this.encode(prefix), suffix: this.encode(suffix) });
  }

  read(): Part[] {
    while (this.at < this.tokens.length) this.step();
    return this.parts;
  }

  step(): void {
    const char = this.take("char");
    const name = this.take("name");
    const matcher = this.takeMatcher(name);
    if (name !== null || matcher !== null) {
      let prefix = char === null ? "" : char.value;
      if (prefix !== "" && prefix !== this.options.prefix) {
        this.pending += prefix;
        prefix = "";
      }
      this.flush();
      return this.add(prefix, name, matcher, "", this.takeModifier());
    }
    const fixed = char ?? this.take("escaped");
    if (fixed !== null) {
      this.pending += fixed.value;
      return;
    }
    if (this.take("open") === null) {
      this.flush();
      return this.require("end");
    }
    const prefix = this.takeText();
    const inner = this.take("name");
    const innerMatcher = this.takeMatcher(inner);
    const suffix = this.takeText();
    this.require("close");
    this.add(prefix, inner, innerMatcher, suffix, this.takeModifier());
  }
}

// ---- expressions and pattern strings ----

/** `[^]` with the flag `v` matches nothing in some engines. */
function segmentExpression(options: Options): string {
  return options.delimiter === "" ? "[\\s\\S]+?" : segmentWildcard(options);
}

function expressionOf(parts: Part[], options: Options, names: string[]): string {
  let out = "^";
  for (let i = 0; i < parts.length; i++) {
    const { type, value, modifier, name, prefix, suffix } = parts[i]!;
    if (type === "fixed") {
      out += modifier === "" ? escapeExpression(value) : `(?:${escapeExpression(value)})${modifier}`;
      continue;
    }
    names[names.length] = name;
    const inner = type === "segment" ? segmentExpression(options) : type === "full" ? FULL_WILDCARD : value;
    const before = escapeExpression(prefix);
    const after = escapeExpression(suffix);
    const repeats = modifier === "*" || modifier === "+";
    if (before === "" && after === "") out += repeats ? `((?:${inner})${modifier})` : `(${inner})${modifier}`;
    else if (!repeats) out += `(?:${before}(${inner})${after})${modifier}`;
    else {
      out += `(?:${before}((?:${inner})(?:${after}${before}(?:${inner}))*)${after})`;
      if (modifier === "*") out += "?";
    }
  }
  return out + "$";
}

function isDigit(point: string | undefined): boolean {
  return point !== undefined && point >= "0" && point <= "9";
}

function startsName(text: string): boolean {
  const first = codePoints(text)[0];
  return first !== undefined && regExpExec(NAME_PART, first) !== null;
}

function needsGrouping(part: Part, previous: Part | null, next: Part | null, options: Options): boolean {
  if (part.suffix !== "" || (part.prefix !== "" && part.prefix !== options.prefix)) return true;
  const named = !isDigit(part.name[0]);
  if (
    named && part.type === "segment" && part.modifier === "" && next !== null && next.prefix === "" &&
    next.suffix === "" && (next.type === "fixed" ? startsName(next.value) : isDigit(next.name[0]))
  ) return true;
  return part.prefix === "" && previous !== null && previous.type === "fixed" && options.prefix !== "" &&
    previous.value[previous.value.length - 1] === options.prefix;
}

function patternOf(parts: Part[], options: Options): string {
  let out = "";
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    const { type, modifier } = part;
    if (type === "fixed") {
      out += modifier === "" ? escapePattern(part.value) : `{${escapePattern(part.value)}}${modifier}`;
      continue;
    }
    const previous = i > 0 ? parts[i - 1]! : null;
    const grouped = needsGrouping(part, previous, i + 1 < parts.length ? parts[i + 1]! : null, options);
    const named = !isDigit(part.name[0]);
    if (grouped) out += "{";
    out += escapePattern(part.prefix);
    if (named) out += ":" + part.name;
    if (type === "regexp") out += `(${part.value})`;
    else if (type === "segment") out += named ? "" : `(${segmentWildcard(options)})`;
    else {
      const plain = !named && (previous === null || previous.type === "fixed" || previous.modifier !== "" || grouped ||
        part.prefix !== "");
      out += plain ? "*" : `(${FULL_WILDCARD})`;
    }
    if (type === "segment" && named && part.suffix !== "" && startsName(part.suffix)) out += "\\";
    out += escapePattern(part.suffix);
    if (grouped) out += "}";
    out += modifier;
  }
  return out;
}

export interface Component {
  pattern: string;
  expression: RegExp;
  names: string[];
  hasExpressions: boolean;
}

export function compile(pattern: string, encode: Encode, options: Options, ignoreCase: boolean): Component {
  const parts = new PartReader(pattern, options, encode).read();
  const names: string[] = [];
  const source = expressionOf(parts, options, names);
  let hasExpressions = false;
  for (let i = 0; i < parts.length; i++) hasExpressions ||= parts[i]!.type === "regexp";
  const expression = (hasExpressions ? compiled(source, "v", ignoreCase) : null) ?? compiled(source, "u", ignoreCase);
  if (expression === null) throw badPattern(`"${pattern}" holds an expression that is not valid`);
  return { pattern: patternOf(parts, options), expression, names, hasExpressions };
}

/**
 * The standard's flag is `v`. What it adds stands in classes that only a pattern's author can have written, and QuickJS
 * refuses with it some characters outside of classes that it must not: so `u` is tried as well.
 */
function compiled(source: string, flag: string, ignoreCase: boolean): RegExp | null {
  try {
    return new RegExp(source, ignoreCase ? flag + "i" : flag);
  } catch {
    return null;
  }
}
