use base::code;

use super::*;

fn check(giver: Giver, before: Option<&'static str>, expect: &[&str]) {
    let mut headers = HeaderMap::new();
    headers.extend(before.map(|value| (CACHE_STATUS, HeaderValue::from_static(value))));
    tell(&mut headers, giver);
    let told: Vec<_> = headers.get_all(CACHE_STATUS).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    assert_eq!(told, expect, "{giver:?}");
}

#[test]
fn every_giver_is_told_once_and_members_of_others_stay() {
    check(Giver::Worker, None, &["selvedge; fwd=bypass; detail=worker"]);
    check(Giver::Worker, Some("them; hit"), &["them; hit", "selvedge; fwd=bypass; detail=worker"]);
    check(Giver::Asset, None, &["selvedge; fwd=bypass; detail=asset"]);
    check(Giver::Redirect, None, &["selvedge; detail=redirect"]);
    check(Giver::Upstream { cached: true }, Some("selvedge; hit; ttl=3"), &["selvedge; hit; ttl=3"]);
    check(Giver::Middleware, Some("selvedge; hit; ttl=3"), &["selvedge; hit; ttl=3"]);
    check(Giver::Middleware, Some("them; hit"), &["them; hit", "selvedge; fwd=bypass; detail=worker"]);
}

#[test]
fn a_failure_says_its_code_and_whether_anybody_was_asked() {
    let told = |giver, code| {
        let mut headers = HeaderMap::new();
        tell_failure(&mut headers, code, giver);
        ours(&headers).unwrap_or_default().to_owned()
    };
    assert_eq!(told(Giver::Node, &code::NO_ROUTE), "detail=no_route");
    let cached = Giver::Upstream { cached: true };
    assert_eq!(told(cached, &code::UPSTREAM_TIMEOUT), "fwd=miss; detail=upstream_timeout");
    assert_eq!(told(cached, &code::NOT_CACHED), "detail=not_cached");
    assert_eq!(told(Giver::Upstream { cached: false }, &code::UPSTREAM_TIMEOUT), "fwd=bypass; detail=upstream_timeout");
}

#[test]
fn only_the_last_member_is_this_nodes() {
    let mut headers = HeaderMap::new();
    assert!(!is_hit(&headers));
    headers.append(CACHE_STATUS, HeaderValue::from_static("selvedge; hit; ttl=1"));
    assert!(is_hit(&headers));
    headers.append(CACHE_STATUS, HeaderValue::from_static("them; fwd=miss"));
    assert!(!is_hit(&headers));
}

#[test]
fn a_record_keeps_what_the_member_says_and_a_constant_costs_no_text() {
    let check = |member: Option<&'static str>, expect: &str, constant: bool| {
        let mut headers = HeaderMap::new();
        headers.extend(member.map(|value| (CACHE_STATUS, HeaderValue::from_static(value))));
        let kept = ours_kept(&headers);
        assert_eq!((&*kept, matches!(kept, Cow::Borrowed(_))), (expect, constant), "{member:?}");
    };
    check(None, "", true);
    check(Some("them; hit"), "", true);
    check(Giver::Worker.member(), "fwd=bypass; detail=worker", true);
    check(Giver::Node.member(), "detail=node", true);
    check(Some("selvedge; hit; ttl=3"), "hit; ttl=3", false);
}
