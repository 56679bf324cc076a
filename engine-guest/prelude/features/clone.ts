/**
 * `structuredClone`: values, built-in containers, errors and bytes, cycles included. What has behaviour (functions,
 * symbols, promises, platform objects such as `Response`) is a DataCloneError.
 */
import { blobBytes, blobFrom, blobType, fileName, isBlob, isFile, renamedFile } from "../blob.ts";
import { cloneOther } from "../cloners.ts";
import { DOMException } from "../errors.ts";
import { peekWeb } from "../inspect-web.ts";
import { detach, promiseState } from "../native.ts";
import {
  BigInt, Boolean, DataView, Date, Error, Map, Number, Object, RegExp, Set, String, TypeError,
  Uint8Array, arrayBufferDetached, arrayIndexOf, dataViewByteLength, dataViewByteOffset, dateGetTime, defineProperty,
  getOwnPropertyDescriptor, hasOwn, isArray, isArrayBuffer, isView, mapForEach, mapGet, mapHas, mapSet, objectKeys,
  objectToString, regExpFlags, regExpSource, setAdd, setForEach, toStr, typedArrayBuffer, typedArrayByteOffset,
  typedArrayTag, typedArrayLength, dataViewBuffer, uncurry,
} from "../primordials.ts";
import { dictionary, readSequence } from "../webidl.ts";

type Seen = Map<object, object>;

const booleanValue = uncurry(Boolean.prototype.valueOf);
const numberValue = uncurry(Number.prototype.valueOf);
const stringValue = uncurry(String.prototype.valueOf);
const bigintValue = uncurry(BigInt.prototype.valueOf);

const TYPED: Record<string, any> = { __proto__: null };
for (const name of [
  "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
  "BigInt64Array", "BigUint64Array", "Float16Array", "Float32Array", "Float64Array",
]) TYPED[name] = (globalThis as any)[name];

const ERRORS: Record<string, any> = { __proto__: null };
for (const name of ["Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError"]) {
  ERRORS[name] = (globalThis as any)[name];
}

function refuse(what: string): never {
  throw new DOMException(`structuredClone: ${what} cannot be cloned`, "DataCloneError");
}

/** What messaging.ts, where ports are at home, knows of them. */
interface Ports {
  isPort(value: unknown): boolean;
  isDetached(port: any): boolean;
  /** A port without an end, and what gives it the end of another. */
  make(): object;
  move(from: any, to: any): void;
}

let ports: Ports = { isPort: () => false, isDetached: () => false, make: () => ({}), move: () => {} };

export function setPorts(known: Ports): void {
  ports = known;
}

export function structuredClone(value: any, options: any = undefined): any {
  if (arguments.length === 0) throw new TypeError("structuredClone needs a value");
  const { transfer } = dictionary(options, "the options of structuredClone");
  return cloneWith(value, transfer === undefined ? [] : readSequence(transfer, "transfer"), null).value;
}

/**
 * Clones a value and transfers what is listed. Nothing is transferred unless everything could be cloned. `through` is
 * the port that the clone is sent through, which cannot go with it.
 */
export function cloneWith(value: any, transfer: unknown[], through: unknown): { value: any; ports: object[] } {
  const seen: Seen = new Map();
  const moved: object[] = [];
  for (let i = 0; i < transfer.length; i++) {
    const item: any = transfer[i];
    const isPort = ports.isPort(item);
    if (!isPort && !isArrayBuffer(item)) refuse("an entry of transfer that is neither an ArrayBuffer nor a MessagePort");
    if (arrayIndexOf(transfer, item) !== i) refuse("an object listed twice in transfer");
    if (item === through) refuse("a port that is sent through itself");
    if (isPort ? ports.isDetached(item) : arrayBufferDetached(item)) refuse("an object that has been transferred");
    if (isPort) moved[moved.length] = remember(seen, item, ports.make());
  }
  const result = copy(value, seen);
  for (let i = 0; i < transfer.length; i++) {
    const item: any = transfer[i];
    if (ports.isPort(item)) ports.move(item, mapGet(seen, item));
    else detach(item);
  }
  return { value: result, ports: moved };
}

function copy(value: any, seen: Seen): any {
  if (typeof value === "symbol") refuse("a symbol");
  if (typeof value === "function") refuse(`the function ${value.name === "" ? "(anonymous)" : toStr(value.name)}`);
  if (typeof value !== "object" || value === null) return value;
  if (mapHas(seen, value)) return mapGet(seen, value);
  if (ports.isPort(value)) refuse("a MessagePort that is not transferred");
  if (isArray(value)) return copyArray(value, seen);
  if (isView(value)) return copyView(value, seen);
  if (isArrayBuffer(value)) return remember(seen, value, copyBuffer(value));
  if (value instanceof Error) return copyError(value, seen);
  return copyTagged(value, seen) ?? copyPlain(value, seen);
}

function remember<T extends object>(seen: Seen, from: object, to: T): T {
  mapSet(seen, from, to);
  return to;
}

function copyBuffer(buffer: ArrayBuffer): ArrayBuffer {
  return typedArrayBuffer(new Uint8Array(new Uint8Array(buffer)));
}

function copyArray(value: unknown[], seen: Seen): unknown[] {
  const to: unknown[] = remember(seen, value, []);
  to.length = value.length;
  copyProperties(value, to, seen);
  return to;
}

function copyProperties(from: any, to: any, seen: Seen): void {
  const keys = objectKeys(from);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (!hasOwn(from, key)) continue;
    defineProperty(to, key, { value: copy(from[key], seen), writable: true, enumerable: true, configurable: true });
  }
}

function copyView(value: any, seen: Seen): any {
  const tag: string | undefined = typedArrayTag(value);
  const buffer = copy(tag === undefined ? dataViewBuffer(value) : typedArrayBuffer(value), seen);
  const view = tag === undefined
    ? new DataView(buffer, dataViewByteOffset(value), dataViewByteLength(value))
    : new TYPED[tag](buffer, typedArrayByteOffset(value), typedArrayLength(value));
  return remember(seen, value, view);
}

/** A data property's value, as text; nothing that would run a getter. */
function ownText(value: object, key: string): string | undefined {
  const own = getOwnPropertyDescriptor(value, key);
  return own === undefined || own.value === undefined ? undefined : toStr(own.value);
}

function copyError(value: any, seen: Seen): Error {
  const name = toStr(value.name ?? "Error");
  const to = value instanceof DOMException
    ? new DOMException(value.message, name)
    : new (ERRORS[name] ?? Error)(ownText(value, "message"));
  remember(seen, value, to);
  // Not an own data property in QuickJS, so it is read as anybody would.
  const { stack } = value;
  if (typeof stack === "string") defineProperty(to, "stack", { value: stack, writable: true, configurable: true });
  const cause = getOwnPropertyDescriptor(value, "cause");
  if (cause !== undefined && "value" in cause) {
    defineProperty(to, "cause", { value: copy(cause.value, seen), writable: true, configurable: true });
  }
  return to;
}

/** Built-ins known by their tag; undefined for anything else. */
function copyTagged(value: any, seen: Seen): object | undefined {
  if (isBlob(value)) {
    return remember(seen, value, isFile(value)
      ? renamedFile(value, fileName(value)) : blobFrom(blobBytes(value), blobType(value)));
  }
  const clone = cloneOther(value);
  if (clone !== null) return remember(seen, value, clone);
  try {
    switch (objectToString(value)) {
      case "[object Date]": return remember(seen, value, new Date(dateGetTime(value)));
      case "[object RegExp]": return remember(seen, value, new RegExp(regExpSource(value), regExpFlags(value)));
      case "[object Boolean]": return remember(seen, value, Object(booleanValue(value)));
      case "[object Number]": return remember(seen, value, Object(numberValue(value)));
      case "[object String]": return remember(seen, value, Object(stringValue(value)));
      case "[object BigInt]": return remember(seen, value, Object(bigintValue(value)));
    }
  } catch (error) {
    // Its tag says what it is not. Anything else, the end of the stack for example, is no word on that.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
  return copyContainer(value, seen);
}

function copyContainer(value: any, seen: Seen): object | undefined {
  const tag = objectToString(value);
  if (tag === "[object Map]" && isReally(() => mapHas(value, 0))) {
    const to = remember(seen, value, new Map<unknown, unknown>());
    const pairs: unknown[] = [];
    mapForEach(value, (item: unknown, key: unknown) => {
      pairs[pairs.length] = key;
      pairs[pairs.length] = item;
    });
    for (let i = 0; i < pairs.length; i += 2) mapSet(to, copy(pairs[i], seen), copy(pairs[i + 1], seen));
    return to;
  }
  if (tag === "[object Set]" && isReally(() => setForEach(value, () => {}))) {
    const to = remember(seen, value, new Set<unknown>());
    const items: unknown[] = [];
    setForEach(value, (item: unknown) => {
      items[items.length] = item;
    });
    for (let i = 0; i < items.length; i++) setAdd(to, copy(items[i], seen));
    return to;
  }
  return undefined;
}

function isReally(probe: () => unknown): boolean {
  try {
    probe();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

const UNCLONEABLE: Record<string, string> = {
  __proto__: null as any,
  "[object WeakMap]": "a WeakMap", "[object WeakSet]": "a WeakSet", "[object WeakRef]": "a WeakRef",
  "[object ReadableStream]": "a ReadableStream", "[object WritableStream]": "a WritableStream",
  "[object TransformStream]": "a TransformStream", "[object Generator]": "a generator",
};

function copyPlain(value: any, seen: Seen): object {
  const state = promiseState(value);
  if (state === 0 || state === 1 || state === 2) refuse("a promise");
  const web = peekWeb(value);
  if (web !== null) refuse(`a ${web.name}`);
  const known = UNCLONEABLE[objectToString(value)];
  if (known !== undefined) refuse(known);
  const to = remember(seen, value, {});
  copyProperties(value, to, seen);
  return to;
}
