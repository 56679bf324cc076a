use super::*;

const NOW_MS: u64 = 1_790_000_000_000;

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    lines.iter().map(pair).collect()
}

const PROXY: Heuristic = Heuristic { default_s: 0, absence_s: 0, modified_s_max: 86_400 };

fn admitted(request: &[(&str, &str)], response: &[(&str, &str)]) -> Result<Stored, Refusal> {
    admit_proxied(&fields(request), StatusCode::OK, fields(response), PROXY, NOW_MS)
}

/// What a response is good for `after_s` seconds later, in a word.
fn reused(response: &[(&str, &str)], request: &[(&str, &str)], after_s: u64) -> &'static str {
    let stored = Arc::new(admitted(&[], response).expect("it is stored"));
    let request = fields(request);
    match reuse(&[stored], &request, &Asked::parse(&request), NOW_MS + after_s * 1000) {
        Reuse::Fresh(_) => "fresh",
        Reuse::StaleWhile(_) => "stale while",
        Reuse::Validate(_) => "validate",
        Reuse::Nothing => "nothing",
    }
}

#[test]
fn what_is_fresh_answers_and_what_is_stale_is_validated() {
    let tagged = [("cache-control", "max-age=10"), ("etag", "\"a\"")];
    assert_eq!(reused(&tagged, &[], 9), "fresh");
    assert_eq!(reused(&tagged, &[], 10), "validate");
    assert_eq!(reused(&[("cache-control", "no-cache, max-age=10"), ("etag", "\"a\"")], &[], 0), "validate");
    let meanwhile = [("cache-control", "max-age=10, stale-while-revalidate=5")];
    assert_eq!(reused(&meanwhile, &[], 15), "stale while");
    assert_eq!(reused(&meanwhile, &[], 16), "validate");
    let must = [("cache-control", "max-age=10, stale-while-revalidate=5, must-revalidate")];
    assert_eq!(reused(&must, &[], 11), "validate");
}

#[test]
fn a_request_may_ask_for_less_or_more_than_freshness() {
    let tagged = [("cache-control", "max-age=10"), ("etag", "\"a\"")];
    assert_eq!(reused(&tagged, &[("cache-control", "no-cache")], 1), "validate");
    assert_eq!(reused(&tagged, &[("pragma", "no-cache")], 1), "validate");
    assert_eq!(reused(&tagged, &[("cache-control", "max-age=3")], 4), "validate");
    assert_eq!(reused(&tagged, &[("cache-control", "min-fresh=5")], 6), "validate");
    assert_eq!(reused(&tagged, &[("cache-control", "max-stale")], 60), "fresh");
    assert_eq!(reused(&tagged, &[("cache-control", "max-stale=3")], 14), "validate");
}

#[test]
fn what_no_other_may_see_is_not_stored() {
    let refused =
        |request: &[(&str, &str)], response: &[(&str, &str)]| admitted(request, response).expect_err("refused");
    assert_eq!(refused(&[], &[("cache-control", "private, max-age=9")]), Refusal::Private);
    assert_eq!(refused(&[("cache-control", "no-store")], &[("cache-control", "max-age=9")]), Refusal::RequestNoStore);
    assert_eq!(refused(&[("authorization", "x")], &[("cache-control", "max-age=9")]), Refusal::Authorized);
    admitted(&[("authorization", "x")], &[("cache-control", "public, max-age=9")]).expect("it says so");
    assert_eq!(refused(&[], &[]), Refusal::Stale);
    assert_eq!(refused(&[], &[("cache-control", "no-cache")]), Refusal::NoCache);
    assert_eq!(refused(&[], &[("vary", "*"), ("cache-control", "max-age=9")]), Refusal::VariesByAll);
    admitted(&[], &[("cache-control", "no-store, must-understand, max-age=9")]).expect("a status that is known");
}

#[test]
fn a_cookie_is_stored_only_where_the_response_is_for_all() {
    let cookie =
        |control: &str| admitted(&[], &[("cache-control", &format!("max-age=9, {control}")), ("set-cookie", "a=b")]);
    for control in ["must-revalidate", "proxy-revalidate", "immutable"] {
        assert_eq!(cookie(control), Err(Refusal::SetsCookie), "{control}");
        let with_credentials = [("authorization", "x")];
        let response = [("cache-control", &*format!("max-age=9, {control}"))];
        assert_eq!(admitted(&with_credentials, &response).is_ok(), control != "immutable", "RFC 9111, section 3.5");
    }
    for control in ["public", "s-maxage=9"] {
        assert!(cookie(control).expect("for all").headers.contains_key("set-cookie"), "{control}");
    }
    for control in ["private=\"Set-Cookie\"", "no-cache=\"x, set-cookie\""] {
        let stored = cookie(control).expect("the rest may be stored");
        assert!(!stored.headers.contains_key("set-cookie"), "{control}");
        let own = for_one(&fields(&[("cache-control", control), ("set-cookie", "a=b"), ("set-cookie", "c=d")]));
        assert_eq!(own.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=b", "c=d"], "{control}");
    }
}

#[test]
fn a_targeted_field_overrides_the_others() {
    let stored = admitted(&[], &[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store"), ("expires", "0")]);
    assert_eq!(stored.expect("stored").lifetime_s, 60);
    let refused = admitted(&[], &[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")]);
    assert_eq!(refused.expect_err("refused"), Refusal::NoStore);
    let unread = admitted(&[], &[("cdn-cache-control", "max-age=\"60"), ("cache-control", "max-age=7")]);
    assert_eq!(unread.expect("stored").lifetime_s, 7);
}

#[test]
fn a_304_renews_what_it_is_about() {
    let stored =
        admitted(&[], &[("cache-control", "max-age=1"), ("etag", "\"a\""), ("x-kept", "1"), ("content-type", "a/b")]);
    let stored = stored.expect("stored");
    let response =
        fields(&[("cache-control", "max-age=50"), ("etag", "\"a\""), ("content-type", "c/d"), ("x-new", "2")]);
    let headers = updated(&stored, &response).expect("about this one");
    let renewed = renewed(&stored, &HeaderMap::new(), headers, PROXY, NOW_MS + 5_000).expect("stored");
    assert!(renewed.is_fresh(NOW_MS + 50_000));
    assert_eq!(
        (&renewed.headers["x-kept"], &renewed.headers["x-new"]),
        (&HeaderValue::from_static("1"), &HeaderValue::from_static("2"))
    );
    assert_eq!(renewed.headers["content-type"], "a/b");
    let other = fields(&[("etag", "\"b\"")]);
    assert!(updated(&stored, &other).is_none());
    let cookie = fields(&[("cache-control", "max-age=50, must-revalidate"), ("set-cookie", "a=b")]);
    let headers = updated(&stored, &cookie).expect("about this one");
    assert_eq!(super::renewed(&stored, &HeaderMap::new(), headers, PROXY, NOW_MS), Err(Refusal::SetsCookie));
}

#[test]
fn in_trouble_a_stale_response_helps_if_it_may() {
    let plain = admitted(&[], &[("cache-control", "max-age=1, stale-if-error=60")]).expect("stored");
    let later = NOW_MS + 30_000;
    assert!(usable_in_trouble(&plain, Trouble::Status(StatusCode::BAD_GATEWAY), later));
    assert!(!usable_in_trouble(&plain, Trouble::Status(StatusCode::NOT_FOUND), later));
    assert!(!usable_in_trouble(&plain, Trouble::Status(StatusCode::BAD_GATEWAY), later + 60_000));
    assert!(usable_in_trouble(&plain, Trouble::Unreachable, later + 60_000));
    let must = admitted(&[], &[("cache-control", "max-age=1, must-revalidate, stale-if-error=60")]).expect("stored");
    assert!(!usable_in_trouble(&must, Trouble::Unreachable, later));
}

#[test]
fn a_change_makes_its_own_url_and_those_it_names_invalid() {
    let response = fields(&[("location", "/new?x"), ("content-location", "http://h.example/other#f")]);
    let urls = invalidated(&Method::POST, "http://h.example/a/b", StatusCode::CREATED, &response);
    assert_eq!(urls, ["http://h.example/a/b", "http://h.example/new?x", "http://h.example/other"]);
    let foreign = fields(&[("location", "http://h.example.evil/x"), ("content-location", "c")]);
    let urls = invalidated(&Method::PUT, "http://h.example/a/b", StatusCode::OK, &foreign);
    assert_eq!(urls, ["http://h.example/a/b", "http://h.example/a/c"]);
    assert!(invalidated(&Method::GET, "http://h/", StatusCode::OK, &response).is_empty());
    assert!(invalidated(&Method::DELETE, "http://h/", StatusCode::NOT_FOUND, &response).is_empty());
}
