use super::*;

fn check(lines: &[&str], expect: CacheControl) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::CACHE_CONTROL, line.parse().unwrap());
    }
    assert_eq!(CacheControl::parse(&headers), expect, "{lines:?}");
}

#[test]
fn directives_are_read_in_all_their_spellings() {
    let none = CacheControl::default;
    check(&[], none());
    check(&["no-store"], CacheControl { no_store: true, ..none() });
    check(
        &["Public , MAX-AGE=60,,s-maxage = \"30\""],
        CacheControl { public: true, max_age_s: Some(60), s_maxage_s: Some(30), ..none() },
    );
    check(&["max-age=1", "max-age=2"], CacheControl { max_age_s: Some(1), ..none() });
    check(&["private"], CacheControl { private: true, ..none() });
    check(
        &["private=\"Set-Cookie, x-user\", no-cache=x-a"],
        CacheControl { fields: ["set-cookie", "x-user", "x-a"].map(HeaderName::from_static).into(), ..none() },
    );
    check(&["foo=\"a, max-age=9\", no-cache"], CacheControl { no_cache: true, ..none() });
    check(&["proxy-revalidate"], CacheControl { must_revalidate: true, ..none() });
}

#[test]
fn an_age_that_is_none_is_zero() {
    for bad in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=abc", "max-age=\"\"", "max-age= 1 2"] {
        check(&[bad], CacheControl { max_age_s: Some(0), ..CacheControl::default() });
    }
    let much = CacheControl { max_age_s: Some(SECONDS_MAX), ..CacheControl::default() };
    check(&["max-age=99999999999999999999999"], much);
}
