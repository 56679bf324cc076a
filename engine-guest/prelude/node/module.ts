/**
 * `node:module`. Modules are joined when an app is built, so nothing can be required by a name that is computed.
 */
import { objectAssign } from "../library.ts";
import { Error, arrayIndexOf, stringSlice, stringStartsWith } from "../primordials.ts";
import { codedError } from "./internal/errors.ts";
import { absent, absentError } from "./internal/absent.ts";

const INSTEAD = "import the module by a name that the build can see";

export const builtinModules = [
  "assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram",
  "diagnostics_channel", "dns", "dns/promises", "events", "fs", "fs/promises", "http", "http2", "https", "inspector",
  "module", "net", "os", "path", "path/posix", "path/win32", "perf_hooks", "process", "punycode", "querystring", "readline",
  "readline/promises", "stream", "stream/consumers", "stream/promises", "stream/web", "string_decoder", "sys", "timers",
  "timers/promises", "tls", "trace_events", "tty", "url", "util", "util/types", "v8", "vm", "wasi", "worker_threads", "zlib",
];

export function isBuiltin(name: any): boolean {
  const text = `${name}`;
  return arrayIndexOf(builtinModules, stringStartsWith(text, "node:") ? stringSlice(text, 5) : text) >= 0;
}

export function createRequire(_from: any): any {
  const require: any = (name: any): never => {
    throw codedError(Error, "MODULE_NOT_FOUND", `Cannot find module '${name}': ${absentError("module.createRequire", INSTEAD).message}`);
  };
  require.resolve = require;
  require.cache = {};
  require.main = undefined;
  return require;
}

export const register = absent("module", "register", INSTEAD);
export const syncBuiltinESMExports = (): void => {};
export const findSourceMap = (_path: any): undefined => undefined;
export const SourceMap = absent("module", "SourceMap", "stack traces point at the original files already");
export const enableCompileCache = (): any => ({ status: 3 });

export const Module: any = absent("module", "Module", INSTEAD);
objectAssign(Module, {
  Module, builtinModules, createRequire, isBuiltin, register, syncBuiltinESMExports, findSourceMap, SourceMap,
  enableCompileCache, _cache: {}, _extensions: {}, _pathCache: {}, globalPaths: [],
});
export default Module;
