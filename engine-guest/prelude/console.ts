/**
 * `console`. Everything ends as one LOG call with a level and a text.
 */
import { inspect } from "./inspect.ts";
import { CALL_LOG, call, callSite, getContext, now } from "./native.ts";
import {
  Error, Map, Number, arraySlice, defineProperty, isArray, isObject, jsonStringify, mapDelete, mapGet, mapSet,
  Symbol, numberToFixed, objectKeys, stringIndexOf, stringPadEnd, stringRepeat, stringReplaceAll, stringSlice, toStr,
} from "./primordials.ts";

type Level = "debug" | "log" | "info" | "warn" | "error";

/** What the calls of an invocation leave for its later ones. */
interface Kept {
  indent: string;
  counts: Map<string, number>;
  timers: Map<string, number>;
}

const KEPT_MAX = 256;
/** By invocation. Nobody tells of an invocation's end, so the newest ones are kept. */
const kept = new Map<number, Kept>();
/** Which ones, in a circle. */
const keepers: number[] = [];
let made = 0;

function keptHere(): Kept {
  const invocation = getContext();
  const known: Kept | undefined = mapGet(kept, invocation);
  if (known !== undefined) return known;
  const at = made++ % KEPT_MAX;
  if (at < keepers.length) mapDelete(kept, keepers[at]);
  keepers[at] = invocation;
  const fresh: Kept = { indent: "", counts: new Map(), timers: new Map() };
  mapSet(kept, invocation, fresh);
  return fresh;
}

function indentHere(): string {
  const here: Kept | undefined = made === 0 ? undefined : mapGet(kept, getContext());
  return here === undefined ? "" : here.indent;
}

function show(value: unknown): string {
  return typeof value === "string" ? value : inspect(value);
}

function integer(value: unknown): string {
  if (typeof value === "symbol") return "NaN";
  if (typeof value === "bigint") return `${value}n`;
  const number = Number.parseInt(toStr(value), 10);
  return `${number}`;
}

function float(value: unknown): string {
  return typeof value === "symbol" ? "NaN" : `${Number.parseFloat(toStr(value))}`;
}

function substitute(directive: string, value: unknown): string {
  switch (directive) {
    case "s": return typeof value === "string" ? value : isObject(value) ? inspect(value, { depth: 0 }) : show(value);
    case "d": return isObject(value) ? "NaN" : typeof value === "number" ? `${value}` : integerOrFloat(value);
    case "i": return isObject(value) ? "NaN" : integer(value);
    case "f": return isObject(value) ? "NaN" : float(value);
    case "j": return json(value);
    case "o": return inspect(value, { depth: 4 });
    case "O": return inspect(value, { depth: 4 });
    default: return "";
  }
}

function integerOrFloat(value: unknown): string {
  if (typeof value === "symbol") return "NaN";
  return typeof value === "bigint" ? `${value}n` : `${Number(value)}`;
}

function json(value: unknown): string {
  try {
    return jsonStringify(value) ?? "undefined";
  } catch {
    return "[Circular]";
  }
}

/** The text of a call: the format string with its directives filled in, then the rest of the values. */
export function format(args: unknown[]): string {
  const first = args[0];
  let next = 0;
  let text = "";
  if (typeof first === "string") {
    next = 1;
    text = first;
    if (args.length > 1 && stringIndexOf(first, "%") >= 0) {
      text = "";
      let from = 0;
      for (let at = stringIndexOf(first, "%"); at >= 0 && at + 1 < first.length; at = stringIndexOf(first, "%", from)) {
        const directive = first[at + 1]!;
        text += stringSlice(first, from, at);
        from = at + 2;
        if (directive === "%") text += "%";
        else if (stringIndexOf("sdifjoOc", directive) < 0 || next >= args.length) text += `%${directive}`;
        else text += substitute(directive, args[next++]);
      }
      text += stringSlice(first, from);
    }
  }
  for (; next < args.length; next++) text += (next === 0 ? "" : " ") + show(args[next]);
  return text;
}

function emit(level: Level, text: string): void {
  const indent = indentHere();
  call(CALL_LOG, level, indent === "" ? text : indent + stringReplaceAll(text, "\n", `\n${indent}`), callSite());
}

function label(given: unknown): string {
  return given === undefined ? "default" : toStr(given);
}

function elapsed(name: string): string | null {
  const from: number | undefined = mapGet(keptHere().timers, name);
  return from === undefined ? null : `${name}: ${numberToFixed(now() - from, 3)} ms`;
}

/** A table with one row an entry, or null if the data is no table. */
function tableText(data: any, columns: unknown): string | null {
  if (!isObject(data)) return null;
  const rows: string[][] = [];
  const names: string[] = isArray(columns) ? arraySlice(columns) : [];
  let values = false;
  const keys = objectKeys(data);
  for (let i = 0; i < keys.length; i++) {
    const row = data[keys[i]!];
    if (!isObject(row)) {
      values = true;
      continue;
    }
    if (isArray(columns)) continue;
    const fields = objectKeys(row);
    for (let k = 0; k < fields.length; k++) {
      let known = false;
      for (let n = 0; n < names.length; n++) known ||= names[n] === fields[k];
      if (!known) names[names.length] = fields[k]!;
    }
  }
  const head = ["(index)"];
  for (let i = 0; i < names.length; i++) head[head.length] = names[i]!;
  if (values) head[head.length] = "Values";
  rows[0] = head;
  for (let i = 0; i < keys.length; i++) {
    const row = data[keys[i]!];
    const cells = [keys[i]!];
    for (let n = 0; n < names.length; n++) {
      const has = isObject(row) && names[n]! in row;
      cells[cells.length] = has ? inspect(row[names[n]!], { depth: 0 }) : "";
    }
    if (values) cells[cells.length] = isObject(row) ? "" : inspect(row);
    rows[rows.length] = cells;
  }
  return drawTable(rows);
}

function drawTable(rows: string[][]): string {
  const widths: number[] = [];
  for (let r = 0; r < rows.length; r++) {
    for (let c = 0; c < rows[r]!.length; c++) {
      const { length } = rows[r]![c]!;
      if (!(widths[c]! >= length)) widths[c] = length;
    }
  }
  const rule = (left: string, middle: string, right: string): string => {
    let line = left;
    for (let c = 0; c < widths.length; c++) line += stringRepeat("─", widths[c]! + 2) + (c + 1 < widths.length ? middle : right);
    return line;
  };
  let text = rule("┌", "┬", "┐");
  for (let r = 0; r < rows.length; r++) {
    text += "\n│";
    for (let c = 0; c < widths.length; c++) text += ` ${stringPadEnd(rows[r]![c]!, widths[c])} │`;
    if (r === 0) text += `\n${rule("├", "┼", "┤")}`;
  }
  return `${text}\n${rule("└", "┴", "┘")}`;
}

function callerStack(): string {
  const stack = toStr(new Error().stack ?? "");
  let from = 0;
  // The error itself, this function, and the one that was called.
  for (let i = 0; i < 3; i++) from = stringIndexOf(stack, "\n", from) + 1;
  const text = stringSlice(stack, from);
  return text[text.length - 1] === "\n" ? stringSlice(text, 0, -1) : text;
}

export const console: any = {
  // An object of its own between it and Object.prototype: a namespace, as WebIDL has one.
  __proto__: {},
  debug: (...args: unknown[]): void => emit("debug", format(args)),
  log: (...args: unknown[]): void => emit("log", format(args)),
  info: (...args: unknown[]): void => emit("info", format(args)),
  warn: (...args: unknown[]): void => emit("warn", format(args)),
  error: (...args: unknown[]): void => emit("error", format(args)),
  trace: (...args: unknown[]): void => {
    const text = format(args);
    emit("debug", `Trace${text === "" ? "" : `: ${text}`}\n${callerStack()}`);
  },
  assert: (condition: unknown = false, ...args: unknown[]): void => {
    if (condition) return;
    const text = format(args);
    emit("error", text === "" ? "Assertion failed" : `Assertion failed: ${text}`);
  },
  dir: (value: unknown = undefined, options: any = undefined): void => {
    const depth = options?.depth === null ? Infinity : options?.depth ?? 2;
    emit("log", inspect(value, { depth }));
  },
  dirxml: (...args: unknown[]): void => emit("log", format(args)),
  table: (data: unknown = undefined, columns: unknown = undefined): void => emit("log", tableText(data, columns) ?? show(data)),
  count: (name: unknown = undefined): void => {
    const key = label(name);
    const { counts } = keptHere();
    const count = (mapGet(counts, key) ?? 0) + 1;
    mapSet(counts, key, count);
    emit("info", `${key}: ${count}`);
  },
  countReset: (name: unknown = undefined): void => {
    if (!mapDelete(keptHere().counts, label(name))) emit("warn", `Count for '${label(name)}' does not exist`);
  },
  time: (name: unknown = undefined): void => {
    const key = label(name);
    const { timers } = keptHere();
    if (mapGet(timers, key) !== undefined) emit("warn", `Timer '${key}' already exists`);
    else mapSet(timers, key, now());
  },
  timeLog: (name: unknown = undefined, ...args: unknown[]): void => {
    const text = elapsed(label(name));
    if (text === null) return emit("warn", `Timer '${label(name)}' does not exist`);
    emit("info", args.length === 0 ? text : `${text} ${format(args)}`);
  },
  timeEnd: (name: unknown = undefined): void => {
    const text = elapsed(label(name));
    if (text === null) return emit("warn", `Timer '${label(name)}' does not exist`);
    mapDelete(keptHere().timers, label(name));
    emit("info", text);
  },
  group: (...args: unknown[]): void => {
    if (args.length > 0) emit("log", format(args));
    keptHere().indent += "  ";
  },
  groupCollapsed: (...args: unknown[]): void => {
    if (args.length > 0) emit("log", format(args));
    keptHere().indent += "  ";
  },
  groupEnd: (): void => {
    const here = keptHere();
    here.indent = stringSlice(here.indent, 0, -2);
  },
  clear: (): void => {},
};
defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });
