use super::*;
use crate::{Content, Tags, Terms, VaryValues};

fn request(accept: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).expect("a value"));
    headers
}

#[test]
fn the_client_says_what_it_likes_best() {
    let check = |accept: &str, expect: Option<&str>| {
        assert_eq!(negotiate(&request(accept)).map(Coding::token), expect, "{accept}");
    };
    check("gzip, deflate, br, zstd", Some("br"));
    check("gzip, zstd;q=0.9", Some("gzip"));
    check("gzip;q=0.5, zstd;q=0.8, br;q=0.8", Some("br"));
    check("x-gzip", Some("gzip"));
    check("*", Some("br"));
    check("*;q=0.5, br;q=0", Some("zstd"));
    check("identity", None);
    check("identity, gzip;q=0.5", None);
    check("gzip;q=0", None);
    check("gzip;q=2", None);
    check("gzip;q=0.0001", None);
    check("GZIP;Q=0.001", Some("gzip"));
    check("X-GZIP;q=0.5, gzip, other", Some("gzip"));
    check("gzip;q=0, gzip;q=1", None);
    check("other", None);
    check("", None);
    assert_eq!(negotiate(&HeaderMap::new()), None);
}

fn stored(lines: &[(&'static str, &str)], bytes: usize) -> Stored {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    Stored {
        status: StatusCode::OK,
        headers,
        body: Content::Whole(vec![b'x'; bytes].into()),
        stored_at_ms: 0,
        initial_age_s: 0,
        lifetime_s: 60,
        vary: VaryValues::default(),
        terms: Terms::default(),
        tags: Tags::default(),
        body_id: 1,
    }
}

#[test]
fn what_gains_nothing_or_may_not_change_stays_as_it_is() {
    let check = |lines: &[(&'static str, &str)], bytes: usize, expect: bool| {
        assert_eq!(compressible(&stored(lines, bytes)), expect, "{lines:?} {bytes}");
    };
    let html = ("content-type", "Text/HTML; charset=utf-8");
    check(&[html], 2_000, true);
    check(&[html], 1_000, false);
    check(&[html], COMPRESSED_BYTES_MAX as usize + 1, false);
    check(&[html, ("content-encoding", "gzip")], 2_000, false);
    check(&[html, ("cache-control", "max-age=1, no-transform")], 2_000, false);
    check(&[html, ("cache-control", "public"), ("cache-control", "No-Transform =x")], 2_000, false);
    check(&[html, ("cache-control", r#"private="a, no-transform""#)], 2_000, true);
    check(&[("content-type", "APPLICATION/problem+JSON")], 2_000, true);
    check(&[("content-type", "text/Event-Stream")], 2_000, false);
    check(&[("content-type", "image/png")], 2_000, false);
    check(&[("content-type", "text/event-stream")], 2_000, false);
    check(&[("content-type", "application/problem+json")], 2_000, true);
    check(&[], 2_000, false);
}

#[test]
fn the_header_tells_of_the_new_bytes() {
    let mut headers = stored(&[("etag", "\"a\""), ("content-length", "9"), ("content-md5", "x")], 0).headers;
    vary_by_encoding(&mut headers);
    vary_by_encoding(&mut headers);
    encode_header(&mut headers, Coding::Zstd, 7);
    assert_eq!(headers[header::ETAG], "W/\"a\"");
    assert_eq!(headers[header::CONTENT_LENGTH], "7");
    assert_eq!(headers[header::CONTENT_ENCODING], "zstd");
    assert_eq!(headers.get_all(header::VARY).iter().count(), 1);
    assert!(!headers.contains_key("content-md5"));
    encode_header(&mut headers, Coding::Gzip, 8);
    assert_eq!(headers[header::ETAG], "W/\"a\"");
}
