use serde_json::json;

use super::*;

#[test]
fn the_declarations_are_those_on_record() {
    insta::with_settings!({ snapshot_path => "../../golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("platform.d.ts", format!("{KV}{FETCHER}{SERVICE}"));
    });
}

#[test]
fn a_variable_has_the_type_of_its_value() {
    assert_eq!(type_of(&json!(1.5), 1), "number");
    assert_eq!(type_of(&json!([]), 1), "unknown[]");
    assert_eq!(type_of(&json!([1, 2]), 1), "number[]");
    assert_eq!(type_of(&json!([1, "a", null]), 1), "(null | number | string)[]");
    assert_eq!(type_of(&json!({}), 1), "Record<string, never>");
    assert_eq!(type_of(&json!({ "a-b": true }), 1), "{\n    \"a-b\": boolean;\n  }");
}

#[test]
fn workers_have_interfaces_of_different_names() {
    let names = ["web", "my-api", "a-1", "a1", "a--b", "a-b"].map(interface_name);
    assert_eq!(names, ["WebEnv", "MyApiEnv", "A_1Env", "A1Env", "A_BEnv", "ABEnv"]);
}
