/**
 * `node:punycode`.
 */
import { decode, encode, fromPoints, points, toASCII, toUnicode } from "./internal/idna.ts";

export const ucs2 = { decode: points, encode: fromPoints };
export const version = "2.1.0";
export { decode, encode, toASCII, toUnicode };
export default { version, ucs2, decode, encode, toASCII, toUnicode };
