use super::*;

fn build_file(tree: &Tree, file: &str) -> Result<Built, BuildErrors> {
    build_test(tree.directory.path(), Path::new(file), false, &Options::default())
}

#[test]
fn a_file_of_tests_becomes_a_worker_that_hands_it_to_the_runner() {
    let tree = Tree::new(&[
        (
            "test/a.test.ts",
            "import { test } from \"vitest\";\nimport { x } from \"../src/x\";\ntest(\"x\", () => x as any);\n",
        ),
        ("src/x.ts", "export const x: number = 1;\n"),
    ]);
    let built = build_file(&tree, "test/a.test.ts").expect("it builds");
    let script = &built.script;
    let entry = &script.modules[script.entry as usize];
    assert_eq!(entry.name, "selvedge:tests");
    let text = String::from_utf8_lossy(&entry.source);
    assert!(text.contains("import(\"./test/a.test.ts\")") && text.contains("globals: false"), "{text}");
    assert_eq!(
        names(script),
        ["selvedge:tests", "selvedge:test/runner", "test/a.test.ts", "selvedge:test", "src/x.ts"]
    );
    let file = script.modules.iter().find(|module| module.name == "test/a.test.ts").expect("the file");
    let (_, vitest) = file.imports.iter().find(|(specifier, _)| specifier == "vitest").expect("the import");
    assert_eq!(script.modules[*vitest as usize].name, "selvedge:test");
    assert_eq!(built.inputs, [tree.path("src/x.ts"), tree.path("test/a.test.ts")]);
}

#[test]
fn only_files_of_tests_import_what_is_for_tests() {
    let tree =
        Tree::new(&[("a.ts", "import { test } from \"selvedge:test\";\ntest();\n"), ("b.ts", "import \"vitest\";\n")]);
    let (error, help) = tree.error("a.ts");
    assert_eq!(error, "a.ts:1:22: selvedge:test is for files of tests, and this is none");
    assert!(help.contains("selvedge test"), "{help}");
    let (error, _) = tree.error("b.ts");
    assert!(error.contains("vitest"), "{error}");
    assert!(build_file(&tree, "a.ts").is_ok() && build_file(&tree, "b.ts").is_ok());
}

#[test]
fn names_of_any_kind_are_imported_as_they_are() {
    let tree = Tree::new(&[("it's \"ü\".test.js", "export {};\n")]);
    build_file(&tree, "it's \"ü\".test.js").expect("it builds");
}

const MOCKING: &str = "import { expect, test, vi } from 'vitest';\nimport total, { add as plus, type Sum } from './sum';\n\
    import * as all from './sum.ts';\nimport './effect';\nconst { fake } = vi.hoisted(() => ({ fake: vi.fn() }));\n\
    vi.mock('./sum', async () => ({ ...await vi.importActual('./sum'), add: fake }));\n\
    const shorthand = { plus, all };\n\
    test('adds', () => { const sum: Sum = plus(1, total); expect(sum).toBe(all.add); });\n";

#[test]
fn a_mock_is_declared_before_the_imports_and_its_positions_are_kept() {
    let tree = Tree::new(&[
        ("a.test.ts", MOCKING),
        (
            "sum.ts",
            "export type Sum = number;\nexport const add = (a: number, b: number) => a + b;\nexport default 1;\n",
        ),
        ("effect.ts", "import { add } from './sum';\nadd(1, 2);\n"),
    ]);
    let script = build_file(&tree, "a.test.ts").expect("it builds").script;
    let text = text(&script, "a.test.ts");
    let order =
        ["vi.hoisted(", "vi.$mock(\"./sum\"", "await import(\"./sum\")", "await import(\"./effect\")", "test(\"adds\""];
    let places: Vec<_> = order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains("import(\"actual:./sum\")") && text.contains("from \"vitest\""), "{text}");
    assert!(text.contains("plus: $sv_import0.add") && text.contains("all: $sv_import1"), "{text}");
    assert!(text.contains("(0, $sv_import0.add)(1, $sv_import0.default)"), "{text}");
    // Whoever imports the module gets the facade, but for what asks for the module itself.
    let target = |name: &str, specifier: &str| {
        let edges = &module(&script, name).imports;
        let (_, target) = edges.iter().find(|(known, _)| known == specifier).expect("the import");
        script.modules[*target as usize].name.clone()
    };
    assert_eq!(target("a.test.ts", "./sum"), "sum.ts?mocked");
    assert_eq!(target("a.test.ts", "./sum.ts"), "sum.ts?mocked");
    assert_eq!(target("effect.ts", "./sum"), "sum.ts?mocked");
    assert_eq!(target("a.test.ts", "actual:./sum"), "sum.ts");
    assert_eq!(target("sum.ts?mocked", "facade:target"), "sum.ts");
    let maps = SourceMaps::new(&script);
    let line = |part: &str| text[..text.find(part).expect("the part")].matches('\n').count() + 1;
    let mapped = maps.map_stack(&format!("    at a.test.ts:{}:1\n", line("test(\"adds\"")));
    assert!(mapped.contains("a.test.ts:8:"), "{mapped}\n{text}");
    let mapped = maps.map_stack(&format!("    at a.test.ts:{}:1\n", line("vi.$mock(")));
    assert!(mapped.contains("a.test.ts:6:"), "{mapped}\n{text}");
}

#[test]
fn what_is_mocked_must_be_known_and_at_the_top() {
    let check = |source: &str, wanted: &str| {
        let tree = Tree::new(&[("a.test.ts", source), ("x.ts", "export const x = 1;\n")]);
        let errors = build_file(&tree, "a.test.ts").expect_err("it does not build");
        assert!(errors.to_string().contains(wanted), "{errors}");
    };
    check(
        "import { test, vi } from 'vitest';\ntest('a', () => {\n  vi.mock('./x');\n});\n",
        "a.test.ts:3:3: vi.mock() is run before everything else, and can't stand here",
    );
    check(
        "import { vi as v } from 'vitest';\nconst name = './x';\nv.mock(name);\n",
        "a.test.ts:3:1: vi.mock() takes the name",
    );
    check("import { vi } from 'vitest';\nvi.mock('./y');\n", "a.test.ts:2:9: ");
}
