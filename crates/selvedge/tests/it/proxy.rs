//! Upstreams behind routes, and the cache in front of them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::harness::{Node, Place, Request};

/// A request as the origin saw it.
pub(crate) struct Seen {
    /// How many came before it.
    pub number: usize,
    pub target: String,
    pub head: String,
    pub body: String,
}

/// A server whose answers a test makes; it closes after each.
pub(crate) struct Origin {
    pub address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Origin {
    pub fn start(answer: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let visits = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (visits.clone(), Arc::new(answer));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (counted, answer) = (counted.clone(), answer.clone());
                std::thread::spawn(move || {
                    if let Some(seen) = read(&stream, &counted) {
                        answer(&seen, &mut stream);
                    }
                });
            }
        });
        Self { address, visits }
    }

    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

fn read(stream: &TcpStream, visits: &AtomicUsize) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let target = head.split(' ').nth(1)?.to_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let number = visits.fetch_add(1, Ordering::SeqCst);
    Some(Seen { number, target, head, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A client that breaks off gets an answer that nobody reads.
pub(crate) fn send(stream: &mut TcpStream, fields: &str, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n{fields}\r\n{body}");
}

pub(crate) fn node(place: &Place, origin: &Origin, route: &str) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n{route}\n",
        origin.address
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest)]))
}

#[test]
fn a_request_and_its_answer_pass_and_the_origin_knows_who_asked() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let told = format!("{}|{}|{}", seen.target, seen.body, seen.head);
        send(stream, "x-from: origin\r\n", &told);
    });
    let node = node(&place, &origin, "");
    let request = Request::post("/a/b?c=%20d", "a body").header("x-forwarded-for", "6.6.6.6").header("x-mine", "1");
    let answer = node.send(&request).expect(200);
    assert_eq!(answer.header("x-from"), Some("origin"));
    assert_eq!(answer.header("via"), Some("1.1 selvedge"));
    let told = answer.text();
    assert!(told.starts_with("/a/b?c=%20d|a body|post /a/b?c=%20d http/1.1\r\n"), "{told}");
    for field in
        ["x-forwarded-for: 127.0.0.1\r\n", "x-mine: 1\r\n", "via: 1.1 selvedge\r\n", "forwarded: for=127.0.0.1;"]
    {
        assert!(told.contains(field), "{field} in {told}");
    }
    assert!(!told.contains("6.6.6.6"), "a stranger's word is not passed on: {told}");
}

/// All of them have the first half before the second is sent, so that they read one answer as it arrives.
#[test]
fn many_who_ask_for_the_same_cause_one_request() {
    let place = Place::new();
    let asking = 200;
    let reached = Arc::new(Barrier::new(asking + 1));
    let half = reached.clone();
    let origin = Origin::start(move |_, stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\ncache-control: max-age=60\r\n\r\n0123456789");
        half.wait();
        let _ = stream.write_all(b"abcdefghij");
    });
    let node = node(&place, &origin, "");
    let ask = || {
        let mut stream = TcpStream::connect(node.address).expect("a connection");
        stream.write_all(b"GET /same HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("a request");
        let (mut said, mut piece) = (Vec::new(), [0; 1024]);
        while !said.ends_with(b"0123456789") {
            let read = stream.read(&mut piece).expect("the first half");
            assert!(read > 0, "it ended early: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&piece[..read]);
        }
        reached.wait();
        stream.read_to_end(&mut said).expect("the second half");
        assert!(said.ends_with(b"0123456789abcdefghij"), "{}", String::from_utf8_lossy(&said));
    };
    std::thread::scope(|scope| {
        for _ in 0..asking {
            scope.spawn(ask);
        }
    });
    assert_eq!(origin.visits(), 1);
    // The host is part of the key.
    let hit = node.send(&Request::get("/same").header("host", "x")).expect(200);
    assert!(hit.header("cache-status").is_some_and(|status| status.starts_with("selvedge; hit")), "a hit");
    assert!(hit.header("age").is_some());
}

#[test]
fn nobody_waits_in_line_for_what_can_not_be_shared() {
    let place = Place::new();
    let together = 8;
    let barrier = Arc::new(Barrier::new(together));
    let origin = Origin::start(move |seen, stream| {
        if seen.number > 0 {
            // Answered only when all of them are here.
            barrier.wait();
        }
        send(stream, "cache-control: private\r\n", &seen.number.to_string());
    });
    let node = node(&place, &origin, "");
    assert_eq!(node.get("/own").expect(200).text(), "0");
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..together).map(|_| scope.spawn(|| node.get("/own").expect(200).text())).collect();
        let mut answers: Vec<String> = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), together, "each got its own");
    });
}

#[test]
fn a_body_that_broke_off_is_never_served_again() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| match seen.number {
        0 => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\n01234")),
        _ => send(stream, "cache-control: max-age=60\r\n", "0123456789"),
    });
    let node = node(&place, &origin, "");
    let broken = Request::get("/").send(node.address);
    assert!(broken.is_err() || broken.is_ok_and(|answer| answer.text() != "0123456789"), "it broke off");
    assert_eq!(node.get("/").expect(200).text(), "0123456789");
    assert_eq!(node.get("/").expect(200).text(), "0123456789");
    assert_eq!(origin.visits(), 2);
}

/// A client of HTTP/1.0, whose body ends with the connection, after the head of its answer.
fn begun(node: &Node) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    stream.write_all(b"GET /large HTTP/1.0\r\nhost: localhost\r\n\r\n").expect("a request");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status");
    assert!(line.contains(" 200 "), "{line}");
    while line.len() > 2 {
        line.clear();
        reader.read_line(&mut line).expect("a field");
    }
    reader
}

#[test]
fn who_reads_slower_than_others_gets_the_rest_alone() {
    const BYTES: usize = 48 << 20;
    let whole: Arc<Vec<u8>> = Arc::new((0..BYTES).map(|at| (at / 4096 % 251) as u8).collect());
    let (both, sent) = (Arc::new(Barrier::new(2)), whole.clone());
    let joined = both.clone();
    let origin = Origin::start(move |seen, stream| {
        let fields = "etag: \"a\"\r\ncache-control: max-age=60\r\nconnection: close\r\n";
        let from =
            seen.head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
        let Some(from): Option<usize> = from else {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{fields}\r\n");
            let _ = stream.write_all(&sent[..1 << 20]);
            joined.wait();
            let _ = stream.write_all(&sent[1 << 20..]);
            return;
        };
        assert!(seen.head.contains("if-range: \"a\""), "{}", seen.head);
        let (last, left) = (BYTES - 1, BYTES - from);
        let range = format!("content-range: bytes {from}-{last}/{BYTES}\r\ncontent-length: {left}");
        let _ = write!(stream, "HTTP/1.1 206 Partial Content\r\n{range}\r\n{fields}\r\n");
        let _ = stream.write_all(&sent[from..]);
    });
    let place = Place::new();
    let node = node(&place, &origin, "");
    let (mut slow, mut fast) = (begun(&node), begun(&node));
    both.wait();
    for reader in [&mut fast, &mut slow] {
        let mut body = Vec::with_capacity(BYTES);
        reader.read_to_end(&mut body).expect("a body");
        assert!(body == *whole, "{} of {BYTES} bytes", body.len());
    }
    assert_eq!(origin.visits(), 2, "together, and the rest alone");
}

#[test]
fn a_change_makes_what_is_stored_invalid_and_a_route_may_store_nothing() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| send(stream, "cache-control: max-age=60\r\n", &seen.number.to_string()));
    let node = node(&place, &origin, "[[routes]]\nmatch = \"/plain/*\"\nupstream = \"origin\"\ncache = false");
    assert_eq!(node.get("/x").expect(200).text(), "0");
    assert_eq!(node.get("/x").expect(200).text(), "0");
    node.send(&Request::post("/x", "change")).expect(200);
    assert_eq!(node.get("/x").expect(200).text(), "2");
    assert_eq!(node.get("/plain/x").expect(200).text(), "3");
    assert_eq!(node.get("/plain/x").expect(200).text(), "4");
    let part = node.send(&Request::get("/x").header("range", "bytes=0-0")).expect(206);
    assert_eq!(part.text(), "2");
}

#[test]
fn what_is_stale_helps_while_the_origin_is_away() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| match seen.number {
        0 => send(stream, "cache-control: max-age=0, stale-if-error=60\r\netag: \"a\"\r\n", "kept"),
        _ => drop(stream.write_all(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")),
    });
    let node = node(&place, &origin, "");
    assert_eq!(node.get("/").expect(200).text(), "kept");
    let stale = node.get("/").expect(200);
    assert_eq!(stale.header("cache-status"), Some("selvedge; fwd=stale; detail=stale-if-error"));
    assert_eq!(stale.text(), "kept");
    node.get("/other").expect(503);
    node.send(&Request::get("/none").header("cache-control", "only-if-cached")).expect_problem(504, "not_cached");
}
