//! Fine points of HTTP messages on their way through a node: what a client waits for before it sends a body,
//! fields behind a body, an origin without a clock, clients of the other version of IP.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpStream};
use std::time::Duration;

use crate::harness::{ONE_WORKER, Place, Request, write};
use crate::proxy::{Origin, send};

const WORKER: &str = r#"
export default {
  async fetch(request: Request): Promise<Response> {
    if (request.url.endsWith("/unread")) return new Response("unread");
    return new Response("worker has " + (await request.text()));
  },
};
"#;

fn serve(place: &Place, origin: &Origin, config: &str) -> crate::harness::Node {
    let manifest = format!(
        "{ONE_WORKER}[upstreams.origin]\ntargets = [\"http://{}\"]\n[[routes]]\nmatch = \"/worker/*\"\nworker = \"web\"\n\
         [[routes]]\nmatch = \"/cached/*\"\nupstream = \"origin\"\n[[routes]]\nmatch = \"/pass/*\"\nupstream = \"origin\"\n\
         cache = false\n",
        origin.address
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", WORKER)])).expect_success();
    write(&place.path("node.toml"), config);
    place.serve_with(&["--config", "node.toml"])
}

/// Reads up to the end of a head.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text").to_ascii_lowercase()
}

fn begin(address: impl std::net::ToSocketAddrs, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("sent");
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn a_client_that_waits_for_a_word_before_its_body_gets_it_from_who_wants_the_body() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let expects = seen.head.contains("expect:");
        send(stream, "", &format!("origin has {}, {expects}", seen.body));
    });
    let node = serve(&place, &origin, "");
    let ask = |path: &str| {
        let fields = "host: app.localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 5\r\n";
        begin(node.address, &format!("POST {path} HTTP/1.1\r\n{fields}\r\n"))
    };
    for (path, expect) in [
        ("/pass/a", "origin has hello, false"),
        ("/cached/a", "origin has hello, false"),
        ("/worker/a", "worker has hello"),
    ] {
        let mut stream = ask(path);
        assert!(head(&mut stream).starts_with("http/1.1 100 "), "{path}");
        stream.write_all(b"hello").expect("sent");
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(expect), "{path}: {answer}");
    }
    let answer = rest(ask("/worker/unread"));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("unread"), "nobody wants its body: {answer}");
}

#[test]
fn a_body_that_comes_late_keeps_the_length_that_its_client_told() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| {
        let fields =
            seen.head.lines().filter(|line| line.starts_with("content-length:") || line.starts_with("transfer-"));
        send(stream, "", &format!("{} {}", fields.collect::<Vec<_>>().join(" "), seen.body.len()));
    });
    let node = serve(&place, &origin, "");
    for length in [10, 70_000] {
        let fields = format!("host: app.localhost\r\nconnection: close\r\ncontent-length: {length}\r\n");
        let mut stream = begin(node.address, &format!("POST /pass/a HTTP/1.1\r\n{fields}\r\nhello"));
        // The head was read and sent on before the rest is here.
        node.until(&Request::get("/worker/unread").at_app("app"), |answer| answer.status == 200);
        stream.write_all("x".repeat(length - 5).as_bytes()).expect("sent");
        let answer = rest(stream);
        assert!(answer.ends_with(&format!("\r\n\r\ncontent-length: {length} {length}")), "{answer}");
    }
}

#[test]
fn fields_behind_a_body_pass_to_who_takes_them() {
    let place = Place::new();
    let origin = Origin::start(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n";
        let _ = write!(stream, "{head}5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
    });
    let node = serve(&place, &origin, "");
    let ask = |fields: &str| {
        let fields = format!("host: app.localhost\r\nconnection: close\r\n{fields}");
        rest(begin(node.address, &format!("GET /pass/a HTTP/1.1\r\n{fields}\r\n")))
    };
    let told = ask("te: trailers\r\n");
    assert!(told.contains("trailer: x-sum\r\n") && told.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{told}");
    let plain = ask("");
    assert!(plain.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{plain}");
}

#[test]
fn what_an_origin_without_a_clock_answers_is_dated_and_kept() {
    let place = Place::new();
    let origin = Origin::start(|seen, stream| send(stream, "cache-control: max-age=60\r\n", &seen.number.to_string()));
    let node = serve(&place, &origin, "");
    let ask = || node.send(&Request::get("/cached/a").at_app("app")).expect(200);
    let (first, second) = (ask(), ask());
    for answer in [&first, &second] {
        assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{answer:?}");
        assert_eq!(answer.headers().filter(|(name, _)| *name == "date").count(), 1, "{answer:?}");
    }
    assert_eq!((first.text(), second.text()), ("0".into(), "0".into()));
    assert!(second.header("age").is_some_and(|age| age.parse::<u64>().is_ok_and(|age| age < 60)), "{second:?}");
}

#[test]
fn a_client_of_the_sixth_version_is_served_and_named() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "missing requirement: IPv6");
        return eprintln!("missing requirement: IPv6");
    }
    let place = Place::new();
    let origin = Origin::start(|seen, stream| send(stream, "", &seen.head));
    let listeners = "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[[listeners]]\nlisten = \"[::1]:0\"\n";
    let node = serve(&place, &origin, listeners);
    let said = node.stderr();
    let port = said.split("http://[::1]:").nth(1).expect("its address").chars().take_while(char::is_ascii_digit);
    let port: u16 = port.collect::<String>().parse().expect("a port");
    let asked = "GET /pass/a HTTP/1.1\r\nhost: app.localhost\r\nconnection: close\r\n\r\n";
    let told = rest(begin((Ipv6Addr::LOCALHOST, port), asked));
    assert!(told.contains("x-forwarded-for: ::1\r\n"), "{told}");
    assert!(told.contains("forwarded: for=\"[::1]\";"), "{told}");
}
