use proptest::prelude::*;

use super::*;

const TAG: &str = "\"tag\"";

fn check(fields: &[(header::HeaderName, &str)], size: u64) -> Wanted {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    wanted(&Method::GET, &headers, &HeaderValue::from_static(TAG), size)
}

fn range(text: &str) -> Wanted {
    check(&[(header::RANGE, text)], 10)
}

fn part(start: u64, end: u64) -> Wanted {
    Wanted::Part(Span { start, end })
}

#[test]
fn one_range_is_a_part() {
    assert_eq!(range("bytes=0-0"), part(0, 1));
    assert_eq!(range("bytes=2-"), part(2, 10));
    assert_eq!(range("bytes=-3"), part(7, 10));
    assert_eq!(range("bytes=-30"), part(0, 10));
    assert_eq!(range("BYTES=5-99999999999999999999999"), part(5, 10));
}

#[test]
fn a_range_beyond_the_file_is_refused_and_nonsense_is_ignored() {
    for text in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
        assert_eq!(range(text), Wanted::Unsatisfiable, "{text}");
    }
    for text in ["bytes=0-1,3-4", "bytes=3-2", "bytes=a-b", "bytes=-", "bytes=+1-2", "lines=1-2", "bytes", ""] {
        assert_eq!(range(text), Wanted::Whole, "{text}");
    }
    assert_eq!(check(&[(header::RANGE, "bytes=0-")], 0), Wanted::Unsatisfiable, "an empty file has no part");
}

#[test]
fn validators_decide() {
    for tags in [TAG, "W/\"tag\"", "\"a\", \"tag\"", "*"] {
        assert_eq!(check(&[(header::IF_NONE_MATCH, tags)], 10), Wanted::NotModified, "{tags}");
    }
    assert_eq!(check(&[(header::IF_NONE_MATCH, "\"other\"")], 10), Wanted::Whole);
    let both = |tag: &str| check(&[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, tag)], 10);
    assert_eq!(both(TAG), part(1, 3));
    assert_eq!(both("\"other\""), Wanted::Whole);
    assert_eq!(both("W/\"tag\""), Wanted::Whole, "a weak validator can't join two parts");
}

proptest! {
    #[test]
    fn a_part_lies_within_the_file(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in 0u64..100) {
        if let Wanted::Part(span) = check(&[(header::RANGE, &text)], size) {
            prop_assert!(span.start < span.end && span.end <= size);
        }
    }
}
