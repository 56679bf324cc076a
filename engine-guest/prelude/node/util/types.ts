/**
 * `node:util/types`: what a value is inside, whatever its prototype says.
 */
import {
  SharedArrayBuffer, bigintValueOf, booleanValueOf, numberValueOf, stringValueOf, symbolValueOf, weakMapHas,
  weakSetHas,
} from "../../library.ts";
import { promiseState } from "../../native.ts";
import {
  Error, RegExp, arrayBufferByteLength, dateGetTime, isObject, isView, mapSize, objectToString, setSize,
  typedArrayTag,
} from "../../primordials.ts";
import { isError } from "../internal/inspect.ts";

function holds(read: (value: any) => any): (value: any) => boolean {
  return (value) => {
    if (!isObject(value)) return false;
    try {
      read(value);
      return true;
    } catch {
      return false;
    }
  };
}

function tagged(tag: string): (value: any) => boolean {
  return (value) => isView(value) && typedArrayTag(value) === tag;
}

function shownAs(tag: string): (value: any) => boolean {
  return (value) => isObject(value) && objectToString(value) === tag;
}

export const isMap = holds(mapSize);
export const isSet = holds(setSize);
export const isDate = holds(dateGetTime);
export const isRegExp = (value: any): boolean => isObject(value) && value instanceof RegExp;
export const isNativeError = (value: any): boolean => isObject(value) && isError(value) && value instanceof Error;
export const isPromise = (value: any): boolean => isObject(value) && promiseState(value) >= 0 && promiseState(value) <= 2;
export const isNumberObject = holds(numberValueOf);
export const isStringObject = holds(stringValueOf);
export const isBooleanObject = holds(booleanValueOf);
export const isBigIntObject = holds(bigintValueOf);
export const isSymbolObject = holds(symbolValueOf);
export const isBoxedPrimitive = (value: any): boolean => isNumberObject(value) || isStringObject(value)
  || isBooleanObject(value) || isBigIntObject(value) || isSymbolObject(value);
export const isWeakMap = holds((value) => weakMapHas(value, value));
export const isWeakSet = holds((value) => weakSetHas(value, value));
export const isArrayBufferView = (value: any): boolean => isView(value);
export const isTypedArray = (value: any): boolean => isView(value) && typedArrayTag(value) !== undefined;
export const isUint8Array = tagged("Uint8Array");
export const isUint8ClampedArray = tagged("Uint8ClampedArray");
export const isUint16Array = tagged("Uint16Array");
export const isUint32Array = tagged("Uint32Array");
export const isInt8Array = tagged("Int8Array");
export const isInt16Array = tagged("Int16Array");
export const isInt32Array = tagged("Int32Array");
export const isFloat16Array = tagged("Float16Array");
export const isFloat32Array = tagged("Float32Array");
export const isFloat64Array = tagged("Float64Array");
export const isBigInt64Array = tagged("BigInt64Array");
export const isBigUint64Array = tagged("BigUint64Array");
export const isDataView = (value: any): boolean => isView(value) && typedArrayTag(value) === undefined;
export const isArrayBuffer = holds(arrayBufferByteLength);
export const isSharedArrayBuffer = (value: any): boolean =>
  SharedArrayBuffer !== undefined && isObject(value) && value instanceof SharedArrayBuffer;
export const isAnyArrayBuffer = (value: any): boolean => isArrayBuffer(value) || isSharedArrayBuffer(value);
export const isArgumentsObject = shownAs("[object Arguments]");
export const isGeneratorObject = shownAs("[object Generator]");
export const isMapIterator = shownAs("[object Map Iterator]");
export const isSetIterator = shownAs("[object Set Iterator]");
export const isModuleNamespaceObject = shownAs("[object Module]");
export const isAsyncFunction = (value: any): boolean =>
  typeof value === "function" && (shownAs("[object AsyncFunction]")(value) || shownAs("[object AsyncGeneratorFunction]")(value));
export const isGeneratorFunction = (value: any): boolean =>
  typeof value === "function" && (shownAs("[object GeneratorFunction]")(value) || shownAs("[object AsyncGeneratorFunction]")(value));
/** A proxy can't be told from its target here. */
export const isProxy = (_value: any): boolean => false;
export const isExternal = (_value: any): boolean => false;
export const isCryptoKey = (value: any): boolean => isObject(value) && value.constructor?.name === "CryptoKey";
export const isKeyObject = (value: any): boolean => isObject(value) && value.constructor?.name === "KeyObject";

export default {
  isMap, isSet, isDate, isRegExp, isNativeError, isPromise, isNumberObject, isStringObject, isBooleanObject,
  isBigIntObject, isSymbolObject, isBoxedPrimitive, isWeakMap, isWeakSet, isArrayBufferView, isTypedArray, isUint8Array,
  isUint8ClampedArray, isUint16Array, isUint32Array, isInt8Array, isInt16Array, isInt32Array, isFloat16Array,
  isFloat32Array, isFloat64Array, isBigInt64Array, isBigUint64Array, isDataView, isArrayBuffer, isSharedArrayBuffer,
  isAnyArrayBuffer, isArgumentsObject, isGeneratorObject, isMapIterator, isSetIterator, isModuleNamespaceObject,
  isAsyncFunction, isGeneratorFunction, isProxy, isExternal, isCryptoKey, isKeyObject,
};
