use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
}

fn fields(lines: &[(&str, &str)]) -> Vec<HeaderName> {
    match Vary::parse(&headers(lines)) {
        Vary::Fields(fields) => fields,
        Vary::Any => panic!("varies by everything"),
    }
}

#[test]
fn names_are_read_once_each() {
    assert!(fields(&[]).is_empty());
    assert_eq!(fields(&[("vary", "Accept , accept-encoding,,ACCEPT")]), ["accept", "accept-encoding"]);
    assert_eq!(Vary::parse(&headers(&[("vary", "accept, *")])), Vary::Any);
    assert_eq!(Vary::parse(&headers(&[("vary", "a b")])), Vary::Any);
}

#[test]
fn requests_match_that_are_alike_in_the_fields() {
    let stored = |lines: &[(&str, &str)]| VaryValues::of(vec![HeaderName::from_static("accept")], &headers(lines));
    let html = stored(&[("accept", "text/html,  text/plain"), ("x-other", "1")]);
    assert!(html.matches(&headers(&[("accept", "text/html,text/plain")])));
    assert!(!html.matches(&headers(&[("accept", "text/plain, text/html")])));
    assert!(!html.matches(&headers(&[])));
    assert!(stored(&[]).matches(&headers(&[("x-other", "2")])));
    assert!(!stored(&[]).matches(&headers(&[("accept", "")])));
    assert!(VaryValues::default().matches(&headers(&[("accept", "x")])));
}

#[test]
fn codings_are_compared_by_what_they_are() {
    let vary = |accept: &str| VaryValues::of(vec![header::ACCEPT_ENCODING], &headers(&[("accept-encoding", accept)]));
    let check = |accept: &str, told: &str| {
        let request = headers(&[("accept-encoding", accept)]);
        let mut reduced = request.clone();
        crate::reduce_encodings(&mut reduced);
        assert_eq!(reduced["accept-encoding"], told, "{accept:?}");
        assert!(vary(accept).matches(&reduced), "{accept:?}");
        assert!(vary(accept).matches_lines(|_| [accept.as_bytes()].into_iter()), "{accept:?}");
    };
    check("gzip, deflate, br, zstd", "br, deflate, gzip, zstd");
    check("zstd;q=0.1,BR , deflate,x-gzip", "br, deflate, gzip, zstd");
    check("br;q=1.0, gzip;q=0.8, *;q=0.1", "br, deflate, gzip, zstd");
    check("gzip, br;q=0", "gzip");
    check("*, br;q=0", "deflate, gzip, zstd");
    check("gzip, identity;q=0", "gzip, identity;q=0");
    check("gzip, *;q=0", "gzip, identity;q=0");
    check("*;q=0", "identity;q=0");
    for nothing in ["", "identity", "compress, dcb", "gzip;q=0", "gzip;q=x"] {
        check(nothing, "identity");
    }
    assert!(!vary("gzip").matches(&headers(&[("accept-encoding", "br")])));
    assert!(!vary("gzip").matches(&headers(&[])) && !vary("identity").matches(&headers(&[])));
    let two = headers(&[("accept-encoding", "gzip"), ("accept-encoding", "br")]);
    assert!(vary("br, gzip").matches(&two));
    let unread = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_bytes(b"\xe9").unwrap())]);
    assert!(vary("identity").matches(&unread));
}
