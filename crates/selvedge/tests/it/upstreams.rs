//! Upstreams whose servers fail, are slow, or go away: what a client notices.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use crate::harness::{Node, Place, Request, until, write};
use crate::listeners;
use crate::proxy::{Origin, send};
use crate::sockets::{Frame, Socket};

/// A server that says who it is, and fails when it is told to.
struct Flaky {
    origin: Origin,
    fails: Arc<AtomicBool>,
}

impl Flaky {
    fn start(name: &'static str) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let told = fails.clone();
        let origin = Origin::start(move |_, stream| {
            if told.load(Ordering::SeqCst) {
                let _ = stream.write_all(b"HTTP/1.1 503 Away\r\ncontent-length: 4\r\nconnection: close\r\n\r\naway");
            } else {
                send(stream, "", name);
            }
        });
        Self { origin, fails }
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }
}

/// A port where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address")
}

fn node(place: &Place, targets: &[SocketAddr], settings: &str) -> Node {
    let targets: Vec<_> = targets.iter().map(|address| format!("\"http://{address}\"")).collect();
    node_of(place, &targets.join(", "), settings)
}

fn node_of(place: &Place, targets: &str, settings: &str) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\ncache = false\n[upstreams.origin]\n\
         targets = [{targets}]\n{settings}\n"
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest)]))
}

#[test]
fn a_server_that_fails_is_left_alone_and_comes_back() {
    let place = Place::new();
    let (a, b) = (Flaky::start("a"), Flaky::start("b"));
    let limits = "limits = { eject_failures = 3, eject_ms = 1_000 }";
    let node = node(&place, &[a.origin.address, b.origin.address], limits);
    assert_eq!([node.get("/").text(), node.get("/").text()], ["a", "b"]);
    a.fail(true);
    let mut failed = 0;
    until("it is ejected", || {
        let before = a.origin.visits();
        let answers = [node.get("/").text(), node.get("/").text()];
        failed += answers.iter().filter(|text| *text == "away").count();
        (a.origin.visits() == before).then_some(())
    });
    assert!((3..=4).contains(&failed), "{failed} requests failed before it was left alone");
    a.fail(false);
    until("it is back", || (node.get("/").expect(200).text() == "a").then_some(()));
}

#[test]
fn only_what_is_safe_goes_out_again() {
    let place = Place::new();
    let broken = Origin::start(|_, _| {});
    let well = Flaky::start("well");
    let targets = [broken.address, well.origin.address];
    let node = node(&place, &targets, "limits = { eject_failures = 0 }");
    for _ in 0..6 {
        assert_eq!(node.get("/").expect(200).text(), "well");
    }
    let statuses: Vec<_> = (0..4).map(|_| node.send(&Request::post("/", "once")).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 502).count(), 2, "{statuses:?}");
}

#[test]
fn what_did_not_reach_a_server_goes_to_another() {
    let place = Place::new();
    let well = Flaky::start("well");
    let node = node(&place, &[nobody(), well.origin.address], "limits = { eject_failures = 0 }");
    for _ in 0..4 {
        assert_eq!(node.send(&Request::post("/", "body")).expect(200).text(), "well");
    }
    assert_eq!(well.origin.visits(), 4);
}

#[test]
fn a_status_is_worth_another_try_where_the_manifest_says_so() {
    let place = Place::new();
    let (a, b) = (Flaky::start("a"), Flaky::start("b"));
    a.fail(true);
    let settings = "retry_on = [503]\nlimits = { eject_failures = 0 }";
    let node = node(&place, &[a.origin.address, b.origin.address], settings);
    for _ in 0..4 {
        assert_eq!(node.get("/").expect(200).text(), "b");
    }
    b.fail(true);
    assert_eq!(node.get("/").expect(503).text(), "away", "what there is in the end");
}

#[test]
fn a_server_whose_checks_fail_gets_no_requests() {
    let place = Place::new();
    let (up, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (told, counted) = (up.clone(), asked.clone());
    let a = Origin::start(move |seen, stream| {
        if seen.target == "/healthz" && !told.load(Ordering::SeqCst) {
            let _ = stream.write_all(b"HTTP/1.1 500 Ill\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return;
        }
        counted.fetch_add(usize::from(seen.target != "/healthz"), Ordering::SeqCst);
        send(stream, "", "a");
    });
    let b = Flaky::start("b");
    let settings = "health = { path = \"/healthz\" }\nlimits = { check_interval_ms = 20, checks_down = 2 }";
    let node = node(&place, &[a.address, b.origin.address], settings);
    up.store(false, Ordering::SeqCst);
    node.wait_for_stderr("was healthy and is down");
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(node.get("/").expect(200).text(), "b");
    }
    assert_eq!(asked.load(Ordering::SeqCst), before);
    up.store(true, Ordering::SeqCst);
    until("it is back", || (node.get("/").expect(200).text() == "a").then_some(()));
}

#[test]
fn equal_keys_go_to_the_same_server() {
    let place = Place::new();
    let servers = [Flaky::start("a"), Flaky::start("b"), Flaky::start("c")];
    let targets = servers.each_ref().map(|server| server.origin.address);
    for balance in ["ketama", "maglev"] {
        let settings = format!("balance = \"{balance}\"\nhash = \"header:x-tenant\"");
        let node = node(&place, &targets, &settings);
        let ask =
            |tenant: usize| node.send(&Request::get("/").header("x-tenant", &tenant.to_string())).expect(200).text();
        let homes: Vec<_> = (0..12).map(ask).collect();
        assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");
        assert_eq!((0..12).map(ask).collect::<Vec<_>>(), homes);
    }
}

#[test]
fn a_cookie_binds_a_client_to_its_server() {
    let place = Place::new();
    let (a, b) = (Flaky::start("a"), Flaky::start("b"));
    let settings = "sticky = \"home\"\nlimits = { eject_failures = 1 }";
    let node = node(&place, &[a.origin.address, b.origin.address], settings);
    let first = node.get("/").expect(200);
    let cookie = first.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let bound = Request::get("/").header("cookie", &format!("x=y; {cookie}"));
    for _ in 0..5 {
        let answer = node.send(&bound).expect(200);
        assert_eq!(answer.text(), first.text());
        assert_eq!(answer.header("set-cookie"), None);
    }
    let home = if first.text() == "a" { &a } else { &b };
    home.fail(true);
    node.send(&bound).expect(503);
    let moved = node.send(&bound).expect(200);
    assert_ne!(moved.text(), first.text());
    assert!(moved.header("set-cookie").is_some(), "it is bound anew");
}

#[test]
fn each_time_has_its_own_end() {
    let places = [(); 3].map(|()| Place::new());
    let slow = Origin::start(|seen, stream| {
        if seen.target == "/pause" {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234");
        }
        // Until the other side gives up.
        let _ = stream.read(&mut [0; 1]);
    });
    let first = node(&places[0], &[slow.address], "limits = { first_byte_ms = 30 }");
    let problem = first.get("/").expect_problem(504, "upstream_timeout");
    assert!(problem["detail"].to_string().contains("first_byte_ms"), "{problem}");
    let total = node(&places[1], &[slow.address], "limits = { total_ms = 30 }");
    let problem = total.get("/").expect_problem(504, "upstream_timeout");
    assert!(problem["detail"].to_string().contains("total_ms"), "{problem}");
    let between = node(&places[2], &[slow.address], "limits = { between_bytes_ms = 30 }");
    let broken = Request::get("/pause").send(between.address);
    assert!(broken.is_err() || broken.is_ok_and(|answer| answer.text() != "0123456789"), "it broke off");
    between.wait_for_log("upstream_timeout");
}

#[test]
fn a_try_that_takes_too_long_goes_to_another_server() {
    let place = Place::new();
    let slow = Origin::start(|_, stream| drop(stream.read(&mut [0; 1])));
    let well = Flaky::start("well");
    let node = node(&place, &[slow.address, well.origin.address], "limits = { try_ms = 1_000, eject_failures = 0 }");
    for _ in 0..4 {
        assert_eq!(node.get("/").expect(200).text(), "well");
    }
}

#[test]
fn a_late_answer_gets_another_beside_it() {
    let place = Place::new();
    let late = Arc::new(AtomicBool::new(false));
    let told = late.clone();
    let servers = [(); 2].map(|()| {
        let told = told.clone();
        Origin::start(move |_, stream| {
            if told.swap(false, Ordering::SeqCst) {
                // It never answers; the other one does.
                let _ = stream.read(&mut [0; 1]);
                return;
            }
            send(stream, "", "answer");
        })
    });
    let targets = servers.each_ref().map(|server| server.address);
    let node = node(&place, &targets, "limits = { hedge_percentile = 90, retry_min_per_s = 100 }");
    for _ in 0..40 {
        node.get("/").expect(200);
    }
    for _ in 0..5 {
        late.store(true, Ordering::SeqCst);
        assert_eq!(node.get("/").expect(200).text(), "answer");
    }
}

#[test]
fn an_upstream_that_fails_too_often_is_left_alone() {
    let place = Place::new();
    let a = Flaky::start("a");
    let limits = "limits = { breaker_percent = 50, breaker_requests = 5, breaker_ms = 400 }";
    let node = node(&place, &[a.origin.address], limits);
    a.fail(true);
    for _ in 0..5 {
        node.get("/").expect(503);
    }
    let visits = a.origin.visits();
    let refused = node.get("/");
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(503, "upstream_open");
    assert_eq!(a.origin.visits(), visits, "nothing was sent");
    a.fail(false);
    until("it is tried again", || (node.get("/").status == 200).then_some(()));
}

#[test]
fn too_many_requests_are_refused_where_none_may_wait() {
    let place = Place::new();
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (inside, go) = (entered.clone(), leave.clone());
    let origin = Origin::start(move |_, stream| {
        inside.wait();
        go.wait();
        send(stream, "", "done");
    });
    let node = node(&place, &[origin.address], "limits = { requests = 1, waiting = 0 }");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| node.get("/").expect(200).text());
        entered.wait();
        node.get("/").expect_problem(503, "upstream_busy");
        leave.wait();
        assert_eq!(held.join().expect("an answer"), "done");
    });
}

#[test]
fn requests_wait_for_room() {
    let place = Place::new();
    let inside = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, seen) = (inside.clone(), most.clone());
    let origin = Origin::start(move |_, stream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        now.fetch_sub(1, Ordering::SeqCst);
        send(stream, "", "done");
    });
    let node = node(&place, &[origin.address], "limits = { requests = 1 }");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(node.get("/").expect(200).text(), "done"));
        }
    });
    assert_eq!((origin.visits(), most.load(Ordering::SeqCst)), (16, 1));
}

#[test]
fn an_answer_before_the_request_has_ended_is_passed_on() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\ncontent-length: 6\r\nconnection: close\r\n\r\nenough");
        }
    });
    let node = node(&place, &[address], "");
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\nbegun")
        .expect("a request");
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    while !said.ends_with(b"enough") {
        let read = stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..read]);
    }
    assert!(said.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_websocket_passes() {
    let (behind, before) = (Place::new(), Place::new());
    let echo = r#"export default { fetch(request: Request): Response {
        const { 0: client, 1: server } = new WebSocketPair();
        server.accept();
        server.addEventListener("message", ({ data }) => server.send(data));
        return new Response(null, { status: 101, webSocket: client } as ResponseInit);
    } };"#;
    let origin = behind.dev(&behind.worker(echo));
    let node = node(&before, &[nobody(), origin.address], "");
    for _ in 0..3 {
        let mut socket = Socket::open(node.address, "/");
        socket.send(1, "grüße".as_bytes());
        assert_eq!(socket.read(), Frame::Text("grüße".into()));
        // Larger than a worker's own limit for what it opens.
        let large = vec![7; 900_000];
        socket.send(2, &large);
        assert_eq!(socket.read(), Frame::Binary(large));
    }
}

#[test]
fn a_body_that_is_spooled_goes_out_again_whole() {
    let place = Place::new();
    let broken = Origin::start(|_, _| {});
    let well =
        Origin::start(|seen, stream| send(stream, "", &format!("{} {}", seen.body.len(), seen.body.ends_with("end"))));
    let settings = "limits = { spool_bytes = 4_000_000, eject_failures = 0 }";
    let node = node(&place, &[broken.address, well.address], settings);
    for size in [10, 100_000, 3_000_000] {
        let body = format!("{}end", "x".repeat(size));
        for _ in 0..2 {
            let answer = node.send(&Request::put("/", body.clone().into_bytes())).expect(200);
            assert_eq!(answer.text(), format!("{} true", size + 3));
        }
    }
    let left = std::fs::read_dir(place.data().join("spool")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left behind");
    // Larger than what is kept: it passes as it comes, once.
    let large = vec![b'x'; 5_000_000];
    let statuses: Vec<_> = (0..2).map(|_| node.send(&Request::put("/", large.clone())).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&502), "{statuses:?}");
}

#[test]
fn a_proxy_in_front_is_believed_if_the_listener_says_so() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| send(stream, "", &seen.head));
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/*\"\nupstream = \
         \"origin\"\ncache = false\n",
        origin.address
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    let config = place.path("node.toml");
    write(&config, "[[listeners]]\nlisten = \"127.0.0.1:0\"\nforwarded_from = [\"127.0.0.0/8\"]\n");
    let node = place.serve_with(&["--config", config.to_str().expect("UTF-8")]);
    let said = node.stderr();
    let ports: Vec<&str> = said
        .split("http://127.0.0.1:")
        .skip(1)
        .map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())])
        .collect();
    let request = Request::get("/")
        .at_app("edge")
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "for=192.0.2.7;proto=https");
    // The first is that of the command line, which believes nobody.
    let (plain, trusting) = (ports[0], ports[1]);
    let heads = [plain, trusting].map(|port| {
        let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
        request.send(address).expect("an answer").expect(200).text()
    });
    assert!(!heads[0].contains("192.0.2.7"), "{}", heads[0]);
    for field in [
        "x-forwarded-for: 192.0.2.7, 127.0.0.1\r\n",
        "x-forwarded-proto: https\r\n",
        "forwarded: for=192.0.2.7;proto=https, for=127.0.0.1;",
    ] {
        assert!(heads[1].contains(field), "{field} in {}", heads[1]);
    }
}

#[test]
fn the_state_of_each_target_is_told() {
    let place = Place::new();
    let (a, b) = (Flaky::start("a"), Flaky::start("b"));
    let node =
        node(&place, &[a.origin.address, b.origin.address], "limits = { eject_failures = 1, eject_ms = 600_000 }");
    a.fail(true);
    for _ in 0..4 {
        node.get("/");
    }
    let seen = node.ask_admin(Request::get("/v1/upstreams")).expect(200).json();
    let targets = &seen["items"][0]["targets"];
    assert_eq!((&targets[0]["state"], &targets[1]["state"]), (&"ejected".into(), &"healthy".into()), "{seen}");
    assert_eq!((&targets[0]["failures"], &targets[1]["requests"]), (&1.into(), &3.into()), "{seen}");
    let printed = place.on_data(&["upstreams"]).expect_success();
    assert!(printed.contains("edge/origin") && printed.contains("ejected"), "{printed}");
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    let line = format!(
        "selvedge_upstream_usable{{app=\"edge\",upstream=\"origin\",target=\"http://{}\"}} 0",
        a.origin.address
    );
    assert!(metrics.contains(&line), "{line} in {metrics}");
}

#[test]
fn a_server_proves_who_it_is() {
    let (behind, before) = (Place::new(), Place::new());
    let authority = listeners::Authority::new(&behind);
    authority.issue("a", &["127.0.0.1"]);
    let certificates = "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }";
    let origin = listeners::serve(&behind, &format!("[[listeners]]\nlisten = \"127.0.0.1:0\"\n{certificates}\n"));
    let target = format!("\"https://127.0.0.1:{}\"", listeners::ports(&origin, "https")[0]);
    let ca = std::fs::read_to_string(behind.path("ca.pem")).expect("the authority");
    let trusting = node_of(&before, &target, &format!("[upstreams.origin.tls]\nca = \"\"\"{ca}\"\"\""));
    let answer = trusting.get("/path").expect(200).json();
    assert!(answer["url"].as_str().is_some_and(|url| url.starts_with("https://127.0.0.1")), "{answer}");
    assert_eq!(answer["cf"]["httpProtocol"], "HTTP/2", "{answer}");
    let stranger = Place::new();
    node_of(&stranger, &target, "").get("/path").expect_problem(502, "upstream_tls");
}

/// Says that it is over, even if a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn less_is_sent_to_a_server_that_grows_slower_and_more_when_it_is_well() {
    let place = Place::new();
    let (slow, ended) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let (is_slow, one_at_a_time) = (slow.clone(), Arc::new(Mutex::new(())));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (inside.clone(), most.clone());
    let origin = Origin::start(move |_, stream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Its work: for all at once, and when it is slow for each in its turn.
        let turn = is_slow.load(Ordering::SeqCst).then(|| one_at_a_time.lock().expect("no test panicked"));
        // Long beside what a busy machine adds.
        std::thread::sleep(Duration::from_millis(if turn.is_some() { 50 } else { 120 }));
        drop(turn);
        now.fetch_sub(1, Ordering::SeqCst);
        send(stream, "", "done");
    });
    let node = node(&place, &[origin.address], "limits = { adaptive_max = 24 }");
    let limit = || {
        let seen = node.ask_admin(Request::get("/v1/upstreams")).expect(200).json();
        seen["items"][0]["adaptive_limit"].as_u64().expect("it is learnt")
    };
    assert_eq!(limit(), 20, "nothing is known yet");
    std::thread::scope(|scope| {
        let _over = Over(&ended);
        for _ in 0..32 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    assert_eq!(node.get("/").expect(200).text(), "done");
                }
            });
        }
        until("it is known how long it takes", || (origin.visits() > 200).then_some(()));
        let before = limit();
        slow.store(true, Ordering::SeqCst);
        let less = until("less is sent", || Some(limit()).filter(|less| *less <= before / 2));
        most.store(0, Ordering::SeqCst);
        let visits = origin.visits();
        until("it worked on", || (origin.visits() > visits + 20).then_some(()));
        let then = most.load(Ordering::SeqCst) as u64;
        assert!(then < before, "{then} requests were under way at once, of 32 that waited, and {before} before");
        slow.store(false, Ordering::SeqCst);
        until("more is sent again", || (limit() > less + 2).then_some(()));
    });
}

#[test]
fn servers_are_asked_for_the_host_that_the_manifest_says() {
    for (host, asked, checked) in [
        ("", None, None),
        ("host = \"target\"", None, None),
        ("host = \"Site.example:8080\"", Some("site.example:8080"), Some("site.example:8080")),
        ("host = \"client\"", Some("b.example"), None),
    ] {
        let place = Place::new();
        let checks = Arc::new(Mutex::new(Vec::new()));
        let seen_checks = checks.clone();
        let origin = Origin::start(move |seen, stream| {
            let host = seen.head.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned();
            if seen.target == "/well" {
                seen_checks.lock().expect("no panic").push(host.clone());
            }
            send(stream, "cache-control: max-age=60\r\n", &host);
        });
        let own = origin.address.to_string();
        let settings = format!("{host}\nhealth = {{ path = \"/well\" }}\n");
        let node = node(&place, &[origin.address], &settings);
        for connection in ["", "connection: close\r\n"] {
            let answer = node.exchange(&format!("GET /a HTTP/1.1\r\nhost: b.example\r\n{connection}\r\n")).expect(200);
            assert_eq!(answer.text(), asked.unwrap_or(&own), "{host}");
        }
        let check = until("a health check", || checks.lock().expect("no panic").first().cloned());
        assert_eq!(check, checked.unwrap_or(&own), "{host}");
    }
}

#[test]
fn what_is_about_the_connection_to_a_server_stays_there() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let answer = match seen.target.as_str() {
            "/old" => "HTTP/1.0 200 OK\r\nalt-svc: h3=\":1\"\r\ncontent-length: 3\r\n\r\nold",
            _ => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
        };
        drop(stream.write_all(answer.as_bytes()));
    });
    let node = node(&place, &[origin.address], "limits = { retries = 0 }");
    for connection in ["", "connection: close\r\n"] {
        let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{connection}\r\n");
        let mut stream = std::net::TcpStream::connect(node.address).expect("a connection");
        stream.write_all(request("/old").as_bytes()).expect("written");
        let mut version = [0; 8];
        stream.read_exact(&mut version).expect("an answer");
        assert_eq!(&version, b"HTTP/1.1");
        let old = node.exchange(&request("/old")).expect(200);
        assert_eq!((old.text().as_str(), old.header("alt-svc")), ("old", None));
        node.exchange(&request("/switch")).expect_problem(502, "upstream_protocol");
    }
}

#[test]
fn a_server_behind_a_socket_of_the_file_system_is_asked_and_checked() {
    let place = Place::new();
    let path = place.path("app.sock");
    let settings =
        "health = { path = \"/healthz\" }\nlimits = { check_interval_ms = 20, checks_up = 1, checks_down = 1 }";
    let node = node_of(&place, &format!("\"unix:{}\"", path.display()), settings);
    until("nobody is there", || (node.get("/").status == 502).then_some(()));
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let checked = Arc::new(AtomicUsize::new(0));
    let counted = checked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let is_check = head.starts_with("get /healthz ");
            counted.fetch_add(usize::from(is_check), Ordering::SeqCst);
            let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("none").to_owned();
            let length = host.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{host}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    until("it answers", || (node.get("/").status == 200).then_some(()));
    assert_eq!(node.get("/").text(), "localhost");
    until("it is checked", || (checked.load(Ordering::SeqCst) > 1).then_some(()));
}

#[test]
fn an_answer_of_many_fields_passes_and_one_of_too_many_is_told() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let fields: usize = seen.target.trim_start_matches('/').parse().expect("a number");
        let more: String = (0..fields).map(|number| format!("x-{number}: {number}\r\n")).collect();
        send(stream, &more, "many");
    });
    let node = node(&place, &[origin.address], "");
    let answer = node.get("/200").expect(200);
    assert_eq!(answer.text(), "many");
    assert_eq!(answer.header("x-199"), Some("199"));
    let refused = node.get("/300").expect(502);
    assert!(refused.text().contains("upstream_protocol"), "{}", refused.text());
    assert!(refused.text().contains("at most 256 fields (head_fields)"), "{}", refused.text());
}
