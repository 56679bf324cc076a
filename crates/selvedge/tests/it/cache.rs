//! The cache in front of an upstream: purging it, what its keys are made of, parts of responses, and
//! compressed ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use crate::harness::{Answer, Node, Place, Request, draws, until};
use crate::proxy::{Origin, node, send};

/// An origin that says how often it was asked before.
fn counting(fields: &'static str) -> Origin {
    Origin::start(move |seen, stream| send(stream, fields, &seen.number.to_string()))
}

#[track_caller]
fn check(node: &Node, path: &str, body: &str) -> Answer {
    let answer = node.get(path).expect(200);
    assert_eq!(answer.text(), body, "{path}: {:?}", answer.header("cache-status"));
    answer
}

#[test]
fn a_purge_removes_what_it_names_and_nothing_else() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let tag = seen.target.trim_start_matches('/');
        let fields = format!("cache-control: max-age=60\r\ncache-tag: all, {tag}\r\nsurrogate-key: s-{tag}\r\n");
        send(stream, &fields, &seen.number.to_string());
    });
    let node = node(&place, &origin, "");
    let purge = |args: &[&str]| place.on_data(&[&["purge", "edge"], args].concat()).expect_success();
    let url = |path: &str| format!("http://{}{path}", node.address);
    for (at, path) in ["/a", "/ab", "/b"].iter().enumerate() {
        check(&node, path, &at.to_string());
    }
    assert_eq!(purge(&["--url", &url("/a")]), "purged 1 response\n");
    check(&node, "/a", "3");
    check(&node, "/ab", "1");
    assert_eq!(purge(&["--prefix", &url("/a")]), "purged 2 responses\n");
    check(&node, "/ab", "4");
    check(&node, "/b", "2");
    assert_eq!(purge(&["--tag", "s-b"]), "purged 1 response\n");
    assert_eq!(purge(&["--tag", "nobody"]), "purged 0 responses\n");
    check(&node, "/b", "5");
    check(&node, "/ab", "4");
    assert_eq!(purge(&["--tag", "all"]), "purged 2 responses\n");
    check(&node, "/ab", "6");
    assert_eq!(purge(&["--all"]), "purged 1 response\n");
    check(&node, "/ab", "7");
    let got = place.on_data(&["cache", "get", "edge", &url("/ab")]).expect_success();
    assert!(got.contains("200") && got.contains("ttl") && got.contains("tags ab, all, s-ab"), "{got}");
    let stats = place.on_data(&["cache", "stats", "edge", "--json"]).expect_success();
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!((&stats["memory"]["entries"], &stats["misses"], &stats["purged"]), (&1.into(), &8.into(), &7.into()));
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    assert!(metrics.contains("selvedge_cache_misses_total 8") && metrics.contains("selvedge_cache_hits_total "));
    place.on_data(&["purge", "edge"]).expect_failure();
    place.on_data(&["purge", "edge", "--all", "--tag", "x"]).expect_failure();
    let both = serde_json::json!({ "all": true, "tag": "x" });
    node.ask_admin(Request::json("POST", "/v1/apps/edge/cache/purge", &both)).expect_problem(400, "bad_request");
}

#[test]
fn a_soft_purge_answers_with_what_is_stale_while_it_is_validated() {
    let place = Place::new();
    let origin = counting("cache-control: max-age=60, stale-while-revalidate=60\r\n");
    let node = node(&place, &origin, "");
    check(&node, "/", "0");
    place.on_data(&["purge", "edge", "--all", "--soft"]).expect_success();
    let stale = check(&node, "/", "0");
    assert!(stale.header("cache-status").expect("a status").starts_with("selvedge; hit; ttl="));
    node.until(&Request::get("/"), |answer| answer.text() == "1");
}

/// The origin has been asked, and has not answered to its end, when the purge is made.
#[test]
fn a_purge_wins_over_a_response_that_is_arriving() {
    let place = Place::new();
    let (purged, half) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (at_half, go_on) = (half.clone(), purged.clone());
    let origin = Origin::start(move |seen, stream| match seen.number {
        0 => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-tag: t\r\ncache-control: max-age=60\r\n\r\nol";
            let _ = stream.write_all(head);
            at_half.wait();
            go_on.wait();
            let _ = stream.write_all(b"d!");
        }
        _ => send(stream, "cache-control: max-age=60\r\n", "new"),
    });
    let node = node(&place, &origin, "");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| node.get("/").expect(200).text());
        half.wait();
        place.on_data(&["purge", "edge", "--tag", "t"]).expect_success();
        check(&node, "/", "new");
        purged.wait();
        assert_eq!(first.join().expect("an answer"), "old!");
    });
    check(&node, "/", "new");
    assert_eq!(origin.visits(), 2);
}

#[test]
fn nothing_runs_so_nothing_is_purged() {
    let place = Place::new();
    let failed = place.on_data(&["purge", "edge", "--all"]).expect_failure();
    assert!(failed.contains("node_stopped"), "{failed}");
}

#[test]
fn the_key_is_made_of_what_the_route_says() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let fields = "cache-control: max-age=60\r\n";
        send(stream, fields, &format!("{}|{}", seen.number, seen.target));
    });
    let route = "cache = { query = [\"id\", \"p_*\"], sort_query = true, headers = [\"x-lang\"], cookies = [\"theme\"], device = true }";
    let node = node(&place, &origin, route);
    check(&node, "/?utm=1&p_b=2&id=1", "0|/?id=1&p_b=2");
    check(&node, "/?id=1&p_b=2&other=x", "0|/?id=1&p_b=2");
    check(&node, "/?id=2", "1|/?id=2");
    let of = |name: &str, value: &str| node.send(&Request::get("/?id=2").header(name, value)).expect(200).text();
    assert_eq!(of("x-lang", "de"), "2|/?id=2");
    assert_eq!(of("cookie", "a=b; theme=dark"), "3|/?id=2");
    assert_eq!(of("user-agent", "Mozilla/5.0 (iPhone) Mobile"), "4|/?id=2");
    assert_eq!(of("cookie", "theme2=dark"), "1|/?id=2");
    assert_eq!(of("x-lang", "de"), "2|/?id=2");
    // All of them are of one URL, whatever else is in it that plays no part.
    let url = format!("http://{}/?utm=9&id=2", node.address);
    let purged = place.on_data(&["purge", "edge", "--url", &url]).expect_success();
    assert_eq!(purged, "purged 4 responses\n");
    check(&node, "/?id=2", "5|/?id=2");
}

/// Each trick leaves something to everybody else if what it says reaches the origin, and is not in the key.
#[test]
fn a_stranger_can_not_poison_what_others_get() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let told: Vec<&str> = seen.head.lines().skip(1).filter(|line| line.contains("evil")).collect();
        send(stream, "cache-control: max-age=60\r\n", &format!("{}{}{}", seen.target, told.join(""), seen.body));
    });
    let node = node(&place, &origin, "cache = { query = [\"id\"] }");
    for (at, name) in [
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-for",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "x-host",
        "x-forwarded-server",
        "x-forwarded-scheme",
        "x-forwarded-prefix",
        "x-forwarded-port",
        "x-http-method-override",
        "x-original-host",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/?id={at}");
        let poisoned = node.send(&Request::get(&path).header(name, "evil")).expect(200);
        assert_eq!(poisoned.text(), path, "{name} does not reach the origin");
        assert_eq!(node.get(&path).expect(200).text(), path);
    }
    // Names that only the origin reads as `id`, and a second parameter behind a semicolon.
    for target in ["/q?x=1;id=evil", "/q?y=evil"] {
        assert_eq!(node.get(target).expect(200).text(), "/q", "{target}");
    }
    assert_eq!(node.get("/q?%69d=evil").expect(200).text(), "/q?%69d=evil", "it has an entry of its own");
    assert_eq!(node.get("/q").expect(200).text(), "/q");
    // A body with GET is in no key either.
    let answer = node.raw(b"GET /fat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nevil");
    assert_eq!(answer.expect("an answer").text(), "/fatevil");
    let answer = node.raw(b"GET /fat HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(answer.expect("an answer").text(), "/fat");
}

#[test]
fn parts_come_of_what_is_stored_and_of_what_is_arriving() {
    let place = Place::new();
    let origin =
        Origin::start(|seen, stream| {
            let fields = "cache-control: max-age=60\r\netag: \"v\"\r\n";
            match seen.target.as_str() {
                "/large" if seen.head.contains("range: bytes=2-4") => {
                    let head = "HTTP/1.1 206 Partial\r\netag: \"v\"\r\ncache-control: max-age=60\r\n\
                            content-range: bytes 2-4/99999999\r\ncontent-length: 3\r\n\r\ncde";
                    drop(stream.write_all(head.as_bytes()));
                }
                "/large" => {
                    assert!(!seen.head.contains("range: "), "{}", seen.head);
                    drop(stream.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncache-control: max-age=60\r\n\r\nab",
                    ));
                }
                _ => send(stream, fields, "0123456789"),
            }
        });
    let node = node(&place, &origin, "");
    let part = |path: &str, range: &str| node.send(&Request::get(path).header("range", range));
    let first = part("/", "bytes=2-4").expect(206);
    assert_eq!((first.text().as_str(), first.header("content-range")), ("234", Some("bytes 2-4/10")));
    assert_eq!(origin.visits(), 1, "it was fetched as a whole");
    assert_eq!(part("/", "bytes=-3").expect(206).text(), "789");
    assert_eq!(part("/", "bytes=10-").expect(416).header("content-range"), Some("bytes */10"));
    assert_eq!(part("/", "bytes=0-0,2-2").expect(200).text(), "0123456789", "several at once are the whole");
    let if_range =
        |tag: &str| node.send(&Request::get("/").header("range", "bytes=0-0").header("if-range", tag)).status;
    assert_eq!((if_range("\"v\""), if_range("\"w\""), if_range("W/\"v\"")), (206, 200, 200));
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    write!(stream, "HEAD / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", node.address).expect("a request");
    let mut head = String::new();
    stream.read_to_string(&mut head).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 10\r\n"), "{head}");
    assert_eq!(origin.visits(), 1, "what a GET stored answers HEAD");
    // What is larger than the cache takes is asked for in parts.
    let large = part("/large", "bytes=2-4").expect(206);
    assert_eq!(large.text(), "cde");
    assert!(large.header("cache-status").expect("a status").contains("fwd=partial; detail=too-large"));
    // And such a part is kept.
    let (visits, within) = (origin.visits(), part("/large", "bytes=3-4").expect(206));
    assert_eq!((within.text().as_str(), within.header("content-range")), ("de", Some("bytes 3-4/99999999")));
    assert_eq!(part("/large", "bytes=2-4").expect(206).text(), "cde");
    assert_eq!(origin.visits(), visits);
}

#[test]
fn many_ranges_do_not_reach_the_origin() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        assert!(!seen.head.contains("range: "), "{}", seen.head);
        send(stream, "cache-control: no-store\r\n", "0123456789");
    });
    let node = node(&place, &origin, "");
    let ranges = format!("bytes={}", (0..500).map(|_| "0-9").collect::<Vec<_>>().join(","));
    assert_eq!(node.send(&Request::get("/").header("range", &ranges)).expect(200).text(), "0123456789");
}

#[test]
fn absence_has_a_lifetime_of_its_own() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let body = seen.number.to_string();
        let (status, length) = (if seen.target == "/none" { "404 Not Found" } else { "200 OK" }, body.len());
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    });
    let node = node(&place, &origin, "cache = { negative_ttl_s = 60 }");
    assert_eq!(node.get("/none").expect(404).text(), "0");
    assert_eq!(node.get("/none").expect(404).text(), "0");
    assert_eq!(node.get("/there").expect(200).text(), "1");
    assert_eq!(node.get("/there").expect(200).text(), "2");
}

#[test]
fn what_an_origin_says_wrongly_is_not_kept() {
    const WRONG: [&str; 9] = [
        "age: 99999999999999999999\r\ncache-control: max-age=60\r\n",
        "expires: 0\r\n",
        "expires: Thu, 99 Foo 2099 99:99:99 GMT\r\n",
        "vary: *\r\ncache-control: max-age=60\r\n",
        "cache-control: max-age=60\r\ncache-control: no-store\r\n",
        "cache-control: max-age=-1\r\n",
        "cache-control: max-age=1e9\r\n",
        "cache-control: max-age=60, private\r\n",
        "date: Thu, 01 Jan 1970 00:00:00 GMT\r\ncache-control: max-age=60\r\n",
    ];
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let at: usize = seen.target.trim_start_matches('/').parse().expect("a number");
        send(stream, WRONG[at], &seen.number.to_string());
    });
    let node = node(&place, &origin, "");
    for (at, wrong) in WRONG.iter().enumerate() {
        let path = format!("/{at}");
        let first = node.get(&path).expect(200).text();
        assert_ne!(node.get(&path).expect(200).text(), first, "{wrong:?} is stored");
    }
}

#[test]
fn an_origin_whose_header_does_not_end_is_cut_off() {
    let place = Place::new();
    let origin = Origin::start(|_, stream| {
        let line = format!("x-more: {}\r\n", "y".repeat(1_000));
        let mut said = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        // It would say a hundred megabytes.
        for _ in 0..100_000 {
            said = said.and_then(|()| stream.write_all(line.as_bytes()));
        }
        assert!(said.is_err(), "somebody read all of it");
    });
    let node = node(&place, &origin, "");
    node.get("/").expect_problem(502, "upstream_protocol");
    node.get("/").expect_problem(502, "upstream_protocol");
}

/// Decompressed by curl, which asks for what it knows.
fn curl(node: &Node, path: &str, accept: &str) -> (String, Vec<u8>) {
    let output = std::process::Command::new("curl")
        .args(["-s", "-D", "/dev/stderr", "--compressed", "-H", &format!("accept-encoding: {accept}")])
        .arg(format!("http://{}{path}", node.address))
        .output()
        .expect("curl runs");
    (String::from_utf8_lossy(&output.stderr).to_ascii_lowercase(), output.stdout)
}

#[test]
fn what_is_stored_is_compressed_once_for_those_who_accept_it() {
    let place = Place::new();
    let page = "a page that says the same again and again. ".repeat(200);
    let sent = page.clone();
    let origin = Origin::start(move |seen, stream| {
        let kind = if seen.target == "/image" { "image/png" } else { "text/html" };
        let fields = format!("cache-control: max-age=60\r\ncontent-type: {kind}\r\netag: \"v\"\r\n");
        send(stream, &fields, &sent);
    });
    let node = node(&place, &origin, "cache = { compress = true }");
    for path in ["/", "/image"] {
        assert_eq!(node.get(path).expect(200).text(), page);
    }
    for accept in ["gzip", "br", "zstd", "gzip;q=0.1, zstd"] {
        let coding = accept.rsplit(' ').next().expect("a coding");
        let get = || node.send(&Request::get("/").header("accept-encoding", accept)).expect(200);
        let answer = get();
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(answer.header("etag"), Some("W/\"v\""));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert!(answer.body.len() < page.len() / 4);
        assert_eq!(get().body, answer.body);
        let known = Request::get("/").header("accept-encoding", accept).header("if-none-match", "W/\"v\"");
        node.send(&known).expect(304);
    }
    let (head, body) = curl(&node, "/", "gzip");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert_eq!(body, page.as_bytes(), "curl reads it");
    let plain = node.get("/").expect(200);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Accept-Encoding")));
    let image = node.send(&Request::get("/image").header("accept-encoding", "br")).expect(200);
    assert_eq!((image.header("content-encoding"), image.header("vary")), (None, None));
    let part = Request::get("/").header("accept-encoding", "br").header("range", "bytes=0-3");
    assert_eq!(node.send(&part).expect(206).text(), &page[..4], "a part is one of the page itself");
    place.on_data(&["purge", "edge", "--url", &format!("http://{}/", node.address)]).expect_success();
    assert_eq!(origin.visits(), 2);
    until("it is fetched again", || {
        let again = node.send(&Request::get("/").header("accept-encoding", "br")).expect(200);
        (again.header("content-encoding") == Some("br")).then_some(())
    });
    assert_eq!(origin.visits(), 3);
}

/// They all wait for one answer, and the origin is asked once.
#[test]
fn a_herd_on_a_cold_key_is_one_request() {
    let place = Place::new();
    let herd = 500;
    let arrived = Arc::new(Barrier::new(2));
    let waits = arrived.clone();
    let origin = Origin::start(move |_, stream| {
        waits.wait();
        send(stream, "cache-control: max-age=60\r\n", "one");
    });
    let node = node(&place, &origin, "");
    let mut clients: Vec<TcpStream> = (0..herd)
        .map(|_| {
            let mut stream = TcpStream::connect(node.address).expect("a connection");
            stream.write_all(b"GET /cold HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("a request");
            stream
        })
        .collect();
    arrived.wait();
    for client in &mut clients {
        let mut said = Vec::new();
        client.read_to_end(&mut said).expect("an answer");
        assert_eq!(Answer::parse(&said).expect("whole").expect(200).text(), "one");
    }
    assert_eq!(origin.visits(), 1);
}

/// A node with a disk tier, in front of an origin.
struct OnDisk {
    place: Place,
    config: String,
}

impl OnDisk {
    fn new(origin: &Origin, route: &str) -> Self {
        let place = Place::new();
        let config = place.path("node.toml");
        std::fs::write(&config, "[cache]\ndisk = \"responses\"\ndisk_bytes = 67108864\n").expect("written");
        let manifest = format!(
            "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n{route}\n",
            origin.address
        );
        place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
        Self { place, config: config.display().to_string() }
    }

    fn serve(&self) -> Node {
        self.place.serve_with(&["--config", &self.config])
    }
}

fn at(path: &str) -> Request {
    // The port is part of the key, and another one after a restart.
    Request::get(path).at_app("edge")
}

/// A body that says which version of which path it is in every byte.
fn versioned(path: &str, version: usize) -> String {
    let bytes = [200, 3_000, 40_000, 300_000][path.len() % 4];
    let line = format!("{path} {version}\n");
    line.repeat(bytes / line.len() + 1)
}

#[test]
fn what_is_on_disk_is_there_after_a_restart_and_what_was_purged_is_not() {
    let origin = Origin::start(|seen, stream| {
        send(stream, "cache-control: max-age=600\r\n", &versioned(&seen.target, seen.number));
    });
    let disk = OnDisk::new(&origin, "");
    let node = disk.serve();
    let paths: Vec<String> = (0..8).map(|at| format!("/{}", "x".repeat(at + 1))).collect();
    for path in &paths {
        assert_eq!(node.send(&at(path)).expect(200).text(), versioned(path, path.len() - 2));
    }
    node.until(&at("/x"), |answer| answer.header("cache-status").is_some_and(|status| status.contains("hit")));
    disk.place.on_data(&["purge", "edge", "--prefix", "http://edge.localhost/xxxxxxx"]).expect_success();
    let stats = disk.place.on_data(&["cache", "stats", "edge"]).expect_success();
    assert!(stats.contains("disk       6 entries"), "{stats}");
    // As nobody stops it: the process is simply gone.
    drop(node);
    let node = disk.serve();
    for path in &paths[..6] {
        let answer = node.send(&at(path)).expect(200);
        assert_eq!(answer.text(), versioned(path, path.len() - 2), "{path}");
        assert!(answer.header("cache-status").expect("a status").contains("hit"), "{path}");
    }
    assert_eq!(origin.visits(), 8);
    node.send(&at(&paths[7])).expect(200);
    assert_eq!(origin.visits(), 9);
    let part = node.send(&at("/xx").header("range", "bytes=299990-299999")).expect(206);
    assert_eq!(part.text(), versioned("/xx", 1)[299_990..300_000]);
}

/// The process is killed under load, again and again; whatever is answered is whole, and of one version.
#[test]
fn nothing_corrupt_or_mixed_is_served_after_kill_9() {
    let origin = Origin::start(|seen, stream| {
        let fields = format!("cache-control: max-age=1, stale-while-revalidate=1\r\nx-version: {}\r\n", seen.number);
        send(stream, &fields, &versioned(&seen.target, seen.number));
    });
    let disk = OnDisk::new(&origin, "");
    let (mut answered, mut hits) = (0, 0);
    for round in 0..5 {
        let node = disk.serve();
        let address = node.address;
        let running = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|client| {
                    let running = &running;
                    scope.spawn(move || {
                        let (mut whole, mut hits) = (0_u32, 0_u32);
                        for turn in 0_usize.. {
                            if !running.load(Ordering::SeqCst) {
                                break;
                            }
                            let path = format!("/{}", "p".repeat((turn * 7 + client * 13) % 40 + 1));
                            // What the kill cuts off is no answer.
                            let Ok(answer) = at(&path).send(address) else { continue };
                            assert_eq!(answer.status, 200);
                            let version = answer.header("x-version").expect("a version").parse().expect("a number");
                            assert!(
                                answer.text() == versioned(&path, version),
                                "{path} in version {version} is damaged"
                            );
                            hits += u32::from(answer.header("cache-status").is_some_and(|told| told.contains("hit")));
                            whole += 1;
                        }
                        (whole, hits)
                    })
                })
                .collect();
            let before = origin.visits();
            until("there is load", || (origin.visits() > before + 40 + round * 20).then_some(()));
            node.signal(rustix::process::Signal::KILL);
            running.store(false, Ordering::SeqCst);
            for client in clients {
                let (whole, found) = client.join().expect("no client saw damage");
                answered += whole;
                hits += found;
            }
        });
    }
    assert!(answered > 100 && hits > 10, "{answered} answers, {hits} of them hits");
}

#[test]
fn a_purge_finds_what_each_route_of_a_url_keeps() {
    let place = Place::new();
    let origin = counting("cache-control: max-age=60\r\n");
    let beta = "cache = { query = [\"id\"] }\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n\
                cache = { query = [\"v\"] }\n[routes.when]\nheader = { x-beta = \"1\" }";
    let node = node(&place, &origin, beta);
    let ask = |beta: bool| {
        let request = Request::get("/?id=1&v=2");
        node.send(&if beta { request.header("x-beta", "1") } else { request }).expect(200).text()
    };
    let first = [ask(false), ask(true)];
    assert_eq!([ask(false), ask(true)], first, "both are kept");
    let url = format!("http://{}/?id=1&v=2", node.address);
    let kept = place.on_data(&["cache", "get", "edge", &url]).expect_success();
    assert!(kept.contains("?id=1") && kept.contains("?v=2"), "{kept}");
    let purged = place.on_data(&["purge", "edge", "--url", &url]).expect_success();
    assert_eq!(purged, "purged 2 responses\n");
    let then = [ask(false), ask(true)];
    assert!(then.iter().all(|text| !first.contains(text)), "{first:?} {then:?}");
}

/// Asks twice on connections that stay open, and once on one that does not: the first is a miss, the
/// second comes the short way, the third the long way. What an earlier one made the node fetch may still be on its
/// way into the cache; who meets it asks again.
fn both_ways(node: &Node, path: &str, fields: &str) -> [Answer; 2] {
    let is_early = |answer: &Answer| answer.header("cache-status").is_some_and(|status| status.contains("collapsed"));
    let get = |connection: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{fields}{connection}\r\n", node.address);
        crate::harness::until("no fetch is under way", || Some(node.exchange(&head)).filter(|answer| !is_early(answer)))
    };
    get("");
    [get(""), get("connection: close\r\n")]
}

#[test]
fn a_hit_that_comes_the_short_way_is_the_one_that_comes_the_long_way() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let fields = match seen.target.as_str() {
            "/vary" => "cache-control: max-age=60\r\nvary: accept-language\r\n",
            "/own" => {
                "cache-control: max-age=60\r\nx-request-id: theirs\r\nage: 3\r\nvia: 1.0 them\r\ncache-status: them; hit\r\n"
            }
            "/many" => "cache-control: max-age=60\r\nlink: <a>\r\nlink: <b>\r\nsurrogate-key: t\r\nx-empty:\r\n",
            _ => "cache-control: max-age=60\r\netag: \"e\"\r\n",
        };
        let body = if seen.target == "/large" { "x".repeat(100_000) } else { seen.number.to_string() };
        send(stream, fields, &body);
    });
    let node = node(&place, &origin, "");
    for (path, fields) in [
        ("/", ""),
        ("/?a=b&c", ""),
        ("/own", ""),
        ("/many", "cookie: a=b\r\n"),
        ("/large", ""),
        ("/vary", "accept-language: de, en\r\n"),
        ("/vary", "accept-language: fr\r\n"),
    ] {
        let visits = origin.visits();
        let [short, long] = both_ways(&node, path, fields);
        assert_eq!(origin.visits(), visits + 1, "{path} {fields}");
        let seen = |answer: &Answer| {
            let unlike = |name: &str| matches!(name, "x-request-id" | "connection" | "cache-status" | "age");
            let fields = answer.headers().filter(|(name, _)| !unlike(name));
            let mut fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
            fields.sort();
            (answer.status, fields, answer.body.clone())
        };
        assert_eq!(seen(&short), seen(&long), "{path} {fields}");
        assert_ne!(short.header("x-request-id"), long.header("x-request-id"));
        for answer in [&short, &long] {
            let count = |wanted: &str| answer.headers().filter(|(name, _)| *name == wanted).count();
            assert_eq!((count("x-request-id"), count("age")), (1, 1), "{path}");
            let hit = answer.headers().filter(|(name, _)| *name == "cache-status").last().expect("a status").1;
            assert!(hit.starts_with("selvedge; hit; ttl="), "{path}: {hit}");
        }
    }
}

#[test]
fn what_a_client_asks_beside_is_not_answered_the_short_way() {
    let place = Place::new();
    let origin = counting("cache-control: max-age=60\r\netag: \"e\"\r\n");
    let node = node(&place, &origin, "");
    check(&node, "/", "0");
    for (fields, status) in [
        ("if-none-match: \"e\"\r\n", 304),
        ("range: bytes=0-0\r\n", 206),
        ("if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 304),
        ("cache-control: only-if-cached\r\n", 200),
    ] {
        let [first, second] = both_ways(&node, "/", fields);
        assert_eq!((first.status, second.status), (status, status), "{fields}");
    }
    let [again, _] = both_ways(&node, "/", "Cache-Control: no-cache\r\n");
    assert_eq!(again.text(), "2", "each asked the origin");
    place.on_data(&["purge", "edge", "--all"]).expect_success();
    let visits = origin.visits();
    let [short, long] = both_ways(&node, "/", "");
    assert_eq!((short.text(), long.text()), (visits.to_string(), visits.to_string()), "nothing of before the purge");
}

#[test]
fn random_requests_are_answered_alike_on_both_ways() {
    const PATHS: [&str; 8] = ["/a", "/b?x=1", "/b?x=2&y", "/vary", "/cookie", "/private", "/stale", "/gone"];
    const FIELDS: [&str; 18] = [
        "",
        "accept-language: de\r\n",
        "Accept-Language:  en ,de\r\n",
        "accept-language: en\r\naccept-language: de\r\n",
        "accept-encoding: gzip\r\n",
        "cookie: a=1\r\n",
        "cookie: a=1\r\nCookie: b=2\r\n",
        "user-agent: \u{e9}\r\n",
        "x-forwarded-for: 6.6.6.6\r\nforwarded: for=x\r\nx-original-url: /b\r\n",
        "if-none-match: \"e\"\r\n",
        "if-none-match: *\r\n",
        "range: bytes=1-2\r\n",
        "range: bytes=1-2\r\nif-range: \"e\"\r\n",
        "cache-control: max-age=0\r\n",
        "pragma: no-cache\r\n",
        "authorization: Basic eA==\r\n",
        "content-length: 0\r\n",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-request-id: mine\r\n",
    ];
    let place = Place::new();
    // The same answer to the same question, whenever it is asked.
    let origin = Origin::start(|seen, stream| {
        let language = seen.head.lines().find(|line| line.starts_with("accept-language:")).unwrap_or_default();
        let fields = match seen.target.as_str() {
            "/vary" => "cache-control: max-age=600\r\nvary: Accept-Language, Accept-Encoding\r\netag: \"e\"\r\n",
            "/cookie" => "cache-control: public, max-age=600\r\nvary: cookie, x-forwarded-proto\r\nset-cookie: s=1\r\n",
            "/private" => "cache-control: private\r\n",
            "/stale" => "cache-control: max-age=0\r\netag: \"e\"\r\n",
            _ => "cache-control: max-age=600\r\netag: \"e\"\r\nx-odd: \u{e9}\r\n",
        };
        let body = if seen.target == "/vary" { format!("{} {language}", seen.target) } else { seen.target.clone() };
        send(stream, fields, &body);
    });
    let node = node(&place, &origin, "");
    let mut draw = draws(1);
    let mut hits = 0;
    for _ in 0..300 {
        let path = PATHS[draw(PATHS.len())];
        let fields = (0..draw(3)).map(|_| FIELDS[draw(FIELDS.len())]).collect::<Vec<_>>().concat();
        let [short, long] = both_ways(&node, path, &fields);
        let seen = |answer: &Answer| {
            let unlike = |name: &str| matches!(name, "x-request-id" | "connection" | "age" | "date");
            let alike = |name: &str, value: &str| match name {
                // The seconds that are left may be one less.
                "cache-status" => value.split("ttl=").next().unwrap_or_default().to_owned(),
                _ => value.to_owned(),
            };
            let fields = answer.headers().filter(|(name, _)| !unlike(name));
            let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), alike(name, value))).collect();
            fields.sort();
            (answer.status, fields, answer.body.clone())
        };
        assert_eq!(seen(&short), seen(&long), "{path} {fields:?}");
        hits += usize::from(short.header("cache-status").is_some_and(|status| status.contains("; hit")));
    }
    assert!((100..300).contains(&hits), "{hits} of 300 were hits");
}

/// What stands in front of the cache stands in front of the short way too.
#[test]
fn a_route_with_rules_takes_the_long_way() {
    let place = Place::new();
    let origin = counting("cache-control: max-age=600\r\n");
    let manifest = format!(
        r#"
name = "edge"
[upstreams.origin]
targets = ["http://{}"]
[workers.gate]
entry = "gate.js"
egress = []
[[routes]]
match = "/*"
upstream = "origin"
[[routes]]
match = "/gated/*"
upstream = "origin"
middleware = [{{ worker = "gate", position = "request" }}]
[[routes]]
match = "/fields/*"
upstream = "origin"
response_headers = {{ set = {{ x-rule = "on" }} }}
[[routes]]
match = "/closed/*"
upstream = "origin"
maintenance = {{ page = "closed", allow = {{ header = {{ x-key = "k" }} }} }}
"#,
        origin.address
    );
    let gate = "export default { async fetch(request) {
        const answer = new Response((await fetch(request)).body);
        answer.headers.set('x-gate', String(Math.random()));
        return answer;
    } };";
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("gate.js", gate)]));
    let [first, second] = both_ways(&node, "/gated/a", "");
    assert!(first.header("x-gate").is_some() && first.header("x-gate") != second.header("x-gate"), "it ran each time");
    for answer in both_ways(&node, "/fields/a", "") {
        assert_eq!(answer.header("x-rule"), Some("on"));
    }
    for answer in both_ways(&node, "/closed/a", "x-key: k\r\n") {
        assert_eq!(answer.status, 200);
    }
    for answer in both_ways(&node, "/closed/a", "") {
        assert_eq!((answer.status, answer.text().as_str()), (503, "closed"));
    }
    assert_eq!(origin.visits(), 3, "each of them is in the cache");
}

#[test]
fn a_purge_that_can_hit_nothing_says_so() {
    let place = Place::new();
    let origin = Origin::start(|_, stream| send(stream, "cache-control: max-age=60\r\n", "kept"));
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"a.example/*\"\n\
         upstream = \"origin\"\n[[routes]]\nmatch = \"*.b.example/*\"\nupstream = \"origin\"\n",
        origin.address
    );
    let node = place.serve_project(&place.project("project", &[("selvedge.toml", &manifest)]));
    let purge = |args: &[&str]| place.on_data(&[&["purge"], args].concat());
    for args in [&["other", "--all"][..], &["other", "--url", "http://a.example/"]] {
        let said = purge(args).expect_failure();
        assert!(said.contains("unknown_app"), "{said}");
    }
    let said = place.on_data(&["cache", "stats", "other"]).expect_failure();
    assert!(said.contains("unknown_app"), "{said}");
    for url in ["/x", "a.example/x", "ftp://a.example/", "http://"] {
        let said = purge(&["edge", "--url", url]).expect_failure();
        assert!(said.contains("is no URL of a page"), "{said}");
        let said = purge(&["edge", "--prefix", url]).expect_failure();
        assert!(said.contains("is no URL of a page"), "{said}");
    }
    for url in ["http://c.example/", "http://b.example/", "http://a.example.evil/x"] {
        for how in ["--url", "--prefix"] {
            let said = purge(&["edge", how, url]).expect_failure();
            assert!(said.contains("its hosts are: ") && said.contains("a.example"), "{said}");
        }
    }
    for host in ["a.example", "x.b.example", "edge.localhost"] {
        let url = format!("http://{host}/");
        assert_eq!(purge(&["edge", "--url", &url]).expect_success(), "purged 0 responses\n");
    }
    assert_eq!(purge(&["edge", "--prefix", "http://a.ex"]).expect_success(), "purged 0 responses\n");
    node.send(&Request::get("/").header("host", "a.example")).expect(200);
    let mut command = place.command(["purge", "edge", "--url", "https://a.example/", "--data"]);
    let output = command.arg(place.data()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("something is under http://a.example/"), "{said}");
    assert_eq!(purge(&["edge", "--url", "HTTP://A.example"]).expect_success(), "purged 1 response\n");
}
