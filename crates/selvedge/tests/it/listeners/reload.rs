//! A node whose configuration changes while it runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use super::*;
use crate::harness::free_port;

struct Config {
    first: u16,
    second: u16,
}

impl Config {
    fn new() -> Self {
        Self { first: free_port(), second: free_port() }
    }

    fn listener(port: u16, more: &str) -> String {
        format!("[[listeners]]\nlisten = \"127.0.0.1:{port}\"\n{more}\n")
    }
}

fn status(place: &Place, scheme: &str, host: &str, port: u16) -> Result<String, String> {
    let resolve = format!("{host}:{port}:127.0.0.1");
    let url = format!("{scheme}://{host}:{port}/");
    let args = ["--output", "body", "--write-out", "%{http_code}", "--resolve", &resolve, &url];
    curl(place, &place.path("ca.pem"), &args)
}

/// Asks on a connection that stays; the field `connection` of the answer.
fn ask_again(stream: &mut BufReader<TcpStream>) -> Option<String> {
    begin(stream);
    finish(stream)
}

fn begin(stream: &mut BufReader<TcpStream>) {
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\n").expect("it is open");
}

fn finish(stream: &mut BufReader<TcpStream>) -> Option<String> {
    stream.get_mut().write_all(b"Host: app.example\r\n\r\n").expect("it is open");
    let (mut length, mut connection) = (0, None);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).expect("an answer"), 0, "the connection was dropped");
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().expect("a length");
        }
        connection = line.strip_prefix("connection: ").map(str::to_owned).or(connection);
    }
    std::io::Read::read_exact(stream, &mut vec![0; length]).expect("the body");
    connection
}

#[test]
fn listeners_tls_and_limits_change_without_dropping_a_connection() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    authority.issue("b", &["other.example"]);
    let Config { first, second } = Config::new();
    let node = serve(&place, &Config::listener(first, ""));
    let reload = || place.on_data(&["reload"]);
    assert_eq!(status(&place, "http", "app.example", first), Ok("200".to_owned()));
    let mut staying = BufReader::new(TcpStream::connect(("127.0.0.1", first)).expect("a connection"));
    assert_eq!(ask_again(&mut staying), None);

    // Another listener, under TLS, and a rule for the first one.
    let tls = "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }] }";
    let redirect = format!("redirect_to_https = {{ port = {second}, hosts = [\"other.example\"] }}");
    let both = format!("{}{}", Config::listener(first, &redirect), Config::listener(second, tls));
    write(&place.path("node.toml"), &both);
    let outcome = reload();
    assert!(outcome.ok && outcome.stdout.contains(&format!("127.0.0.1:{second} is served")), "{outcome:?}");
    assert_eq!(status(&place, "https", "app.example", second), Ok("200".to_owned()));
    assert_eq!(status(&place, "http", "other.example", first), Ok("308".to_owned()));
    assert_eq!(ask_again(&mut staying), None, "a connection goes on");

    // Another certificate; by a signal this time.
    write(&place.path("node.toml"), &both.replace("a.pem", "b.pem").replace("a.key", "b.key"));
    node.signal(Signal::HUP);
    node.wait_for_stderr("1 certificates for 1 hosts are read");
    assert_eq!(status(&place, "https", "other.example", second), Ok("200".to_owned()));
    assert!(status(&place, "https", "app.example", second).is_err());

    // Limits: some at once, others not.
    let limits = "[limits]\nuri_bytes = 300\ndrain_ms = 5000\n";
    write(&place.path("node.toml"), &format!("{limits}{both}"));
    let outcome = reload();
    assert!(outcome.stdout.contains("limits.uri_bytes is 300"), "{outcome:?}");
    assert!(outcome.stdout.contains("later: limits.drain_ms changes from 30000 to 5000 with the next start"));
    let long = format!("http://127.0.0.1:{first}/{}", "x".repeat(400));
    let args = ["--output", "body", "--write-out", "%{http_code}", &long];
    assert_eq!(curl(&place, &place.path("ca.pem"), &args), Ok("414".to_owned()));

    // What is wrong changes nothing.
    write(
        &place.path("node.toml"),
        &format!("{both}{}", Config::listener(free_port(), "tls = { directories = [\"none\"] }")),
    );
    let outcome = reload();
    assert!(!outcome.ok && outcome.stderr.contains("none can't be read"), "{outcome:?}");
    assert_eq!(status(&place, "http", "other.example", first), Ok("308".to_owned()));

    // The first listener goes; a request that has begun is answered, and told.
    begin(&mut staying);
    write(&place.path("node.toml"), &Config::listener(second, tls));
    let outcome = reload();
    assert!(outcome.ok && outcome.stdout.contains("is served no more"), "{outcome:?}");
    assert_eq!(finish(&mut staying).as_deref(), Some("close"));
    until("the port is closed", || TcpStream::connect(("127.0.0.1", first)).is_err().then_some(()));
    assert_eq!(status(&place, "https", "app.example", second), Ok("200".to_owned()));
    node.stop();
    let outcome = place.on_data(&["reload"]);
    assert!(!outcome.ok && outcome.stderr.contains("no node runs"), "{outcome:?}");
}

#[test]
fn dev_says_that_it_has_nothing_to_read_again() {
    let place = Place::new();
    let manifest = "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nassets = \"public\"\n";
    let _node = place.dev(&place.project("project", &[("selvedge.toml", manifest), ("public/a.txt", "a")]));
    let said = place.on_data(&["reload"]).expect_success();
    assert!(said.contains("it follows the files of its project by itself"), "{said}");
}
