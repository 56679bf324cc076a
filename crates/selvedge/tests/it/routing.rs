//! Routes by more than host and path, and what their rules do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Node, Place, Request, until};
use crate::proxy::{Origin, send};

/// A worker that says its name and what it sees.
const TELL: &str = r#"
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const seen = { name: env.NAME, method: request.method, path: url.pathname + url.search };
    seen.fields = Object.fromEntries([...request.headers].filter(([name]) => name.startsWith("x-")));
    seen.body = await request.text();
    if (url.searchParams.has("fail")) return new Response("failed", { status: 503 });
    return Response.json(seen, { headers: { "x-inner": "1", "x-twice": "a" } });
  },
};
"#;

/// An app of workers that tell who they are.
fn node(place: &Place, workers: &[&str], rest: &str) -> Node {
    let mut manifest = "name = \"app\"\n".to_owned();
    for worker in workers {
        manifest += &format!("[workers.{worker}]\nentry = \"tell.js\"\nvars = {{ NAME = \"{worker}\" }}\n");
    }
    manifest += rest;
    let files = [("sorry/sorry.html", "be back"), ("sorry/404.html", "not here")];
    place.dev(
        &place.project("project", &[&[("selvedge.toml", manifest.as_str()), ("tell.js", TELL)], &files[..]].concat()),
    )
}

fn name(node: &Node, request: &Request) -> String {
    node.send(request).expect(200).json()["name"].as_str().expect("a name").to_owned()
}

#[test]
fn a_route_is_chosen_by_what_a_request_brings() {
    let place = Place::new();
    let node = node(
        &place,
        &["web", "beta", "pro", "post", "preview", "local", "far"],
        r#"
[[routes]]
match = "/*"
worker = "web"
[[routes]]
match = "/*"
worker = "beta"
when = { header = { "X-Beta" = "1" } }
priority = 3
[[routes]]
match = "/*"
worker = "pro"
when = { cookie = { plan = ["pro", "team"] } }
priority = 2
[[routes]]
match = "/*"
worker = "post"
when = { method = ["POST", "PUT"] }
priority = 1
[[routes]]
match = "/*"
worker = "preview"
when = { query = { preview = true, v = { prefix = "2." } } }
[[routes]]
match = "/local"
worker = "local"
when = { network = "127.0.0.0/8" }
[[routes]]
match = "/local"
worker = "far"
when = { network = ["10.0.0.0/8"] }
"#,
    );
    let get = |path: &str| Request::get(path);
    let check = |request: Request, expected: &str| assert_eq!(name(&node, &request), expected);
    check(get("/"), "web");
    check(get("/").header("x-beta", "1"), "beta");
    check(get("/").header("x-beta", "2"), "web");
    check(get("/").header("cookie", "a=b; plan=team"), "pro");
    check(get("/").header("cookie", "plan=team").header("x-beta", "1"), "beta");
    check(Request::post("/", "x"), "post");
    check(Request::post("/", "x").header("cookie", "plan=pro"), "pro");
    check(get("/?v=2.1&preview"), "preview");
    check(get("/?v=1.1&preview"), "web");
    check(get("/local"), "local");
}

#[test]
fn a_part_of_the_clients_goes_elsewhere_and_stays_there() {
    let place = Place::new();
    let node = node(
        &place,
        &["web", "new"],
        r#"
[[routes]]
match = "/*"
worker = "web"
split = { to = [{ worker = "new", percent = 50 }] }
[[routes]]
match = "/by-user"
worker = "web"
split = { by = { header = "x-user" }, to = [{ worker = "new", percent = 50 }] }
[[routes]]
match = "/all"
worker = "web"
split = { by = "client", to = [{ worker = "new", percent = 100 }] }
"#,
    );
    let mut sides = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let first = node.get("/").expect(200);
        let cookie = first.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        let side = first.json()["name"].as_str().expect("a name").to_owned();
        let again = node.send(&Request::get("/other").header("cookie", &cookie)).expect(200);
        assert_eq!(again.json()["name"].as_str(), Some(side.as_str()), "{cookie}");
        assert_eq!(again.header("set-cookie"), None);
        sides.insert(side);
    }
    assert_eq!(sides.len(), 2, "64 clients are not all on one side");
    let user = |n: usize| name(&node, &Request::get("/by-user").header("x-user", &format!("user-{n}")));
    let users = || (0..16).map(user).collect::<Vec<_>>();
    assert_eq!(users(), users());
    assert_eq!(name(&node, &Request::get("/all")), "new");
}

#[test]
fn a_path_a_query_and_fields_are_rewritten() {
    let place = Place::new();
    let node = node(
        &place,
        &["web"],
        r#"
[[routes]]
match = "/users/:id/*"
worker = "web"
rewrite = { path = "/v2/{id}/{*}", query = { set = { from = "{path}" }, remove = ["utm"] } }
request_headers = { set = { x-id = "{id}", x-client = "{client}" }, remove = ["x-secret"] }
response_headers = { set = { x-outer = "{host}" }, remove = ["x-inner"], append = { x-twice = "b" } }
[[routes]]
match = "/raw/*"
worker = "web"
rewrite = "/{*}"
"#,
    );
    let request = Request::get("/users/7/a/b?q=1&utm=x").header("x-secret", "s").header("x-id", "forged");
    let answer = node.send(&request).expect(200);
    let seen = answer.json();
    assert_eq!(seen["path"], "/v2/7/a/b?q=1&from=/users/7/a/b");
    assert_eq!(seen["fields"]["x-id"], "7");
    assert_eq!(seen["fields"]["x-client"], "127.0.0.1");
    assert!(seen["fields"].get("x-secret").is_none(), "{seen}");
    assert_eq!(answer.header("x-inner"), None);
    assert!(answer.header("x-outer").is_some());
    assert_eq!(node.get("/raw//evil.example/x").expect(200).json()["path"], "/evil.example/x");
    for path in ["/raw/a%2f..%2fb", "/raw/..%5cx", "/raw/..;/x", "/raw/%252e%252e/x"] {
        node.get(path).expect_problem(400, "bad_path");
    }
}

#[test]
fn clients_are_sent_elsewhere_and_never_to_a_host_of_their_choice() {
    let place = Place::new();
    let node = node(
        &place,
        &["web"],
        r#"
[[routes]]
match = "/old/*"
redirect = "/{*}"
[[routes]]
match = "/moved/:id"
redirect = { to = "https://example.com/items/{id}", status = 308, keep_query = false }
[[routes]]
match = "/live"
worker = "web"
"#,
    );
    let location = |path: &str, status: u16| {
        let answer = node.get(path).expect(status);
        answer.header("location").expect("a location").to_owned()
    };
    assert_eq!(location("/old/a/b?x=1", 302), "/a/b?x=1");
    assert_eq!(location("/old//evil.example/x", 302), "/evil.example/x");
    assert_eq!(location("/old/%5cevil.example", 302), "/%5cevil.example");
    assert_eq!(location("/moved/7?x=1", 308), "https://example.com/items/7");
    assert_eq!(name(&node, &Request::get("/live")), "web");
}

#[test]
fn a_route_is_closed_but_for_whom_it_lets_in() {
    let place = Place::new();
    let node = node(
        &place,
        &["web"],
        r#"
[[routes]]
match = "/*"
worker = "web"
maintenance = { page = "<h1>Soon</h1>", retry_after_s = 120, allow = { header = { x-key = "k" } } }
[[routes]]
match = "/plain"
worker = "web"
maintenance = true
[[routes]]
match = "/small"
worker = "web"
max_body_bytes = 4
[[routes]]
match = "/off"
worker = "web"
maintenance = { on = false, page = "x" }
"#,
    );
    let closed = node.get("/").expect(503);
    assert_eq!((closed.text().as_str(), closed.header("retry-after")), ("<h1>Soon</h1>", Some("120")));
    assert_eq!(name(&node, &Request::get("/").header("x-key", "k")), "web");
    assert_eq!(name(&node, &Request::get("/off")), "web");
    node.get("/plain").expect_problem(503, "maintenance");
    assert_eq!(name(&node, &Request::post("/small", "1234")), "web");
    node.send(&Request::post("/small", "12345")).expect_problem(413, "body_too_large");
}

#[test]
fn another_target_answers_where_the_first_fails() {
    let place = Place::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let slow = Origin::start(|seen, stream| match seen.target.as_str() {
        "/slow" => std::thread::park(),
        _ => drop(std::io::Write::write_all(stream, b"HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n")),
    });
    let node = node(
        &place,
        &["web"],
        &format!(
            r#"
[upstreams.gone]
targets = ["http://{gone}"]
[upstreams.bad]
targets = ["http://{}"]
[[routes]]
match = "/gone"
upstream = "gone"
failover = {{ worker = "web" }}
[[routes]]
match = "/bad"
upstream = "bad"
failover = {{ worker = "web" }}
[[routes]]
match = "/slow"
upstream = "bad"
timeout_ms = 50
[[routes]]
match = "/page/*"
upstream = "gone"
cache = false
failover = {{ assets = "sorry", page = "sorry.html" }}
[[routes]]
match = "/fine/*"
upstream = "bad"
failover = {{ assets = "sorry", page = "/sorry.html", status = 200 }}
[[routes]]
match = "/app/*"
upstream = "gone"
failover = {{ assets = "sorry", not_found = "404-page" }}
[[routes]]
match = "/none/*"
upstream = "gone"
failover = {{ assets = "sorry", page = "nothing.html" }}
"#,
            slow.address
        ),
    );
    assert_eq!(name(&node, &Request::get("/gone")), "web");
    let posted = node.send(&Request::post("/gone", "kept")).expect(200).json();
    assert_eq!((posted["name"].as_str(), posted["body"].as_str()), (Some("web"), Some("kept")));
    assert_eq!(name(&node, &Request::get("/bad")), "web");
    // It may have been done: nobody does it twice.
    node.send(&Request::post("/bad", "once")).expect(502);
    node.get("/slow").expect_problem(504, "route_timeout");

    // One page answers whatever was asked for.
    for request in [Request::get("/page/any/path"), Request::post("/page/", "x"), Request::get("/page/a.css?b")] {
        let sorry = node.send(&request.header("if-none-match", "*").header("range", "bytes=0-0")).expect(503);
        assert_eq!((sorry.text().as_str(), sorry.header("cache-control")), ("be back", Some("no-store")));
        assert_eq!(sorry.header("content-type"), Some("text/html; charset=utf-8"));
    }
    assert_eq!(node.get("/fine/x").expect(200).text(), "be back");
    assert_eq!(node.get("/app/x").expect(404).text(), "not here");
    node.get("/none/x").expect_problem(502, "upstream_unreachable");
}

#[test]
fn a_shadow_is_compared_and_never_felt() {
    let place = Place::new();
    let copies = Arc::new(AtomicUsize::new(0));
    let counted = copies.clone();
    let shadow = Origin::start(move |seen, stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        match seen.target.as_str() {
            "/same" => send(stream, "", "same"),
            "/body" => send(stream, "", "other"),
            "/never" => std::thread::park(),
            _ => drop(std::io::Write::write_all(stream, b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")),
        }
    });
    let real = Origin::start(|_, stream| send(stream, "", "same"));
    let node = node(
        &place,
        &[],
        &format!(
            r#"
[upstreams.real]
targets = ["http://{}"]
[upstreams.shadow]
targets = ["http://{}"]
[[routes]]
match = "/*"
upstream = "real"
cache = false
mirror = {{ upstream = "shadow" }}
"#,
            real.address, shadow.address
        ),
    );
    for path in ["/same", "/body", "/status", "/never"] {
        assert_eq!(node.get(path).expect(200).text(), "same");
    }
    assert_eq!(node.send(&Request::post("/same", "x")).expect(200).text(), "same");
    for outcome in ["same", "other_status", "other_body"] {
        let line = format!("selvedge_mirrored_total{{app=\"app\",route=\"/*\",outcome=\"{outcome}\"}} 1");
        until(&line, || node.ask_admin(Request::get("/metrics")).text().contains(&line).then_some(()));
    }
    let shown = place.on_data(&["mirrors", "app", "--json"]).json();
    let route = &shown["items"][0];
    assert_eq!(
        (&route["route"], &route["same"], &route["other_body"]),
        (&"/*".into(), &1.into(), &1.into()),
        "{shown}"
    );
    until("the copies", || (copies.load(Ordering::SeqCst) == 4).then_some(()));
}

#[test]
fn two_upstreams_at_one_url_never_answer_for_each_other_out_of_the_cache() {
    let place = Place::new();
    let origin =
        |name: &'static str| Origin::start(move |_, stream| send(stream, "cache-control: max-age=60\r\n", name));
    let (old, new) = (origin("old"), origin("new"));
    let node = node(
        &place,
        &[],
        &format!(
            r#"
[upstreams.old]
targets = ["http://{}"]
[upstreams.new]
targets = ["http://{}"]
[[routes]]
match = "/*"
upstream = "old"
split = {{ by = {{ header = "x-user" }}, to = [{{ upstream = "new", percent = 50 }}] }}
[[routes]]
match = "/*"
upstream = "new"
when = {{ header = {{ x-new = true }} }}
"#,
            old.address, new.address
        ),
    );
    assert_eq!(node.send(&Request::get("/").header("x-new", "1")).expect(200).text(), "new");
    let told = |user: &str| node.send(&Request::get("/").header("x-user", user)).expect(200).text();
    let before: Vec<_> = (0..16).map(|n| told(&format!("u{n}"))).collect();
    let after: Vec<_> = (0..16).map(|n| told(&format!("u{n}"))).collect();
    assert_eq!(before, after);
    assert!(before.contains(&"old".to_owned()) && before.contains(&"new".to_owned()), "{before:?}");
    assert_eq!((old.visits(), new.visits()), (1, 1));
}

#[test]
fn what_can_not_be_meant_is_told_before_it_is_served() {
    let place = Place::new();
    let check = |rest: &str| {
        let manifest = format!("name = \"app\"\n[workers.web]\nentry = \"tell.js\"\n{rest}");
        let dir = place.project("wrong", &[("selvedge.toml", &manifest), ("tell.js", TELL)]);
        place.run(&["check", &dir.display().to_string()]).expect_failure()
    };
    let route = "[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
    let wrong = [
        (
            format!("{route}when = {{ method = \"GET\" }}\n{route}when = {{ header = {{ a = true }} }}"),
            "ambiguous_route",
        ),
        (format!("{route}priority = 1\n{route}when = {{ method = \"GET\" }}"), "shadowed_route"),
        ("[[routes]]\nmatch = \"/a/*\"\nredirect = \"/a/b/{*}\"".to_owned(), "bad_redirect"),
        ("[[routes]]\nmatch = \"/a/:host\"\nredirect = \"https://{host}/\"".to_owned(), "bad_redirect"),
        ("[[routes]]\nmatch = \"/a/*\"\nredirect = \"https://x{*}\"".to_owned(), "bad_redirect"),
        ("[[routes]]\nmatch = \"/a/*\"\nredirect = \"//{*}\"".to_owned(), "bad_redirect"),
        (
            "[[routes]]\nmatch = \"/a\"\nredirect = \"/b\"\n[[routes]]\nmatch = \"/b\"\nredirect = \"/a\"".to_owned(),
            "bad_redirect",
        ),
        (format!("{route}rewrite = \"/../{{*}}\""), "bad_value"),
        (format!("{route}rewrite = \"/{{nobody}}\""), "bad_value"),
        (format!("{route}request_headers = {{ set = {{ Transfer-Encoding = \"x\" }} }}"), "bad_value"),
        (format!("{route}split = {{ to = [{{ worker = \"web\", percent = 101 }}] }}"), "bad_value"),
        (format!("{route}when = {{ countrey = \"DE\" }}"), "unknown_field"),
    ];
    for (manifest, code) in wrong {
        let said = check(&manifest);
        assert!(said.contains(&format!("manifest::{code}")), "{code} in {said}");
    }
}

const GATE: &str = r#"
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname === "/blocked") return new Response("no", { status: 403 });
    if (url.pathname === "/plain") return fetch(request);
    if (url.pathname === "/elsewhere") return fetch(new URL("/found?by=gate", url), request);
    if (url.pathname === "/late") ctx.waitUntil(fetch(new URL("/after", url)));
    const inner = new Request(request);
    inner.headers.set("x-gate", "was here");
    const key = url.searchParams.get("key");
    if (key) inner.headers.set("selvedge-cache-key", "/key/" + key);
    const answer = await fetch(inner);
    const response = new Response(answer.body, answer);
    response.headers.set("x-outer", "gate");
    return response;
  },
};
"#;

fn with_gate(place: &Place, position: &str, origin: &Origin) -> Node {
    let manifest = format!(
        r#"
name = "app"
[upstreams.origin]
targets = ["http://{}"]
[workers.gate]
entry = "gate.js"
egress = []
[[routes]]
match = "/*"
upstream = "origin"
middleware = [{{ worker = "gate", position = "{position}" }}]
"#,
        origin.address
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("gate.js", GATE)]))
}

#[test]
fn a_worker_in_front_of_the_cache_sees_every_request_and_chooses_the_key() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| match seen.target.as_str() {
        "/moved" => drop(std::io::Write::write_all(
            stream,
            b"HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n",
        )),
        _ => send(stream, "cache-control: max-age=60\r\n", &format!("{} {}\n{}", seen.number, seen.target, seen.head)),
    });
    let node = with_gate(&place, "request", &origin);
    node.get("/blocked").expect(403);
    assert_eq!(origin.visits(), 0);
    let first = node.get("/a").expect(200);
    assert_eq!(first.header("x-outer"), Some("gate"));
    assert!(first.text().starts_with("0 /a\n") && first.text().contains("x-gate: was here\r\n"), "{}", first.text());
    // A hit passes by the worker all the same.
    let hit = node.get("/a").expect(200);
    assert_eq!((hit.text(), hit.header("x-outer")), (first.text(), Some("gate")));
    assert!(hit.header("cache-status").is_some_and(|status| status.contains("hit")));
    assert!(node.get("/elsewhere").expect(200).text().starts_with("1 /found?by=gate\n"));
    // Two URLs are one entry, if the worker says so; a stranger's word is not believed.
    let keyed = node.get("/b?key=k").expect(200).text();
    assert_eq!(node.get("/c?key=k").expect(200).text(), keyed);
    let forged = node.send(&Request::get("/plain").header("selvedge-cache-key", "/key/k")).expect(200).text();
    assert!(forged.contains("/plain"), "{forged}");
    // A redirect is the client's to follow.
    assert_eq!(node.get("/moved").expect(302).header("location"), Some("/there"));
    node.get("/late").expect(200);
    let visits = origin.visits();
    until("what was fetched after the answer", || (origin.visits() >= visits).then_some(()));
    let body = node.send(&Request::post("/echo", "sent")).expect(200).text();
    assert!(body.contains("post /echo") && body.contains("x-gate: was here"), "{body}");
}

#[test]
fn a_worker_behind_the_cache_sees_what_the_cache_has_not() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        send(stream, "cache-control: max-age=60\r\n", &format!("{} {}\n{}", seen.number, seen.target, seen.head));
    });
    let node = with_gate(&place, "origin", &origin);
    let first = node.get("/a").expect(200);
    assert!(first.text().starts_with("0 /a\n") && first.text().contains("x-gate: was here\r\n"), "{}", first.text());
    assert_eq!(first.header("x-outer"), Some("gate"), "what it adds is stored");
    let hit = node.get("/a").expect(200);
    assert_eq!((hit.text(), hit.header("x-outer")), (first.text(), Some("gate")));
    assert!(hit.header("cache-status").is_some_and(|status| status.contains("hit")));
    assert_eq!(origin.visits(), 1);
    node.get("/blocked").expect(403);
}

#[test]
fn what_fails_behind_a_worker_that_passes_on_fails_as_it_would_without() {
    let place = Place::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let manifest = format!(
        "name = \"app\"\n[upstreams.gone]\ntargets = [\"http://{gone}\"]\n[workers.gate]\nentry = \"gate.js\"\n\
         [[routes]]\nmatch = \"/*\"\nupstream = \"gone\"\nmiddleware = [{{ worker = \"gate\" }}]\n"
    );
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("gate.js", GATE)]));
    node.get("/plain").expect_problem(502, "upstream_unreachable");
}

#[test]
fn files_are_served_as_static_hosts_do_it() {
    let place = Place::new();
    let manifest = "name = \"app\"\n[[routes]]\nmatch = \"/*\"\nassets = \"public\"\nnot_found = \"404-page\"\n\
                    html_handling = \"drop-trailing-slash\"\nredirects = \"moved.txt\"\n";
    let many: String = (0..20_000).map(|n| format!("/legacy/{n} /archive/{n} 301\n")).collect();
    let dir = place.project(
        "project",
        &[
            ("selvedge.toml", manifest),
            ("moved.txt", &many),
            ("public/index.html", "home"),
            ("public/docs/index.html", "docs"),
            ("public/404.html", "lost"),
            ("public/app.3f9a1c.js", "let a = 1"),
            ("public/app.3f9a1c.js.br", "compressed"),
            ("public/_redirects", "/blog/* /news/:splat 301\n/spa/* /docs 200\n/docs/shown /never 200\n"),
            ("public/_headers", "/*\n  X-Frame-Options: DENY\n/docs\n  ! X-Frame-Options\n  x-doc: yes\n"),
        ],
    );
    let check = |node: &Node| {
        let docs = node.get("/docs").expect(200);
        assert_eq!(
            (docs.text().as_str(), docs.header("x-doc"), docs.header("x-frame-options")),
            ("docs", Some("yes"), None)
        );
        assert_eq!(node.get("/docs/index.html?x").expect(307).header("location"), Some("/docs?x"));
        let lost = node.get("/none").expect(404);
        assert_eq!((lost.text().as_str(), lost.header("x-frame-options")), ("lost", Some("DENY")));
        assert_eq!(node.get("/blog/a").expect(301).header("location"), Some("/news/a"));
        assert_eq!(node.get("/legacy/19999").expect(301).header("location"), Some("/archive/19999"));
        assert_eq!(node.get("/spa/deep").expect(200).text(), "docs");
        let script = node.get("/app.3f9a1c.js").expect(200);
        assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!((script.text().as_str(), script.header("content-encoding")), ("let a = 1", None));
        let coded = node.send(&Request::get("/app.3f9a1c.js").header("accept-encoding", "gzip, br")).expect(200);
        assert_eq!((coded.text().as_str(), coded.header("content-encoding")), ("compressed", Some("br")));
        assert_eq!(
            (coded.header("vary"), coded.header("content-type")),
            (Some("accept-encoding"), script.header("content-type"))
        );
        assert_ne!(coded.header("etag"), script.header("etag"));
        node.get("/_headers").expect(404);
        node.get("/_redirects").expect(404);
    };
    let node = place.dev(&dir);
    check(&node);
    node.stop();
    let request = |path: &str| Request::get(path).at_app("app");
    let node = place.serve_project(&dir);
    assert_eq!(node.send(&request("/legacy/7")).expect(301).header("location"), Some("/archive/7"));
    assert_eq!(node.send(&request("/blog/a")).expect(301).header("location"), Some("/news/a"));
    let wrong = place.project("project", &[("public/_redirects", "/a /b 404\n")]);
    let said = place.deploy(&wrong).expect_failure();
    assert!(said.contains("public/_redirects:1:"), "{said}");
}

/// A database in MaxMind's format (version 2.0) in which 127.0.0.0/8 lies in a country.
fn database(country: &str) -> Vec<u8> {
    const NODES: u32 = 8;
    let text = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
    let short = |value: u8| vec![0xa1, value];
    let mut bytes = Vec::new();
    for node in 0..NODES {
        // 127 is a zero and seven ones; the record behind the last bit leads to the data.
        let on = if node + 1 < NODES { node + 1 } else { NODES + 16 };
        let records = if node == 0 { [on, NODES] } else { [NODES, on] };
        records.iter().for_each(|record| bytes.extend_from_slice(&record.to_be_bytes()[1..]));
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend([vec![0xe1], text("country"), vec![0xe1], text("iso_code"), text(country)].concat());
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
    let fields = [
        ("node_count", vec![0xc1, NODES as u8]),
        ("record_size", short(24)),
        ("ip_version", short(4)),
        ("database_type", text("Country")),
        ("languages", vec![0x00, 0x04]),
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("description", vec![0xe0]),
    ];
    fields.iter().for_each(|(name, value)| bytes.extend([text(name), value.clone()].concat()));
    bytes
}

#[test]
fn a_route_is_for_a_country_where_the_node_knows_them() {
    let place = Place::new();
    let manifest = "name = \"app\"\n[workers.web]\nentry = \"tell.js\"\nvars = { NAME = \"web\" }\n[workers.de]\n\
                    entry = \"tell.js\"\nvars = { NAME = \"de\" }\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n\
                    response_headers = { set = { x-country = \"{country}\" } }\n\
                    [[routes]]\nmatch = \"/*\"\nworker = \"de\"\nwhen = { country = \"DE\" }\n";
    let dir = place.project("project", &[("selvedge.toml", manifest), ("tell.js", TELL)]);
    place.deploy(&dir).expect_success();
    let config = place.path("node.toml");
    std::fs::write(&config, "[geo]\ncountries = \"countries.mmdb\"\n").expect("a configuration");
    let config = config.display().to_string();
    let refused = place.on_data(&["serve", "--config", &config]).expect_failure();
    assert!(refused.contains("countries.mmdb can't be used"), "{refused}");
    for (country, worker) in [("DE", "de"), ("FR", "web")] {
        std::fs::write(place.path("countries.mmdb"), database(country)).expect("a database");
        let node = place.serve_with(&["--config", &config]);
        let answer = node.send(&Request::get("/").at_app("app")).expect(200);
        assert_eq!(answer.json()["name"], worker);
        assert_eq!(answer.header("x-country"), Some("FR").filter(|_| worker == "web"));
        node.stop();
    }
}
