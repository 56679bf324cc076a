use super::*;
use crate::ServerLimits;
use crate::head::check_head;

fn check(head: &str, expect: Option<&str>) {
    let limits = ServerLimits::from(&base::NodeLimits::default());
    let judged = check_head(head.as_bytes(), 0, &limits);
    let passed = matches!(&judged, Ok(Some(found)) if found.bytes == head.len());
    assert!(passed || expect.is_none(), "{head:?}: {judged:?}");
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let glance = Glance::read(head.as_bytes(), &mut fields, (peer, 0, None));
    let seen = glance.map(|glance| {
        let query = glance.query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{} {}{query} {}", glance.host(), glance.path, glance.fields.len())
    });
    assert_eq!(seen.as_deref(), expect, "{head:?}");
}

#[test]
fn a_plain_request_is_seen() {
    check("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n", Some("a.example / 1"));
    check("GET /a/b.c?d=/../e HTTP/1.1\r\nHOST: a.example:81\r\nX:\ty\r\n\r\n", Some("a.example /a/b.c?d=/../e 2"));
    check("GET /%41 HTTP/1.1\r\nHost: a.\r\nConnection: Keep-Alive\r\n\r\n", Some("a /%41 2"));
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Some("a / 1"));
    check("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Some("[::1] / 1"));
}

#[test]
fn what_is_not_plain_goes_the_long_way() {
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: A\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
    ] {
        check(head, None);
    }
    let many = "x: y\r\n".repeat(FIELDS_MAX);
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), None);
}

#[test]
fn a_head_without_end_is_none() {
    for head in ["GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET /", ""] {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(Glance::read(head.as_bytes(), &mut fields, (peer, 0, None)).is_none(), "{head:?}");
    }
}
