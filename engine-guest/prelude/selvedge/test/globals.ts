/**
 * The API as globals, for files that import nothing.
 */
import { assert, expect } from "./expect.ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "./suite.ts";
import { vi } from "./vi.ts";

export function makeGlobal(): void {
  Object.assign(globalThis, {
    describe, suite: describe, it: test, test, beforeAll, afterAll, beforeEach, afterEach, expect, assert, vi, vitest: vi,
  });
}
