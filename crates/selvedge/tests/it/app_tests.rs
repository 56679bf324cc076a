//! `selvedge test`: an app's own tests, as its developer runs them.

use std::path::PathBuf;

use crate::harness::{Outcome, Place, write};

mod bad_input;
mod data;
mod mocks;
mod reports;
mod snapshots;
mod watch;
mod wrangler;

const MANIFEST: &str = "name = \"app\"\n[workers.web]\nentry = \"src/index.ts\"\nvars = { GREETING = \"hello\" }\n\
                        [workers.web.bindings]\nNOTES = { kv = \"notes\" }\n";

const APP: &str = "\
export function add(a: number, b: number): number { return a + b; }
export default {
  async fetch(request: Request, env: any, ctx: any): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/boom') throw new Error('boom in the app');
    if (pathname === '/log') console.log('a line of the app');
    if (pathname === '/later') ctx.waitUntil(env.NOTES.put('later', 'done'));
    if (request.method === 'PUT') await env.NOTES.put(pathname.slice(1), await request.text());
    return Response.json({ greeting: env.GREETING, note: await env.NOTES.get(pathname.slice(1)) });
  },
};
";

/// A project of that app and these files of tests.
fn project(place: &Place, files: &[(&str, &str)]) -> PathBuf {
    let app = [("selvedge.toml", MANIFEST), ("src/index.ts", APP)];
    place.project("project", &[&app, files].concat())
}

/// Runs one file of tests.
fn run(source: &str, args: &[&str]) -> Outcome {
    let place = Place::new();
    let project = project(&place, &[("src/index.test.ts", source)]);
    place.test(&project, args)
}

#[track_caller]
fn says(outcome: &Outcome, code: i32, parts: &[&str]) {
    let Outcome { stdout, stderr, .. } = outcome;
    assert_eq!(outcome.code, Some(code), "{stdout}{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in parts {
        assert!(stdout.contains(part) || stderr.contains(part), "{part:?} is missing from:\n{stdout}{stderr}");
    }
}

#[test]
fn what_is_true_of_vitest_is_true_here() {
    let outcome = run(include_str!("../fixtures/vitest/expect.test.ts"), &[]);
    says(&outcome, 0, &["✓ src/index.test.ts (53 tests | 5 skipped)", "48 passed | 4 skipped | 1 todo (53)"]);
}

#[test]
fn a_failure_shows_the_difference_and_the_line_as_it_was_written() {
    let source = "import { expect, test } from 'selvedge:test';\nimport { add } from './index.ts';\n\
                  interface Gone { a: number }\n\ntest('adds', () => { expect(add(1, 2)).toBe(3); });\n\
                  test('differs', () => {\n  const wanted: Gone = { a: 4 };\n  \
                  expect({ a: add(1, 2), b: [1] }).toEqual({ ...wanted, b: [1] });\n});\n";
    let outcome = run(source, &[]);
    says(
        &outcome,
        1,
        &[
            "✓ adds",
            "× differs",
            "FAIL src/index.test.ts > differs",
            "AssertionError: expected { a: 3, b: [ 1 ] } to deeply equal { a: 4, b: [ 1 ] }",
            "- Expected\n+ Received\n\n  {\n-   \"a\": 4,\n+   \"a\": 3,\n    \"b\": [\n      1,\n    ],\n  }\n",
            "❯ src/index.test.ts:8:36",
            "8|   expect({ a: add(1, 2), b: [1] }).toEqual({ ...wanted, b: [1] });",
            "Tests  1 failed | 1 passed (2)",
        ],
    );
}

#[test]
fn an_error_leads_into_the_source_and_names_its_cause() {
    let source = "import { test } from 'vitest';\nfunction deep() {\n  throw new TypeError('inner');\n}\n\
                  test('fails', () => {\n  try {\n    deep();\n  } catch (cause) {\n    \
                  throw new Error('outer', { cause });\n  }\n});\n";
    says(
        &run(source, &[]),
        1,
        &["Error: outer", "❯ src/index.test.ts:9:", "caused by: TypeError: inner", "❯ deep src/index.test.ts:3:"],
    );
}

#[test]
fn the_app_answers_through_self_and_its_failures_are_shown() {
    let source = "import { expect, test } from 'vitest';\nimport { SELF } from 'cloudflare:test';\n\
                  test('answers', async () => {\n  const answer = await SELF.fetch('https://app.example/log');\n  \
                  expect(await answer.json()).toEqual({ greeting: 'hello', note: null });\n});\n\
                  test('breaks', async () => {\n  await SELF.fetch('/boom');\n});\n";
    says(
        &run(source, &[]),
        1,
        &[
            "stdout | src/index.test.ts > answers (web) src/index.ts:6:",
            "a line of the app",
            "stderr | src/index.test.ts > breaks (web)",
            "Error: boom in the app\n    at fetch (src/index.ts:5:",
            "❯ src/index.test.ts:8:",
        ],
    );
}

#[test]
fn the_api_is_global_if_that_is_asked_for() {
    let source = "describe('all', () => { it('is there', () => { expect(vi.fn()).not.toHaveBeenCalled(); }); });\n";
    says(&run(source, &["--globals"]), 0, &["1 passed"]);
    says(&run(source, &[]), 1, &["describe is not defined"]);
    let place = Place::new();
    let manifest = format!("{MANIFEST}[test]\nglobals = true\n");
    let project = project(&place, &[("selvedge.toml", &manifest), ("a.test.ts", source)]);
    says(&place.test(&project, &[]), 0, &["1 passed"]);
}

#[test]
fn a_test_that_loops_is_ended_alone() {
    let source = "import { afterEach, beforeAll, expect, test } from 'vitest';\nlet ran = 0;\n\
                  beforeAll(() => { ran = 10; });\nafterEach(() => { ran++; });\n\
                  test('loops', () => { for (;;) {} });\n\
                  test('goes on', () => { expect(ran).toBe(11); });\n";
    let place = Place::new();
    let other = "import { test } from 'vitest';\ntest('is well', () => {});\n";
    let project = project(&place, &[("a.test.ts", source), ("b.test.ts", other)]);
    let outcome = place.test(&project, &["--timeout", "2000"]);
    says(
        &outcome,
        1,
        &[
            "× loops",
            "the test used more than 1800 ms of CPU time",
            "a.test.ts:5:1",
            "✓ goes on",
            "✓ b.test.ts (1 test)",
        ],
    );
}

#[test]
fn a_lost_sandbox_is_made_anew_with_the_hooks_of_the_suites_that_are_open() {
    let source = "import { beforeAll, describe, expect, test } from 'vitest';\nimport { env } from 'cloudflare:test';\n\
                  describe('s', () => {\n  let ready = false;\n  \
                  beforeAll(async () => { ready = true; await env.NOTES.put('a', '1'); });\n  \
                  test('hangs in native code', () => { /^(a+)+$/.test('a'.repeat(40) + 'b'); });\n  \
                  test('finds what it needs', async () => {\n    expect(ready).toBe(true);\n    \
                  expect(await env.NOTES.get('a')).toBe('1');\n  });\n});\n";
    let outcome = run(source, &["--timeout", "1000"]);
    says(&outcome, 1, &["× s > hangs in native code", "✓ s > finds what it needs", "1 failed | 1 passed"]);
}

#[test]
fn a_test_that_never_settles_is_found_at_once_and_one_that_waits_is_cut_off() {
    let source = "import { expect, test, vi } from 'vitest';\n\
                  test('never settles', async () => { await new Promise(() => {}); });\n\
                  test('waits', async () => { await new Promise((done) => setTimeout(done, 60_000)); }, 100);\n\
                  test('goes on', () => { expect(1).toBe(1); });\n";
    says(
        &run(source, &[]),
        1,
        &[
            "× never settles",
            "the test waits for a promise that nothing can settle any more",
            "× waits",
            "the test took longer than 100 ms",
            "✓ goes on",
        ],
    );
}

#[test]
fn what_nobody_caught_fails_the_run() {
    let source = "import { test } from 'vitest';\nconst pause = () => new Promise((done) => setTimeout(done, 20));\n\
                  test('leaves a rejection', async () => { void Promise.reject(new Error('nobody cares')); await pause(); });\n\
                  test('leaves a timer', async () => { setTimeout(() => { throw new Error('too late'); }, 1); await pause(); });\n";
    says(
        &run(source, &[]),
        1,
        &[
            "Uncaught errors 2",
            "ERROR src/index.test.ts > leaves a rejection\nError: nobody cares",
            "ERROR src/index.test.ts > leaves a timer\nError: too late",
            "❯ src/index.test.ts:3:",
            "Tests  2 passed (2)",
        ],
    );
}

#[test]
fn hooks_that_fail_are_told_of_and_their_tests_skipped() {
    let source = "import { afterAll, beforeAll, describe, test } from 'vitest';\n\
                  console.log('at the top');\n\
                  describe('one', () => {\n  beforeAll(() => { throw new Error('no server'); });\n  test('a', () => {});\n  \
                  describe('in it', () => {\n    afterAll(() => { throw new Error('never run'); });\n    test('c', () => {});\n  });\n});\n\
                  describe('two', () => {\n  afterAll(() => { throw new Error('stuck'); });\n  test('b', () => {});\n});\n";
    let outcome = run(source, &[]);
    assert!(!outcome.stdout.contains("never run"), "{}", outcome.stdout);
    says(
        &outcome,
        1,
        &[
            "stdout | src/index.test.ts src/index.test.ts:2:9\nat the top",
            "↓ one > in it > c",
            "FAIL src/index.test.ts > one\nError: no server",
            "FAIL src/index.test.ts > two\nError: stuck",
            "↓ one > a",
            "✓ two > b",
        ],
    );
}

#[test]
fn names_and_files_are_chosen() {
    let place = Place::new();
    let test = "import { describe, test } from 'vitest';\n\
                describe('outer', () => { test('one', () => {}); test('two', () => {}); });\n";
    let project =
        project(&place, &[("src/a.test.ts", test), ("test/b.spec.mjs", test), ("node_modules/x/c.test.js", "!")]);
    says(&place.test(&project, &[]), 0, &["✓ src/a.test.ts", "✓ test/b.spec.mjs", "Test Files  2 passed (2)"]);
    says(&place.test(&project, &["b.spec"]), 0, &["Test Files  1 passed (1)"]);
    says(&place.test(&project, &["src/", "-t", "outer two"]), 0, &["1 passed | 1 skipped (2)"]);
    says(&place.test(&project, &["-t", "nothing"]), 0, &["no test has \"nothing\" in its name", "4 skipped"]);
}

#[test]
fn templates_and_recipes_pass_their_own_tests() {
    let place = Place::new();
    for (template, tests) in [("typescript-api", "6 passed (6)"), ("site", "4 passed (4)")] {
        place.run(&["init", template, "--template", template]).expect_success();
        says(&place.test(&place.path(template), &[]), 0, &[tests]);
    }
    for (recipe, tests) in [
        ("guestbook", "8 passed (8)"),
        ("api", "14 passed (14)"),
        ("sessions", "6 passed (6)"),
        ("wrangler-project", "4 passed (4)"),
        ("tenants", "5 passed (5)"),
        ("views", "5 passed (5)"),
        ("feed", "7 passed (7)"),
    ] {
        says(&place.test(&place.recipe(recipe), &[]), 0, &[tests]);
    }
}

#[test]
fn init_says_types_that_know_the_tests() {
    let place = Place::new();
    place.run(&["init", "app"]).expect_success();
    let types = std::fs::read_to_string(place.path("app/env.d.ts")).expect("the file");
    assert!(types.contains("declare module \"selvedge:test\"") && types.contains("export const env: Env;"), "{types}");
    for recipe in ["guestbook", "api", "sessions"] {
        let project = place.recipe(recipe);
        let committed = std::fs::read_to_string(project.join("env.d.ts")).expect("the file");
        let made = place.run(&["types", &project.display().to_string(), "--tests"]).expect_success();
        assert_eq!(made.trim(), committed.trim(), "run selvedge types --tests for {recipe}");
    }
}

/// Replaces a file of a project.
fn edit(project: &std::path::Path, file: &str, content: &str) {
    write(&project.join(file), content);
}
