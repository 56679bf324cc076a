//! Measures durable commits of a thousand databases that write at the same time: each with a flush
//! of its own, by many threads, and all through the ledger; beside single flushes of the same disk.
//!
//! ```text
//! cargo run --release -p selvedge-services-local --example ledger_figures [DIR]
//! ```
//!
//! In each database one commit is under way at a time: the next begins when the last is durable.
//! It needs some 6,000 open files (`ulimit -n`).

extern crate selvedge_services_local as services_local;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use services_local::{DataDir, DataDirOptions, Journal, Ledger, Ticket};

const DATABASES: usize = 1_000;
/// How long each figure is measured; they take turns.
const TURN: Duration = Duration::from_millis(1_500);
const TURNS: usize = 5;
/// Threads that write: for the ledger as many as cores are enough, since none waits for the disk.
const LEDGER_THREADS: usize = 2;
const PLAIN_THREADS: [usize; 3] = [4, 16, 64];
/// Rows that are in each database, of which each commit changes one.
const ROWS: i64 = 1_000;

fn main() {
    let parent = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let place = parent.join(format!("ledger-figures-{}", std::process::id()));
    std::fs::create_dir(&place).expect("a directory to measure in");
    measure(&place);
    std::fs::remove_dir_all(&place).expect("the directory goes");
}

fn measure(place: &Path) {
    let data = DataDir::open(place.join("data"), DataDirOptions::new(place.join("node.key"))).expect("opens");
    let plain_dir = place.join("plain");
    std::fs::create_dir(&plain_dir).expect("a directory");
    let mut plain: Vec<Plain> = (0..DATABASES).map(|n| Plain::open(&plain_dir.join(format!("{n}.db")))).collect();
    let ledger = data.ledger();
    let mut journaled: Vec<Journaled> =
        (0..DATABASES).map(|n| Journaled::open(&ledger, &data.path().join(format!("{n}.db")))).collect();
    println!("{DATABASES} databases of {ROWS} rows; medians of {TURNS} turns of {TURN:?}");
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); 4 + PLAIN_THREADS.len()];
    for _ in 0..TURNS {
        figures[0].push(appends(&place.join("appends")));
        figures[1].push(overwrites(&place.join("overwrites")));
        figures[2].push(together(&mut plain[..1], |mine| mine[0].commit()));
        for (at, threads) in PLAIN_THREADS.into_iter().enumerate() {
            figures[3 + at].push(plain_turn(&mut plain, threads));
        }
        figures[3 + PLAIN_THREADS.len()].push(journaled_turn(&mut journaled));
    }
    let mut names = vec!["flushes of 4 KiB, appended", "flushes of 4 KiB, in place", "one database, plain"];
    let many: Vec<String> = PLAIN_THREADS.iter().map(|threads| format!("all, plain, {threads} threads")).collect();
    names.extend(many.iter().map(String::as_str));
    names.push("all, through the ledger");
    let medians: Vec<f64> = figures.iter_mut().map(|turns| median(turns)).collect();
    let floor = medians[0];
    for (name, median) in names.iter().zip(&medians) {
        println!("{name:28} {median:10.0} /s {:6.1} x the floor", median / floor);
    }
    let (sqlite, appending) = shares(&mut journaled);
    println!("a commit takes {sqlite:.0} µs in SQLite and {appending:.0} µs to append, p50");
    drop(ledger);
    recovery(place, data, journaled);
}

/// What a start after a crash takes: nothing is closed, and the directory is opened again.
fn recovery(place: &Path, data: DataDir, mut journaled: Vec<Journaled>) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        journaled_turn(&mut journaled);
    }
    let path = data.path().to_owned();
    drop(journaled);
    drop(data);
    let size = |dir: &Path| -> u64 {
        let entries = std::fs::read_dir(dir).expect("a directory");
        entries.map(|entry| entry.expect("an entry").metadata().expect("its size").len()).sum()
    };
    let (log, files) = (size(&path.join("ledger")) >> 20, size(&path) >> 20);
    let start = Instant::now();
    DataDir::open(&path, DataDirOptions::new(place.join("node.key"))).expect("opens");
    println!("a start with {log} MiB of log and {files} MiB of files: {:?}", start.elapsed());
}

fn median(turns: &mut [f64]) -> f64 {
    turns.sort_by(f64::total_cmp);
    turns[turns.len() / 2]
}

fn rate(mut step: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < TURN {
        step(count);
        count += 1;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// The floor: what the disk needs to keep one block.
fn appends(path: &Path) -> f64 {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
    rate(|n| {
        file.write_all_at(&[n as u8; 4096], n * 4096).expect("written");
        file.sync_data().expect("flushed");
    })
}

fn overwrites(path: &Path) -> f64 {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file");
    rate(|n| {
        file.write_all_at(&[n as u8; 4096], n % 64 * 4096).expect("written");
        file.sync_data().expect("flushed");
    })
}

fn together<T>(items: &mut [T], mut step: impl FnMut(&mut [T])) -> f64 {
    rate(|_| step(items))
}

const SCHEMA: &str = "CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)";

fn fill(connection: &Connection) {
    connection.execute_batch(&format!("BEGIN; {SCHEMA}")).expect("a table");
    let mut insert = connection.prepare("INSERT INTO t VALUES (?1, randomblob(100))").expect("a statement");
    for n in 0..ROWS {
        insert.execute([n]).expect("inserted");
    }
    drop(insert);
    connection.execute_batch("COMMIT").expect("committed");
}

fn change(connection: &Connection, n: i64) {
    let mut update = connection.prepare_cached("UPDATE t SET x = randomblob(100) WHERE n = ?1").expect("a statement");
    assert_eq!(update.execute([n * 7 % ROWS]).expect("committed"), 1);
}

/// A database with a log and a flush of its own.
struct Plain {
    connection: Connection,
    count: i64,
}

impl Plain {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("opens");
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -256";
        connection.execute_batch(pragmas).expect("set");
        fill(&connection);
        Self { connection, count: 0 }
    }

    fn commit(&mut self) {
        change(&self.connection, self.count);
        self.count += 1;
    }
}

fn plain_turn(databases: &mut [Plain], threads: usize) -> f64 {
    let start = Instant::now();
    let count: u64 = std::thread::scope(|scope| {
        let work = |mine: &mut [Plain]| -> u64 {
            let mut count = 0;
            while start.elapsed() < TURN {
                mine[count as usize % mine.len()].commit();
                count += 1;
            }
            count
        };
        let parts = databases.chunks_mut(DATABASES.div_ceil(threads));
        let threads: Vec<_> = parts.map(|mine| scope.spawn(move || work(mine))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    count as f64 / start.elapsed().as_secs_f64()
}

/// A database in the ledger.
struct Journaled {
    journal: Journal,
    connection: Connection,
    count: i64,
    ticket: Option<Ticket>,
}

impl Journaled {
    fn open(ledger: &Arc<Ledger>, path: &Path) -> Self {
        let connection = Connection::open(path).expect("opens");
        let mut journal = ledger.adopt(path, &connection).expect("adopted");
        connection.execute_batch("PRAGMA cache_size = -256").expect("set");
        fill(&connection);
        let ticket = journal.committed(&connection).expect("appended");
        Self { journal, connection, count: 0, ticket: Some(ticket) }
    }

    fn commit(&mut self) {
        self.journal.ready(&self.connection).expect("ready");
        change(&self.connection, self.count);
        self.ticket = Some(self.journal.committed(&self.connection).expect("appended"));
        self.count += 1;
    }
}

/// What the ledger adds to a commit on the thread that makes it, in microseconds: SQLite's share, and
/// the ledger's.
fn shares(databases: &mut [Journaled]) -> (f64, f64) {
    let (mut sqlite, mut ledger) = (Vec::new(), Vec::new());
    let micros = |since: Instant| since.elapsed().as_secs_f64() * 1e6;
    for n in 0..20_000 {
        let one = &mut databases[n % DATABASES];
        one.journal.ready(&one.connection).expect("ready");
        let start = Instant::now();
        change(&one.connection, one.count);
        sqlite.push(micros(start));
        let start = Instant::now();
        one.ticket = Some(one.journal.committed(&one.connection).expect("appended"));
        ledger.push(micros(start));
        one.count += 1;
    }
    (median(&mut sqlite), median(&mut ledger))
}

/// Every database commits again as soon as its last commit is durable; what is counted is durable.
fn journaled_turn(databases: &mut [Journaled]) -> f64 {
    let start = Instant::now();
    let count: u64 = std::thread::scope(|scope| {
        let work = |mine: &mut [Journaled]| -> u64 {
            let mut count = 0;
            while start.elapsed() < TURN {
                let before = count;
                for one in mine.iter_mut().filter(|one| one.ticket.as_ref().is_none_or(Ticket::is_durable)) {
                    count += u64::from(one.ticket.is_some());
                    one.commit();
                }
                if count == before
                    && let Some(ticket) = mine[0].ticket.clone()
                {
                    ticket.wait().expect("durable");
                }
            }
            count
        };
        let parts = databases.chunks_mut(DATABASES.div_ceil(LEDGER_THREADS));
        let threads: Vec<_> = parts.map(|mine| scope.spawn(move || work(mine))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    count as f64 / start.elapsed().as_secs_f64()
}
