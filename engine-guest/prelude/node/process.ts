/**
 * `node:process`.
 */
import { apply } from "../primordials.ts";
import { process } from "./internal/process.ts";

export const {
  abort, arch, argv, argv0, binding, chdir, config, cpuUsage, cwd, emitWarning, env, execArgv, execPath, exit, features,
  getBuiltinModule, getegid, geteuid, getgid, getuid, hasUncaughtExceptionCaptureCallback, hrtime, kill, memoryUsage,
  nextTick, pid, platform, ppid, release, resourceUsage, setUncaughtExceptionCaptureCallback, stderr, stdout, title, umask,
  uptime, version, versions,
} = process;

function bound(name: string): any {
  return (...args: any[]): any => apply(process[name], process, args);
}

export const on = bound("on");
export const once = bound("once");
export const off = bound("off");
export const addListener = bound("addListener");
export const removeListener = bound("removeListener");
export const removeAllListeners = bound("removeAllListeners");
export const emit = bound("emit");
export const listeners = bound("listeners");
export const listenerCount = bound("listenerCount");
export const prependListener = bound("prependListener");
export const eventNames = bound("eventNames");
export default process;
