use super::*;

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(code_only(text), expect);
}

#[test]
fn comments_and_literals_are_blanked() {
    check("a // b\nc", "a     \nc");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("unsafe \" {", x)"#, r#"f(             , x)"#);
    check("r#\"a \" b\"# c", "           c");
    check("br\"a\" b\"c\" b'd' e", "                e");
    check("'{' '\\'' '\\u{7f}' x", "                  x");
}

#[test]
fn lifetimes_and_names_stay() {
    check("fn f<'a>(x: &'a str) -> &'static str {}", "fn f<'a>(x: &'a str) -> &'static str {}");
    check("bar r b rb", "bar r b rb");
    check("r#type", "r#type");
}

#[test]
fn unfinished_literals_end_with_the_text() {
    check("\"abc", "    ");
    check("/* abc", "      ");
    check("r#\"abc\"", "       ");
    check("'\\", "  ");
}

#[test]
fn words_stand_alone() {
    assert!(has_word("unsafe {", "unsafe"));
    assert!(!has_word("unsafe_code not_unsafe", "unsafe"));
}

#[test]
fn functions_are_measured_from_fn_to_the_last_brace() {
    let code = "fn one() {}\n\npub async fn two<const N: usize>(\n    a: [u8; 3],\n) -> u8 {\n    if a { 1 } else { 2 }\n}\ntrait T { fn none(&self); }\ntype F = fn(u8);\n";
    let found: Vec<(String, usize, usize)> = functions(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(found, [("one".to_owned(), 1, 1), ("two".to_owned(), 3, 5)]);
}
