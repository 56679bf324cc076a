/**
 * `selvedge:test`: what a test file imports. Under `selvedge test` it answers to `vitest` and `cloudflare:test` too.
 *
 * The modules below this folder are in images of tests only. Unlike the rest of the prelude they are ordinary JavaScript:
 * a test that breaks `Array.prototype` breaks itself. What tests replace as a habit (`Date`, timers) is taken from
 * `primordials.ts` all the same.
 */
export {
  ExecutionContext, SELF, createExecutionContext, createScheduledController, env, listDurableObjectIds, reset,
  runDurableObjectAlarm, waitOnExecutionContext,
} from "./test/app.ts";
export { AssertionError, assert, expect } from "./test/expect.ts";
export { onTestFailed, onTestFinished } from "./test/runner.ts";
export {
  afterAll, afterEach, beforeAll, beforeEach, describe, describe as suite, test, test as it,
} from "./test/suite.ts";
export { vi, vi as vitest } from "./test/vi.ts";

/** Types are not checked here: what asks about them passes. */
export const expectTypeOf = (): any => {
  const anything: any = new Proxy(() => anything, { get: (_, name) => (name === "then" ? undefined : anything) });
  return anything;
};
export const assertType = (): void => {};
