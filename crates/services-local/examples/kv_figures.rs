//! Measures KV at the contract: durable puts with one and with thirty-two writers beside single
//! flushed commits on the same disk, and reads.
//!
//! ```text
//! cargo run --release -p selvedge-services-local --example kv_figures [DIR]
//! ```

extern crate selvedge_services_local as services_local;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base::{AppName, Body, ResourceName, TenantName};
use services::{Kv, KvNamespace, PutOptions};
use services_local::{DataDir, DataDirOptions, LocalKv};

/// How long each figure is measured; figures that are compared take turns.
const TURN: Duration = Duration::from_millis(1_500);
const TURNS: usize = 4;

fn main() {
    let parent = std::env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let place = parent.join(format!("kv-figures-{}", std::process::id()));
    std::fs::create_dir(&place).expect("a directory to measure in");
    measure(&place);
    std::fs::remove_dir_all(&place).expect("the directory goes");
}

fn measure(place: &Path) {
    let data = DataDir::open(place.join("data"), DataDirOptions::new(place.join("node.key"))).expect("opens");
    let kv = data.kv();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let single = single_commits(&place.join("single.db"));
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..TURNS {
        figures[0].push(flushes(&place.join("flushes")));
        figures[1].push(single.run());
        figures[2].push(puts(&runtime, &kv, 1));
        figures[3].push(puts(&runtime, &kv, 32));
    }
    let names = ["flushes of 4 KiB", "single SQLite commits", "puts, 1 writer", "puts, 32 writers"];
    let medians: Vec<f64> = figures.iter_mut().map(|turns| median(turns)).collect();
    for (name, median) in names.iter().zip(&medians) {
        println!("{name:24} {median:10.0} /s");
    }
    println!("32 writers : single commits = {:.1}", medians[3] / medians[1]);
    reads(&kv);
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
fn flushes(path: &Path) -> f64 {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file");
    rate(|n| {
        file.write_all_at(&[n as u8; 4096], n % 64 * 4096).expect("written");
        file.sync_data().expect("flushed");
    })
}

/// One put, one commit, one flush: the same rows without grouping.
struct Single(rusqlite::Connection);

fn single_commits(path: &Path) -> Single {
    let connection = rusqlite::Connection::open(path).expect("opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE entry (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;",
        )
        .expect("a table");
    Single(connection)
}

impl Single {
    fn run(&self) -> f64 {
        let mut statement = self.0.prepare("INSERT OR REPLACE INTO entry VALUES (?1, ?2)").expect("a statement");
        rate(|n| {
            // SQLite writes nothing for a row that stays the same, so no two are.
            let value = format!("{n:0100}-{:?}", Instant::now());
            statement.execute((format!("key-{}", n % 1_000).as_bytes(), value.as_bytes())).expect("committed");
        })
    }
}

fn namespace() -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("local").expect("a name"),
        AppName::parse("bench").expect("a name"),
        ResourceName::parse("stock").expect("a name"),
    )
}

fn puts(runtime: &tokio::runtime::Runtime, kv: &Arc<LocalKv>, writers: u64) -> f64 {
    let (stop, count, start) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Instant::now());
    let writer = |number: u64| {
        let (kv, stop, count) = (kv.clone(), stop.clone(), count.clone());
        async move {
            let ns = namespace();
            let mut n = number;
            while !stop.load(Ordering::Relaxed) {
                let key = format!("key-{}", n % 1_000);
                kv.put(&ns, &key, Body::full(vec![b'v'; 100]), PutOptions::default()).await.expect("put");
                count.fetch_add(1, Ordering::Relaxed);
                n += 32;
            }
        }
    };
    let tasks: Vec<_> = (0..writers).map(|number| runtime.spawn(writer(number))).collect();
    std::thread::sleep(TURN);
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        runtime.block_on(task).expect("the writer ends");
    }
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn reads(kv: &Arc<LocalKv>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let ns = namespace();
    for (name, size) in [("100 bytes", 100), ("4 KiB", 4 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        let keys: Vec<String> = (0..200).map(|n| format!("read-{size}-{n}")).collect();
        for key in &keys {
            let put = kv.put(&ns, key, Body::full(vec![b'v'; size]), PutOptions::default());
            runtime.block_on(put).expect("put");
        }
        let mut took: Vec<f64> = Vec::new();
        for n in 0..if size > 100_000 { 1_000 } else { 50_000 } {
            let start = Instant::now();
            let entry = runtime.block_on(kv.get(&ns, &keys[n * 7 % keys.len()])).expect("get").expect("it is there");
            let bytes = runtime.block_on(entry.bytes()).expect("the value");
            took.push(start.elapsed().as_secs_f64() * 1e6);
            assert_eq!(bytes.len(), size);
        }
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[(took.len() as f64 * share) as usize];
        println!("get of {name:17} {:10.1} µs p50 {:10.1} µs p99", at(0.5), at(0.99));
    }
}
