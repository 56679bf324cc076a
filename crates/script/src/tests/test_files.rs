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
