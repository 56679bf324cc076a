use super::*;
use crate::route::parse_pattern;

fn template(text: &str) -> Template {
    Template::parse(text).expect("a template")
}

fn rewritten(pattern: &str, to: &str, path: &str) -> Result<String, DotSegment> {
    let (_, pattern) = parse_pattern(pattern).expect("a pattern");
    let rewrite = Rewrite { path: Some(template(to)), ..Rewrite::default() };
    rewrite.path(path, &Filling { captures: pattern.captures(path), of_request: &|_| String::new() })
}

fn location(to: &str, query: Option<&str>, rest: &str) -> String {
    let redirect = Redirect { to: template(to), status: 302, keep_query: true };
    redirect.location(query, &Filling { captures: vec![("*", rest)], of_request: &|_| String::new() })
}

#[test]
fn a_path_is_rewritten_with_what_the_pattern_captured() {
    assert_eq!(rewritten("/users/:id/*", "/v2/u/{id}/{*}", "/users/7/a/b%20c").unwrap(), "/v2/u/7/a/b%20c");
    assert_eq!(rewritten("/a/*", "/{*}", "/a").unwrap(), "/");
    assert_eq!(rewritten("/a/*", "/{{x}}", "/a/b").unwrap(), "/{x}");
}

#[test]
fn a_capture_leaves_no_path_and_becomes_no_host() {
    for rest in ["..", "../x", "a/%2e%2E/b", "%2e", "..;x/y", "a%2f..%2fb", "%252e%252e", "..%5c"] {
        assert!(rewritten("/a/*", "/v2/{*}", &format!("/a/{rest}")).is_err(), "{rest}");
    }
    assert_eq!(rewritten("/a/*", "/{*}", "/a//evil.example/x").unwrap(), "/evil.example/x");
    assert_eq!(location("/{*}", None, "/evil.example"), "/evil.example");
    assert_eq!(location("/{*}", None, "\\evil.example"), "/evil.example");
    assert_eq!(location("/{*}", None, "%0d%0aset-cookie:x"), "/%0d%0aset-cookie:x");
    assert_eq!(location("/x{*}", None, "\r\nset-cookie:x"), "/xset-cookie:x");
    assert_eq!(location("https://example.com/{*}", None, "@evil.example"), "https://example.com/@evil.example");
}

#[test]
fn the_query_goes_along_unless_the_target_has_its_own() {
    assert_eq!(location("/b", Some("x=1"), ""), "/b?x=1");
    assert_eq!(location("/b#part", Some("x=1"), ""), "/b?x=1#part");
    assert_eq!(location("/b?y=2", Some("x=1"), ""), "/b?y=2");
}

#[test]
fn parameters_are_set_and_removed_and_a_value_ends_none() {
    let rewrite = Rewrite {
        path: None,
        query_set: vec![("id".to_owned(), template("{id}"))],
        query_remove: vec!["utm source".to_owned()],
    };
    let filling = Filling { captures: vec![("id", "a&b=c")], of_request: &|_| String::new() };
    assert_eq!(rewrite.query(Some("q=1&utm+source=x&id=9"), &filling).as_deref(), Some("q=1&id=a%26b%3Dc"));
    assert_eq!(rewrite.query(None, &filling).as_deref(), Some("id=a%26b%3Dc"));
    let removes = Rewrite { query_remove: vec!["q".to_owned()], ..Rewrite::default() };
    assert_eq!(removes.query(Some("q=1"), &filling), None);
}

#[test]
fn a_client_stays_on_its_side_when_the_side_grows() {
    let split = |share| Split { by: SplitBy::Client, sides: vec![Side { share, target: Target::Redirect }] };
    let clients: Vec<u32> =
        (0..20_000_u32).map(|n| position(format!("10.0.{}.{}", n >> 8, n & 255).as_bytes())).collect();
    let on_side = |share| clients.iter().filter(|at| split(share).side(**at).is_some()).count();
    assert!(clients.iter().all(|at| split(500).side(*at).is_none() || split(1_000).side(*at).is_some()));
    assert_eq!((on_side(0), on_side(WHOLE)), (0, clients.len()));
    let tenth = on_side(1_000);
    assert!((1_800..2_200).contains(&tenth), "a tenth of 20,000 is about 2,000, not {tenth}");
    // On record: a change would move every client of every app.
    assert_eq!(position(b"192.0.2.1"), position(b"192.0.2.1"));
}

#[test]
fn a_template_that_is_none_is_told() {
    assert_eq!(Template::parse("/{a"), Err(crate::route::template::TemplateError::Open));
    assert_eq!(Template::parse("/a}"), Err(crate::route::template::TemplateError::Close));
    assert_eq!(template("/{a}/{{{b}}}").to_string(), "/{a}/{{{b}}}");
}
