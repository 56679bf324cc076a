/**
 * Lines for the app's log that the prelude itself writes: failures nobody else will see.
 */
import { CALL_LOG, call } from "./native.ts";
import { describeError } from "./errors.ts";

/** Writes an error, with what was going on, at level `error`. */
export function logError(context: string, thrown: unknown): void {
  const { name, message, stack } = describeError(thrown);
  call(CALL_LOG, "error", `${context}: ${name}: ${message}${stack === "" ? "" : `\n${stack}`}`, undefined);
}
