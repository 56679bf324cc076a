//! Requests over real sockets, answered by workers that are closures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Body, BodyError, NodeLimits, WorkerLimits, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Response;
use http_body_util::BodyExt as _;
use manifest::{NotFound, Route};
use telemetry::{InvocationRecord, Phases, Start, Usage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use worker::{Call, Failure, FetchEvent, Frame, Invoker};

use crate::fixture::*;
use crate::{HostMap, Site, SiteParts};

fn limits() -> WorkerLimits {
    WorkerLimits { request_body_bytes: 1000, response_body_bytes: 2000, ..Default::default() }
}

fn fake(f: impl Fn(Call, FetchEvent) -> Reply + Send + Sync + 'static) -> Arc<dyn Invoker> {
    Arc::new(Fake(f))
}

/// Answers by path.
fn worker() -> Arc<dyn Invoker> {
    fake(|call, event| {
        async move {
            let path = event.url.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
            match path.as_str() {
                "throw" => {
                    let mut failure =
                        Failure::new(&code::GUEST_EXCEPTION, "Error: <b>secret</b>").with_stack("at fetch");
                    failure.frame = Some(Frame { file: "index.ts".into(), line: 3, column: 5 });
                    return Err(failure);
                }
                "busy" => {
                    let failure = Failure::new(&code::APP_OVERLOADED, "256 wait already");
                    return Err(failure.with_retry_after_s(7));
                }
                "lost" => return Err(Failure::new(&code::INSTANCE_LOST, "another request ended the instance")),
                "body" => {
                    // What a guest does that does not look at its body's error.
                    let bytes = event.body.collect(usize::MAX).await;
                    let bytes = bytes.map_err(|e| Failure::new(&code::GUEST_EXCEPTION, e.detail))?;
                    return Ok(Response::new(Body::full(format!("{} bytes", bytes.len()))));
                }
                "big" => return Ok(Response::new(Body::full(vec![b'x'; 2001]))),
                "none" => return Ok(Response::builder().status(204).body(Body::full("not allowed")).unwrap()),
                "continue" => return Ok(Response::builder().status(100).body(Body::empty()).unwrap()),
                "hop" => {
                    let response = Response::builder().header("connection", "x-mine").header("x-mine", "1");
                    return Ok(response
                        .header("keep-alive", "1")
                        .header("x-kept", "1")
                        .body(Body::full("hop"))
                        .unwrap());
                }
                _ => {}
            }
            let cold = Start::Cold(Phases { load: std::time::Duration::from_micros(200), ..Default::default() });
            call.record.edit().invocations.push(InvocationRecord {
                worker: "web".into(),
                instance: 7,
                start: cold,
                usage: Usage::default(),
                failure: None,
            });
            let mut text = format!("{} {}\n", event.method, event.url);
            for (name, value) in &event.headers {
                text += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            text += &format!("cf: {}\n", event.cf.as_deref().unwrap_or_default());
            Ok(Response::new(Body::full(text)))
        }
        .boxed_local()
    })
}

fn app(routes: Vec<Route>, worker: Arc<dyn Invoker>) -> HostMap {
    let plan = plan("app", routes, &["example.com"], limits(), NotFound::None);
    HostMap::new([site(plan, worker, no_files())]).unwrap()
}

fn everything() -> HostMap {
    app(vec![route("/*", WORKER)], worker())
}

#[test]
fn a_number_is_written_as_it_is_displayed() {
    for number in [0, 9, 10, 1_024, u64::MAX] {
        let mut out = b"n ".to_vec();
        super::at_once::push_number(&mut out, number);
        assert_eq!(String::from_utf8_lossy(&out), format!("n {number}"));
    }
}

#[test]
fn a_worker_sees_the_request_as_it_was_meant() {
    with_node(everything(), NodeLimits::default(), async |node| {
        let fields = "CF-Connecting-IP: 6.6.6.6\r\nX-Request-Id: mine\r\nKeep-Alive: 1\r\nTE: trailers\r\nX-Other: 1\r\n\
                      traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
        let answer = node.ask("GET /a/../b?q=1", "App.localhost:80", fields, "").await;
        let text = answer.text();
        assert!(text.starts_with("GET http://app.localhost:80/b?q=1\n"), "{text}");
        assert!(text.contains("host: app.localhost:80\n") && text.contains("x-other: 1\n"), "{text}");
        assert!(text.contains("cf-connecting-ip: 127.0.0.1\n") && !text.contains("6.6.6.6"), "{text}");
        assert!(text.contains("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{text}");
        assert!(!text.contains("00f067aa0ba902b7"), "the worker's parent is our span: {text}");
        assert!(text.ends_with("cf: {\"httpProtocol\":\"HTTP/1.1\"}\n"), "{text}");
        for gone in ["keep-alive", "te:", "connection:", "mine"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        let record = node.records(1).await.remove(0);
        assert_eq!(answer.field("x-request-id"), Some(record.request_id.as_str()));
        assert_eq!(record.request_id.len(), 36);
        assert!(answer.field("server-timing").unwrap().starts_with("load;dur=0.200, instantiate;dur="), "{answer:?}");
        assert_eq!((record.app.as_deref(), record.route.as_deref()), (Some("app"), Some("/*")));
        assert_eq!((record.status, record.path.as_str(), record.protocol), (200, "/b", "HTTP/1.1"));
        assert_eq!(record.response_bytes, text.len() as u64);
        assert_eq!((record.code, record.invocations.len()), (None, 1));
    });
}

#[test]
fn failures_are_problem_documents_that_tell_no_secret() {
    with_node(everything(), NodeLimits::default(), async |node| {
        let answer = node.get("/throw", "Accept: text/html\r\n").await;
        assert_eq!((answer.status, answer.code().as_str()), (500, "guest_exception"));
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        let busy = node.get("/busy", "").await;
        assert_eq!((busy.status, busy.code().as_str(), busy.field("retry-after")), (503, "app_overloaded", Some("7")));
        let lost = node.get("/lost", "").await;
        assert_eq!((lost.status, lost.code().as_str(), lost.field("retry-after")), (503, "instance_lost", Some("1")));
        let records = node.records(3).await;
        assert_eq!(records[0].detail.as_deref(), Some("Error: <b>secret</b>\nat fetch"), "the log knows");
        assert_eq!(records[0].code, Some(&code::GUEST_EXCEPTION));
        assert_eq!(node.get("/big", "").await.code(), "response_too_large");
        assert_eq!(node.get("/continue", "").await.code(), "invalid_response");
    });
}

#[test]
fn unknown_hosts_and_paths_have_codes_of_their_own() {
    with_node(app(vec![route("/a/*", WORKER)], worker()), NodeLimits::default(), async |node| {
        assert_eq!(node.get("/a/b", "").await.status, 200);
        assert_eq!(node.get("/b", "").await.code(), "no_route");
        assert_eq!(node.ask("GET /a", "other.localhost", "", "").await.code(), "no_app");
        assert_eq!(node.ask("GET /a", "example.com.", "", "").await.status, 200);
        let refused = node.ask("GET /..", "app.localhost", "", "").await;
        assert_eq!(refused.code(), "bad_path");
        let records = node.records(5).await;
        assert_eq!(records[4].code, Some(&code::BAD_PATH), "what net refuses is logged too");
    });
}

#[test]
fn a_body_beyond_the_limit_is_refused_early_or_when_it_gets_there() {
    with_node(everything(), NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        let head = "POST /body HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 2147483648\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
        assert!(answer.text().contains("the body has 2147483648 bytes, 1000 are allowed (limits.request_body_bytes)"));

        let chunked = format!("3e8\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1000));
        let answer = node.ask("POST /body", "app.localhost", "Transfer-Encoding: chunked\r\n", &chunked).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));

        let fits = "x".repeat(1000);
        let answer = node.ask("POST /body", "app.localhost", "Content-Length: 1000\r\n", &fits).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "1000 bytes"));
        assert_eq!(node.records(3).await[2].request_bytes, 1000);
    });
}

#[test]
fn a_body_that_stops_coming_is_the_clients_fault() {
    with_node(everything(), NodeLimits { body_idle_ms: 20, ..Default::default() }, async |node| {
        let answer = node.ask("POST /body", "app.localhost", "Content-Length: 10\r\n", "abc").await;
        assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
        let answer = node.ask("POST /body", "app.localhost", "Transfer-Encoding: chunked\r\n", "2\r\nabcd").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
    });
}

#[test]
fn responses_are_brought_into_shape() {
    with_node(everything(), NodeLimits::default(), async |node| {
        let none = node.get("/none", "").await;
        assert_eq!((none.status, none.field("content-length"), none.body.len()), (204, None, 0));
        let hop = node.get("/hop", "").await;
        assert_eq!((hop.field("x-mine"), hop.field("keep-alive"), hop.field("x-kept")), (None, None, Some("1")));
        let head = node.ask("HEAD /hop", "app.localhost", "", "").await;
        assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("3"), 0));
    });
}

/// A worker whose response is what a test sends.
fn streaming() -> (HostMap, http_body_util::channel::Sender<Bytes, BodyError>) {
    let (sender, body) = http_body_util::channel::Channel::<Bytes, BodyError>::new(1);
    let body = std::sync::Mutex::new(Some(Body::stream(body)));
    let invoker = fake(move |_, _| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Ok(Response::new(body)) }.boxed_local()
    });
    (app(vec![route("/*", WORKER)], invoker), sender)
}

#[test]
fn a_stream_beyond_the_limit_breaks_off() {
    let (map, mut sender) = streaming();
    with_node(map, NodeLimits::default(), async |node| {
        let send = async { while sender.send_data(Bytes::from(vec![b'x'; 500])).await.is_ok() {} };
        let (answer, ()) = tokio::join!(node.get("/", ""), send);
        assert_eq!(answer.status, 200);
        assert!(!answer.text().ends_with("0\r\n\r\n"), "the client can tell that it is not whole");
        let record = node.records(1).await.remove(0);
        assert_eq!(record.code, Some(&code::RESPONSE_TOO_LARGE));
    });
}

#[test]
fn a_stream_is_counted_to_its_end() {
    let (map, mut sender) = streaming();
    with_node(map, NodeLimits::default(), async |node| {
        let send = async move {
            for piece in ["one", "two"] {
                sender.send_data(Bytes::from_static(piece.as_bytes())).await.unwrap();
            }
        };
        let (answer, ()) = tokio::join!(node.get("/", ""), send);
        assert!(answer.text().contains("one") && answer.text().ends_with("0\r\n\r\n"), "{answer:?}");
        let record = node.records(1).await.remove(0);
        assert_eq!((record.response_bytes, record.code), (6, None));
    });
}

struct Bell(Option<oneshot::Sender<()>>);

impl Drop for Bell {
    fn drop(&mut self) {
        let _ = self.0.take().unwrap().send(());
    }
}

#[test]
fn a_client_that_leaves_drops_the_call_and_the_record_says_so() {
    for body in ["", "abc"] {
        let (rang, ring) = oneshot::channel();
        let (entered, enter) = oneshot::channel();
        let once = std::sync::Mutex::new(Some((Bell(Some(rang)), entered)));
        let invoker = fake(move |_, mut event| {
            let (bell, entered) = once.lock().unwrap().take().unwrap();
            async move {
                let _bell = bell;
                if !event.body.is_empty() {
                    event.body.frame().await.unwrap().unwrap();
                }
                entered.send(()).unwrap();
                let _ = event.body.frame().await;
                std::future::pending().await
            }
            .boxed_local()
        });
        with_node(app(vec![route("/*", WORKER)], invoker), NodeLimits::default(), async |node| {
            let mut stream = node.connect().await;
            let length = if body.is_empty() { "" } else { "Content-Length: 100\r\n" };
            let request = format!("POST / HTTP/1.1\r\nHost: app.localhost\r\n{length}\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            enter.await.unwrap();
            drop(stream);
            ring.await.expect("the call is dropped");
            let record = node.records(1).await.remove(0);
            assert_eq!((record.status, record.code), (0, Some(&code::CLIENT_GONE)));
        });
    }
}

#[test]
fn a_drain_waits_for_work_after_the_response() {
    let (finish, finished) = oneshot::channel::<()>();
    let once = std::sync::Mutex::new(Some(finished));
    let invoker = fake(move |call, _| {
        let finished = once.lock().unwrap().take().unwrap();
        async move {
            // What an engine does for waitUntil: the record is held until the work is done.
            tokio::task::spawn_local(async move {
                let _ = finished.await;
                call.record.edit().detail = Some("after".into());
            });
            Ok(Response::new(Body::full("done")))
        }
        .boxed_local()
    });
    with_node(app(vec![route("/*", WORKER)], invoker), NodeLimits::default(), async |node| {
        assert_eq!(node.get("/", "").await.text(), "done");
        assert_eq!((node.drain.in_flight(), node.records.0.lock().unwrap().len()), (1, 0));
        node.drain.begin();
        let done = node.done.take().unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!done.is_finished(), "the work is in progress");
        finish.send(()).unwrap();
        assert_eq!(done.await.unwrap(), 0);
        assert_eq!(node.records(1).await[0].detail.as_deref(), Some("after"));
    });
}

#[test]
fn a_new_map_holds_for_new_requests_on_old_connections() {
    let answer =
        |text: &'static str| fake(move |_, _| async move { Ok(Response::new(Body::full(text))) }.boxed_local());
    with_node(app(vec![route("/*", WORKER)], answer("one")), NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        for (text, next) in [("one", Some("two")), ("two", None)] {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n").await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(text.as_bytes()) {
                bytes.push(stream.read_u8().await.unwrap());
            }
            if let Some(next) = next {
                node.hosts.publish(app(vec![route("/*", WORKER)], answer(next)));
            }
        }
    });
}

#[test]
fn a_developer_sees_what_happened() {
    let sources = tempfile::tempdir().unwrap();
    std::fs::write(sources.path().join("index.ts"), "a\nb\nthrow it\n").unwrap();
    let parts = SiteParts {
        deployment: "dev".into(),
        plan: Arc::new(plan("app", vec![route("/*", WORKER)], &[], limits(), NotFound::None)),
        workers: vec![worker()],
        assets: vec![no_files()],
        buckets: Vec::new(),
        upstreams: Vec::new(),
        dev: Some(sources.path().to_owned()),
    };
    with_node(HostMap::single(Site::new(parts)), NodeLimits::default(), async |node| {
        let page = node.ask("GET /throw", "anything.test", "Accept: text/html,*/*\r\n", "").await;
        assert_eq!((page.status, page.field("content-type")), (500, Some("text/html; charset=utf-8")));
        let text = page.text();
        assert!(
            text.contains("Error: &lt;b&gt;secret&lt;/b&gt;") && text.contains("<mark>    3 throw it</mark>"),
            "{text}"
        );
        let json = node.ask("GET /throw", "127.0.0.1", "", "").await;
        assert_eq!(json.code(), "guest_exception");
        assert!(json.text().contains("\"source\":\"index.ts:3:5\"") && json.text().contains("\"stack\":\"at fetch\""));
    });
}

#[test]
fn a_fixed_number_of_requests_makes_as_many_records() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let invoker = fake(|_, _| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        async { Ok(Response::new(Body::full("x"))) }.boxed_local()
    });
    with_node(app(vec![route("/*", WORKER)], invoker), NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        let many = "GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n".repeat(50);
        let last = "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n";
        stream.write_all((many + last).as_bytes()).await.unwrap();
        let _ = read_answer(&mut stream).await;
        assert_eq!(node.records(51).await.len(), 51);
        assert_eq!((CALLS.load(Ordering::Relaxed), node.drain.in_flight()), (51, 0));
    });
}
