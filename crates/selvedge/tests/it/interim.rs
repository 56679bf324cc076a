//! What an origin says before its answer (103 Early Hints): it reaches the client where the manifest lets it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::harness::{Node, Place};
use crate::proxy::{Origin, send};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";

fn node(place: &Place, origin: &Origin, setting: &str) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n[upstreams.origin]\n\
         targets = [\"http://{}\"]\n{setting}\n",
        origin.address
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest)]))
}

/// An origin that says what is to come, waits until the client has heard it, and answers.
fn hinting() -> Origin {
    Origin::start(|seen, stream| {
        drop(stream.write_all(HINTS.as_bytes()));
        if seen.target.starts_with("/two") {
            drop(stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n"));
        }
        let kept = if seen.target.ends_with("kept") { "cache-control: max-age=60\r\n" } else { "" };
        send(stream, kept, &seen.target);
    })
}

/// All that comes on one connection.
fn all(node: &Node, requests: &str) -> String {
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    stream.write_all(requests.as_bytes()).expect("requests");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("answers");
    said
}

fn get(path: &str, last: bool) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{}\r\n", if last { "connection: close\r\n" } else { "" })
}

#[test]
fn what_an_origin_says_first_comes_first() {
    let (place, origin) = (Place::new(), hinting());
    let node = node(&place, &origin, "early_hints = true");
    let said = all(&node, &get("/one", true));
    assert!(said.starts_with(&format!("{HINTS}HTTP/1.1 200 OK\r\n")) && said.ends_with("/one"), "{said}");
    let said = all(&node, &get("/two", true));
    assert!(said.starts_with(&format!("{HINTS}HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n")), "{said}");
    // On a connection that serves many, each is before its own answer; what is stored has none.
    let said = all(&node, &[get("/kept", false), get("/kept", false), get("/own", true)].concat());
    let order: Vec<_> = said.match_indices("HTTP/1.1 ").map(|(at, _)| &said[at + 9..at + 12]).collect();
    assert_eq!(order, ["103", "200", "200", "103", "200"], "{said}");
    let old = all(&node, "GET /one HTTP/1.0\r\nhost: a\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
}

#[test]
fn hints_arrive_before_the_answer_is_there() {
    let place = Place::new();
    let (told, go) = std::sync::mpsc::channel::<()>();
    let go = std::sync::Mutex::new(go);
    let origin = Origin::start(move |_, stream| {
        drop(stream.write_all(HINTS.as_bytes()));
        // The answer is not made before the client has its hints.
        let _ = go.lock().expect("no test panicked").recv();
        send(stream, "", "late");
    });
    let node = node(&place, &origin, "early_hints = true");
    let mut stream = TcpStream::connect(node.address).expect("a connection");
    stream.write_all(get("/", true).as_bytes()).expect("a request");
    let mut hints = vec![0; HINTS.len()];
    stream.read_exact(&mut hints).expect("the hints");
    assert_eq!(String::from_utf8_lossy(&hints), HINTS);
    told.send(()).expect("the origin waits");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("late"), "{answer}");
    drop(stream.shutdown(Shutdown::Both));
}

#[test]
fn nothing_comes_first_where_the_manifest_does_not_say_so() {
    let (place, origin) = (Place::new(), hinting());
    let node = node(&place, &origin, "");
    let said = all(&node, &get("/one", true));
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("/one"), "{said}");
}
