/** `Intl.DateTimeFormat`: patterns of CLDR, by the fields that are asked for, and zones of the host. */
import { INTL_OFFSET, INTL_ZONE, call } from "../../native.ts";
import { Date, Map, Number, Object, RangeError, TypeError } from "../../primordials.ts";
import { data, intlClass, option, options, resolve, supported, whole } from "./locale.ts";
import { type Part, text } from "./numbers.ts";

const STYLES = ["full", "long", "medium", "short"];
const TEXTS = ["narrow", "short", "long"];
const NUMBERS = ["2-digit", "numeric"];
const FIELDS: Array<[string, string[]]> = [
  ["weekday", TEXTS], ["era", TEXTS], ["year", NUMBERS], ["month", [...NUMBERS, ...TEXTS]], ["day", NUMBERS],
  ["dayPeriod", TEXTS], ["hour", NUMBERS], ["minute", NUMBERS], ["second", NUMBERS],
];
const ZONE_NAMES = ["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"];
const DATE_FIELDS = ["weekday", "year", "month", "day"];
const TIME_FIELDS = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];

interface Settings {
  locale: string; timeZone: string; numberingSystem: string; hourCycle: string | undefined; pattern: string;
  dateStyle?: string | undefined; timeStyle?: string | undefined; fields: Record<string, any>;
}

// --- Zones -------------------------------------------------------------------------------------

interface Span { from: number; until: number; seconds: number; summer: boolean }
const spans = new Map<string, Span>();
const FIXED = /^([+-])(\d\d)(?::?(\d\d))?$/;

export function zoneName(given: unknown): string {
  const name = `${given}`;
  const fixed = FIXED.exec(name);
  if (fixed !== null && +fixed[2]! < 24 && +(fixed[3] ?? 0) < 60) {
    const found = `${fixed[1]}${fixed[2]}:${fixed[3] ?? "00"}`;
    return found === "-00:00" ? "+00:00" : found;
  }
  const found = call(INTL_ZONE, name);
  if (found === null) throw new RangeError(`Invalid time zone specified: ${name}`);
  return /^(?:Etc\/)?(?:UTC|UCT|Zulu|Universal|GMT0?|GMT[+-]0|Greenwich)$/.test(found) ? "UTC" : found;
}

function offset(zone: string, at: number): Span {
  const fixed = FIXED.exec(zone);
  if (fixed !== null) {
    const seconds = (+fixed[2]! * 60 + +fixed[3]!) * (fixed[1] === "-" ? -60 : 60);
    return { from: -Infinity, until: Infinity, seconds, summer: false };
  }
  let found = spans.get(zone);
  if (found === undefined || at < found.from || at >= found.until) {
    const [seconds, summer, from, until] = call(INTL_OFFSET, zone, at);
    found = { seconds, summer, from: from ?? -Infinity, until: until ?? Infinity };
    spans.set(zone, found);
  }
  return found;
}

function pad(value: number, width: number): string {
  return `${value}`.padStart(width, "0");
}

/** `GMT-5`, `GMT+05:30`: as the locale writes it. */
function fromGreenwich(locale: string, seconds: number, long: boolean): string {
  const names = data(locale, "zones");
  if (seconds === 0) return names.zero;
  const [east, west] = names.hour.split(";");
  const minutes = Math.floor(Math.abs(seconds) / 60);
  let written: string = seconds < 0 ? west : east;
  const hours = Math.floor(minutes / 60);
  if (!long && minutes % 60 === 0) written = written.replace(/[:.]?mm/, "");
  written = written.replace(/H+/, long ? pad(hours, 2) : `${hours}`).replace("mm", pad(minutes % 60, 2));
  return names.gmt.replace("{0}", written);
}

function metazone(zone: string, at: number): string | undefined {
  for (const entry of data("root", "zones").meta[zone] ?? []) {
    if (typeof entry === "string") return entry;
    if (at < Date.parse(`${entry[1].replace(" ", "T")}Z`)) return entry[0];
  }
  return undefined;
}

function nameOfZone(locale: string, zone: string, at: number, style: string): string {
  const { seconds, summer } = offset(zone, at);
  const long = style.startsWith("long");
  if (style.endsWith("Offset") || FIXED.test(zone)) return fromGreenwich(locale, seconds, long);
  const own = zone === "UTC" ? "Etc/UTC" : data("root", "zones").aliases[zone] ?? zone;
  const names = data(locale, "zones");
  const kind = style.endsWith("Generic") ? 0 : summer ? 2 : 1;
  const found = names.own[own]?.[long ? 0 : 1] || 0;
  if (found !== 0 && found[kind]) return found[kind];
  const shared = names.meta[metazone(own, at) ?? ""]?.[long ? 0 : 1] || 0;
  return (shared !== 0 && (shared[kind] || (kind === 0 && shared[1]))) || fromGreenwich(locale, seconds, long);
}

// --- Patterns ----------------------------------------------------------------------------------

/** The locale's own hours, by how it writes a short time. */
function usualHours(locale: string): string {
  const letter = /[hHKk]/.exec(data(locale, "dates").time[3].replace(/'[^']*'/g, ""))![0];
  return { h: "h12", H: "h23", K: "h11", k: "h24" }[letter]!;
}

const HOURS: Record<string, string> = { h11: "K", h12: "h", h23: "H", h24: "k" };

function dateKey(f: Record<string, any>): string {
  const month = { long: "MMMM", short: "MMM", narrow: "MMMMM" }[f.month as string] ?? (f.month ? "M" : "");
  return `${f.era ? "G" : ""}${f.year || f.era ? "y" : ""}${month}${f.weekday ? "E" : ""}${f.day ? "d" : ""}`;
}

/** The pattern for the fields of a date: the locale's, or that of a neighbour with other lengths. */
function datePattern(locale: string, f: Record<string, any>): string {
  const { formats } = data(locale, "dates");
  const key = dateKey(f);
  if (key === "") return "";
  // Words for days and months are of use alone, too.
  const alone: Record<string, string> = { E: "cccc", MMMM: "LLLL", MMM: "LLL", MMMMM: "LLLLL", M: "L", y: "y", d: "d" };
  const width = /M+/.exec(key)?.[0] ?? "";
  for (const other of [width, "MMMM", "MMM", "M"]) {
    const near = key.replace(/M+/, other);
    const found = (f.weekday === "long" ? formats[near.replace("E", "EEEE")] : undefined) ?? formats[near];
    if (found !== undefined && (other === width) >= (width === "M")) return found;
    if (width === "") break;
  }
  if (alone[key] !== undefined) return alone[key]!;
  // What no pattern has: the rest, with what is missing behind it.
  for (const field of ["weekday", "era", "day", "year"]) {
    if (!f[field]) continue;
    const rest = datePattern(locale, { ...f, [field]: undefined, ...(field === "year" ? { era: undefined } : {}) });
    const letter = { weekday: "E", era: "G", day: "d", year: "y" }[field]!;
    if (rest !== "") return field === "weekday" ? `${letter}, ${rest}` : `${rest} ${letter}`;
  }
  return key;
}

function timePattern(locale: string, f: Record<string, any>, cycle: string, symbols: any): string {
  const { formats, zone } = data(locale, "dates");
  const twelve = cycle === "h11" || cycle === "h12";
  const key = `${f.hour ? (twelve ? "h" : "H") : ""}${f.minute ? "m" : ""}${f.second ? "s" : ""}`;
  const joined = [...key].join(":").replace(/[ms](?!$)|(?<=:)[ms]/g, "$&$&") + (twelve && f.hour ? " a" : "");
  let found: string = formats[key] ?? (key.length === 1 && !f.hour ? key : joined);
  if (f.fractionalSecondDigits) {
    const fraction = "S".repeat(f.fractionalSecondDigits);
    found = f.second ? found.replace(/s+/, `$&'${symbols.decimal}'${fraction}`) : `${found}${fraction}`;
  }
  if (f.timeZoneName && found !== "") {
    const withZone: string | undefined = f.fractionalSecondDigits ? undefined : formats[`${key}v`];
    found = withZone ?? zone.replace("{0}", found).replace("{1}", "v");
  }
  return found.replace(/'[^']*'|[hHKk]/g, (token) => (token[0] === "'" ? token : HOURS[cycle]!));
}

/** Gives each letter of a pattern the length that was asked for. */
function lengths(pattern: string, f: Record<string, any>): string {
  const wordy = (style: string): number => ({ short: 3, long: 4, narrow: 5 })[style]!;
  return pattern.replace(/'[^']*'|([a-zA-Z])\1*/g, (token, letter: string | undefined) => {
    const to = (length: number): string => letter!.repeat(length);
    switch (letter) {
      case "G": return f.era ? to({ short: 1, long: 4, narrow: 5 }[f.era as string]!) : token;
      case "y": return f.year === "2-digit" ? "yy" : f.year ? "y" : token;
      case "M": case "L":
        if (TEXTS.includes(f.month)) return token.length >= 3 ? to(wordy(f.month)) : token;
        return f.month === "2-digit" && token.length < 3 ? to(2) : token;
      case "E": case "c": return f.weekday ? to(wordy(f.weekday)) : token;
      case "d": return f.day === "2-digit" ? "dd" : token;
      case "h": case "H": case "K": case "k": return f.hour === "2-digit" ? to(2) : token;
      default: return token;
    }
  });
}

function fieldPattern(locale: string, f: Record<string, any>, cycle: string): string {
  const dates = data(locale, "dates");
  const { symbols } = data(locale, "numbers");
  const time = timePattern(locale, f, cycle, symbols);
  const date = datePattern(locale, f);
  if (date === "" || time === "") {
    const only = date === "" ? time : date;
    return lengths(f.timeZoneName && time === "" ? joined(dates.at[3], only, "v") : only, f);
  }
  if (dateKey(f) === "E") return lengths(`E ${time}`, f);
  const width = f.month === "long" ? (f.weekday ? 0 : 1) : f.month === "short" ? 2 : 3;
  return lengths(joined(dates.at[width], date, time), f);
}

function joined(join: string, date: string, time: string): string {
  return join.replace(/\{([01])\}/g, (_, which) => (which === "0" ? time : date));
}

function stylePattern(s: Settings): string {
  const dates = data(s.locale, "dates");
  const date: string | undefined = s.dateStyle && dates.date[STYLES.indexOf(s.dateStyle)];
  let time: string | undefined = s.timeStyle && dates.time[STYLES.indexOf(s.timeStyle)];
  if (time !== undefined && s.hourCycle !== usualHours(s.locale)) {
    const zone = /z+/.exec(time)?.[0];
    const f = { hour: /HH/.test(time) ? "2-digit" : "numeric", minute: "2-digit", second: s.timeStyle === "short" ? undefined : "2-digit", timeZoneName: zone && "short" };
    time = lengths(timePattern(s.locale, f, s.hourCycle!, data(s.locale, "numbers").symbols), f).replace(/v+/, zone ?? "v");
  }
  if (!date || !time) return date || time || "";
  const width = STYLES.indexOf(s.dateStyle!);
  return joined(dates.at[width], date, time);
}

function settings(locales: unknown, given: unknown, required: string, defaults: string): Settings {
  const from = options(given);
  const { locale, words } = resolve(locales);
  const numbers = data(locale, "numbers");
  const systems = data("root", "digits");
  const system = option(from, "numberingSystem", undefined, words.nu);
  const hour12 = from.hour12;
  const asked = option(from, "hourCycle", ["h11", "h12", "h23", "h24"], words.hc);
  const timeZone = from.timeZone === undefined ? "UTC" : zoneName(from.timeZone);
  const fields: Record<string, any> = {};
  for (const [name, allowed] of FIELDS) fields[name] = option(from, name, allowed);
  fields.fractionalSecondDigits = whole(from, "fractionalSecondDigits", 1, 3);
  fields.timeZoneName = option(from, "timeZoneName", ZONE_NAMES);
  option(from, "formatMatcher", ["basic", "best fit"]);
  const dateStyle = option(from, "dateStyle", STYLES);
  const timeStyle = option(from, "timeStyle", STYLES);
  const explicit = Object.keys(fields).find((name) => fields[name] !== undefined);
  const usual = usualHours(locale);
  let cycle: string = hour12 === undefined ? (["h11", "h12", "h23", "h24"].includes(asked) ? asked : usual)
    : hour12 ? (usual === "h11" ? "h11" : "h12") : usual === "h12" || usual === "h24" ? "h24" : "h23";
  if (hour12 !== undefined && hour12 && locale.startsWith("ja")) cycle = "h12";
  const s: Settings = {
    locale, timeZone, numberingSystem: system !== undefined && systems[system] !== undefined ? system : numbers.system,
    hourCycle: undefined, pattern: "", dateStyle, timeStyle, fields,
  };
  if (dateStyle !== undefined || timeStyle !== undefined) {
    if (explicit !== undefined) throw new TypeError(`Can't set option ${explicit} when ${dateStyle ? "dateStyle" : "timeStyle"} is used`);
    if (required === "date" && timeStyle !== undefined) throw new TypeError("Invalid option : timeStyle");
    if (required === "time" && dateStyle !== undefined) throw new TypeError("Invalid option : dateStyle");
    if (timeStyle !== undefined) s.hourCycle = cycle;
    s.pattern = stylePattern(s);
    return s;
  }
  const has = (names: string[]): boolean => names.some((name) => fields[name] !== undefined);
  const needs = !((required !== "time" && has(DATE_FIELDS)) || (required !== "date" && has(TIME_FIELDS)));
  if (needs && defaults !== "time") fields.year = fields.month = fields.day = "numeric";
  if (needs && defaults !== "date") fields.hour = fields.minute = fields.second = "numeric";
  if (fields.hour !== undefined) s.hourCycle = cycle;
  s.pattern = fieldPattern(locale, fields, cycle);
  return s;
}

// --- Formatting --------------------------------------------------------------------------------

/** Days and months of the proleptic Gregorian calendar at a place. */
function fieldsAt(zone: string, at: number): any {
  const shifted = at + offset(zone, at).seconds * 1000;
  // The first and the last day of what a Date can hold lie beyond it elsewhere: the same day, 400 years nearer.
  const beyond = Math.abs(shifted) > 8.64e15 ? Math.sign(shifted) : 0;
  const local = new Date(shifted - beyond * 146_097 * 86_400_000);
  return {
    year: local.getUTCFullYear() + beyond * 400, month: local.getUTCMonth(), day: local.getUTCDate(), weekday: local.getUTCDay(),
    hour: local.getUTCHours(), minute: local.getUTCMinutes(), second: local.getUTCSeconds(), fraction: local.getUTCMilliseconds(),
  };
}

const WORD_WIDTHS = [1, 1, 1, 1, 0, 2];

function fieldPart(s: Settings, letter: string, width: number, of: any, at: number): Part {
  const dates = data(s.locale, "dates");
  const word = WORD_WIDTHS[Math.min(width, 5)]!;
  const number = (value: number): string => {
    const digits = width > 1 ? pad(value, width) : `${value}`;
    if (s.numberingSystem === "latn") return digits;
    const system = [...(data("root", "digits")[s.numberingSystem] as string)];
    return digits.replace(/\d/g, (digit) => system[+digit]!);
  };
  switch (letter) {
    case "G": return { type: "era", value: dates.eras[width === 4 ? 0 : width === 5 ? 2 : 1][of.year > 0 ? 1 : 0] };
    case "y": {
      const year = of.year > 0 ? of.year : 1 - of.year;
      return { type: "year", value: number(width === 2 ? year % 100 : year) };
    }
    case "M": return { type: "month", value: width < 3 ? number(of.month + 1) : dates.months[word][of.month] };
    case "L": return { type: "month", value: width < 3 ? number(of.month + 1) : dates.monthsAlone[word][of.month] };
    case "E": return { type: "weekday", value: dates.days[word][of.weekday] };
    case "c": return { type: "weekday", value: dates.daysAlone[word][of.weekday] };
    case "d": return { type: "day", value: number(of.day) };
    case "a": return { type: "dayPeriod", value: dates.periods[width === 5 ? 2 : 1][of.hour < 12 ? "am" : "pm"].replaceAll("\u202f", " ") };
    case "h": return { type: "hour", value: number(of.hour % 12 || 12) };
    case "K": return { type: "hour", value: number(of.hour % 12) };
    case "H": return { type: "hour", value: number(of.hour) };
    case "k": return { type: "hour", value: number(of.hour || 24) };
    case "m": return { type: "minute", value: number(of.minute) };
    case "s": return { type: "second", value: number(of.second) };
    case "S": return { type: "fractionalSecond", value: number(Math.floor(of.fraction / 10 ** (3 - width))) };
    default: {
      const style = s.fields.timeZoneName ?? (width === 4 ? "long" : "short");
      return { type: "timeZoneName", value: nameOfZone(s.locale, s.timeZone, at, style) };
    }
  }
}

function parts(s: Settings, value: unknown): Part[] {
  const at = value === undefined ? Date.now() : Number(value);
  if (!(Math.abs(at) <= 8.64e15)) throw new RangeError("Invalid time value");
  const of = fieldsAt(s.timeZone, Math.trunc(at));
  const found: Part[] = [];
  for (const token of s.pattern.match(/'(?:[^']|'')*'|([a-zA-Z])\1*|[^a-zA-Z']+/g) ?? []) {
    const last = found[found.length - 1];
    if (/^[a-zA-Z]/.test(token)) found[found.length] = fieldPart(s, token[0]!, token.length, of, at);
    else {
      const literal = token === "''" ? "'" : token[0] === "'" ? token.slice(1, -1).replace(/''/g, "'") : token;
      // V8 writes an ordinary space where CLDR has a narrow one, which parsers of dates don't expect.
      const value = literal.replaceAll("\u202f", " ");
      if (last?.type === "literal") last.value += value;
      else found[found.length] = { type: "literal", value };
    }
  }
  return found;
}

export class DateTimeFormat {
  #settings: Settings;
  #bound: ((date?: unknown) => string) | undefined;

  constructor(locales?: unknown, given?: unknown) {
    this.#settings = settings(locales, given, "any", "date");
  }

  /** What `toLocaleString` and its siblings say. */
  static once(date: unknown, locales: unknown, given: unknown, required: string, defaults: string): string {
    return text(parts(settings(locales, given, required, defaults), date));
  }

  get format(): (date?: unknown) => string {
    return (this.#bound ??= (date) => text(parts(this.#settings, date)));
  }

  formatToParts(date?: unknown): Part[] { return parts(this.#settings, date); }

  formatRange(start: unknown, end: unknown): string { return text(this.formatRangeToParts(start, end)); }

  formatRangeToParts(start: unknown, end: unknown): Part[] {
    if (start === undefined || end === undefined) throw new TypeError("startDate or endDate cannot be undefined");
    const [from, to] = [parts(this.#settings, start), parts(this.#settings, end)];
    const sourced = (list: Part[], source: string): Part[] => list.map((part) => ({ ...part, source }));
    if (text(from) === text(to)) return sourced(from, "shared");
    const between: string = data(this.#settings.locale, "dates").range;
    const literal = { type: "literal", value: between.replace("{0}", "").replace("{1}", ""), source: "shared" };
    return [...sourced(from, "startRange"), literal, ...sourced(to, "endRange")];
  }

  resolvedOptions(): object {
    const s = this.#settings;
    const found: any = { locale: s.locale, calendar: "gregory", numberingSystem: s.numberingSystem, timeZone: s.timeZone };
    if (s.hourCycle !== undefined) Object.assign(found, { hourCycle: s.hourCycle, hour12: s.hourCycle < "h2" });
    if (s.dateStyle !== undefined) found.dateStyle = s.dateStyle;
    if (s.timeStyle !== undefined) found.timeStyle = s.timeStyle;
    const letters: Record<string, RegExp> = { hour: /([hHKk])\1*/, minute: /m+/, second: /s+/, day: /d+/, month: /[ML]+/ };
    for (const name of [...FIELDS.map(([name]) => name), "fractionalSecondDigits", "timeZoneName"]) {
      const value = s.fields[name];
      if (value === undefined) continue;
      const shown = letters[name]?.exec(s.pattern)?.[0].length ?? 0;
      found[name] = NUMBERS.includes(value) && shown === 2 ? "2-digit" : value;
    }
    return found;
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(DateTimeFormat, "Intl.DateTimeFormat");
