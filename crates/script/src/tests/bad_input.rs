use super::*;

#[test]
fn a_syntax_error_has_its_place_and_a_frame() {
    let tree = Tree::new(&[("src/a.ts", "const a = 1;\n\tlet é = \"é\" + ;\nexport default a;\n")]);
    let errors = tree.try_build("src/a.ts").expect_err("a syntax error");
    let expect = "error: Unexpected token\n --> src/a.ts:2:16\n\
        1 | const a = 1;\n\
        2 |     let é = \"é\" + ;\n  |                   ^\n\
        3 | export default a;\n";
    assert_eq!(errors.render(false), expect);
    assert_eq!(errors.to_string(), "src/a.ts:2:16: Unexpected token");
    assert!(errors.render(true).contains("\x1b[1;31m"));
    let json = serde_json::to_value(&errors.errors[0]).expect("errors are data");
    assert_eq!((&json["kind"], &json["code"], &json["line"]), (&"syntax".into(), &"bad_script".into(), &2.into()));
}

#[test]
fn early_errors_of_the_language_are_found() {
    let check = |name: &str, source: &str, expect: &str| {
        let (error, _) = Tree::new(&[(name, source)]).error(name);
        assert!(error.starts_with(expect), "{error}");
    };
    check("a.js", "const a = 1;\nconst a = 2; export {};", "a.js:1:7: Identifier `a` has already been declared");
    check("a.mjs", "with (x) {}", "a.mjs:1:1: ");
    check("a.cjs", "'use strict'; with (exports) {}", "a.cjs:1:15: ");
    check("a.cjs", "exports.x = 1;\nlet y; var y;", "a.cjs:2:5: ");
    check("a.mjs", "return 1", "a.mjs:1:1: ");
    check("a.ts", "await ", "a.ts:1:");
    check("a.js", "let r = /(/; export {}", "a.js:1:10: Invalid regular expression");
    check("a.ts", "export let x: = 1;", "a.ts:1:15: ");
}

#[test]
fn errors_of_independent_files_come_together() {
    let tree = Tree::new(&[
        ("a.js", "import './b.js'; import './c.js';"),
        ("b.js", "export let = 1 1"),
        ("c.js", "import './no.js'"),
    ]);
    let errors = tree.try_build("a.js").expect_err("two files are broken").errors;
    let files: Vec<_> = errors.iter().map(|e| e.file.as_str()).collect();
    assert_eq!(files, ["b.js", "c.js"]);
}

#[test]
fn invalid_utf8_is_placed() {
    let tree = Tree::new(&[("a.js", "import './b.js'")]);
    tree.write("b.js", b"let a = 1;\nlet b = '\xff';\n");
    assert_eq!(tree.error("a.js").0, "b.js:2:10: the file is not UTF-8: byte 0xff at offset 20");
}

#[test]
fn json_that_does_not_parse_is_placed() {
    let tree =
        Tree::new(&[("a.ts", "import j from './j.json'; export default j;"), ("j.json", "{\n  \"é\": [1,,2]\n}")]);
    assert_eq!(tree.error("a.ts").0, "j.json:2:11: not valid JSON: expected value");
    tree.write("j.json", b"");
    assert_eq!(tree.error("a.ts").0, "j.json:1:1: not valid JSON: EOF while parsing a value");
}

#[test]
fn broken_configuration_is_placed() {
    let tree = Tree::new(&[
        ("a.ts", "import 'p'; import './b';"),
        ("b.ts", ""),
        ("node_modules/p/package.json", "{ \"name\": \"p\",\n  nope }"),
    ]);
    let (error, _) = tree.error("a.ts");
    assert!(error.starts_with("node_modules/p/package.json:2:"), "{error}");
    let tree =
        Tree::new(&[("tsconfig.json", "{ \"extends\": \"./base.json\" }"), ("a.ts", "import './b'"), ("b.ts", "")]);
    let (error, _) = tree.error("a.ts");
    assert_eq!(error, "tsconfig.json: it extends or refers to base.json, which does not exist");
}

#[test]
fn an_entry_must_be_a_script_that_exists() {
    let tree = Tree::new(&[("src/index.ts", ""), ("data.json", "{}"), ("x.wasm", ""), ("types.d.ts", "")]);
    let check = |entry: &str, message: &str, help: &str| {
        let (error, found) = tree.error(entry);
        assert_eq!((error.as_str(), found.as_str()), (message, help));
    };
    check(
        "src/indx.ts",
        "src/indx.ts: the entry file can't be opened: No such file or directory",
        "did you mean \"src/index.ts\"?",
    );
    check("src", "src: the entry is a directory", "did you mean \"src/index.ts\"?");
    let help = "name a .js .mjs .ts .mts .tsx or .jsx file as the entry";
    check("data.json", "data.json: the entry must be a script, and this is a .json file", help);
    check("x.wasm", "x.wasm: the entry must be a script, and this is a .wasm file", help);
    let errors = build(&tree.path("nowhere"), Path::new("a.ts"), &Options::default()).expect_err("no such app");
    assert!(errors.to_string().contains("the app directory"), "{errors}");
}

#[test]
fn files_that_are_no_modules_are_refused_at_the_import() {
    let check = |name: &str, message: &str| {
        let tree = Tree::new(&[("a.ts", &format!("import './{name}';")), (name, "")]);
        assert_eq!(tree.error("a.ts").0, format!("a.ts:1:8: {message}"));
    };
    check("x.css", ".css files can't be imported");
    check("x.d.ts", "a type declaration has no code");
    check("x", "a file without an extension can't be imported");
}

#[test]
fn a_directory_without_an_index_says_so() {
    let tree = Tree::new(&[("a.ts", "import './dir';"), ("dir/inde.ts", "")]);
    let (error, help) = tree.error("a.ts");
    assert_eq!(error, "a.ts:1:8: cannot find \"./dir\": it is a directory without an index file");
    assert_eq!(help, "did you mean \"./dir/inde.ts\"?");
}

#[test]
fn limits_are_named() {
    let tree = Tree::new(&[("a.js", "import './b.js';"), ("b.js", "globalThis.b = ((((1))));")]);
    let check = |options: Options, expect: &str| {
        let errors = build(tree.directory.path(), Path::new("a.js"), &options).expect_err("a limit is exceeded");
        assert_eq!((errors.to_string().as_str(), errors.errors[0].kind), (expect, ErrorKind::Limit));
    };
    let options = Options::default;
    check(
        Options { module_bytes_max: 20, ..options() },
        "b.js: the file has 25 bytes, more than module_bytes_max (20) allows",
    );
    check(
        Options { modules_max: 1, ..options() },
        "b.js: the script has more than modules_max (1) modules; this is one too many",
    );
    check(
        Options { script_bytes_max: 30, ..options() },
        "b.js: with this file the script has more than script_bytes_max (30) bytes",
    );
    check(Options { nesting_max: 3, ..options() }, "b.js:1:19: brackets are nested deeper than nesting_max (3) allows");
    check(
        Options { chain_max: 0, ..options() },
        "a.js:1:9: an expression has more operators than chain_max (0) allows",
    );
}

#[test]
fn nesting_up_to_the_limits_does_not_overflow_the_stack() {
    for unit in ["a=>", "a=", "!", "a?b:", "1+", "a."] {
        let source = format!("export default {}1", unit.repeat(60_000));
        assert!(strip("a.ts", &source).is_ok() || unit == "a." || unit == "a=", "{unit}");
    }
    assert!(strip("a.ts", &format!("export default {}1{}", "(".repeat(999), ")".repeat(999))).is_ok());
    assert!(strip("a.ts", &format!("export default {}1", "x<".repeat(999))).is_ok());
    let errors = strip("a.ts", &format!("export default {}1", "x<".repeat(1_001))).expect_err("one too many");
    assert_eq!(errors.errors[0].kind, ErrorKind::Limit);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let errors = strip("a.ts", "let \x1b[2J = 1;").expect_err("an escape is no identifier");
    assert!(!errors.render(false).contains('\x1b'));
}

#[test]
fn a_long_line_is_shown_around_the_error() {
    let source = format!("{}let let = 1;{}", "a;".repeat(5_000), "b;".repeat(5_000));
    let errors = strip("a.mjs", &source).expect_err("a reserved word");
    let line = &errors.errors[0].snippet[0];
    let (before, under) = line.mark.expect("the line is marked");
    let marked: String = line.text.chars().skip(before as usize).take(under as usize).collect();
    assert!(line.text.chars().count() < 160 && marked.starts_with("let"), "{line:?}");
}

#[test]
fn a_module_of_a_hundred_megabytes_is_refused_without_being_read() {
    let tree = Tree::new(&[("a.js", "import './big.js';")]);
    let file = std::fs::File::create(tree.path("big.js")).expect("a file");
    file.set_len(100 << 20).expect("a sparse file");
    assert_eq!(
        tree.error("a.js").0,
        "big.js: the file has 104857600 bytes, more than module_bytes_max (8388608) allows"
    );
}

#[test]
fn packages_with_broken_exports_are_named() {
    let check = |exports: &str, expect: &str| {
        let package = format!(r#"{{ "name": "p", "exports": {exports} }}"#);
        let tree = Tree::new(&[
            ("a.ts", "import 'p';"),
            ("node_modules/p/package.json", &package),
            ("node_modules/p/i.js", ""),
        ]);
        let (error, help) = tree.error("a.ts");
        assert!(error.starts_with("a.ts:1:8: ") && error.contains(expect), "{exports}: {error}");
        assert!(!help.is_empty(), "{exports}");
    };
    check(r#"{ ".": "../../../etc/passwd" }"#, "is not allowed");
    check(r#"{ ".": "i.js" }"#, "is not allowed");
    check(r#"{ ".": "./i.js", "import": "./i.js" }"#, "contradict each other");
    check(r#"{ "./x": "./i.js" }"#, "exports nothing for \".\"");
    check("null", "exports nothing for \".\"");
    check("{}", "exports nothing for \".\"");
}

#[test]
fn a_long_chain_of_imports_is_followed() {
    let files: Vec<(String, String)> =
        (0..3_000).map(|i| (format!("m{i}.js"), format!("import './m{}.js'; export {{}};", i + 1))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.push(("m3000.js", "import './m0.js';"));
    assert_eq!(Tree::new(&files).build("m0.js").script.modules.len(), 3_001);
}

#[test]
fn a_stack_of_any_form_is_mapped_in_time_that_its_length_bounds() {
    let maps = SourceMaps::new(&Tree::new(&[("a b.ts", "export const a: number = 1;")]).build("a b.ts").script);
    let lead = " (".repeat(2 << 20);
    assert_eq!(maps.map_stack(&format!("{lead}a b.ts:1:14")), format!("{lead}a b.ts:1:14"));
    assert_eq!(maps.map_stack(&format!("{lead}:1:1")), format!("{lead}:1:1"));
    assert_eq!(maps.map_stack("é a b.ts:1:14\n(a b.ts:1:14)"), "é a b.ts:1:14\n(a b.ts:1:14)");
}
