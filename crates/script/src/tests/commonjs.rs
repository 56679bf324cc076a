use super::*;

#[test]
fn a_commonjs_entry_gets_a_facade() {
    let tree = Tree::new(&[("a.cjs", "module.exports = { fetch() {}, other: 1 };")]);
    let script = tree.build("a.cjs").script;
    assert_eq!(names(&script), ["a.cjs?module", "a.cjs?interop", "a.cjs"]);
    assert_eq!(script.entry, 1);
    assert!(text(&script, "a.cjs?interop").contains("as other"));
}

#[test]
fn commonjs_is_told_by_extension_package_and_syntax() {
    let check = |files: &[(&str, &str)], commonjs: bool| {
        let script = Tree::new(files).build("a.js").script;
        assert_eq!(script.modules.len() == 3, commonjs, "{files:?}");
    };
    check(&[("a.js", "exports.x = 1")], true);
    check(&[("a.js", "this.x = 1")], true);
    check(&[("a.js", "return;")], true);
    check(&[("a.js", "globalThis.x = 1")], false);
    check(&[("a.js", "exports.x = 1; export {}")], false);
    check(&[("a.js", "(function (exports) { exports.x = 1 })({})")], false);
    check(&[("a.js", "globalThis.x = typeof module"), ("package.json", r#"{"type":"module"}"#)], false);
}

#[test]
fn lines_and_columns_of_a_wrapped_file_are_its_own() {
    let tree = Tree::new(&[("a.cjs", "#!/bin/node\nthrow new Error();"), ("b.cjs", "throw new Error('b');")]);
    let script = tree.build("a.cjs").script;
    assert_eq!(text(&script, "a.cjs").lines().nth(1), Some("throw new Error();"));
    assert_eq!(map_stack("    at a.cjs:2:7", &script), "    at a.cjs:2:7");
    let script = tree.build("b.cjs").script;
    let column = text(&script, "b.cjs").find("new Error").expect("the error is kept") + 1;
    let stack = format!("    at <anonymous> (b.cjs:1:{column})");
    assert_eq!(map_stack(&stack, &script), "    at <anonymous> (b.cjs:1:7)");
    let at = Position { file: "b.cjs".into(), line: 1, column: 7 };
    assert_eq!(snippet(&script, &at)[0].text, "throw new Error('b');");
}

#[test]
fn names_are_collected_from_the_usual_shapes_and_through_re_exports() {
    let tree = Tree::new(&[
        ("a.mjs", "import * as ns from './b.cjs'; export default ns;"),
        (
            "b.cjs",
            "exports.a = 1; module.exports.b = 2; exports['c'] = 3; Object.defineProperty(exports, 'd', { value: 4 });\n\
             __exportStar(require('./c.cjs'), exports); exports.default = 5; exports['not-a-name'] = 6; var __exportStar;",
        ),
        ("c.cjs", "module.exports = { e, 'f': 1, g() {}, ...require('./d.cjs') }; var e;"),
        ("d.cjs", "module.exports = require('./e.cjs')"),
        ("e.cjs", "exports.h = 1; exports.delete = 2;"),
    ]);
    let script = tree.build("a.mjs").script;
    let facade = text(&script, "b.cjs?import");
    let found: Vec<_> = facade.lines().filter_map(|l| l.split(" as ").nth(1)).map(|n| &n[..n.len() - 3]).collect();
    assert_eq!(found, ["a", "b", "c", "d", "delete", "e", "f", "g", "h"]);
}

#[test]
fn a_facade_has_what_is_asked_of_it_even_if_the_text_does_not_show_it() {
    let tree = Tree::new(&[
        ("a.mjs", "import { hidden } from './b.cjs'; export { other as default } from './b.cjs'; hidden;"),
        ("b.cjs", "for (const n of ['hidden', 'other']) exports[n] = n; exports.shown = 1;"),
    ]);
    let facade = text(&tree.build("a.mjs").script, "b.cjs?import").to_string();
    assert!(facade.contains("as hidden") && facade.contains("as other") && !facade.contains("shown"), "{facade}");
}

#[test]
fn the_importer_decides_what_es_module_flag_means() {
    let files = [
        ("b.cjs", "exports.__esModule = true; exports.default = 1;"),
        ("a.ts", "import b from './b.cjs'; export default b;"),
    ];
    let tree = Tree::new(&files);
    assert!(names(&tree.build("a.ts").script).contains(&"b.cjs?interop"));
    tree.write("package.json", br#"{"type":"module"}"#);
    assert!(names(&tree.build("a.ts").script).contains(&"b.cjs?import"));
}

#[test]
fn requires_reach_modules_of_every_kind() {
    let tree = Tree::new(&[
        ("a.cjs", "module.exports = [require('./c'), require('./e.mjs'), require('./d.mjs'), require('./j.json')];"),
        ("c.js", "exports.x = 1;"),
        ("e.mjs", "export const x = 1;"),
        ("d.mjs", "export default 1;"),
        ("j.json", "{}"),
    ]);
    let script = tree.build("a.cjs").script;
    let of = |specifier: &str| {
        let index = module(&script, "a.cjs?module").imports.iter().find(|(s, _)| s == specifier).expect("an edge").1;
        script.modules[index as usize].name.as_str()
    };
    assert_eq!(of("file:body"), "a.cjs");
    assert_eq!(of("require:./c"), "c.js?module");
    assert_eq!(of("require:./e.mjs"), "e.mjs");
    assert_eq!(of("require:./d.mjs"), "d.mjs?require");
    assert_eq!(of("require:./j.json"), "j.json");
}

#[test]
fn a_conditional_require_of_nothing_waits_for_run_time() {
    let tree = Tree::new(&[
        ("a.cjs", "try { require('none') } catch {}\nfunction f() { require('sqlite') }\nif (f.x) require('./gone');"),
        ("b.cjs", "const x = require('none');"),
    ]);
    let out = text(&tree.build("a.cjs").script, "a.cjs?module").to_string();
    assert!(out.contains(r#"case "none": why = "the package \"none\" is not installed"#), "{out}");
    assert!(out.contains("node:sqlite is not supported by this version yet"), "{out}");
    assert_eq!(tree.error("b.cjs").0, "b.cjs:1:19: the package \"none\" is not installed");
}

#[test]
fn packages_run_in_production_and_skip_the_other_branch() {
    let tree = Tree::new(&[
        ("a.mjs", "import r from 'r'; export default r; process.env.NODE_ENV;"),
        ("node_modules/r/package.json", r#"{ "name": "r", "main": "index.js" }"#),
        (
            "node_modules/r/index.js",
            "if (process.env.NODE_ENV === 'production') { module.exports = require('./p.js'); }\n\
             else { module.exports = require('./d.js'); }\nfunction f(process) { return process.env.NODE_ENV }",
        ),
        ("node_modules/r/p.js", "exports.x = 1"),
        ("node_modules/r/d.js", "exports.x = 1"),
    ]);
    let script = tree.build("a.mjs").script;
    assert!(!names(&script).contains(&"node_modules/r/d.js"));
    let out = text(&script, "node_modules/r/index.js");
    assert!(out.contains("if (\"production\"         === 'production')"), "{out}");
    assert!(out.contains("return process.env.NODE_ENV"), "a local process is not the global one");
    assert!(text(&script, "a.mjs").contains("process.env.NODE_ENV"), "own code is left alone");
}

#[test]
fn an_es_module_has_no_require() {
    let tree = Tree::new(&[("a.mjs", "const x = require('x'); export default x;")]);
    assert_eq!(tree.error("a.mjs").0, "a.mjs:1:19: there is no require() in an ES module");
}

#[test]
fn a_body_is_a_classic_script_in_sloppy_mode() {
    let source = "with (exports) { x = 010; }\nfunction f(a, a) { return arguments.callee; }\nimport('./e.mjs');";
    let tree = Tree::new(&[("a.cjs", source), ("e.mjs", "export {}")]);
    let script = tree.build("a.cjs").script;
    let body = module(&script, "a.cjs");
    assert_eq!(body.kind, ModuleKind::Classic);
    assert!(text(&script, "a.cjs").contains(source));
    let targets: Vec<_> =
        body.imports.iter().map(|(s, i)| (s.as_str(), script.modules[*i as usize].name.as_str())).collect();
    assert_eq!(targets, [("./e.mjs", "e.mjs")]);
}
