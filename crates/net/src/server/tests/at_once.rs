//! Answers that are at hand beside those that take the long way, on one connection.

use std::cell::Cell;

use super::*;
use crate::{Found, Glance, Late};

/// Answers what lies below `/quick` with a body of so many bytes as the query says.
fn quick(glance: &Glance<'_>, out: &mut Vec<u8>) -> Option<Found> {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    if !glance.path.starts_with("/quick") {
        return None;
    }
    let bytes = glance.query.and_then(|query| query.parse().ok()).unwrap_or(5);
    out.extend_from_slice(format!("content-length: {bytes}\r\n\r\n").as_bytes());
    Some(Found::Answer(vec![b'q'; bytes].into()))
}

fn with_quick(limits: NodeLimits, test: impl AsyncFnOnce(Rc<Node>)) {
    let begin = |_: &NodeLimits, server: &Rc<Server>, _: &Seen, _: &Seen| server.answer_at_once(Box::new(quick));
    with_server(limits, Reception::default(), begin, test);
}

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    read_one(stream).await
}

#[test]
fn the_two_ways_take_turns_on_a_connection() {
    with_quick(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        for _ in 0..3 {
            assert!(ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n").await.ends_with("\r\n\r\nqqqqq"));
            assert!(ask(&mut stream, GET).await.ends_with("GET /a at h "));
            let post = "POST /quick HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
            assert!(ask(&mut stream, post).await.ends_with("POST /quick at h body"));
        }
        let last = ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        assert!(last.contains("connection: close") && last.ends_with("GET /quick at h "), "{last}");
        assert_eq!(read_all(&mut stream).await, "");
        assert_eq!(node.seen.borrow().len(), 7);
    });
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    with_quick(NodeLimits::default(), async |node| {
        let one = "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n";
        let answer = node.exchange(format!("{one}{GET}{one}{LAST}").as_bytes()).await;
        let bodies: Vec<_> = answer.split("HTTP/1.1 200 OK").skip(1).filter_map(|one| one.lines().last()).collect();
        assert_eq!(bodies, ["GET /quick at h ", "GET /a at h ", "GET /quick at h ", "GET /last at h "], "{answer}");
    });
}

#[test]
fn an_answer_larger_than_the_socket_takes_arrives_whole_and_before_the_next() {
    with_quick(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        let bytes = 16 << 20;
        stream.write_all(format!("GET /quick?{bytes} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
        // It is on its way, and far from its end.
        stream.read_u8().await.unwrap();
        stream.write_all(LAST.as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.bytes().take_while(|byte| *byte == b'q').count(), bytes);
        assert!(body[bytes..].starts_with("HTTP/1.1 200 OK\r\n") && body.ends_with("GET /last at h "));
    });
}

#[test]
fn a_client_that_takes_nothing_of_it_is_cut_off() {
    let limits = NodeLimits { write_idle_ms: 50, ..NodeLimits::default() };
    with_quick(limits, async |node| {
        let mut stream = node.connect().await;
        let bytes = 64 << 20;
        stream.write_all(format!("GET /quick?{bytes} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
        stream.read_u8().await.unwrap();
        while node.counts.open() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(read_all(&mut stream).await.len() < bytes);
    });
}

#[test]
fn a_bad_head_after_an_answer_is_refused_as_ever() {
    with_quick(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n").await;
        stream.write_all(b"GET /quick HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n").await.unwrap();
        is_problem(&read_all(&mut stream).await, 400, "bad_request", "the request has two Host fields");
    });
}

#[test]
fn who_drains_says_so_on_the_long_way() {
    with_quick(NodeLimits::default(), async |node| {
        let mut stream = node.connect().await;
        ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n").await;
        node.stop();
        // The stop is seen when the server runs next; until then the answer comes the short way.
        loop {
            let answer = ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n").await;
            if answer.contains("connection: close") {
                break;
            }
        }
        assert_eq!(node.drained().await, 0);
    });
}

#[test]
fn an_unused_connection_ends_after_its_time() {
    let limits = NodeLimits { idle_ms: 50, ..NodeLimits::default() };
    with_quick(limits, async |node| {
        let mut stream = node.connect().await;
        ask(&mut stream, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(read_all(&mut stream).await, "");
    });
}

/// What became of the answers that are waited for.
#[derive(Default)]
struct Waits {
    given_up: Cell<usize>,
    /// Those of `/later/held` wait for this.
    let_go: Cell<bool>,
}

/// One of them.
struct Asked {
    waits: Rc<Waits>,
    answered: bool,
}

impl Asked {
    async fn answer(mut self, request: Request) -> Late {
        tokio::task::yield_now().await;
        while request.path() == "/later/held" && !self.waits.let_go.get() {
            tokio::task::yield_now().await;
        }
        self.answered = true;
        let body = format!("later {}", request.path_and_query);
        if request.path() == "/later/framed" {
            let pieces = futures_util::stream::iter([Ok(http_body::Frame::data(Bytes::from(body)))]);
            return Late::Response(http::Response::new(Body::stream(http_body_util::StreamBody::new(pieces))));
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if request.path_and_query.query().is_none() {
            return Late::Short { head: head.len(), text: [head, body].concat().into_bytes() };
        }
        Late::Whole { head: head.into_bytes(), body: body.into() }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.waits.given_up.set(self.waits.given_up.get() + usize::from(!self.answered));
    }
}

/// With a server that waits a turn of the scheduler for the answers to what lies below `/later`.
fn with_later(test: impl AsyncFnOnce(Rc<Node>, Rc<Waits>)) {
    let waits = Rc::<Waits>::default();
    let asked = waits.clone();
    let begin = move |_: &NodeLimits, server: &Rc<Server>, _: &Seen, _: &Seen| {
        server.answer_at_once(Box::new(move |glance, _| {
            let request = glance.request().filter(|request| request.path().starts_with("/later"))?;
            let asked = Asked { waits: asked.clone(), answered: false };
            Some(Found::Later(Box::pin(asked.answer(request))))
        }));
    };
    with_server(NodeLimits::default(), Reception::default(), begin, async |node| test(node, waits).await);
}

#[test]
fn an_answer_that_was_waited_for_comes_before_that_of_the_next_request() {
    with_later(async |node, waits| {
        let (one, two) = ("GET /later?1 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /later/held HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut stream = node.connect().await;
        for _ in 0..2 {
            assert!(ask(&mut stream, one).await.ends_with("\r\n\r\nlater /later?1"));
            assert!(ask(&mut stream, GET).await.ends_with("GET /a at h "));
        }
        stream.write_all(two.as_bytes()).await.unwrap();
        assert!(ask(&mut node.connect().await, GET).await.ends_with("GET /a at h "));
        // What comes while it waits is the next request.
        stream.write_all(format!("{one}{GET}{LAST}").as_bytes()).await.unwrap();
        assert!(ask(&mut node.connect().await, GET).await.ends_with("GET /a at h "));
        waits.let_go.set(true);
        let answers = read_all(&mut stream).await;
        let bodies: Vec<_> = answers.split("HTTP/1.1 200 OK").skip(1).filter_map(|one| one.lines().last()).collect();
        assert_eq!(bodies.len(), 4, "{answers}");
        assert!(bodies[0] == "later /later/held" && bodies[2..] == ["GET /a at h ", "GET /last at h "], "{answers}");
        assert_eq!(waits.given_up.get(), 0);
    });
}

#[test]
fn one_that_has_to_be_framed_is_framed_by_hyper() {
    with_later(async |node, _| {
        let mut stream = node.connect().await;
        for field in ["", "Connection: keep-alive\r\n"] {
            let request = format!("GET /later/framed HTTP/1.1\r\nHost: h\r\n{field}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            while !answer.ends_with("0\r\n\r\n") {
                answer.push(char::from(stream.read_u8().await.unwrap()));
            }
            assert!(
                answer.contains("transfer-encoding: chunked") && answer.contains("later /later/framed"),
                "{answer}"
            );
        }
        assert!(ask(&mut stream, GET).await.ends_with("GET /a at h "));
        assert_eq!(*node.seen.borrow(), ["GET /a at h"], "the service was not asked for what was there");
    });
}

#[test]
fn who_leaves_gives_up_what_is_waited_for() {
    with_later(async |node, waits| {
        let mut stream = node.connect().await;
        stream.write_all(b"GET /later/held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(ask(&mut node.connect().await, GET).await.ends_with("GET /a at h "));
        assert_eq!(waits.given_up.get(), 0);
        drop(stream);
        while waits.given_up.get() == 0 || node.counts.open() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_is_waited_for_when_a_drain_begins_is_answered_and_is_the_last() {
    with_later(async |node, waits| {
        let (mut stream, mut other) = (node.connect().await, node.connect().await);
        stream.write_all(b"GET /later/held HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        ask(&mut other, GET).await;
        node.stop();
        while !ask(&mut other, GET).await.contains("connection: close") {}
        waits.let_go.set(true);
        let answer = read_all(&mut stream).await;
        assert!(answer.contains("\r\nconnection: close\r\n\r\n") && answer.ends_with("later /later/held"), "{answer}");
        assert_eq!((node.drained().await, waits.given_up.get()), (0, 0));
    });
}
