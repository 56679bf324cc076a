//! What an answer says of how it came about: `Cache-Status` on each, and `selvedge trace`; and answers that
//! are compressed on their way out.

use crate::harness::{Node, Place, Request, until};
use crate::proxy::{Origin, send};

const WORKER: &str = r#"
const page = "a page of a worker that says the same again and again. ".repeat(100);
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/w/throws") throw new Error("no");
    const headers = { "content-type": "text/html", "cache-status": "them; hit" };
    if (pathname === "/w/as-is") headers["cache-control"] = "no-transform";
    if (pathname === "/w/stream") {
      const pieces = new TransformStream();
      const writer = pieces.writable.getWriter();
      const bytes = new TextEncoder().encode(page);
      (async () => { for (let i = 0; i < 50; i++) await writer.write(bytes); await writer.close(); })();
      return new Response(pieces.readable, { headers });
    }
    return new Response(page, { headers });
  },
};
"#;

fn project(place: &Place, origin: &Origin) -> Node {
    let manifest = format!(
        r#"name = "edge"
[workers.web]
entry = "src/index.js"
[upstreams.origin]
targets = ["http://{0}"]
[upstreams.gone]
targets = ["http://127.0.0.1:9"]
[[routes]]
match = "/w/*"
worker = "web"
[[routes]]
match = "/files/*"
assets = "public"
[[routes]]
match = "/old"
redirect = "/new"
[[routes]]
match = "/closed"
worker = "web"
maintenance = true
[[routes]]
match = "/up/*"
upstream = "origin"
cache = {{ compress = true }}
[[routes]]
match = "/straight/*"
upstream = "origin"
cache = false
[[routes]]
match = "/gone"
upstream = "gone"
"#,
        origin.address
    );
    let text = "a file that says the same again and again. ".repeat(200);
    let files = [("selvedge.toml", manifest.as_str()), ("src/index.js", WORKER), ("public/files/a.txt", &text)];
    place.dev(&place.project("project", &files))
}

fn origin() -> Origin {
    Origin::start(|seen, stream| {
        let kept = if seen.target.contains("private") { "private" } else { "max-age=60" };
        let fields = format!("cache-control: {kept}\r\ncontent-type: text/html\r\netag: \"v\"\r\n");
        send(stream, &fields, &"a page of an origin. ".repeat(200));
    })
}

/// The last line of `Cache-Status`.
fn status(node: &Node, path: &str) -> String {
    let answer = node.get(path);
    let lines: Vec<_> = answer.headers().filter(|(name, _)| *name == "cache-status").map(|(_, value)| value).collect();
    let ours = lines.iter().filter(|line| line.starts_with("selvedge;")).count();
    assert_eq!(ours, 1, "{path}: {lines:?}");
    lines.last().expect("a status").to_string()
}

#[test]
fn every_answer_says_once_what_the_cache_did() {
    let place = Place::new();
    let origin = origin();
    let node = project(&place, &origin);
    for (path, expect) in [
        ("/w/", "selvedge; fwd=bypass; detail=worker"),
        ("/w/throws", "selvedge; fwd=bypass; detail=guest_exception"),
        ("/files/a.txt", "selvedge; fwd=bypass; detail=asset"),
        ("/old", "selvedge; detail=redirect"),
        ("/closed", "selvedge; detail=maintenance"),
        ("/nowhere", "selvedge; detail=no_route"),
        ("/gone", "selvedge; fwd=miss; detail=upstream_unreachable"),
        ("/straight/a", "selvedge; fwd=bypass"),
        ("/up/private", "selvedge; fwd=uri-miss; fwd-status=200; detail=private"),
    ] {
        assert_eq!(status(&node, path), expect, "{path}");
    }
    assert!(status(&node, "/up/a").starts_with("selvedge; fwd=uri-miss"));
    assert!(status(&node, "/up/a").starts_with("selvedge; hit; ttl="));
    let told = node.get("/w/").expect(200);
    let first = told.headers().find(|(name, _)| *name == "cache-status").expect("a status").1;
    assert_eq!(first, "them; hit", "what a worker says of others stays");
}

#[test]
fn what_is_worth_it_is_compressed_whoever_answers() {
    let place = Place::new();
    let origin = origin();
    let node = project(&place, &origin);
    for path in ["/w/", "/w/stream", "/files/a.txt", "/up/first", "/up/private"] {
        for coding in ["gzip", "br", "zstd"] {
            // Each time another response, so that the first answer of each is seen.
            let path = format!("{path}?{coding}");
            let answer = node.send(&Request::get(&path).header("accept-encoding", coding)).expect(200);
            assert_eq!(answer.header("content-encoding"), Some(coding), "{path}");
            assert!(answer.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("accept-encoding")));
            assert!(answer.header("etag").is_none_or(|tag| tag.starts_with("W/")), "{path}");
            let url = format!("http://{}{path}", node.address);
            let accept = format!("accept-encoding: {coding}");
            let curl = std::process::Command::new("curl").args(["-s", "--compressed", "-H", &accept, &url]).output();
            let plain = node.get(&path).expect(200);
            assert_eq!(plain.header("content-encoding"), None);
            assert_eq!(curl.expect("curl runs").stdout, plain.body, "{path}");
        }
    }
    let plain = |request: Request| {
        let request = request.header("accept-encoding", "gzip");
        assert_eq!(node.send(&request).header("content-encoding"), None, "{request:?}");
    };
    plain(Request::get("/w/as-is"));
    plain(Request::get("/straight/a"));
    plain(Request::get("/files/a.txt").header("range", "bytes=0-9"));
    let known = Request::get("/files/a.txt").header("accept-encoding", "br");
    let tag = node.send(&known).expect(200).header("etag").expect("a tag").to_owned();
    node.send(&known.header("if-none-match", &tag)).expect(304);
}

#[test]
fn a_trace_says_which_way_a_request_went_and_why() {
    let place = Place::new();
    let origin = origin();
    let node = project(&place, &origin);
    let id = |path: &str| node.get(path).header("x-request-id").expect("an id").to_owned();
    let (miss, hit, gone) = (id("/up/a"), id("/up/a"), id("/gone"));
    let trace = |args: &[&str]| place.on_data(&[&["trace"], args].concat()).expect_success();
    let told =
        |id: &str| until("the record", || Some(trace(&["--request", id])).filter(|text| text.contains("answer")));
    let told_miss = told(&miss);
    for part in [
        "route     /up/* of edge, which leads to upstream origin",
        "Nothing was stored under this URL.",
        &format!("http://{}, at the first try", origin.address),
        "answer    200",
    ] {
        assert!(told_miss.contains(part), "{part}: {told_miss}");
    }
    assert!(told(&hit).contains("A stored response answered; no server was asked."));
    assert!(told(&gone).contains("error     upstream_unreachable"));
    let listed = trace(&["edge", "--status", "5xx"]);
    assert!(listed.contains(&gone) && !listed.contains(&hit), "{listed}");
    let items = place.on_data(&["trace", "--path", "/up", "--json"]).json();
    let items = items["items"].as_array().expect("items");
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["target"], &items[0]["tries"]), (&"upstream origin".into(), &1.into()));
    assert!(items[1]["cache"].as_str().expect("text").starts_with("hit; ttl="));
    let way = trace(&[&format!("http://{}/up/a", node.address)]);
    for part in ["route     /up/* → upstream origin", "its path is another one", "cache key http://", "fresh for"] {
        assert!(way.contains(part), "{part}: {way}");
    }
    place.on_data(&["trace", "--status", "9"]).expect_failure();
    place.on_data(&["trace", "ftp://x/"]).expect_failure();
    node.ask_admin(Request::get("/v1/trace?status=x")).expect_problem(400, "bad_request");
}

#[test]
fn a_request_that_trace_sends_is_told_step_by_step() {
    let place = Place::new();
    let origin = origin();
    let manifest = format!(
        r#"name = "edge"
[workers.gate]
entry = "src/index.js"
[upstreams.origin]
targets = ["http://{0}"]
[upstreams.gone]
targets = ["http://127.0.0.1:9"]
[[routes]]
match = "/shop/:id"
upstream = "origin"
priority = 1
when = {{ method = ["GET"], header = {{ x-beta = "1" }} }}
rewrite = {{ path = "/v2/{{id}}" }}
request_headers = {{ set = {{ x-from = "{{client}}" }} }}
middleware = [{{ worker = "gate", position = "request" }}]
[[routes]]
match = "/shop/:id"
upstream = "gone"
failover = {{ upstream = "origin" }}
"#,
        origin.address
    );
    let gate = "export default { fetch: (request) => fetch(request) };";
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.js", gate)]));
    let url = format!("http://{}/shop/7?a=b", node.address);
    let sent = |args: &[&str]| place.on_data(&[&["trace", &url, "--send"], args].concat()).expect_success();
    let first = sent(&["-H", "X-Beta: 1", "--client", "192.0.2.7"]);
    for part in [
        "route     /shop/:id → upstream origin: it is the most exact route that matches",
        "/shop/7?a=b becomes /v2/7?a=b",
        "sets x-from: 192.0.2.7",
        "gate gets GET http://",
        "nothing is stored",
        "fetches it for all who ask meanwhile",
        &format!("origin asks http://{}, one of 1 targets", origin.address),
        "a new one to 127.0.0.1 is open",
        "answers 200",
        "by 192.0.2.7 over HTTP/1.1",
        "Nothing was stored under this URL.",
        "run       gate:",
        "< 200",
        "< cache-status: selvedge; ",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let again = sent(&["-H", "x-beta: 1", "--show-body"]);
    assert!(again.contains("fresh for ") && again.contains("a page of an origin."), "{again}");
    assert_eq!(origin.visits(), 1, "it went there once, as any request would have");
    let other = sent(&[]);
    for part in [
        "it wants the field x-beta to be \"1\", and there is none",
        "http://127.0.0.1:9 fails: upstream_unreachable",
        "upstream origin answers in place",
    ] {
        assert!(other.contains(part), "{part}: {other}");
    }
    let posted = place.on_data(&["trace", &url, "-X", "POST"]).expect_success();
    assert!(posted.contains("it wants the method GET, and this is POST"), "{posted}");
    let told = place.on_data(&["trace", &url, "--send", "--body", "x=1", "--json"]).json();
    assert_eq!((&told["sent"]["status"], &told["sent"]["request"]["method"]), (&200.into(), &"POST".into()));
    assert!(told["sent"]["steps"].as_array().expect("steps").len() > 3);
    place.on_data(&["trace", "edge", "--send"]).expect_failure();
    place.on_data(&["trace", &url, "-H", "no field"]).expect_failure();
}
