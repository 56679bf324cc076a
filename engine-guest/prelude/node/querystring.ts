/**
 * `node:querystring`.
 */
import { URIError, decodeURIComponent, encodeURIComponent, isFinite, parseInt } from "../library.ts";
import { utf8Decode, utf8Encode } from "../native.ts";
import {
  String, Uint8Array, fromCharCode, isArray, objectCreate, objectKeys, regExpExec, stringIndexOf, stringReplaceAll,
  stringSlice, stringSplit, typedArraySubarray,
} from "../primordials.ts";
import { codedError } from "./internal/errors.ts";

const HEX = /^[0-9A-Fa-f]{2}$/;

/** Decodes percent signs to bytes, leniently; what is left over stays as it is. */
export function unescapeBuffer(text: string, plus: boolean = false): Uint8Array {
  const source = utf8Encode(text);
  const out = new Uint8Array(source.length);
  let to = 0;
  for (let i = 0; i < source.length; i++) {
    const byte = source[i]!;
    if (byte === 0x25 && i + 2 < source.length) {
      const digits = fromCharCode(source[i + 1]!, source[i + 2]!);
      if (regExpExec(HEX, digits) !== null) {
        out[to++] = parseInt(digits, 16);
        i += 2;
        continue;
      }
    }
    out[to++] = byte === 0x2b && plus ? 0x20 : byte;
  }
  return typedArraySubarray(out, 0, to);
}

/** The text with its percent signs decoded. */
export function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return utf8Decode(unescapeBuffer(text), false, true);
  }
}

/** Percent-encodes everything but `A-Z a-z 0-9 - _ . ! ~ * ' ( )`. */
export function escape(value: any): string {
  const text = typeof value === "string" ? value : typeof value === "object" ? String(value) : `${value}`;
  try {
    return encodeURIComponent(text);
  } catch {
    throw codedError(URIError, "ERR_INVALID_URI", "URI malformed");
  }
}

function primitive(value: any): string {
  switch (typeof value) {
    case "string": return value;
    case "number": return isFinite(value) ? `${value}` : "";
    case "bigint": case "boolean": return `${value}`;
    default: return "";
  }
}

export function stringify(object: any, separator?: any, equals?: any, options?: any): string {
  const between = separator || "&";
  const is = equals || "=";
  const encode = typeof options?.encodeURIComponent === "function" ? options.encodeURIComponent : querystring.escape;
  if (object === null || typeof object !== "object") return "";
  let text = "";
  const keys = objectKeys(object);
  for (let i = 0; i < keys.length; i++) {
    const value = object[keys[i]!];
    const key = encode(primitive(keys[i])) + is;
    if (!isArray(value)) {
      text += (text === "" ? "" : between) + key + encode(primitive(value));
      continue;
    }
    for (let k = 0; k < value.length; k++) text += (text === "" ? "" : between) + key + encode(primitive(value[k]));
  }
  return text;
}

function add(object: any, key: string, value: string): void {
  const known = object[key];
  if (known === undefined) object[key] = value;
  else if (isArray(known)) known[known.length] = value;
  else object[key] = [known, value];
}

export function parse(text: any, separator?: any, equals?: any, options?: any): any {
  const object: any = objectCreate(null);
  if (typeof text !== "string" || text.length === 0) return object;
  const between = separator ? `${separator}` : "&";
  const is = equals ? `${equals}` : "=";
  const decode = typeof options?.decodeURIComponent === "function" ? options.decodeURIComponent : querystring.unescape;
  const most = typeof options?.maxKeys === "number" ? options.maxKeys : 1000;
  const read = (part: string): string => {
    const spaced = stringReplaceAll(part, "+", " ");
    if (decode === unescape && stringIndexOf(spaced, "%") < 0) return spaced;
    try {
      return decode(spaced);
    } catch {
      return unescape(spaced);
    }
  };
  const parts: string[] = stringSplit(text, between);
  let count = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part === "") continue;
    if (most > 0 && count++ >= most) break;
    const at = stringIndexOf(part, is);
    if (at < 0) add(object, read(part), "");
    else add(object, read(stringSlice(part, 0, at)), read(stringSlice(part, at + is.length)));
  }
  return object;
}

export { parse as decode, stringify as encode };

const querystring = { parse, stringify, escape, unescape, unescapeBuffer, decode: parse, encode: stringify };
export default querystring;
