/**
 * `node:timers`. A timer is a number here, as on the web; `ref`, `unref` and `refresh` belong to objects that it has not.
 */
import { defineProperty } from "../primordials.ts";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "../timers.ts";
import { clearImmediate, setImmediate } from "./internal/immediate.ts";
import { customPromisify } from "./internal/promisify.ts";
import * as promises from "./timers/promises.ts";

defineProperty(setTimeout, customPromisify, { get: () => promises.setTimeout, configurable: true });
defineProperty(setImmediate, customPromisify, { get: () => promises.setImmediate, configurable: true });

const asDefault = promises.default;
export { asDefault as promises, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
export default { promises: asDefault, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
