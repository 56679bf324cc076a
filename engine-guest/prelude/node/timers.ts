/**
 * `node:timers`. A timer is a number here, as on the web; `ref`, `unref` and `refresh` belong to objects that it has not.
 */
import { clearInterval, clearTimeout, setInterval, setTimeout } from "../timers.ts";
import { clearImmediate, setImmediate } from "./internal/immediate.ts";
import "./internal/promisify.ts";
import * as promises from "./timers/promises.ts";

const asDefault = promises.default;
export { asDefault as promises, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
export default { promises: asDefault, clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout };
