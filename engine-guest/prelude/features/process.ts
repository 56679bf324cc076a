/**
 * The global `process`.
 */
export { process } from "../node/internal/process.ts";
