//! Measures how long a node takes to come back after `kill -9`, with so much data: until the data
//! directory is open, and until each service has answered its first read.
//!
//! ```text
//! cargo run --release -p selvedge-services-local --example recovery_figures [DIR] [MIB]
//! ```
//!
//! A process of its own writes KV, SQL databases and durable objects until there is enough, and is
//! killed while it goes on writing. Files are in the page cache afterwards, as after any crash but that
//! of the machine.

extern crate selvedge_services_local as services_local;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Body, ClassName, ResourceName, Rng as _, SystemRng, TenantName};
use services::object::{Leases as _, ObjectClass, ObjectKey, ObjectStore as _};
use services::sql::SqlName;
use services::{AppId, Kv as _, KvNamespace, PutOptions, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions};

const FILL: &str = "fill";
/// Databases and objects that share what is written.
const EACH: u64 = 16;
const VALUE_BYTES: usize = 40_000;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    if let [mode, place, bytes] = &arguments[..]
        && mode == FILL
    {
        runtime.block_on(fill(Path::new(place), bytes.parse().expect("a number")));
        return;
    }
    let parent = arguments.first().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let bytes = arguments.get(1).map_or(1 << 30, |mib| mib.parse::<u64>().expect("MiB") << 20);
    let place = parent.join(format!("recovery-figures-{}", std::process::id()));
    std::fs::create_dir(&place).expect("a directory to measure in");
    let mut times: Vec<[Duration; 2]> = (0..ROUNDS)
        .map(|round| {
            write_and_kill(&place, if round == 0 { bytes } else { 0 });
            runtime.block_on(open(&place))
        })
        .collect();
    times.sort();
    let [opened, answered] = times[ROUNDS / 2];
    println!(
        "{} MiB on the disk; after kill -9, median of {ROUNDS}: open in {:.0} ms, every service has answered in {:.0} ms",
        size(&place.join("data")) >> 20,
        opened.as_secs_f64() * 1e3,
        answered.as_secs_f64() * 1e3
    );
    std::fs::remove_dir_all(&place).expect("the directory goes");
}

fn options(place: &Path) -> DataDirOptions {
    DataDirOptions::new(place.join("node.key"))
}

/// Lets a process write so much, and a while longer, and kills it.
fn write_and_kill(place: &Path, bytes: u64) {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.arg(FILL).arg(place).arg(bytes.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the child starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    // A line for each round of writes once there is enough.
    lines.take(20).for_each(|line| drop(line.expect("the child writes until it is killed")));
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
}

fn app() -> AppId {
    AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("shop").expect("a name"))
}

fn namespace() -> KvNamespace {
    KvNamespace::new(app().tenant, app().app, ResourceName::parse("stock").expect("a name"))
}

fn database(n: u64) -> SqlDatabase {
    SqlDatabase::new(&app(), SqlName::parse(&format!("shard-{n}")).expect("a name"))
}

fn object(n: u64) -> ObjectKey {
    let class = ObjectClass::new(app(), ClassName::parse("Shelf").expect("a name"));
    ObjectKey { id: class.id_of_name(&n.to_string()), class }
}

async fn fill(place: &Path, bytes: u64) {
    let data = Arc::new(DataDir::open(place.join("data"), options(place)).expect("opens"));
    let (kv, sql, objects) = (data.kv(), data.sql(), data.objects().expect("their directory is made"));
    let mut storages = Vec::new();
    for n in 0..EACH {
        let table = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB)";
        sql.script(&database(n), table.into()).await.expect("a table");
        let lease = objects.acquire(&object(n)).await.expect("it is free");
        storages.push((objects.open(&object(n), lease.fence).await.expect("it opens"), lease));
    }
    let mut written = 0;
    for round in 0_u64.. {
        let mut value = vec![0; VALUE_BYTES];
        SystemRng.fill(&mut value);
        let key = format!("{:x}/{round}", SystemRng.next_u64());
        let mut tickets = Vec::new();
        for (n, (storage, _)) in (0..EACH).zip(&mut storages) {
            kv.put(&namespace(), &format!("{key}/{n}"), Body::full(value.clone()), PutOptions::default())
                .await
                .expect("put");
            let insert = "INSERT INTO t (v) VALUES (?)";
            let statement = SqlStatement::bind(insert, vec![SqlValue::Blob(value.clone())]);
            sql.batch(&database(n), vec![statement]).await.expect("inserted");
            storage.put(&key, &value).expect("put");
            tickets.extend(storage.commit().expect("a commit"));
            written += 3 * VALUE_BYTES as u64;
        }
        for ticket in tickets {
            ticket.await.expect("durable");
        }
        if written >= bytes {
            println!("round {round}");
            std::io::stdout().flush().expect("the parent listens");
        }
    }
}

/// How long it takes to open the directory, and until everything has answered.
async fn open(place: &Path) -> [Duration; 2] {
    let begun = Instant::now();
    let data = DataDir::open(place.join("data"), options(place)).expect("opens");
    let opened = begun.elapsed();
    let found = data.kv().list(&namespace(), services::ListOptions::default()).await.expect("a list");
    assert!(!found.keys.is_empty(), "what was written is there");
    let objects = data.objects().expect("their directory is made");
    for n in 0..EACH {
        let count = SqlStatement::new("SELECT count(*) FROM t");
        data.sql().batch(&database(n), vec![count]).await.expect("an answer");
        let lease = objects.acquire(&object(n)).await.expect("it is free");
        let mut storage = objects.open(&object(n), lease.fence).await.expect("it opens");
        storage.bytes().expect("a size");
    }
    [opened, begun.elapsed()]
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
