//! What can't be run: why, where, and what to do about it.

use super::{APP, MANIFEST, project, run, says};
use crate::harness::Place;

const WELL: &str = "import { test } from 'vitest';\ntest('is well', () => {});\n";

#[test]
fn nothing_to_run_is_an_error_of_use() {
    let place = Place::new();
    let project = project(&place, &[]);
    says(&place.test(&project, &[]), 2, &["no tests in", "ends in .test.ts or .spec.ts"]);
    super::edit(&project, "a.test.ts", WELL);
    says(&place.test(&project, &["b.test", "c"]), 2, &["no file of tests in", "has b.test or c in its path"]);
}

#[test]
fn a_directory_without_an_app_is_told_so() {
    let place = Place::new();
    let project = place.project("empty", &[("a.test.ts", WELL)]);
    says(&place.test(&project, &[]), 2, &["holds no manifest", "selvedge init"]);
}

#[test]
fn an_app_that_does_not_build_runs_no_tests() {
    let place = Place::new();
    let project = project(&place, &[("a.test.ts", WELL), ("src/index.ts", "export default {\n")]);
    let outcome = place.test(&project, &[]);
    says(&outcome, 2, &["src/index.ts:2:1"]);
    assert!(!outcome.stdout.contains("RUN"), "{}", outcome.stdout);
    super::edit(&project, "src/index.ts", "throw new Error('not today');\n");
    says(&place.test(&project, &[]), 2, &["The worker failed to start", "not today", "src/index.ts:1:"]);
}

#[test]
fn a_file_that_does_not_build_is_told_with_its_line_and_the_others_run() {
    let place = Place::new();
    let project = project(
        &place,
        &[
            ("a.test.ts", "import { test } from 'vitest';\ntest('x', () => { const = 3; });\n"),
            ("b.test.ts", "import { nope } from './nope.ts';\nnope();\n"),
            ("c.test.ts", WELL),
        ],
    );
    says(
        &place.test(&project, &[]),
        2,
        &[
            "❯ a.test.ts (not built)",
            "a.test.ts:2:25",
            "cannot find \"./nope.ts\"",
            "✓ c.test.ts (1 test)",
            "Test Files  2 failed | 1 passed (3)",
        ],
    );
}

#[test]
fn a_throw_at_the_top_fails_the_file() {
    let source = "import { test } from 'vitest';\nfunction setUp() { throw new Error('at the top'); }\nsetUp();\ntest('x', () => {});\n";
    says(
        &run(source, &[]),
        1,
        &["FAIL src/index.test.ts\nError: at the top", "❯ setUp src/index.test.ts:2:", "❯ src/index.test.ts:3:"],
    );
}

#[test]
fn a_part_of_another_runner_that_is_not_there_is_named() {
    let source = "import { fetchMock } from 'cloudflare:test';\nfetchMock.activate();\n";
    says(&run(source, &[]), 2, &["cloudflare:test has no export \"fetchMock\"", "src/index.test.ts:1:10"]);
}

#[test]
fn a_file_without_tests_and_one_that_loops_at_the_top_fail() {
    says(&run("export {};\n", &[]), 1, &["the file declares no tests", "declare one with test("]);
    says(&run("for (;;) {}\n", &["--timeout", "500"]), 1, &["loading the file used more than 450 ms of CPU time"]);
}

#[test]
fn what_a_test_may_not_do_fails_that_test() {
    let source = "import { expect, test, vi } from 'vitest';\n\
        test('exits', () => { process.exit(3); });\n\
        test('throws text', () => { throw 'just text'; });\n\
        test('mocks a module', () => { vi['mock']('./index.ts'); });\n\
        test('takes a snapshot', () => { expect(1).toMatchSnapshot(); });\n\
        test('declares', () => { test('inner', () => {}); });\n\
        test('goes on', () => {});\n";
    says(
        &run(source, &[]),
        1,
        &[
            "process.exit(3) is not available",
            "just text",
            "vi.mock() is not supported: it works in the file of tests itself",
            "toMatchSnapshot() is not supported",
            "test() was called while tests run",
            "✓ goes on",
            "5 failed | 1 passed (6)",
        ],
    );
}

#[test]
fn a_worker_does_not_import_what_is_for_tests() {
    let place = Place::new();
    let source = format!("import {{ env }} from \"selvedge:test\";\n{APP}\nvoid env;\n");
    let project = place.project("project", &[("selvedge.toml", MANIFEST), ("src/index.ts", &source)]);
    let said = place.run(&["check", &project.display().to_string()]).expect_failure();
    for part in ["src/index.ts:1:", "selvedge:test is for files of tests, and this is none", "selvedge test"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_manifest_sets_limits_of_tests_and_is_checked() {
    let place = Place::new();
    let waits = "import { test } from 'vitest';\ntest('waits', async () => { await new Promise((done) => setTimeout(done, 60_000)); });\n";
    let with = |test: &str| format!("{MANIFEST}[test]\n{test}\n");
    let project = project(&place, &[("selvedge.toml", &with("limits = { test_ms = 100 }")), ("a.test.ts", waits)]);
    says(&place.test(&project, &[]), 1, &["the test took longer than 100 ms"]);
    says(&place.test(&project, &["--timeout", "50"]), 1, &["the test took longer than 50 ms"]);
    super::edit(&project, "selvedge.toml", &with("limits = { cpu_ms = 100 }"));
    says(&place.test(&project, &[]), 2, &["there is no limit `cpu_ms` here", "selvedge.toml:8:"]);
    super::edit(&project, "selvedge.toml", &with("worker = \"wep\""));
    says(&place.test(&project, &[]), 2, &["[test] names the worker `wep`, which does not exist", "web"]);
    super::edit(&project, "selvedge.toml", &with("global = true"));
    says(&place.test(&project, &[]), 2, &["selvedge.toml:8:", "did you mean", "globals"]);
}

#[test]
fn a_limit_out_of_range_and_an_unknown_option_are_errors_of_use() {
    says(&run(WELL, &["--timeout", "0"]), 2, &["--timeout is 0; it must lie between 1 and 3600000 ms"]);
    says(&run(WELL, &["--reporter", "html"]), 2, &["pretty", "json", "junit"]);
}

#[test]
fn what_a_test_throws_and_is_called_never_harms_the_report() {
    let source = "import { expect, test, vi } from 'vitest';\n\
        test('half a pair \\ud800 and \\u001b[31m', () => { throw new Error('x\\ud800y'); });\n\
        test('long', () => { throw new Error('m'.repeat(5_000_000)); });\n\
        test('odd', () => { throw { get message() { throw 1; }, toString() { throw 2; } }; });\n\
        test('wide', () => { expect('a'.repeat(100_000)).toBe('b'.repeat(100_000)); });\n\
        test('proxy', () => { expect(new Proxy({}, { ownKeys() { throw new Error('no keys'); } })).toEqual({ a: 1 }); });\n\
        test('breaks globals', () => { (globalThis as any).Response = 1; (globalThis as any).JSON = 2; });\n\
        test('has no limit', { timeout: 0 }, () => {});\n\
        test('goes on', () => { expect(vi).toBeDefined(); });\n";
    let outcome = run(source, &[]);
    says(
        &outcome,
        1,
        &["x\u{fffd}y", "no keys", "✓ breaks globals", "✓ has no limit", "✓ goes on", "5 failed | 3 passed (8)"],
    );
    assert!(!outcome.stdout.contains('\u{1b}') && outcome.stdout.len() < 200_000, "{}", outcome.stdout.len());
}
