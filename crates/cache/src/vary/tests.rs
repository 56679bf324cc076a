use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
}

fn fields(lines: &[(&str, &str)]) -> Vec<HeaderName> {
    match Vary::parse(&headers(lines)) {
        Vary::Fields(fields) => fields,
        Vary::Any => panic!("varies by everything"),
    }
}

#[test]
fn names_are_read_once_each() {
    assert!(fields(&[]).is_empty());
    assert_eq!(fields(&[("vary", "Accept , accept-encoding,,ACCEPT")]), ["accept", "accept-encoding"]);
    assert_eq!(Vary::parse(&headers(&[("vary", "accept, *")])), Vary::Any);
    assert_eq!(Vary::parse(&headers(&[("vary", "a b")])), Vary::Any);
}

#[test]
fn requests_match_that_are_alike_in_the_fields() {
    let stored = |lines: &[(&str, &str)]| VaryValues::of(vec![HeaderName::from_static("accept")], &headers(lines));
    let html = stored(&[("accept", "text/html,  text/plain"), ("x-other", "1")]);
    assert!(html.matches(&headers(&[("accept", "text/html,text/plain")])));
    assert!(!html.matches(&headers(&[("accept", "text/plain, text/html")])));
    assert!(!html.matches(&headers(&[])));
    assert!(stored(&[]).matches(&headers(&[("x-other", "2")])));
    assert!(!stored(&[]).matches(&headers(&[("accept", "")])));
    assert!(VaryValues::default().matches(&headers(&[("accept", "x")])));
}
