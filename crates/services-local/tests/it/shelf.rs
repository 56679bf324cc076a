//! Journaled databases whose every commit follows from its number, so that whoever knows how many
//! were acknowledged knows what each must hold.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};
use services::StoreError;
use services_local::{DataDir, Journal, Ticket};

use crate::child::say;

const KEYS: u64 = 11;
/// Commits of one database that are under way at the same time.
const IN_FLIGHT: usize = 3;
/// A database is closed and opened again after so many commits.
const REOPEN: u64 = 10;

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("shelf-{number}.db"))
}

/// The rows that a commit writes; without a value, it deletes.
fn rows(number: u64, commit: u64) -> Vec<(u64, Option<String>)> {
    let row = |k: u64| {
        let key = (commit * 5 + k * 3) % KEYS;
        let length = [40, 700, 9_000][(commit % 3) as usize];
        let value = format!("{number}/{commit}/{k} {}", "x".repeat(length));
        (key, (commit % 7 != 6).then_some(value))
    };
    (0..=commit % 4).map(row).collect()
}

/// What a database holds after so many commits.
fn state(number: u64, commits: u64) -> BTreeMap<u64, String> {
    let mut state = BTreeMap::new();
    for (key, value) in (0..commits).flat_map(|commit| rows(number, commit)) {
        match value {
            Some(value) => drop(state.insert(key, value)),
            None => drop(state.remove(&key)),
        }
    }
    state
}

/// An open database, and the commits that it has seen.
struct Shelf {
    number: u64,
    path: PathBuf,
    open: Option<(Journal, Connection)>,
    commits: u64,
    /// What is not known to be durable yet: how many commits there were then.
    tickets: VecDeque<(u64, Ticket)>,
}

impl Shelf {
    fn new(data: &DataDir, number: u64) -> Self {
        let mut shelf =
            Self { number, path: path(data.path(), number), open: None, commits: 0, tickets: VecDeque::new() };
        shelf.open(data).expect("the database opens");
        let count = |c: &Connection| c.query_row("SELECT n FROM count", [], |row| row.get::<_, i64>(0));
        shelf.commits = count(&shelf.open.as_ref().expect("open").1).expect("a count") as u64;
        shelf
    }

    fn open(&mut self, data: &DataDir) -> Result<(), StoreError> {
        let connection = Connection::open(&self.path).expect("opens");
        let mut journal = data.ledger().adopt(&self.path, &connection)?;
        connection.execute_batch(SCHEMA).expect("a schema");
        journal.committed(&connection)?;
        self.open = Some((journal, connection));
        Ok(())
    }

    /// Does the next commit. One that failed before it was made is made again by the next call.
    fn commit(&mut self) -> Result<(), StoreError> {
        let (journal, connection) = self.open.as_mut().expect("open");
        journal.ready(connection)?;
        apply(connection, self.number, self.commits).map_err(|error| StoreError::Full(error.to_string()))?;
        self.commits += 1;
        self.tickets.push_back((self.commits, journal.committed(connection)?));
        Ok(())
    }

    /// Closes some, drops others, and opens them again.
    fn reopen(&mut self, data: &DataDir) {
        let (journal, connection) = self.open.take().expect("open");
        if self.commits.is_multiple_of(2 * REOPEN) {
            journal.close(&connection).expect("closed").wait().expect("durable");
        } else {
            drop(journal);
        }
        drop(connection);
        self.open(data).expect("the database opens");
    }

    /// Says what became durable; answers whether the next commit may begin.
    fn settle(&mut self) -> bool {
        while let Some((commits, _)) = self.tickets.pop_front_if(|(_, ticket)| ticket.is_durable()) {
            say(&format!("kept {} {commits}", self.number));
        }
        self.tickets.len() < IN_FLIGHT
    }

    fn last_ticket(&self) -> Ticket {
        self.tickets.back().expect("a ticket").1.clone()
    }
}

const SCHEMA: &str = "BEGIN; CREATE TABLE IF NOT EXISTS t (key INTEGER PRIMARY KEY, value TEXT);
    CREATE TABLE IF NOT EXISTS count (n INTEGER);
    INSERT INTO count SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM count); COMMIT";

/// Makes a database that begins in the ledger: nothing flushes its name. Its first commit is said to be
/// kept like any other.
fn bear(data: &DataDir, number: u64) {
    let path = path(data.path(), number);
    if path.exists() {
        return;
    }
    let made = path.with_extension("new");
    let _ = std::fs::remove_file(&made);
    let connection = Connection::open(&made).expect("opens");
    connection.execute_batch("PRAGMA journal_mode = WAL").expect("a log");
    connection.execute_batch(SCHEMA).expect("a schema");
    connection.close().expect("closed");
    std::fs::File::open(&made).and_then(|file| file.sync_all()).expect("flushed");
    let bytes = std::fs::read(&made).expect("read").into();
    std::fs::rename(&made, &path).expect("named");
    let connection = Connection::open(&path).expect("opens");
    let mut journal = data.ledger().adopt_born(&path, &connection, &bytes).expect("adopted");
    journal.ready(&connection).expect("ready");
    apply(&connection, number, 0).expect("applied");
    journal.committed(&connection).expect("appended").wait().expect("durable");
    say(&format!("kept {number} 1"));
}

fn apply(connection: &Connection, number: u64, commit: u64) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for (key, value) in rows(number, commit) {
        match value {
            Some(value) => transaction.execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", (key as i64, value))?,
            None => transaction.execute("DELETE FROM t WHERE key = ?1", [key as i64])?,
        };
    }
    transaction.execute("UPDATE count SET n = n + 1", [])?;
    if commit % 50 == 20 {
        transaction.execute_batch("CREATE INDEX IF NOT EXISTS i ON t (value)")?;
    }
    if commit % 50 == 40 {
        transaction.execute_batch("DROP INDEX IF EXISTS i")?;
    }
    transaction.commit()
}

/// Commits to many databases by two threads until each has so many.
pub fn commit(data: &DataDir, databases: u64, until: u64) {
    (0..databases).filter(|number| number % 2 == 1).for_each(|number| bear(data, number));
    let mut shelves: Vec<Shelf> = (0..databases).map(|number| Shelf::new(data, number)).collect();
    std::thread::scope(|scope| {
        for mine in shelves.chunks_mut(databases.div_ceil(2) as usize) {
            scope.spawn(move || {
                while mine.iter().any(|shelf| shelf.commits < until || !shelf.tickets.is_empty()) {
                    let mut waited_for = None;
                    for shelf in &mut *mine {
                        if shelf.settle() && shelf.commits < until {
                            shelf.commit().expect("committed");
                            if shelf.commits.is_multiple_of(REOPEN) {
                                shelf.reopen(data);
                            }
                        }
                        waited_for = waited_for.or(shelf.tickets.front().map(|(_, ticket)| ticket.clone()));
                    }
                    if let Some(ticket) = waited_for {
                        ticket.wait().expect("durable");
                    }
                }
            });
        }
    });
}

/// What is not known to be kept is not made again: the database has it, and goes on from there.
pub fn commit_through_faults(data: &DataDir) {
    let mut shelves: Vec<Shelf> = (0..3).map(|number| Shelf::new(data, number)).collect();
    let (mut failed, mut since) = (false, 0);
    while !failed || since < 60 {
        for shelf in &mut shelves {
            let outcome = shelf.commit().and_then(|()| shelf.last_ticket().wait());
            match outcome {
                Ok(()) => {
                    shelf.settle();
                    since += 1;
                }
                Err(error) => {
                    shelf.tickets.clear();
                    if !failed {
                        say(&format!("failed {}", error.code().name));
                    }
                    (failed, since) = (true, 0);
                    let rows = count_rows(&shelf.open.as_ref().expect("open").1);
                    assert!(rows.is_ok(), "reads go on");
                    std::thread::yield_now();
                }
            }
        }
    }
    say("recovered");
}

/// The first flush of the database's file fails; it is written anew, and goes on.
pub fn close_unflushed(data: &DataDir) {
    let mut shelf = Shelf::new(data, 0);
    (0..20).for_each(|_| shelf.commit().expect("committed"));
    let (journal, connection) = shelf.open.take().expect("open");
    let error = journal.close(&connection).err().expect("the flush fails");
    say(&format!("failed {}", error.code().name));
    drop(connection);
    shelf.open(data).expect("it is written anew");
    shelf.commit().expect("committed");
    shelf.last_ticket().wait().expect("durable");
    shelf.settle();
    let (journal, connection) = shelf.open.take().expect("open");
    journal.close(&connection).expect("closed").wait().expect("durable");
    say("recovered");
}

pub fn commit_on_a_full_disk(data: &DataDir, place: &Path) {
    let mut shelf = Shelf::new(data, 0);
    let filler = data.path().join("filler.db");
    let connection = Connection::open(&filler).expect("opens");
    let mut journal = data.ledger().adopt(&filler, &connection).expect("adopted");
    connection.execute_batch("CREATE TABLE t (x BLOB)").expect("a table");
    let mut fill = || -> Result<(), StoreError> {
        journal.ready(&connection)?;
        let full = |error: rusqlite::Error| StoreError::Full(error.to_string());
        connection.execute("INSERT INTO t VALUES (randomblob(100000))", []).map_err(full)?;
        journal.committed(&connection)?.wait()
    };
    let error = loop {
        let outcome = shelf.commit().and_then(|()| fill());
        if let Err(error) = outcome {
            break error;
        }
    };
    say(&format!("failed {}", error.code().name));
    count_rows(&shelf.open.as_ref().expect("open").1).expect("reads go on");
    std::fs::remove_file(place.join("ballast")).expect("the ballast goes");
    while shelf.commit().and_then(|()| shelf.last_ticket().wait()).is_err() {
        std::thread::yield_now();
    }
    let count = shelf.commits;
    drop(shelf);
    check(data.path(), 0, count).expect("what was acknowledged is there");
    say("recovered");
}

fn count_rows(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
}

/// Checks that the database is sound, and as after `kept` commits or some more: those that were
/// made and not acknowledged.
pub fn check(dir: &Path, number: u64, kept: u64) -> Result<(), String> {
    let fail = |error: rusqlite::Error| format!("database {number}: {error}");
    let connection = Connection::open(path(dir, number)).map_err(fail)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(fail)?;
    if sound != "ok" {
        return Err(format!("database {number}: {sound}"));
    }
    let commits = count(&connection).map_err(fail)?;
    if commits < kept {
        return Err(format!("database {number} has {commits} commits, {kept} were acknowledged"));
    }
    if commits == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT key, value FROM t").map_err(fail)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, String>(1)?)));
    let found: BTreeMap<u64, String> = rows.and_then(Iterator::collect).map_err(fail)?;
    match found == state(number, commits) {
        true => Ok(()),
        false => Err(format!("database {number} is not as after {commits} commits: {:?}", found.keys())),
    }
}

fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let made: Option<i64> =
        connection.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'count'", [], |row| row.get(0)).optional()?;
    match made {
        Some(_) => connection.query_row("SELECT n FROM count", [], |row| row.get::<_, i64>(0)).map(|n| n as u64),
        None => Ok(0),
    }
}

/// How many commits of each database were acknowledged.
#[derive(Default)]
pub struct Kept(pub BTreeMap<u64, u64>);

impl Kept {
    /// Reads a line such as `kept NUMBER COMMITS`; others are the test harness's own.
    pub fn read(&mut self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix("kept ") else { return false };
        let (number, commits) = rest.split_once(' ').expect("two numbers");
        let number = number.parse().expect("a number");
        let commits = commits.parse().expect("a number");
        let before = self.0.insert(number, commits);
        assert!(before.is_none_or(|before| before < commits), "a database goes step by step");
        true
    }

    /// What survived one crash must survive the next.
    pub fn renew(&mut self, dir: &Path) {
        for (&number, kept) in &mut self.0 {
            let connection = Connection::open(path(dir, number)).expect("opens");
            *kept = count(&connection).expect("a count");
        }
    }
}
