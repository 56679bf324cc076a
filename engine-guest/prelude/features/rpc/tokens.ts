/**
 * The encoding of a message: a flat list, in which a number is one of these tags, and anything else stands for itself.
 * An object that was met before is a REFERENCE to its place among those that were met. Lists end with END.
 */
export const END = 0;
/** Then the number. */
export const NUMBER = 1;
/** Then its decimal digits. */
export const BIGINT = 2;
/** Then the place. */
export const REFERENCE = 3;
/** Then names and values. */
export const OBJECT = 4;
/** Then its length, and as many values or holes. */
export const ARRAY = 5;
export const HOLE = 6;
/** Then milliseconds. */
export const DATE = 7;
/** Then source and flags. */
export const REGEXP = 8;
/** Then the primitive value. */
export const BOXED = 9;
/** Then keys and values. */
export const MAP = 10;
export const SET = 11;
/** Then the bytes. */
export const BUFFER = 12;
/** Then its class, offset, length and buffer. */
export const VIEW = 13;
/** Then whether it is a DOMException, name, message, stack, code, and the cause or HOLE. */
export const ERROR = 14;
/** Then bytes, type, and of a file its name and time. */
export const BLOB = 15;
/** Then a header block. */
export const HEADERS = 16;
/** Then method, URL, header block, redirect mode and body. */
export const REQUEST = 17;
/** Then status, its text, header block and body. */
export const RESPONSE = 18;
/** Then its place among the message's bodies, or bytes. */
export const STREAM = 19;
/** Then its place among the message's exports. */
export const STUB = 20;
/** A list that is mostly holes: then its length, places as text, and values. */
export const SPARSE = 21;
