//! What could become another request if it were written down as HTTP/1.1 behind us: none of it
//! reaches the service.

use super::raw_h2::*;
use super::*;

const BAD_REQUEST: u8 = 0x8c;

#[track_caller]
fn check(what: &str, fields: &[(&[u8], &[u8])], body: Option<&[u8]>) {
    with_node(NodeLimits::default(), async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        let end = if body.is_none() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, END_HEADERS | end, 1, &block(fields));
        if let Some(body) = body {
            bytes.extend(frame(DATA, END_STREAM, 1, body));
        }
        assert!(client.send(&bytes).await);
        match client.outcome(1).await {
            Ended::Answered(block) => assert_eq!(block[0], BAD_REQUEST, "{what}"),
            Ended::Reset(_) | Ended::GoAway(_) | Ended::Closed => {}
        }
        let seen = node.seen.borrow().clone();
        // A body may turn out to be wrong when its request has begun; then it ends with an error.
        let harmless = |line: &String| line.contains("bad_request") || line.contains("client_gone");
        assert!(seen.is_empty() || seen.iter().any(harmless), "{what}: {seen:?}");
        let mut neighbour = RawH2::connect(&node, &[]).await;
        assert!(neighbour.send(&get(1)).await);
        assert!(matches!(neighbour.outcome(1).await, Ended::Answered(_)), "{what}: the neighbour");
    });
}

fn with(more: &[(&'static [u8], &'static [u8])]) -> Vec<(&'static [u8], &'static [u8])> {
    [&GET_FIELDS[..], more].concat()
}

#[test]
fn a_field_name_that_is_no_name_is_refused() {
    for name in [
        &b"x\r\ninjected: 1"[..],
        b"x: 1\r\nhost",
        b"x:y",
        b":x",
        b"X-Upper",
        b"x y",
        b"",
        b"x\0",
        b"transfer-encoding: chunked\r\nx",
    ] {
        check(&format!("{:?}", String::from_utf8_lossy(name)), &[&GET_FIELDS[..], &[(name, b"1")]].concat(), None);
    }
}

#[test]
fn a_field_value_with_a_line_of_its_own_is_refused() {
    for value in [&b"1\r\nhost: evil"[..], b"1\n\nGET /smuggled HTTP/1.1", b"1\rx", b"1\0"] {
        check(&format!("{:?}", String::from_utf8_lossy(value)), &[&GET_FIELDS[..], &[(b"x-a", value)]].concat(), None);
    }
}

#[test]
fn a_pseudo_field_with_more_than_it_should_hold_is_refused() {
    for (at, value) in [
        (0, &b"GET / HTTP/1.1\r\nx: y\r\n\r\nGET"[..]),
        (0, b"GE T"),
        (0, b""),
        (1, b"http://h/x?"),
        (2, b"h\r\nx: y"),
        (2, b"h/path"),
        (2, b"user@h"),
        (3, b"/ HTTP/1.1\r\nhost: evil\r\n\r\nGET /"),
        (3, b"/a b"),
        (3, b"relative"),
        (3, b""),
    ] {
        let mut fields = GET_FIELDS;
        fields[at].1 = value;
        check(&format!("{:?}", String::from_utf8_lossy(value)), &fields, None);
    }
}

#[test]
fn fields_of_a_connection_are_refused() {
    for (name, value) in [
        (&b"transfer-encoding"[..], &b"chunked"[..]),
        (b"connection", b"keep-alive"),
        (b"connection", b"x-secret"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"close"),
        (b"upgrade", b"websocket"),
        (b"te", b"gzip"),
    ] {
        check(&String::from_utf8_lossy(name), &with(&[(name, value)]), None);
    }
}

#[test]
fn two_opinions_about_the_host_are_refused() {
    check("another host", &with(&[(b"host", b"evil")]), None);
    check("two host fields", &with(&[(b"host", b"h"), (b"host", b"h2")]), None);
    check("two authorities", &with(&[(b":authority", b"evil")]), None);
    check("no host at all", &[GET_FIELDS[0], GET_FIELDS[1], GET_FIELDS[3]], None);
    let late = [GET_FIELDS[0], GET_FIELDS[1], GET_FIELDS[3], (b"x", b"y"), GET_FIELDS[2]];
    check("a pseudo-field behind a field", &late, None);
}

#[test]
fn a_length_that_does_not_hold_is_refused() {
    let mut post = with(&[(b"content-length", b"5")]);
    post[0].1 = b"POST";
    check("too short", &post, Some(b"abc"));
    check("too long", &post, Some(b"abcdefgh"));
    let mut two = with(&[(b"content-length", b"3"), (b"content-length", b"30")]);
    two[0].1 = b"POST";
    check("two lengths", &two, Some(b"abc"));
    let mut nonsense = with(&[(b"content-length", b"+3")]);
    nonsense[0].1 = b"POST";
    check("no number", &nonsense, Some(b"abc"));
}

#[test]
fn cookies_that_come_one_by_one_are_one_field() {
    with_node(NodeLimits::default(), async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        let fields = with(&[(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]);
        assert!(client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))).await);
        assert!(matches!(client.outcome(1).await, Ended::Answered(_)));
        assert_eq!(*node.cookies.borrow(), ["a=1; b=2; c=3"]);
    });
}
