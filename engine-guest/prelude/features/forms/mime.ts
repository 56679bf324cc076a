/**
 * MIME types as the standard reads and writes them (WHATWG MIME Sniffing, section 4; Fetch, "extract a MIME type").
 */
import {
  arraySlice, regExpExec, stringCharCodeAt, stringIndexOf, stringLower, stringSlice, stringTrim,
} from "../../primordials.ts";

export interface MimeType {
  /** `text/html`, in lower case. */
  essence: string;
  /** `[name, value, …]`, names in lower case, none twice. */
  parameters: string[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const QUOTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;
const WHITE_SPACE = /^[\t\n\r ]*([^]*?)[\t\n\r ]*$/;

function trimmed(text: string): string {
  return regExpExec(WHITE_SPACE, text)![1]!;
}

/** Reads one type; null if it is none. */
export function parseMime(input: string): MimeType | null {
  const text = trimmed(input);
  const semicolon = stringIndexOf(text, ";");
  const essence = stringLower(trimmed(semicolon < 0 ? text : stringSlice(text, 0, semicolon)));
  const slash = stringIndexOf(essence, "/");
  if (slash < 0 || regExpExec(TOKEN, stringSlice(essence, 0, slash)) === null) return null;
  if (regExpExec(TOKEN, stringSlice(essence, slash + 1)) === null) return null;
  const mime: MimeType = { essence, parameters: [] };
  if (semicolon >= 0) readParameters(mime, text, semicolon + 1);
  return mime;
}

function readParameters(mime: MimeType, text: string, from: number): void {
  let at = from;
  while (at < text.length) {
    let stop = at;
    while (stop < text.length && text[stop] !== ";" && text[stop] !== "=") stop++;
    const name = stringLower(trimmed(stringSlice(text, at, stop)));
    at = stop + 1;
    if (stop >= text.length || text[stop] === ";") continue;
    let value: string;
    if (text[at] === '"') {
      const [quoted, end] = readQuoted(text, at);
      value = quoted;
      const next = stringIndexOf(text, ";", end);
      at = next < 0 ? text.length : next + 1;
    } else {
      const next = stringIndexOf(text, ";", at);
      value = trimmed(stringSlice(text, at, next < 0 ? text.length : next));
      at = next < 0 ? text.length : next + 1;
      if (value === "") continue;
    }
    if (regExpExec(TOKEN, name) === null || regExpExec(QUOTABLE, value) === null) continue;
    if (parameterOf(mime, name) !== null) continue;
    const { parameters } = mime;
    parameters[parameters.length] = name;
    parameters[parameters.length] = value;
  }
}

/** What stands between the quotes from `at` on, and where it ends. */
function readQuoted(text: string, at: number): [string, number] {
  let value = "";
  let i = at + 1;
  for (; i < text.length && text[i] !== '"'; i++) {
    if (text[i] === "\\" && i + 1 < text.length) i++;
    value += text[i];
  }
  return [value, i];
}

export function parameterOf(mime: MimeType, name: string): string | null {
  const { parameters } = mime;
  for (let i = 0; i < parameters.length; i += 2) if (parameters[i] === name) return parameters[i + 1]!;
  return null;
}

/** Writes a type. */
export function mimeText(mime: MimeType): string {
  let text = mime.essence;
  const { parameters } = mime;
  for (let i = 0; i < parameters.length; i += 2) {
    const value = parameters[i + 1]!;
    text += ";" + parameters[i] + "=" + (regExpExec(TOKEN, value) === null ? quoted(value) : value);
  }
  return text;
}

function quoted(value: string): string {
  let text = '"';
  for (let i = 0; i < value.length; i++) text += (value[i] === '"' || value[i] === "\\" ? "\\" : "") + value[i];
  return text + '"';
}

/** The type that a Content-Type header names, several values joined by commas included; null if it names none. */
export function mimeOfHeader(header: string | null): MimeType | null {
  if (header === null) return null;
  if (stringIndexOf(header, ",") < 0) return parseMime(header);
  let found: MimeType | null = null;
  let charset: string | null = null;
  const values = splitAtCommas(header);
  for (let i = 0; i < values.length; i++) {
    const mime = parseMime(values[i]!);
    if (mime === null || mime.essence === "*/*") continue;
    if (found === null || found.essence !== mime.essence) charset = parameterOf(mime, "charset");
    else if (charset !== null && parameterOf(mime, "charset") === null) {
      const { parameters } = mime;
      parameters[parameters.length] = "charset";
      parameters[parameters.length] = charset;
    }
    found = { essence: mime.essence, parameters: arraySlice(mime.parameters) };
  }
  return found;
}

/** The type of a blob made of a body with this content type. */
export function blobTypeOf(header: string | null): string {
  const mime = mimeOfHeader(header);
  return mime === null ? "" : stringLower(mimeText(mime));
}

function splitAtCommas(header: string): string[] {
  const values: string[] = [];
  let from = 0;
  for (let i = 0; i <= header.length; i++) {
    if (i < header.length && stringCharCodeAt(header, i) === 0x22) i = readQuoted(header, i)[1];
    if (i < header.length && header[i] !== ",") continue;
    values[values.length] = stringTrim(stringSlice(header, from, i));
    from = i + 1;
  }
  return values;
}
