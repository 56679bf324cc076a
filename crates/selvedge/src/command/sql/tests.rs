use serde_json::json;

use super::export::literal;
use super::is_complete;

#[test]
fn a_statement_is_complete_at_its_semicolon() {
    assert!(is_complete("SELECT 1;") && is_complete("SELECT\n 1 ;\n"));
    assert!(
        !is_complete("SELECT 1")
            && !is_complete("")
            && !is_complete("CREATE TRIGGER t AFTER INSERT ON x BEGIN\n SELECT 1;")
    );
    assert!(is_complete("create trigger t after insert on x begin select 1; end;"));
}

#[test]
fn values_are_written_as_sql_reads_them() {
    let check = |value, expect: &str| assert_eq!(literal(&value), expect);
    check(json!(null), "NULL");
    check(json!(-7), "-7");
    check(json!(1.5), "1.5");
    check(json!("it's"), "'it''s'");
    check(json!("a\0b"), "CAST(X'610062' AS TEXT)");
    check(json!({ "hex": "00ff" }), "X'00ff'");
}
