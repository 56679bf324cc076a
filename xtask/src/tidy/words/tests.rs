use super::*;

#[track_caller]
fn check_text(path: &str, content: &str, expect: &[&str]) {
    let found: Vec<String> =
        check(&Text { path: path.to_owned(), content: content.to_owned() }).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (finding, part) in found.iter().zip(expect) {
        assert!(finding.contains(part), "expected {part:?} in {finding:?}");
    }
}

#[test]
fn unfinished_code_is_found_where_it_is_code() {
    check_text("a.rs", "fn a() {\n    todo!()\n}\n", &["a.rs:2: holds `todo!`"]);
    check_text("a.rs", "dbg!(x); unimplemented!();\n", &["unimplemented!", "dbg!"]);
    check_text("a.rs", "#[ignore = \"slow\"]\n", &["#[ignore"]);
    check_text("a.rs", "// todo!()\nlet a = \"dbg!\";\n", &[]);
    check_text("a.md", "todo!()\n", &[]);
}

#[test]
fn paths_of_one_machine_are_found() {
    for line in ["cd /root", "\"/root/x\"", "a=/home/ann/x", "`/work/main`", "ls /tmp/out", "/Users/ann"] {
        check_text("a.md", line, &["holds a path of one machine"]);
    }
    for line in ["https://example.com/home/ann", "/rooted", "./work/x", "$X/tmp/y", "~/work/x", "/homes", "a/root b"] {
        check_text("a.md", line, &[]);
    }
}

#[test]
fn registries_are_left_to_the_machine() {
    check_text(".npmrc", "registry=http://mirror.test/\n", &["names a package registry"]);
    check_text(".cargo/config.toml", "[source.crates-io]\n", &["names a package registry"]);
    check_text("Cargo.lock", "source = \"registry+https://mirror.test/index\"\n", &["names a package registry"]);
    check_text("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n", &[]);
    check_text(
        "x/package-lock.json",
        "  \"resolved\": \"https://mirror.test/a.tgz\",\n",
        &["names a package registry"],
    );
    check_text("x/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/a.tgz\",\n", &[]);
}

#[test]
fn unsafe_has_its_places_and_its_argument() {
    check_text("crates/a/src/lib.rs", "unsafe { x() }\n", &["is unsafe: do without"]);
    check_text("crates/a/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe\n", &[]);
    check_text(UNSAFE[0], "// SAFETY: it is checked.\nunsafe { x() }\n", &[]);
    check_text(UNSAFE[0], "unsafe { x() }\n", &["without a `// SAFETY:`"]);
    check_text("engine-guest/fixtures/a/src/lib.rs", "unsafe { x() }\n", &[]);
}

#[test]
fn managers_are_named_for_what_they_do() {
    check_text("a.rs", "pub struct PoolManager<T> {\n", &["`PoolManager` says nothing"]);
    check_text("a.rs", "let m: PoolManager = x; struct Pool;\n", &[]);
}

#[test]
fn examples_in_documentation_are_tests_or_text() {
    check_text("a.rs", "/// ```\n/// let a = 1;\n/// ```\n", &["a.rs:1: holds a doctest"]);
    check_text("a.rs", "//! ```no_run\n//! ```\n", &["a.rs:1: holds a doctest"]);
    check_text("a.rs", "//! ```text\n//! a\n//! ```\n//! ```toml\n//! ```\n", &[]);
}
