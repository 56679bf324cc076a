/**
 * `node:path/posix`.
 */
import { posix } from "../path.ts";

export {
  basename, delimiter, dirname, extname, format, isAbsolute, join, normalize, parse, posix, relative, resolve, sep,
  toNamespacedPath, win32,
} from "../path.ts";
export default posix;
