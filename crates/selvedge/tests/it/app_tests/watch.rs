//! `selvedge test --watch`.

use super::{APP, edit, project};
use crate::harness::Place;

const UNIT: &str = "import { expect, test } from 'vitest';\nimport { two } from './two.ts';\n\
    test('two', () => { expect(two).toBe(2); });\n";
const WHOLE: &str = "import { expect, test } from 'vitest';\nimport { SELF } from 'cloudflare:test';\n\
    test('greets', async () => { expect(await (await SELF.fetch('/x')).json()).toMatchObject({ greeting: 'hello' }); });\n";
const WAITING: &str = "waiting for changes";

#[test]
fn a_change_runs_what_depends_on_it() {
    let place = Place::new();
    let two = "export const two = 2;\n";
    let project = project(&place, &[("src/two.ts", two), ("src/unit.test.ts", UNIT), ("whole.test.ts", WHOLE)]);
    let watcher = place.watch_tests(&project, &[]);
    let said = watcher.wait_for(WAITING, 1);
    assert!(said.contains("Test Files  2 passed (2)"), "{said}");

    // What only one file imports.
    edit(&project, "src/two.ts", "export const two = 3;\n");
    let said = watcher.wait_for(WAITING, 2);
    assert!(said.contains("CHANGED src/two.ts") && said.contains("Test Files  1 failed (1)"), "{said}");
    assert!(said.contains("expected 3 to be 2"), "{said}");
    edit(&project, "src/two.ts", two);
    assert!(watcher.wait_for(WAITING, 3).contains("Test Files  1 passed (1)"));

    // The app, which the other calls.
    edit(&project, "src/index.ts", &APP.replace("greeting: env.GREETING", "greeting: 'good day'"));
    let said = watcher.wait_for(WAITING, 4);
    assert!(said.contains("❯ whole.test.ts") && !said.contains("unit.test.ts"), "{said}");

    // A build that fails, and its mending.
    edit(&project, "src/index.ts", "export default {\n");
    watcher.wait_for(WAITING, 5);
    watcher.wait_for_stderr("src/index.ts:2:1");
    edit(&project, "src/index.ts", APP);
    assert!(watcher.wait_for(WAITING, 6).contains("✓ whole.test.ts"));

    // A start that fails.
    edit(&project, "src/index.ts", "throw new Error('not today');\n");
    watcher.wait_for(WAITING, 7);
    watcher.wait_for_stderr("not today");
    edit(&project, "src/index.ts", APP);
    assert!(watcher.wait_for(WAITING, 8).contains("✓ whole.test.ts"));

    // A new file.
    edit(&project, "src/new.test.ts", "import { test } from 'vitest';\ntest('new', () => {});\n");
    let said = watcher.wait_for(WAITING, 9);
    assert!(said.contains("✓ src/new.test.ts") && said.contains("Test Files  1 passed (1)"), "{said}");

    // The manifest, on which all depend.
    edit(&project, "selvedge.toml", &super::MANIFEST.replace("hello", "hello!"));
    let said = watcher.wait_for(WAITING, 10);
    assert!(said.contains("Test Files  1 failed | 2 passed (3)"), "{said}");
    assert!(watcher.stop().success());
}

#[test]
fn an_app_that_never_started_is_watched_too() {
    let place = Place::new();
    let project = project(&place, &[("src/index.ts", "throw new Error('not yet');\n"), ("whole.test.ts", WHOLE)]);
    let watcher = place.watch_tests(&project, &[]);
    watcher.wait_for_stderr("not yet");
    watcher.wait_for(WAITING, 1);
    edit(&project, "src/index.ts", APP);
    assert!(watcher.wait_for(WAITING, 2).contains("✓ whole.test.ts"));
    assert!(watcher.stop().success());
}
