/**
 * What paths of both kinds share.
 */
import { stringEndsWith } from "../../library.ts";
import { arrayJoin, stringReplaceAll, stringSlice, stringSplit } from "../../primordials.ts";
import { checkObject } from "./errors.ts";

/** Resolves `.` and `..`; no separator at either end. */
export function normalizeParts(path: string, aboveRoot: boolean, separator: string, backslashes: boolean): string {
  const parts: string[] = [];
  const pieces: string[] = stringSplit(backslashes ? stringReplaceAll(path, "/", "\\") : path, separator);
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    if (piece === "" || piece === ".") continue;
    if (piece !== "..") parts[parts.length] = piece;
    else if (parts.length > 0 && parts[parts.length - 1] !== "..") parts.length--;
    else if (aboveRoot) parts[parts.length] = "..";
  }
  return arrayJoin(parts, separator);
}

/** The last component from `start`, without `suffix` unless it is all there is. */
export function splitBase(path: string, start: number, suffix: string | undefined, isSeparator: (c: string) => boolean): string {
  let end = path.length;
  while (end > start && isSeparator(path[end - 1]!)) end--;
  let from = end;
  while (from > start && !isSeparator(path[from - 1]!)) from--;
  const base: string = stringSlice(path, from, end);
  if (suffix === path) return "";
  // Node's answer for a path of separators only.
  if (base === "" && suffix !== undefined && suffix !== "" && suffix.length <= path.length) return stringSlice(path, start);
  if (suffix === undefined || suffix.length === 0 || !stringEndsWith(base, suffix)) return base;
  // A component that equals the suffix keeps its name.
  if (suffix.length === base.length) return base;
  return stringSlice(base, 0, base.length - suffix.length);
}

export function formatPath(separator: string, parts: any): string {
  checkObject(parts, "pathObject");
  const dir = parts.dir || parts.root;
  const ext = parts.ext ? (parts.ext[0] === "." ? parts.ext : `.${parts.ext}`) : "";
  const base = parts.base || `${parts.name || ""}${ext}`;
  if (!dir) return base;
  return dir === parts.root ? `${dir}${base}` : `${dir}${separator}${base}`;
}
