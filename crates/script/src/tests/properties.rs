use proptest::prelude::*;

use super::*;

/// Source built from pieces that parsers trip over.
fn source() -> impl Strategy<Value = String> {
    let pieces = [
        "import x from './b.js';",
        "export default ",
        "require('./b.js')",
        "module.exports",
        "=",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "=>",
        "a",
        "b.c",
        "<T>",
        ": number",
        "'s'",
        "`t${",
        "`",
        "/r/",
        "//c\n",
        "/*",
        "*/",
        "\n",
        "é",
        "\u{2028}",
        "\t",
        "@d ",
        "class ",
        "function ",
        "async ",
        "await ",
        "using ",
        "#p",
        "1n",
        "...",
        "?.",
        "??=",
        "enum E {}",
        "exports.x = 1;",
        "this",
        "\0",
        "\u{feff}",
        "<b/>",
        "import(",
        "'./b.js'",
        "process.env.NODE_ENV",
        " with { type: 'text' };",
        "import t from './b.js' with { type: 'json' };",
        "class C { @d x = 1; accessor y; @d m() {} static { } }",
        "export default @d class extends C {}",
        "import(`./${a}.js`);",
        "import(a);",
        "with (a) {}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_gives_an_artifact_or_errors_that_fit_it(text in source(), name in prop::sample::select(vec!["a.ts", "a.tsx", "a.js", "a.cjs", "a.cts", "a.mjs"])) {
        let tree = Tree::new(&[(name, &text), ("b.js", "exports.x = 1; export const y = 1;")]);
        match tree.try_build(name) {
            Ok(built) => {
                let artifact = Artifact::Script(built.script);
                prop_assert_eq!(Artifact::decode(&artifact.encode()), Ok(artifact));
            }
            Err(errors) => {
                prop_assert!(!errors.errors.is_empty());
                for error in &errors.errors {
                    let lines = text.split(['\n', '\r']).count() as u32;
                    prop_assert!(error.file != name || error.line <= lines);
                    prop_assert!(!error.render(false).is_empty());
                }
            }
        }
    }

    #[test]
    fn equal_files_give_equal_artifacts_anywhere(texts in prop::collection::vec(source(), 3)) {
        let build = || {
            let tree = Tree::new(&[("a.js", &texts[0]), ("b.js", &texts[1]), ("c.ts", &texts[2])]);
            let build = tree.try_build("a.js");
            build.map(|b| Artifact::Script(b.script).encode()).map_err(|e| e.to_string())
        };
        prop_assert_eq!(build(), build());
    }

    #[test]
    fn any_stack_is_mapped_without_panic(stack in "(\\s|at|a\\.ts|:|[0-9]{1,11}|\\(|\\)|é){0,20}") {
        let tree = Tree::new(&[("a.ts", "export const a: number = 1;")]);
        let maps = SourceMaps::new(&tree.build("a.ts").script);
        prop_assert_eq!(maps.map_stack(&stack).lines().count(), stack.lines().count());
    }

    #[test]
    fn any_source_map_that_a_file_brings_along_is_read_or_left(map in "[ -~]{0,60}", inline in any::<bool>()) {
        let json = format!("{{\"version\":3,\"sources\":[\"x.ts\"],\"mappings\":{}}}", serde_json::Value::from(map.as_str()));
        let url = if inline { format!("data:application/json,{json}") } else { map.replace(['\n', '\r'], "") };
        let tree = Tree::new(&[("a.ts", &format!("export const a: number = 1;\n//# sourceMappingURL={url}\n"))]);
        let maps = SourceMaps::new(&tree.build("a.ts").script);
        maps.lookup("a.ts", 1, 1);
    }

    #[test]
    fn a_damaged_source_map_is_no_map(map in "[ -~]{0,40}") {
        let mut script = Tree::new(&[("a.ts", "export const a: number = 1;")]).build("a.ts").script;
        script.modules[0].source_map = Some(format!("{{\"version\":3,\"mappings\":{}}}", serde_json::Value::from(map)));
        let maps = SourceMaps::new(&script);
        maps.lookup("a.ts", 1, 1);
        maps.lookup("a.ts", 0, 0);
        maps.lookup("a.ts", u32::MAX, u32::MAX);
    }
}
