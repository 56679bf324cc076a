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

/// The answer that one or several parts have, with its range.
fn check(parts: &[Stored], lines: &[(&'static str, &str)], expect: Option<(&str, &str)>) {
    let parts: Vec<_> = parts.iter().cloned().map(Arc::new).collect();
    let answer = match answer_parts(&parts, &fields(lines), NOW_MS + 1_000) {
        Some(Parts::Whole(answer)) => Some(answer),
        _ => None,
    };
    let found = answer.map(|answer| {
        let body = futures_util::FutureExt::now_or_never(answer.body.read()).expect("at hand").expect("readable");
        let range = answer.headers.get(header::CONTENT_RANGE).map_or("", |range| range.to_str().expect("text"));
        assert_eq!(answer.headers[header::CONTENT_LENGTH], body.len().to_string());
        (String::from_utf8(body.to_vec()).expect("text"), range.to_owned())
    });
    assert_eq!(found.as_ref().map(|(body, range)| (body.as_str(), range.as_str())), expect, "{lines:?}");
}

#[test]
fn a_part_answers_what_lies_within_it() {
    let check = |lines: &[(&'static str, &str)], expect| check(&[stored()], lines, expect);
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
    let range = fields(&[("range", "bytes=12-13")]);
    assert_eq!(answer_parts(&[Arc::new(stored())], &range, NOW_MS + 60_000), None, "it is stale");
}

/// What an origin said of ten letters, from the one at `at` on.
fn part_of(letters: &'static str, at: usize, end: usize, more: &[(&'static str, &str)]) -> Stored {
    let range = format!("bytes {at}-{}/{}", end - 1, letters.len());
    let mut told = vec![("content-range", range.as_str()), ("cache-control", "max-age=60")];
    told.extend_from_slice(more);
    let (stored, _) = admit_part(&HeaderMap::new(), fields(&told), HEURISTIC, NOW_MS).expect("it may be stored");
    Stored { body: bytes::Bytes::from_static(&letters.as_bytes()[at..end]).into(), ..stored }
}

const TEN: &str = "0123456789";

#[test]
fn parts_of_one_whole_are_put_together() {
    let of = |at, end| part_of(TEN, at, end, &[("etag", "\"v\"")]);
    let three = [of(6, 10), of(0, 3), of(2, 7)];
    check(&three, &[("range", "bytes=1-8")], Some(("12345678", "bytes 1-8/10")));
    check(&three, &[("range", "bytes=-5")], Some(("56789", "bytes 5-9/10")));
    check(&three, &[("range", "bytes=5-")], Some(("56789", "bytes 5-9/10")));
    check(&three, &[], Some((TEN, "")));
    check(&three, &[("range", "bytes=1-8"), ("if-range", "\"v\"")], Some(("12345678", "bytes 1-8/10")));
    check(&three, &[("range", "bytes=1-8"), ("if-range", "\"w\"")], None);
    check(&three[..2], &[("range", "bytes=1-8")], None);
}

#[test]
fn what_may_be_of_another_whole_is_not_put_together() {
    let pair = |one: &[(&'static str, &str)], other: &[(&'static str, &str)]| {
        check(&[part_of(TEN, 0, 5, one), part_of(TEN, 5, 10, other)], &[("range", "bytes=3-6")], None);
    };
    pair(&[("etag", "\"v\"")], &[("etag", "\"w\"")]);
    let date = ("last-modified", "Tue, 01 Sep 2026 00:00:00 GMT");
    pair(&[date], &[date]);
    pair(&[("etag", "W/\"v\""), date], &[("etag", "W/\"v\""), date]);
    pair(&[("etag", "\"v\"")], &[("etag", "\"v\""), ("content-encoding", "gzip")]);
    pair(&[("etag", "\"v\""), ("vary", "accept")], &[("etag", "\"v\"")]);
    let other = part_of("0123456789abc", 5, 10, &[("etag", "\"v\"")]);
    check(&[part_of(TEN, 0, 5, &[("etag", "\"v\"")]), other], &[("range", "bytes=3-6")], None);
}

#[test]
fn what_is_missing_is_named_and_nothing_else_fills_it() {
    let of = |at, end| Arc::new(part_of(TEN, at, end, &[("etag", "\"v\"")]));
    let request = fields(&[("range", "bytes=1-")]);
    let Some(Parts::Gap(gap)) = answer_parts(&[of(0, 3), of(4, 5), of(8, 10)], &request, NOW_MS) else {
        panic!("there is a gap")
    };
    assert_eq!((gap.missing.clone(), gap.total), (3..8, 10));
    assert_eq!(gap.before.headers[header::CONTENT_RANGE], "bytes 1-9/10");
    assert_eq!((gap.before.body.len(), gap.after.len()), (2, 2));
    let check = |status, lines: &[(&'static str, &str)], expect| {
        assert_eq!(gap.is_filled_by(&request, status, &fields(lines)), expect, "{lines:?}");
    };
    let (part, whole) = (StatusCode::PARTIAL_CONTENT, StatusCode::OK);
    let (range, etag) = (("content-range", "bytes 3-7/10"), ("etag", "\"v\""));
    check(part, &[range, etag], true);
    check(whole, &[range, etag], false);
    check(part, &[range], false);
    check(part, &[range, ("etag", "\"w\"")], false);
    check(part, &[range, ("etag", "W/\"v\"")], false);
    check(part, &[("content-range", "bytes 3-6/10"), etag], false);
    check(part, &[("content-range", "bytes 3-7/11"), etag], false);
    check(part, &[range, etag, ("vary", "*")], false);
    check(part, &[range, etag, ("content-encoding", "br")], false);
}

proptest::proptest! {
    /// Whatever is stored of a whole: what is put together is what the whole has there, and what is missing
    /// is no more than what nobody has.
    #[test]
    fn put_together_it_is_what_the_whole_has(
        spans in proptest::collection::vec((0_usize..26, 1_usize..9), 1..8),
        (first, last) in (0_usize..26, 0_usize..26),
    ) {
        const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
        let (first, last) = (first.min(last), first.max(last));
        let parts: Vec<_> = spans
            .iter()
            .map(|&(at, bytes)| Arc::new(part_of(LETTERS, at, (at + bytes).min(26), &[("etag", "\"v\"")])))
            .collect();
        let has = |at: usize| spans.iter().any(|&(start, bytes)| (start..start + bytes).contains(&at));
        let read = |content: &Content| {
            let bytes = futures_util::FutureExt::now_or_never(content.read()).expect("at hand").expect("readable");
            String::from_utf8(bytes.to_vec()).expect("text")
        };
        let request = fields(&[("range", &format!("bytes={first}-{last}"))]);
        match answer_parts(&parts, &request, NOW_MS) {
            Some(Parts::Whole(answer)) => proptest::prop_assert_eq!(read(&answer.body), &LETTERS[first..=last]),
            Some(Parts::Gap(gap)) => {
                let (from, to) = (gap.missing.start as usize, gap.missing.end as usize);
                proptest::prop_assert!(!has(from) && !has(to - 1), "{from}..{to} is not as small as it may be");
                proptest::prop_assert_eq!(read(&gap.before.body), &LETTERS[first..from]);
                proptest::prop_assert_eq!(read(&gap.after), &LETTERS[to..=last]);
            }
            None => proptest::prop_assert!(!has(first) && !has(last)),
        }
    }
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
