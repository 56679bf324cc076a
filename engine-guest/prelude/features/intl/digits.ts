/** Decimal digits: a number as text, rounded as options say. What is exact stays exact, a `BigInt` of any length too. */
import { RangeError } from "../../primordials.ts";
import { option, whole } from "./locale.ts";

export interface Digits {
  minimumIntegerDigits: number;
  minimumFractionDigits: number;
  maximumFractionDigits: number;
  minimumSignificantDigits?: number | undefined;
  maximumSignificantDigits?: number | undefined;
  roundingMode: string;
  trailingZeroDisplay: string;
  /** Of compact notation: two significant digits, or an integer, whichever says more. */
  compact: boolean;
}

const MODES = ["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"];

export function digitOptions(from: any, least: number, most: number, compact: boolean): Digits {
  const minimumIntegerDigits = whole(from, "minimumIntegerDigits", 1, 21, 1)!;
  const found: Digits = {
    minimumIntegerDigits, minimumFractionDigits: least, maximumFractionDigits: most,
    roundingMode: option(from, "roundingMode", MODES, "halfExpand"),
    trailingZeroDisplay: option(from, "trailingZeroDisplay", ["auto", "stripIfInteger"], "auto"), compact: false,
  };
  const lowest = whole(from, "minimumSignificantDigits", 1, 21);
  const highest = whole(from, "maximumSignificantDigits", lowest ?? 1, 21);
  if (lowest !== undefined || highest !== undefined) {
    found.minimumSignificantDigits = lowest ?? 1;
    found.maximumSignificantDigits = highest ?? 21;
    return found;
  }
  const minimum = whole(from, "minimumFractionDigits", 0, 100);
  const maximum = whole(from, "maximumFractionDigits", 0, 100);
  if (minimum === undefined && maximum === undefined) {
    found.compact = compact;
    return found;
  }
  if (minimum !== undefined && maximum !== undefined && minimum > maximum) throw new RangeError("maximumFractionDigits value is out of range.");
  found.minimumFractionDigits = minimum ?? Math.min(least, maximum!);
  found.maximumFractionDigits = maximum ?? Math.max(most, minimum!);
  return found;
}

/** A number without an exponent: `-12.5`. */
export function plain(value: number | bigint | string): string {
  const text = `${Object.is(value, -0) ? "-0" : value}`;
  const found = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/i.exec(text);
  if (found === null) return text;
  const [, sign, before, after = "", exponent] = found;
  const point = before!.length + Number(exponent);
  const digits = before! + after;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return sign + digits + "0".repeat(point - digits.length);
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Moves the point to the right. */
export function shifted(text: string, by: number): string {
  if (!/^-?\d/.test(text)) return text;
  const sign = text.startsWith("-") ? "-" : "";
  const [before, after = ""] = text.slice(sign.length).split(".");
  let digits = before! + after;
  let point = before!.length + by;
  if (point <= 0) {
    digits = "0".repeat(1 - point) + digits;
    point = 1;
  }
  digits = digits.padEnd(point, "0");
  const integer = digits.slice(0, point).replace(/^0+(?=\d)/, "");
  const fraction = digits.slice(point).replace(/0+$/, "");
  return sign + integer + (fraction === "" ? "" : `.${fraction}`);
}

/** The place of the first digit that is not 0: 0 for units, 1 for tens, -1 for tenths. */
export function magnitude(text: string): number {
  const [before, after = ""] = text.replace("-", "").split(".");
  if (!/^0*$/.test(before!)) return before!.replace(/^0+/, "").length - 1;
  const zeros = /^0*/.exec(after)![0]!.length;
  return zeros === after.length ? 0 : -zeros - 1;
}

function awayFromZero(mode: string, negative: boolean, rest: string, last: number): boolean {
  if (/^0*$/.test(rest)) return false;
  const half = rest[0]! > "5" || (rest[0] === "5" && /[1-9]/.test(rest.slice(1))) ? 1 : rest[0] === "5" ? 0 : -1;
  switch (mode) {
    case "ceil": return !negative;
    case "floor": return negative;
    case "expand": return true;
    case "trunc": return false;
    case "halfCeil": return half > 0 || (half === 0 && !negative);
    case "halfFloor": return half > 0 || (half === 0 && negative);
    case "halfTrunc": return half > 0;
    case "halfEven": return half > 0 || (half === 0 && last % 2 === 1);
    default: return half >= 0;
  }
}

/** At most so many digits behind the point; fewer than none rounds to tens. */
function rounded(text: string, places: number, mode: string): string {
  const negative = text.startsWith("-");
  const [before, after = ""] = text.replace("-", "").split(".");
  const keep = before!.length + places;
  if (places >= after.length) return text;
  const digits = keep < 0 ? "0" : (before! + after).slice(0, keep) || "0";
  const rest = keep < 0 ? "0".repeat(-keep) + before + after : (before! + after).slice(keep);
  let value = BigInt(digits);
  if (awayFromZero(mode, negative, rest, Number(value % 10n))) value += 1n;
  return (negative ? "-" : "") + shifted(`${value}`, -places);
}

export function roundedText(text: string, digits: Digits): string {
  if (!/^-?\d/.test(text)) return text;
  const size = magnitude(text);
  let found: string;
  let least = digits.minimumFractionDigits;
  if (digits.maximumSignificantDigits !== undefined) {
    found = rounded(text, digits.maximumSignificantDigits - 1 - size, digits.roundingMode);
    least = Math.max(0, digits.minimumSignificantDigits! - 1 - magnitude(found));
    if (/^-?0$/.test(found)) least = digits.minimumSignificantDigits! - 1;
  } else if (digits.compact) {
    found = rounded(text, Math.max(0, 1 - size), digits.roundingMode);
    least = 0;
  } else {
    found = rounded(text, digits.maximumFractionDigits, digits.roundingMode);
  }
  const sign = found.startsWith("-") ? "-" : "";
  const [before, after = ""] = found.replace("-", "").split(".");
  let fraction = after.replace(/0+$/, "").padEnd(least, "0");
  if (digits.trailingZeroDisplay === "stripIfInteger" && /^0*$/.test(fraction)) fraction = "";
  const integer = before!.replace(/^0+(?=\d)/, "").padStart(digits.minimumIntegerDigits, "0");
  return sign + integer + (fraction === "" ? "" : `.${fraction}`);
}
