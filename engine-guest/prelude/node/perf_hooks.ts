/**
 * `node:perf_hooks`: the web's `performance`.
 */
import { freeze } from "../primordials.ts";
import { Performance, performance } from "../performance.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "the clock of a worker moves between events only; take times from the invocation records";

export const constants = freeze({
  NODE_PERFORMANCE_GC_MAJOR: 4, NODE_PERFORMANCE_GC_MINOR: 1, NODE_PERFORMANCE_GC_INCREMENTAL: 8, NODE_PERFORMANCE_GC_WEAKCB: 16,
});
export const PerformanceObserver = (globalThis as any).PerformanceObserver ?? absent("perf_hooks", "PerformanceObserver", INSTEAD);
export const PerformanceEntry = (globalThis as any).PerformanceEntry ?? absent("perf_hooks", "PerformanceEntry", INSTEAD);
export const monitorEventLoopDelay = absent("perf_hooks", "monitorEventLoopDelay", INSTEAD);
export const createHistogram = absent("perf_hooks", "createHistogram", INSTEAD);
export const {
  PerformanceMark, PerformanceMeasure, PerformanceObserverEntryList, PerformanceResourceTiming,
} = globalThis as any;
export { Performance, performance };
export default {
  constants, performance, Performance, PerformanceObserver, PerformanceEntry, PerformanceMark,
  PerformanceMeasure, PerformanceObserverEntryList, PerformanceResourceTiming, monitorEventLoopDelay, createHistogram,
};
