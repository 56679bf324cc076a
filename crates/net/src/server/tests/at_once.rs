//! Answers that are at hand beside those that take the long way, on one connection.

use super::*;
use crate::Glance;

/// Answers what lies below `/quick` with a body of so many bytes as the query says.
fn quick(glance: &Glance<'_>, out: &mut Vec<u8>) -> Option<Bytes> {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    if !glance.path.starts_with("/quick") {
        return None;
    }
    let bytes = glance.query.and_then(|query| query.parse().ok()).unwrap_or(5);
    out.extend_from_slice(format!("content-length: {bytes}\r\n\r\n").as_bytes());
    Some(vec![b'q'; bytes].into())
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
