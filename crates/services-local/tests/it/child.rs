//! The process that is killed, traced, or starved: this test binary, run again with a job in its
//! environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use services_local::{DataDir, DataDirOptions, LocalBlobs, LocalKv};

use crate::blobs;
use crate::workload::Writer;

const JOB: &str = "SELVEDGE_TEST_JOB";
const PLACE: &str = "SELVEDGE_TEST_PLACE";
const ROUND: &str = "SELVEDGE_TEST_ROUND";

/// What the child does.
#[derive(Clone, Copy)]
pub enum Job {
    /// Thirty-two writers, until it is killed.
    Write,
    /// A few writers for a while, the directory closed and opened in between, then the end.
    WriteAndEnd,
    /// One writer that goes on after errors, until the store has failed and recovered.
    WriteThroughFaults,
    /// Writes until the disk is full, makes room, and waits for the store to recover.
    FillTheDisk,
    /// Writers of blobs, until it is killed.
    WriteBlobs,
    /// A few of them for a while, the directory closed and opened in between, then the end.
    WriteBlobsAndEnd,
    /// Opens the directory and says how that went.
    Open,
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Job::Write => "write",
            Job::WriteAndEnd => "write-and-end",
            Job::WriteThroughFaults => "write-through-faults",
            Job::FillTheDisk => "fill-the-disk",
            Job::WriteBlobs => "write-blobs",
            Job::WriteBlobsAndEnd => "write-blobs-and-end",
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
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("\n{line}\n").as_bytes()).expect("the parent listens");
}

/// Does the job that the environment names; without one there is nothing to test.
#[test]
fn job() {
    let Ok(job) = std::env::var(JOB) else { return };
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    let round: u64 = std::env::var(ROUND).expect("a round").parse().expect("a number");
    let open = || DataDir::open(place.join("data"), DataDirOptions::new(place.join("node.key")));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    match job.as_str() {
        "write" => {
            let data = open().expect("the data directory opens");
            runtime.block_on(write(&data.kv(), round, 32, 0, u64::MAX));
        }
        "write-and-end" => {
            for part in 0..2 {
                let data = open().expect("the data directory opens");
                runtime.block_on(write(&data.kv(), round, 3, part * 30, part * 30 + 30));
            }
        }
        "write-blobs" => {
            let data = open().expect("the data directory opens");
            runtime.block_on(write_blobs(&data.blobs().expect("a node key"), round, 16, 0, u64::MAX));
        }
        "write-blobs-and-end" => {
            for part in 0..2 {
                let data = open().expect("the data directory opens");
                let blobs = data.blobs().expect("a node key");
                runtime.block_on(write_blobs(&blobs, round, 3, part * 22, part * 22 + 22));
            }
        }
        "write-through-faults" => {
            let data = open().expect("the data directory opens");
            runtime.block_on(write_through_faults(&data.kv(), round));
        }
        "fill-the-disk" => {
            let data = open().expect("the data directory opens");
            runtime.block_on(fill_the_disk(&data.kv(), &place, round));
        }
        "open" => match open() {
            Ok(_) => say("opened"),
            Err(error) => say(&format!("{}: {error}", error.code().name)),
        },
        other => panic!("there is no job {other}"),
    }
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
    writer.check(kv, operation).await.expect("what was acknowledged is readable");
    std::fs::remove_file(place.join("ballast")).expect("the ballast goes");
    while writer.run(kv, operation).await.is_err() {
        std::thread::yield_now();
    }
    writer.check(kv, operation + 1).await.expect("what was acknowledged is readable");
    say("recovered");
}
