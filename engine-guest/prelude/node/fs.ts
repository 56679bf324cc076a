/**
 * `node:fs`: a worker has no files. `existsSync` answers that truthfully; everything else throws.
 */
import { absent } from "./internal/absent.ts";
import { constants } from "./internal/fsconstants.ts";
import promises from "./fs/promises.ts";

const INSTEAD = "import the file (.txt, .json, .bin), or keep it in a binding";

export const { F_OK, R_OK, W_OK, X_OK } = constants;

export function existsSync(_path: any): boolean {
  return false;
}

export function exists(_path: any, callback: any): void {
  callback(false);
}

export { constants, promises };
export const appendFile = absent("fs", "appendFile", INSTEAD);
export const appendFileSync = absent("fs", "appendFileSync", INSTEAD);
export const access = absent("fs", "access", INSTEAD);
export const accessSync = absent("fs", "accessSync", INSTEAD);
export const chown = absent("fs", "chown", INSTEAD);
export const chownSync = absent("fs", "chownSync", INSTEAD);
export const chmod = absent("fs", "chmod", INSTEAD);
export const chmodSync = absent("fs", "chmodSync", INSTEAD);
export const close = absent("fs", "close", INSTEAD);
export const closeSync = absent("fs", "closeSync", INSTEAD);
export const copyFile = absent("fs", "copyFile", INSTEAD);
export const copyFileSync = absent("fs", "copyFileSync", INSTEAD);
export const cp = absent("fs", "cp", INSTEAD);
export const cpSync = absent("fs", "cpSync", INSTEAD);
export const createReadStream = absent("fs", "createReadStream", INSTEAD);
export const createWriteStream = absent("fs", "createWriteStream", INSTEAD);
export const fchown = absent("fs", "fchown", INSTEAD);
export const fchownSync = absent("fs", "fchownSync", INSTEAD);
export const fchmod = absent("fs", "fchmod", INSTEAD);
export const fchmodSync = absent("fs", "fchmodSync", INSTEAD);
export const fdatasync = absent("fs", "fdatasync", INSTEAD);
export const fdatasyncSync = absent("fs", "fdatasyncSync", INSTEAD);
export const fstat = absent("fs", "fstat", INSTEAD);
export const fstatSync = absent("fs", "fstatSync", INSTEAD);
export const fsync = absent("fs", "fsync", INSTEAD);
export const fsyncSync = absent("fs", "fsyncSync", INSTEAD);
export const ftruncate = absent("fs", "ftruncate", INSTEAD);
export const ftruncateSync = absent("fs", "ftruncateSync", INSTEAD);
export const futimes = absent("fs", "futimes", INSTEAD);
export const futimesSync = absent("fs", "futimesSync", INSTEAD);
export const lchown = absent("fs", "lchown", INSTEAD);
export const lchownSync = absent("fs", "lchownSync", INSTEAD);
export const lchmod = absent("fs", "lchmod", INSTEAD);
export const lchmodSync = absent("fs", "lchmodSync", INSTEAD);
export const link = absent("fs", "link", INSTEAD);
export const linkSync = absent("fs", "linkSync", INSTEAD);
export const lstat = absent("fs", "lstat", INSTEAD);
export const lstatSync = absent("fs", "lstatSync", INSTEAD);
export const lutimes = absent("fs", "lutimes", INSTEAD);
export const lutimesSync = absent("fs", "lutimesSync", INSTEAD);
export const mkdir = absent("fs", "mkdir", INSTEAD);
export const mkdirSync = absent("fs", "mkdirSync", INSTEAD);
export const mkdtemp = absent("fs", "mkdtemp", INSTEAD);
export const mkdtempSync = absent("fs", "mkdtempSync", INSTEAD);
export const open = absent("fs", "open", INSTEAD);
export const openSync = absent("fs", "openSync", INSTEAD);
export const openAsBlob = absent("fs", "openAsBlob", INSTEAD);
export const readdir = absent("fs", "readdir", INSTEAD);
export const readdirSync = absent("fs", "readdirSync", INSTEAD);
export const read = absent("fs", "read", INSTEAD);
export const readSync = absent("fs", "readSync", INSTEAD);
export const readv = absent("fs", "readv", INSTEAD);
export const readvSync = absent("fs", "readvSync", INSTEAD);
export const readFile = absent("fs", "readFile", INSTEAD);
export const readFileSync = absent("fs", "readFileSync", INSTEAD);
export const readlink = absent("fs", "readlink", INSTEAD);
export const readlinkSync = absent("fs", "readlinkSync", INSTEAD);
export const realpath = absent("fs", "realpath", INSTEAD);
export const realpathSync = absent("fs", "realpathSync", INSTEAD);
export const rename = absent("fs", "rename", INSTEAD);
export const renameSync = absent("fs", "renameSync", INSTEAD);
export const rm = absent("fs", "rm", INSTEAD);
export const rmSync = absent("fs", "rmSync", INSTEAD);
export const rmdir = absent("fs", "rmdir", INSTEAD);
export const rmdirSync = absent("fs", "rmdirSync", INSTEAD);
export const stat = absent("fs", "stat", INSTEAD);
export const statfs = absent("fs", "statfs", INSTEAD);
export const statSync = absent("fs", "statSync", INSTEAD);
export const statfsSync = absent("fs", "statfsSync", INSTEAD);
export const symlink = absent("fs", "symlink", INSTEAD);
export const symlinkSync = absent("fs", "symlinkSync", INSTEAD);
export const truncate = absent("fs", "truncate", INSTEAD);
export const truncateSync = absent("fs", "truncateSync", INSTEAD);
export const unwatchFile = absent("fs", "unwatchFile", INSTEAD);
export const unlink = absent("fs", "unlink", INSTEAD);
export const unlinkSync = absent("fs", "unlinkSync", INSTEAD);
export const utimes = absent("fs", "utimes", INSTEAD);
export const utimesSync = absent("fs", "utimesSync", INSTEAD);
export const watch = absent("fs", "watch", INSTEAD);
export const watchFile = absent("fs", "watchFile", INSTEAD);
export const writeFile = absent("fs", "writeFile", INSTEAD);
export const writeFileSync = absent("fs", "writeFileSync", INSTEAD);
export const write = absent("fs", "write", INSTEAD);
export const writeSync = absent("fs", "writeSync", INSTEAD);
export const writev = absent("fs", "writev", INSTEAD);
export const writevSync = absent("fs", "writevSync", INSTEAD);
export const Dirent = absent("fs", "Dirent", INSTEAD);
export const Stats = absent("fs", "Stats", INSTEAD);
export const ReadStream = absent("fs", "ReadStream", INSTEAD);
export const WriteStream = absent("fs", "WriteStream", INSTEAD);
export const FileReadStream = absent("fs", "FileReadStream", INSTEAD);
export const FileWriteStream = absent("fs", "FileWriteStream", INSTEAD);
export const Dir = absent("fs", "Dir", INSTEAD);
export const opendir = absent("fs", "opendir", INSTEAD);
export const opendirSync = absent("fs", "opendirSync", INSTEAD);

export default {
  appendFile, appendFileSync, access, accessSync, chown, chownSync, chmod, chmodSync, close, closeSync, copyFile,
  copyFileSync, cp, cpSync, createReadStream, createWriteStream, fchown, fchownSync, fchmod, fchmodSync, fdatasync,
  fdatasyncSync, fstat, fstatSync, fsync, fsyncSync, ftruncate, ftruncateSync, futimes, futimesSync, lchown,
  lchownSync, lchmod, lchmodSync, link, linkSync, lstat, lstatSync, lutimes, lutimesSync, mkdir, mkdirSync, mkdtemp,
  mkdtempSync, open, openSync, openAsBlob, readdir, readdirSync, read, readSync, readv, readvSync, readFile,
  readFileSync, readlink, readlinkSync, realpath, realpathSync, rename, renameSync, rm, rmSync, rmdir, rmdirSync,
  stat, statfs, statSync, statfsSync, symlink, symlinkSync, truncate, truncateSync, unwatchFile, unlink, unlinkSync,
  utimes, utimesSync, watch, watchFile, writeFile, writeFileSync, write, writeSync, writev, writevSync, Dirent, Stats,
  ReadStream, WriteStream, FileReadStream, FileWriteStream, Dir, opendir, opendirSync, F_OK, R_OK, W_OK, X_OK,
  constants, exists, existsSync, promises,
};
