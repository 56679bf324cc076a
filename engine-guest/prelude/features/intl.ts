/**
 * `Intl`, and the methods of other objects that speak a language: `toLocaleString` and its siblings, `localeCompare`.
 * The data of locales, zones, and the order of text are the host's (`engine/src/script/intl`).
 */
import { INTL_ZONES, call } from "../native.ts";
import { Array, BigInt, Date, Number, Object, RangeError, String, Symbol, TypeError, defineProperty } from "../primordials.ts";
import { DateTimeFormat } from "./intl/dates.ts";
import { Locale, canonicalList, data } from "./intl/locale.ts";
import { NumberFormat } from "./intl/numbers.ts";
import { PluralRules } from "./intl/plurals.ts";
import { Collator, DisplayNames, ListFormat, RelativeTimeFormat, Segmenter } from "./intl/texts.ts";

/** A class that may be called without `new`, as ECMA-402 has it for its oldest. */
function callable<T extends Function>(ctor: T): T {
  const made = function (this: unknown, ...args: unknown[]): unknown {
    return Reflect.construct(ctor, args, new.target ?? (made as any));
  };
  defineProperty(made, "name", { value: ctor.name, configurable: true });
  defineProperty(made, "length", { value: 0, configurable: true });
  defineProperty(made, "prototype", { value: ctor.prototype, writable: false });
  defineProperty(ctor.prototype, "constructor", { value: made, writable: true, configurable: true });
  defineProperty(made, "supportedLocalesOf", { value: (ctor as any).supportedLocalesOf, writable: true, configurable: true });
  return made as unknown as T;
}

function supportedValuesOf(key: unknown): string[] {
  switch (`${key}`) {
    case "calendar": return ["gregory"];
    case "collation": return ["default"];
    case "currency": return Object.keys(data("en", "names").currency).sort();
    case "numberingSystem": return Object.keys(data("root", "digits")).sort();
    case "timeZone": return (call(INTL_ZONES) as string).split(" ").filter((name) => /^[A-Z][^/]*\/|^UTC$/.test(name) && !/^(Etc|SystemV|US|posix)\//.test(name)).sort();
    case "unit": return Object.keys(data("en", "units")[0]).filter((name) => name !== "per" && !name.includes("-per-")).sort();
    default: throw new RangeError(`Invalid key : ${key}`);
  }
}

const shared = {
  DateTimeFormat: callable(DateTimeFormat), NumberFormat: callable(NumberFormat), Collator: callable(Collator),
};

export const Intl: any = {};
const members: Record<string, unknown> = {
  getCanonicalLocales: (locales?: unknown) => canonicalList(locales), supportedValuesOf, ...shared, PluralRules, Locale,
  RelativeTimeFormat, ListFormat, DisplayNames, Segmenter,
};
for (const name of Object.keys(members)) {
  defineProperty(Intl, name, { value: members[name], writable: true, configurable: true });
}
defineProperty(Intl, Symbol.toStringTag, { value: "Intl", configurable: true });

const usual = new Collator();
const dateValue = (date: any): number => {
  const value = Date.prototype.getTime.call(date);
  return value;
};
const dated = (required: string, defaults: string) => (date: any, locales: unknown, given: unknown): string => {
  const value = dateValue(date);
  return Number.isNaN(value) ? "Invalid Date" : DateTimeFormat.once(value, locales, given, required, defaults);
};
const [both, dateOnly, timeOnly] = [dated("any", "all"), dated("date", "date"), dated("time", "time")];

function methods(prototype: object, given: Record<string, Function>): void {
  for (const name of Object.keys(given)) {
    defineProperty(prototype, name, { value: given[name], writable: true, configurable: true });
  }
}

methods(Date.prototype, {
  toLocaleString(locales?: unknown, given?: unknown) { return both(this, locales, given); },
  toLocaleDateString(locales?: unknown, given?: unknown) { return dateOnly(this, locales, given); },
  toLocaleTimeString(locales?: unknown, given?: unknown) { return timeOnly(this, locales, given); },
});
methods(Number.prototype, {
  toLocaleString(this: any, locales?: unknown, given?: unknown) {
    return new NumberFormat(locales, given).format(Number.prototype.valueOf.call(this));
  },
});
methods(BigInt.prototype, {
  toLocaleString(this: any, locales?: unknown, given?: unknown) {
    return new NumberFormat(locales, given).format(BigInt.prototype.valueOf.call(this));
  },
});
methods(Array.prototype, {
  toLocaleString(this: any, locales?: unknown, given?: unknown) {
    const found: string[] = [];
    for (let at = 0; at < this.length; at++) {
      const item = this[at];
      found[at] = item === null || item === undefined ? "" : `${item.toLocaleString(locales, given)}`;
    }
    return found.join(",");
  },
});
methods(String.prototype, {
  localeCompare(this: any, that: unknown, locales?: unknown, given?: unknown) {
    if (this === null || this === undefined) throw new TypeError("String.prototype.localeCompare called on null or undefined");
    const order = locales === undefined && given === undefined ? usual : new Collator(locales, given);
    return order.compare(`${this}`, `${that}`);
  },
});
