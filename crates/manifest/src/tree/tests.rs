use super::*;
use crate::report::Source;

fn file(text: &str) -> SourceFile {
    SourceFile::new(Source { path: "f", text })
}

/// The same content reads the same from both syntaxes.
#[test]
fn toml_and_json_make_the_same_tree() {
    let toml = "a = 1\nb = [true, 1.5, \"x\"]\n[c]\nd = {}\n[[e]]\nf = 'g'\n[[e]]";
    let json = "{\"a\": 1, \"b\": [true, 1.5, \"x\"], \"c\": {\"d\": {}}, // comment\n \"e\": [{\"f\": \"g\"}, {},],}";
    let read = |text, syntax| {
        let table = parse(&file(text), syntax).expect("it parses");
        Node { span: 0..0, value: Value::Table(table) }.to_json()
    };
    assert_eq!(read(toml, Syntax::Toml), read(json, Syntax::Jsonc));
}

#[test]
fn places_are_those_of_the_text() {
    let text = "\u{feff}{ \"ä\": { \"key\": [\"value\"] } }";
    let table = parse(&file(text), Syntax::Jsonc).expect("it parses");
    let entry = table.get("ä").expect("a key");
    assert_eq!(&text[entry.key_span.clone()], "\"ä\"");
    let Value::Table(inner) = &entry.node.value else { panic!("a table") };
    assert_eq!(&text[inner.entries[0].node.span.clone()], "[\"value\"]");
    let text = "[a.b]\nkey = \"value\"\n";
    let table = parse(&file(text), Syntax::Toml).expect("it parses");
    assert_eq!(&text[table.entries[0].node.span.clone()], "a");
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    for depth in [90, 600, 100_000] {
        let json = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&file(&json), Syntax::Jsonc).is_err());
        let toml = format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&file(&toml), Syntax::Toml).is_err());
    }
    let dotted = format!("{}a = 1", "a.".repeat(100_000));
    let _ = parse(&file(&dotted), Syntax::Toml);
}
