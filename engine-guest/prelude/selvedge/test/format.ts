/**
 * Values as text: over many lines for a difference, or on one for a sentence.
 */
import { inspect } from "../../inspect.ts";

const DEPTH_MAX = 20;
/** Entries of one object or list that are written out. */
const ENTRIES_MAX = 10_000;
const SHORT_MAX = 60;
const ITEMS_MAX = 30;

const isAsymmetric = (value: any): boolean =>
  typeof value === "object" && value !== null && value.$$typeof === Symbol.for("jest.asymmetricMatcher");

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

export function functionName(value: any): string {
  const { name } = value;
  return typeof name === "string" && name !== "" ? `[Function ${name}]` : "[Function]";
}

function primitive(value: unknown): string | null {
  switch (typeof value) {
    case "string": return quoted(value);
    case "bigint": return `${value}n`;
    case "symbol": return value.toString();
    case "function": return functionName(value);
    case "number": return Object.is(value, -0) ? "-0" : `${value}`;
    case "object": return value === null ? "null" : null;
    default: return `${value as any}`;
  }
}

/** The name of the constructor, unless that says nothing. */
export function classOf(value: object): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null) return "[Object: null prototype]";
  const { constructor } = prototype;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "Object";
}

/** What has a notation of its own. */
function special(value: any): string | null {
  if (isAsymmetric(value)) return `${value}`;
  if (value instanceof Error) return `[${value.name}: ${value.message}]`;
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Date]") return Number.isNaN(+value) ? "Invalid Date" : value.toISOString();
  if (tag === "[object RegExp]") return `${value}`;
  if (tag === "[object Promise]") return "Promise {}";
  if (value instanceof URL) return `URL ${quoted(value.href)}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${hex(new Uint8Array(value))}`;
  if (value instanceof Response || value instanceof Request || value instanceof Blob) return inspect(value);
  return null;
}

function hex(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `<${shown}${bytes.length > 64 ? ` … ${bytes.length} bytes` : ""}>`;
}

interface Walk {
  seen: object[];
  depth: number;
  /** Whether quotes and backslashes within strings are escaped; in snapshots they are not. */
  escapes: boolean;
}

/** A value over as many lines as it takes; keys sorted, so that equal values give equal text. */
export function format(value: unknown, escapes: boolean = true): string {
  return write(value, "", { seen: [], depth: 0, escapes });
}

function write(value: any, indent: string, walk: Walk): string {
  if (typeof value === "string" && !walk.escapes) return `"${value}"`;
  const simple = primitive(value) ?? special(value);
  if (simple !== null) return simple;
  if (walk.seen.includes(value)) return "[Circular]";
  if (walk.depth >= DEPTH_MAX) return `[${classOf(value)}]`;
  const inner: Walk = { ...walk, seen: [...walk.seen, value], depth: walk.depth + 1 };
  const deeper = `${indent}  `;
  const item = (of: unknown): string => write(of, deeper, inner);
  const list = (head: string, open: string, items: string[], close: string): string => {
    const lead = head === "" ? open : `${head} ${open}`;
    if (items.length === 0) return `${lead}${close}`;
    return `${lead}\n${items.map((text) => `${deeper}${text},\n`).join("")}${indent}${close}`;
  };
  if (value instanceof Map || value instanceof Headers) {
    const pairs = Array.from(value.entries() as Iterable<[unknown, unknown]>).slice(0, ENTRIES_MAX);
    return list(classOf(value), "{", pairs.map(([key, of]) => `${item(key)} => ${item(of)}`), "}");
  }
  if (value instanceof Set) return list(classOf(value), "{", Array.from(value).slice(0, ENTRIES_MAX).map(item), "}");
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const items = Array.isArray(value) ? value : Array.from((value as any)[Symbol.iterator] ? (value as any) : []);
    const head = Array.isArray(value) && classOf(value) === "Array" ? "" : classOf(value);
    return list(head, "[", Array.from(items.slice(0, ENTRIES_MAX), item), "]");
  }
  const keys = Object.keys(value).sort().slice(0, ENTRIES_MAX);
  const symbols = Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
  const entries = [
    ...keys.map((key) => `${quoted(key)}: ${item(value[key])}`),
    ...symbols.map((key) => `${key.toString()}: ${item(value[key])}`),
  ];
  const head = classOf(value) === "Object" ? "" : classOf(value);
  return list(head, "{", entries, "}");
}

/** A value within a sentence: whole if it is short, else what of it has room. */
export function short(value: any): string {
  const whole = oneLine(value, 2, ITEMS_MAX);
  if (whole.length <= SHORT_MAX) return whole;
  for (const [depth, items] of [[1, 8], [1, 3], [0, 3], [0, 1]] as const) {
    const text = oneLine(value, depth, items);
    if (text.length <= SHORT_MAX) return text;
  }
  return `${whole.slice(0, SHORT_MAX - 1)}…`;
}

/** `depth` levels below this one, `most` entries of each. */
function oneLine(value: any, depth: number, most: number): string {
  if (typeof value === "string") return `'${value.replace(/\n/g, "\\n")}'`;
  const simple = primitive(value) ?? special(value);
  if (simple !== null) return simple;
  const item = (of: unknown): string => oneLine(of, depth - 1, most);
  const wrap = (open: string, count: number, items: string[], close: string): string => {
    if (count === 0) return `${open}${close}`;
    if (depth < 0) return `${open}…${close}`;
    return `${open} ${(count > items.length ? [...items, `…(${count - items.length})`] : items).join(", ")} ${close}`;
  };
  const some = (all: any): any[] => (depth < 0 ? [] : Array.from(all as Iterable<any>).slice(0, most));
  if (Array.isArray(value)) return wrap("[", value.length, some(value).map(item), "]");
  if (value instanceof Set) return `Set ${wrap("{", value.size, some(value).map(item), "}")}`;
  if (value instanceof Map || value instanceof Headers) {
    const all = Array.from(value.entries() as Iterable<[unknown, unknown]>);
    return `${classOf(value)} ${wrap("{", all.length, some(all).map(([key, of]) => `${item(key)} => ${item(of)}`), "}")}`;
  }
  if (ArrayBuffer.isView(value)) return `${classOf(value)} ${hex(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}`;
  const keys = Object.keys(value);
  const head = classOf(value) === "Object" ? "" : `${classOf(value)} `;
  return `${head}${wrap("{", keys.length, some(keys).map((key) => `${key}: ${item(value[key])}`), "}")}`;
}
