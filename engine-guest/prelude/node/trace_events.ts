/**
 * `node:trace_events`: nothing is traced this way.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "use traceparent";
export const createTracing = absent("trace_events", "createTracing", INSTEAD);
export const getEnabledCategories = absent("trace_events", "getEnabledCategories", INSTEAD);

export default {
  createTracing, getEnabledCategories,
};
