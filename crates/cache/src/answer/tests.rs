use proptest::prelude::*;

use super::*;
use crate::vary::VaryValues;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
}

fn stored(lines: &[(&str, &str)], body: &'static str) -> Stored {
    Stored {
        status: StatusCode::OK,
        headers: headers(lines),
        body: bytes::Bytes::from_static(body.as_bytes()).into(),
        stored_at_ms: 1_000,
        initial_age_s: 5,
        lifetime_s: 60,
        vary: VaryValues::default(),
        terms: crate::Terms::default(),
        tags: crate::Tags::default(),
        body_id: 0,
    }
}

const MODIFIED: (&str, &str) = ("last-modified", "Wed, 03 Jul 2024 00:00:00 GMT");

/// Checks the status that requests with these fields get from a response with these.
fn check(response: &[(&str, &str)], request: &[(&str, &str)], status: u16) {
    let found = answer(&stored(response, "0123456789"), &headers(request), 11_000);
    assert_eq!(found.status, status, "{response:?} {request:?}");
    assert_eq!(found.body.is_empty(), status == 304 || status == 416);
    assert_eq!(found.headers[header::AGE], "15");
}

#[test]
fn preconditions_of_a_client_that_has_it_already() {
    let tag = ("etag", "W/\"a,b\"");
    check(&[tag], &[("if-none-match", "\"a,b\"")], 304);
    check(&[tag], &[("if-none-match", "\"x\", W/\"a,b\"")], 304);
    check(&[tag], &[("if-none-match", "\"a\", \"b\"")], 200);
    check(&[tag], &[("if-none-match", "*")], 304);
    check(&[], &[("if-none-match", "\"a\"")], 200);
    check(&[], &[("if-none-match", "*")], 304);
    check(&[MODIFIED], &[("if-modified-since", "Wed, 03 Jul 2024 00:00:00 GMT")], 304);
    check(&[MODIFIED], &[("if-modified-since", "Wed, 03 Jul 2024 00:00:01 GMT")], 304);
    check(&[MODIFIED], &[("if-modified-since", "Tue, 02 Jul 2024 00:00:00 GMT")], 200);
    check(&[MODIFIED], &[("if-modified-since", "yesterday")], 200);
    check(&[], &[("if-modified-since", "Wed, 03 Jul 2024 00:00:00 GMT")], 200);
    // The tag decides where there is one.
    check(&[tag, MODIFIED], &[("if-none-match", "\"x\""), ("if-modified-since", "Wed, 03 Jul 2024 00:00:00 GMT")], 200);
}

#[test]
fn ranges_of_what_the_client_may_have_a_part_of() {
    let range = ("range", "bytes=2-4");
    check(&[], &[range], 206);
    check(&[("etag", "\"a\"")], &[range, ("if-range", "\"a\"")], 206);
    check(&[("etag", "\"a\"")], &[range, ("if-range", "\"b\"")], 200);
    check(&[("etag", "W/\"a\"")], &[range, ("if-range", "W/\"a\"")], 200);
    check(&[MODIFIED], &[range, ("if-range", "Wed, 03 Jul 2024 00:00:00 GMT")], 206);
    check(&[MODIFIED], &[range, ("if-range", "Wed, 03 Jul 2024 00:00:01 GMT")], 200);
    check(&[("etag", "\"a\"")], &[range, ("if-none-match", "\"a\"")], 304);
    check(&[], &[("range", "bytes=10-")], 416);
    check(&[], &[("range", "bytes=-0")], 416);
    for all in ["bytes=4-2", "bytes=0-1,3-4", "items=0-1", "bytes", "bytes=-", "bytes=a-b", "bytes=1-+2"] {
        check(&[], &[("range", all)], 200);
    }
    let part = answer(&stored(&[("content-length", "10")], "0123456789"), &headers(&[("range", "bytes=-3")]), 0);
    assert_eq!(part.body.whole().expect("at hand"), "789");
    assert_eq!(part.headers[header::CONTENT_RANGE], "bytes 7-9/10");
    assert_eq!(part.headers[header::CONTENT_LENGTH], "3");
}

proptest! {
    /// A range is what one gets by looking at each byte in turn.
    #[test]
    fn a_range_is_the_bytes_it_names(
        from in prop::option::of(0..30usize),
        to in prop::option::of(0..30usize),
        total in 0..20usize,
    ) {
        let text = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
        let spec = format!("bytes={}-{}", text(from), text(to));
        let named: Vec<usize> = (0..total)
            .filter(|&at| match (from, to) {
                (Some(from), to) => at >= from && to.is_none_or(|to| at <= to),
                (None, Some(count)) => at + count >= total,
                (None, None) => true,
            })
            .collect();
        let readable = from.is_some() || to.is_some();
        let backwards = matches!((from, to), (Some(from), Some(to)) if to < from);
        match parse_range(&spec, total as u64) {
            Wanted::All => prop_assert!(!readable || backwards, "{}", spec),
            Wanted::Nothing => prop_assert!(named.is_empty(), "{}", spec),
            Wanted::Part(range) => prop_assert_eq!(range.map(|at| at as usize).collect::<Vec<_>>(), named, "{}", spec),
        }
    }

    #[test]
    fn nonsense_never_panics(tag in "[ -~]{0,20}", line in "[ -~]{0,40}", range in "[ -~]{0,20}") {
        let _ = names(line.as_bytes(), tag.as_bytes());
        let _ = parse_range(&range, 7);
    }
}
