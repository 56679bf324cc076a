//! The process that is killed, traced, or starved: this test binary, run again with a job in its
//! environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base::{AppName, Body, Clock as _, SystemClock, TenantName};
use services::sql::SqlName;
use services::{
    Action, AppId, ArtifactStore as _, Kv as _, PutOptions, Sql as _, SqlDatabase, SqlStatement, SqlValue, Transaction,
    Write,
};
use services_local::{DataDir, DataDirOptions, LocalBlobs, LocalKv, LocalSql};

use crate::linear;
use crate::shelf;
use crate::workload::{Writer, namespace};
use crate::{blobs, objects, removals};

const JOB: &str = "SELVEDGE_TEST_JOB";
const PLACE: &str = "SELVEDGE_TEST_PLACE";
const ROUND: &str = "SELVEDGE_TEST_ROUND";

/// What the child does.
#[derive(Clone, Copy)]
pub enum Job {
    /// Thirty-two writers, until it is killed.
    Write,
    /// Thirty-two writers in eight SQL databases, until it is killed.
    WriteSql,
    /// A few writers for a while, the directory closed and opened in between, then the end.
    WriteAndEnd,
    /// One writer that goes on after errors, until the store has failed and recovered.
    WriteThroughFaults,
    /// Writes until the disk is full, makes room, and waits for the store to recover.
    FillTheDisk,
    /// Writes, then starts anew on a disk without any room, and makes some.
    StartOnAFullDisk,
    /// Fills the disk while it runs, and removes things.
    RemoveOnAFullDisk,
    /// Writers of blobs, until it is killed.
    WriteBlobs,
    /// A few of them for a while, the directory closed and opened in between, then the end.
    WriteBlobsAndEnd,
    /// A few of them for a while, the directory closed and opened in between, then the end.
    WriteSqlAndEnd,
    /// Owners of durable objects, until it is killed.
    WriteObjects,
    /// A few of them for a while, the directory closed and opened in between, then the end.
    WriteObjectsAndEnd,
    /// Clients of some histories, until they are done or killed.
    KvHistories,
    SqlHistories,
    ObjectHistories,
    /// Commits to many journaled databases, until it is killed.
    Commit,
    /// Commits to a few, the directory closed and opened in between, then the end.
    CommitAndEnd,
    /// Commits to a few, and goes on after errors until the ledger has failed and recovered.
    CommitThroughFaults,
    /// Commits, and closes a database whose file can't be flushed.
    CloseUnflushed,
    /// Commits until the disk is full, makes room, and waits for the ledger to recover.
    CommitOnAFullDisk,
    /// Reads, in each way that there is, what somebody commits at the same time.
    ReadWhatCommits,
    /// Opens the directory and says how that went.
    Open,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Job::Write => "write",
            Job::WriteSql => "write-sql",
            Job::WriteAndEnd => "write-and-end",
            Job::WriteThroughFaults => "write-through-faults",
            Job::FillTheDisk => "fill-the-disk",
            Job::StartOnAFullDisk => "start-on-a-full-disk",
            Job::RemoveOnAFullDisk => "remove-on-a-full-disk",
            Job::WriteBlobs => "write-blobs",
            Job::WriteBlobsAndEnd => "write-blobs-and-end",
            Job::WriteSqlAndEnd => "write-sql-and-end",
            Job::WriteObjects => "write-objects",
            Job::WriteObjectsAndEnd => "write-objects-and-end",
            Job::KvHistories => "kv-histories",
            Job::SqlHistories => "sql-histories",
            Job::ObjectHistories => "object-histories",
            Job::Commit => "commit",
            Job::CommitAndEnd => "commit-and-end",
            Job::CommitThroughFaults => "commit-through-faults",
            Job::CloseUnflushed => "close-unflushed",
            Job::CommitOnAFullDisk => "commit-on-a-full-disk",
            Job::ReadWhatCommits => "read-what-commits",
            Job::Open => "open",
        }
    }
}

/// The child, after the words of `wrapper` (such as `strace …`).
pub fn command(wrapper: &[&str], job: Job, place: &Path, round: u64) -> Command {
    let own = std::env::current_exe().expect("the path of this test");
    let mut words = wrapper.iter().map(PathBuf::from).chain([own]);
    let mut command = Command::new(words.next().expect("at least the test itself"));
    command.args(words).args(["--exact", "child::job", "--nocapture", "--test-threads=1"]);
    command.env(JOB, job.name()).env(PLACE, place).env(ROUND, round.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Says something to the parent, in one write, on a line of its own whatever the test harness has
/// begun.
pub fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).expect("the parent listens");
}

/// Does the job that the environment names; without one there is nothing to test.
#[test]
fn job() {
    let Ok(job) = std::env::var(JOB) else { return };
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    let round: u64 = std::env::var(ROUND).expect("a round").parse().expect("a number");
    let open = || DataDir::open(place.join("data"), DataDirOptions::new(place.join("node.key")));
    let opened = || open().expect("the data directory opens");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    match job.as_str() {
        "write" => runtime.block_on(write(&opened().kv(), round, 32, 0, u64::MAX)),
        "write-sql" => runtime.block_on(write_sql(&opened(), round, 32, 0, u64::MAX)),
        "write-sql-and-end" => {
            for part in 0..2 {
                let data = opened();
                runtime.block_on(write_sql(&data, round, 3, part * 35, part * 35 + 35));
            }
        }
        "write-and-end" => {
            for part in 0..2 {
                let data = opened();
                runtime.block_on(write(&data.kv(), round, 3, part * 30, part * 30 + 30));
            }
        }
        "write-blobs" => {
            let data = opened();
            runtime.block_on(write_blobs(&data.blobs().expect("a node key"), round, 16, 0, u64::MAX));
        }
        "write-blobs-and-end" => {
            for part in 0..2 {
                let data = opened();
                let blobs = data.blobs().expect("a node key");
                runtime.block_on(write_blobs(&blobs, round, 3, part * 22, part * 22 + 22));
            }
        }
        "write-through-faults" => {
            let data = opened();
            runtime.block_on(write_through_faults(&data.kv(), round));
        }
        "fill-the-disk" => {
            let data = opened();
            runtime.block_on(fill_the_disk(&data.kv(), &place, round));
        }
        "start-on-a-full-disk" => runtime.block_on(start_on_a_full_disk(&place)),
        "remove-on-a-full-disk" => runtime.block_on(removals::remove_on_a_full_disk(&opened(), &place)),
        "write-objects" => runtime.block_on(objects::write(&opened(), round, 32, u64::MAX)),
        "write-objects-and-end" => {
            for part in 1..=2 {
                let data = opened();
                runtime.block_on(objects::write(&data, round, 3, part * 35));
            }
        }
        "kv-histories" => runtime.block_on(linear::write_histories::<linear::kv::Namespace>(&opened(), round)),
        "sql-histories" => runtime.block_on(linear::write_histories::<linear::sql::Accounts>(&patient(&place), round)),
        "object-histories" => runtime.block_on(linear::write_histories::<linear::objects::Object>(&opened(), round)),
        "commit" => shelf::commit(&opened(), 48, u64::MAX),
        "commit-and-end" => {
            for part in 1..=2 {
                shelf::commit(&opened(), 4, part * 45);
            }
        }
        "commit-through-faults" => shelf::commit_through_faults(&opened()),
        "close-unflushed" => shelf::close_unflushed(&opened()),
        "commit-on-a-full-disk" => shelf::commit_on_a_full_disk(&opened(), &place),
        "read-what-commits" => runtime.block_on(read_what_commits(&opened())),
        "open" => match open() {
            Ok(_) => say("opened"),
            Err(error) => say(&format!("{}: {error}", error.code().name)),
        },
        other => panic!("there is no job {other}"),
    }
}

/// Opened so that a machine that is busy elsewhere ends no transaction.
fn patient(place: &Path) -> DataDir {
    let mut options = DataDirOptions::new(place.join("node.key"));
    (options.limits.sql_transaction_ms, options.limits.sql_transaction_idle_ms) = (600_000, 600_000);
    DataDir::open(place.join("data"), options).expect("the data directory opens")
}

async fn write(kv: &Arc<LocalKv>, round: u64, writers: u64, from: u64, to: u64) {
    let writer = |number| {
        let kv = kv.clone();
        tokio::spawn(async move {
            for operation in from..to {
                Writer { round, number }.run(&kv, operation).await.expect("the write is acknowledged");
                say(&format!("ack {round} {number} {operation}"));
            }
        })
    };
    for task in (0..writers).map(writer).collect::<Vec<_>>() {
        task.await.expect("the writer ends well");
    }
}

async fn write_blobs(blobs: &Arc<LocalBlobs>, round: u64, writers: u64, from: u64, to: u64) {
    let writer = |number| {
        let blobs = blobs.clone();
        tokio::spawn(async move {
            for operation in from..to {
                blobs::run(Writer { round, number }, &blobs, operation).await.expect("the write is acknowledged");
                say(&format!("ack {round} {number} {operation}"));
            }
        })
    };
    for task in (0..writers).map(writer).collect::<Vec<_>>() {
        task.await.expect("the writer ends well");
    }
}

/// Each operation is one batch, which leaves a row in two tables.
async fn write_sql(data: &DataDir, round: u64, writers: u64, from: u64, to: u64) {
    let writer = |number: u64| {
        let sql = data.sql();
        tokio::spawn(async move {
            let database = sql_database(number);
            sql.script(&database, SQL_TABLES.into()).await.expect("the tables are there");
            for operation in from..to {
                let values = [round, number, operation].map(|n| SqlValue::Integer(n as i64));
                let insert =
                    |table| SqlStatement::bind(format!("INSERT INTO {table} VALUES (?, ?, ?)"), values.to_vec());
                sql.batch(&database, vec![insert("a"), insert("b")]).await.expect("the batch is acknowledged");
                say(&format!("ack {round} {number} {operation}"));
            }
        })
    };
    for task in (0..writers).map(writer).collect::<Vec<_>>() {
        task.await.expect("the writer ends well");
    }
}

/// Says for each way to read how many milliseconds after the beginning of a commit it was seen.
async fn read_what_commits(data: &DataDir) {
    let (sql, database, clock) = (data.sql(), sql_database(0), SystemClock::default());
    sql.script(&database, SQL_TABLES.into()).await.expect("the tables are there");
    for (rows, way) in (1..).zip(["batch", "transaction", "stream", "refusal"]) {
        let begun = clock.monotonic();
        let insert = vec![SqlStatement::new(format!("INSERT INTO a VALUES ({rows}, 1, 1)"))];
        let commit = tokio::spawn({
            let (sql, database) = (sql.clone(), database.clone());
            async move { sql.batch(&database, insert).await.expect("the batch is acknowledged") }
        });
        while rows_seen(&sql, &database, way, rows).await < rows {}
        say(&format!("{way} {}", clock.monotonic().saturating_sub(begun).as_millis()));
        commit.await.expect("it was committed");
    }
}

async fn rows_seen(sql: &LocalSql, database: &SqlDatabase, way: &str, wanted: usize) -> usize {
    let all = SqlStatement::new("SELECT * FROM a");
    match way {
        "batch" => sql.batch(database, vec![all]).await.expect("an answer").results[0].rows.len(),
        // One that is rolled back: it has no commit of its own that would wait.
        "transaction" => {
            let mut transaction = sql.begin(database).await.expect("it begins");
            let seen = transaction.run(all).await.expect("an answer");
            transaction.rollback().await;
            seen.rows.len()
        }
        "refusal" => {
            // Two of the same, once the row is there.
            let row = format!("SELECT 0, 0, 0 FROM a WHERE round = {wanted}");
            let twice = vec![SqlStatement::new(format!("INSERT INTO a {row} UNION ALL {row}"))];
            sql.batch(database, twice).await.map_or(wanted, |_| 0)
        }
        _ => {
            let mut stream = sql.stream(database, all).await.expect("it begins");
            let mut rows = 0;
            while let Some(piece) = stream.next().await.expect("a piece") {
                rows += piece.len();
            }
            rows
        }
    }
}

const SQL_TABLES: &str = "CREATE TABLE IF NOT EXISTS a (round, writer, operation, UNIQUE (round, writer, operation));
    CREATE TABLE IF NOT EXISTS b (round, writer, operation, UNIQUE (round, writer, operation));";

/// Where a writer writes.
pub fn sql_database(writer: u64) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"));
    SqlDatabase::new(&app, SqlName::parse(&format!("shard-{}", writer % 8)).expect("a name"))
}

/// An operation that failed is tried again: it is the same write, so it may happen twice.
async fn write_through_faults(kv: &Arc<LocalKv>, round: u64) {
    let writer = Writer { round, number: 0 };
    let mut failures: u64 = 0;
    let mut since_failure: u64 = 0;
    let mut operation = 0;
    while failures == 0 || since_failure < 30 {
        match writer.run(kv, operation).await {
            Ok(()) => {
                say(&format!("ack {round} 0 {operation}"));
                operation += 1;
                since_failure += 1;
            }
            Err(error) => {
                if failures == 0 {
                    say(&format!("failed {}", error.code().name));
                }
                failures += 1;
                since_failure = 0;
                // Reads go on while the store takes no writes.
                let held = writer.check(kv, operation).await;
                held.expect("what was acknowledged is readable");
                std::thread::yield_now();
            }
        }
    }
    say(&format!("recovered after {failures}"));
}

/// On a full disk each kind of write fails by that name or that of the store that turned read-only,
/// and does nothing.
async fn refuse_every_kind(kv: &Arc<LocalKv>) {
    let ns = namespace();
    let large = vec![b'x'; 6 << 20];
    let put = |key: &str, value: Vec<u8>| Write {
        key: key.into(),
        action: Action::Put { value: value.into(), metadata: None, expires_at_ms: None },
    };
    let pair =
        Transaction { checks: Vec::new(), writes: vec![put("pair", vec![1; 60_000]), put("large", vec![2; 3 << 20])] };
    let outcomes = [
        kv.put(&ns, "large", Body::full(large), PutOptions::default()).await.map(drop),
        kv.commit(&ns, pair).await.map(drop),
    ];
    for outcome in outcomes {
        let code = outcome.expect_err("there is no room").code().name;
        assert!(["store_full", "store_read_only"].contains(&code), "{code}");
    }
    for key in ["pair", "large"] {
        assert!(kv.get(&ns, key).await.expect("reads go on").is_none(), "{key}");
    }
}

async fn fill_the_disk(kv: &Arc<LocalKv>, place: &Path, round: u64) {
    let writer = Writer { round, number: 0 };
    let mut operation = 0;
    let error = loop {
        match writer.run(kv, operation).await {
            Ok(()) => operation += 1,
            Err(error) => break error,
        }
    };
    say(&format!("failed {}", error.code().name));
    refuse_every_kind(kv).await;
    writer.check(kv, operation).await.expect("what was acknowledged is readable");
    std::fs::remove_file(place.join("ballast")).expect("the ballast goes");
    while writer.run(kv, operation).await.is_err() {
        std::thread::yield_now();
    }
    writer.check(kv, operation + 1).await.expect("what was acknowledged is readable");
    say("recovered");
}

/// The last process of a directory left the disk full. The next ones serve what there is.
async fn start_on_a_full_disk(place: &Path) {
    let open = || DataDir::open(place.join("data"), DataDirOptions::new(place.join("node.key"))).expect("it opens");
    let (ballast, reserve) = (place.join("ballast"), place.join("data").join("reserve"));
    let (writer, tenant) = (Writer { round: 0, number: 0 }, namespace().tenant);
    let data = open();
    writer.run(&data.kv(), 0).await.expect("there is room");
    data.artifacts().put(&tenant, "code".into()).await.expect("there is room");
    write_sql(&data, 0, 1, 0, 3).await;
    drop(data);
    assert!(reserve.metadata().expect("a reserve").len() > 0);
    fill(&ballast);
    // What was given up serves more than one start.
    for _ in 0..4 {
        let data = open();
        assert_eq!(reserve.metadata().expect("what is left of it").len(), 0);
        writer.check(&data.kv(), 1).await.expect("what was acknowledged is readable");
        let error = writer.run(&data.kv(), 1).await.expect_err("it is refused");
        assert_eq!(error.code().name, "store_full");
        let error = data.artifacts().put(&tenant, "more".into()).await.expect_err("it is refused");
        assert_eq!(error.code().name, "store_full");
        let run = |text: &str| vec![SqlStatement::bind(text.to_owned(), Vec::new())];
        data.sql().batch(&sql_database(0), run("SELECT * FROM a")).await.expect("what was committed is readable");
        let error =
            data.sql().batch(&sql_database(0), run("INSERT INTO a SELECT * FROM a")).await.expect_err("it is refused");
        assert_eq!(error.code().name, "store_full");
    }
    let data = open();
    std::fs::remove_file(&ballast).expect("the ballast goes");
    while writer.run(&data.kv(), 1).await.is_err() {
        std::thread::yield_now();
    }
    assert!(reserve.metadata().expect("a reserve again").len() > 0);
    say("recovered");
}

/// Fills the disk to its last byte.
pub fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).expect("a file");
    for bytes in [1 << 20, 4 << 10, 1] {
        while file.write_all(&vec![0; bytes]).is_ok() {}
    }
}
