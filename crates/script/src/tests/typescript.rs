use super::*;

fn stripped(name: &str, source: &str) -> String {
    strip(name, source).unwrap_or_else(|errors| panic!("{}", errors.render(false))).0
}

#[test]
fn types_are_gone_and_values_stay() {
    let source = "import type { A } from './a'; import { type B, c } from './b'; import { D } from './d';\n\
        interface I { x: number }\nconst x = c as unknown as I satisfies I;\n\
        export function f<T>(this: void, a?: T, ...r: D[]): asserts a is T { x!; }\nexport type { A }; declare const q: B;";
    let expect = "import { c } from \"./b\";\nconst x = c;\nexport function f(a, ...r) {\n\tx;\n}\n";
    assert_eq!(stripped("a.ts", source), expect);
}

#[test]
fn a_type_only_import_reads_no_file() {
    let tree =
        Tree::new(&[("a.ts", "import type { A } from './nowhere'; import { B } from 'none'; export let a: A & B;")]);
    assert_eq!(names(&tree.build("a.ts").script), ["a.ts"]);
}

#[test]
fn enums_namespaces_and_parameter_properties_become_code() {
    let out = stripped(
        "a.ts",
        "enum E { A, B = 'b' } namespace N { export const x = E.A }\nclass C { constructor(private p = N.x) {} }\nexport { C };",
    );
    assert!(out.contains("E[E[\"A\"] = 0] = \"A\"") && out.contains("this.p = p"), "{out}");
}

#[test]
fn new_syntax_is_left_to_the_engine() {
    let source = "export class A { #x = 1; static { A.y ??= this; } }\nexport const r = /a/v, n = 1n ** 2n;\n";
    let out = stripped("a.ts", source);
    for piece in ["#x = 1", "static {", "??=", "/a/v", "1n ** 2n"] {
        assert!(out.contains(piece), "{piece} in {out}");
    }
}

#[test]
fn jsx_uses_the_automatic_runtime_of_the_tsconfig() {
    let tree = Tree::new(&[
        (
            "tsconfig.json",
            "{ // comments are fine\n \"compilerOptions\": { \"jsx\": \"react-jsx\", \"jsxImportSource\": \"hono/jsx\", }, }",
        ),
        ("a.tsx", "export default () => <b class=\"x\">{1}</b>;"),
        ("node_modules/hono/package.json", r#"{ "name": "hono", "exports": { "./jsx/jsx-runtime": "./jsx.js" } }"#),
        ("node_modules/hono/jsx.js", "export const jsx = () => {};"),
    ]);
    let script = tree.build("a.tsx").script;
    assert_eq!(names(&script), ["a.tsx", "node_modules/hono/jsx.js"]);
    assert!(text(&script, "a.tsx").contains("from \"hono/jsx/jsx-runtime\""));
}

#[test]
fn jsx_without_its_runtime_says_where_to_choose_one() {
    let tree = Tree::new(&[("a.jsx", "export default <b/>;")]);
    let (error, help) = tree.error("a.jsx");
    assert_eq!(error, "a.jsx:1:1: the package \"react\" is not installed");
    assert!(help.contains("npm install react"), "{help}");
    assert!(help.contains("jsxImportSource"), "{help}");
}

#[test]
fn legacy_decorators_bring_their_helper() {
    let source = "const d = (t: any) => t; @d class A {} export default A;";
    let tree =
        Tree::new(&[("tsconfig.json", r#"{"compilerOptions":{"experimentalDecorators":true}}"#), ("a.ts", source)]);
    assert_eq!(names(&tree.build("a.ts").script), ["a.ts", "selvedge:helpers/helpers/decorate"]);
    tree.write("tsconfig.json", b"{}");
    assert_eq!(names(&tree.build("a.ts").script), ["a.ts", "selvedge:helpers/helpers/decorators"]);
}

#[test]
fn standard_decorators_are_gone_and_lines_stay() {
    let source = "const d = (v: any, c: any): any => v;\n@d\nexport class A {\n  @d m(x: number) {\n    throw x;\n  }\n  @d y: number = 1;\n  accessor z = 2;\n}\n";
    let script = Tree::new(&[("a.ts", source)]).build("a.ts").script;
    let out = text(&script, "a.ts");
    assert!(!out.contains('@') && !out.contains("accessor z"), "{out}");
    let line = out.lines().position(|l| l.contains("throw x")).expect("the throw is kept") + 1;
    let column = out.lines().nth(line - 1).and_then(|l| l.find("throw")).expect("its column") + 1;
    assert_eq!(map_stack(&format!("    at m (a.ts:{line}:{column})"), &script), "    at m (a.ts:5:5)");
}

#[test]
fn frames_are_mapped_in_whatever_shows_them() {
    let source = "type T = string;\nexport const f = () => {\n  throw new Error('x' as T);\n};\n";
    let script = Tree::new(&[("a.ts", source)]).build("a.ts").script;
    let out = text(&script, "a.ts");
    let line = out.lines().position(|l| l.contains("throw")).expect("the throw is kept") + 1;
    let column = out.lines().nth(line - 1).and_then(|l| l.find("new")).expect("its column") + 1;
    let (made, own) = (format!("a.ts:{line}:{column}"), "a.ts:3:9");
    for shown in [
        "    at f (@)",
        "    at @",
        "    at f (@) {\n  code: 'E'\n}",
        "    at @ {\n  code: 'E'\n}",
        "Error: x\n    at f (@) { code: 'E' }",
        "[\n  Error: x\n      at f (@),\n  1\n]",
        r#"{"stack":"Error: x\n    at f (@)\n    at g (@)\n","n":"1:2"}"#,
        r#"{"stack":"Error: x\n    at @","at":"b:1:2"}"#,
        r#"{"text":"{\"stack\":\"Error: x\\n    at f (@)\\n    at @\"}"}"#,
    ] {
        assert_eq!(map_stack(&shown.replace('@', &made), &script), shown.replace('@', own));
    }
    assert_eq!(map_stack("    at nowhere:1:2 (b.ts:3:4) {", &script), "    at nowhere:1:2 (b.ts:3:4) {");
}

#[test]
fn decorators_that_cannot_be_lowered_are_placed() {
    let check = |name: &str, source: &str, message: &str| {
        assert_eq!(Tree::new(&[(name, source)]).error(name).0, message);
    };
    check(
        "a.ts",
        "const d: any = 0; export class A { @d #m() {} }",
        "a.ts:1:36: decorators of private methods and accessors are not supported",
    );
    check(
        "a.cts",
        "const d: any = 0; @d class A {} exports.A = A;",
        "a.cts:1:19: decorators in a CommonJS file are not supported",
    );
}

#[test]
fn using_declarations_bring_their_helper() {
    let tree = Tree::new(&[("a.js", "export function f(x) { using y = x; return y; }")]);
    assert_eq!(names(&tree.build("a.js").script), ["a.js", "selvedge:helpers/helpers/usingCtx"]);
}

#[test]
fn source_maps_lead_back_through_a_stack_trace() {
    let source = "interface A {\n  x: number;\n}\n\nexport default {\n  fetch(a: A): never {\n    throw new Error(\"é\" + a.x);\n  },\n};\n";
    let tree = Tree::new(&[("src/index.ts", source)]);
    let script = tree.build("src/index.ts").script;
    let out = text(&script, "src/index.ts");
    let line = out.lines().position(|l| l.contains("throw")).expect("the throw is kept");
    let column = out.lines().nth(line).and_then(|l| l.find("new Error")).expect("the error is kept");
    let stack = format!("    at fetch (src/index.ts:{}:{})\n    at native\n", line + 1, column + 1);
    assert_eq!(map_stack(&stack, &script), "    at fetch (src/index.ts:7:11)\n    at native\n");
    let position = Position { file: "src/index.ts".into(), line: 7, column: 11 };
    let lines = snippet(&script, &position);
    let marked = lines.iter().find(|l| l.mark.is_some()).expect("a marked line");
    assert_eq!((marked.number, marked.text.trim()), (7, "throw new Error(\"é\" + a.x);"));
}

#[test]
fn source_maps_can_be_left_out() {
    let tree = Tree::new(&[("a.ts", "export const a: number = 1;")]);
    let options = Options { source_maps: false, ..Options::default() };
    let built = build(tree.directory.path(), Path::new("a.ts"), &options).expect("it builds");
    assert_eq!(built.script.modules[0].source_map, None);
}

#[test]
fn a_file_with_top_level_await_alone_is_a_module() {
    let tree = Tree::new(&[("a.js", "globalThis.x = await 1;")]);
    assert_eq!(text(&tree.build("a.js").script, "a.js"), "globalThis.x = await 1;");
}

/// A source map that says of every line of `count` that it is the next one of `source`.
fn shifted(source: &str, count: usize) -> String {
    let mappings: String = std::iter::once("AACA").chain(std::iter::repeat_n(";AACA", count - 1)).collect();
    serde_json::json!({ "version": 3, "sources": [source], "sourcesContent": ["zero\none\ntwo"], "names": [], "mappings": mappings }).to_string()
}

#[test]
fn the_source_map_of_a_bundle_leads_to_what_was_bundled() {
    let map = shifted("../src/index.ts", 2);
    let tree =
        Tree::new(&[("dist/b.js", "let a;\nthrow a;\n//# sourceMappingURL=b.js.map\n"), ("dist/b.js.map", &map)]);
    let built = tree.build("dist/b.js");
    assert_eq!(map_stack("    at f (dist/b.js:2:1)", &built.script), "    at f (src/index.ts:3:1)");
    assert!(built.inputs.contains(&tree.path("dist/b.js.map")));
    let at = Position { file: "src/index.ts".into(), line: 2, column: 1 };
    assert_eq!(snippet(&built.script, &at)[1].text, "one");
    assert_eq!(text(&built.script, "dist/b.js").lines().count(), 3);
}

#[test]
fn a_source_map_in_the_file_is_read_in_each_of_its_forms() {
    let json = shifted("webpack://app/./src/x.ts", 1);
    let escaped: String = json.bytes().map(|b| format!("%{b:02X}")).collect();
    for url in [
        format!("data:application/json,{escaped}"),
        format!("data:application/json;charset=utf-8;base64,{}", base64(json.as_bytes())),
    ] {
        let tree = Tree::new(&[("b.js", &format!("throw 1;\n//# sourceMappingURL={url}"))]);
        assert_eq!(map_stack("    at b.js:1:3", &tree.build("b.js").script), "    at src/x.ts:2:1");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0_usize, |word, byte| word << 8 | *byte as usize);
        let digits = (0..4).map(|i| if i > chunk.len() { '=' } else { char::from(DIGITS[word >> (18 - 6 * i) & 63]) });
        out.extend(digits);
    }
    out
}

#[test]
fn what_lies_behind_transformed_code_is_found_through_both_maps() {
    let map = shifted("x.svelte", 3);
    let source =
        format!("interface A {{}}\n\nthrow 1 as unknown as A;\n//# sourceMappingURL=data:application/json,{map}");
    let script = Tree::new(&[("a.ts", &source)]).build("a.ts").script;
    assert_eq!(map_stack("    at a.ts:1:1", &script), "    at x.svelte:4:1");
}

#[test]
fn a_source_map_that_is_not_there_or_of_a_package_changes_nothing() {
    let source = "throw 1;\n//# sourceMappingURL=gone.js.map";
    let tree = Tree::new(&[
        ("a.mjs", source),
        ("b.mjs", "import 'p';"),
        ("node_modules/p/index.js", "export {};\n//# sourceMappingURL=index.js.map"),
        ("node_modules/p/index.js.map", &shifted("src/index.ts", 1)),
    ]);
    assert_eq!(map_stack("    at a.mjs:1:1", &tree.build("a.mjs").script), "    at a.mjs:1:1");
    let script = tree.build("b.mjs").script;
    assert_eq!(map_stack("    at node_modules/p/index.js:1:1", &script), "    at node_modules/p/index.js:1:1");
}

#[test]
fn legacy_decorators_of_static_members_come_last() {
    let source = "const d: any = 0; export class A { @d static a = 1; @d b = 2; @d static c() {} @d e() {} }";
    let files = [("tsconfig.json", r#"{"compilerOptions":{"experimentalDecorators":true}}"#), ("a.ts", source)];
    let script = Tree::new(&files).build("a.ts").script;
    let out = text(&script, "a.ts");
    let places =
        ["\"b\"", "\"e\"", "\"a\"", "\"c\""].map(|name| out.find(name).unwrap_or_else(|| panic!("{name} in {out}")));
    assert!(places.is_sorted(), "{out}");
}
