/**
 * Built-ins that only features and `node:` modules need. Those may be evaluated after code of the worker ran, so what
 * they rely on is taken here, with the rest of the prelude; see primordials.ts.
 */
import { Array, Object, String, Symbol, Uint8Array, uncurry, uncurryGetter } from "./primordials.ts";

const G = globalThis as any;

export const WeakMap = G.WeakMap as WeakMapConstructor;
export const WeakSet = G.WeakSet as WeakSetConstructor;
export const WeakRef = G.WeakRef as any;
export const Proxy = G.Proxy as ProxyConstructor;
export const Function = G.Function as FunctionConstructor;
export const AggregateError = G.AggregateError as any;
export const EvalError = G.EvalError as EvalErrorConstructor;
export const ReferenceError = G.ReferenceError as ReferenceErrorConstructor;
export const URIError = G.URIError as URIErrorConstructor;
export const Uint16Array = G.Uint16Array as Uint16ArrayConstructor;
export const Uint32Array = G.Uint32Array as Uint32ArrayConstructor;
export const Float32Array = G.Float32Array as Float32ArrayConstructor;
export const Float64Array = G.Float64Array as Float64ArrayConstructor;
export const SharedArrayBuffer = G.SharedArrayBuffer as any;

export const {
  encodeURIComponent, decodeURIComponent, parseInt, parseFloat,
} = G as {
  encodeURIComponent(text: any): string; decodeURIComponent(text: string): string;
  parseInt(text: any, radix?: number): number; parseFloat(text: any): number;
};
export const { abs, ceil, pow } = G.Math as Math;
export const { isSafeInteger, isNaN, isFinite } = G.Number as NumberConstructor;
export const {
  getOwnPropertyNames, getOwnPropertySymbols, getOwnPropertyDescriptors, is: objectIs, assign: objectAssign,
  entries: objectEntries, values: objectValues,
} = Object;
export const { for: symbolFor, iterator: symbolIterator, asyncIterator: symbolAsyncIterator } = Symbol as any;
export const captureStackTrace: (target: object, above?: unknown) => void = G.Error.captureStackTrace;

export const propertyIsEnumerable = uncurry(Object.prototype.propertyIsEnumerable);
export const isPrototypeOf = uncurry(Object.prototype.isPrototypeOf);
export const functionBind = uncurry(G.Function.prototype.bind);
export const hasInstance = uncurry(G.Function.prototype[Symbol.hasInstance]);
export const promiseCatch = uncurry(G.Promise.prototype.catch);
export const promiseFinally = uncurry(G.Promise.prototype.finally);

export const stringEndsWith = uncurry(String.prototype.endsWith);
export const stringLastIndexOf = uncurry(String.prototype.lastIndexOf);
export const stringReplace = uncurry(String.prototype.replace);
export const stringMatch = uncurry(String.prototype.match);
export const stringPadStart = uncurry(String.prototype.padStart);
export const stringTrimEnd = uncurry((String.prototype as any).trimEnd);
export const stringCodePointAt = uncurry(String.prototype.codePointAt);
export const stringNormalize = uncurry(String.prototype.normalize);
export const symbolDescription = uncurryGetter(Symbol.prototype, "description");
export const symbolValueOf = uncurry(Symbol.prototype.valueOf);
export const numberValueOf = uncurry(G.Number.prototype.valueOf);
export const stringValueOf = uncurry(String.prototype.valueOf);
export const booleanValueOf = uncurry(G.Boolean.prototype.valueOf);
export const bigintValueOf = uncurry(G.BigInt.prototype.valueOf);
export const dateToString = uncurry(G.Date.prototype.toString);
export const regExpToString = uncurry(G.RegExp.prototype.toString);
export const regExpTest = uncurry(G.RegExp.prototype.test);
export const errorToString = uncurry(G.Error.prototype.toString);

export const arrayUnshift = uncurry(Array.prototype.unshift);
export const arrayPop = uncurry(Array.prototype.pop);
export const arrayReverse = uncurry(Array.prototype.reverse);
export const arrayConcat = uncurry(Array.prototype.concat);
export const mapClear = uncurry(G.Map.prototype.clear);
export const setClear = uncurry(G.Set.prototype.clear);
export const weakMapGet = uncurry(G.WeakMap.prototype.get);
export const weakMapSet = uncurry(G.WeakMap.prototype.set);
export const weakMapHas = uncurry(G.WeakMap.prototype.has);
export const weakSetHas = uncurry(G.WeakSet.prototype.has);
export const weakSetAdd = uncurry(G.WeakSet.prototype.add);

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
export const typedArraySlice = uncurry(TypedArrayPrototype.slice);
export const typedArrayFill = uncurry(TypedArrayPrototype.fill);
export const typedArrayIndexOf = uncurry(TypedArrayPrototype.indexOf);
export const typedArrayLastIndexOf = uncurry(TypedArrayPrototype.lastIndexOf);
export const bytesToHex: (bytes: Uint8Array) => string = uncurry((Uint8Array.prototype as any).toHex);
export const bytesToBase64: (bytes: Uint8Array, options?: object) => string =
  uncurry((Uint8Array.prototype as any).toBase64);
/** Strict; a SyntaxError for what is no hexadecimal text. */
export const bytesFromHex: (text: string) => Uint8Array = (Uint8Array as any).fromHex;
/** Strict; a SyntaxError for what is no base64. */
export const bytesFromBase64: (text: string, options?: object) => Uint8Array = (Uint8Array as any).fromBase64;
