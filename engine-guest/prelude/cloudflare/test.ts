/**
 * `cloudflare:test`: the part of `selvedge:test` that goes by this name elsewhere.
 */
export {
  SELF, createExecutionContext, createScheduledController, env, listDurableObjectIds, reset, runDurableObjectAlarm,
  waitOnExecutionContext,
} from "../selvedge/test.ts";
