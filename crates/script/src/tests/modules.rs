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
             await import('./5.js'); await import(`./6.js`);",
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
fn a_webassembly_module_is_part_of_the_script() {
    let source = "import a from './x.wasm'; import b from './x.wasm?module'; import p from 'p/y.wasm';\nexport default [a, b, p];";
    let tree = Tree::new(&[("a.ts", source), ("x.wasm", "\0asm"), ("node_modules/p/package.json", "{\"name\":\"p\"}")]);
    tree.write("node_modules/p/y.wasm", b"\0asm\xff");
    let script = tree.build("a.ts").script;
    let kinds: Vec<_> = script.modules.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [ModuleKind::Js, ModuleKind::Wasm, ModuleKind::Wasm]);
    let imports: Vec<_> = script.modules[0].imports.iter().map(|(s, i)| (s.as_str(), *i)).collect();
    assert_eq!(imports, [("./x.wasm", 1), ("./x.wasm?module", 1), ("p/y.wasm", 2)]);
    assert_eq!(script.modules[2].source, b"\0asm\xff");
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

fn targets(script: &Script, name: &str) -> Vec<(String, String)> {
    let imports = module(script, name).imports.iter();
    imports.map(|(specifier, to)| (specifier.clone(), script.modules[*to as usize].name.clone())).collect()
}

fn pairs(expect: &[(&str, &str)]) -> Vec<(String, String)> {
    expect.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

#[test]
fn attributes_choose_what_a_file_is_taken_for() {
    let source = "import t from './x.json' with { type: 'text' };\nimport j from './x.json' with { type: \"json\" };\n\
        export { default as b } from \"./b.ts\"\n  with { type: 'bytes' };\n\
        export const later = () => import('./t.svg', { with: { type: 'text' } }); export { t, j };";
    for name in ["a.js", "a.ts"] {
        let tree = Tree::new(&[(name, source), ("x.json", "{}"), ("b.ts", "not a script ("), ("t.svg", "<svg/>")]);
        let script = tree.build(name).script;
        let expect = [
            ("./x.json with text", "x.json?text"),
            ("./x.json", "x.json"),
            ("./b.ts with bytes", "b.ts?bytes"),
            ("./t.svg with text", "t.svg?text"),
        ];
        assert_eq!(targets(&script, name), pairs(&expect));
        let kinds: Vec<_> = script.modules[1..].iter().map(|m| m.kind).collect();
        assert_eq!(kinds, [ModuleKind::Text, ModuleKind::Json, ModuleKind::Array, ModuleKind::Text]);
        assert!(!text(&script, name).contains("type:"), "{}", text(&script, name));
    }
    let script = Tree::new(&[("a.js", source), ("x.json", "{}"), ("b.ts", ""), ("t.svg", "")]).build("a.js").script;
    assert_eq!(text(&script, "a.js").lines().count(), source.lines().count());
    // On a line with its attribute behind it nothing moves.
    let places = |text: &str| text.lines().map(|line| line.find(';')).take(2).collect::<Vec<_>>();
    assert_eq!(places(text(&script, "a.js")), places(source));
}

#[test]
fn members_of_a_json_file_can_be_imported_by_name() {
    let json = "{\"name\": \"p\", \"version\": \"1\", \"a-b\": 2, \"default\": 3, \"unused\": 4}";
    let tree = Tree::new(&[
        ("a.ts", "import { version, name as n } from './p.json'; export { version }; export default n;"),
        ("whole.ts", "import * as p from './p.json'; export default p;"),
        ("plain.ts", "import p from './p.json'; export default p;"),
        ("again.ts", "export { version as v, default } from './p.json'; export * from './p.json';"),
        ("wrong.ts", "import { versoin } from './p.json'; export default versoin;"),
        ("p.json", json),
    ]);
    let script = tree.build("a.ts").script;
    assert_eq!(targets(&script, "a.ts"), pairs(&[("./p.json", "p.json?members")]));
    let facade = text(&script, "p.json?members");
    assert!(facade.contains("$json.version") && facade.contains("$json.name"), "{facade}");
    assert!(!facade.contains("unused") && !facade.contains("a-b"), "{facade}");
    let whole = tree.build("whole.ts").script;
    assert!(text(&whole, "p.json?members").contains("unused"));
    assert_eq!(targets(&tree.build("plain.ts").script, "plain.ts"), pairs(&[("./p.json", "p.json")]));
    let exports = tree.build("again.ts").exports.expect("a JSON file tells its exports");
    assert_eq!(exports.into_iter().collect::<Vec<_>>(), ["default", "name", "unused", "v", "version"]);
    let (error, help) = tree.error("wrong.ts");
    assert_eq!(error, "wrong.ts:1:10: p.json?members has no export \"versoin\"");
    assert!(help.contains("did you mean \"version\"?"), "{help}");
}

#[test]
fn attributes_that_say_nothing_known_are_refused() {
    let check = |source: &str, message: &str| {
        assert_eq!(Tree::new(&[("a.ts", source), ("x.css", "")]).error("a.ts").0, message);
    };
    let message = "a.ts:1:31: a module can't be imported as \"css\", but as json, text or bytes";
    check("import x from './x.css' with {type: 'css'}; x;", message);
    check(
        "import x from './x.css' with { kind: 'text' }; x;",
        "a.ts:1:32: there is no import attribute \"kind\": there is type",
    );
}

#[test]
fn an_import_of_a_template_brings_every_file_that_it_may_mean() {
    let tree = Tree::new(&[
        (
            "src/a.ts",
            "export const f = (x: string, y: string) => [import(`./langs/${x}.js`), import('../data/' + x + '/m-' + y + '.json')];",
        ),
        ("src/langs/en.ts", "export {}"),
        ("src/langs/de.ts", "export {}"),
        ("src/langs/de.d.ts", "nonsense ("),
        ("src/langs/readme.md", ""),
        ("data/one/m-a.json", "1"),
        ("data/two/m-b.json", "2"),
        ("data/two/other.json", "3"),
    ]);
    let expect = [
        ("./langs/de.js", "src/langs/de.ts"),
        ("./langs/en.js", "src/langs/en.ts"),
        ("../data/one/m-a.json", "data/one/m-a.json"),
        ("../data/two/m-b.json", "data/two/m-b.json"),
    ];
    assert_eq!(targets(&tree.build("src/a.ts").script, "src/a.ts"), pairs(&expect));
    tree.write("src/b.ts", b"export const f = (x: string) => import(`./lang/${x}`);");
    let (error, help) = tree.error("src/b.ts");
    assert_eq!(error, "src/b.ts:1:33: no file is called like \"./lang/*\", which this import may ask for");
    assert!(help.contains("* is what is not known"), "{help}");
}

#[test]
fn an_import_of_a_variable_finds_the_modules_that_are_there_anyway() {
    let tree = Tree::new(&[
        (
            "src/a.ts",
            "import './lib/x'; import 'p'; import c from './c.cjs'; export const f = (name: string) => import(name); c;",
        ),
        ("src/lib/x.ts", "export {}"),
        ("src/c.cjs", "exports.x = 1"),
        ("src/unused.ts", "export {}"),
        ("node_modules/p/index.js", "export const g = (name) => import(name);"),
    ]);
    let script = tree.build("src/a.ts").script;
    let found = targets(&script, "src/a.ts");
    for expect in [
        ("./lib/x.js", "src/lib/x.ts"),
        ("./lib/x.ts", "src/lib/x.ts"),
        ("p", "node_modules/p/index.js"),
        ("./c.cjs", "src/c.cjs?interop"),
    ] {
        assert!(found.contains(&(expect.0.into(), expect.1.into())), "{expect:?} in {found:?}");
    }
    assert!(!found.iter().any(|(specifier, _)| specifier.contains("unused")), "{found:?}");
    assert!(text(&script, "src/c.cjs?interop").contains(" as x"), "its names are there for whoever asks");
    assert_eq!(targets(&script, "node_modules/p/index.js"), []);
}
