/**
 * `node:inspector`: nothing can be inspected from inside.
 */
import { console } from "../console.ts";
import { absent } from "./internal/absent.ts";

const INSTEAD = "use selvedge dev";
export const url = (): undefined => undefined;
export { console };
export const open = absent("inspector", "open", INSTEAD);
export const close = absent("inspector", "close", INSTEAD);
export const waitForDebugger = absent("inspector", "waitForDebugger", INSTEAD);
export const Session = absent("inspector", "Session", INSTEAD);

export default {
  open, close, waitForDebugger, Session, url, console,
};
