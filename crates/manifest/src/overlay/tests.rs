use super::*;
use crate::report::{Source, SourceFile};
use crate::tree::{Syntax, parse};

fn tree(text: &str) -> Table {
    parse(&SourceFile::new(Source { path: "f", text }), Syntax::Toml).expect("TOML")
}

fn json(table: Table) -> serde_json::Value {
    Node { span: 0..0, value: Value::Table(table) }.to_json().expect("no dates")
}

fn check(base: &str, over: &str, expect: &str) {
    assert_eq!(json(merge(&tree(base), &tree(over), "env")), json(tree(expect)), "{over} over {base}");
}

#[test]
fn tables_merge_and_everything_else_replaces() {
    check("a = 1", "b = 2", "a = 1\nb = 2");
    check("a = { b = 1, c = 2 }", "a = { b = 3 }", "a = { b = 3, c = 2 }");
    check("a = [1, 2]", "a = [3]", "a = [3]");
    check("a = { b = 1 }", "a = 1", "a = 1");
    check("a = 1", "a = { b = 1 }", "a = { b = 1 }");
}

#[test]
fn a_binding_and_a_variable_are_one_value() {
    check(
        "workers.w.bindings.A = { kv = \"x\" }",
        "workers.w.bindings.A = { secret = \"y\" }",
        "workers.w.bindings.A = { secret = \"y\" }",
    );
    check("workers.w.vars.A = { x = 1 }", "workers.w.vars.A = { y = 2 }", "workers.w.vars.A = { y = 2 }");
    check("workers.w.vars = { A = 1 }", "workers.w.vars = { B = 2 }", "workers.w.vars = { A = 1, B = 2 }");
}
