use super::*;

fn check(raw: &str, name: &str, attributes: &[(&str, &str)]) {
    let (tag, found) = parse(raw.as_bytes());
    assert_eq!(&raw[tag], name, "{raw}");
    let found: Vec<(&str, &str)> = found.into_iter().map(|a| (&raw[a.name], &raw[a.whole])).collect();
    assert_eq!(found, attributes, "{raw}");
}

#[test]
fn attributes_are_found_however_they_are_written() {
    check("<a>", "a", &[]);
    check("<a/>", "a", &[]);
    check("<Img src=x ALT='a b'>", "Img", &[("src", "src=x"), ("ALT", "ALT='a b'")]);
    check("<a b/c>", "a", &[("b", "b"), ("c", "c")]);
    check("<a b = \"c>d\" e>", "a", &[("b", "b = \"c>d\""), ("e", "e")]);
    check("<a =b=c>", "a", &[("=b", "=b=c")]);
    check("<a b=>", "a", &[("b", "b=")]);
    check("<a b=c/d />", "a", &[("b", "b=c/d")]);
    check("<a\n\tb\n>", "a", &[("b", "b")]);
}
