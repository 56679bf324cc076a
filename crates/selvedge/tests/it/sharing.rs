//! Who gets what of the cache: what is for one client stays with it, and what is for all is not kept from them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::harness::{Answer, Node, Place, Request};
use crate::proxy::{Origin, Seen, node, send};

/// Answers with a 304 where the client has what there is.
fn validated(seen: &Seen, stream: &mut TcpStream, fields: &str) {
    let status = if seen.head.contains("if-none-match: \"v\"") { "304 Not Modified" } else { "200 OK" };
    let body = if status.starts_with("200") { "content-length: 4\r\n\r\nbody" } else { "\r\n" };
    let _ = write!(stream, "HTTP/1.1 {status}\r\netag: \"v\"\r\nconnection: close\r\n{fields}{body}");
}

fn fails(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// What is stored is stale from now on.
fn expire(place: &Place) {
    place.on_data(&["purge", "edge", "--all", "--soft"]).expect_success();
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.starts_with("selvedge; hit"))
}

#[test]
fn a_cookie_that_one_client_gets_is_nobody_elses() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let control = seen.target.trim_start_matches('/');
        let fields = format!("cache-control: max-age=60, {control}\r\nset-cookie: of={}\r\n", seen.number);
        send(stream, &fields, "body");
    });
    let node = node(&place, &origin, "");
    for control in ["must-revalidate", "proxy-revalidate", "immutable"] {
        let cookies = [(); 2].map(|()| {
            let answer = node.get(&format!("/{control}")).expect(200);
            answer.header("set-cookie").expect("a cookie of its own").to_owned()
        });
        assert_ne!(cookies[0], cookies[1], "{control}");
    }
    for control in ["public", "s-maxage=60"] {
        let first = node.get(&format!("/{control}")).expect(200);
        let second = node.get(&format!("/{control}")).expect(200);
        assert!(is_hit(&second), "{control} says that it is for all");
        assert_eq!(first.header("set-cookie"), second.header("set-cookie"));
    }
}

#[test]
fn a_cookie_that_comes_with_a_validation_is_of_one_client_too() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let cookie = if seen.number > 0 { format!("set-cookie: of={}\r\n", seen.number) } else { String::new() };
        validated(seen, stream, &format!("cache-control: max-age=60, must-revalidate\r\n{cookie}"));
    });
    let node = node(&place, &origin, "");
    assert_eq!(node.get("/").expect(200).header("set-cookie"), None);
    expire(&place);
    for number in 1..4 {
        let answer = node.get("/").expect(200);
        assert_eq!(answer.header("set-cookie"), Some(&*format!("of={number}")));
        assert_eq!(answer.text(), "body");
        assert_eq!(answer.header("cache-status"), Some("selvedge; fwd=stale; fwd-status=304; detail=set-cookie"));
        assert_eq!(origin.visits(), number + 1, "a refusal takes one request");
    }
}

#[test]
fn a_cookie_that_is_named_as_private_goes_to_the_one_and_the_rest_is_for_all() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let control = if seen.target == "/private" { "private" } else { "no-cache" };
        let fields =
            format!("cache-control: max-age=60, {control}=\"Set-Cookie\"\r\nset-cookie: of={}\r\n", seen.number);
        validated(seen, stream, &fields);
    });
    let node = node(&place, &origin, "");
    for (at, path) in ["/private", "/no-cache"].iter().enumerate() {
        let first = node.get(path).expect(200);
        assert_eq!(first.header("set-cookie"), Some(&*format!("of={}", 2 * at)), "{path}: its own");
        let second = node.get(path).expect(200);
        assert!(is_hit(&second), "{path}: {:?}", second.header("cache-status"));
        assert_eq!((second.header("set-cookie"), second.text().as_str()), (None, "body"));
        expire(&place);
        let third = node.get(path).expect(200);
        assert_eq!(third.header("set-cookie"), Some(&*format!("of={}", 2 * at + 1)), "{path}: validated for this one");
        assert_eq!(node.get(path).expect(200).header("set-cookie"), None, "{path}");
    }
    assert_eq!(origin.visits(), 4);
}

/// Whoever is there at the moment when a response becomes stale: it is validated and stored for the next.
#[test]
fn nobody_keeps_a_response_out_of_the_cache_for_others() {
    let place = Place::new();
    let failing = Arc::new(AtomicUsize::new(0));
    let fails_now = failing.clone();
    let origin = Origin::start(move |seen, stream| {
        if fails_now.swap(0, Ordering::SeqCst) > 0 {
            return fails(stream);
        }
        let own = seen.head.contains("cookie: mine");
        validated(seen, stream, if own { "cache-control: private\r\n" } else { "cache-control: max-age=60\r\n" });
    });
    let node = node(&place, &origin, "");
    let spoil: [(&str, &dyn Fn() -> Answer); 3] = [
        ("credentials", &|| node.send(&Request::get("/").header("authorization", "Basic eA==")).expect(200)),
        ("a failure", &|| {
            failing.store(usize::MAX, Ordering::SeqCst);
            node.get("/").expect(500)
        }),
        ("a response for one", &|| node.send(&Request::get("/").header("cookie", "mine=1")).expect(200)),
    ];
    for stored in [false, true] {
        for (what, spoil) in &spoil {
            if stored {
                expire(&place);
            } else {
                place.on_data(&["purge", "edge", "--all"]).expect_success();
            }
            let visits = origin.visits();
            spoil();
            spoil();
            let attempts = origin.visits();
            assert!(attempts >= visits + 2, "{what} is not stored");
            let next = node.get("/").expect(200);
            assert_eq!(next.text(), "body");
            assert_eq!(origin.visits(), attempts + 1, "{what}");
            assert!(is_hit(&node.get("/").expect(200)), "{what}, stored before: {stored}");
            assert_eq!(origin.visits(), attempts + 1, "{what}");
        }
    }
}

#[test]
fn who_sends_credentials_waits_for_nobody_and_makes_nobody_wait() {
    let place = Place::new();
    let together = 8;
    let barrier = Arc::new(Barrier::new(together));
    let origin = Origin::start(move |seen, stream| {
        if seen.number > 0 && seen.head.contains("authorization: ") {
            // Answered only when all of them are here.
            barrier.wait();
        }
        send(stream, "cache-control: max-age=60\r\n", &seen.number.to_string());
    });
    let node = node(&place, &origin, "");
    let own = Request::get("/").header("authorization", "Basic eA==");
    let status = node.send(&own).expect(200).header("cache-status").expect("a status").to_owned();
    assert_eq!(status, "selvedge; fwd=uri-miss; fwd-status=200; detail=authorization");
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..together).map(|_| scope.spawn(|| node.send(&own).expect(200).text())).collect();
        let mut answers: Vec<String> = clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        answers.sort();
        answers.dedup();
        assert_eq!(answers.len(), together, "each got its own");
    });
    let shared = node.get("/").expect(200).text();
    assert_eq!(node.get("/").expect(200).text(), shared);
}

/// They waited for the answer to one with credentials, and one of them asks for all of the others.
#[test]
fn what_credentials_bring_is_not_waited_for_twice() {
    let place = Place::new();
    let (asked, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (at_origin, released) = (asked.clone(), go_on.clone());
    let origin = Origin::start(move |seen, stream| {
        if seen.number == 0 {
            at_origin.wait();
            released.wait();
        }
        send(stream, "cache-control: max-age=60\r\n", &seen.number.to_string());
    });
    let node = node(&place, &origin, "");
    std::thread::scope(|scope| {
        let own =
            scope.spawn(|| node.send(&Request::get("/").header("authorization", "Basic eA==")).expect(200).text());
        asked.wait();
        let others: Vec<_> = (0..20).map(|_| scope.spawn(|| node.get("/").expect(200).text())).collect();
        let collapsed = || node.ask_admin(Request::get("/metrics")).expect(200).text();
        crate::harness::until("all of them wait", || {
            collapsed().contains("selvedge_cache_collapsed_total 20\n").then_some(())
        });
        go_on.wait();
        assert_eq!(own.join().expect("an answer"), "0");
        for other in others {
            assert_eq!(other.join().expect("an answer"), "1");
        }
    });
    assert_eq!(origin.visits(), 2);
}

/// Each browser spells it otherwise; the origin is asked in one spelling.
#[test]
fn variants_by_coding_are_told_by_what_is_accepted() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let accepted = seen.head.lines().find_map(|line| line.strip_prefix("accept-encoding: "));
        send(stream, "cache-control: max-age=60\r\nvary: Accept-Encoding\r\n", accepted.unwrap_or("none"));
    });
    let node = node(&place, &origin, "");
    let get = |fields: &str| {
        let head = |end: &str| format!("GET / HTTP/1.1\r\nhost: {}\r\n{fields}{end}\r\n", node.address);
        // The short way and the long way.
        let [short, long] = [head(""), head("connection: close\r\n")].map(|head| node.exchange(&head).expect(200));
        assert_eq!(short.text(), long.text(), "{fields}");
        short.text()
    };
    let all = "br, deflate, gzip, zstd";
    for (at, (accept, told)) in [
        ("gzip, deflate, br, zstd", all),
        ("gzip, deflate, br;q=1.0, zstd", all),
        ("zstd,br,gzip,deflate", all),
        ("*", all),
        ("gzip", "gzip"),
        ("gzip;q=1.0, br;q=0, identity;q=0.5", "gzip"),
        ("x-gzip, compress", "gzip"),
        ("identity", "identity"),
        ("br;q=0", "identity"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(get(&format!("accept-encoding: {accept}\r\n")), told, "{accept} ({at})");
    }
    assert_eq!(get(""), "none");
    assert_eq!(origin.visits(), 4);
}

/// Reads the head of an answer, and the first byte of its body.
fn begin(node: &Node, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: edge.localhost\r\nconnection: close\r\n\r\n").expect("a request");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    stream.read_exact(&mut byte).expect("a body");
    (stream, String::from_utf8_lossy(&head).into_owned())
}

#[test]
fn a_slow_reader_of_what_is_too_large_holds_nobody_up() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 1_024;
    let place = Place::new();
    let config = place.path("node.toml");
    std::fs::write(&config, "[limits]\ncache_entry_bytes = 65536\n").expect("written");
    let joined = Arc::new(Barrier::new(2));
    let both = joined.clone();
    let origin = Origin::start(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n");
        let piece = [format!("{PIECE:x}\r\n").into_bytes(), vec![b'x'; PIECE], b"\r\n".to_vec()].concat();
        let _ = stream.write_all(b"1\r\nx\r\n");
        both.wait();
        for _ in 0..PIECES {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
        origin.address
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    let node = place.serve_with(&["--config", &config.display().to_string()]);
    let (mut slow, _) = begin(&node, "/");
    let (mut fast, head) = begin(&node, "/");
    assert!(head.contains("collapsed") && !head.contains("stored"), "{head}");
    joined.wait();
    let mut rest = Vec::new();
    fast.read_to_end(&mut rest).expect("the rest");
    assert!(rest.len() > PIECE * PIECES && rest.ends_with(b"0\r\n\r\n"), "{} bytes", rest.len());
    rest.clear();
    // What is cut off is not taken for a whole.
    let _ = slow.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{} bytes", rest.len());
    assert_eq!(origin.visits(), 1);
}

/// Where one reader finds the end of a body, and another does not.
#[test]
fn a_response_under_an_odd_transfer_coding_is_refused() {
    const ODD: [&str; 7] = [
        "transfer-encoding: xchunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "transfer-encoding: identity\r\ncontent-length: 4\r\n\r\nbody",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "transfer-encoding: \r\ncontent-length: 4\r\n\r\nbody",
    ];
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let at: usize = seen.target.rsplit('/').next().expect("a number").parse().expect("a number");
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{}", ODD[at]);
    });
    let node = node(&place, &origin, "[[routes]]\nmatch = \"/plain/*\"\nupstream = \"origin\"\ncache = false");
    for (at, odd) in ODD.iter().enumerate() {
        for path in [format!("/{at}"), format!("/plain/{at}")] {
            for connection in ["", "connection: close\r\n"] {
                let visits = origin.visits();
                let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{connection}\r\n", node.address);
                let answer = node.exchange(&head).expect(502).text();
                assert!(answer.contains("upstream_protocol"), "{path} {odd}: {answer}");
                assert!(origin.visits() > visits, "{odd} is not stored");
            }
        }
    }
}

/// An answer that broke off says so: with an error if nothing of it went out, else by its own head and its cut.
#[test]
fn what_broke_off_is_an_error_or_is_seen_to_be_cut() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\n";
        let _ = stream.write_all(head);
        if seen.target.ends_with("/half") {
            let _ = stream.write_all(b"01234");
        }
    });
    let node = node(&place, &origin, "[[routes]]\nmatch = \"/plain/*\"\nupstream = \"origin\"\ncache = false");
    for path in ["/none", "/half", "/plain/none", "/plain/half"] {
        for connection in ["", "connection: close\r\n"] {
            let mut stream = TcpStream::connect(node.address).expect("a connection");
            write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n{connection}\r\n").expect("a request");
            let mut said = vec![0; 12];
            stream.read_exact(&mut said).expect("a status");
            match &said[..] {
                b"HTTP/1.1 502" => continue,
                b"HTTP/1.1 200" => {}
                other => panic!("{path}: {}", String::from_utf8_lossy(other)),
            }
            stream.read_to_end(&mut said).expect("the rest");
            assert!(!said.ends_with(b"56789"), "{path}");
        }
    }
    crate::harness::until("the records", || (node.log().matches("upstream_protocol").count() >= 8).then_some(()));
}
