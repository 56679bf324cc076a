// The worker in which a test of the Web Platform Tests runs. It is given the test as the body of a request, and answers
// with the results:
//
//   { file, search, timeoutMs, harness, source }  →  { status, message, tests: [[name, status, message], …] }
//
// The sources are evaluated as classic scripts: `harness` is the suite's own testharness.js, `source` the test's file
// behind those that it includes, in one script, for what a `let` of one file binds the next one sees.

const STATUS = ["OK", "ERROR", "TIMEOUT", "PRECONDITION_FAILED"];
const TEST_STATUS = ["PASS", "FAIL", "TIMEOUT", "NOTRUN", "PRECONDITION_FAILED"];
const run = globalThis.eval;

/** What a test expects around it, where it does not come from the platform. */
function furnish(file, search) {
  const location = new URL(`http://web-platform.test:8000/${file}${search}`);
  const give = (name, value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  give("location", location);
  // The idlharness asks where it is by `self instanceof Window`. What is exposed to windows and to workers alike is all
  // that is asked for here; Node runs the suite in the same way.
  give("Window", Object);
  give("GLOBAL", { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false });
  const { fetch } = globalThis;
  give("fetch", (input, init) => fetch(typeof input === "string" ? new URL(input, location).href : input, init));
}

/**
 * Reads each global that a script names. The host has such a global ready before a script runs that names it; a test's
 * source comes too late for that, and would see the accessor that stands for it until then.
 */
function makeReady(source) {
  const words = new Set(source.match(/\b[A-Za-z]\w+/g));
  // A test of interfaces reads the names of what it looks at from a file.
  const all = words.has("idl_test");
  for (const name of Object.getOwnPropertyNames(globalThis)) if (all || words.has(name)) void globalThis[name];
}

// A lone surrogate would not survive the way out.
const text = (value) => (value === null || value === undefined ? null : String(value).toWellFormed());

export default {
  async fetch(request) {
    const { file, search, timeoutMs, harness, source } = await request.json();
    furnish(file, search);
    const { setTimeout, clearTimeout, JSON, Response } = globalThis;
    const { stringify } = JSON;
    const { promise, resolve } = Promise.withResolvers();
    makeReady(source);
    run(harness);
    const { add_completion_callback: whenDone, setup, timeout } = globalThis;
    whenDone((tests, status) => {
      resolve(stringify({
        status: STATUS[status.status],
        message: text(status.message),
        tests: tests.map((test) => [text(test.name), TEST_STATUS[test.status], text(test.message)]),
      }));
    });
    const timer = setTimeout(timeout, timeoutMs);
    try {
      run(source);
    } catch (error) {
      // As an uncaught exception would end the harness in a page.
      setup(() => { throw error; });
    }
    const results = await promise;
    clearTimeout(timer);
    return new Response(results);
  },
};
