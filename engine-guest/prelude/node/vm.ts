/**
 * `node:vm`: there is one global scope.
 */
import { Symbol, freeze } from "../primordials.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "run the code in a worker of its own";
export const isContext = (_object: any): boolean => false;
export const constants = freeze({ __proto__: null, USE_MAIN_CONTEXT_DEFAULT_LOADER: Symbol("vm_dynamic_import_main_context_default") });
export const createContext = absent("vm", "createContext", INSTEAD);
export const createScript = absent("vm", "createScript", INSTEAD);
export const runInContext = absent("vm", "runInContext", INSTEAD);
export const runInNewContext = absent("vm", "runInNewContext", INSTEAD);
export const runInThisContext = absent("vm", "runInThisContext", INSTEAD);
export const compileFunction = absent("vm", "compileFunction", INSTEAD);
export const measureMemory = absent("vm", "measureMemory", INSTEAD);
export const Script = absent("vm", "Script", INSTEAD);
export const Module = absent("vm", "Module", INSTEAD);
export const SourceTextModule = absent("vm", "SourceTextModule", INSTEAD);
export const SyntheticModule = absent("vm", "SyntheticModule", INSTEAD);

export default {
  createContext, createScript, runInContext, runInNewContext, runInThisContext, compileFunction, measureMemory,
  Script, Module, SourceTextModule, SyntheticModule, isContext, constants,
};
