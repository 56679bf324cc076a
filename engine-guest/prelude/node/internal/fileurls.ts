/**
 * Between `file:` URLs and paths, as POSIX has them.
 */
import { decodeURIComponent } from "../../library.ts";
import { TypeError, isObject, regExpExec, stringReplaceAll } from "../../primordials.ts";
import { checkString, codedError, invalidArgType } from "./errors.ts";
import { URL, hrefOf } from "../../url.ts";
import { Buffer } from "./buffer.ts";
import { unescapeBuffer } from "../querystring.ts";
import { posix } from "./posix.ts";

function fileUrl(given: any): any {
  const url = typeof given === "string" ? new (URL as any)(given) : given;
  if (!isObject(url) || (hrefOf(url) === null && typeof url.href !== "string")) {
    throw invalidArgType("path", "of type string or an instance of URL", given);
  }
  if (url.protocol !== "file:") throw codedError(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (url.hostname !== "") {
    throw codedError(TypeError, "ERR_INVALID_FILE_URL_HOST", 'File URL host must be "localhost" or empty on linux');
  }
  if (regExpExec(/%2f/i, url.pathname) !== null) {
    throw codedError(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters");
  }
  return url;
}

export function fileURLToPath(url: any, _options?: any): string {
  return decodeURIComponent(fileUrl(url).pathname);
}

export function fileURLToPathBuffer(url: any, _options?: any): any {
  return Buffer.from(unescapeBuffer(fileUrl(url).pathname));
}

const ESCAPES: [string, string][] = [
  ["%", "%25"], ["\\", "%5C"], ["\n", "%0A"], ["\r", "%0D"], ["\t", "%09"], ["?", "%3F"], ["#", "%23"],
];

export function pathToFileURL(path: any, _options?: any): any {
  checkString(path, "path");
  let resolved = posix.resolve(path);
  if (path[path.length - 1] === "/" && resolved[resolved.length - 1] !== "/") resolved += "/";
  for (let i = 0; i < ESCAPES.length; i++) resolved = stringReplaceAll(resolved, ESCAPES[i]![0], ESCAPES[i]![1]);
  return new (URL as any)(`file://${resolved}`);
}
