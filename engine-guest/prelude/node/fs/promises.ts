/**
 * `node:fs/promises`: a worker has no files; every function answers a rejection.
 */
import { absentAsync } from "../internal/absent.ts";
import { constants } from "../internal/fsconstants.ts";

const INSTEAD = "import the file (.txt, .json, .bin), or keep it in a binding";

export { constants };
export const access = absentAsync("fs.promises", "access", INSTEAD);
export const copyFile = absentAsync("fs.promises", "copyFile", INSTEAD);
export const cp = absentAsync("fs.promises", "cp", INSTEAD);
export const open = absentAsync("fs.promises", "open", INSTEAD);
export const opendir = absentAsync("fs.promises", "opendir", INSTEAD);
export const rename = absentAsync("fs.promises", "rename", INSTEAD);
export const truncate = absentAsync("fs.promises", "truncate", INSTEAD);
export const rm = absentAsync("fs.promises", "rm", INSTEAD);
export const rmdir = absentAsync("fs.promises", "rmdir", INSTEAD);
export const mkdir = absentAsync("fs.promises", "mkdir", INSTEAD);
export const readdir = absentAsync("fs.promises", "readdir", INSTEAD);
export const readlink = absentAsync("fs.promises", "readlink", INSTEAD);
export const symlink = absentAsync("fs.promises", "symlink", INSTEAD);
export const lstat = absentAsync("fs.promises", "lstat", INSTEAD);
export const stat = absentAsync("fs.promises", "stat", INSTEAD);
export const statfs = absentAsync("fs.promises", "statfs", INSTEAD);
export const link = absentAsync("fs.promises", "link", INSTEAD);
export const unlink = absentAsync("fs.promises", "unlink", INSTEAD);
export const chmod = absentAsync("fs.promises", "chmod", INSTEAD);
export const lchmod = absentAsync("fs.promises", "lchmod", INSTEAD);
export const lchown = absentAsync("fs.promises", "lchown", INSTEAD);
export const chown = absentAsync("fs.promises", "chown", INSTEAD);
export const utimes = absentAsync("fs.promises", "utimes", INSTEAD);
export const lutimes = absentAsync("fs.promises", "lutimes", INSTEAD);
export const realpath = absentAsync("fs.promises", "realpath", INSTEAD);
export const mkdtemp = absentAsync("fs.promises", "mkdtemp", INSTEAD);
export const writeFile = absentAsync("fs.promises", "writeFile", INSTEAD);
export const appendFile = absentAsync("fs.promises", "appendFile", INSTEAD);
export const readFile = absentAsync("fs.promises", "readFile", INSTEAD);
export const watch = absentAsync("fs.promises", "watch", INSTEAD);

export default {
  access, copyFile, cp, open, opendir, rename, truncate, rm, rmdir, mkdir, readdir, readlink, symlink, lstat, stat,
  statfs, link, unlink, chmod, lchmod, lchown, chown, utimes, lutimes, realpath, mkdtemp, writeFile, appendFile,
  readFile, watch, constants,
};
