//! Raw bytes in, exact answers out, over real sockets.

use std::cell::RefCell;

use base::{BodyError, NodeLimits, Problem};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use tokio::net::TcpStream;

use super::*;
use crate::ListenOptions;

mod at_once;
mod floods;
mod from_hand;
mod h2_smuggling;
mod http3;
mod proxied;
mod raw_h2;
mod resting;
mod secured;

/// What the service saw.
type Seen = Rc<RefCell<Vec<String>>>;

struct Node {
    address: SocketAddr,
    seen: Seen,
    /// The cookies that the service saw.
    cookies: Seen,
    refusals: Seen,
    counts: Arc<ConnectionCounts>,
    stop: RefCell<Option<oneshot::Sender<()>>>,
    done: RefCell<Option<tokio::task::JoinHandle<usize>>>,
}

/// Answers with what it was asked, and the body it was sent.
async fn echo(seen: Seen, cookies: Seen, request: Request) -> http::Response<Body> {
    let cookie = request.headers.get(http::header::COOKIE).and_then(|value| value.to_str().ok());
    cookies.borrow_mut().extend(cookie.map(str::to_owned));
    if request.path() == "/peer" {
        return http::Response::new(Body::full(request.peer.to_string()));
    }
    if request.path() == "/secured" {
        return http::Response::new(Body::full(format!("{:?}", request.secured)));
    }
    let line = format!("{} {} at {}", request.method, request.path_and_query, request.host());
    seen.borrow_mut().push(line.clone());
    if request.path() == "/never" {
        std::future::pending::<()>().await;
    }
    if request.path() == "/unread" {
        return http::Response::new(Body::full("unread"));
    }
    if request.path() == "/large" {
        return http::Response::new(Body::full(vec![b'x'; 32 << 20]));
    }
    match request.body.collect(10 << 20).await {
        Ok(body) => http::Response::new(Body::full([line.as_bytes(), b" ", &body].concat())),
        Err(BodyError { code, detail }) => {
            seen.borrow_mut().push(format!("{}: {detail}", code.name));
            Problem::new(code).detail(detail).into_response("")
        }
    }
}

fn with_node(limits: NodeLimits, test: impl AsyncFnOnce(Rc<Node>)) {
    with_reception(limits, Reception::default(), test);
}

fn with_reception(limits: NodeLimits, reception: Reception, test: impl AsyncFnOnce(Rc<Node>)) {
    with_server(limits, reception, |_, _, _, _| {}, test);
}

/// `begin` may let the server serve by another way beside its listener.
fn with_server(
    limits: NodeLimits,
    reception: Reception,
    begin: impl FnOnce(&NodeLimits, &Rc<Server>, &Seen, &Seen),
    test: impl AsyncFnOnce(Rc<Node>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener =
            Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &ListenOptions::default()).unwrap().remove(0);
        let listener = listener.with(&Arc::new(reception));
        let address = listener.address().tcp().unwrap();
        let (seen, cookies, refusals) = (Seen::default(), Seen::default(), Seen::default());
        let counts = ConnectionCounts::new(&limits);
        let told = refusals.clone();
        let on_refusal: OnRefusal =
            Box::new(move |_, code, detail| told.borrow_mut().push(format!("{}: {detail}", code.name)));
        let server = Server::new(ServerLimits::from(&limits), counts.clone(), on_refusal);
        begin(&limits, &server, &seen, &cookies);
        let (stop, stopped) = oneshot::channel::<()>();
        let service = {
            let (seen, cookies) = (seen.clone(), cookies.clone());
            move |request| echo(seen.clone(), cookies.clone(), request)
        };
        let stopped = async { drop(stopped.await) };
        let done = tokio::task::spawn_local(async move { server.run(vec![listener], service, stopped).await.unwrap() });
        let (stop, done) = (RefCell::new(Some(stop)), RefCell::new(Some(done)));
        let node = Rc::new(Node { address, seen, cookies, refusals, counts, stop, done });
        test(node).await;
    });
}

impl Node {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    fn stop(&self) {
        drop(self.stop.take());
    }

    async fn drained(&self) -> usize {
        let done = self.done.take().unwrap();
        done.await.unwrap()
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// Reads one response that has a content-length.
async fn read_one(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let byte = stream.read_u8().await.expect("a response");
        bytes.push(byte);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn is_problem(answer: &str, status: u16, code: &str, detail: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    assert!(body.contains(&format!("\"detail\":\"{detail}\"")), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "one answer: {answer}");
}

#[test]
fn what_is_refused_says_that_no_cache_had_a_part_in_it() {
    with_node(NodeLimits::default(), async |node| {
        for (sent, code) in [
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\n\r\n".to_owned(), "bad_request"),
            ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n".to_owned(), "bad_request"),
            ("GET /../x HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "bad_path"),
            ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "method_not_allowed"),
            (format!("GET /{} HTTP/1.1\r\n", "x".repeat(70_000)), "uri_too_long"),
        ] {
            let answer = node.exchange(sent.as_bytes()).await;
            assert!(answer.contains(&format!("cache-status: selvedge; detail={code}\r\n")), "{answer}");
        }
    });
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order() {
    with_node(NodeLimits::default(), async |node| {
        let post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
        let chunked = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let answer = node.exchange(format!("{GET}{post}{chunked}{LAST}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 4, "{answer}");
        assert!(answer.contains("POST /b at h body") && answer.contains("POST /c at h abc"), "{answer}");
        assert_eq!(*node.seen.borrow(), ["GET /a at h", "POST /b at h", "POST /c at h", "GET /last at h"]);
    });
}

#[test]
fn a_head_that_comes_byte_by_byte_is_served() {
    with_node(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        for byte in format!("{GET}{LAST}").as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = read_all(&mut stream).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    });
}

#[test]
fn ambiguous_framing_is_refused_and_nothing_behind_it_is_served() {
    let cases = [
        ("Content-Length: 4\r\nContent-Length: 5\r\n", "the request has two Content-Length fields"),
        ("Content-Length: 4\r\nContent-Length: 4\r\n", "the request has two Content-Length fields"),
        ("Content-Length: 4, 4\r\n", "Content-Length is not a number of bytes"),
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "the request has both Content-Length and Transfer-Encoding",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "the request has both Content-Length and Transfer-Encoding",
        ),
        ("Transfer-Encoding: xchunked\r\n", "the only Transfer-Encoding served is chunked"),
        ("Transfer-Encoding: gzip, chunked\r\n", "the only Transfer-Encoding served is chunked"),
        ("Transfer-Encoding : chunked\r\n", "the name of a field is not a token"),
        ("X: a\r\n Transfer-Encoding: chunked\r\n", "a field continues on a second line (obs-fold)"),
        ("X: a\nTransfer-Encoding: chunked\r\n", "a line of the head ends in LF without CR"),
        ("Host: other\r\n", "the request has two Host fields"),
    ];
    with_node(NodeLimits::default(), async |node| {
        for (fields, detail) in cases {
            let bytes = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n0\r\n\r\n{SMUGGLED}{SMUGGLED}");
            is_problem(&node.exchange(bytes.as_bytes()).await, 400, "bad_request", detail);
        }
        let bytes = format!("GET / HTTP/1.1\r\n\r\n{SMUGGLED}");
        is_problem(&node.exchange(bytes.as_bytes()).await, 400, "bad_request", "the request has no Host field");
        assert!(node.seen.borrow().is_empty(), "{:?}", node.seen);
        assert_eq!(node.refusals.borrow().len(), cases.len() + 1);
    });
}

#[test]
fn a_refused_request_does_not_cost_the_ones_before_it_their_answers() {
    with_node(NodeLimits::default(), async |node| {
        let bad = "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n";
        let answer = node.exchange(format!("{GET}{GET}{bad}{SMUGGLED}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
        let last = &answer[answer.rfind("HTTP/1.1").unwrap()..];
        is_problem(last, 400, "bad_request", "the request has two Host fields");
        assert_eq!(*node.seen.borrow(), ["GET /a at h", "GET /a at h"]);
    });
}

#[test]
fn paths_and_targets_are_normalised_or_refused() {
    with_node(NodeLimits::default(), async |node| {
        let get = |target: &str, host: &str| {
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
        };
        for (target, detail) in [
            ("/\0", "the byte 0x00 can't stand in a target"),
            ("/a#b", "the byte 0x23 can't stand in a target"),
            ("/..", "the path leaves the root"),
            ("/a/%2e%2e/%2E%2e/etc", "the path leaves the root"),
            ("/a%00b", "a path can't hold NUL or control characters"),
            ("/a\\\\b", "a backslash can't stand in a path; write %5C"),
            ("*", "the asterisk form of a target is not served"),
        ] {
            is_problem(&node.exchange(&get(target, "h")).await, 400, "bad_path", detail);
        }
        for host in ["", "a b", "a@b", "[::1"] {
            let answer = node.exchange(&get("/", host)).await;
            is_problem(&answer, 400, "bad_request", "the host is not a host name");
        }
        is_problem(
            &node.exchange(b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n").await,
            405,
            "method_not_allowed",
            "TRACE is not served",
        );
        is_problem(
            &node.exchange(b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n").await,
            405,
            "method_not_allowed",
            "CONNECT is not served",
        );
        assert!(node.seen.borrow().is_empty(), "{:?}", node.seen);

        node.exchange(&get("http://Target.example:80/x/../y?q=..", "other")).await;
        node.exchange(&get("/a/./b%2F..%2fc", "H.")).await;
        assert_eq!(*node.seen.borrow(), ["GET /y?q=.. at target.example", "GET /a/b%2F..%2fc at h"]);
    });
}

#[test]
fn heads_beyond_a_limit_are_refused_before_they_end() {
    let limits = NodeLimits { header_bytes: 4096, uri_bytes: 256, header_count: 8, ..Default::default() };
    with_node(limits, async |node| {
        let long = "x".repeat(300);
        let answer = node.exchange(format!("GET /{long}").as_bytes()).await;
        is_problem(&answer, 414, "uri_too_long", "the target has more than 256 bytes (uri_bytes)");
        let many = "X: y\r\n".repeat(9);
        let answer = node.exchange(format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n").as_bytes()).await;
        is_problem(&answer, 431, "headers_too_large", "the request has more than 8 fields (header_count)");
        let answer = node.exchange(format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "y".repeat(5000)).as_bytes()).await;
        is_problem(
            &answer,
            431,
            "headers_too_large",
            "the head of the request has more than 4096 bytes (header_bytes)",
        );
        let full = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: {}\r\n\r\n", "y".repeat(4000));
        assert!(node.exchange(full.as_bytes()).await.starts_with("HTTP/1.1 200"), "within the limit");
    });
}

#[test]
fn a_head_that_does_not_end_in_time_is_refused() {
    with_node(NodeLimits { header_ms: 30, ..Default::default() }, async |node| {
        let answer = node.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nX: ").await;
        is_problem(&answer, 408, "request_timeout", "the head did not arrive within header_ms");
        assert_eq!(node.exchange(b"").await, "", "a client that says nothing gets no answer");
        assert_eq!(node.exchange(b"PRI * HTTP").await, "");
        let mut stream = node.connect().await;
        stream.write_all(format!("{GET}GET /b").as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        is_problem(
            &answer[answer.rfind("HTTP/1.1").unwrap()..],
            408,
            "request_timeout",
            "the head did not arrive within header_ms",
        );
    });
}

#[test]
fn an_unused_connection_is_closed() {
    with_node(NodeLimits { idle_ms: 30, ..Default::default() }, async |node| {
        let answer = node.exchange(GET.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("GET /a at h "), "{answer}");
    });
}

#[test]
fn a_body_that_stands_still_or_lies_ends_with_an_error() {
    with_node(NodeLimits { body_idle_ms: 30, ..Default::default() }, async |node| {
        let head = "POST / HTTP/1.1\r\nHost: h\r\n";
        let slow = node.exchange(format!("{head}Content-Length: 9\r\n\r\nabc").as_bytes()).await;
        assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
        let lie = format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n{SMUGGLED}");
        let lie = node.exchange(lie.as_bytes()).await;
        assert!(lie.starts_with("HTTP/1.1 400 "), "{lie}");
        assert!(lie.contains("the chunked body is malformed: a chunk is longer than its size"), "{lie}");
        assert_eq!(node.seen.borrow().iter().filter(|line| line.contains("smuggled")).count(), 0);
    });
}

#[test]
fn a_body_nobody_reads_does_not_destroy_the_answer() {
    with_node(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        stream.write_all(b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("unread"), "{answer}");
    });
}

#[test]
fn a_client_that_takes_nothing_does_not_hold_its_connection() {
    with_node(NodeLimits { write_idle_ms: 30, ..Default::default() }, async |node| {
        let mut stream = node.connect().await;
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        while node.seen.borrow().is_empty() || node.counts.open() > 0 {
            tokio::task::yield_now().await;
        }
        drop(stream);
    });
}

#[test]
fn connections_beyond_a_limit_hear_why() {
    with_node(NodeLimits { connections_per_address: 1, ..Default::default() }, async |node| {
        let mut first = node.connect().await;
        first.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut first).await;
        let answer = node.exchange(GET.as_bytes()).await;
        is_problem(
            &answer,
            503,
            "node_overloaded",
            "this address has 1 connections, which is its limit (connections_per_address)",
        );
        assert_eq!((node.counts.open(), node.counts.refused()), (1, 1));
    });
}

/// Fires when it is dropped.
struct Bell(Option<oneshot::Sender<()>>);

impl Drop for Bell {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    for request in [GET, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"] {
        local.block_on(&runtime, async {
            let limits = NodeLimits::default();
            let options = ListenOptions::default();
            let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &options).unwrap().remove(0);
            let address = listener.address().tcp().unwrap();
            let server = Server::new((&limits).into(), ConnectionCounts::new(&limits), Box::new(|_, _, _| ()));
            let (rang, ring) = oneshot::channel();
            let (entered, enter) = oneshot::channel();
            let bell = Rc::new(RefCell::new(Some((Bell(Some(rang)), entered))));
            let service = move |request: Request| {
                let (bell, entered) = bell.take().unwrap();
                async move {
                    let _bell = bell;
                    let mut body = request.body;
                    if !body.is_empty() {
                        body.frame().await.unwrap().unwrap();
                    }
                    entered.send(()).unwrap();
                    let _ = body.frame().await;
                    std::future::pending().await
                }
            };
            tokio::task::spawn_local(server.run(vec![listener], service, std::future::pending()));
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            enter.await.unwrap();
            drop(stream);
            ring.await.expect("the request's future is dropped");
        });
    }
}

#[test]
fn a_drain_finishes_what_has_begun_and_tells_the_rest_to_close() {
    with_node(NodeLimits::default(), async |node| {
        let mut busy = node.connect().await;
        busy.write_all(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo").await.unwrap();
        let mut kept = node.connect().await;
        kept.write_all(GET.as_bytes()).await.unwrap();
        read_one(&mut kept).await;
        while node.seen.borrow().len() < 2 {
            tokio::task::yield_now().await;
        }
        let unused = node.connect().await;
        node.stop();
        kept.write_all(GET.as_bytes()).await.unwrap();
        let answer = read_all(&mut kept).await;
        assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("connection: close"), "{answer}");
        busy.write_all(b"dy").await.unwrap();
        let answer = read_all(&mut busy).await;
        assert!(answer.ends_with("POST /a at h body"), "{answer}");
        assert_eq!(node.drained().await, 0);
        drop(unused);
        assert!(TcpStream::connect(node.address).await.is_err(), "nobody listens any more");
    });
}

#[test]
fn a_drain_cuts_what_does_not_end() {
    with_node(NodeLimits { drain_ms: 30, ..Default::default() }, async |node| {
        let mut stream = node.connect().await;
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        while node.seen.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        node.stop();
        assert_eq!(read_all(&mut stream).await, "");
        assert_eq!(node.drained().await, 1);
    });
}

async fn h2(node: &Node) -> hyper::client::conn::http2::SendRequest<Body> {
    let stream = hyper_util::rt::TokioIo::new(node.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    tokio::task::spawn_local(connection);
    sender
}

#[test]
fn http2_with_prior_knowledge_is_served() {
    with_node(NodeLimits::default(), async |node| {
        let mut sender = h2(&node).await;
        let request = |uri: &str, body: &'static [u8]| {
            http::Request::post(uri).body(Body::full(Bytes::from_static(body))).unwrap()
        };
        let response = sender.send_request(request("http://H:80/x/../a", b"body")).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "POST /a at h body");
        let response = sender.send_request(request("http://h/..", b"")).await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let mut disagree = request("http://h/", b"");
        disagree.headers_mut().insert("host", "other".parse().unwrap());
        assert_eq!(sender.send_request(disagree).await.unwrap().status(), 400);
    });
}

#[test]
fn an_http2_connection_drains_and_idles_out() {
    with_node(NodeLimits { idle_ms: 30, ..Default::default() }, async |node| {
        let mut sender = h2(&node).await;
        sender.send_request(http::Request::get("http://h/").body(Body::empty()).unwrap()).await.unwrap();
        while !sender.is_closed() {
            tokio::task::yield_now().await;
        }
    });
    with_node(NodeLimits::default(), async |node| {
        let mut sender = h2(&node).await;
        let pending = sender.send_request(http::Request::get("http://h/never").body(Body::empty()).unwrap());
        let pending = tokio::task::spawn_local(pending);
        while node.seen.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        node.stop();
        pending.abort();
        assert_eq!(node.drained().await, 0, "the client left, so the drain ends");
    });
}

#[test]
fn an_http2_client_that_only_gives_up_requests_is_cut() {
    with_node(NodeLimits::default(), async |node| {
        let mut sender = h2(&node).await;
        let mut given_up = 0;
        while !sender.is_closed() && given_up < 10_000 {
            if sender.ready().await.is_err() {
                break;
            }
            let seen = node.seen.borrow().len();
            let request = http::Request::get("http://h/never").body(Body::empty()).unwrap();
            let pending = tokio::task::spawn_local(sender.send_request(request));
            while node.seen.borrow().len() == seen && !pending.is_finished() {
                tokio::task::yield_now().await;
            }
            pending.abort();
            given_up += 1;
        }
        assert!((200..400).contains(&given_up), "{given_up}");
    });
}
