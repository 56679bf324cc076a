use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn request(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

/// What a rule makes of a query; `-` for none.
fn check(query: QueryRule, sort_query: bool, given: &str, expect: &str) {
    let rule = KeyRule { query, sort_query, ..KeyRule::default() };
    assert_eq!(rule.query(Some(given)).as_deref().unwrap_or("-"), expect, "{rule:?} {given}");
}

#[test]
fn a_rule_chooses_parameters_and_their_order() {
    check(QueryRule::All, false, "b=1&&a=2&utm_x=3", "b=1&&a=2&utm_x=3");
    check(QueryRule::All, true, "b=1&a=2&&b=0&a", "a=2&a&b=1&b=0");
    check(QueryRule::Only(names(&["a", "p_*"])), false, "b=1&a=2&p_x=3&ab=4", "a=2&p_x=3");
    check(QueryRule::Only(names(&[])), false, "b=1", "-");
    check(QueryRule::Except(names(&["utm_*"])), false, "utm_a=1&b=2&utm=3", "b=2&utm=3");
    assert_eq!(KeyRule::default().query(None), None);
    assert_eq!(KeyRule::default().query(Some("")).as_deref(), Some(""));
}

#[test]
fn names_are_what_an_origin_reads() {
    check(QueryRule::Only(names(&["a b"])), false, "%61+b=1&a%20b=2&c=3", "%61+b=1&a%20b=2");
    check(QueryRule::Except(names(&["utm_a"])), false, "utm%5fa=1&x=2", "x=2");
    // Parameter cloaking: an origin that splits at semicolons reads a second `a`.
    check(QueryRule::Only(names(&["a"])), false, "a=1;b=2&a=3", "a=3");
}

#[test]
fn the_page_is_the_url_as_it_is_named() {
    let page = |scheme: &str, host: &str| KeyRule::default().page(scheme, host, "/A%2f", Some("b=C"));
    assert_eq!(page("http", "Shop.Example:80"), "http://shop.example/A%2f?b=C");
    assert_eq!(page("https", "shop.example:443"), "https://shop.example/A%2f?b=C");
    assert_eq!(page("https", "shop.example:80"), "https://shop.example:80/A%2f?b=C");
}

#[test]
fn fields_cookies_and_the_device_are_parts_that_nobody_can_forge() {
    let rule = KeyRule {
        headers: vec![header::ACCEPT_LANGUAGE, HeaderName::from_static("x-a")],
        cookies: names(&["theme"]),
        device: true,
        ..KeyRule::default()
    };
    let key = |lines: &[(&'static str, &str)]| rule.key("http://a/".into(), &request(lines));
    assert_eq!(key(&[]), "http://a/ accept-language= x-a= ~theme= device=desktop");
    let told = [("accept-language", "de, en"), ("cookie", "a=1; theme=dark;theme2=x"), ("cookie", "theme=%")];
    assert_eq!(key(&told), "http://a/ accept-language=de,%20en x-a= ~theme=dark;%25; device=desktop");
    assert_ne!(key(&[("accept-language", "de x-a=1")]), key(&[("accept-language", "de"), ("x-a", "1")]));
}

#[test]
fn devices_are_told_apart() {
    let device = |agent: &str| device(&request(&[("user-agent", agent)]));
    assert_eq!(device("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"), "mobile");
    assert_eq!(device("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/130.0 Mobile Safari/537.36"), "mobile");
    assert_eq!(device("Mozilla/5.0 (Linux; Android 15; SM-X910) Chrome/130.0 Safari/537.36"), "tablet");
    assert_eq!(device("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)"), "tablet");
    assert_eq!(device("Mozilla/5.0 (compatible; Googlebot/2.1)"), "bot");
    assert_eq!(device("curl/8.5"), "desktop");
    assert_eq!(super::device(&request(&[("sec-ch-ua-mobile", "?1")])), "mobile");
}

#[test]
fn what_leads_origins_astray_goes_no_further_unless_the_key_has_it() {
    let rule = KeyRule { headers: vec![HeaderName::from_static("x-host")], ..KeyRule::default() };
    let misleading =
        ["x-original-url", "x-real-ip", "x_original_url", "x-original_url", "x_host", "x-host", "x-mine", "x_mine"]
            .into_iter()
            .filter(|name| rule.misleads(&HeaderName::from_static(name)));
    assert_eq!(
        misleading.collect::<Vec<_>>(),
        ["x-original-url", "x-real-ip", "x_original_url", "x-original_url", "x_host"]
    );
}

proptest! {
    /// What the origin is asked is what the key says, and to choose twice changes nothing.
    #[test]
    fn nothing_that_is_not_in_the_key_reaches_the_origin(query in "[a-d=&;%+0-9]{0,30}", sort in any::<bool>()) {
        for query_rule in [QueryRule::Only(names(&["a", "b*"])), QueryRule::Except(names(&["c", "d*"]))] {
            let rule = KeyRule { query: query_rule, sort_query: sort, ..KeyRule::default() };
            let once = rule.query(Some(&query)).map(Cow::into_owned);
            let twice = rule.query(once.as_deref()).map(Cow::into_owned);
            prop_assert_eq!(once, twice);
        }
    }
}
