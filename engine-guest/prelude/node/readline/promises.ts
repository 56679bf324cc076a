/**
 * `node:readline/promises`: there is no terminal.
 */
import { absent } from "../internal/absent.ts";

const INSTEAD = "read from the request";
export const createInterface = absent("readline.promises", "createInterface", INSTEAD);
export const Interface = absent("readline.promises", "Interface", INSTEAD);
export const Readline = absent("readline.promises", "Readline", INSTEAD);

export default {
  createInterface, Interface, Readline,
};
