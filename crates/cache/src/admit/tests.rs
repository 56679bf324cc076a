use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// The time of all tests: 2024-07-03 00:00:00 UTC.
const NOW_MS: u64 = 1_719_964_800_000;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
}

fn admit_with(status: u16, lines: &[(&str, &str)]) -> Result<Stored, Refusal> {
    let status = StatusCode::from_u16(status).unwrap();
    admit(&Method::GET, &HeaderMap::new(), status, headers(lines), Heuristic::default(), NOW_MS)
}

/// Checks the lifetime and the age at the start.
fn check(status: u16, lines: &[(&str, &str)], expect: Result<(u64, u64), Refusal>) {
    let found = admit_with(status, lines).map(|stored| (stored.lifetime_s, stored.initial_age_s));
    assert_eq!(found, expect, "{status} {lines:?}");
}

#[test]
fn lifetimes_come_from_the_most_exact_word() {
    let date = ("date", "Wed, 03 Jul 2024 00:00:00 GMT");
    let expires = ("expires", "Wed, 03 Jul 2024 00:01:40 GMT");
    check(200, &[("cache-control", "max-age=60, s-maxage=30"), expires], Ok((30, 0)));
    check(200, &[("cache-control", "max-age=60"), expires], Ok((60, 0)));
    check(200, &[date, expires], Ok((100, 0)));
    check(200, &[expires], Ok((100, 0)));
    check(200, &[("expires", "0")], Err(Refusal::Stale));
    check(200, &[date, ("last-modified", "Tue, 02 Jul 2024 00:00:00 GMT")], Ok((8_640, 0)));
    check(200, &[date, ("last-modified", "Tue, 02 Jul 2019 00:00:00 GMT")], Ok((86_400, 0)));
    check(200, &[], Ok((7_200, 0)));
    check(404, &[], Ok((180, 0)));
    check(500, &[], Err(Refusal::Status));
    check(302, &[], Err(Refusal::Status));
    check(302, &[("cache-control", "max-age=5")], Ok((5, 0)));
    check(500, &[("cache-control", "s-maxage=1")], Ok((1, 0)));
}

#[test]
fn age_counts_from_where_the_response_was_made() {
    check(200, &[("cache-control", "max-age=60"), ("age", "20")], Ok((60, 20)));
    check(200, &[("cache-control", "max-age=60"), ("age", "60")], Err(Refusal::Stale));
    check(200, &[("cache-control", "max-age=60"), ("date", "Tue, 02 Jul 2024 23:59:30 GMT")], Ok((60, 30)));
    check(200, &[("cache-control", "max-age=60"), ("date", "Wed, 03 Jul 2024 01:00:00 GMT")], Ok((60, 0)));
    check(200, &[("cache-control", "max-age=60"), ("age", "x")], Ok((60, 0)));
}

#[test]
fn what_must_not_be_stored_is_refused() {
    let refused = |lines: &[(&str, &str)]| admit_with(200, lines).unwrap_err();
    assert_eq!(refused(&[("cache-control", "no-store")]), Refusal::NoStore);
    assert_eq!(refused(&[("cache-control", "private, max-age=9")]), Refusal::Private);
    assert_eq!(refused(&[("cache-control", "no-cache")]), Refusal::NoCache);
    assert_eq!(refused(&[("cache-control", "max-age=0")]), Refusal::Stale);
    assert_eq!(refused(&[("cache-control", "max-age=9"), ("set-cookie", "a=1")]), Refusal::SetsCookie);
    assert_eq!(refused(&[("vary", "*")]), Refusal::VariesByAll);
    check(206, &[], Err(Refusal::Partial));
    check(304, &[], Err(Refusal::NotFinal));
    let post = admit(&Method::POST, &HeaderMap::new(), StatusCode::OK, HeaderMap::new(), Heuristic::default(), NOW_MS);
    assert_eq!(post.unwrap_err(), Refusal::Method);
}

#[test]
fn fields_that_are_named_or_of_one_hop_are_left_out() {
    let stored = admit_with(
        200,
        &[
            ("cache-control", "private=\"Set-Cookie, x-user\", max-age=9"),
            ("set-cookie", "a=1"),
            ("x-user", "1"),
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("etag", "\"1\""),
        ],
    )
    .unwrap();
    let mut names: Vec<&str> = stored.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "etag"]);
}

/// A cache that knows nothing of ages: it asks at every second whether the response is still good,
/// as RFC 9111 puts it in words.
fn good_for(max_age: Option<u64>, s_maxage: Option<u64>, age: u64, expires_in: Option<i64>) -> u64 {
    let mut seconds = 0;
    loop {
        let old = age + seconds;
        let good = match (s_maxage, max_age, expires_in) {
            (Some(limit), _, _) | (None, Some(limit), _) => old < limit,
            (None, None, Some(expires)) => (old as i64) < expires,
            (None, None, None) => old < 7_200,
        };
        if !good || seconds > 10_000 {
            return seconds;
        }
        seconds += 1;
    }
}

fn http_date(unix_s: i64) -> HeaderValue {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix_s as u64);
    HeaderValue::from_str(&httpdate::fmt_http_date(at)).unwrap()
}

proptest! {
    #[test]
    fn a_response_is_fresh_as_long_as_the_slow_cache_says(
        max_age in prop::option::of(0..200u64),
        s_maxage in prop::option::of(0..200u64),
        age in 0..250u64,
        expires_in in prop::option::of(-50..200i64),
    ) {
        let mut fields = HeaderMap::new();
        if let Some(seconds) = max_age {
            fields.append(header::CACHE_CONTROL, format!("max-age={seconds}").parse().unwrap());
        }
        if let Some(seconds) = s_maxage {
            fields.append(header::CACHE_CONTROL, format!("s-maxage={seconds}").parse().unwrap());
        }
        fields.insert(header::AGE, HeaderValue::from(age));
        let now_s = (NOW_MS / 1000) as i64;
        if let Some(seconds) = expires_in {
            fields.insert(header::DATE, http_date(now_s));
            fields.insert(header::EXPIRES, http_date(now_s + seconds));
        }
        let expect = good_for(max_age, s_maxage, age, expires_in);
        let found = admit(&Method::GET, &HeaderMap::new(), StatusCode::OK, fields, Heuristic::default(), NOW_MS);
        match found {
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::Stale);
                prop_assert_eq!(expect, 0);
            }
            Ok(stored) => {
                let last = NOW_MS + expect * 1000 - 1;
                prop_assert!(stored.is_fresh(last));
                prop_assert!(!stored.is_fresh(last + 1));
            }
        }
    }

    #[test]
    fn nonsense_never_panics(lines in prop::collection::vec((0..8usize, "[ -~\\x80-\\xff]{0,40}"), 0..8)) {
        const NAMES: [&str; 8] = ["cache-control", "vary", "expires", "age", "date", "last-modified", "etag", "connection"];
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_str(&value) {
                fields.append(HeaderName::from_static(NAMES[name]), value);
            }
        }
        let _ = admit(&Method::GET, &fields, StatusCode::OK, fields.clone(), Heuristic::default(), NOW_MS);
    }
}
