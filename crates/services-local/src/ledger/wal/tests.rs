use std::fs::File;

use rusqlite::Connection;

use super::*;

fn open(dir: &std::path::Path) -> (Connection, Wal) {
    let path = dir.join("t.db");
    let connection = Connection::open(&path).expect("opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB);",
        )
        .expect("a table");
    let wal = Wal::new(File::open(dir.join("t.db-wal")).expect("a log"));
    (connection, wal)
}

/// The pages of what was committed since the last look, and the size of the database after it.
fn take(wal: &mut Wal) -> Option<(Vec<u32>, u32)> {
    let commits = wal.look().expect("reads")?;
    let mut pages = Vec::new();
    wal.read(&commits, |frames, _| {
        pages.extend(frames.iter().map(|frame| frame.page));
        Ok::<(), io::Error>(())
    })
    .expect("reads");
    wal.advance(&commits);
    Some((pages, commits.database_pages))
}

#[test]
fn each_commit_is_found_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (connection, mut wal) = open(dir.path());
    assert_eq!(take(&mut wal), Some((vec![1, 2], 2)));
    assert_eq!(take(&mut wal), None);
    connection.execute("INSERT INTO t VALUES (1, zeroblob(10))", []).expect("inserted");
    assert_eq!(take(&mut wal), Some((vec![2], 2)));
    connection.execute_batch("BEGIN; COMMIT").expect("nothing");
    assert_eq!(take(&mut wal), None);
}

#[test]
fn what_was_rolled_back_is_no_commit_even_if_it_was_spilled() {
    let dir = tempfile::tempdir().expect("a directory");
    let (connection, mut wal) = open(dir.path());
    take(&mut wal);
    connection.execute_batch("PRAGMA cache_size = 5; BEGIN").expect("begun");
    for n in 0..200 {
        connection.execute("INSERT INTO t VALUES (?1, zeroblob(4000))", [n]).expect("inserted");
    }
    assert_eq!(take(&mut wal), None, "an open transaction is no commit");
    connection.execute_batch("ROLLBACK").expect("rolled back");
    assert_eq!(take(&mut wal), None);
    connection.execute("INSERT INTO t VALUES (1, zeroblob(10))", []).expect("inserted");
    assert_eq!(take(&mut wal), Some((vec![2], 2)), "and what it left behind is not taken along");
}

#[test]
fn a_log_that_began_anew_is_read_from_its_begin() {
    let dir = tempfile::tempdir().expect("a directory");
    let (connection, mut wal) = open(dir.path());
    for n in 0..50 {
        connection.execute("INSERT INTO t VALUES (?1, zeroblob(3000))", [n]).expect("inserted");
    }
    take(&mut wal);
    assert!(wal.frames() > 50);
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("copied");
    assert_eq!(take(&mut wal), None);
    connection.execute("DELETE FROM t WHERE n = 7", []).expect("deleted");
    let (pages, size) = take(&mut wal).expect("a commit");
    assert!(pages.len() < 10 && size > 20, "{pages:?} {size}");
    assert!(wal.frames() < 10);
}

#[test]
fn large_commits_come_in_pieces_and_rewound_logs_come_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let (connection, mut wal) = open(dir.path());
    take(&mut wal);
    connection.execute_batch("BEGIN").expect("begun");
    for n in 0..2_000 {
        connection.execute("INSERT INTO t VALUES (?1, zeroblob(3000))", [n]).expect("inserted");
    }
    connection.execute_batch("COMMIT").expect("committed");
    let (pages, size) = take(&mut wal).expect("a commit");
    assert!(pages.len() > 2_000 && size > 2_000);
    wal.rewind();
    assert!(take(&mut wal).is_some_and(|(all, _)| all.len() == pages.len() + 2));
}
