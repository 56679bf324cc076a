/**
 * Parameters of a statement, as the host takes them: null, text as the server reads it, bytes, or JSON text in a list of
 * its own. The server knows the types, so nothing is guessed here: a number goes as its digits, a Date as its ISO form, an
 * array or another object as JSON, of which the host makes an array where the statement takes one.
 */
import { bytesToHex } from "../../library.ts";
import type { Wire } from "../../native.ts";
import {
  Date, TypeError, bytesOf, dateGetTime, dateToISOString, jsonStringify, toStr,
} from "../../primordials.ts";

export function encodeParam(value: unknown): Wire {
  switch (typeof value) {
    case "undefined":
      return null;
    case "string":
      return value;
    case "number": case "bigint": case "boolean":
      return toStr(value);
    case "object":
      break;
    default:
      throw new TypeError(`a ${typeof value} can't be a parameter of a query`);
  }
  if (value === null) return null;
  if (value instanceof Date) {
    const time = dateGetTime(value);
    if (time !== time) throw new TypeError("an invalid Date can't be a parameter of a query");
    return dateToISOString(value);
  }
  const bytes = bytesOf(value);
  if (bytes !== null) return bytes;
  const json = (jsonStringify as any)(value, plain);
  if (json === undefined) throw new TypeError("the parameter of a query has no JSON");
  return [json];
}

/** What JSON can't say is said as the server reads it: a bigint as its digits, bytes as `\x` and hexadecimal digits. */
function plain(this: any, key: string, value: unknown): unknown {
  const own = this[key];
  if (typeof own === "bigint") return toStr(own);
  const bytes = bytesOf(own);
  return bytes === null ? value : `\\x${bytesToHex(bytes)}`;
}
