/**
 * Paths of Windows. There are no drives here: the working directory is that of no drive.
 */
import { stringLastIndexOf } from "../../library.ts";
import { arrayJoin, regExpExec, stringIndexOf, stringLower, stringSlice, stringSplit } from "../../primordials.ts";
import { checkString } from "./errors.ts";
import { formatPath, normalizeParts, splitBase } from "./pathparts.ts";

const DRIVE = /^[A-Za-z]:/;

function isSeparator(c: string | undefined): boolean {
  return c === "/" || c === "\\";
}

interface Root {
  /** `C:`, `\\server\share`, or empty. */
  device: string;
  absolute: boolean;
  /** Where the rest begins. */
  end: number;
}

/** Reads a drive, or a server and its share. */
function rootOf(path: string): Root {
  if (isSeparator(path[0])) {
    if (!isSeparator(path[1])) return { device: "", absolute: true, end: 1 };
    let at = 2;
    while (at < path.length && !isSeparator(path[at])) at++;
    const server: string = stringSlice(path, 2, at);
    let from = at;
    while (from < path.length && isSeparator(path[from])) from++;
    let end = from;
    while (end < path.length && !isSeparator(path[end])) end++;
    if (server === "" || from === at || end === from) return { device: "", absolute: true, end: 1 };
    const share = stringSlice(path, from, end);
    return { device: `\\\\${server}\\${share}`, absolute: true, end };
  }
  if (regExpExec(DRIVE, path) === null) return { device: "", absolute: false, end: 0 };
  const absolute = isSeparator(path[2]);
  return { device: stringSlice(path, 0, 2), absolute, end: absolute ? 3 : 2 };
}

/** Whether a relative path would be read as one with a drive once it is normalized. */
function looksRooted(path: string, tail: string): boolean {
  let at = stringIndexOf(path, ":");
  if (at < 0) return false;
  if (regExpExec(DRIVE, tail) !== null) return true;
  for (; at >= 0; at = stringIndexOf(path, ":", at + 1)) {
    if (at === path.length - 1 || isSeparator(path[at + 1])) return true;
  }
  return false;
}

function normalize(path: string): string {
  checkString(path, "path");
  if (path.length === 0) return ".";
  const root = rootOf(path);
  let tail = normalizeParts(stringSlice(path, root.end), !root.absolute, "\\", true);
  if (tail === "" && !root.absolute) tail = ".";
  if (tail !== "" && isSeparator(path[path.length - 1])) tail += "\\";
  if (!root.absolute && root.device === "" && looksRooted(path, tail)) return `.\\${tail}`;
  return root.absolute ? `${root.device}\\${tail}` : `${root.device}${tail}`;
}

function resolve(...paths: string[]): string {
  let device = "";
  let tail = "";
  let absolute = false;
  for (let i = paths.length - 1; i >= -1 && !(absolute && device !== ""); i--) {
    const path = i >= 0 ? paths[i]! : "\\";
    checkString(path, `paths[${i}]`);
    if (path.length === 0) continue;
    const root = rootOf(path);
    if (root.device !== "") {
      if (device !== "" && stringLower(root.device) !== stringLower(device)) continue;
      device = device === "" ? root.device : device;
    }
    if (absolute) continue;
    tail = `${stringSlice(path, root.end)}\\${tail}`;
    absolute = root.absolute;
  }
  tail = normalizeParts(tail, !absolute, "\\", true);
  return absolute ? `${device}\\${tail}` : `${device}${tail}` || ".";
}

function join(...paths: string[]): string {
  let joined = "";
  let first = "";
  for (let i = 0; i < paths.length; i++) {
    const path = paths[i]!;
    checkString(path, "path");
    if (path.length === 0) continue;
    if (joined === "") joined = first = path;
    else joined += `\\${path}`;
  }
  if (joined === "") return ".";
  // Joining must not make a server out of two parts.
  const unc = isSeparator(first[0]) && isSeparator(first[1]) && first.length > 2 && !isSeparator(first[2]);
  if (!unc) {
    let slashes = 0;
    while (isSeparator(joined[slashes])) slashes++;
    if (slashes >= 2) joined = `\\${stringSlice(joined, slashes)}`;
  }
  return normalize(joined);
}

function relative(from: string, to: string): string {
  checkString(from, "from");
  checkString(to, "to");
  if (from === to) return "";
  const source = resolve(from);
  const target = resolve(to);
  if (stringLower(source) === stringLower(target)) return "";
  const strip = (path: string): string[] => {
    let a = 0;
    let b = path.length;
    while (a < b && path[a] === "\\") a++;
    while (b > a && path[b - 1] === "\\") b--;
    return a === b ? [] : stringSplit(stringSlice(path, a, b), "\\");
  };
  const a = strip(source);
  const b = strip(target);
  let same = 0;
  while (same < a.length && same < b.length && stringLower(a[same]) === stringLower(b[same])) same++;
  if (same === 0 && rootOf(source).device !== rootOf(target).device) return target;
  const parts: string[] = [];
  for (let i = same; i < a.length; i++) parts[parts.length] = "..";
  for (let i = same; i < b.length; i++) parts[parts.length] = b[i]!;
  return arrayJoin(parts, "\\");
}

function dirname(path: string): string {
  checkString(path, "path");
  if (path.length === 0) return ".";
  const root = rootOf(path);
  if (root.device[0] === "\\" && isSeparator(path[root.end])) root.end++;
  let end = path.length;
  while (end > root.end && isSeparator(path[end - 1])) end--;
  while (end > root.end && !isSeparator(path[end - 1])) end--;
  if (end === root.end) return root.end === 0 ? "." : stringSlice(path, 0, root.end);
  return stringSlice(path, 0, end - 1);
}

function driveEnd(path: string): number {
  return regExpExec(DRIVE, path) === null ? 0 : 2;
}

function basename(path: string, suffix?: string): string {
  if (suffix !== undefined) checkString(suffix, "suffix");
  checkString(path, "path");
  return splitBase(path, driveEnd(path), suffix, isSeparator);
}

function extname(path: string): string {
  checkString(path, "path");
  const base = splitBase(path, driveEnd(path), undefined, isSeparator);
  const dot = stringLastIndexOf(base, ".");
  return dot <= 0 || base === ".." ? "" : stringSlice(base, dot);
}

function parse(path: string): any {
  checkString(path, "path");
  const found = rootOf(path);
  let rootEnd = found.end;
  if (found.device[0] === "\\" && isSeparator(path[rootEnd])) rootEnd++;
  const root = stringSlice(path, 0, rootEnd);
  let end = path.length;
  while (end > rootEnd && isSeparator(path[end - 1])) end--;
  let from = end;
  while (from > rootEnd && !isSeparator(path[from - 1])) from--;
  const base: string = stringSlice(path, from, end);
  const dot = stringLastIndexOf(base, ".");
  const ext = dot <= 0 || base === ".." ? "" : stringSlice(base, dot);
  let dirEnd = from;
  if (dirEnd > rootEnd) dirEnd--;
  return {
    root, dir: stringSlice(path, 0, dirEnd), base, ext, name: stringSlice(base, 0, base.length - ext.length),
  };
}

function toNamespacedPath(path: any): any {
  if (typeof path !== "string" || path.length === 0) return path;
  const resolved = resolve(path);
  if (resolved.length <= 2) return path;
  if (resolved[0] === "\\" && resolved[1] === "\\") {
    if (resolved[2] !== "?" && resolved[2] !== ".") return `\\\\?\\UNC\\${stringSlice(resolved, 2)}`;
  } else if (regExpExec(DRIVE, resolved) !== null && resolved[2] === "\\") {
    return `\\\\?\\${resolved}`;
  }
  return resolved;
}

export const win32: any = {
  resolve, normalize,
  isAbsolute(path: string): boolean {
    checkString(path, "path");
    return path.length > 0 && rootOf(path).absolute;
  },
  join, relative, toNamespacedPath, dirname, basename, extname,
  format: (parts: any): string => formatPath("\\", parts),
  parse,
  sep: "\\", delimiter: ";", posix: null, win32: null,
};
win32._makeLong = toNamespacedPath;
