use rusqlite::StatementStatus;

use super::*;

#[test]
fn what_reads_a_blob_is_compiled_once() {
    let connection = Connection::open_in_memory().expect("in memory");
    KIND.migrations.iter().for_each(|step| connection.execute_batch(step).expect("the tables"));
    for number in 0..20 {
        assert!(pieces(&connection, number).expect("a read").is_empty());
    }
    let statement = connection.prepare_cached(PIECES).expect("the same statement");
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
}
