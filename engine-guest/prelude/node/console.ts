/**
 * `node:console`: the global console.
 */
import { console as web } from "../console.ts";
import { absent } from "./internal/absent.ts";

export const Console = absent("console", "Console", "use the global console");
export const {
  assert, clear, count, countReset, debug, dir, dirxml, error, group, groupCollapsed, groupEnd, info, log, table, time,
  timeEnd, timeLog, trace, warn,
} = web as any;
export default web;
