/** `Intl.NumberFormat`: the patterns and symbols of CLDR around digits. */
import { Number, Object, RangeError, TypeError } from "../../primordials.ts";
import { type Digits, digitOptions, magnitude, plain, roundedText, shifted } from "./digits.ts";
import { data, intlClass, option, options, resolve, supported } from "./locale.ts";
import { category } from "./plurals.ts";

export interface Part { type: string; value: string; unit?: string; source?: string }

interface Settings {
  locale: string; numberingSystem: string; style: string; currency?: string | undefined; currencyDisplay: string;
  currencySign: string; unit?: string | undefined; unitDisplay: string; notation: string; compactDisplay: string;
  useGrouping: string | false; signDisplay: string; digits: Digits;
}

const UNIT = /^[a-z]+(-[a-z]+)*$/;

function settings(locales: unknown, given: unknown): Settings {
  const from = options(given);
  const { locale, words } = resolve(locales);
  const numbers = data(locale, "numbers");
  const systems = data("root", "digits");
  const asked = option(from, "numberingSystem", undefined, words.nu);
  const numberingSystem = asked !== undefined && systems[asked] !== undefined ? asked : numbers.system;
  const style = option(from, "style", ["decimal", "percent", "currency", "unit"], "decimal");
  const currency = option(from, "currency", undefined)?.toUpperCase();
  if (currency !== undefined && !/^[A-Z]{3}$/.test(currency)) throw new RangeError(`Invalid currency code : ${from.currency}`);
  if (style === "currency" && currency === undefined) throw new TypeError("Currency code is required with currency style.");
  const currencyDisplay = option(from, "currencyDisplay", ["code", "symbol", "narrowSymbol", "name"], "symbol");
  const currencySign = option(from, "currencySign", ["standard", "accounting"], "standard");
  const unit = option(from, "unit", undefined);
  if (unit !== undefined && !(UNIT.test(unit) && isUnit(locale, unit))) throw new RangeError(`Invalid unit argument for Intl.NumberFormat() '${unit}'`);
  if (style === "unit" && unit === undefined) throw new TypeError("Unit is required with unit style.");
  const unitDisplay = option(from, "unitDisplay", ["short", "narrow", "long"], "short");
  const notation = option(from, "notation", ["standard", "scientific", "engineering", "compact"], "standard");
  const places = style === "currency" ? data("root", "currencies").digits[currency!] ?? 2 : 0;
  const least = style === "currency" && notation === "standard" ? places : 0;
  const most = style === "currency" ? (notation === "standard" ? places : 0) : style === "percent" ? 0 : 3;
  const digits = digitOptions(from, least, most, notation === "compact");
  const compactDisplay = option(from, "compactDisplay", ["short", "long"], "short");
  const grouping = from.useGrouping;
  const usual = notation === "compact" ? "min2" : "auto";
  const useGrouping = grouping === undefined ? usual : grouping === false ? false : grouping === true ? "always"
    : grouping === "true" || grouping === "false" ? usual
    : option(from, "useGrouping", ["min2", "auto", "always"], usual);
  const signDisplay = option(from, "signDisplay", ["auto", "never", "always", "exceptZero", "negative"], "auto");
  return {
    locale, numberingSystem, style, currency, currencyDisplay, currencySign, unit, unitDisplay, notation, compactDisplay,
    useGrouping, signDisplay, digits,
  };
}

function isUnit(locale: string, unit: string): boolean {
  const all = data(locale, "units")[0];
  const [top, below] = unit.split("-per-");
  return all[unit] !== undefined || (below !== undefined && all[top!] !== undefined && all[below] !== undefined);
}

/** What a script may give: numbers, and texts of numbers without loss. */
function numeric(value: unknown): string {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "string" && /^\s*-?\d+(\.\d+)?\s*$/.test(value)) return value.trim();
  return plain(Number(value));
}

/** Digits with separators, in the digits of the system. */
function digitParts(s: Settings, text: string, pattern: string, numbers: any): Part[] {
  if (text === "NaN") return [{ type: "nan", value: numbers.symbols.nan }];
  if (text === "Infinity") return [{ type: "infinity", value: numbers.symbols.infinity }];
  const [before, after] = text.split(".");
  const shape = /[#0,]+/.exec(pattern.replace(/'[^']*'/g, ""))?.[0] ?? "#,##0";
  const groups = shape.split(",");
  const first = groups.length > 1 ? groups[groups.length - 1]!.length : 0;
  const others = groups.length > 2 ? groups[groups.length - 2]!.length : first;
  const minimum = s.useGrouping === "always" ? 1 : s.useGrouping === "min2" ? 2 : numbers.minimum;
  const system = [...(data("root", "digits")[s.numberingSystem] as string)];
  const shown = (digits: string): string => s.numberingSystem === "latn" ? digits : digits.replace(/\d/g, (digit) => system[+digit]!);
  const found: Part[] = [];
  if (s.useGrouping !== false && first > 0 && before!.length >= first + minimum) {
    let end = before!.length - first;
    const pieces = [before!.slice(end)];
    for (; end > others; end -= others) pieces.unshift(before!.slice(end - others, end));
    pieces.unshift(before!.slice(0, end));
    const group = s.style === "currency" && numbers.symbols.currencyGroup || numbers.symbols.group;
    pieces.forEach((piece, at) => {
      if (at > 0) found[found.length] = { type: "group", value: group };
      found[found.length] = { type: "integer", value: shown(piece) };
    });
  } else {
    found[0] = { type: "integer", value: shown(before!) };
  }
  if (after !== undefined) {
    const decimal = s.style === "currency" && numbers.symbols.currencyDecimal || numbers.symbols.decimal;
    found.push({ type: "decimal", value: decimal }, { type: "fraction", value: shown(after) });
  }
  return found;
}

function symbol(s: Settings, numbers: any): string {
  if (s.currencyDisplay === "code") return s.currency!;
  const it = numbers.currencies[s.currency!] ?? s.currency!;
  return typeof it === "string" ? it : it[s.currencyDisplay === "narrowSymbol" ? 1 : 0];
}

/** Puts parts in the place of what a pattern says: the number, the sign, the symbols. */
function fill(pattern: string, sign: string, number: Part[], s: Settings, numbers: any, word: string | undefined): Part[] {
  const found: Part[] = [];
  const literal = (value: string, type = "literal"): void => {
    const last = found[found.length - 1];
    if (last !== undefined && last.type === type) last.value += value;
    else found[found.length] = { type, value };
  };
  const tokens = pattern.match(/'[^']*'|[#0,.]+(?:E0)?|[¤%+\-]|\s+|[^'#0,.¤%+\-\s]+/g) ?? [];
  for (const token of tokens) {
    if (/^[#0]/.test(token)) found.push(...number);
    else if (token === "¤") literal(symbol(s, numbers), "currency");
    else if (token === "%") literal(numbers.symbols.percentSign, "percentSign");
    else if (token === "-") literal(sign === "+" ? numbers.symbols.plusSign : numbers.symbols.minusSign, sign === "+" ? "plusSign" : "minusSign");
    else {
      const text = token[0] === "'" ? token.slice(1, -1) || "'" : token;
      literal(text, /\S/.test(text) && word !== undefined ? word : "literal");
    }
  }
  return found;
}

function signOf(s: Settings, negative: boolean, zero: boolean): string {
  switch (s.signDisplay) {
    case "never": return "";
    case "always": return negative ? "-" : "+";
    case "exceptZero": return zero ? "" : negative ? "-" : "+";
    case "negative": return negative && !zero ? "-" : "";
    default: return negative ? "-" : "";
  }
}

function signed(pattern: string, sign: string): string {
  const [positive, negative] = pattern.split(";");
  if (sign === "") return positive!;
  if (negative !== undefined && sign === "-") return negative;
  return `-${positive}`;
}

/** The pattern of a compact number, how far its point moves, and its plural's exponent. */
function compact(s: Settings, text: string, numbers: any): { pattern?: string; text: string; exponent: number } {
  const table = s.style === "currency" && s.compactDisplay === "short" ? numbers.shortCurrency : numbers[s.compactDisplay];
  const at = (size: number): { zeros: number; key: string } | undefined => {
    const key = `1${"0".repeat(Math.min(Math.max(size, 0), 14))}`;
    const pattern = table[`${key}-count-other`];
    if (size < 3 || pattern === undefined || pattern === "0") return undefined;
    return { zeros: Math.min(size, 14) + 1 - pattern.match(/0+/)[0].length, key };
  };
  let size = magnitude(text);
  let found = at(size);
  let rounded = roundedText(shifted(text, -(found?.zeros ?? 0)), s.digits);
  const grown = magnitude(rounded) + (found?.zeros ?? 0);
  if (grown > size) {
    size = grown;
    found = at(size);
    rounded = roundedText(shifted(text, -(found?.zeros ?? 0)), s.digits);
  }
  if (found === undefined) return { text: rounded, exponent: 0 };
  const plural = category(s.locale, "cardinal", rounded, found.zeros);
  return { pattern: table[`${found.key}-count-${plural}`] ?? table[`${found.key}-count-other`], text: rounded, exponent: found.zeros };
}

function scientific(s: Settings, text: string, numbers: any): { text: string; exponent: Part[] } {
  const size = magnitude(text);
  const step = s.notation === "engineering" ? Math.floor(size / 3) * 3 : size;
  const rounded = roundedText(shifted(text, -step), s.digits);
  const exponent: Part[] = [{ type: "exponentSeparator", value: numbers.symbols.exponential }];
  if (step < 0) exponent[1] = { type: "exponentMinusSign", value: numbers.symbols.minusSign };
  exponent.push({ type: "exponentInteger", value: `${Math.abs(step)}` });
  return { text: rounded, exponent };
}

function unitParts(s: Settings, inner: Part[], text: string): Part[] {
  const all = data(s.locale, "units")[["long", "short", "narrow"].indexOf(s.unitDisplay)];
  const plural = category(s.locale, "cardinal", text);
  const of = (unit: string): string => all[unit]?.[plural] ?? all[unit]?.other ?? "{0}";
  let pattern = of(s.unit!);
  if (all[s.unit!] === undefined) {
    const [top, below] = s.unit!.split("-per-");
    const alone = all[below!]?.one ?? all[below!]?.other ?? "";
    pattern = all[below!]?.per?.replace("{0}", of(top!)) ?? all.per.replace("{0}", of(top!)).replace("{1}", alone.replace("{0}", "").trim());
  }
  return around(pattern, inner, s.unit === "percent" ? "percentSign" : "unit");
}

function around(pattern: string, inner: Part[], type: string): Part[] {
  const found: Part[] = [];
  for (const token of pattern.match(/\{0\}|\s+|[^\s{]+/g) ?? []) {
    const last = found[found.length - 1];
    if (token === "{0}") found.push(...inner);
    else if (/^\s+$/.test(token)) found.push({ type: "literal", value: token });
    else if (last?.type === "literal" && found[found.length - 2]?.type === type) {
      found.pop();
      found[found.length - 1]!.value += last.value + token;
    } else found.push({ type, value: token });
  }
  return found;
}

function parts(s: Settings, value: string): Part[] {
  const numbers = data(s.locale, "numbers");
  const negative = value.startsWith("-");
  let text = negative ? value.slice(1) : value;
  if (s.style === "percent") text = shifted(text, 2);
  const finite = /^\d/.test(text);
  let exponent: Part[] = [];
  let pattern: string | undefined;
  if (finite && s.notation === "compact") ({ pattern, text } = compact(s, text, numbers));
  else if (finite && s.notation !== "standard") ({ text, exponent } = scientific(s, text, numbers));
  else text = roundedText(text, s.digits);
  const sign = signOf(s, negative && text !== "NaN", text === "NaN" || /^[0.]*$/.test(text));
  const isMoney = s.style === "currency" && s.currencyDisplay !== "name";
  const accounting = s.currencySign === "accounting";
  let base = s.style === "percent" ? numbers.percent : numbers.decimal;
  if (isMoney) {
    // A symbol whose letters touch the number is kept apart from it.
    const before = numbers.currency.indexOf("¤") < numbers.currency.search(/[#0]/);
    const letters = (before ? /\p{L}$/u : /^\p{L}/u).test(symbol(s, numbers));
    base = accounting ? (letters ? numbers.accountingAlpha : numbers.accounting) : letters ? numbers.alpha : numbers.currency;
  }
  const number = [...digitParts(s, text, numbers.decimal === base ? base : base.split(";")[0], numbers), ...exponent];
  let word: string | undefined;
  let used = base;
  if (pattern !== undefined) {
    word = "compact";
    used = isMoney && s.compactDisplay === "long" ? base.replace(/[#0,.]+/g, pattern) : pattern;
  }
  const filled = fill(signed(used, sign), sign, number, s, numbers, word);
  if (s.style === "unit") return unitParts(s, filled, text);
  if (s.style === "currency" && s.currencyDisplay === "name") {
    const named = data(s.locale, "names").currency[s.currency!] ?? s.currency!;
    const plural = category(s.locale, "cardinal", text);
    const name = typeof named === "string" ? named : named[1][plural] ?? named[1].other ?? named[0];
    const join: string = numbers.named[plural] ?? numbers.named.other;
    return around(join.replace("{1}", "\u0001"), filled, "currency").map((part) => part.value.includes("\u0001") ? { ...part, value: part.value.replace("\u0001", name) } : part);
  }
  return filled;
}

export const text = (list: Part[]): string => {
  let found = "";
  for (let at = 0; at < list.length; at++) found += list[at]!.value;
  return found;
};

export class NumberFormat {
  #settings: Settings;
  #bound: ((value: unknown) => string) | undefined;

  constructor(locales?: unknown, given?: unknown) {
    this.#settings = settings(locales, given);
  }

  get format(): (value: unknown) => string {
    return (this.#bound ??= (value) => text(parts(this.#settings, numeric(value))));
  }

  formatToParts(value: unknown): Part[] { return parts(this.#settings, numeric(value)); }

  formatRange(start: unknown, end: unknown): string { return text(this.formatRangeToParts(start, end)); }

  formatRangeToParts(start: unknown, end: unknown): Part[] {
    if (start === undefined || end === undefined) throw new TypeError("start and end are required");
    const from = this.formatToParts(start).map((part) => ({ ...part, source: "startRange" }));
    const to = this.formatToParts(end).map((part) => ({ ...part, source: "endRange" }));
    const numbers = data(this.#settings.locale, "numbers");
    if (text(from) === text(to)) {
      return [{ type: "approximatelySign", value: numbers.about.replace("{0}", ""), source: "shared" }, ...from.map((part) => ({ ...part, source: "shared" }))];
    }
    const between = numbers.range.replace("{0}", "").replace("{1}", "");
    const spaced = this.#settings.style === "currency" ? ` ${between.trim()} ` : between;
    return [...from, { type: "literal", value: spaced, source: "shared" }, ...to];
  }

  resolvedOptions(): object {
    const s = this.#settings;
    const found: any = { locale: s.locale, numberingSystem: s.numberingSystem, style: s.style };
    if (s.style === "currency") Object.assign(found, { currency: s.currency, currencyDisplay: s.currencyDisplay, currencySign: s.currencySign });
    if (s.style === "unit") Object.assign(found, { unit: s.unit, unitDisplay: s.unitDisplay });
    const { digits } = s;
    found.minimumIntegerDigits = digits.minimumIntegerDigits;
    if (digits.maximumSignificantDigits !== undefined) {
      found.minimumSignificantDigits = digits.minimumSignificantDigits;
      found.maximumSignificantDigits = digits.maximumSignificantDigits;
    } else {
      found.minimumFractionDigits = digits.minimumFractionDigits;
      found.maximumFractionDigits = digits.maximumFractionDigits;
    }
    if (digits.compact) Object.assign(found, { minimumFractionDigits: 0, maximumFractionDigits: 0, minimumSignificantDigits: 1, maximumSignificantDigits: 2 });
    Object.assign(found, { useGrouping: s.useGrouping, notation: s.notation });
    if (s.notation === "compact") found.compactDisplay = s.compactDisplay;
    return Object.assign(found, {
      signDisplay: s.signDisplay, roundingMode: digits.roundingMode, roundingIncrement: 1,
      trailingZeroDisplay: digits.trailingZeroDisplay, roundingPriority: digits.compact ? "morePrecision" : "auto",
    });
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(NumberFormat, "Intl.NumberFormat");
