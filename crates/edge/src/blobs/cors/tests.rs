use super::*;

fn rules() -> Vec<CorsRule> {
    let rule = CorsRule {
        origins: vec!["https://*.example.com".into()],
        methods: vec!["GET".into()],
        headers: vec!["range".into()],
        expose: vec!["ETag".into()],
        max_age_s: Some(60),
        ..CorsRule::default()
    };
    vec![rule]
}

fn asks(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn shown(response: &Response<Body>, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().expect("a text").to_owned())
}

#[test]
fn a_preflight_is_answered_as_a_rule_has_it() {
    let asked = |origin, method, fields| {
        let headers = asks(&[
            (header::ORIGIN, origin),
            (header::ACCESS_CONTROL_REQUEST_METHOD, method),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, fields),
        ]);
        preflight(&rules(), &Method::OPTIONS, &headers)
    };
    let response = asked("https://a.example.com", "GET", "Range").expect("an answer");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example.com"),
        ("access-control-allow-methods", "GET"),
        ("access-control-allow-headers", "Range"),
        ("access-control-max-age", "60"),
        ("vary", "Origin"),
    ] {
        assert_eq!(shown(&response, name).as_deref(), Some(value), "{name}");
    }
    assert!(asked("https://evil.example", "GET", "").is_none());
    assert!(asked("https://a.example.com", "PUT", "").is_none());
    assert!(asked("https://a.example.com", "GET", "x-other").is_none());
    let plain = asks(&[(header::ORIGIN, "https://a.example.com")]);
    assert!(preflight(&rules(), &Method::OPTIONS, &plain).is_none(), "it is no preflight");
}

#[test]
fn a_page_may_read_what_a_rule_lets_it() {
    let told = |rules: &[CorsRule], origin: &'static str| {
        let mut response = Response::new(Body::empty());
        allow(rules, &Method::GET, &asks(&[(header::ORIGIN, origin)]), &mut response);
        (shown(&response, "access-control-allow-origin"), shown(&response, "access-control-expose-headers"))
    };
    let own = "https://a.example.com".to_owned();
    assert_eq!(told(&rules(), "https://a.example.com"), (Some(own), Some("ETag".into())));
    assert_eq!(told(&rules(), "https://evil.example"), (None, None));
    let any = vec![CorsRule { origins: vec!["*".into()], expose: Vec::new(), ..rules().remove(0) }];
    assert_eq!(told(&any, "https://evil.example"), (Some("*".into()), None));
}
