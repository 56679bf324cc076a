/**
 * The built-ins that the prelude itself relies on, taken before any user code runs.
 *
 * A worker may overwrite `Promise`, `Array.prototype.push` or `String.prototype.slice`; the prelude must go on
 * working. So its modules import constructors from here (shadowing the globals by the same name) and call prototype
 * methods in uncurried form: `mapGet(map, key)`. Arrays of the prelude's own are grown with `a[a.length] = x`, which
 * consults no prototype.
 */

const G = globalThis as any;
const { bind, call } = Function.prototype;

/** Turns a method into a function that takes its receiver first. */
export const uncurry = bind.bind(call) as unknown as (method: unknown) => (...args: any[]) => any;

/** Turns the getter `key` of `proto` into a function of the receiver. */
export function uncurryGetter(proto: object, key: PropertyKey): (self: any) => any {
  return uncurry(G.Object.getOwnPropertyDescriptor(proto, key)!.get) as any;
}

export const Promise = G.Promise as PromiseConstructor;
export const Error = G.Error as ErrorConstructor;
export const TypeError = G.TypeError as TypeErrorConstructor;
export const RangeError = G.RangeError as RangeErrorConstructor;
export const SyntaxError = G.SyntaxError as SyntaxErrorConstructor;
export const Map = G.Map as MapConstructor;
export const Set = G.Set as SetConstructor;
export const WeakSet = G.WeakSet as WeakSetConstructor;
export const Date = G.Date as DateConstructor;
export const RegExp = G.RegExp as RegExpConstructor;
export const String = G.String as StringConstructor;
export const Number = G.Number as NumberConstructor;
export const Boolean = G.Boolean as BooleanConstructor;
export const BigInt = G.BigInt as BigIntConstructor;
export const Symbol = G.Symbol as SymbolConstructor;
export const Object = G.Object as ObjectConstructor;
export const Array = G.Array as ArrayConstructor;
export const ArrayBuffer = G.ArrayBuffer as ArrayBufferConstructor;
export const Uint8Array = G.Uint8Array as Uint8ArrayConstructor;
export const Proxy = G.Proxy as ProxyConstructor;
export const DataView = G.DataView as DataViewConstructor;

export const jsonParse: (text: string) => any = JSON.parse;
export const jsonStringify: (value: unknown) => string | undefined = JSON.stringify;

export const { min, max, floor, trunc } = Math;
export const { isArray } = Array;
export const { isView } = ArrayBuffer;
export const { isInteger } = Number;
export const { fromCharCode } = String;
export const { ownKeys, apply, construct } = Reflect;
export const {
  keys: objectKeys, create: objectCreate, defineProperty, defineProperties, getOwnPropertyDescriptor,
  getPrototypeOf, setPrototypeOf, freeze,
} = Object;

/** Calls `value.toString()` as the language does, but refuses symbols as WebIDL does. */
export function toStr(value: unknown): string {
  return typeof value === "string" ? value : `${value as any}`;
}

/** True for objects and functions. */
export function isObject(value: unknown): value is any {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

export const hasOwn = uncurry(Object.prototype.hasOwnProperty);
export const objectToString = uncurry(Object.prototype.toString);
export const functionToString = uncurry(Function.prototype.toString);

export const promiseThen = uncurry(Promise.prototype.then);
export const promiseResolved: <T>(value: T) => Promise<T> = Promise.resolve.bind(Promise) as any;
export const promiseRejected: (reason: unknown) => Promise<never> = Promise.reject.bind(Promise) as any;

export const mapGet = uncurry(Map.prototype.get);
export const mapSet = uncurry(Map.prototype.set);
export const mapHas = uncurry(Map.prototype.has);
export const mapDelete = uncurry(Map.prototype.delete);
export const mapForEach = uncurry(Map.prototype.forEach);
export const mapSize = uncurryGetter(Map.prototype, "size");
export const setAdd = uncurry(Set.prototype.add);
export const setHas = uncurry(Set.prototype.has);
export const setDelete = uncurry(Set.prototype.delete);
export const setForEach = uncurry(Set.prototype.forEach);
export const setSize = uncurryGetter(Set.prototype, "size");

export const WeakMap = G.WeakMap as WeakMapConstructor;
export const weakMapGet = uncurry(WeakMap.prototype.get);
export const weakMapSet = uncurry(WeakMap.prototype.set);

export const arrayJoin = uncurry(Array.prototype.join);
export const arrayIndexOf = uncurry(Array.prototype.indexOf);
export const arraySlice = uncurry(Array.prototype.slice);
export const arraySplice = uncurry(Array.prototype.splice);
export const arrayShift = uncurry(Array.prototype.shift);
export const arraySort = uncurry(Array.prototype.sort);

export const stringSlice = uncurry(String.prototype.slice);
export const stringIndexOf = uncurry(String.prototype.indexOf);
export const stringLastIndexOf = uncurry(String.prototype.lastIndexOf);
export const stringCharCodeAt = uncurry(String.prototype.charCodeAt);
export const stringLower = uncurry(String.prototype.toLowerCase);
export const stringUpper = uncurry(String.prototype.toUpperCase);
export const stringSplit = uncurry(String.prototype.split);
export const stringTrim = uncurry(String.prototype.trim);
export const stringStartsWith = uncurry(String.prototype.startsWith);
export const stringRepeat = uncurry(String.prototype.repeat);
export const stringReplaceAll = uncurry(String.prototype.replaceAll);
export const stringPadEnd = uncurry(String.prototype.padEnd);
export const stringWellFormed = uncurry((String.prototype as any).toWellFormed);
export const numberToString = uncurry(Number.prototype.toString);
export const numberToFixed = uncurry(Number.prototype.toFixed);
export const symbolToString = uncurry(Symbol.prototype.toString);
export const regExpExec = uncurry(RegExp.prototype.exec);
export const regExpSource = uncurryGetter(RegExp.prototype, "source");
export const regExpFlags = uncurryGetter(RegExp.prototype, "flags");
export const dateGetTime = uncurry(Date.prototype.getTime);
export const dateToISOString = uncurry(Date.prototype.toISOString);

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
export const typedArrayTag = uncurryGetter(TypedArrayPrototype, Symbol.toStringTag);
export const typedArrayBuffer = uncurryGetter(TypedArrayPrototype, "buffer");
export const typedArrayLength = uncurryGetter(TypedArrayPrototype, "length");
export const typedArrayByteOffset = uncurryGetter(TypedArrayPrototype, "byteOffset");
export const typedArrayByteLength = uncurryGetter(TypedArrayPrototype, "byteLength");
export const typedArraySet = uncurry(TypedArrayPrototype.set);
export const typedArraySubarray = uncurry(TypedArrayPrototype.subarray);
const TYPED_ARRAYS = Object.create(null);
for (const name of [
  "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
  "Float16Array", "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array",
]) {
  TYPED_ARRAYS[name] = G[name];
}
/** The constructor of typed arrays by its name. */
export const typedArrayConstructor = (name: string): any => TYPED_ARRAYS[name];
export const dataViewBuffer = uncurryGetter(DataView.prototype, "buffer");
export const dataViewByteOffset = uncurryGetter(DataView.prototype, "byteOffset");
export const dataViewByteLength = uncurryGetter(DataView.prototype, "byteLength");
export const arrayBufferByteLength = uncurryGetter(ArrayBuffer.prototype, "byteLength");
export const arrayBufferTransfer = uncurry((ArrayBuffer.prototype as any).transfer);
export const arrayBufferDetached = uncurryGetter(ArrayBuffer.prototype, "detached");
export const arrayBufferSlice = uncurry(ArrayBuffer.prototype.slice);

export const IteratorPrototype = getPrototypeOf(getPrototypeOf([][Symbol.iterator]()));
export const AsyncIteratorPrototype = getPrototypeOf(getPrototypeOf((async function* () {}).prototype));

/** True for an `ArrayBuffer` of this realm, whatever its prototype says. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  if (!isObject(value)) return false;
  try {
    arrayBufferByteLength(value);
    return true;
  } catch {
    return false;
  }
}

/** The bytes of an `ArrayBuffer` or view, sharing memory with it; `null` for anything else. */
export function bytesOf(value: unknown): Uint8Array | null {
  if (isView(value)) {
    const typed = typedArrayTag(value) !== undefined;
    if (typed) return new Uint8Array(typedArrayBuffer(value), typedArrayByteOffset(value), typedArrayByteLength(value));
    return new Uint8Array(dataViewBuffer(value), dataViewByteOffset(value), dataViewByteLength(value));
  }
  return isArrayBuffer(value) ? new Uint8Array(value) : null;
}

/** True for a `Uint8Array` proper. */
export function isUint8Array(value: unknown): value is Uint8Array {
  return isView(value) && typedArrayTag(value) === "Uint8Array";
}

/** Joins chunks into one array of bytes. */
export function concatBytes(chunks: Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  let length = 0;
  for (let i = 0; i < chunks.length; i++) length += typedArrayByteLength(chunks[i]);
  const whole = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < chunks.length; i++) {
    typedArraySet(whole, chunks[i], at);
    at += typedArrayByteLength(chunks[i]);
  }
  return whole;
}

export interface Deferred<T> {
  promise: Promise<T>;
  resolve: (value?: T | PromiseLike<T>) => void;
  reject: (reason?: unknown) => void;
}

/** A promise with its two ends. */
export function deferred<T>(): Deferred<T> {
  let resolve: any;
  let reject: any;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const ignore = (): void => {};

/** Marks a promise as handled, so that its rejection is not reported. */
export function markHandled(promise: Promise<unknown>): void {
  promiseThen(promise, undefined, ignore);
}

/** Gives a class getters that the guest has made. */
export function giveGetters(proto: object, getters: object): void {
  const names = ownKeys(getters);
  for (let i = 0; i < names.length; i++) {
    const { get } = getOwnPropertyDescriptor(getters, names[i]!)!;
    defineProperty(proto, names[i]!, { get, enumerable: true, configurable: true });
  }
}

/**
 * Gives classes the shape WebIDL asks for: enumerable members, a `Symbol.toStringTag`, and the right `length` where
 * the constructor has no default parameters for the sake of speed (they cost QuickJS a second set of variables).
 */
export function webClass(ctor: { prototype: object; name: string; length: number }, length: number = ctor.length): void {
  defineProperty(ctor, "length", { value: length });
  const proto = ctor.prototype;
  const names = ownKeys(proto);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (typeof name === "string" && name !== "constructor") defineProperty(proto, name, { enumerable: true });
  }
  defineProperty(proto, Symbol.toStringTag, { value: ctor.name, configurable: true });
}
