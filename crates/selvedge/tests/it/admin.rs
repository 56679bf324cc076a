//! The admin listener: for the command line and for those who hold the token, not for web pages.

use crate::harness::{Place, Request};

const HELLO: &str = "export default { fetch: () => new Response(\"hello\") };\n";

#[test]
fn a_web_page_gets_nothing_from_the_admin_address() {
    let place = Place::new();
    let node = place.serve();
    let deploy = |request: Request| request.header("content-type", "text/plain").send(node.admin).expect("an answer");
    let posted = deploy(Request::post("/v1/deploy", "{}").header("origin", "https://evil.example"));
    posted.expect_problem(403, "forbidden");
    deploy(Request::get("/healthz").header("origin", "http://localhost:3000")).expect_problem(403, "forbidden");
    deploy(Request::get("/metrics").header("sec-fetch-site", "cross-site")).expect_problem(403, "forbidden");
    // A name that somebody points at this machine.
    let rebound = deploy(Request::get("/healthz").header("host", "evil.example"));
    assert_eq!(rebound.status, 403, "{}", rebound.text());
    assert_eq!(node.ask_admin(Request::get("/metrics").header("origin", "https://evil.example")).status, 403);
}

#[test]
fn everything_but_health_wants_the_token() {
    let place = Place::new();
    let node = place.serve();
    let ask = |request: &Request| request.send(node.admin).expect("an answer");
    assert_eq!(ask(&Request::get("/healthz")).expect(200).text(), "ok\n");
    assert_eq!(ask(&Request::get("/readyz")).expect(200).text(), "ready\n");
    for path in ["/metrics", "/nothing", "/v1/apps"] {
        let answer = ask(&Request::get(path));
        assert!(answer.header("www-authenticate").is_some_and(|field| field.starts_with("Bearer")), "{path}");
        answer.expect_problem(401, "unauthenticated");
        ask(&Request::get(path).header("authorization", "Bearer 0000")).expect_problem(401, "unauthenticated");
    }
    assert_eq!(node.ask_admin(Request::get("/nothing")).status, 404);
}

#[test]
fn only_the_owner_can_read_the_token() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let _node = place.serve();
    for name in ["admin.token", "admin.json"] {
        let mode = std::fs::metadata(place.data().join(name)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn the_token_is_another_one_at_every_start() {
    let place = Place::new();
    let token = || std::fs::read_to_string(place.data().join("admin.token")).expect("the token");
    let node = place.serve();
    let first = token();
    node.stop();
    let _node = place.serve();
    assert_ne!(first, token());
    assert_eq!(first.len(), 64);
}

#[test]
fn metrics_count_requests_and_cold_starts() {
    let place = Place::new();
    let node = place.serve_project(&place.worker(HELLO));
    for _ in 0..3 {
        node.send(&Request::get("/").at_app("app")).expect(200);
    }
    let text = crate::harness::until("three requests are counted", || {
        let text = node.ask_admin(Request::get("/metrics")).expect(200).text();
        let counted = text.lines().any(|line| line.starts_with("selvedge_requests") && line.ends_with(" 3"));
        counted.then_some(text)
    });
    for name in ["selvedge_requests", "selvedge_instances", "selvedge_connections_open", "cold"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn the_admin_api_is_not_on_the_port_of_the_apps() {
    let place = Place::new();
    let node = place.serve();
    for path in ["/metrics", "/healthz", "/v1/apps"] {
        node.get(path).expect_problem(404, "no_app");
    }
}
