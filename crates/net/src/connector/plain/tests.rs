use super::super::bare::head_of;
use super::*;

fn request() -> PlainRequest {
    let mut request = PlainRequest::new("/a?b", "client.example").expect("a target");
    request.push("Accept", b" */*\t");
    request.push("x-\u{7e}", "\u{e9}".as_bytes());
    request.push_lines(1, 16, |text| text.extend_from_slice(b"x-empty: \r\n"));
    request
}

#[test]
fn a_request_is_read_back_as_hyper_writes_it() {
    let head = request().head(b"server.example:81", Vec::new());
    let expect = "GET /a?b HTTP/1.1\r\naccept: */*\r\nx-~: \u{e9}\r\nx-empty: \r\nhost: server.example:81\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&head), expect);
    assert_eq!(head_of(&read(&head)).as_deref(), Some(&head[..]));
    let (target, headers) = (request().target(), request().headers());
    assert_eq!((target.as_str(), headers.len()), ("/a?b", 4));
    assert_eq!(headers["host"], "client.example");
}

#[test]
fn what_is_no_request_asks_for_nothing() {
    let nothing = read(b"GET / HTTP/1.1\r\nbroken\r\n\r\n");
    assert_eq!((nothing.uri().path(), nothing.headers().len()), ("/", 0));
}

#[test]
fn a_target_that_not_everybody_reads_alike_is_for_others() {
    for target in ["", "*", "?a", "/\u{e9}", "/a b", "/<", "/\"", "/{a}", "/#a"] {
        assert!(PlainRequest::new(target, "h").is_none(), "{target}");
    }
}

#[test]
fn a_plain_target_is_one_for_the_parser() {
    for byte in (0..=0xff_u8).filter(|byte| is_plain(*byte)).map(char::from) {
        let target = format!("/{byte}?{byte}");
        let request = PlainRequest::new(&target, "h").expect("a target");
        assert_eq!(request.target().as_str(), target);
    }
}
