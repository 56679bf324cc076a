//! Measures the cache's disk tier when it is full: purges, and how soon it answers after `kill -9`.
//!
//! ```text
//! cargo run --release -p selvedge-services-local --example response_figures [DIR] [ENTRIES]
//! ```
//!
//! A child fills a directory with responses of 10.5 KiB (100,000 of them are 1 GiB) and is killed. Then the
//! directory is opened again, and each purge is timed, beside a single flushed write: a purge is flushed too.

extern crate selvedge_services_local as services_local;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::SystemRng;
use bytes::Bytes;
use cache::{Heuristic, Key, MemoryStore, MemoryStoreLimits, Purge, Purged, Responses, Stored, Tiered};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use services_local::{LocalResponses, ResponseLimits};
use tokio::runtime::Runtime;

const BODY_BYTES: usize = 10_752;
const NOW_MS: u64 = 1_790_000_000_000;
/// Entries that are asked for after the kill.
const ASKED: usize = 1_000;
/// Puts under way at once.
const WRITERS: usize = 4;

fn main() {
    let mut args = std::env::args().skip(1);
    let parent = args.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let entries = args.next().map_or(100_000, |count| count.parse().expect("a number of entries"));
    if args.next().is_some() {
        return fill(&parent, entries);
    }
    let place = parent.join(format!("response-figures-{}", std::process::id()));
    std::fs::create_dir(&place).expect("a directory to measure in");
    measure(&place, entries);
    std::fs::remove_dir_all(&place).expect("the directory goes");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
}

fn open(place: &Path) -> Arc<Responses> {
    let limits = ResponseLimits { bytes: 8 << 30, app_bytes: 8 << 30, entry_bytes: 16 << 20, filling_bytes: 64 << 20 };
    let disk = LocalResponses::open(&place.join("cache"), limits, &SystemRng).expect("opens");
    let memory = MemoryStore::new(MemoryStoreLimits { bytes: 256 << 20, app_bytes: 256 << 20, entry_bytes: 16 << 20 });
    Responses::new(Arc::new(Tiered::new(memory, Arc::new(disk))))
}

/// A thousandth of the entries share a section, and a tag.
fn key(at: usize) -> Key {
    let url = format!("http://edge.localhost/s{}/page-{at}", at % 1_000);
    Key { app: "edge".into(), cache: None, url: url.into() }
}

fn response(at: usize) -> Stored {
    let mut headers = HeaderMap::new();
    let tags = format!("all, s{}", at % 1_000);
    for (name, value) in
        [("cache-control", "max-age=86400"), ("content-type", "text/html"), ("etag", "\"v\""), ("cache-tag", &tags)]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).expect("a value"));
    }
    let heuristic = Heuristic { default_s: 0, absence_s: 0, modified_s_max: 86_400 };
    let stored = cache::admit_proxied(&HeaderMap::new(), StatusCode::OK, headers, heuristic, NOW_MS);
    let line = format!("entry {at}\n");
    let body = line.repeat(BODY_BYTES / line.len());
    Stored { body: Bytes::from(body).into(), body_id: at as u64 + 1, ..stored.expect("it may be stored") }
}

fn fill(place: &Path, entries: usize) {
    let responses = open(place);
    runtime().block_on(async {
        let each = (0..WRITERS).map(|writer| {
            let responses = responses.clone();
            async move {
                for at in (writer..entries).step_by(WRITERS) {
                    let ticket = responses.ticket();
                    responses.put(key(at), response(at), &ticket).await.expect("it is kept");
                }
            }
        });
        futures_util::future::join_all(each).await;
    });
    println!("filled");
    // It is killed here.
    std::thread::park();
}

fn measure(place: &Path, entries: usize) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([place.display().to_string(), entries.to_string(), "fill".to_owned()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let filling = Instant::now();
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut said).expect("a line");
    println!("{entries} entries of {BODY_BYTES} bytes, filled in {:.1} s", filling.elapsed().as_secs_f64());
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    let runtime = runtime();
    let opening = Instant::now();
    let responses = open(place);
    show("open after kill -9", opening.elapsed(), "");
    runtime.block_on(async {
        let find = |at: usize| {
            let responses = responses.clone();
            async move { responses.get(&key(at)).await.expect("readable").len() }
        };
        assert_eq!(find(0).await, 1, "the first is there");
        show("first hit, since the start", opening.elapsed(), "");
        let mut there = 0;
        for at in (0..entries).step_by((entries / ASKED).max(1)) {
            there += find(at).await;
        }
        show("a thousand hits, since the start", opening.elapsed(), &format!("{there} there"));
    });
    flushes(place);
    let purges: [(&str, Purged, Option<u64>); 8] = [
        ("purge of a URL", Purged::Url(key(1).url), None),
        ("purge of a tag, a thousandth", Purged::Tag("s2".into()), None),
        ("purge of a prefix, a thousandth", Purged::Prefix("http://edge.localhost/s3/".into()), None),
        ("soft purge of a tag, a thousandth", Purged::Tag("s4".into()), Some(NOW_MS + 1)),
        ("soft purge of everything", Purged::All, Some(NOW_MS + 1)),
        ("soft purge of a tag of all", Purged::Tag("all".into()), Some(NOW_MS + 1)),
        ("purge of a tag of all", Purged::Tag("all".into()), None),
        ("purge of everything", Purged::All, None),
    ];
    for (name, what, stale_at_ms) in purges {
        let purge = Purge { app: "edge".into(), what, stale_at_ms, durable: true };
        let purging = Instant::now();
        let purged = runtime.block_on(responses.purge(purge)).expect("it is purged");
        show(name, purging.elapsed(), &format!("{purged} entries"));
    }
}

/// A write that is on the disk when it is done.
fn flushes(place: &Path) {
    let mut file = File::create(place.join("flushed")).expect("a file");
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let flushing = Instant::now();
            file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).expect("it is written");
            flushing.elapsed()
        })
        .collect();
    times.sort_unstable();
    show("a flushed write", times[times.len() / 2], "");
}

fn show(what: &str, took: Duration, more: &str) {
    println!("{what:36} {:9.2} ms  {more}", took.as_secs_f64() * 1e3);
}
