/**
 * Paths with `/`.
 */
import { stringLastIndexOf } from "../../library.ts";
import { arrayJoin, stringSlice, stringSplit } from "../../primordials.ts";
import { checkString } from "./errors.ts";
import { formatPath, normalizeParts, splitBase } from "./pathparts.ts";

function normalize(path: string): string {
  checkString(path, "path");
  if (path.length === 0) return ".";
  const absolute = path[0] === "/";
  const trailing = path[path.length - 1] === "/";
  let result = normalizeParts(path, !absolute, "/", false);
  if (result === "") {
    if (absolute) return "/";
    return trailing ? "./" : ".";
  }
  if (trailing) result += "/";
  return absolute ? `/${result}` : result;
}

function resolve(...paths: string[]): string {
  let resolved = "";
  let absolute = false;
  for (let i = paths.length - 1; i >= 0 && !absolute; i--) {
    const path = paths[i]!;
    checkString(path, `paths[${i}]`);
    if (path.length === 0) continue;
    resolved = `${path}/${resolved}`;
    absolute = path[0] === "/";
  }
  return `/${normalizeParts(resolved, false, "/", false)}`;
}

function join(...paths: string[]): string {
  let joined = "";
  for (let i = 0; i < paths.length; i++) {
    checkString(paths[i], "path");
    if (paths[i]!.length > 0) joined = joined === "" ? paths[i]! : `${joined}/${paths[i]}`;
  }
  return joined === "" ? "." : normalize(joined);
}

function relative(from: string, to: string): string {
  checkString(from, "from");
  checkString(to, "to");
  if (from === to) return "";
  const source = resolve(from);
  const target = resolve(to);
  if (source === target) return "";
  const a: string[] = source === "/" ? [] : stringSplit(stringSlice(source, 1), "/");
  const b: string[] = target === "/" ? [] : stringSplit(stringSlice(target, 1), "/");
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  const parts: string[] = [];
  for (let i = same; i < a.length; i++) parts[parts.length] = "..";
  for (let i = same; i < b.length; i++) parts[parts.length] = b[i]!;
  return arrayJoin(parts, "/");
}

function dirname(path: string): string {
  checkString(path, "path");
  if (path.length === 0) return ".";
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  while (end > 0 && path[end - 1] !== "/") end--;
  if (end === 0) return ".";
  if (end === 1) return "/";
  return end === 2 && path[0] === "/" ? "//" : stringSlice(path, 0, end - 1);
}

function basename(path: string, suffix?: string): string {
  if (suffix !== undefined) checkString(suffix, "suffix");
  checkString(path, "path");
  return splitBase(path, 0, suffix, (c) => c === "/");
}

/** The extension of a last component: from its last dot, unless that is the first character. */
function extname(path: string): string {
  checkString(path, "path");
  const base = splitBase(path, 0, undefined, (c) => c === "/");
  const dot = stringLastIndexOf(base, ".");
  return dot <= 0 || base === ".." ? "" : stringSlice(base, dot);
}

function parse(path: string): any {
  checkString(path, "path");
  const root = path[0] === "/" ? "/" : "";
  const base = basename(path);
  const ext = extname(path);
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  const dir = base === "" ? root : stringSlice(path, 0, end - base.length);
  return {
    root,
    dir: dir.length > 1 && dir[dir.length - 1] === "/" ? stringSlice(dir, 0, -1) : dir,
    base, ext, name: ext === "" ? base : stringSlice(base, 0, base.length - ext.length),
  };
}

export const posix: any = {
  resolve, normalize,
  isAbsolute(path: string): boolean {
    checkString(path, "path");
    return path[0] === "/";
  },
  join, relative,
  toNamespacedPath: (path: unknown): unknown => path,
  dirname, basename, extname,
  format: (parts: any): string => formatPath("/", parts),
  parse,
  sep: "/", delimiter: ":", posix: null, win32: null,
};
posix._makeLong = posix.toNamespacedPath;
