/**
 * `node:sys`, the old name of `node:util`.
 */
export * from "./util.ts";
export { default } from "./util.ts";
