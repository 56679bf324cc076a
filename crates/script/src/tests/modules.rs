use super::*;

#[test]
fn modules_are_numbered_depth_first_in_import_order() {
    let tree = Tree::new(&[
        ("src/index.js", "import './a.js'; import './b.js'; export default {};"),
        ("src/a.js", "import './c.js'; export {};"),
        ("src/b.js", "export {};"),
        ("src/c.js", "export {};"),
    ]);
    let built = tree.build("src/index.js");
    assert_eq!(names(&built.script), ["src/index.js", "src/a.js", "src/c.js", "src/b.js"]);
    assert_eq!(built.script.entry, 0);
    assert_eq!(module(&built.script, "src/index.js").imports, [("./a.js".into(), 1), ("./b.js".into(), 3)]);
}

#[test]
fn plain_javascript_is_kept_byte_for_byte() {
    let source = "#!/usr/bin/env node\r\n// a comment\nimport  x from './x.js'  ;export default x\n\n\n";
    let tree = Tree::new(&[("a.mjs", source), ("x.js", "export default 1")]);
    let built = tree.build("a.mjs");
    assert_eq!(text(&built.script, "a.mjs"), source);
    assert_eq!(module(&built.script, "a.mjs").source_map, None);
}

#[test]
fn circular_imports_are_edges_both_ways() {
    let tree = Tree::new(&[
        ("a.js", "import { b } from './b.js'; export const a = 1; export default b;"),
        ("b.js", "import { a } from './a.js'; export const b = () => a;"),
    ]);
    let script = tree.build("a.js").script;
    assert_eq!(script.modules[0].imports, [("./b.js".into(), 1)]);
    assert_eq!(script.modules[1].imports, [("./a.js".into(), 0)]);
}

#[test]
fn every_form_of_import_is_an_edge() {
    let tree = Tree::new(&[
        (
            "a.js",
            "import './1.js'; export * from './2.js'; export { x } from './3.js'; export * as n from './4.js';\n\
             await import('./5.js'); await import(`./6.js`); const where = './7.js'; import(where).catch(() => {});",
        ),
        ("1.js", "export {}"),
        ("2.js", "export {}"),
        ("3.js", "export let x"),
        ("4.js", "export {}"),
        ("5.js", "export {}"),
        ("6.js", "export {}"),
    ]);
    let script = tree.build("a.js").script;
    let specifiers: Vec<_> = script.modules[0].imports.iter().map(|(s, _)| s.as_str()).collect();
    assert_eq!(specifiers, ["./1.js", "./2.js", "./3.js", "./4.js", "./5.js", "./6.js"]);
}

#[test]
fn data_files_have_their_kinds() {
    let tree = Tree::new(&[
        (
            "a.ts",
            "import j from './j.json'; import t from './t.txt'; import s from './s.sql'; import b from './b.bin';\nexport default [j, t, s, b];",
        ),
        ("j.json", "\u{feff}{ \"a\": 1 }"),
        ("t.txt", "text"),
        ("s.sql", "select 1"),
    ]);
    tree.write("b.bin", &[0, 159, 255]);
    let script = tree.build("a.ts").script;
    let kinds: Vec<_> = script.modules.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [ModuleKind::Js, ModuleKind::Json, ModuleKind::Text, ModuleKind::Text, ModuleKind::Bytes]);
    assert_eq!(text(&script, "j.json"), "{ \"a\": 1 }");
    assert_eq!(module(&script, "b.bin").source, [0, 159, 255]);
}

#[test]
fn an_import_without_a_matching_export_is_an_error() {
    let tree = Tree::new(&[
        ("a.ts", "import { usr } from './b';\nimport d from './b';\nexport default [usr, d];"),
        ("b.ts", "export const user = 1; export type T = string;"),
    ]);
    let errors = tree.try_build("a.ts").expect_err("two imports find nothing").errors;
    assert_eq!(errors[0].to_string(), "a.ts:1:10: b.ts has no export \"usr\"");
    assert_eq!(errors[0].help.as_deref(), Some("did you mean \"user\"?"));
    assert_eq!(errors[1].to_string(), "a.ts:2:8: b.ts has no default export");
    assert_eq!(errors[1].help.as_deref(), Some("it exports user"));
    assert_eq!(errors[0].kind, ErrorKind::Export);
}

#[test]
fn exports_are_found_through_stars_and_cycles() {
    let tree = Tree::new(&[
        ("a.js", "import { x, y, n } from './b.js'; export default [x, y, n];"),
        ("b.js", "export * from './c.js'; export { z as y } from './c.js'; export * as n from './c.js';"),
        ("c.js", "export * from './b.js'; export const { x, q: [z = 1] } = globalThis;"),
    ]);
    tree.build("a.js");
}

#[test]
fn a_name_from_two_stars_is_ambiguous() {
    let tree = Tree::new(&[
        ("a.js", "import { x } from './b.js'; export default x;"),
        ("b.js", "export * from './c.js'; export * from './d.js';"),
        ("c.js", "export const x = 1;"),
        ("d.js", "export const x = 2;"),
    ]);
    let (error, _) = tree.error("a.js");
    assert_eq!(error, "a.js:1:10: \"x\" of b.js is ambiguous: c.js and d.js both export it");
}

#[test]
fn inputs_are_every_file_that_was_read() {
    let tree = Tree::new(&[
        ("package.json", "{}"),
        ("tsconfig.json", "{}"),
        ("src/a.ts", "import x from './x.json'; export default x;"),
        ("src/x.json", "1"),
        ("src/unused.ts", ""),
    ]);
    let expect = ["package.json", "src/a.ts", "src/x.json", "tsconfig.json"].map(|f| tree.path(f));
    assert_eq!(tree.build("src/a.ts").inputs, expect);
    tree.write("src/x.json", b"{");
    let errors = tree.try_build("src/a.ts").expect_err("the JSON is broken");
    assert_eq!(errors.inputs, expect);
}
