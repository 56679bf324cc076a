use base::SystemRng;

use super::*;

#[test]
fn a_request_that_was_here_is_known_by_its_marks() {
    let (here, there) = (NodeName::new(&SystemRng), NodeName::new(&SystemRng));
    let mut headers = HeaderMap::new();
    here.check(&headers).expect("it was nowhere");
    there.mark(&mut headers);
    here.check(&headers).expect("it was somewhere else");
    here.mark(&mut headers);
    assert_eq!(here.check(&headers).expect_err("it was here").code.name, "upstream_loop");
    assert_eq!(headers.get_all(CDN_LOOP).iter().count(), 2, "what others wrote stays");
    let own = here.0.to_str().expect("text").to_uppercase();
    for (line, expect) in [
        (format!("other.example:8080; v=1, {own};x=\"y\""), false),
        (format!(" {own} "), false),
        (format!("{own}x"), true),
        (format!("a;b={own}"), true),
        (String::new(), true),
    ] {
        let headers = HeaderMap::from_iter([(CDN_LOOP, HeaderValue::try_from(&line).expect("a value"))]);
        assert_eq!(here.check(&headers).is_ok(), expect, "{line}");
    }
}
