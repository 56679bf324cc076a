use super::*;

#[test]
fn what_surely_writes_is_known_by_its_first_word() {
    for read in [
        "SELECT 1",
        "  with x as (select 1) select * from x",
        "PRAGMA table_list",
        "-- INSERT\nSELECT 1",
        "/* a */ VALUES (1)",
        "",
    ] {
        assert!(may_read(read), "{read}");
    }
    for write in
        ["insert into t values (1)", "\n UPDATE t SET x = 1", "/* a */ -- b\n DELETE FROM t", "create table t (x)"]
    {
        assert!(!may_read(write), "{write}");
    }
}
