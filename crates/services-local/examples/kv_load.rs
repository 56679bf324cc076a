//! Loads KV at the contract for `cargo xtask bench data`, and prints what that cost as JSON.
//!
//! ```text
//! kv_load DIR put|get CLIENTS SECONDS
//! ```

extern crate selvedge_services_local as services_local;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Body, ResourceName, TenantName};
use bytes::Bytes;
use services::{Kv, KvNamespace, PutOptions};
use services_local::{DataDir, DataDirOptions, LocalKv};

/// Keys that are written and read, as many as the load of the peers has.
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, what, clients, seconds] = arguments.as_slice() else {
        eprintln!("usage: kv_load DIR put|get CLIENTS SECONDS");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let dir = Path::new(dir);
    let data = DataDir::open(dir.join("data"), DataDirOptions::new(dir.join("node.key"))).expect("the directory opens");
    let (kv, clients, run) = (data.kv(), number(clients), Duration::from_secs(number(seconds)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let get = what == "get";
    runtime.block_on(async {
        fill(&kv).await;
        // The first second fills caches and is not counted.
        load(&kv, get, clients, Duration::from_secs(1)).await;
        let (cpu_before, begun) = (cpu_us(), Instant::now());
        let mut times = load(&kv, get, clients, run).await;
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

fn namespace() -> KvNamespace {
    KvNamespace::new(
        TenantName::parse("local").expect("a name"),
        AppName::parse("bench").expect("a name"),
        ResourceName::parse("store").expect("a name"),
    )
}

fn value() -> Body {
    Body::full(Bytes::from_static(&[b'x'; VALUE_BYTES]))
}

async fn fill(kv: &Arc<LocalKv>) {
    let ns = namespace();
    let all: Vec<String> = (0..KEYS).map(|n| format!("key-{n}")).collect();
    for some in all.chunks(500) {
        let puts = some.iter().map(|key| kv.put(&ns, key, value(), PutOptions::default()));
        for put in futures_util::future::join_all(puts).await {
            put.expect("put");
        }
    }
}

/// The nanoseconds that each operation took.
async fn load(kv: &Arc<LocalKv>, get: bool, clients: u64, run: Duration) -> Vec<u32> {
    let begun = Instant::now();
    let ns = namespace();
    let client = |number: u64| {
        let (kv, ns) = (kv, &ns);
        async move {
            let (mut times, mut n) = (Vec::new(), number * 7_919);
            while begun.elapsed() < run {
                n += 1;
                let (key, asked) = (format!("key-{}", n * 31 % KEYS), Instant::now());
                if get {
                    let entry = kv.get(ns, &key).await.expect("get").expect("it is there");
                    assert_eq!(entry.size, VALUE_BYTES as u64);
                    // A read never waits, and others are to have their turn.
                    tokio::task::yield_now().await;
                } else {
                    kv.put(ns, &key, value(), PutOptions::default()).await.expect("put");
                }
                times.push(asked.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32);
            }
            times
        }
    };
    futures_util::future::join_all((0..clients).map(client)).await.concat()
}

/// User and system time of this process.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, rest) = stat.rsplit_once(')').expect("the name in parentheses");
    let fields: Vec<u64> = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    // In hundredths of a second, on every Linux that there is.
    fields.iter().sum::<u64>() as f64 * 10_000.0
}
