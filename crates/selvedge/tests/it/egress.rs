//! Where workers may go: nowhere inside, unless the manifest names it, and never to the node.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Node, ONE_WORKER, Place, Request};

/// Fetches what its query names, and tells what became of it.
const FETCHING: &str = r#"
export default {
  async fetch(request: Request): Promise<Response> {
    const target = new URL(request.url).searchParams.get("to")!;
    try {
      const answer = await fetch(target);
      return new Response(`${answer.status} ${await answer.text()}`);
    } catch (error: any) {
      return new Response(`${error.code}: ${error.message}`, { status: 599 });
    }
  },
};
"#;

fn node(place: &Place, egress: &str) -> Node {
    let manifest = format!("{ONE_WORKER}{egress}\n");
    place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", FETCHING)]))
}

#[track_caller]
fn fetch(node: &Node, target: &str) -> String {
    node.get(&format!("/?to={}", target.replace(':', "%3A").replace('/', "%2F"))).text()
}

/// A server on loopback that counts who comes; `/away/HOST:PORT` redirects there.
struct Inside {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Inside {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = visits.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut first = String::new();
                let mut lines = BufReader::new(&stream);
                // A client that breaks off gets an answer that nobody reads.
                let _ = lines.read_line(&mut first);
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let head = match first.split(' ').nth(1).and_then(|path| path.strip_prefix("/away/")) {
                    Some(target) => format!("HTTP/1.1 302 Found\r\nlocation: http://{target}/\r\n"),
                    None => "HTTP/1.1 200 OK\r\n".to_owned(),
                };
                let answer = format!("{head}connection: close\r\ncontent-length: 6\r\n\r\ninside");
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { address, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

#[test]
fn loopback_and_private_addresses_are_refused_under_every_name() {
    let place = Place::new();
    let inside = Inside::start();
    let node = node(&place, "");
    let port = inside.address.port();
    for target in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://LOCALHOST:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://10.0.0.1/".to_owned(),
        "http://192.168.1.1/".to_owned(),
        "http://172.16.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[fd00::1]/".to_owned(),
    ] {
        let said = fetch(&node, &target);
        assert!(said.starts_with("egress_denied: "), "{target}: {said}");
    }
    assert_eq!(inside.visits(), 0);
}

#[test]
fn a_loopback_address_that_is_granted_is_reached_on_its_port_only() {
    let place = Place::new();
    let (granted, other) = (Inside::start(), Inside::start());
    let node = node(&place, &format!("egress = [\"http://{}\"]", granted.address));
    assert_eq!(fetch(&node, &format!("http://{}/", granted.address)), "200 inside");
    let said = fetch(&node, &format!("http://{}/", other.address));
    assert!(said.starts_with("egress_denied: "), "{said}");
    // A redirect is judged like a request.
    let said = fetch(&node, &format!("http://{}/away/{}", granted.address, other.address));
    assert!(said.starts_with("egress_denied: "), "{said}");
    assert_eq!((granted.visits(), other.visits()), (2, 0));
    let there_and_back = format!("http://{}/away/{}", granted.address, granted.address);
    assert_eq!(fetch(&node, &there_and_back), "200 inside");
}

#[test]
fn the_admin_port_is_refused_even_where_its_address_is_granted() {
    let place = Place::new();
    let inside = Inside::start();
    let node = node(&place, "egress = [\"127.0.0.0/8\", \"localhost\"]");
    assert_eq!(fetch(&node, &format!("http://{}/", inside.address)), "200 inside");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let said = fetch(&node, &format!("http://{host}:{}/healthz", node.admin.port()));
        assert!(said.starts_with("egress_denied: "), "{host}: {said}");
    }
    // By way of a redirect, too.
    let said = fetch(&node, &format!("http://{}/away/{}", inside.address, node.admin));
    assert!(said.starts_with("egress_denied: "), "{said}");
}

#[test]
fn an_empty_list_grants_nothing() {
    let place = Place::new();
    let node = node(&place, "egress = []");
    let said = fetch(&node, "http://192.0.2.1/");
    assert!(said.starts_with("egress_denied: ") && said.contains("egress is empty"), "{said}");
}

#[test]
fn a_target_that_does_not_listen_is_told_apart_from_one_that_is_denied() {
    let place = Place::new();
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let node = node(&place, &format!("egress = [\"http://{gone}\"]"));
    let said = fetch(&node, &format!("http://{gone}/"));
    assert!(said.starts_with("upstream_unreachable: "), "{said}");
}

#[test]
fn a_thousand_sub_requests_meet_their_limit() {
    let place = Place::new();
    let inside = Inside::start();
    let manifest = format!("{ONE_WORKER}egress = [\"http://{}\"]\nlimits = {{ subrequests = 5 }}\n", inside.address);
    let source = format!(
        "export default {{ async fetch() {{ for (let i = 0; i < 1000; i++) await (await fetch(\"http://{}/\")).text(); return new Response(\"all\"); }} }};\n",
        inside.address
    );
    let node = place.dev(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", &source)]));
    let answer = node.send(&Request::get("/")).expect(500);
    assert!(answer.text().contains("more than 5 sub-requests (limits.subrequests)"), "{}", answer.text());
    assert_eq!(inside.visits(), 5);
}
