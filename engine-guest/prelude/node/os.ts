/**
 * `node:os`: the machine as a worker may know it, which is next to nothing.
 */
import { now } from "../native.ts";
import { freeze } from "../primordials.ts";
import { absentError } from "./internal/absent.ts";
import { errno, priority, signals } from "./internal/osconstants.ts";

export const EOL = "\n";
export const devNull = "/dev/null";
export const constants = freeze({ UV_UDP_REUSEADDR: 4, dlopen: freeze({ RTLD_LAZY: 1, RTLD_NOW: 2, RTLD_GLOBAL: 256, RTLD_LOCAL: 0 }), errno, signals, priority });

export const arch = (): string => "wasm32";
export const availableParallelism = (): number => 1;
export const cpus = (): any[] => [];
export const endianness = (): string => "LE";
export const freemem = (): number => 0;
export const getPriority = (_pid?: any): number => 0;
export const homedir = (): string => "/";
export const hostname = (): string => "localhost";
export const loadavg = (): number[] => [0, 0, 0];
export const machine = (): string => "wasm32";
export const networkInterfaces = (): any => ({});
export const platform = (): string => "linux";
export const release = (): string => "";
export const tmpdir = (): string => "/tmp";
export const totalmem = (): number => 0;
export const type = (): string => "Linux";
export const uptime = (): number => now() / 1000;
export const version = (): string => "";

export function setPriority(_pid: any, _priority?: any): never {
  throw absentError("os.setPriority", "the node decides who runs");
}

export const userInfo = (): any => ({ uid: -1, gid: -1, username: "worker", homedir: "/", shell: null });

export default {
  EOL, arch, availableParallelism, constants, cpus, devNull, endianness, freemem, getPriority, homedir, hostname, loadavg,
  machine, networkInterfaces, platform, release, setPriority, tmpdir, totalmem, type, uptime, userInfo, version,
};
