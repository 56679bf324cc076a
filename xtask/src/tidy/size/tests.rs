use super::*;

fn file(path: &str, content: String) -> Text {
    Text { path: path.to_owned(), content }
}

fn long_function(lines: usize) -> String {
    format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[track_caller]
fn check_messages(texts: &[Text], ratchet: &str, expect: &[&str]) {
    let found: Vec<String> = check(texts, &Ratchet::parse(ratchet).unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expect.len(), "{found:?}");
    for (finding, part) in found.iter().zip(expect) {
        assert!(finding.contains(part), "expected {part:?} in {finding:?}");
    }
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    check_messages(&[file("a.ts", "x\n".repeat(801))], "", &["a.ts: `a.ts` has 801 lines, and 800 are allowed"]);
    check_messages(&[file("a.ts", "x\n".repeat(800))], "", &[]);
    check_messages(&[file("a.rs", long_function(71))], "", &["a.rs:1: `a.rs::long` has 71 lines"]);
    check_messages(&[file("a.rs", long_function(70))], "", &[]);
}

#[test]
fn generated_files_and_prose_may_be_long() {
    check_messages(&[file("a.rs", format!("// @generated\n{}", "x();\n".repeat(900)))], "", &[]);
    check_messages(&[file("a.md", "x\n".repeat(900))], "", &[]);
}

#[test]
fn the_ratchet_holds_what_was_long_and_lets_nothing_grow() {
    let long = [file("a.rs", long_function(90))];
    check_messages(&long, "a.rs::long 90\n", &[]);
    check_messages(&long, "a.rs::long 89\n", &["has grown from 89 to 90"]);
    check_messages(&long, "a.rs::long 95\n", &["has shrunk below 95"]);
    check_messages(&[], "# a comment\na.rs::long 90\n", &["has shrunk below 90"]);
}

#[test]
fn lowering_follows_what_shrank_and_never_raises() {
    let things = long_things(&[file("a.rs", long_function(90)), file("b.rs", long_function(99))]);
    let lowered = Ratchet::parse("a.rs::long 95\nb.rs::long 80\nc.rs 900\n").unwrap().lowered(&things);
    assert_eq!(lowered, Ratchet::parse("a.rs::long 90\nb.rs::long 80\n").unwrap());
    assert_eq!(Ratchet::parse(&lowered.to_string()).unwrap(), lowered);
}

#[test]
fn a_line_without_a_length_is_an_error() {
    assert!(Ratchet::parse("a.rs::long\n").is_err());
    assert!(Ratchet::parse("a.rs::long many\n").is_err());
}
