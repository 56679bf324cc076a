use base::NodeLimits;
use proptest::prelude::*;

use super::*;

fn limits() -> ServerLimits {
    ServerLimits::from(&NodeLimits { header_bytes: 2048, uri_bytes: 512, header_count: 10, ..Default::default() })
}

fn judge(head: &str) -> Result<Option<Head>, Refusal> {
    check_head(head.as_bytes(), 0, &limits())
}

fn refused(head: &str, code: &str, detail: &str) {
    let refusal = judge(head).expect_err(head);
    assert_eq!((refusal.code.name, refusal.detail.as_str()), (code, detail), "{head:?}");
}

#[test]
fn framing_is_read() {
    let framing = |head: &str| judge(head).unwrap().unwrap().framing;
    assert_eq!(framing("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Framing::Length(0));
    assert_eq!(framing("GET / HTTP/1.0\r\n\r\n"), Framing::Length(0), "HTTP/1.0 had no Host");
    assert_eq!(framing("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"), Framing::Length(12));
    assert_eq!(framing("PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:\tCHUNKED \r\n\r\n"), Framing::Chunked);
}

#[test]
fn a_head_ends_at_its_empty_line() {
    let head = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next";
    assert_eq!(judge(head).unwrap().unwrap().bytes, head.len() - "GET /next".len());
    assert_eq!(judge("GET / HTTP/1.1\r\nHost: a\r\n").unwrap(), None);
    assert_eq!(judge("").unwrap(), None);
}

proptest! {
    /// One that is known in part is not looked at in the short way.
    #[test]
    fn a_head_is_judged_the_same_whether_or_not_it_comes_at_once(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "GET / HTTP/1.1", "POST /x HTTP/1.0", "GET  / HTTP/1.1", "Host: a", "host: b", "X: y", "X : y", " folded",
                "Content-Length: 2", "Content-Length: +2", "Transfer-Encoding: chunked", "Upgrade: websocket", "", "x\ry",
            ]),
            0..14,
        ),
        ends in proptest::collection::vec(proptest::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n", ""]), 14),
        whole in any::<bool>(),
    ) {
        let mut head: String = lines.iter().zip(&ends).map(|(line, end)| [*line, *end].concat()).collect();
        if whole {
            head = format!("GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        }
        let bytes = head.as_bytes();
        prop_assert_eq!(check_head(bytes, 0, &limits()), check_head(bytes, 1, &limits()), "{:?}", head);
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let bad = |fields: &str, detail: &str| {
        refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), "bad_request", detail);
    };
    bad("Content-Length: 5\r\nContent-Length: 5", "the request has two Content-Length fields");
    bad("Content-Length: 5\r\ncontent-length: 6", "the request has two Content-Length fields");
    for length in ["5, 5", "+5", "-1", "", "0x5", "5 5", "99999999999999999999999"] {
        bad(&format!("Content-Length: {length}"), "Content-Length is not a number of bytes");
    }
    bad("Content-Length: 5\r\nTransfer-Encoding: chunked", "the request has both Content-Length and Transfer-Encoding");
    bad("Transfer-Encoding: chunked\r\nContent-Length: 5", "the request has both Content-Length and Transfer-Encoding");
    for coding in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;q=1", ""] {
        bad(&format!("Transfer-Encoding: {coding}"), "the only Transfer-Encoding served is chunked");
    }
    bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "the request has two Transfer-Encoding fields");
    bad("Transfer-Encoding : chunked", "the name of a field is not a token");
    bad("X: a\r\n b", "a field continues on a second line (obs-fold)");
    bad("X: a\r\n\tb", "a field continues on a second line (obs-fold)");
    bad("X: a\nTransfer-Encoding: chunked", "a line of the head ends in LF without CR");
    bad("X: a\rTransfer-Encoding: chunked", "the byte 0x0d can't stand in the value of a field");
    bad("X: \0", "the byte 0x00 can't stand in the value of a field");
    bad("no colon", "a line of the head is not a field");
    bad(": empty", "the name of a field is not a token");
    bad("Host: b", "the request has two Host fields");
    refused("GET / HTTP/1.1\r\n\r\n", "bad_request", "the request has no Host field");
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "bad_request",
        "HTTP/1.0 has no Transfer-Encoding",
    );
}

#[test]
fn every_bare_lf_is_refused() {
    for head in
        ["\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\n"]
    {
        refused(head, "bad_request", "a line of the head ends in LF without CR");
    }
}

#[test]
fn the_request_line_has_one_form() {
    let line = |line: &str, code: &str, detail: &str| refused(&format!("{line}\r\nHost: a\r\n\r\n"), code, detail);
    const FORM: &str = "the request line is not a method, a target and a version with one space between";
    line("GET  / HTTP/1.1", "bad_request", FORM);
    line("GET /", "bad_request", FORM);
    line("GET / HTTP/1.1 ", "bad_request", FORM);
    line("GET /a b HTTP/1.1", "bad_request", FORM);
    line("G(T / HTTP/1.1", "bad_request", "the method is not a token");
    line("GET / HTTP/2.0", "bad_request", "the version is neither HTTP/1.1 nor HTTP/1.0");
    line("GET / http/1.1", "bad_request", "the version is neither HTTP/1.1 nor HTTP/1.0");
    line("GET /\0 HTTP/1.1", "bad_path", "the byte 0x00 can't stand in a target");
    line("GET /\t HTTP/1.1", "bad_path", "the byte 0x09 can't stand in a target");
    line("GET /#x HTTP/1.1", "bad_path", "the byte 0x23 can't stand in a target");
}

#[test]
fn a_head_beyond_a_limit_is_refused_as_soon_as_that_is_sure() {
    let long = "x".repeat(600);
    refused(&format!("GET /{long}"), "uri_too_long", "the target has more than 512 bytes (uri_bytes)");
    refused(
        &format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        "uri_too_long",
        "the target has more than 512 bytes (uri_bytes)",
    );
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(n));
    refused(&(fields(10) + "\r\n"), "headers_too_large", "the request has more than 10 fields (header_count)");
    assert!(judge(&(fields(9) + "\r\n")).is_ok());
    let detail = "the head of the request has more than 2048 bytes (header_bytes)";
    refused(&format!("{}X: {}", fields(1), "y".repeat(2048)), "headers_too_large", detail);
    refused(&format!("{}X: {}\r\n\r\n", fields(1), "y".repeat(2048)), "headers_too_large", detail);
}

proptest! {
    /// A head that arrives in two pieces is judged as one that arrives whole.
    #[test]
    fn pieces_do_not_matter(
        head in "(GET|POST) /[a-z%./]{0,8} HTTP/1\\.[01]\r?\n(Host: a\r\n)?([A-Za-z-]{1,5}: ?[ -~]{0,6}\r?\n){0,3}\r?\n[ -~]{0,4}",
        cut in 0usize..60,
    ) {
        let bytes = head.as_bytes();
        let cut = cut.min(bytes.len());
        let whole = check_head(bytes, 0, &limits());
        let pieces = match check_head(&bytes[..cut], 0, &limits()) {
            Ok(None) => check_head(bytes, cut, &limits()),
            early => early,
        };
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), searched in 0usize..200) {
        let _ = check_head(&bytes, searched.min(bytes.len()), &limits());
    }
}
