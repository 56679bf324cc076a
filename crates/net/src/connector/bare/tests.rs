//! What is plain, and what is not.

use tokio::io::AsyncWriteExt as _;

use super::*;

/// What a verdict says, in a word.
pub(super) fn word(bytes: &[u8]) -> &'static str {
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    match judge(bytes, &mut room) {
        Verdict::Head => "head",
        Verdict::Body => "body",
        Verdict::Plain(_) => "plain",
        Verdict::Other => "other",
    }
}

fn check(answer: &str, expect: &str) {
    assert_eq!(word(answer.as_bytes()), expect, "{answer:?}");
}

#[test]
fn what_has_one_reading_is_plain() {
    check("", "head");
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "head");
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "body");
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "plain");
    check("HTTP/1.1 404 Not Found\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\nx: \r\n\r\n", "plain");
    check("HTTP/1.1 500 Internal Server Error\r\ncontent-length:   3  \r\n\r\nabc", "plain");
}

#[test]
fn whatever_says_more_of_its_framing_is_for_hyper() {
    for (head, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "ok!"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: \r\n", ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n", "o"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n", "o"),
        ("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: xchunked\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, x\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nUpgrade: h2c\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: a\r\n b\r\n", "ok"),
        ("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n", "ok"),
        ("HTTP/1.1 200\r\nContent-Length: 2\r\n", "ok"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\n", "ok"),
        ("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n", ""),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n", ""),
        ("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n", ""),
    ] {
        check(&format!("{head}\r\n{body}"), "other");
    }
    check("hello\r\n\r\n", "other");
    check(&format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(ANSWER_BYTES_MAX)), "other");
}

#[tokio::test]
async fn an_exchange_holds_no_more_memory_than_its_answer_has_bytes() {
    let (mut stream, mut server) = tokio::io::duplex(ANSWER_BYTES_MAX);
    let mut exchange = Exchange::new(b"GET / HTTP/1.1\r\n\r\n".to_vec(), false);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(exchange.poll(&mut stream, &mut cx).is_pending());
    assert_eq!(exchange.read.capacity(), 0, "while it waits");
    for piece in ["HTTP/1.1 200 OK\r\n", "content-length: 2\r\n"] {
        server.write_all(piece.as_bytes()).await.expect("room");
        assert!(exchange.poll(&mut stream, &mut cx).is_pending());
        assert_eq!(exchange.read.capacity(), exchange.read.len());
    }
    server.write_all(b"\r\nok").await.expect("room");
    let Poll::Ready(Some(answer)) = exchange.poll(&mut stream, &mut cx) else { panic!("no answer") };
    assert_eq!(answer.body(), b"ok");
    let response = answer.into_response();
    assert_eq!(response.headers()["content-length"], "2");
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_exchange_on_a_silent_connection_is_woken_by_its_answer() {
    let (mut stream, mut server) = tokio::io::duplex(ANSWER_BYTES_MAX);
    let woken = std::sync::Arc::<Woken>::default();
    let waker = std::task::Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(is_silent(&mut stream, &mut cx));
    let mut exchange = Exchange::new(b"GET / HTTP/1.1\r\n\r\n".to_vec(), true);
    assert!(exchange.poll(&mut stream, &mut cx).is_pending());
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("room");
    assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), 1, "it listens though it has not read");
    assert!(matches!(exchange.poll(&mut stream, &mut cx), Poll::Ready(Some(_))));
}
