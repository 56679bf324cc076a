/**
 * Writes any value out for a person: what `console` prints. Getters are named, not called, and it never throws.
 */
import {
  Error, arrayBufferByteLength, arrayIndexOf, bytesOf, dateGetTime, dateToISOString,
  functionToString, getOwnPropertyDescriptor, getPrototypeOf, isArray, isArrayBuffer, isView, jsonStringify,
  mapForEach, mapSize, min, numberToString, objectToString, ownKeys, regExpExec, regExpFlags, regExpSource, setForEach, setSize, stringIndexOf,
  stringReplaceAll, stringSlice, stringStartsWith, symbolToString, typedArrayTag,
} from "./primordials.ts";
import { framesOf } from "./errors.ts";
import { promiseResult, promiseState } from "./native.ts";
import { peekWeb } from "./inspect-web.ts";

export interface InspectOptions {
  /** How deep objects are opened. */
  depth: number;
}

const DEPTH = 2;
const ITEMS_MAX = 100;
const STRING_MAX = 10_000;
const LINE_MAX = 76;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

interface Walk {
  depth: number;
  seen: object[];
}

/** The value as text; strings inside are quoted. */
export function inspect(value: unknown, options: InspectOptions = { depth: DEPTH }): string {
  try {
    return write(value, { depth: options.depth, seen: [] }, 0);
  } catch {
    return "[a value that cannot be shown]";
  }
}

function quote(text: string): string {
  const shown = text.length > STRING_MAX
    ? `${stringSlice(text, 0, STRING_MAX)}… ${text.length - STRING_MAX} more characters` : text;
  if (stringIndexOf(shown, "'") < 0) {
    const escaped = stringSlice(jsonStringify(shown)!, 1, -1);
    return `'${stringReplaceAll(escaped, '\\"', '"')}'`;
  }
  return jsonStringify(shown)!;
}

function write(value: any, walk: Walk, level: number): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return value === 0 && 1 / value < 0 ? "-0" : numberToString(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return symbolToString(value);
    case "undefined": case "boolean":
      return `${value}`;
  }
  if (value === null) return "null";
  if (arrayIndexOf(walk.seen, value) >= 0) return "[Circular]";
  walk.seen[walk.seen.length] = value;
  const text = writeObject(value, walk, level);
  walk.seen.length--;
  return text;
}

function constructorName(value: object): string | null {
  for (let at: any = value; at !== null; at = getPrototypeOf(at)) {
    const own = getOwnPropertyDescriptor(at, "constructor");
    if (own !== undefined && typeof own.value === "function" && typeof own.value.name === "string" && own.value.name !== "") {
      return own.value.name;
    }
  }
  return null;
}

function writeObject(value: any, walk: Walk, level: number): string {
  const name = constructorName(value);
  if (isError(value)) return writeError(value, walk, level);
  if (typeof value === "function") return withProperties(functionName(value), value, walk, level);
  if (isArray(value)) {
    const prefix = name === "Array" ? "" : `${name ?? "[null prototype]"}(${value.length}) `;
    return level > walk.depth ? `[${name ?? "Array"}]` : block(prefix, "[", listItems(value as any, walk, level), "]", level);
  }
  const special = writeSpecial(value, name, walk, level);
  if (special !== null) return special;
  const prefix = name === "Object" ? "" : name === null ? "[Object: null prototype] " : `${name} `;
  if (level > walk.depth) return `[${name ?? "Object"}]`;
  return block(prefix, "{", properties(value, walk, level, false), "}", level);
}

/** Built-ins that have a form of their own; null for ordinary objects. */
function writeSpecial(value: any, name: string | null, walk: Walk, level: number): string | null {
  const web = peekWeb(value);
  if (web !== null) {
    if (level > walk.depth) return `[${name ?? web.name}]`;
    const items: string[] = [];
    for (let i = 0; i < web.fields.length; i += 2) {
      items[items.length] = `${web.fields[i]}: ${write(web.fields[i + 1], walk, level + 1)}`;
    }
    return block(`${web.name} `, "{", items, "}", level);
  }
  if (isView(value)) {
    if (typedArrayTag(value) === undefined) return `DataView { byteLength: ${bytesOf(value)!.length} }`;
    return block(`${name ?? typedArrayTag(value)}(${(value as any).length}) `, "[", listItems(value as any, walk, level), "]", level);
  }
  if (isArrayBuffer(value)) return `ArrayBuffer { byteLength: ${arrayBufferByteLength(value)} }`;
  const state = promiseState(value);
  if (state === 0) return "Promise { <pending> }";
  if (state === 1) return `Promise { ${write(promiseResult(value), walk, level + 1)} }`;
  if (state === 2) return `Promise { <rejected> ${write(promiseResult(value), walk, level + 1)} }`;
  switch (objectToString(value)) {
    case "[object Date]": return tryWrite(() => dateText(value));
    case "[object RegExp]": return tryWrite(() => `/${regExpSource(value)}/${regExpFlags(value)}`);
    case "[object Map]": return tryWrite(() => mapText(value, name, walk, level));
    case "[object Set]": return tryWrite(() => setText(value, name, walk, level));
    case "[object Boolean]": case "[object Number]": case "[object String]":
      return tryWrite(() => `[${name}: ${write(value.valueOf(), walk, level)}]`);
    default: return null;
  }
}

/** The text, or null where the object only claims to be of that kind. */
function tryWrite(make: () => string): string | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function dateText(value: Date): string {
  const time = dateGetTime(value);
  return time !== time ? "Invalid Date" : dateToISOString(value);
}

function mapText(value: Map<unknown, unknown>, name: string | null, walk: Walk, level: number): string {
  const size: number = mapSize(value);
  if (level > walk.depth) return `[${name}]`;
  const items: string[] = [];
  mapForEach(value, (item: unknown, key: unknown) => {
    if (items.length < ITEMS_MAX) items[items.length] = `${write(key, walk, level + 1)} => ${write(item, walk, level + 1)}`;
  });
  more(items, size);
  return block(`${name}(${size}) `, "{", items, "}", level);
}

function setText(value: Set<unknown>, name: string | null, walk: Walk, level: number): string {
  const size: number = setSize(value);
  if (level > walk.depth) return `[${name}]`;
  const items: string[] = [];
  setForEach(value, (item: unknown) => {
    if (items.length < ITEMS_MAX) items[items.length] = write(item, walk, level + 1);
  });
  more(items, size);
  return block(`${name}(${size}) `, "{", items, "}", level);
}

function more(items: string[], size: number): void {
  if (size > items.length) items[items.length] = `… ${size - items.length} more`;
}

function functionName(value: any): string {
  const source: string = tryWrite(() => functionToString(value)) ?? "";
  const own = getOwnPropertyDescriptor(value, "name");
  const name = own !== undefined && typeof own.value === "string" ? own.value : "";
  if (stringStartsWith(source, "class")) return name === "" ? "[class (anonymous)]" : `[class ${name}]`;
  return name === "" ? "[Function (anonymous)]" : `[Function: ${name}]`;
}

function isError(value: any): boolean {
  return value instanceof Error;
}

/** An error as its stack, with its cause, its errors and whatever else it carries. */
function writeError(value: any, walk: Walk, level: number): string {
  const head = value.message === "" ? `${value.name}` : `${value.name}: ${value.message}`;
  const stack = typeof value.stack === "string" ? value.stack : "";
  // What was renamed after it was made is shown under its new name.
  const frames = framesOf(stack, value.name, value.message);
  let text = frames === "" ? (stack === "" ? head : stack) : `${head}\n${frames}`;
  while (text[text.length - 1] === "\n") text = stringSlice(text, 0, -1);
  if (level > walk.depth) return `[${head}]`;
  const items = properties(value, walk, level, true);
  const cause = getOwnPropertyDescriptor(value, "cause");
  if (cause !== undefined) items[items.length] = `[cause]: ${write(cause.value, walk, level + 1)}`;
  const errors = getOwnPropertyDescriptor(value, "errors");
  if (errors !== undefined && isArray(errors.value)) items[items.length] = `[errors]: ${write(errors.value, walk, level + 1)}`;
  return items.length === 0 ? text : block(`${text} `, "{", items, "}", level);
}

function withProperties(head: string, value: object, walk: Walk, level: number): string {
  const items = level > walk.depth ? [] : properties(value, walk, level, false);
  return items.length === 0 ? head : block(`${head} `, "{", items, "}", level);
}

function listItems(value: ArrayLike<unknown>, walk: Walk, level: number): string[] {
  const items: string[] = [];
  const shown = min(value.length, ITEMS_MAX);
  let holes = 0;
  for (let i = 0; i < shown; i++) {
    const own = getOwnPropertyDescriptor(value, i);
    if (own === undefined) {
      holes++;
      continue;
    }
    if (holes > 0) items[items.length] = holesText(holes);
    holes = 0;
    items[items.length] = descriptorText(own, walk, level);
  }
  if (holes > 0) items[items.length] = holesText(holes);
  if (value.length > shown) items[items.length] = `… ${value.length - shown} more`;
  return items;
}

function holesText(count: number): string {
  return count === 1 ? "<1 empty item>" : `<${count} empty items>`;
}

function descriptorText(own: PropertyDescriptor, walk: Walk, level: number): string {
  if (own.get !== undefined) return own.set === undefined ? "[Getter]" : "[Getter/Setter]";
  if (own.set !== undefined) return "[Setter]";
  return write(own.value, walk, level + 1);
}

function properties(value: object, walk: Walk, level: number, ofError: boolean): string[] {
  const items: string[] = [];
  const keys = ownKeys(value);
  let left = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const own = getOwnPropertyDescriptor(value, key);
    if (own === undefined || !own.enumerable) continue;
    if (ofError && (key === "stack" || key === "message" || key === "cause" || key === "errors")) continue;
    if (items.length >= ITEMS_MAX) {
      left++;
      continue;
    }
    items[items.length] = `${keyText(key)}: ${descriptorText(own, walk, level)}`;
  }
  if (left > 0) items[items.length] = `… ${left} more`;
  return items;
}

function keyText(key: string | symbol): string {
  if (typeof key === "symbol") return `[${symbolToString(key)}]`;
  return regExpExec(IDENTIFIER, key) === null ? quote(key) : key;
}

/** Items between brackets: on one line if they fit, else one to a line. */
function block(prefix: string, open: string, items: string[], close: string, level: number): string {
  if (items.length === 0) return `${prefix}${open}${close}`;
  let length = prefix.length + level * 2;
  let tall = false;
  for (let i = 0; i < items.length; i++) {
    length += items[i]!.length + 2;
    tall ||= stringIndexOf(items[i], "\n") >= 0;
  }
  if (!tall && length <= LINE_MAX) {
    let line = "";
    for (let i = 0; i < items.length; i++) line += (i === 0 ? " " : ", ") + items[i];
    return `${prefix}${open}${line} ${close}`;
  }
  let text = "";
  for (let i = 0; i < items.length; i++) {
    text += `${i === 0 ? "" : ","}\n  ${stringReplaceAll(items[i], "\n", "\n  ")}`;
  }
  return `${prefix}${open}${text}\n${close}`;
}
