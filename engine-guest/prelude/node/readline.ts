/**
 * `node:readline`: there is no terminal.
 */
import { absent } from "./internal/absent.ts";
import promises from "./readline/promises.ts";

const INSTEAD = "read from the request";

export { promises };
export const createInterface = absent("readline", "createInterface", INSTEAD);
export const Interface = absent("readline", "Interface", INSTEAD);
export const clearLine = absent("readline", "clearLine", INSTEAD);
export const clearScreenDown = absent("readline", "clearScreenDown", INSTEAD);
export const cursorTo = absent("readline", "cursorTo", INSTEAD);
export const moveCursor = absent("readline", "moveCursor", INSTEAD);
export const emitKeypressEvents = absent("readline", "emitKeypressEvents", INSTEAD);

export default {
  createInterface, Interface, clearLine, clearScreenDown, cursorTo, moveCursor, emitKeypressEvents, promises,
};
