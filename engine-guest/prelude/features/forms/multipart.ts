/**
 * `multipart/form-data` (RFC 7578) in both directions, and the choice between it and the urlencoded form.
 *
 * Reading searches the bytes for the boundary by native code, and copies nothing: a file is a view of the body, which is
 * nobody else's by then. So a form takes as much memory as it has bytes.
 */
import { blobBytes, blobType, fileFrom, fileName, type File } from "../../blob.ts";
import { randomBytes } from "../../random.ts";
import { type FormData, formFrom, formList } from "./formdata.ts";
import { bytesToLatin1, findBytes, latin1ToBytes, utf8Decode, utf8Encode } from "../../native.ts";
import {
  TypeError, concatBytes, numberToString, regExpExec, stringIndexOf, stringLower, stringReplaceAll, stringSlice,
  stringSplit, stringStartsWith, stringTrim, typedArraySubarray,
} from "../../primordials.ts";
import { mimeOfHeader, parameterOf } from "./mime.ts";
import { parseForm } from "../../searchparams.ts";

const NAME_FIELD = /;[ \t]*name=(?:"([^"]*)"|([^\s";]+))/i;
const FILENAME_FIELD = /;[ \t]*filename=(?:"([^"]*)"|([^\s";]+))/i;

/** `formData()` of a body with this content type. */
export function decodeForm(bytes: Uint8Array, type: string | null): FormData {
  const mime = mimeOfHeader(type);
  if (mime !== null && mime.essence === "application/x-www-form-urlencoded") {
    return formFrom(parseForm(utf8Decode(bytes, false, true)));
  }
  if (mime !== null && mime.essence === "multipart/form-data") {
    const boundary = parameterOf(mime, "boundary");
    if (boundary === null) throw new TypeError("formData: the content type multipart/form-data names no boundary");
    return decodeMultipart(bytes, boundary);
  }
  throw new TypeError(
    `formData: the content type must be multipart/form-data or application/x-www-form-urlencoded, not ${
      type === null ? "missing" : `"${type}"`
    }`,
  );
}

function malformed(what: string): TypeError {
  return new TypeError(`formData: the multipart body is malformed: ${what}`);
}

function utf8(latin1: string): string {
  return utf8Decode(latin1ToBytes(latin1), false, true);
}

function unescapeName(raw: string): string {
  const text = utf8(raw);
  if (stringIndexOf(text, "%") < 0) return text;
  return stringReplaceAll(
    stringReplaceAll(stringReplaceAll(stringReplaceAll(stringReplaceAll(text,
      "%22", '"'), "%0D", "\r"), "%0d", "\r"), "%0A", "\n"), "%0a", "\n");
}

const SPACE = 0x20;
const TAB = 0x09;
const DASHES = latin1ToBytes("--");
const LINE_END = latin1ToBytes("\r\n");
const HEAD_END = latin1ToBytes("\r\n\r\n");

/** Whether `part` stands at this place. */
function standsAt(bytes: Uint8Array, part: Uint8Array, at: number): boolean {
  for (let i = 0; i < part.length; i++) if (bytes[at + i] !== part[i]) return false;
  return true;
}

function decodeMultipart(bytes: Uint8Array, boundary: string): FormData {
  const mark = latin1ToBytes(`--${boundary}`);
  const next = latin1ToBytes(`\r\n--${boundary}`);
  const list: any[] = [];
  let at = standsAt(bytes, mark, 0) ? 0 : findBytes(bytes, next, 0, 1) + 2;
  if (at === 1) throw malformed("its boundary never occurs");
  for (;;) {
    at += mark.length;
    if (standsAt(bytes, DASHES, at)) return formFrom(list);
    while (bytes[at] === SPACE || bytes[at] === TAB) at++;
    if (!standsAt(bytes, LINE_END, at)) throw malformed("a boundary is not followed by a line end");
    const head = standsAt(bytes, HEAD_END, at) ? at + 2 : findBytes(bytes, HEAD_END, at, 1);
    if (head < 0) throw malformed("a part's headers do not end");
    const body = head === at + 2 ? at + 4 : head + 4;
    const end = findBytes(bytes, next, body, 1);
    if (end < 0) throw malformed("the last boundary is missing");
    addPart(list, bytesToLatin1(typedArraySubarray(bytes, at + 2, head)), typedArraySubarray(bytes, body, end));
    at = end + 2;
  }
}

function addPart(list: any[], head: string, body: Uint8Array): void {
  let disposition = "";
  let type: string | null = null;
  const lines: string[] = stringSplit(head, "\r\n");
  for (let i = 0; i < lines.length; i++) {
    const colon = stringIndexOf(lines[i], ":");
    if (colon < 0) continue;
    const name = stringLower(stringSlice(lines[i], 0, colon));
    const value = stringTrim(stringSlice(lines[i], colon + 1));
    if (name === "content-disposition") disposition = value;
    else if (name === "content-type") type = value;
  }
  const name = regExpExec(NAME_FIELD, disposition);
  if (name === null || !stringStartsWith(stringLower(disposition), "form-data")) {
    throw malformed("a part has no Content-Disposition: form-data with a name");
  }
  const filename = regExpExec(FILENAME_FIELD, disposition);
  list[list.length] = unescapeName(name[1] ?? name[2]);
  list[list.length] = filename === null
    ? utf8Decode(body, false, true)
    : fileFrom(body, type ?? "text/plain", unescapeName(filename[1] ?? filename[2]));
}

function escapeName(text: string): string {
  return stringReplaceAll(stringReplaceAll(stringReplaceAll(text, "\r", "%0D"), "\n", "%0A"), '"', "%22");
}

function normalLines(text: string): string {
  return stringReplaceAll(stringReplaceAll(stringReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n", "\r\n");
}

/** The form as bytes, with its content type. */
export function encodeMultipart(form: FormData): { bytes: Uint8Array; type: string } {
  const random = randomBytes(16);
  let boundary = "----selvedge";
  for (let i = 0; i < random.length; i++) {
    boundary += (random[i]! < 16 ? "0" : "") + numberToString(random[i], 16);
  }
  const list = formList(form);
  const chunks: Uint8Array[] = [];
  let text = "";
  for (let at = 0; at < list.length; at += 2) {
    const value: string | File = list[at + 1];
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(normalLines(list[at]))}"`;
    if (typeof value === "string") {
      text += `\r\n\r\n${normalLines(value)}\r\n`;
      continue;
    }
    const type = blobType(value);
    text += `; filename="${escapeName(fileName(value))}"\r\n`;
    text += `Content-Type: ${type === "" ? "application/octet-stream" : type}\r\n\r\n`;
    chunks[chunks.length] = utf8Encode(text);
    chunks[chunks.length] = blobBytes(value);
    text = "\r\n";
  }
  chunks[chunks.length] = utf8Encode(`${text}--${boundary}--\r\n`);
  return { bytes: concatBytes(chunks), type: `multipart/form-data; boundary=${boundary}` };
}
