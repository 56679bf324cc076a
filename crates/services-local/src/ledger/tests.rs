use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{DataDir, DataDirOptions};

impl Inner {
    /// Makes every database whole without the log, begins a new segment, and moves the old ones.
    fn retire_all(&self) {
        self.log.turn_over();
        for member in self.all() {
            assert!(member.copy_idle().expect("copied"), "nobody writes");
            member.flush().expect("flushed").map(|ticket| ticket.wait().expect("durable"));
        }
        self.tend().expect("tended");
    }
}

struct Fixture {
    place: TempDir,
    data: DataDir,
}

fn place() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open_in(place: TempDir) -> Fixture {
    let data = DataDir::open(place.path().join("data"), DataDirOptions::new(place.path().join("key"))).expect("opens");
    Fixture { place, data }
}

/// A database that is journaled, with a table of numbers.
struct Numbers {
    journal: Journal,
    connection: Connection,
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    fn numbers(&self, name: &str) -> Numbers {
        let connection = Connection::open(self.path(name)).expect("opens");
        let journal = self.data.ledger().adopt(&self.path(name), &connection).expect("adopted");
        let mut numbers = Numbers { journal, connection };
        numbers.run("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x BLOB)").wait().expect("durable");
        numbers
    }

    /// Ends as a crash does: what was not flushed is lost, but for what the operating system has.
    fn crash(self) -> Fixture {
        let copy = place();
        let status = std::process::Command::new("cp")
            .args(["-r", "--sparse=always"])
            .arg(self.data.path())
            .arg(copy.path().join("data"))
            .status();
        assert!(status.expect("cp runs").success());
        drop(self);
        open_in(copy)
    }
}

impl Numbers {
    fn run(&mut self, sql: &str) -> Ticket {
        self.journal.ready(&self.connection).expect("ready");
        self.connection.execute_batch(sql).expect("executed");
        self.journal.committed(&self.connection).expect("appended")
    }

    fn insert(&mut self, n: i64) -> Ticket {
        self.run(&format!("INSERT INTO t VALUES ({n}, randomblob(100))"))
    }

    fn sum(&self) -> (i64, i64) {
        let sql = "SELECT count(*), coalesce(sum(n), 0) FROM t";
        self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("read")
    }
}

fn check_whole(numbers: &Numbers) {
    let whole: String = numbers.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
    assert_eq!(whole, "ok");
}

#[test]
fn what_a_ticket_resolved_for_survives() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    let tickets: Vec<Ticket> = (0..500).map(|n| numbers.insert(n)).collect();
    tickets.into_iter().for_each(|ticket| ticket.wait().expect("durable"));
    assert!(numbers.journal.last_ticket().is_durable());
    let f = f.crash();
    let numbers = f.numbers("a.db");
    assert_eq!(numbers.sum(), (500, 500 * 499 / 2));
    check_whole(&numbers);
}

#[test]
fn a_file_that_was_not_copied_whole_is_mended() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..500).for_each(|n| drop(numbers.insert(n)));
    numbers.journal.last_ticket().wait().expect("durable");
    let path = f.path("a.db");
    let f = f.crash();
    let _ = path;
    // What a copy left torn.
    drop(f.data);
    let file = f.place.path().join("data/a.db");
    let length = std::fs::metadata(&file).expect("it is there").len();
    std::fs::write(&file, vec![0x5a; length as usize / 2]).expect("torn");
    std::fs::write(f.place.path().join("data/a.db-wal"), b"nonsense").expect("written");
    // A start has gone by since, so the log of before is read once more.
    let ledger = f.place.path().join("data/ledger");
    let newest = segment::list(&ledger).expect("a list").pop().expect("a segment");
    std::fs::remove_file(segment::path(&ledger, newest)).expect("removed");
    let f = open_in(f.place);
    let numbers = f.numbers("a.db");
    assert_eq!(numbers.sum(), (500, 500 * 499 / 2));
    check_whole(&numbers);
}

#[test]
fn a_closed_database_needs_the_ledger_no_more() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..10).for_each(|n| drop(numbers.insert(n)));
    let Numbers { journal, connection } = numbers;
    journal.close(&connection).expect("closed").wait().expect("durable");
    drop(connection);
    assert!(!f.path("a.db-wal").exists(), "nothing lies beside it");
    let path = f.path("a.db");
    std::fs::copy(&path, f.path("b.db")).expect("copied");
    assert_eq!(f.numbers("b.db").sum(), (10, 45));
    let f = f.crash();
    assert_eq!(f.numbers("a.db").sum(), (10, 45));
}

#[test]
fn a_dropped_journal_is_taken_up_again() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..10).for_each(|n| drop(numbers.insert(n)));
    drop(numbers);
    let mut numbers = f.numbers("a.db");
    numbers.insert(10).wait().expect("durable");
    drop(numbers);
    f.data.ledger().inner.tend().expect("tended");
    let f = f.crash();
    assert_eq!(f.numbers("a.db").sum(), (11, 55));
}

#[test]
fn a_removed_database_stays_removed_and_its_name_may_come_again() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..10).for_each(|n| drop(numbers.insert(n)));
    let ledger = f.data.ledger();
    assert!(ledger.remove(&f.path("a.db")).is_err(), "it is in use");
    drop(numbers);
    ledger.remove(&f.path("a.db")).expect("removed");
    assert!(!f.path("a.db").exists());
    let mut numbers = f.numbers("a.db");
    numbers.insert(7).wait().expect("durable");
    drop(ledger);
    let f = f.crash();
    assert_eq!(f.numbers("a.db").sum(), (1, 7));
}

/// A database whose name is not durable, with the same table.
fn born(f: &Fixture, name: &str) -> Numbers {
    let (path, made) = (f.path(name), f.path("made.tmp"));
    let connection = Connection::open(&made).expect("opens");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)")
        .expect("made");
    connection.close().expect("closed");
    let bytes: Arc<[u8]> = std::fs::read(&made).expect("read").into();
    std::fs::rename(&made, &path).expect("named");
    let connection = Connection::open(&path).expect("opens");
    let journal = f.data.ledger().adopt_born(&path, &connection, &bytes).expect("adopted");
    Numbers { journal, connection }
}

#[test]
fn a_database_that_was_just_made_is_there_although_its_name_was_lost() {
    let f = open_in(place());
    let mut numbers = born(&f, "a.db");
    (0..10).for_each(|n| drop(numbers.insert(n)));
    numbers.journal.last_ticket().wait().expect("durable");
    let f = f.crash();
    // As if the power had gone in place of the process: the log is read once more.
    drop(f.data);
    for file in ["a.db", "a.db-wal", "a.db-shm"] {
        let _ = std::fs::remove_file(f.place.path().join("data").join(file));
    }
    let ledger = f.place.path().join("data/ledger");
    let newest = segment::list(&ledger).expect("a list").pop().expect("a segment");
    std::fs::remove_file(segment::path(&ledger, newest)).expect("removed");
    let f = open_in(f.place);
    let numbers = f.numbers("a.db");
    assert_eq!(numbers.sum(), (10, 45));
    check_whole(&numbers);
}

#[test]
fn one_that_was_just_made_needs_the_log_no_more_once_it_is_closed() {
    let f = open_in(place());
    let mut numbers = born(&f, "a.db");
    numbers.insert(3).wait().expect("durable");
    let Numbers { journal, connection } = numbers;
    journal.close(&connection).expect("closed").wait().expect("durable");
    drop(connection);
    // It is taken up again without a flush, and goes on.
    let mut numbers = f.numbers("a.db");
    numbers.insert(4).wait().expect("durable");
    let f = f.crash();
    assert_eq!(f.numbers("a.db").sum(), (2, 7));
}

#[test]
fn segments_that_none_needs_go() {
    let f = open_in(place());
    let (mut busy, mut idle) = (f.numbers("busy.db"), f.numbers("idle.db"));
    idle.insert(1);
    let ledger = f.data.ledger();
    // Random bytes, so that nothing is saved by compression.
    for n in 0..3_000_i64 {
        busy.run(&format!("INSERT OR REPLACE INTO t VALUES ({}, randomblob(60000))", n % 50));
        if n % 100 == 0 {
            ledger.inner.tend().expect("tended");
        }
    }
    busy.journal.last_ticket().wait().expect("durable");
    ledger.inner.tend().expect("tended");
    let kept = segment::list(&ledger.inner.dir).expect("a list").len() as u64;
    let (most, current) = (ledger.inner.bytes_max / SEGMENT_BYTES, ledger.log().segment());
    assert!(kept <= most && current > most / 2, "{kept} segments of {current}");
    drop(ledger);
    let f = f.crash();
    let (busy, idle) = (f.numbers("busy.db"), f.numbers("idle.db"));
    assert_eq!((busy.sum(), idle.sum()), ((50, 1_225), (1, 1)));
    check_whole(&busy);
}

#[test]
fn schema_changes_and_vacuum_go_through_the_ledger() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    numbers.run("CREATE INDEX i ON t (x)");
    (0..2_000).for_each(|n| drop(numbers.insert(n)));
    numbers.run("DELETE FROM t WHERE n % 10 <> 0");
    numbers.run("VACUUM");
    numbers.run("PRAGMA user_version = 7").wait().expect("durable");
    let f = f.crash();
    let numbers = f.numbers("a.db");
    assert_eq!(numbers.sum().0, 200);
    check_whole(&numbers);
    let version: i64 = numbers.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("read");
    assert_eq!(version, 7);
}

#[test]
fn a_reader_sees_a_commit_and_can_wait_for_it() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    let reader = Connection::open(f.path("a.db")).expect("opens");
    numbers.insert(1);
    let seen: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("read");
    assert_eq!(seen, 1);
    futures_util::FutureExt::now_or_never(numbers.journal.last_ticket());
    numbers.journal.last_ticket().wait().expect("durable");
}

#[test]
fn a_damaged_log_is_an_error_and_not_a_crash() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..20).for_each(|n| numbers.insert(n).wait().expect("durable"));
    drop(numbers);
    let ledger = f.data.path().join("ledger");
    drop(f.data);
    let only = segment::path(&ledger, segment::list(&ledger).expect("a list")[0]);
    let mut bytes = std::fs::read(&only).expect("read");
    // Somewhere in the third batch, behind which there are others.
    bytes[3 * segment::BLOCK_BYTES as usize + 100] ^= 1;
    std::fs::write(&only, bytes).expect("damaged");
    let options = DataDirOptions::new(f.place.path().join("key"));
    let error = DataDir::open(f.place.path().join("data"), options).err().expect("refused");
    assert_eq!(error.code().name, "store_corrupt");
    assert!(error.to_string().contains("is missing or damaged"), "{error}");
}

#[test]
fn what_is_closed_costs_nothing() {
    let f = open_in(place());
    let files = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = files();
    for number in 0..40 {
        let Numbers { journal, connection } = f.numbers(&format!("{number}.db"));
        journal.close(&connection).expect("closed");
    }
    assert!(f.data.ledger().inner.all().is_empty());
    assert!(files() < before + 20, "{before} files before, {} after", files());
}

#[test]
fn a_branch_is_a_database_of_its_own() {
    let f = open_in(place());
    let mut numbers = f.numbers("a.db");
    (0..300).for_each(|n| drop(numbers.insert(n)));
    let ledger = f.data.ledger();
    ledger.branch(&f.path("a.db"), &f.path("b.db")).expect("branched");
    numbers.insert(300).wait().expect("durable");
    let mut branch = f.numbers("b.db");
    assert_eq!(branch.sum(), (300, 300 * 299 / 2));
    branch.run("DELETE FROM t").wait().expect("durable");
    assert_eq!(numbers.sum().0, 301);
    let Numbers { journal, connection } = branch;
    journal.close(&connection).expect("closed").wait().expect("durable");
    drop(connection);
    ledger.branch(&f.path("b.db"), &f.path("c.db")).expect("one that is closed is branched as well");
    assert_eq!(f.numbers("c.db").sum(), (0, 0));
}

#[test]
fn tickets_of_many_databases_share_flushes() {
    let f = Arc::new(open_in(place()));
    let work = |number: usize| {
        let f = f.clone();
        move || {
            let mut numbers = f.numbers(&format!("{number}.db"));
            (0..50).for_each(|n| numbers.insert(n).wait().expect("durable"));
            assert_eq!(numbers.sum(), (50, 1_225));
        }
    };
    let threads: Vec<_> = (0..16).map(|number| std::thread::spawn(work(number))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let batches = f.data.ledger().log().durable();
    assert!(batches < 16 * 51, "{batches} batches for {} commits", 16 * 51);
}

mod archive;
mod begun;
mod elsewhere;
