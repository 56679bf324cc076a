//! Loads the contracts for `cargo xtask bench data`, and prints what that cost as JSON.
//!
//! ```text
//! data_load DIR put|get|databases CLIENTS SECONDS
//! ```
//!
//! The clients of `put` and `get` share a KV namespace; each of `databases` commits to a SQL database of its own.

extern crate selvedge_services_local as services_local;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Body, NodeLimits, ResourceName, TenantName};
use bytes::Bytes;
use futures_util::future::join_all;
use services::sql::SqlName;
use services::{AppId, Kv, KvNamespace, PutOptions, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, DataDirOptions, LocalKv, LocalSql};

/// Keys that are written and read, as many as the load of the peers has.
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 100;
/// Databases that are open at the same time, of as many clients.
const FILES_OPEN: u64 = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, what, clients, seconds] = arguments.as_slice() else {
        usage();
    };
    if !["put", "get", "databases"].contains(&what.as_str()) {
        usage();
    }
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let (clients, run) = (number(clients), Duration::from_secs(number(seconds)));
    let dir = Path::new(dir);
    let limits = NodeLimits { sql_files_open: FILES_OPEN, ..NodeLimits::default() };
    let options = DataDirOptions { limits, ..DataDirOptions::new(dir.join("node.key")) };
    let data = DataDir::open(dir.join("data"), options).expect("the directory opens");
    let load = Load { kv: data.kv(), sql: data.sql(), what: what.clone(), clients };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        load.fill().await;
        // The first second fills caches and is not counted.
        load.run(Duration::from_secs(1)).await;
        let (cpu_before, begun) = (cpu_us(), Instant::now());
        let mut times = load.run(run).await;
        let (cpu, elapsed) = (cpu_us() - cpu_before, begun.elapsed());
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        println!(
            "{{\"cpu_us\":{:.2},\"per_s\":{:.0},\"p50_us\":{:.1},\"p99_us\":{:.1}}}",
            cpu / times.len() as f64,
            times.len() as f64 / elapsed.as_secs_f64(),
            f64::from(at(0.5)) / 1e3,
            f64::from(at(0.99)) / 1e3,
        );
    });
}

fn usage() -> ! {
    eprintln!("usage: data_load DIR put|get|databases CLIENTS SECONDS");
    std::process::exit(2);
}

struct Load {
    kv: Arc<LocalKv>,
    sql: Arc<LocalSql>,
    what: String,
    clients: u64,
}

impl Load {
    async fn fill(&self) {
        if self.what == "databases" {
            let make = |client| async move {
                let make =
                    "CREATE TABLE item (id INTEGER PRIMARY KEY, value TEXT NOT NULL); INSERT INTO item VALUES (1, '')";
                self.sql.script(&database(client), make.into()).await.expect("it runs");
            };
            join_all((0..self.clients).map(make)).await;
            return;
        }
        let ns = namespace();
        let all: Vec<String> = (0..KEYS).map(|n| format!("key-{n}")).collect();
        for some in all.chunks(500) {
            let puts = some.iter().map(|key| self.kv.put(&ns, key, value(), PutOptions::default()));
            for put in join_all(puts).await {
                put.expect("put");
            }
        }
    }

    /// The nanoseconds that each operation took.
    async fn run(&self, run: Duration) -> Vec<u32> {
        let begun = Instant::now();
        let ns = namespace();
        let client = |number: u64| {
            let (ns, database) = (&ns, database(number));
            async move {
                let (mut times, mut n) = (Vec::new(), number * 7_919);
                while begun.elapsed() < run {
                    n += 1;
                    let (key, asked) = (format!("key-{}", n * 31 % KEYS), Instant::now());
                    match &*self.what {
                        "get" => {
                            let entry = self.kv.get(ns, &key).await.expect("get").expect("it is there");
                            assert_eq!(entry.size, VALUE_BYTES as u64);
                            // A read never waits, and others are to have their turn.
                            tokio::task::yield_now().await;
                        }
                        "databases" => drop(self.sql.batch(&database, vec![update()]).await.expect("it commits")),
                        _ => drop(self.kv.put(ns, &key, value(), PutOptions::default()).await.expect("put")),
                    }
                    times.push(asked.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32);
                }
                times
            }
        };
        join_all((0..self.clients).map(client)).await.concat()
    }
}

fn namespace() -> KvNamespace {
    KvNamespace::new(tenant(), app(), ResourceName::parse("store").expect("a name"))
}

fn database(client: u64) -> SqlDatabase {
    SqlDatabase::new(&AppId::new(tenant(), app()), SqlName::parse(&format!("t-{client}")).expect("a name"))
}

fn tenant() -> TenantName {
    TenantName::parse("local").expect("a name")
}

fn app() -> AppName {
    AppName::parse("bench").expect("a name")
}

fn value() -> Body {
    Body::full(Bytes::from_static(&[b'x'; VALUE_BYTES]))
}

fn update() -> SqlStatement {
    let value = SqlValue::Text("x".repeat(VALUE_BYTES));
    SqlStatement::bind("UPDATE item SET value = ? WHERE id = 1", vec![value])
}

/// User and system time of this process.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, rest) = stat.rsplit_once(')').expect("the name in parentheses");
    let fields: Vec<u64> = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    // In hundredths of a second, on every Linux that there is.
    fields.iter().sum::<u64>() as f64 * 10_000.0
}
