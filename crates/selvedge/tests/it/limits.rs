//! Limits over HTTP: each has a name, and the neighbours of who meets one notice nothing.

use crate::harness::{Node, ONE_WORKER, Place, Request};

/// A worker that does whatever its path says.
const MISBEHAVING: &str = r#"
function forever(n: number): number { return forever(n + 1) + 1; }
export default {
  async fetch(request: Request): Promise<any> {
    switch (new URL(request.url).pathname) {
      case "/loop": for (;;) {}
      case "/recurse": return new Response(String(forever(0)));
      case "/allocate": { const all: Uint8Array[] = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)); }
      case "/never": return new Promise(() => {});
      case "/number": return 42;
      case "/nothing": return;
      case "/promise": globalThis.Promise = class {} as any; return new Response("replaced");
      case "/flood": for (let i = 0; i < 5000; i++) console.log("x".repeat(100)); return new Response("flooded");
      case "/large": return new Response("x".repeat(5000));
      case "/body": return new Response(String((await request.arrayBuffer()).byteLength));
      case "/fixed": {
        const { readable, writable } = new FixedLengthStream(5);
        const writer = writable.getWriter();
        writer.write(new TextEncoder().encode("fixed")).then(() => writer.close());
        return new Response(readable);
      }
      default: return new Response("ok");
    }
  },
};
"#;

fn node(place: &Place) -> Node {
    let manifest = format!(
        "{ONE_WORKER}limits = {{ cpu_ms = 100, memory_mib = 32, head_ms = 2000, request_body_bytes = 1000, response_body_bytes = 4000, log_bytes = 10000 }}\n"
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", MISBEHAVING)]))
}

/// A path, the problem that it must get, and what the problem must name.
#[track_caller]
fn check(path: &str, status: u16, code: &str, names: &str) {
    let place = Place::new();
    let node = node(&place);
    node.get("/").expect(200);
    let problem = node.get(path).expect_problem(status, code);
    assert!(problem.to_string().contains(names), "{names}: {problem}");
    assert_eq!(node.get("/").expect(200).text(), "ok");
}

#[test]
fn a_handler_that_loops_is_stopped() {
    check("/loop", 503, "cpu_exceeded", "cpu_ms");
}

#[test]
fn a_handler_that_recurses_throws() {
    check("/recurse", 500, "guest_exception", "stack");
}

#[test]
fn a_handler_that_allocates_without_end_is_stopped() {
    check("/allocate", 503, "memory_exceeded", "memory_mib");
}

#[test]
fn an_instance_whose_first_request_took_all_memory_is_replaced() {
    let place = Place::new();
    let node = node(&place);
    for _ in 0..3 {
        node.get("/allocate").expect_problem(503, "memory_exceeded");
        assert_eq!(node.get("/").expect(200).text(), "ok");
    }
}

#[test]
fn a_stream_of_fixed_length_is_sent_with_its_length() {
    let place = Place::new();
    let answer = node(&place).get("/fixed").expect(200);
    assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (Some("5"), None));
    assert_eq!(answer.text(), "fixed");
}

#[test]
fn a_handler_that_can_never_settle_is_told_so() {
    check("/never", 500, "never_settled", "");
}

#[test]
fn a_handler_that_returns_a_number_is_told_so() {
    check("/number", 500, "invalid_response", "");
    check("/nothing", 500, "invalid_response", "");
}

#[test]
fn a_response_over_its_limit_is_not_sent() {
    check("/large", 500, "response_too_large", "response_body_bytes");
}

#[test]
fn a_handler_that_replaces_promise_harms_itself_at_most() {
    let place = Place::new();
    let node = node(&place);
    let status = node.get("/promise").status;
    assert!(status == 200 || status == 500, "{status}");
    node.until(&Request::get("/"), |answer| answer.status == 200);
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    let place = Place::new();
    let node = node(&place);
    node.get("/flood");
    let log = node.wait_for_log("/flood");
    assert!(log.len() < 60_000, "{} bytes of log", log.len());
    assert!(log.contains("log_bytes") || log.contains("log_limit"), "{}", &log[..log.len().min(2000)]);
    node.get("/").expect(200);
}

#[test]
fn a_loop_in_one_app_leaves_its_neighbour_alone() {
    let place = Place::new();
    let looping = format!("{}limits = {{ cpu_ms = 500 }}\n", ONE_WORKER.replace("\"app\"", "\"looping\""));
    place
        .deploy(&place.project(
            "a",
            &[("selvedge.toml", &looping), ("src/index.ts", "export default { fetch() { for (;;) {} } };\n")],
        ))
        .expect_success();
    place
        .deploy(&place.project(
            "b",
            &[
                ("selvedge.toml", &ONE_WORKER.replace("\"app\"", "\"calm\"")),
                ("src/index.ts", "export default { fetch: () => new Response(\"calm\") };\n"),
            ],
        ))
        .expect_success();
    let node = place.serve();
    std::thread::scope(|scope| {
        let loops: Vec<_> =
            (0..4).map(|_| scope.spawn(|| node.send(&Request::get("/").at_app("looping")).status)).collect();
        let mut answered = 0;
        while !loops.iter().any(|one| one.is_finished()) {
            assert_eq!(node.send(&Request::get("/").at_app("calm")).expect(200).text(), "calm");
            answered += 1;
        }
        assert!(answered > 20, "{answered} answers while the others looped");
        for one in loops {
            assert_eq!(one.join().expect("an answer"), 503);
        }
    });
}

#[test]
fn an_instance_is_replaced_after_its_requests_or_before_its_memory_runs_out() {
    let place = Place::new();
    let source = r#"
let served = 0;
const leaked: Uint8Array[] = [];
export default {
  fetch(request: Request): Response {
    if (new URL(request.url).pathname === "/leak") leaked.push(new Uint8Array(1 << 20).fill(1));
    return new Response(String(++served));
  },
};
"#;
    let manifest = format!("{ONE_WORKER}limits = {{ memory_mib = 16, instance_requests_total = 100 }}\n");
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)])).expect_success();
    let node = place.serve_with(&["--cores", "1"]);
    let at = |path: &str| -> u32 {
        node.send(&Request::get(path).at_app("app")).expect(200).text().parse().expect("a number")
    };
    let counted: Vec<u32> = (0..201).map(|_| at("/")).collect();
    assert_eq!((counted[0], counted[99], counted[100], counted[199], counted[200]), (1, 100, 1, 100, 1));
    // It leaks sixteen times what it may have, and nobody gets an error.
    let counted: Vec<u32> = (0..256).map(|_| at("/leak")).collect();
    assert!(counted.iter().filter(|count| **count == 1).count() >= 16, "{counted:?}");
}

#[test]
fn who_shared_an_instance_with_one_that_ended_it_is_answered_by_another() {
    let place = Place::new();
    let source = r#"
let events = 0;
const later = () => new Promise((resolve) => setTimeout(resolve, 600_000));
export default {
  async fetch(request: Request): Promise<Response> {
    const first = events++ === 0;
    const { pathname } = new URL(request.url);
    if (pathname === "/die") 3n ** 9_000_000n;
    if (pathname === "/marked") await fetch("http://127.0.0.1:1/").catch(() => {});
    console.log(`${pathname} waits`);
    if (!first) await later();
    return new Response(await request.text());
  },
};
"#;
    let manifest = format!("{ONE_WORKER}limits = {{ cpu_ms = 50, head_ms = 600000 }}\n");
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)])).expect_success();
    // Of one core, so that they share an instance.
    let node = place.serve_with(&["--cores", "1"]);
    let at = |request: Request| node.send(&request.at_app("app"));
    at(Request::get("/")).expect(200);
    std::thread::scope(|scope| {
        // One after the other: whoever comes while the instance runs may be given another.
        let innocent = scope.spawn(|| at(Request::post("/innocent", "its body")));
        node.wait_for_log("/innocent waits");
        let marked = scope.spawn(|| at(Request::get("/marked")));
        node.wait_for_log("/marked waits");
        at(Request::get("/die")).expect_problem(503, "cpu_exceeded");
        assert_eq!(innocent.join().expect("an answer").expect(200).text(), "its body");
        let marked = marked.join().expect("an answer");
        assert_eq!(marked.header("retry-after"), Some("1"));
        marked.expect_problem(503, "instance_lost");
    });
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    assert!(metrics.contains("selvedge_requests_run_again_total 1\n"), "{metrics}");
    assert!(metrics.contains("selvedge_instances_lost_total 1\n"), "{metrics}");
}

#[test]
fn a_body_over_its_limit_is_refused_before_the_worker_sees_it() {
    let place = Place::new();
    let node = node(&place);
    assert_eq!(node.send(&Request::post("/body", vec![b'x'; 1000])).expect(200).text(), "1000");
    let problem = node.send(&Request::post("/body", vec![b'x'; 1001])).expect_problem(413, "body_too_large");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("request_body_bytes")), "{problem}");

    // One that does not tell its length is counted as it comes.
    let mut chunked =
        b"POST /body HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend(format!("64\r\n{}\r\n", "x".repeat(100)).bytes());
    }
    chunked.extend(b"0\r\n\r\n");
    node.raw(&chunked).expect("an answer").expect_problem(413, "body_too_large");
}

#[test]
fn a_body_of_two_gigabytes_is_refused_by_its_head() {
    let place = Place::new();
    let node = node(&place);
    let head = format!("POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\nand so on", 2u64 << 30);
    node.raw(head.as_bytes()).expect("an answer, though the body never comes").expect_problem(413, "body_too_large");
}

#[test]
fn a_head_over_its_limit_is_refused() {
    let place = Place::new();
    let node = node(&place);
    let large = Request::get("/").header("x-large", &"x".repeat(70_000));
    let refused = node.send(&large).expect(431);
    assert_eq!(refused.header("cache-status"), Some("selvedge; detail=headers_too_large"));
    let mut many = Request::get("/");
    for n in 0..150 {
        many = many.header(&format!("x-{n}"), "1");
    }
    assert_eq!(node.send(&many).status, 431);
    assert_eq!(node.send(&Request::get(&format!("/{}", "x".repeat(20_000)))).status, 414);
    node.get("/").expect(200);
}

#[test]
fn malformed_and_ambiguous_requests_are_refused() {
    let place = Place::new();
    let node = node(&place);
    let post = "POST / HTTP/1.1\r\nhost: x\r\n";
    for bytes in [
        format!("{post}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        format!("{post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}content-length: -1\r\n\r\n"),
        "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n".to_owned(),
        "GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        match node.raw(bytes.as_bytes()) {
            Some(answer) => assert_eq!(answer.status, 400, "{bytes:?}: {}", answer.text()),
            None => panic!("no answer to {bytes:?}"),
        }
    }
    node.get("/").expect(200);
}

#[test]
fn no_path_leads_out_of_the_files() {
    let place = Place::new();
    let manifest = format!("{ONE_WORKER}[[routes]]\nmatch = \"/*\"\nassets = \"public\"\nworker = \"web\"\n");
    let source = "export default { fetch: (r: Request) => new Response(`worker ${new URL(r.url).pathname}`) };\n";
    let files = [
        ("selvedge.toml", manifest.as_str()),
        ("src/index.ts", source),
        ("public/note.txt", "public"),
        ("private.txt", "private"),
    ];
    let node = place.dev(&place.project("project", &files));
    let ask = |target: &str| {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        node.raw(bytes.as_bytes()).unwrap_or_else(|| panic!("no answer to {target:?}"))
    };
    for target in ["/../private.txt", "/%2e%2e/private.txt", "/a/../../private.txt", "/note.txt%00", "/..\\private.txt"]
    {
        ask(target).expect_problem(400, "bad_path");
    }
    for target in ["/..%2fprivate.txt", "/%2e%2e%2fprivate.txt", "/..%5cprivate.txt", "/selvedge.toml", "/src/index.ts"]
    {
        let answer = ask(target);
        assert!(answer.status == 400 || answer.text().starts_with("worker "), "{target}: {}", answer.text());
    }
    assert_eq!(ask("/note.txt").expect(200).text(), "public");
    assert_eq!(ask("/a/../note.txt").expect(200).text(), "public");
}

#[test]
fn http2_is_spoken_without_an_upgrade() {
    let place = Place::new();
    let node = node(&place);
    // The preface and an empty SETTINGS frame (RFC 9113, section 3.4); a server answers with its own.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut stream = std::net::TcpStream::connect(node.address).expect("a connection");
    std::io::Write::write_all(&mut stream, preface).expect("sent");
    let mut head = [0; 9];
    std::io::Read::read_exact(&mut stream, &mut head).expect("a frame");
    assert_eq!(head[3], 4, "it is SETTINGS: {head:?}");
}
