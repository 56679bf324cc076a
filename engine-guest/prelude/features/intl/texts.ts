/** The classes of `Intl` that put words together, and those that look at text: lists, relative times, names, order, parts. */
import { INTL_COMPARE, INTL_SEGMENTS, call } from "../../native.ts";
import { Number, Object, RangeError, String, Symbol, TypeError } from "../../primordials.ts";
import { canonical, data, intlClass, option, options, resolve, supported } from "./locale.ts";
import { NumberFormat, type Part, text } from "./numbers.ts";
import { PluralRules } from "./plurals.ts";

const STYLES = ["long", "short", "narrow"];

export class ListFormat {
  #locale: string;
  #type: string;
  #style: string;

  constructor(locales?: unknown, given?: unknown) {
    const from = options(given);
    this.#locale = resolve(locales).locale;
    this.#type = option(from, "type", ["conjunction", "disjunction", "unit"], "conjunction");
    this.#style = option(from, "style", STYLES, "long");
  }

  formatToParts(items: Iterable<unknown> = []): Part[] {
    const elements: Part[] = [];
    for (const item of items) {
      if (typeof item !== "string") throw new TypeError("Iterable yielded a value which is not a string");
      elements[elements.length] = { type: "element", value: item };
    }
    const kind = { conjunction: "standard", disjunction: "or", unit: "unit" }[this.#type]!;
    const all = data(this.#locale, "lists");
    const [two, start, middle, end] = all[this.#style === "long" ? kind : `${kind}-${this.#style}`] ?? all[kind];
    let found: Part[] = elements.slice(-1);
    const count = elements.length;
    for (let at = count - 2; at >= 0; at--) {
      const pattern = count === 2 ? two : at === count - 2 ? end : at === 0 ? start : middle;
      const [before, between, after] = pattern.split(/\{[01]\}/);
      const pieces: Part[] = [{ type: "literal", value: before }, elements[at]!, { type: "literal", value: between }, ...found, { type: "literal", value: after }];
      found = pieces.filter((piece) => piece.type !== "literal" || piece.value !== "");
    }
    return found;
  }

  format(items?: Iterable<unknown>): string { return text(this.formatToParts(items)); }
  resolvedOptions(): object { return { locale: this.#locale, type: this.#type, style: this.#style }; }
  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(ListFormat, "Intl.ListFormat");

const UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

export class RelativeTimeFormat {
  #locale: string;
  #style: string;
  #numeric: string;
  #numbers: NumberFormat;
  #plurals: PluralRules;

  constructor(locales?: unknown, given?: unknown) {
    const from = options(given);
    this.#locale = resolve(locales).locale;
    this.#style = option(from, "style", STYLES, "long");
    this.#numeric = option(from, "numeric", ["always", "auto"], "always");
    this.#numbers = new NumberFormat(locales);
    this.#plurals = new PluralRules(locales);
  }

  formatToParts(value: unknown, unit: unknown): Part[] {
    const amount = Number(value);
    const name = `${unit}`.replace(/s$/, "");
    if (!UNITS.includes(name)) throw new RangeError(`Invalid unit argument for format() '${unit}'`);
    if (!Number.isFinite(amount)) throw new RangeError("The finite number is required");
    const [future, past, named] = data(this.#locale, "relative")[name][STYLES.indexOf(this.#style)];
    const back = amount < 0 || Object.is(amount, -0);
    const word = named[Object.is(amount, -0) ? "0" : `${amount}`];
    if (this.#numeric === "auto" && word !== undefined) return [{ type: "literal", value: word }];
    const patterns = back ? past : future;
    const size = Math.abs(amount);
    const pattern: string = patterns[this.#plurals.select(size)] ?? patterns.other;
    const [before, after] = pattern.split("{0}");
    const number = this.#numbers.formatToParts(size).map((part) => ({ ...part, unit: name }));
    const pieces: Part[] = [{ type: "literal", value: before! }, ...number, { type: "literal", value: after ?? "" }];
    return pieces.filter((part) => part.value !== "");
  }

  format(value: unknown, unit: unknown): string { return text(this.formatToParts(value, unit)); }

  resolvedOptions(): object {
    const { numberingSystem } = this.#numbers.resolvedOptions() as any;
    return { locale: this.#locale, style: this.#style, numeric: this.#numeric, numberingSystem };
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(RelativeTimeFormat, "Intl.RelativeTimeFormat");

export class DisplayNames {
  #locale: string;
  #type: string;
  #style: string;
  #fallback: string;

  constructor(locales: unknown, given: unknown) {
    if (given === undefined) throw new TypeError("Cannot convert undefined or null to object");
    const from = options(given);
    this.#locale = resolve(locales).locale;
    this.#style = option(from, "style", STYLES, "long");
    this.#type = option(from, "type", ["language", "region", "script", "currency"]);
    if (this.#type === undefined) throw new TypeError("Required option \"type\" must not be undefined");
    this.#fallback = option(from, "fallback", ["code", "none"], "code");
  }

  of(code: unknown): string | undefined {
    const names = data(this.#locale, "names");
    let key = `${code}`;
    const shapes: Record<string, RegExp> = { region: /^([a-z]{2}|\d{3})$/i, script: /^[a-z]{4}$/i, currency: /^[a-z]{3}$/i };
    if (shapes[this.#type]?.test(key) === false) throw new RangeError("Invalid argument to Intl.DisplayNames.prototype.of");
    if (this.#type === "language") key = canonical(key);
    else key = this.#type === "script" ? key[0]!.toUpperCase() + key.slice(1).toLowerCase() : key.toUpperCase();
    const found = names[this.#type][key];
    if (found !== undefined) return typeof found === "string" ? found : found[0];
    const [language, ...rest] = key.split("-");
    if (this.#type === "language" && rest.length > 0 && names.language[language!] !== undefined) {
      const details = rest.map((part) => names.region[part] ?? names.script[part] ?? part).join(", ");
      return names.pattern.replace("{0}", names.language[language!]).replace("{1}", details);
    }
    return this.#fallback === "code" ? key : undefined;
  }

  resolvedOptions(): object {
    const found: any = { locale: this.#locale, style: this.#style, type: this.#type, fallback: this.#fallback };
    if (this.#type === "language") found.languageDisplay = "dialect";
    return found;
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(DisplayNames, "Intl.DisplayNames");

export class Collator {
  #locale: string;
  #usage: string;
  #sensitivity: string;
  #numeric: boolean;
  #caseFirst: string;
  #ignores: boolean;
  #bound: ((a: unknown, b: unknown) => number) | undefined;

  constructor(locales?: unknown, given?: unknown) {
    const from = options(given);
    const { locale, words } = resolve(locales);
    this.#locale = locale;
    this.#usage = option(from, "usage", ["sort", "search"], "sort");
    this.#sensitivity = option(from, "sensitivity", ["base", "accent", "case", "variant"], "variant");
    this.#numeric = from.numeric === undefined ? words.kn === "" || words.kn === "true" : Boolean(from.numeric);
    this.#caseFirst = option(from, "caseFirst", ["upper", "lower", "false"], words.kf ?? "false");
    this.#ignores = Boolean(from.ignorePunctuation);
  }

  get compare(): (a: unknown, b: unknown) => number {
    return (this.#bound ??= (a, b) => {
      const [left, right] = [`${a}`, `${b}`];
      if (left === right) return 0;
      return call(INTL_COMPARE, this.#locale, this.#sensitivity, this.#numeric, this.#caseFirst, this.#ignores, left, right);
    });
  }

  resolvedOptions(): object {
    return {
      locale: this.#locale, usage: this.#usage, sensitivity: this.#sensitivity, ignorePunctuation: this.#ignores,
      collation: "default", numeric: this.#numeric, caseFirst: this.#caseFirst,
    };
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(Collator, "Intl.Collator");

interface Segment { segment: string; index: number; input: string; isWordLike?: boolean }

class Segments {
  #input: string;
  #words: boolean;
  #lengths: Uint32Array;

  constructor(input: string, granularity: string) {
    this.#input = input;
    this.#words = granularity === "word";
    const bytes = call(INTL_SEGMENTS, granularity, input);
    this.#lengths = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  }

  containing(at: unknown = 0): Segment | undefined {
    const place = Math.trunc(Number(at)) || 0;
    if (place < 0 || place >= this.#input.length) return undefined;
    for (const segment of this as unknown as Iterable<Segment>) {
      if (place < segment.index + segment.segment.length) return segment;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<Segment> {
    let index = 0;
    for (let at = 0; at < this.#lengths.length; at++) {
      const length = this.#lengths[at]! & 0x7fffffff;
      const found: Segment = { segment: this.#input.slice(index, index + length), index, input: this.#input };
      if (this.#words) found.isWordLike = this.#lengths[at]! > 0x7fffffff;
      yield found;
      index += length;
    }
  }
}

export class Segmenter {
  #locale: string;
  #granularity: string;

  constructor(locales?: unknown, given?: unknown) {
    this.#locale = resolve(locales).locale;
    this.#granularity = option(options(given), "granularity", ["grapheme", "word", "sentence"], "grapheme");
  }

  segment(input: unknown): Segments { return new Segments(String(input), this.#granularity); }
  resolvedOptions(): object { return { locale: this.#locale, granularity: this.#granularity }; }
  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(Segmenter, "Intl.Segmenter");
