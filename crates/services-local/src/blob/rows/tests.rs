use rusqlite::StatementStatus;

use super::*;

fn tables() -> Connection {
    let connection = Connection::open_in_memory().expect("in memory");
    KIND.migrations.iter().for_each(|step| connection.execute_batch(step).expect("the tables"));
    connection
}

#[test]
fn what_reads_a_blob_is_compiled_once() {
    let connection = tables();
    for number in 0..20 {
        assert!(pieces(&connection, number).expect("a read").is_empty());
        for version in [None, Some(VersionId::Null), Some(VersionId::Number(number))] {
            let key = format!("key-{number}");
            assert!(read(&connection, "files", &key, version).expect("a read").is_none());
            assert!(find_named(&connection, "files", &key, version).expect("a read").is_none());
        }
    }
    let versions = [None, Some(VersionId::Null), Some(VersionId::Number(1))].map(|version| which(version).0);
    let texts = versions.iter().flat_map(|which| [read_sql(which), find_named_sql(which)]);
    for text in texts.chain([PIECES.to_owned()]) {
        let statement = connection.prepare_cached(&text).expect("the same statement");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{text}");
    }
}

#[test]
fn a_blob_is_read_by_its_keys_without_a_sort() {
    let connection = tables();
    let plan = format!("EXPLAIN QUERY PLAN {}", read_sql(which(None).0));
    let mut statement = connection.prepare(&plan).expect("a plan");
    let steps = statement.query_map(params!["files", b"key", 0], |row| row.get::<_, String>(3)).expect("steps");
    let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().expect("steps");
    assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{steps:?}");
}
