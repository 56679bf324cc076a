use super::*;

fn text(path: &str, content: &str) -> Text {
    Text { path: path.to_owned(), content: content.to_owned() }
}

fn one() -> Crate {
    Crate { name: "one".to_owned(), folder: "crates/one".to_owned(), uses: Vec::new() }
}

#[track_caller]
fn check_texts(texts: &[Text], expect: &[&str]) {
    let found: Vec<String> = check(&[one()], texts).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (finding, part) in found.iter().zip(expect) {
        assert!(finding.contains(part), "expected {part:?} in {finding:?}");
    }
}

fn good() -> Vec<Text> {
    vec![
        text("crates/one/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"),
        text("crates/one/src/lib.rs", "//! One.\n"),
        text("crates/one/src/lib/tests.rs", "    #[test]\nfn a() {}\n"),
    ]
}

#[test]
fn a_good_crate_passes() {
    check_texts(&good(), &[]);
}

#[test]
fn a_crate_introduces_itself() {
    let mut texts = good();
    texts[1].content = "use std::fmt;\n".to_owned();
    check_texts(&texts, &["crates/one/src/lib.rs:1: opens with no `//!`"]);
}

#[test]
fn a_crate_has_tests_and_lints() {
    check_texts(&good()[..2], &["`one` has no test"]);
    let mut texts = good();
    texts[0].content = "[package]\n".to_owned();
    check_texts(&texts, &["takes no lints"]);
}

#[test]
fn a_neighbours_tests_do_not_count() {
    let mut texts = good();
    texts[2].path = "crates/one-more/src/tests.rs".to_owned();
    check_texts(&texts, &["`one` has no test"]);
}

#[test]
fn vague_names_are_refused() {
    for name in ["utils", "helpers", "misc", "common", "mod"] {
        let mut texts = good();
        texts.push(text(&format!("crates/one/src/{name}.rs"), ""));
        check_texts(&texts, &[&format!("{name}.rs")]);
    }
}

#[test]
fn only_wire_names_engines_and_providers() {
    let naming = "use engine::Engine;\nlet a = services_local::open();\nuse services_local;\n";
    let mut texts = good();
    texts.push(text("crates/selvedge/src/wire.rs", naming));
    check_texts(&texts, &[]);
    texts.push(text("crates/selvedge/src/dev.rs", naming));
    check_texts(&texts, &["dev.rs:1: names `engine`", "dev.rs:2: names `services_local`", "dev.rs:3: names"]);
}

#[test]
fn what_only_sounds_like_an_engine_is_free() {
    let mut texts = good();
    let sounds = "// engine::x\nself.engine.run(); engine_guest::x(); wire::engine::x(); let engine = 1;\n";
    texts.push(text("crates/selvedge/src/dev.rs", sounds));
    check_texts(&texts, &[]);
}
