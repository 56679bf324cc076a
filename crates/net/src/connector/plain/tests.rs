use super::super::bare::head_of;
use super::*;

fn request() -> PlainRequest {
    let mut request = PlainRequest::new(PathAndQuery::from_static("/a?b"), HeaderValue::from_static("client.example"))
        .expect("a target");
    request.push("Accept", b"*/*");
    request.push("x-\u{7e}", "\u{e9}".as_bytes());
    request.push("x-empty", b" \t ");
    request
}

#[test]
fn a_request_is_read_back_as_hyper_writes_it() {
    let head = request().head(&HeaderValue::from_static("server.example:81"));
    let expect = "GET /a?b HTTP/1.1\r\naccept: */*\r\nx-~: \u{e9}\r\nx-empty: \r\nhost: server.example:81\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&head), expect);
    assert_eq!(head_of(&read(&head)).as_deref(), Some(&head[..]));
    assert_eq!(request().headers().len(), 4);
}

#[test]
fn what_is_no_request_asks_for_nothing() {
    let nothing = read(b"GET / HTTP/1.1\r\nbroken\r\n\r\n");
    assert_eq!((nothing.uri().path(), nothing.headers().len()), ("/", 0));
}

#[test]
fn a_target_that_not_everybody_reads_alike_is_for_others() {
    for target in ["*", "?a", "/\u{e9}"] {
        let target = PathAndQuery::try_from(target).expect("a target of its kind");
        assert!(PlainRequest::new(target, HeaderValue::from_static("h")).is_none());
    }
}
