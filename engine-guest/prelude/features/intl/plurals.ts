/** `Intl.PluralRules`, on the rules of CLDR. */
import { Map, Number, Object, TypeError } from "../../primordials.ts";
import { data, intlClass, option, options, resolve, supported } from "./locale.ts";
import { type Digits, digitOptions, plain, roundedText } from "./digits.ts";

type Rule = (operands: Record<string, number>) => boolean;
const compiled = new Map<string, Array<[string, Rule]>>();

/** `n % 10 = 2..4 and n % 100 != 12..14 or …` (UTS 35, Language Plural Rules). */
function compile(text: string): Rule {
  const either = text.split(" or ").map((part) => part.split(" and ").map((relation) => {
    const [, operand, modulus, negated, list] = /^([nivwftce])(?: % (\d+))? (!?)= (.+)$/.exec(relation.trim())!;
    const ranges = list!.split(",").map((range) => range.trim().split("..").map(Number));
    return (operands: Record<string, number>): boolean => {
      const value = modulus === undefined ? operands[operand!]! : operands[operand!]! % +modulus;
      const among = ranges.some(([from, to]) => to === undefined ? value === from : Number.isInteger(value) && value >= from! && value <= to);
      return among !== (negated === "!");
    };
  }));
  return (operands) => either.some((all) => all.every((holds) => holds(operands)));
}

/** The category of a number as it is written, `1.50`; `exponent` is that of a compact one. */
export function category(locale: string, type: "cardinal" | "ordinal", text: string, exponent = 0): string {
  const rules = rulesOf(locale, type);
  const number = text.replace("-", "");
  if (!/^\d/.test(number)) return "other";
  const [before, after = ""] = number.split(".");
  const trimmed = after.replace(/0+$/, "");
  const operands = {
    n: +number, i: +before!, v: after.length, w: trimmed.length, f: +after, t: +trimmed, c: exponent, e: exponent,
  };
  for (const [name, holds] of rules) if (holds(operands)) return name;
  return "other";
}

function rulesOf(locale: string, type: "cardinal" | "ordinal"): Array<[string, Rule]> {
  const key = `${type} ${locale}`;
  let found = compiled.get(key);
  if (found === undefined) {
    const all = data("root", "plurals")[type];
    const rules = all[locale] ?? all[locale.split("-")[0]!] ?? {};
    found = Object.entries(rules).map(([name, text]) => [name, compile(text as string)] as [string, Rule]);
    compiled.set(key, found);
  }
  return found;
}

const ORDER = ["few", "many", "one", "two", "zero", "other"];

export class PluralRules {
  #locale: string;
  #type: "cardinal" | "ordinal";
  #digits: Digits;

  constructor(locales?: unknown, given?: unknown) {
    if (new.target === undefined) throw new TypeError("Constructor Intl.PluralRules requires 'new'");
    const from = options(given);
    this.#locale = resolve(locales).locale;
    this.#type = option(from, "type", ["cardinal", "ordinal"], "cardinal");
    this.#digits = digitOptions(from, 0, 3, false);
  }

  select(value: unknown): string {
    return category(this.#locale, this.#type, roundedText(plain(Number(value)), this.#digits));
  }

  selectRange(start: unknown, end: unknown): string {
    if (start === undefined || end === undefined) throw new TypeError("start and end are required");
    return this.select(end);
  }

  resolvedOptions(): object {
    const names = rulesOf(this.#locale, this.#type).map(([name]) => name);
    const { minimumIntegerDigits, minimumFractionDigits, maximumFractionDigits } = this.#digits;
    return {
      locale: this.#locale, type: this.#type, minimumIntegerDigits, minimumFractionDigits, maximumFractionDigits,
      pluralCategories: ORDER.filter((name) => name === "other" || names.includes(name)),
    };
  }

  static supportedLocalesOf(locales: unknown): string[] { return supported(locales); }
}
intlClass(PluralRules, "Intl.PluralRules");
