/**
 * `node:child_process`: there are no other processes.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "use a service binding";
export const ChildProcess = absent("child_process", "ChildProcess", INSTEAD);
export const exec = absent("child_process", "exec", INSTEAD);
export const execFile = absent("child_process", "execFile", INSTEAD);
export const execFileSync = absent("child_process", "execFileSync", INSTEAD);
export const execSync = absent("child_process", "execSync", INSTEAD);
export const fork = absent("child_process", "fork", INSTEAD);
export const spawn = absent("child_process", "spawn", INSTEAD);
export const spawnSync = absent("child_process", "spawnSync", INSTEAD);

export default {
  ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync,
};
