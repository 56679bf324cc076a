/**
 * `process`: what of a process there is in a worker. It is made for code that asks; nothing here ends or changes the node.
 */
import { objectAssign } from "../../library.ts";
import { CALL_LOG, call, now, utf8Decode } from "../../native.ts";
import {
  BigInt, Error, Set, Symbol, bytesOf, defineProperty, floor, freeze, isArray, isObject, setPrototypeOf,
  stringIndexOf, stringSlice, trunc,
} from "../../primordials.ts";
import { codedError, invalidArgType } from "./errors.ts";
import { environment } from "./environment.ts";
import { nextTick } from "./ticks.ts";
import { logWarning } from "./warning.ts";
import { EventEmitter } from "./emitter.ts";

/** The Node.js whose interfaces these modules follow. */
export const NODE_VERSION = "22.19.0";

function refused(what: string, instead: string): never {
  throw codedError(Error, "ERR_METHOD_NOT_IMPLEMENTED", `process.${what} is not available in a worker; ${instead}`);
}

/** Lines for the log; what stands before a line break waits for the rest. */
function output(level: string): any {
  let rest = "";
  return {
    isTTY: false, writable: true, fd: level === "info" ? 1 : 2, columns: undefined,
    write(chunk: any, encoding?: any, callback?: any): boolean {
      const bytes = typeof chunk === "string" ? null : bytesOf(chunk);
      rest += bytes === null ? `${chunk}` : utf8Decode(bytes, false, true);
      for (let at = stringIndexOf(rest, "\n"); at >= 0; at = stringIndexOf(rest, "\n")) {
        call(CALL_LOG, level, stringSlice(rest, 0, at));
        rest = stringSlice(rest, at + 1);
      }
      const done = typeof encoding === "function" ? encoding : callback;
      if (typeof done === "function") nextTick(done);
      return true;
    },
    end(): void {
      if (rest !== "") call(CALL_LOG, level, rest);
      rest = "";
    },
    on(): any { return this; },
    once(): any { return this; },
    off(): any { return this; },
    emit(): boolean { return false; },
    removeListener(): any { return this; },
    getColorDepth: (): number => 1, hasColors: (): boolean => false,
  };
}

function hrtime(previous?: any): [number, number] {
  const ms = now();
  let seconds = floor(ms / 1000);
  let nanoseconds = floor((ms - seconds * 1000) * 1e6);
  if (previous !== undefined) {
    if (!isArray(previous)) throw invalidArgType("time", "an instance of Array", previous);
    seconds -= previous[0];
    nanoseconds -= previous[1];
    if (nanoseconds < 0) {
      seconds--;
      nanoseconds += 1e9;
    }
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = (): bigint => BigInt(trunc(now() * 1000)) * 1000n;

function Process(this: any): void {
  EventEmitter.call(this);
}
setPrototypeOf(Process.prototype, EventEmitter.prototype);
defineProperty(Process, "name", { value: "process" });

export const process: any = new (Process as any)();

objectAssign(process, {
  title: "selvedge", version: `v${NODE_VERSION}`, arch: "wasm32", platform: "linux", pid: 1, ppid: 0, execPath: "/bin/node",
  argv: ["node", "/worker"], argv0: "node", execArgv: [], exitCode: undefined, env: environment, hrtime, nextTick,
  browser: false,
  versions: freeze({ node: NODE_VERSION, v8: "12.4.254.21-node.33", uv: "1.51.0", modules: "127" }),
  release: freeze({ name: "node", lts: "Jod" }),
  config: freeze({ target_defaults: {}, variables: {} }),
  features: freeze({ inspector: false, debug: false, uv: false, ipv6: true, tls: true, typescript: "strip" }),
  stdout: output("info"), stderr: output("error"),
  cwd: (): string => "/",
  chdir: (): never => refused("chdir()", "a worker has no files"),
  umask: (): number => 0o022,
  uptime: (): number => now() / 1000,
  memoryUsage: objectAssign((): any => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }), { rss: (): number => 0 }),
  resourceUsage: (): any => ({ userCPUTime: 0, systemCPUTime: 0, maxRSS: 0 }),
  cpuUsage: (): any => ({ user: 0, system: 0 }),
  getuid: (): number => 0, geteuid: (): number => 0, getgid: (): number => 0, getegid: (): number => 0,
  exit: (code?: any): never => refused(`exit(${code ?? ""})`, "return a response, or throw"),
  abort: (): never => refused("abort()", "throw an error"),
  kill: (): never => refused("kill()", "there are no other processes"),
  binding: (name: any): never => {
    throw codedError(Error, "ERR_INVALID_MODULE", `No such module: ${name}`);
  },
  stdin: { isTTY: false, fd: 0, readable: false, on(): any { return this; }, once(): any { return this; }, pause(): any { return this; }, resume(): any { return this; } },
  availableMemory: (): number => 0, constrainedMemory: (): number => 0, getActiveResourcesInfo: (): string[] => [],
  getgroups: (): number[] => [0], allowedNodeEnvironmentFlags: new Set(), sourceMapsEnabled: true,
  setSourceMapsEnabled(): void {},
  dlopen: (): never => refused("dlopen()", "use WebAssembly"),
  emitWarning(warning: any, type?: any, code?: any): void {
    const options = isObject(type) ? type : { type, code };
    const error = warning instanceof Error;
    const name = error ? warning.name : options.type ?? "Warning";
    logWarning(name, error ? warning.message : `${warning}`, options.code);
    const emitted: any = error ? warning : objectAssign(new Error(`${warning}`), { name });
    nextTick(() => process.emit("warning", emitted));
  },
  getBuiltinModule: (): undefined => undefined,
  setUncaughtExceptionCaptureCallback(): void {},
  hasUncaughtExceptionCaptureCallback: (): boolean => false,
});
defineProperty(process, Symbol.toStringTag, { value: "process", configurable: true });
