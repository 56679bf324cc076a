//! Inline snapshots that are written.

use super::{edit, project, says};
use crate::harness::Place;

const NEW: &str = "import { expect, test } from 'vitest';\nconst text: string = 'a `b` ${c}';\n\
    test('is written', async () => {\n  expect(text).toMatchInlineSnapshot();\n  \
    expect({ list: [1], text }).toMatchInlineSnapshot(  );\n  \
    expect(() => { throw new Error('no'); }).toThrowErrorMatchingInlineSnapshot();\n  \
    await expect(Promise.resolve(2)).resolves.toMatchInlineSnapshot();\n});\n";

const WRITTEN: &str = "import { expect, test } from 'vitest';\nconst text: string = 'a `b` ${c}';\n\
    test('is written', async () => {\n  expect(text).toMatchInlineSnapshot(`\"a \\`b\\` \\${c}\"`);\n  \
    expect({ list: [1], text }).toMatchInlineSnapshot(  `\n    {\n      \"list\": [\n        1,\n      ],\n      \"text\": \"a \\`b\\` \\${c}\",\n    }\n  `);\n  \
    expect(() => { throw new Error('no'); }).toThrowErrorMatchingInlineSnapshot(`[Error: no]`);\n  \
    await expect(Promise.resolve(2)).resolves.toMatchInlineSnapshot(`2`);\n});\n";

fn read(project: &std::path::Path) -> String {
    std::fs::read_to_string(project.join("a.test.ts")).expect("the file of tests")
}

#[test]
fn new_snapshots_are_written_and_others_when_that_is_asked_for() {
    let place = Place::new();
    let project = project(&place, &[("a.test.ts", NEW)]);
    says(&place.test_with(&project, &[], &[("CI", "true")]), 1, &["there is no snapshot yet"]);
    assert_eq!(read(&project), NEW);
    says(&place.test(&project, &[]), 0, &["Snapshots  4 written", "1 passed (1)"]);
    assert_eq!(read(&project), WRITTEN);
    let again = place.test(&project, &[]);
    says(&again, 0, &["1 passed (1)"]);
    assert!(!again.stdout.contains("written\n"), "{}", again.stdout);
    edit(&project, "a.test.ts", &WRITTEN.replace("resolve(2)", "resolve(3)"));
    says(&place.test(&project, &[]), 1, &["to match the snapshot '2'"]);
    says(&place.test(&project, &["-u"]), 0, &["Snapshots  1 written"]);
    assert_eq!(read(&project), WRITTEN.replace("resolve(2)", "resolve(3)").replace("(`2`)", "(`3`)"));
}

#[test]
fn one_snapshot_stands_for_one_value() {
    let place = Place::new();
    let source = "import { expect, test } from 'vitest';\n\
        test('loops', () => { for (const n of [1, 2]) expect(n).toMatchInlineSnapshot(); });\n";
    let project = project(&place, &[("a.test.ts", source)]);
    says(&place.test(&project, &[]), 1, &["one inline snapshot can't stand for different values", "a.test.ts:2:"]);
    assert_eq!(read(&project), source);
}
