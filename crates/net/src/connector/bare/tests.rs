//! What is plain, and what is not.

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
