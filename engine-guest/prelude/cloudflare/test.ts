/**
 * `cloudflare:test`: the part of `selvedge:test` that goes by this name elsewhere.
 */
export {
  SELF, createExecutionContext, createScheduledController, env, reset, waitOnExecutionContext,
} from "../selvedge/test.ts";
