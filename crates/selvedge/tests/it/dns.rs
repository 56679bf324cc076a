//! Upstreams by name: a server of names whose answers change, and services that it knows.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use crate::harness::{Node, Place, Request, until};
use crate::proxy::{Origin, send};

type Answer = Box<dyn Fn(&str, u16) -> Option<Vec<Vec<u8>>> + Send>;

/// A server of names. What it says holds for a second.
struct Names {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
}

impl Names {
    fn start(answer: impl Fn(&str, u16) -> Option<Vec<Vec<u8>>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("its address");
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
        let answers = answer.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
                let reply = reply(&buffer[..bytes], &answers.lock().expect("no test panicked"));
                socket.send_to(&reply, from).expect("it is sent");
            }
        });
        Self { address, answer }
    }

    fn change(&self, answer: impl Fn(&str, u16) -> Option<Vec<Vec<u8>>> + Send + 'static) {
        *self.answer.lock().expect("no test panicked") = Box::new(answer);
    }
}

fn reply(asked: &[u8], answer: &Answer) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while asked[at] != 0 {
        let length = usize::from(asked[at]);
        name.push(String::from_utf8_lossy(&asked[at + 1..at + 1 + length]).into_owned());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([asked[at + 1], asked[at + 2]]);
    let records = answer(&name.join("."), kind);
    let mut bytes = asked[..at + 5].to_vec();
    bytes[2..4].copy_from_slice(&[0x81, if records.is_some() { 0x80 } else { 0x83 }]);
    let records = records.unwrap_or_default();
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).expect("few").to_be_bytes());
    for data in records {
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 1]);
        bytes.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(&data);
    }
    bytes
}

fn address(last: u8) -> Vec<u8> {
    vec![127, 0, 0, last]
}

fn service(priority: u16, port: u16, host: &str) -> Vec<u8> {
    let mut data = [priority, 0, port].map(u16::to_be_bytes).concat();
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).expect("short"));
        data.extend_from_slice(label.as_bytes());
    }
    data.push(0);
    data
}

fn node(place: &Place, names: &Names, target: &str) -> Node {
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\ncache = false\n[upstreams.origin]\n\
         targets = [\"{target}\"]\n"
    );
    place.deploy(&place.project("project", &[("selvedge.toml", &manifest)])).expect_success();
    let config = place.path("node.toml");
    std::fs::write(&config, format!("[dns]\nservers = [\"{}\"]\n", names.address)).expect("a configuration");
    place.serve_with(&["--config", &config.to_string_lossy()])
}

fn asked(node: &Node) -> String {
    node.send(&Request::get("/").at_app("edge")).expect(200).text()
}

#[test]
fn a_name_that_leads_elsewhere_is_followed_and_kept_connections_are_left() {
    let place = Place::new();
    // One port, on two addresses of the loopback; connections stay open.
    let first = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = first.local_addr().expect("its address").port();
    let second = std::net::TcpListener::bind(("127.0.0.2", port)).expect("the same port");
    for (listener, name) in [(first, "first"), (second, "second")] {
        std::thread::spawn(move || serve(&listener, name));
    }
    let names = Names::start(|name, kind| (name == "api.test" && kind == 1).then(|| vec![address(1)]));
    let node = node(&place, &names, &format!("http://api.test:{port}"));
    assert_eq!([asked(&node), asked(&node)], ["first", "first"]);
    names.change(|name, kind| (name == "api.test" && kind == 1).then(|| vec![address(2)]));
    until("the name is followed", || (asked(&node) == "second").then_some(()));
    assert_eq!(asked(&node), "second", "and not only once");
    // Nobody knows the name any more: it leads where it led.
    names.change(|_, _| None);
    assert_eq!(asked(&node), "second");
}

/// Answers request after request on each connection.
fn serve(listener: &std::net::TcpListener, name: &str) {
    use std::io::{BufRead as _, Write as _};
    for stream in listener.incoming().map_while(Result::ok) {
        let name = name.to_owned();
        std::thread::spawn(move || {
            let mut reader = std::io::BufReader::new(stream.try_clone().expect("a handle"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                if line == "\r\n" {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
                line.clear();
            }
        });
    }
}

#[test]
fn a_service_leads_to_the_server_that_is_to_be_tried_first() {
    let place = Place::new();
    let (a, b) = (Origin::start(|seen, stream| send(stream, "", &format!("a {}", seen.head))), answering("b"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let (first, second) = (a.address.port(), b.address.port());
    let records = move |name: &str, kind: u16| match (name, kind) {
        ("_api._tcp.shop.test", 33) => Some(vec![service(2, second, "b.test"), service(1, first, "a.test")]),
        ("a.test" | "b.test", 1) => Some(vec![address(1)]),
        _ => None,
    };
    let names = Names::start(records);
    let node = node(&place, &names, "srv+http://_api._tcp.shop.test");
    let told = asked(&node);
    assert!(told.starts_with("a ") && told.contains("host: shop.test\r\n"), "{told}");
    // Where nobody listens, the next one is tried; and what changes is followed.
    names.change(move |name, kind| match (name, kind) {
        ("_api._tcp.shop.test", 33) => Some(vec![service(1, nobody.port(), "a.test"), service(2, second, "b.test")]),
        ("a.test" | "b.test", 1) => Some(vec![address(1)]),
        _ => None,
    });
    until("the service has moved", || (asked(&node) == "b").then_some(()));
}

fn answering(name: &'static str) -> Origin {
    Origin::start(move |_, stream| send(stream, "", name))
}

#[test]
fn a_service_that_no_certificate_is_named_for_is_refused() {
    let place = Place::new();
    let refused = |target: &str, says: &str| {
        let manifest = format!(
            "name = \"edge\"\n[[routes]]\nmatch = \"/*\"\nupstream = \"o\"\n[upstreams.o]\ntargets = [\"{target}\"]\n"
        );
        let failed =
            place.run(&["check", &place.project("project", &[("selvedge.toml", &manifest)]).to_string_lossy()]);
        let said = failed.expect_failure();
        assert!(said.contains(says), "{said}");
    };
    refused("srv+https://_api._tcp.shop.test", "needs `tls.server_name`");
    refused("srv+http://_api._tcp.shop.test:80", "is no service");
    refused("srv+http://127.0.0.1", "is no service");
}
