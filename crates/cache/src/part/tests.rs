use super::*;

const NOW_MS: u64 = 1_790_000_000_000;
const HEURISTIC: Heuristic = Heuristic { default_s: 0, absence_s: 0, modified_s_max: 86_400 };

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
    };
    lines.iter().map(pair).collect()
}

#[test]
fn spans_are_read_strictly() {
    let check = |text: &str, expect: Option<(u64, u64, u64)>| {
        let span = Span::parse(&fields(&[("content-range", text)]));
        assert_eq!(span.map(|span| (span.part.start, span.part.end, span.total)), expect, "{text}");
    };
    check("bytes 4-9/10", Some((4, 10, 10)));
    check("bytes 0-0/1", Some((0, 1, 1)));
    for text in [
        "bytes 4-10/10",
        "bytes 5-4/10",
        "bytes 4-9/*",
        "bytes */10",
        "items 4-9/10",
        "bytes +4-9/10",
        "bytes -9/10",
        "",
    ] {
        check(text, None);
    }
}

fn stored() -> Stored {
    let told = [("content-range", "bytes 10-19/100"), ("cache-control", "max-age=60"), ("etag", "\"v\"")];
    let (stored, span) = admit_part(&HeaderMap::new(), fields(&told), HEURISTIC, NOW_MS).expect("it may be stored");
    assert_eq!(span.bytes(), 10);
    Stored { body: bytes::Bytes::from_static(b"abcdefghij").into(), ..stored }
}

#[test]
fn a_part_answers_what_lies_within_it() {
    let check = |lines: &[(&'static str, &str)], expect: Option<(&str, &str)>| {
        let answer = answer_part(&stored(), &fields(lines), NOW_MS + 1_000);
        let found = answer.as_ref().map(|answer| {
            let body = std::str::from_utf8(answer.body.whole().expect("at hand")).expect("text");
            (body, answer.headers[header::CONTENT_RANGE].to_str().expect("text"))
        });
        assert_eq!(found, expect, "{lines:?}");
    };
    check(&[("range", "bytes=10-19")], Some(("abcdefghij", "bytes 10-19/100")));
    check(&[("range", "bytes=12-13")], Some(("cd", "bytes 12-13/100")));
    check(&[("range", "bytes=9-13")], None);
    check(&[("range", "bytes=19-20")], None);
    check(&[("range", "bytes=12-")], None);
    check(&[("range", "bytes=-5")], None);
    check(&[("range", "bytes=12-13,15-15")], None);
    check(&[], None);
    check(&[("range", "bytes=12-13"), ("if-range", "\"v\"")], Some(("cd", "bytes 12-13/100")));
    check(&[("range", "bytes=12-13"), ("if-range", "\"w\"")], None);
    check(&[("range", "bytes=12-13"), ("if-none-match", "\"v\"")], None);
    assert!(answer_part(&stored(), &fields(&[("range", "bytes=12-13")]), NOW_MS + 60_000).is_none(), "it is stale");
}

#[test]
fn what_is_a_part_of_nobody_knows_what_is_not_stored() {
    let refused = |lines: &[(&'static str, &str)]| {
        admit_part(&HeaderMap::new(), fields(lines), HEURISTIC, NOW_MS).expect_err("it is refused")
    };
    let (range, fresh) = (("content-range", "bytes 0-4/10"), ("cache-control", "max-age=60"));
    assert_eq!(refused(&[range, fresh]), Refusal::Partial);
    assert_eq!(refused(&[range, fresh, ("etag", "W/\"v\"")]), Refusal::Partial);
    assert_eq!(refused(&[fresh, ("etag", "\"v\"")]), Refusal::Partial);
    assert_eq!(refused(&[range, ("cache-control", "private"), ("etag", "\"v\"")]), Refusal::Private);
}
