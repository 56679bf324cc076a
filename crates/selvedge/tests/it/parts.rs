//! Parts of what is too large for the cache: kept, put together, and completed from the origin.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::harness::{Answer, Node, Place, Request};
use crate::proxy::Origin;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
/// What the origin says it has; the cache takes 1 KiB.
const TOTAL: usize = 26 * 100;

fn letters(first: usize, last: usize) -> String {
    (first..=last).map(|at| LETTERS[at % 26] as char).collect()
}

/// The range that a request names.
fn range_of(head: &str) -> Option<(usize, usize)> {
    let line = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    let (first, last) = line.split_once('-')?;
    Some((first.parse().ok()?, last.parse().unwrap_or(TOTAL - 1)))
}

/// An origin of something large in versions, each with an `ETag` of its own.
struct Large {
    origin: Origin,
    version: Arc<AtomicUsize>,
    /// The heads of the requests, in lower case.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Large {
    fn start(fields: &'static str) -> Self {
        let (version, asked) = (Arc::new(AtomicUsize::new(1)), Arc::<Mutex<Vec<String>>>::default());
        let (now, heads) = (version.clone(), asked.clone());
        let origin = Origin::start(move |seen, stream| {
            heads.lock().expect("no test panicked").push(seen.head.clone());
            let version = now.load(Ordering::SeqCst);
            let held = seen.head.lines().find_map(|line| line.strip_prefix("if-range: "));
            let is_held = held.is_none_or(|held| held == format!("\"{version}\""));
            let (status, told, body) = match range_of(&seen.head).filter(|_| is_held) {
                Some((first, last)) => {
                    let told = format!("content-range: bytes {first}-{last}/{TOTAL}\r\n");
                    ("206 Partial Content", told, letters(first, last))
                }
                None => ("200 OK", String::new(), letters(0, TOTAL - 1)),
            };
            let (length, body) = (body.len(), if version > 1 { body.to_uppercase() } else { body });
            let head = format!(
                "HTTP/1.1 {status}\r\n{fields}{told}cache-control: max-age=60\r\netag: \"{version}\"\r\n\
                 connection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            // Who wants a part of it leaves in the middle of the whole.
            drop(stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()));
        });
        Self { origin, version, asked }
    }

    fn visits(&self) -> usize {
        self.origin.visits()
    }

    fn last_head(&self) -> String {
        self.asked.lock().expect("no test panicked").last().expect("a request").clone()
    }
}

fn node(place: &Place, large: &Large) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n[upstreams.origin]\n\
         targets = [\"http://{}\"]\n",
        large.origin.address
    );
    place.project("project", &[("selvedge.toml", &manifest)]);
    std::fs::write(place.path("node.toml"), "[limits]\ncache_entry_bytes = 1024\n").expect("a configuration");
    let node = place.path("node.toml");
    place.deploy(&place.path("project")).expect_success();
    place.serve_with(&["--config", &node.to_string_lossy()])
}

fn part(node: &Node, range: &str) -> Answer {
    let request = Request::get("/film").at_app("edge");
    node.send(&if range.is_empty() { request } else { request.header("range", range) })
}

fn said(answer: &Answer) -> (u16, String, String) {
    let range = answer.header("content-range").unwrap_or_default().to_owned();
    (answer.status, range, answer.text())
}

#[test]
fn stored_parts_answer_together_and_what_is_missing_comes_of_the_origin() {
    let place = Place::new();
    let origin = Large::start("");
    let node = node(&place, &origin);
    let told = |first: usize, last: usize| (206, format!("bytes {first}-{last}/{TOTAL}"), letters(first, last));
    assert_eq!(said(&part(&node, "bytes=0-499")), told(0, 499));
    assert_eq!(said(&part(&node, "bytes=500-999")), told(500, 999));
    let visits = origin.visits();
    let both = part(&node, "bytes=400-599");
    assert_eq!(said(&both), told(400, 599));
    assert!(both.header("cache-status").is_some_and(|status| status.contains("hit; detail=part")), "{both:?}");
    assert!(both.header("age").is_some());
    assert_eq!(origin.visits(), visits, "the origin was not asked");
    // What is missing alone is asked for, and kept.
    assert_eq!(said(&part(&node, "bytes=1500-1999")), told(1500, 1999));
    let visits = origin.visits();
    let joined = part(&node, "bytes=900-1599");
    assert_eq!(said(&joined), told(900, 1599));
    assert_eq!(origin.visits(), visits + 1);
    let asked = origin.last_head();
    assert!(asked.contains("range: bytes=1000-1499\r\n") && asked.contains("if-range: \"1\"\r\n"), "{asked}");
    let status = joined.header("cache-status").expect("a status");
    assert!(status.contains("fwd=partial; fwd-status=206; stored"), "{status}");
    assert_eq!(said(&part(&node, "bytes=0-1999")), told(0, 1999));
    assert_eq!(origin.visits(), visits + 1, "now there is no gap");
    // The whole is made of them too, and of its rest.
    let whole = part(&node, "");
    assert_eq!(said(&whole), (200, String::new(), letters(0, TOTAL - 1)));
    assert_eq!(whole.header("content-length"), Some(TOTAL.to_string().as_str()));
    assert_eq!(origin.visits(), visits + 2);
    assert!(origin.last_head().contains("range: bytes=2000-2599\r\n"));
    assert_eq!(said(&part(&node, "bytes=-100")), told(TOTAL - 100, TOTAL - 1));
    assert_eq!(said(&part(&node, "")), (200, String::new(), letters(0, TOTAL - 1)));
    assert_eq!(origin.visits(), visits + 2);
}

#[test]
fn parts_of_two_versions_never_meet() {
    let place = Place::new();
    let origin = Large::start("");
    let node = node(&place, &origin);
    assert_eq!(part(&node, "bytes=0-499").text(), letters(0, 499));
    origin.version.store(2, Ordering::SeqCst);
    let answer = part(&node, "bytes=400-599");
    assert_eq!(answer.text(), letters(400, 599).to_uppercase(), "the origin has another whole");
    assert_eq!(answer.header("etag"), Some("\"2\""));
    // What is left of the old one is never beside what there is of the new one.
    let answer = part(&node, "bytes=300-599");
    assert_eq!(answer.text(), letters(300, 599).to_uppercase());
    assert_eq!(answer.header("etag"), Some("\"2\""));
}

#[test]
fn a_purge_takes_the_parts_along() {
    let place = Place::new();
    let origin = Large::start("cache-tag: film\r\n");
    let node = node(&place, &origin);
    let parts = ["bytes=0-499", "bytes=500-999"].map(|range| part(&node, range).text());
    assert_eq!(parts, [letters(0, 499), letters(500, 999)]);
    place.on_data(&["purge", "edge", "--tag", "film"]).expect_success();
    let visits = origin.visits();
    assert_eq!(part(&node, "bytes=400-599").text(), letters(400, 599));
    assert!(origin.visits() > visits, "nothing was there any more");
}
