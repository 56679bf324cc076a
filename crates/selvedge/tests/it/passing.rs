//! What passes through to an upstream without a cache: a plain request is asked for and answered on a shorter
//! way than others, and nobody may see a difference.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::harness::{Node, Place, draws, until};
use crate::proxy::{Origin, node};

/// What an origin answers.
pub(crate) const ANSWERS: [(&str, &str); 13] = [
    ("/plain", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nplain"),
    ("/undated", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nserver: them\r\n\r\nundated"),
    ("/empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-empty:\r\n\r\n"),
    ("/none", "HTTP/1.1 204 No Content\r\netag: \"e\"\r\n\r\n"),
    ("/same", "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n"),
    ("/gone", "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\ngone"),
    ("/sorry", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\nretry-after: 1\r\n\r\nsorry"),
    ("/part", "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1-2/4\r\ncontent-length: 2\r\n\r\nar"),
    ("/words", "HTTP/1.1 200 Fine by me\r\ncontent-length: 5\r\n\r\nwords"),
    ("/odd", "HTTP/1.1 299 Odd\r\ncontent-length: 3\r\nx-odd: \u{e9}\r\n\r\nodd"),
    ("/chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nchu\r\n4\r\nnked\r\n0\r\n\r\n"),
    (
        "/own",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nvia: 1.0 them\r\ncache-status: them; hit\r\nx-request-id: t\r\n\r\nown",
    ),
    (
        "/hop",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive, x-hop\r\nkeep-alive: a\r\nx-hop: 1\r\n\r\nhop",
    ),
];

/// Fields that a client sends.
const FIELDS: [&str; 14] = [
    "",
    "accept-language: de\r\n",
    "Accept-Language:  en ,de\r\nACCEPT: */*\r\n",
    "cookie: a=1\r\n",
    "cookie: a=1\r\nCookie: b=2\r\n",
    "user-agent: \u{e9}\r\n",
    "x-forwarded-for: 6.6.6.6\r\nforwarded: for=x\r\nx-forwarded-host: evil\r\n",
    "if-none-match: *\r\nrange: bytes=1-2\r\n",
    "authorization: Basic eA==\r\n",
    "content-length: 0\r\n",
    "te: trailers\r\nkeep-alive: 5\r\n",
    "via: 1.0 other\r\ncdn-loop: other; a=b\r\n",
    "cf-connecting-ip: 6.6.6.6\r\nx-request-id: mine\r\n",
    "x-empty:\r\nx-two: 1\r\nx-two: 2\r\n",
];

/// An origin that says in a field what it was asked, without what differs each time.
pub(crate) fn origin() -> Origin {
    Origin::start(|seen, stream| {
        let mut asked = Some(seen.head.clone());
        while let Some(head) = asked {
            asked = if answer(&head, stream) { next_head(stream) } else { None };
        }
    })
}

/// Answers a request. Whether the connection lasts: it does where the answer is short and says how long it is, as
/// most are, which is then read without hyper.
fn answer(head: &str, stream: &mut TcpStream) -> bool {
    let unlike = |line: &&str| !(line.starts_with("traceparent:") || line.is_empty());
    let mut asked: Vec<_> = head.lines().filter(unlike).collect();
    asked.sort_unstable();
    let asked = asked.join("|");
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    let answer = match ANSWERS.iter().find(|(known, _)| *known == path) {
        Some((_, answer)) => (*answer).to_owned(),
        // More than comes with a head.
        None => format!("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{}", "x".repeat(300_000)),
    };
    let (status, rest) = answer.split_once("\r\n").expect("a status line");
    let lasts = rest.contains("content-length") && rest.len() < 4 << 10;
    let said = if lasts { "Connection: keep-alive\r\nKeep-Alive: timeout=5" } else { "connection: close" };
    write!(stream, "{status}\r\n{said}\r\nx-asked: {asked}\r\n{rest}").is_ok() && lasts
}

/// The next request on a connection, in lower case as the first one is.
fn next_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0].to_ascii_lowercase());
    }
    head.truncate(head.len() - 2);
    String::from_utf8(head).ok()
}

/// Asks on a connection that stays open, on one that does not, and where a route has a rule, which is the long way;
/// and compares all but what differs each time.
#[track_caller]
fn check_alike(node: &Node, path: &str, fields: &str) {
    let seen = |host: &str, connection: &str| {
        let answer = node.exchange(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{fields}{connection}\r\n"));
        let unlike = |name: &str| matches!(name, "connection" | "date" | "x-request-id");
        let count = |wanted: &str| answer.headers().filter(|(name, _)| *name == wanted).count();
        assert_eq!((count("date"), count("x-request-id")), (1, 1), "{path} {fields:?}");
        let fields = answer.headers().filter(|(name, _)| !unlike(name));
        let mut fields: Vec<_> =
            fields.map(|(name, value)| format!("{name}: {}", value.replace(host, "HOST"))).collect();
        fields.sort();
        (answer.status, fields, answer.body)
    };
    let short = seen("short.example", "");
    assert_eq!(short, seen("short.example", "connection: close\r\n"), "{path} {fields:?}");
    assert_eq!(short, seen("ruled.example", "connection: close\r\n"), "{path} {fields:?}");
}

#[test]
fn what_passes_is_alike_on_all_ways() {
    let place = Place::new();
    let manifest = format!(
        r#"
name = "edge"
[upstreams.origin]
targets = ["http://{}"]
[[routes]]
match = "/*"
upstream = "origin"
cache = false
[[routes]]
match = "ruled.example/*"
upstream = "origin"
cache = false
response_headers = {{ remove = ["x-that-nobody-sends"] }}
"#,
        origin().address
    );
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest)]));
    let paths: Vec<_> = ANSWERS.iter().map(|(path, _)| *path).chain(["/large", "/plain?a=b&c", "/%41"]).collect();
    for path in &paths {
        check_alike(&node, path, "");
    }
    let mut draw = draws(7);
    for _ in 0..150 {
        let path = paths[draw(paths.len())];
        // None of them twice: a second Content-Length is no request.
        let fields: BTreeSet<_> = (0..draw(4)).map(|_| FIELDS[draw(FIELDS.len())]).collect();
        let fields = Vec::from_iter(fields).concat();
        check_alike(&node, path, &fields);
    }
}

#[test]
fn what_fails_is_alike_on_both_ways() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let broken = match seen.target.as_str() {
            "/short" => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
            "/nonsense" => "hello\r\n\r\n",
            _ => "",
        };
        let _ = stream.write_all(broken.as_bytes());
    });
    let node = node(&place, &origin, "cache = false");
    for path in ["/nonsense", "/nothing"] {
        for connection in ["", "connection: close\r\n"] {
            let answer = node.exchange(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{connection}\r\n", node.address));
            answer.expect_problem(502, "upstream_protocol");
        }
    }
    // A body that breaks off ends its connection before its time.
    for connection in ["", "connection: close\r\n"] {
        let mut stream = TcpStream::connect(node.address).expect("a connection");
        let request = format!("GET /short HTTP/1.1\r\nhost: {}\r\n{connection}\r\n", node.address);
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = Vec::new();
        // Whether it ends or is reset.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.contains("content-length: 9") && answer.ends_with("short"), "{answer}");
    }
    node.wait_for_log("upstream_protocol");
}

/// One that nobody listens at.
#[test]
fn who_can_not_be_reached_is_alike_on_both_ways() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{closed}\"]\n\
         [[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\ncache = false\n"
    );
    let node = place.serve_project(&place.project("project", &[("selvedge.toml", &manifest)]));
    for connection in ["", "connection: close\r\n"] {
        let answer = node.exchange(&format!("GET / HTTP/1.1\r\nhost: edge.localhost\r\n{connection}\r\n"));
        answer.expect_problem(502, "upstream_unreachable");
    }
}

/// The client goes while the origin thinks: its record says so, and the next one is served.
#[test]
fn who_leaves_while_it_waits_is_recorded_as_gone() {
    let place = Place::new();
    let (asked, told) = std::sync::mpsc::channel();
    let origin = Origin::start(move |seen, stream| {
        if seen.target == "/slow" {
            asked.send(()).expect("the test waits");
            // Until the node gives it up.
            let _ = stream.read(&mut [0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    });
    let node = node(&place, &origin, "cache = false");
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    stream.write_all(format!("GET /slow HTTP/1.1\r\nhost: {}\r\n\r\n", node.address).as_bytes()).expect("written");
    told.recv().expect("the origin was asked");
    drop(stream);
    until("the record", || node.log().contains("client_gone").then_some(()));
    assert_eq!(node.exchange(&format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", node.address)).text(), "ok");
}
