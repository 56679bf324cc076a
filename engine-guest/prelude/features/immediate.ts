/**
 * The globals `setImmediate` and `clearImmediate`.
 */
export { clearImmediate, setImmediate } from "../node/internal/immediate.ts";
