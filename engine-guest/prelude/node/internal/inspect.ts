/**
 * `util.inspect`: values in Node's notation, with its options. Console output has a smaller writer of its own
 * (../../inspect.ts), which needs none of them.
 */
import {
  WeakMap, WeakSet, bigintValueOf, booleanValueOf, bytesToHex, isPrototypeOf, numberValueOf, objectAssign,
  propertyIsEnumerable, stringReplace, stringValueOf, symbolFor, symbolValueOf,
} from "../../library.ts";
import { promiseResult, promiseState } from "../../native.ts";
import {
  Error, Map, Symbol, Uint8Array, apply, arrayBufferByteLength, arrayIndexOf, arrayJoin, arraySlice, arraySort,
  dataViewBuffer, dataViewByteLength, dataViewByteOffset, dateGetTime, dateToISOString, functionToString,
  getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isArray, isArrayBuffer, isObject, isView, mapForEach, mapGet,
  mapSet, mapSize, max, min, objectCreate, objectKeys, objectToString, ownKeys, regExpExec, regExpFlags,
  regExpSource, setForEach, setSize, stringIndexOf, stringLower, stringRepeat, stringSlice, stringStartsWith,
  symbolToString, typedArrayLength, typedArrayTag,
} from "../../primordials.ts";
import { peekWeb } from "../../inspect-web.ts";
import { errorText } from "./inspecterror.ts";
import { arrange, strEscape, stripControl } from "./inspectlayout.ts";

export const customInspect = symbolFor("nodejs.util.inspect.custom");

export const defaultOptions: any = {
  showHidden: false, depth: 2, colors: false, customInspect: true, showProxy: false, maxArrayLength: 100,
  maxStringLength: 10000, breakLength: 128, compact: 3, sorted: false, getters: false, numericSeparator: false,
};

export const colors: any = objectAssign(objectCreate(null), {
  reset: [0, 0], bold: [1, 22], dim: [2, 22], italic: [3, 23], underline: [4, 24], blink: [5, 25], inverse: [7, 27],
  hidden: [8, 28], strikethrough: [9, 29], doubleunderline: [21, 24], black: [30, 39], red: [31, 39], green: [32, 39],
  yellow: [33, 39], blue: [34, 39], magenta: [35, 39], cyan: [36, 39], white: [37, 39], bgBlack: [40, 49],
  bgRed: [41, 49], bgGreen: [42, 49], bgYellow: [43, 49], bgBlue: [44, 49], bgMagenta: [45, 49], bgCyan: [46, 49],
  bgWhite: [47, 49], framed: [51, 54], overlined: [53, 55], gray: [90, 39], grey: [90, 39], redBright: [91, 39],
  greenBright: [92, 39], yellowBright: [93, 39], blueBright: [94, 39], magentaBright: [95, 39], cyanBright: [96, 39],
  whiteBright: [97, 39], bgGray: [100, 49], bgRedBright: [101, 49], bgGreenBright: [102, 49], bgYellowBright: [103, 49],
  bgBlueBright: [104, 49], bgMagentaBright: [105, 49], bgCyanBright: [106, 49], bgWhiteBright: [107, 49],
});
export const styles: any = objectAssign(objectCreate(null), {
  special: "cyan", number: "yellow", bigint: "yellow", boolean: "yellow", undefined: "grey", null: "bold",
  string: "green", symbol: "green", date: "magenta", regexp: "red", module: "underline",
});

export interface Walk {
  options: any;
  seen: object[];
  circular: Map<object, number> | null;
  indentation: number;
  /** The depth of what was opened last. */
  reached: number;
}

/** What a list is made of decides how it is laid out. */
export const OBJECT = 0;
export const ELEMENT = 1;
export const LIST = 2;

export function paint(walk: Walk, text: string, style: string): string {
  if (!walk.options.colors) return text;
  const color = colors[styles[style]];
  return color === undefined ? text : `\u001b[${color[0]}m${text}\u001b[${color[1]}m`;
}

export function inspect(value: unknown, given?: any, depth?: any, useColors?: any): string {
  const options: any = objectAssign({}, defaultOptions);
  if (typeof given === "boolean") {
    options.showHidden = given;
    if (depth !== undefined) options.depth = depth;
    if (useColors !== undefined) options.colors = useColors;
  } else if (isObject(given)) {
    const names = objectKeys(given);
    for (let i = 0; i < names.length; i++) options[names[i]!] = given[names[i]!];
  }
  // Node narrows its lines to 80 columns unless somebody asks for another width.
  if (given?.breakLength === undefined && options.breakLength === 128) options.breakLength = 80;
  if (options.maxArrayLength === null) options.maxArrayLength = Infinity;
  if (options.maxStringLength === null) options.maxStringLength = Infinity;
  const walk: Walk = { options, seen: [], circular: null, indentation: 0, reached: 0 };
  return writeValue(walk, value, 0);
}

export function writeValue(walk: Walk, value: any, level: number, typed: boolean = false): string {
  if (!isObject(value)) return writePrimitive(walk, value);
  if (walk.options.customInspect) {
    const custom = customText(walk, value, level);
    if (custom !== null) return custom;
  }
  if (arrayIndexOf(walk.seen, value) >= 0) {
    walk.circular ??= new Map();
    let index: number = mapGet(walk.circular, value) ?? 0;
    if (index === 0) {
      index = mapSize(walk.circular) + 1;
      mapSet(walk.circular, value, index);
    }
    return paint(walk, `[Circular *${index}]`, "special");
  }
  return writeObject(walk, value, level, typed);
}

function customText(walk: Walk, value: any, level: number): string | null {
  const custom = value[customInspect];
  if (typeof custom !== "function" || custom === inspect) return null;
  const { constructor } = value;
  if (isObject(constructor) && constructor.prototype === value) return null;
  const { depth } = walk.options;
  const options: any = objectAssign({}, walk.options);
  options.stylize = (text: unknown, style: string): string => paint(walk, `${text}`, style);
  options.depth = depth === null ? null : depth - level;
  const result = apply(custom, value, [options.depth, options, inspect]);
  if (result === value) return null;
  if (typeof result !== "object") return `${result}`;
  return writeValue(walk, result, level);
}

const GROUPS = /\B(?=(\d{3})+$)/g;

export function numberText(value: number | bigint, separators: boolean): string {
  if (!separators && typeof value === "number" && value === 0 && 1 / value < 0) return "-0";
  const text = `${value}`;
  const end = typeof value === "bigint" ? "n" : "";
  if (!separators || stringIndexOf(text, "e") >= 0) return text + end;
  const dot = stringIndexOf(text, ".");
  if (dot < 0) return stringReplace(text, GROUPS, "_") + end;
  return `${stringReplace(stringSlice(text, 0, dot), GROUPS, "_")}.${stringReplace(stringSlice(text, dot + 1), /(\d{3})(?=\d)/g, "$1_")}`;
}

const LINE_LEAST = 16;

function writePrimitive(walk: Walk, value: any): string {
  const { options } = walk;
  switch (typeof value) {
    case "string": return writeString(walk, value);
    case "number": return paint(walk, numberText(value, options.numericSeparator), "number");
    case "bigint": return paint(walk, numberText(value, options.numericSeparator), "bigint");
    case "boolean": return paint(walk, `${value}`, "boolean");
    case "undefined": return paint(walk, "undefined", "undefined");
    case "symbol": return paint(walk, symbolToString(value), "symbol");
    default: return paint(walk, "null", "null");
  }
}

function writeString(walk: Walk, value: string): string {
  const { options } = walk;
  let text = value;
  let end = "";
  if (text.length > options.maxStringLength) {
    const left = text.length - options.maxStringLength;
    text = stringSlice(text, 0, options.maxStringLength);
    end = `... ${left} more character${left > 1 ? "s" : ""}`;
  }
  const wide = text.length > LINE_LEAST && text.length > options.breakLength - walk.indentation - 4;
  if (options.compact === true || !wide || stringIndexOf(text, "\n") < 0) return paint(walk, strEscape(text), "string") + end;
  const lines: string[] = [];
  for (let from = 0; from < text.length;) {
    const at = stringIndexOf(text, "\n", from);
    const to = at < 0 ? text.length : at + 1;
    lines[lines.length] = paint(walk, strEscape(stringSlice(text, from, to)), "string");
    from = to;
  }
  return arrayJoin(lines, ` +\n${stringRepeat(" ", walk.indentation + 2)}`) + end;
}

/** The name of what made it, from the first prototype that has a constructor; null without a prototype. */
export function constructorName(value: any, depth: number = 4): string | null {
  let first = true;
  for (let at = value; at !== null && at !== undefined; at = getPrototypeOf(at)) {
    const own = getOwnPropertyDescriptor(at, "constructor");
    if (own !== undefined && typeof own.value === "function" && own.value.name !== "" && isPrototypeOf(own.value.prototype, value)) {
      return `${own.value.name}`;
    }
    first = false;
  }
  if (first || getPrototypeOf(value) === null) return null;
  const proto = getPrototypeOf(value);
  if (depth <= 0) return `<Complex prototype>`;
  const name = constructorName(proto, depth - 1);
  return name === null ? `Object <[Object: null prototype] {}>` : `Object <${name}>`;
}

export function prefixOf(name: string | null, tag: string, fallback: string, size: string = ""): string {
  if (name === null) {
    const head = `[${fallback}${size}: null prototype] `;
    return tag !== "" && fallback !== tag ? `${head}[${tag}] ` : head;
  }
  return tag !== "" && name !== tag ? `${name}${size} [${tag}] ` : `${name}${size} `;
}

function keysOf(walk: Walk, value: any, indices: boolean): any[] {
  const all = ownKeys(value);
  const keys: any[] = [];
  for (let i = 0; i < all.length; i++) {
    const key = all[i]!;
    if (!indices && typeof key === "string" && isIndex(key, value.length)) continue;
    if (walk.options.showHidden || propertyIsEnumerable(value, key)) {
      if (!indices && key === "length" && walk.options.showHidden && !isArray(value)) continue;
      keys[keys.length] = key;
    }
  }
  return keys;
}

function isIndex(key: string, length: number): boolean {
  const index = +key;
  return index >= 0 && index < length && `${index}` === key;
}

interface Shape {
  base: string;
  open: string;
  close: string;
  kind: number;
  /** Writes what is no property. */
  items: ((level: number) => string[]) | null;
  keys: any[];
  /** What it is when it holds nothing at all. */
  empty: string | null;
}

function writeObject(walk: Walk, value: any, level: number, typed: boolean): string {
  const { options } = walk;
  const name = constructorName(value);
  let tag = value[Symbol.toStringTag];
  if (typeof tag !== "string" || (tag !== "" && (options.showHidden ? hasOwn : propertyIsEnumerable)(value, Symbol.toStringTag))) tag = "";
  const shape = shapeOf(walk, value, name, tag, typed, level);
  if (shape.keys.length === 0 && shape.empty !== null) return shape.empty;
  if (options.depth !== null && level > options.depth) {
    const text: string = stringSlice(prefixOf(name, tag, isArray(value) ? "Array" : "Object"), 0, -1);
    return paint(walk, name === null ? text : `[${text}]`, "special");
  }
  const inner = level + 1;
  walk.seen[walk.seen.length] = value;
  walk.reached = inner;
  const output = shape.items === null ? [] : shape.items(inner);
  for (let i = 0; i < shape.keys.length; i++) output[output.length] = writeProperty(walk, value, inner, shape.keys[i], shape.kind);
  const index = walk.circular === null ? undefined : mapGet(walk.circular, value);
  if (index !== undefined) {
    const reference = paint(walk, `<ref *${index}>`, "special");
    if (options.compact === true) shape.open = `${reference} ${shape.open}`;
    else shape.base = shape.base === "" ? reference : `${reference} ${shape.base}`;
  }
  walk.seen.length--;
  if (options.sorted) sortOutput(output, shape, options.sorted);
  return arrange(walk, output, shape.base, shape.open, shape.close, shape.kind, inner, value);
}

function sortOutput(output: string[], shape: Shape, sorted: any): void {
  const comparator = sorted === true ? undefined : sorted;
  const from = shape.kind === OBJECT ? 0 : output.length - shape.keys.length;
  const tail = arraySort(arraySlice(output, from), comparator);
  for (let i = 0; i < tail.length; i++) output[from + i] = tail[i];
}

function listShape(walk: Walk, value: any, prefix: string, items: (level: number) => string[], emptyToo: boolean): Shape {
  return {
    base: "", open: `${prefix}[`, close: "]", kind: LIST, items, keys: keysOf(walk, value, false),
    empty: emptyToo ? `${prefix}[]` : null,
  };
}

function shapeOf(walk: Walk, value: any, name: string | null, tag: string, typed: boolean, level: number): Shape {
  if (isArray(value)) {
    const prefix = name !== "Array" || tag !== "" ? prefixOf(name, tag, "Array", `(${value.length})`) : "";
    return listShape(walk, value, prefix, (inner) => writeElements(walk, value as any, inner), value.length === 0);
  }
  if (isView(value) && typedArrayTag(value) !== undefined) {
    const length: number = typedArrayLength(value);
    const prefix = prefixOf(name, tag, typedArrayTag(value), `(${length})`);
    return listShape(walk, value, prefix, (inner) => writeNumbers(walk, value, length, inner), length === 0 && !walk.options.showHidden);
  }
  const shape: Shape = { base: "", open: "{", close: "}", kind: OBJECT, items: null, keys: keysOf(walk, value, true), empty: null };
  const collection = collectionShape(walk, value, name, tag, shape);
  if (collection) return shape;
  if (typeof value === "function") return functionShape(walk, value, name, tag, shape);
  if (isError(value)) {
    shape.base = errorText(walk, value, name, tag, shape.keys, level);
    shape.empty = shape.base;
    return shape;
  }
  if (builtinShape(walk, value, name, tag, typed, shape)) return shape;
  const web = peekWeb(value);
  if (web !== null) {
    shape.open = `${web.name} {`;
    shape.items = (inner) => writePairs(walk, web.fields, inner);
    shape.empty = web.fields.length === 0 ? `${web.name} {}` : null;
    return shape;
  }
  const prefix = name === "Object" && tag === "" ? "" : prefixOf(name, tag, "Object");
  shape.open = `${objectToString(value) === "[object Arguments]" ? "[Arguments] " : prefix}{`;
  shape.empty = `${shape.open}}`;
  return shape;
}

function writePairs(walk: Walk, fields: any[], level: number): string[] {
  const output: string[] = [];
  walk.indentation += 2;
  for (let i = 0; i < fields.length; i += 2) output[output.length] = `${fields[i]}: ${writeValue(walk, fields[i + 1], level)}`;
  walk.indentation -= 2;
  return output;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Maps, sets, promises and weak collections. */
function collectionShape(walk: Walk, value: any, name: string | null, tag: string, shape: Shape): boolean {
  const entries: number | undefined = attempt(() => mapSize(value));
  if (entries !== undefined) {
    const prefix = prefixOf(name, tag, "Map", `(${entries})`);
    shape.open = `${prefix}{`;
    if (entries === 0) shape.empty = `${prefix}{}`;
    shape.items = (level) => {
      const output: string[] = [];
      const most = walk.options.maxArrayLength;
      walk.indentation += 2;
      mapForEach(value, (item: unknown, key: unknown) => {
        if (output.length < most) output[output.length] = `${writeValue(walk, key, level)} => ${writeValue(walk, item, level)}`;
      });
      walk.indentation -= 2;
      return more(output, entries);
    };
    return true;
  }
  const members: number | undefined = attempt(() => setSize(value));
  if (members !== undefined) {
    const prefix = prefixOf(name, tag, "Set", `(${members})`);
    shape.open = `${prefix}{`;
    if (members === 0) shape.empty = `${prefix}{}`;
    shape.items = (level) => {
      const output: string[] = [];
      const most = walk.options.maxArrayLength;
      walk.indentation += 2;
      setForEach(value, (item: unknown) => {
        if (output.length < most) output[output.length] = writeValue(walk, item, level);
      });
      walk.indentation -= 2;
      return more(output, members);
    };
    return true;
  }
  const state = promiseState(value) as number;
  if (state >= 0 && state <= 2) {
    shape.open = `${prefixOf(name, tag, "Promise")}{`;
    shape.items = (level) => {
      if (state === 0) return [paint(walk, "<pending>", "special")];
      walk.indentation += 2;
      const text = writeValue(walk, promiseResult(value), level);
      walk.indentation -= 2;
      return [state === 2 ? `${paint(walk, "<rejected>", "special")} ${text}` : text];
    };
    return true;
  }
  const kind = objectToString(value);
  if ((kind === "[object WeakSet]" && value instanceof WeakSet) || (kind === "[object WeakMap]" && value instanceof WeakMap)) {
    shape.open = `${prefixOf(name, tag, stringSlice(kind, 8, -1))}{`;
    shape.items = () => [paint(walk, "<items unknown>", "special")];
    return true;
  }
  return false;
}

function more(output: string[], total: number): string[] {
  const left = total - output.length;
  if (left > 0) output[output.length] = `... ${left} more item${left > 1 ? "s" : ""}`;
  return output;
}

function functionShape(walk: Walk, value: any, name: string | null, tag: string, shape: Shape): Shape {
  shape.base = functionText(value, name, tag);
  shape.empty = paint(walk, shape.base, "special");
  return shape;
}

function functionText(value: any, name: string | null, tag: string): string {
  const source: string = attempt(() => functionToString(value)) ?? "";
  const own = attempt(() => value.name);
  if (stringStartsWith(source, "class") && source[source.length - 1] === "}") {
    const called = hasOwn(value, "name") && typeof own === "string" ? own : "";
    let text = `[class ${called === "" ? "(anonymous)" : called}`;
    if (name !== "Function" && name !== null) text += ` [${name}]`;
    if (tag !== "" && name !== tag) text += ` [${tag}]`;
    const parent = getPrototypeOf(value);
    if (name === null) text += " extends [null prototype]";
    else if (typeof parent === "function" && parent.name) text += ` extends ${parent.name}`;
    return `${text}]`;
  }
  const kind: string = stringSlice(objectToString(value), 8, -1);
  let text = `[${kind}${name === null ? " (null prototype)" : ""}`;
  text += typeof own !== "string" || own === "" ? " (anonymous)" : `: ${own}`;
  text += "]";
  if (name !== kind && name !== "Function" && name !== null) text += ` ${name}`;
  if (tag !== "" && name !== tag && tag !== kind) text += ` [${tag}]`;
  return text;
}

export function isError(value: any): boolean {
  return value instanceof Error || objectToString(value) === "[object Error]";
}

/** Dates, regular expressions, buffers, views and boxed primitives. */
function builtinShape(walk: Walk, value: any, name: string | null, tag: string, typed: boolean, shape: Shape): boolean {
  const date = attempt(() => dateGetTime(value));
  if (date !== undefined) {
    const prefix = prefixOf(name, tag, "Date");
    const text = date !== date ? "Invalid Date" : dateToISOString(value);
    shape.base = prefix === "Date " ? text : prefix + text;
    shape.empty = paint(walk, shape.base, "date");
    return true;
  }
  if (objectToString(value) === "[object RegExp]") {
    const text = attempt(() => `/${regExpSource(value)}/${regExpFlags(value)}`);
    if (text !== undefined) {
      const prefix = prefixOf(name, tag, "RegExp");
      shape.base = prefix === "RegExp " ? text : prefix + text;
      shape.empty = paint(walk, shape.base, "regexp");
      return true;
    }
  }
  if (isArrayBuffer(value)) {
    shape.open = `${prefixOf(name, tag, "ArrayBuffer")}{`;
    shape.items = () => {
      const length: number = arrayBufferByteLength(value);
      const size = `byteLength: ${paint(walk, `${length}`, "number")}`;
      if (typed) return [size];
      const shown = min(max(0, walk.options.maxArrayLength), length);
      const hex = bytesToHex(new Uint8Array(value, 0, shown));
      let text = "";
      for (let i = 0; i < hex.length; i += 2) text += (i === 0 ? "" : " ") + stringSlice(hex, i, i + 2);
      const left = length - shown;
      if (left > 0) text += ` ... ${left} more byte${left > 1 ? "s" : ""}`;
      return [`${paint(walk, "[Uint8Contents]", "special")}: <${text}>`, size];
    };
    return true;
  }
  if (isView(value)) {
    shape.open = `${prefixOf(name, tag, "DataView")}{`;
    shape.items = (level) => writePairs(
      walk, ["byteLength", dataViewByteLength(value), "byteOffset", dataViewByteOffset(value), "buffer", dataViewBuffer(value)], level,
    );
    return true;
  }
  return boxedShape(walk, value, name, tag, shape);
}

function boxedShape(walk: Walk, value: any, name: string | null, tag: string, shape: Shape): boolean {
  const readers: [string, (value: any) => any][] = [
    ["Number", numberValueOf], ["String", stringValueOf], ["Boolean", booleanValueOf], ["BigInt", bigintValueOf],
    ["Symbol", symbolValueOf],
  ];
  for (let i = 0; i < readers.length; i++) {
    const kind = readers[i]![0];
    const primitive = attempt(() => readers[i]![1](value));
    if (primitive === undefined) continue;
    if (kind === "String") shape.keys = arraySlice(shape.keys, walk.options.showHidden ? primitive.length + 1 : primitive.length);
    let text = `[${kind}`;
    if (kind !== name) text += name === null ? " (null prototype)" : ` (${name})`;
    const plain: Walk = { ...walk, options: { ...walk.options, colors: false, breakLength: Infinity } };
    text += `: ${writePrimitive(plain, primitive)}]`;
    if (tag !== "" && tag !== name) text += ` [${tag}]`;
    shape.base = text;
    shape.empty = paint(walk, text, stringLower(kind));
    return true;
  }
  return false;
}

function writeElements(walk: Walk, value: any[], level: number): string[] {
  const output: string[] = [];
  const shown = min(max(0, walk.options.maxArrayLength), value.length);
  let left = value.length - shown;
  let i = 0;
  for (; i < value.length && output.length < shown; i++) {
    if (hasOwn(value, i)) {
      output[output.length] = writeProperty(walk, value, level, i, ELEMENT);
      continue;
    }
    let holes = 0;
    while (i < value.length && !hasOwn(value, i)) {
      holes++;
      i++;
    }
    i--;
    output[output.length] = paint(walk, `<${holes} empty item${holes > 1 ? "s" : ""}>`, "undefined");
  }
  left = value.length - i;
  if (left > 0) output[output.length] = `... ${left} more item${left > 1 ? "s" : ""}`;
  return output;
}

function writeNumbers(walk: Walk, value: any, length: number, level: number): string[] {
  const output: string[] = [];
  const shown = min(max(0, walk.options.maxArrayLength), length);
  for (let i = 0; i < shown; i++) output[i] = writePrimitive(walk, value[i]);
  if (length > shown) output[shown] = `... ${length - shown} more item${length - shown > 1 ? "s" : ""}`;
  if (walk.options.showHidden) {
    walk.indentation += 2;
    const fields = ["BYTES_PER_ELEMENT", "length", "byteLength", "byteOffset", "buffer"];
    for (let i = 0; i < fields.length; i++) output[output.length] = `[${fields[i]}]: ${writeValue(walk, value[fields[i]!], level, true)}`;
    walk.indentation -= 2;
  }
  return output;
}

const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;

export function writeProperty(walk: Walk, value: any, level: number, key: any, kind: number): string {
  const own = getOwnPropertyDescriptor(value, key) ?? { value: value[key], enumerable: true };
  let text: string;
  let gap = " ";
  if (own.get !== undefined) text = getterText(walk, value, own, level);
  else if (own.set !== undefined) text = paint(walk, "[Setter]", "special");
  else {
    const deeper = walk.options.compact !== true || kind !== OBJECT ? 2 : 3;
    walk.indentation += deeper;
    text = writeValue(walk, own.value, level);
    if (deeper === 3 && walk.options.breakLength < stripControl(text).length) gap = `\n${stringRepeat(" ", walk.indentation)}`;
    walk.indentation -= deeper;
  }
  if (kind === ELEMENT) return text;
  return `${keyText(walk, key, own)}:${gap}${text}`;
}

function keyText(walk: Walk, key: any, own: PropertyDescriptor): string {
  if (typeof key === "symbol") return `[${paint(walk, symbolToString(key), "symbol")}]`;
  if (key === "__proto__") return "['__proto__']";
  if (own.enumerable === false) return `[${key}]`;
  return regExpExec(IDENTIFIER, key) === null ? paint(walk, strEscape(key), "string") : key;
}

function getterText(walk: Walk, value: any, own: PropertyDescriptor, level: number): string {
  const label = own.set === undefined ? "Getter" : "Getter/Setter";
  const { getters } = walk.options;
  const wanted = getters === true || (getters === "get" && own.set === undefined) || (getters === "set" && own.set !== undefined);
  if (!wanted) return paint(walk, `[${label}]`, "special");
  try {
    const got = apply(own.get as any, value, []);
    walk.indentation += 2;
    const text = got === null ? `[${label}: null]`
      : typeof got === "object" ? `[${label}] ${writeValue(walk, got, level)}` : `[${label}: ${writePrimitive(walk, got)}]`;
    walk.indentation -= 2;
    return text;
  } catch (error) {
    return paint(walk, `[${label}: <Inspection threw (${(error as any)?.message})>]`, "special");
  }
}
