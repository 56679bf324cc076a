/**
 * Warnings, as `process.emitWarning` gives them: a line in the log.
 */
import { CALL_LOG, call } from "../../native.ts";

export function logWarning(name: string, message: string, code?: string): void {
  call(CALL_LOG, "warn", `${code === undefined ? "" : `[${code}] `}${name}: ${message}`);
}
