/**
 * Tags of locales, which of them there is data for, and that data. A section is asked for when it is first used, and
 * kept with the instance (or with the image, if that was while the script was evaluated).
 */
import { INTL_DATA, INTL_TAGS, call } from "../../native.ts";
import { Array, Map, Number, Object, RangeError, Set, Symbol, TypeError, defineProperty, jsonParse } from "../../primordials.ts";

const LANGUAGE = /^(?:[a-z]{2,3}|[a-z]{5,8})$/;
const TAG = /^(?:[a-z]{2,3}|[a-z]{5,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|\d{3}))?(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?$/;
const OLD: Record<string, string> = { iw: "he", in: "id", ji: "yi", jw: "jv", mo: "ro", sh: "sr-Latn", tl: "fil" };
export const DEFAULT = "en-US";

/** What `Object.prototype.toString` says of one. */
export function intlClass(ctor: { prototype: object }, tag: string): void {
  defineProperty(ctor.prototype, Symbol.toStringTag, { value: tag, configurable: true });
}

const sections = new Map<string, any>();

/** A section of a locale's data; of `root`, what all share. */
export function data(tag: string, section: string): any {
  const key = `${tag} ${section}`;
  let found = sections.get(key);
  if (found === undefined) {
    const text = call(INTL_DATA, tag, section);
    found = text === null ? null : jsonParse(text);
    sections.set(key, found);
  }
  return found;
}

let known: Set<string> | undefined;
export const tags = (): Set<string> => (known ??= new Set((call(INTL_TAGS) as string).split(" ")));

/** The tag with the case that its parts have by convention. */
export function canonical(tag: string): string {
  const lower = tag.toLowerCase();
  if (!TAG.test(lower)) throw new RangeError(`Incorrect locale information provided`);
  const parts = lower.split("-");
  let extension = false;
  for (let at = 1; at < parts.length; at++) {
    const part = parts[at]!;
    if (part.length === 1) extension = true;
    if (extension) continue;
    if (part.length === 2) parts[at] = part.toUpperCase();
    if (part.length === 4 && part > "9") parts[at] = part[0]!.toUpperCase() + part.slice(1);
  }
  const language = parts[0]!;
  if (OLD[language] !== undefined) parts[0] = OLD[language]!;
  const text = parts.join("-");
  return text.replace(/-u((?:-[a-z0-9]{2,8})+)/, (whole, words: string) => words.includes("-true") ? whole.replace(/-true(?=-|$)/g, "") : whole);
}

export function canonicalList(locales: unknown): string[] {
  if (locales === undefined) return [];
  if (locales === null) throw new TypeError("Cannot convert undefined or null to object");
  const list: unknown[] = typeof locales === "string" || locales instanceof Locale ? [locales] : Array.from(locales as any);
  const found: string[] = [];
  for (const item of list) {
    if (typeof item !== "string" && (typeof item !== "object" || item === null)) {
      throw new TypeError("Language ID should be string or object.");
    }
    const tag = canonical(`${item}`);
    if (!found.includes(tag)) found[found.length] = tag;
  }
  return found;
}

/** The tag without extensions, and the words of its `-u-`. */
export function parts(tag: string): { base: string; words: Record<string, string> } {
  const words: Record<string, string> = {};
  const base = tag.replace(/-[a-z0-9](-.*)?$/, "");
  const unicode = /-u((?:-[a-z0-9]{2,8})+)/.exec(tag);
  let key = "";
  for (const word of unicode === null ? [] : unicode[1]!.slice(1).split("-")) {
    if (word.length === 2) words[key = word] = "";
    else if (key !== "") words[key] += (words[key] ? "-" : "") + word;
  }
  return { base, words };
}

function available(base: string): string | undefined {
  for (let tag = base; tag !== ""; tag = tag.slice(0, Math.max(0, tag.lastIndexOf("-")))) {
    if (tags().has(tag)) return tag;
  }
  return undefined;
}

/** The first of the locales that there is data for, or the default. */
export function resolve(locales: unknown): { locale: string; words: Record<string, string> } {
  for (const tag of canonicalList(locales)) {
    const { base, words } = parts(tag);
    const found = available(base);
    if (found !== undefined) return { locale: found, words };
  }
  return { locale: DEFAULT, words: {} };
}

export function supported(locales: unknown): string[] {
  return canonicalList(locales).filter((tag) => available(parts(tag).base) !== undefined);
}

export function options(value: unknown): any {
  if (value === undefined) return {};
  if (value === null) throw new TypeError("Cannot convert undefined or null to object");
  return Object(value);
}

/** An option of a few words, as ECMA-402's GetOption reads it. */
export function option(from: any, name: string, allowed: string[] | undefined, fallback?: any): any {
  const value = from[name];
  if (value === undefined) return fallback;
  const text = `${value}`;
  if (allowed !== undefined && !allowed.includes(text)) {
    throw new RangeError(`Value ${text} out of range for Intl options property ${name}`);
  }
  return text;
}

export function whole(from: any, name: string, least: number, most: number, fallback?: number): number | undefined {
  const value = from[name];
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!(number >= least && number <= most)) throw new RangeError(`${name} value is out of range.`);
  return Math.floor(number);
}

function likely(tag: string): string {
  const subtags = data("root", "likely");
  const [language, ...rest] = tag.split("-");
  const script = rest.find((part) => part.length === 4);
  const region = rest.find((part) => part.length === 2 || part.length === 3);
  const found = (script && region && subtags[`${language}-${script}-${region}`]) || (region && subtags[`${language}-${region}`]) ||
    (script && subtags[`${language}-${script}`]) || subtags[language!];
  if (found === undefined) return tag;
  const [full, itsScript, itsRegion] = found.split("-");
  return [language === "und" ? full : language, script ?? itsScript, region ?? itsRegion].join("-");
}

export class Locale {
  #tag: string;
  #base: string;
  #words: Record<string, string>;

  constructor(tag: unknown, given?: unknown) {
    if (typeof tag !== "string" && (typeof tag !== "object" || tag === null)) {
      throw new TypeError("First argument to Intl.Locale constructor can't be empty or missing");
    }
    const from = options(given);
    let { base, words } = parts(canonical(`${tag}`));
    let [language, ...rest] = base.split("-");
    let script = rest.find((part) => part.length === 4 && !/^\d/.test(part));
    let region = rest.find((part) => part.length === 2 || /^\d{3}$/.test(part));
    const variants = rest.filter((part) => part !== script && part !== region);
    language = option(from, "language", undefined, language) as string;
    script = option(from, "script", undefined, script);
    region = option(from, "region", undefined, region);
    if (!LANGUAGE.test(language.toLowerCase())) throw new RangeError("Incorrect locale information provided");
    base = canonical([language, script, region, ...variants].filter((part) => part !== undefined).join("-"));
    for (const [name, key] of [["calendar", "ca"], ["collation", "co"], ["hourCycle", "hc"], ["caseFirst", "kf"], ["numberingSystem", "nu"]]) {
      const value = option(from, name!, undefined);
      if (value !== undefined) words[key!] = value;
    }
    if (from.numeric !== undefined) words.kn = from.numeric ? "" : "false";
    const listed = Object.keys(words).sort().map((key) => (words[key] ? `${key}-${words[key]}` : key));
    this.#base = base;
    this.#words = words;
    this.#tag = listed.length === 0 ? base : `${base}-u-${listed.join("-")}`;
  }

  get baseName(): string { return this.#base; }
  get language(): string { return this.#base.split("-")[0]!; }
  get script(): string | undefined { return /-([A-Z][a-z]{3})(?:-|$)/.exec(this.#base)?.[1]; }
  get region(): string | undefined { return /-([A-Z]{2}|\d{3})(?:-|$)/.exec(this.#base)?.[1]; }
  get calendar(): string | undefined { return this.#words.ca; }
  get collation(): string | undefined { return this.#words.co; }
  get hourCycle(): string | undefined { return this.#words.hc; }
  get caseFirst(): string | undefined { return this.#words.kf; }
  get numberingSystem(): string | undefined { return this.#words.nu; }
  get numeric(): boolean { return this.#words.kn === "" || this.#words.kn === "true"; }

  maximize(): Locale { return new Locale(this.#tag.replace(this.#base, likely(this.#base))); }

  minimize(): Locale {
    const [language, script, region] = likely(this.#base).split("-");
    const short = [language!, `${language}-${region}`, `${language}-${script}`].find((tag) => likely(tag) === `${language}-${script}-${region}`);
    return new Locale(this.#tag.replace(this.#base, short ?? this.#base));
  }

  get weekInfo(): object { return this.getWeekInfo(); }

  getWeekInfo(): object {
    const { firstDay, weekendStart, weekendEnd, minDays } = data("root", "weeks");
    const region = this.region ?? likely(this.#base).split("-")[2] ?? "001";
    const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    const of = (table: any) => table[region] ?? table["001"];
    const [start, end] = [days.indexOf(of(weekendStart)) + 1, days.indexOf(of(weekendEnd)) + 1];
    const weekend: number[] = [];
    for (let day = start; ; day = (day % 7) + 1) {
      weekend[weekend.length] = day;
      if (day === end) break;
    }
    return { firstDay: days.indexOf(of(firstDay)) + 1, weekend: weekend.sort((a, b) => a - b), minimalDays: +of(minDays) };
  }

  getTextInfo(): object { return { direction: ["ar", "he", "fa", "ur"].includes(this.language) ? "rtl" : "ltr" }; }
  get textInfo(): object { return this.getTextInfo(); }
  toString(): string { return this.#tag; }
}
intlClass(Locale, "Intl.Locale");
