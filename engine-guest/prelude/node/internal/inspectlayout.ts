/**
 * The layout of `inspect`: how strings are quoted, and how the parts of a value are put on lines.
 */
import { stringPadStart, stringReplace } from "../../library.ts";
import {
  arrayJoin, floor, max, min, numberToString, stringCharCodeAt, stringIndexOf, stringPadEnd, stringRepeat,
  stringSlice, stringUpper,
} from "../../primordials.ts";
import type { Walk } from "./inspect.ts";

const LIST = 2;
// eslint-style ranges are spelled out: CSI and OSC sequences.
const CONTROL = /[\u001B\u009B][[\]()#;?]*(?:(?:(?:(?:;[-a-zA-Z\d\/#&.:=?%@~_]+)*|[a-zA-Z\d]+(?:;[-a-zA-Z\d\/#&.:=?%@~_]*)*)?(?:\u0007|\u001B\u005C|\u009C))|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PR-TZcf-nq-uy=><~]))/g;

/** The text without escape sequences of terminals. */
export function stripControl(text: string): string {
  return stringReplace(text, CONTROL, "");
}

const NAMED: Record<number, string> = { 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\x0B", 12: "\\f", 13: "\\r", 92: "\\\\" };

/** Quotes a string, with the quotes that need the fewest escapes. */
export function strEscape(text: string): string {
  let quote = "'";
  if (stringIndexOf(text, "'") >= 0) {
    if (stringIndexOf(text, '"') < 0) quote = '"';
    else if (stringIndexOf(text, "`") < 0 && stringIndexOf(text, "${") < 0) quote = "`";
  }
  const quoteCode = stringCharCodeAt(quote, 0);
  let out = "";
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = stringCharCodeAt(text, i);
    let escaped: string | undefined;
    if (code === quoteCode) escaped = `\\${quote}`;
    else if (code === 92 || code < 32) escaped = NAMED[code] ?? `\\x${hex(code, 2)}`;
    else if (code >= 0x7f && code <= 0x9f) escaped = `\\x${hex(code, 2)}`;
    else if (code >= 0xd800 && code <= 0xdfff) {
      const next = stringCharCodeAt(text, i + 1);
      if (code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) i++;
      else escaped = `\\u${numberToString(code, 16)}`;
    }
    if (escaped !== undefined) {
      out += stringSlice(text, from, i) + escaped;
      from = i + 1;
    }
  }
  return `${quote}${out}${stringSlice(text, from)}${quote}`;
}

function hex(code: number, width: number): string {
  return stringPadStart(stringUpper(numberToString(code, 16)), width, "0");
}

function shownLength(walk: Walk, text: string): number {
  return walk.options.colors ? stripControl(text).length : text.length;
}

function fits(walk: Walk, output: string[], start: number, base: string): boolean {
  let total = output.length + start;
  if (total + output.length > walk.options.breakLength) return false;
  for (let i = 0; i < output.length; i++) {
    total += shownLength(walk, output[i]!);
    if (total > walk.options.breakLength) return false;
  }
  return base === "" || stringIndexOf(base, "\n") < 0;
}

/** Joins the parts of a value between its brackets. */
export function arrange(
  walk: Walk, parts: string[], base: string, open: string, close: string, kind: number, level: number, value: any,
): string {
  const { options } = walk;
  const head = base === "" ? "" : `${base} `;
  const margin = `\n${stringRepeat(" ", walk.indentation)}`;
  if (options.compact === true) {
    if (fits(walk, parts, 0, base)) return `${open}${base === "" ? "" : ` ${base}`} ${arrayJoin(parts, ", ")} ${close}`;
    const first = base === "" && open.length === 1 ? " " : `${base === "" ? "" : ` ${base}`}${margin}  `;
    return `${open}${first}${arrayJoin(parts, `,${margin}  `)} ${close}`;
  }
  let output = parts;
  if (typeof options.compact === "number" && options.compact >= 1) {
    if (kind === LIST && parts.length > 6) output = inColumns(walk, parts, value);
    if (walk.reached - level < options.compact && output.length === parts.length) {
      const start = output.length + walk.indentation + open.length + base.length + 10;
      if (fits(walk, output, start, base)) {
        const joined = arrayJoin(output, ", ");
        if (stringIndexOf(joined, "\n") < 0) return `${head}${open} ${joined} ${close}`;
      }
    }
  }
  return `${head}${open}${margin}  ${arrayJoin(output, `,${margin}  `)}${margin}${close}`;
}

const GAP = 2;
/** How much wider than high a block of columns should look: characters are about 2.5 times as high as wide. */
const ASPECT = 2.5;
const COLUMNS_MAX = 15;

/** Puts the elements of a long list into columns of equal width, where they are short enough. */
function inColumns(walk: Walk, parts: string[], value: any): string[] {
  const { options } = walk;
  const ended = options.maxArrayLength < parts.length;
  const count = ended ? parts.length - 1 : parts.length;
  const widths: number[] = [];
  let total = 0;
  let widest = 0;
  for (let i = 0; i < count; i++) {
    const width = shownLength(walk, parts[i]!);
    widths[i] = width;
    total += width + GAP;
    widest = max(widest, width);
  }
  const cell = widest + GAP;
  if (cell * 3 + walk.indentation >= options.breakLength || !(total / cell > 5 || widest <= 6)) return parts;
  const bias = (cell - total / parts.length) ** 0.5;
  const typical = max(cell - 3 - bias, 1);
  const columns = min(
    floor((ASPECT * typical * count) ** 0.5 / typical + 0.5), floor((options.breakLength - walk.indentation) / cell),
    options.compact * 4, COLUMNS_MAX,
  );
  if (columns <= 1) return parts;
  const columnWidths: number[] = [];
  for (let c = 0; c < columns; c++) {
    let width = 0;
    for (let i = c; i < count; i += columns) width = max(width, widths[i]!);
    columnWidths[c] = width + GAP;
  }
  let right = value !== undefined;
  for (let i = 0; right && i < parts.length; i++) right = typeof value[i] === "number" || typeof value[i] === "bigint";
  const rows: string[] = [];
  for (let from = 0; from < count; from += columns) {
    const to = min(from + columns, count);
    let row = "";
    for (let i = from; i < to; i++) {
      const last = i === to - 1;
      const width = columnWidths[i - from]! + parts[i]!.length - widths[i]! - (last ? GAP : 0);
      const text = last ? parts[i]! : `${parts[i]}, `;
      if (right) row += stringPadStart(text, width, " ");
      else row += last ? text : stringPadEnd(text, width, " ");
    }
    rows[rows.length] = row;
  }
  if (ended) rows[rows.length] = parts[count]!;
  return rows;
}
