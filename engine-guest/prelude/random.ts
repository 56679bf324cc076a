/**
 * Random bytes. They always come from the host: a state kept here would be frozen into the memory image, and two
 * instances started from it would draw the same numbers.
 */
import { CALL_RANDOM, call } from "./native.ts";

export function randomBytes(count: number): Uint8Array {
  return call(CALL_RANDOM, count);
}
