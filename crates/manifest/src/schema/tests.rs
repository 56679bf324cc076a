use super::*;

#[test]
fn the_schema_is_the_one_on_record() {
    let text = serde_json::to_string_pretty(&json_schema()).expect("it serialises");
    insta::with_settings!({ snapshot_path => "../../golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("selvedge.schema.json", text);
    });
}

#[test]
fn every_reference_of_the_schema_has_its_definition() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|v| walk(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let schema = json_schema();
    let mut found = Vec::new();
    walk(&schema, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the schema");
        assert!(schema.pointer(pointer).is_some(), "{reference}");
    }
}
