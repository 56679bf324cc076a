//! `selvedge:sql`, as a component uses it.

use crate::harness::{Node, Place, Request};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "fixture.wasm"
bindings.DB = { sql = "main" }
bindings.EACH = { sql = "each-*" }
[[routes]]
match = "/*"
worker = "web"
"#;

static FIXTURE: &[u8] = include_bytes!("../../../../engine/tests/fixtures/components/rust.wasm");

fn ask(node: &Node, what: &str) -> String {
    node.send(&Request::get(&format!("/sql/{what}")).at_app("app")).expect(200).text()
}

#[test]
fn a_component_queries_and_its_transactions_end_with_it() {
    let place = Place::new();
    let project = place.project("project", &[("selvedge.toml", MANIFEST)]);
    std::fs::write(project.join("fixture.wasm"), FIXTURE).expect("the component");
    let node = place.serve_project(&project);
    assert_eq!(ask(&node, "setup"), "2");
    let row = "[[Value::Integer(-9223372036854775808), Value::Real(0.5), Value::Blob([0, 255]), Value::Null, Value::Text(\"text\")]]";
    assert_eq!(ask(&node, "values"), format!(r#"1 ["a", "b", "c", "n", "s"] {row} true"#));
    assert_eq!(ask(&node, "batch"), r#"2 Err("sql_constraint") [[Value::Integer(2)]]"#);
    assert_eq!(ask(&node, "transaction"), r#"Err("sql_constraint") [[Value::Integer(1)]]"#);
    assert_eq!(ask(&node, "family"), "[[Value::Integer(1)]]");
    assert_eq!(ask(&node, "parameters"), r#"Err("sql_parameters")"#);
    for (what, code) in
        [("keyless", "sql_name"), ("none", "not_found"), ("attach", "sql_forbidden"), ("wrong", "sql_error")]
    {
        let said = ask(&node, what);
        assert!(said.starts_with(&format!("{code}: ")), "{what}: {said}");
    }
    let queried = place.on_data(&["sql", "query", "app", "main", "SELECT count(*) FROM u"]).expect_success();
    assert!(queried.lines().any(|line| line == "3"), "{queried}");
}
