/**
 * `node:path`: POSIX, which is also the default, and Windows. The working directory is `/`.
 */
import { posix } from "./internal/posix.ts";
import { win32 } from "./internal/win32.ts";

posix.posix = win32.posix = posix;
posix.win32 = win32.win32 = win32;

export { posix, win32 };
export const {
  basename, delimiter, dirname, extname, format, isAbsolute, join, normalize, parse, relative, resolve, sep,
  toNamespacedPath,
} = posix;
export const _makeLong = toNamespacedPath;
export default posix;
