use super::*;
use crate::{DataDir, DataDirOptions};

#[test]
fn nothing_is_copied_before_it_is_durable_in_the_log() {
    let place = tempfile::tempdir().expect("a directory");
    let data = DataDir::open(place.path().join("data"), DataDirOptions::new(place.path().join("key"))).expect("opens");
    let path = data.path().join("a.db");
    let connection = Connection::open(&path).expect("opens");
    let mut journal = data.ledger().adopt(&path, &connection).expect("adopted");
    connection.execute_batch("CREATE TABLE t (n INTEGER)").expect("a table");
    journal.committed(&connection).expect("appended").wait().expect("durable");
    let before = std::fs::read(&path).expect("read");

    let member = &journal.member;
    let mut state = member.state();
    let last = std::mem::replace(&mut state.last, member.log.durable() + 1_000);
    assert!(!member.copy(&mut state, &connection).expect("no error"), "a later batch is under way");
    assert_eq!(std::fs::read(&path).expect("read"), before);
    state.last = IN_DOUBT;
    assert!(!member.copy(&mut state, &connection).expect("no error"), "what could not be appended is in no batch");
    assert_eq!(std::fs::read(&path).expect("read"), before);
    state.last = last;
    assert!(member.copy(&mut state, &connection).expect("no error"));
    assert_ne!(std::fs::read(&path).expect("read"), before);
}

#[test]
fn what_a_commit_could_not_append_is_appended_before_the_next_one() {
    let place = tempfile::tempdir().expect("a directory");
    let data = DataDir::open(place.path().join("data"), DataDirOptions::new(place.path().join("key"))).expect("opens");
    let path = data.path().join("a.db");
    let connection = Connection::open(&path).expect("opens");
    let mut journal = data.ledger().adopt(&path, &connection).expect("adopted");
    connection.execute_batch("CREATE TABLE t (n INTEGER)").expect("a table");
    journal.member.state().last = IN_DOUBT;
    assert!(!journal.last_ticket().is_durable());
    assert!(journal.last_ticket().wait().is_err(), "nobody lets out what was read");
    journal.ready(&connection).expect("ready");
    journal.last_ticket().wait().expect("durable by now");
}

/// A database that begins in the log, with an empty table.
fn born(place: &tempfile::TempDir) -> (DataDir, PathBuf, Connection, Journal) {
    let data = DataDir::open(place.path().join("data"), DataDirOptions::new(place.path().join("key"))).expect("opens");
    let path = data.path().join("a.db");
    Connection::open(&path).expect("opens").execute_batch("CREATE TABLE t (n INTEGER)").expect("a table");
    let bytes: Arc<[u8]> = std::fs::read(&path).expect("read").into();
    let connection = Connection::open(&path).expect("opens");
    let journal = data.ledger().adopt_born(&path, &connection, &bytes).expect("adopted");
    (data, path, connection, journal)
}

#[test]
fn what_a_database_began_with_is_appended_again_if_the_log_lost_it() {
    let place = tempfile::tempdir().expect("a directory");
    let (_data, _, connection, mut journal) = born(&place);
    journal.last_ticket().wait().expect("durable");
    let first = journal.member.state().last;
    {
        let mut state = journal.member.state();
        (state.last, state.copied) = (IN_DOUBT, IN_DOUBT);
        state.doubt_birth(IN_DOUBT);
    }
    journal.ready(&connection).expect("ready");
    journal.last_ticket().wait().expect("durable by now");
    assert!(journal.member.state().last > first);
}

#[test]
fn a_first_commit_in_the_batch_that_its_database_began_in_counts_as_not_copied() {
    let place = tempfile::tempdir().expect("a directory");
    let (_data, path, connection, mut journal) = born(&place);
    connection.execute_batch("INSERT INTO t VALUES (7)").expect("a row");
    journal.committed(&connection).expect("appended").wait().expect("durable");

    let before = std::fs::read(&path).expect("read");
    let mut state = journal.member.state();
    // As it is when both were appended before the log's thread took the batch.
    state.last = Member::birth(&state);
    assert!(journal.member.copy(&mut state, &connection).expect("no error"));
    assert_ne!(std::fs::read(&path).expect("read"), before, "the row is in the file, if the log says so");
}
