/**
 * `node:wasi`: a component is the way to run WASI.
 */
import { absent } from "./internal/absent.ts";

const INSTEAD = "deploy a component";
export const WASI = absent("wasi", "WASI", INSTEAD);

export default {
  WASI,
};
