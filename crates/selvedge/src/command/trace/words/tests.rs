use super::*;

fn check(cache: &str, expect: &[&str]) {
    assert_eq!(sentences(cache), expect, "{cache}");
}

#[test]
fn each_parameter_is_a_sentence() {
    check("", &[]);
    check("hit; ttl=59", &["A stored response answered; no server was asked.", "It is fresh for 59 s more."]);
    check(
        "fwd=uri-miss; fwd-status=200; detail=private",
        &[
            "Nothing was stored under this URL.",
            "The origin answered with 200.",
            "It was not stored, for it is private (Cache-Control: private).",
        ],
    );
    check(
        "fwd=bypass; detail=worker",
        &["The cache was passed by.", "A worker answered; its answers are not stored unless it stores them itself."],
    );
    check("detail=upstream_timeout", &["It failed with upstream_timeout."]);
    check("future=1", &["future=1"]);
}

#[test]
fn every_reason_for_not_storing_has_words_of_its_own() {
    use cache::Refusal as R;
    let all = [
        R::Method,
        R::Partial,
        R::VariesByAll,
        R::Status,
        R::NotFinal,
        R::NoStore,
        R::Private,
        R::NoCache,
        R::SetsCookie,
        R::Stale,
        R::Tags,
        R::RequestNoStore,
        R::Authorized,
    ];
    for refusal in all {
        let text = sentences(&format!("detail={}", refusal.detail()));
        assert!(text.iter().all(|text| !text.contains("failed")), "{}: {text:?}", refusal.detail());
    }
}

#[test]
fn the_steps_say_who_answered_and_how_long_it_took() {
    let entry = TraceEntry {
        number: 1,
        time_ms: 0,
        request_id: "id".into(),
        app: Some("shop".into()),
        route: Some("/*".into()),
        target: Some("upstream api".into()),
        server: Some("http://127.0.0.1:9".into()),
        tries: 2,
        client: Some("127.0.0.1".into()),
        protocol: "HTTP/1.1".into(),
        method: "GET".into(),
        host: "a.test".into(),
        path: "/x".into(),
        status: 200,
        cache: "fwd=bypass".into(),
        request_bytes: 0,
        response_bytes: 5,
        head_us: 1_500,
        total_us: 2_000,
        code: None,
        detail: None,
    };
    let told = steps(&entry).into_iter().map(|(step, text)| format!("{step}: {text}")).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            "request: GET a.test/x by 127.0.0.1 over HTTP/1.1",
            "id: id",
            "route: /* of shop, which leads to upstream api",
            "cache: The cache was passed by.",
            "server: http://127.0.0.1:9, after 2 tries",
            "answer: 200, its head after 1.5 ms, 5 bytes in 2.0 ms",
        ]
    );
    assert!(line(&entry).contains("upstream api at http://127.0.0.1:9 in 2 tries [fwd=bypass]"));
}
