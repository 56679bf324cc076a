//! A new process takes the place of an old one, again and again, under load, and nobody notices.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// What clients met.
#[derive(Default)]
struct Met {
    answers: AtomicU64,
    slowest_ms: AtomicU64,
    done: AtomicBool,
}

impl Met {
    fn answered(&self, since: Instant) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.slowest_ms.fetch_max(since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n";

fn dial(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("no connection is refused");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    BufReader::new(stream)
}

/// One exchange; whether the connection stays. An error if there was no whole answer.
fn exchange(stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
    stream.get_mut().write_all(REQUEST)?;
    let (mut length, mut stays, mut first) = (0, true, String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().expect("a length");
        }
        stays &= line != "connection: close";
        if first.is_empty() {
            first = line;
        } else if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    assert!(first.contains(" 200 "), "{first}");
    Ok(stays)
}

/// A connection for each request.
fn come_and_go(address: SocketAddr, met: &Met) {
    while !met.done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        exchange(&mut dial(address)).expect("an answer on a connection of its own");
        met.answered(begun);
    }
}

/// Connections that are kept, by a client that takes `connection: close` for what it says.
fn stay(address: SocketAddr, met: &Met) {
    let mut stream = dial(address);
    while !met.done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let stays = exchange(&mut stream).expect("an answer on a connection that was not said to close");
        met.answered(begun);
        if !stays {
            stream = dial(address);
        }
    }
}

#[test]
fn three_processes_take_over_under_load_and_no_request_fails() {
    let place = Place::new();
    let mut node = serve(&place, "");
    let address = node.address;
    let met = Arc::new(Met::default());
    let clients: Vec<_> = (0..6)
        .map(|n| {
            let met = met.clone();
            std::thread::spawn(move || if n % 2 == 0 { come_and_go(address, &met) } else { stay(address, &met) })
        })
        .collect();
    let more =
        |than: u64| until("requests are answered", || (met.answers.load(Ordering::Relaxed) > than).then_some(()));
    more(100);
    for _ in 0..3 {
        let next = place.serve_with(&["--config", "node.toml", "--takeover"]);
        assert!(node.stderr().contains("another process takes over"), "{}", node.stderr());
        assert!(node.wait().success());
        assert_eq!(next.address, address, "the port is the same");
        node = next;
        more(met.answers.load(Ordering::Relaxed) + 100);
    }
    met.done.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("every request had its answer");
    }
    eprintln!(
        "{} requests, the slowest took {} ms",
        met.answers.load(Ordering::Relaxed),
        met.slowest_ms.load(Ordering::Relaxed)
    );
    // The admin API went along.
    assert!(place.on_data(&["releases", "app"]).ok);
    node.stop();
}

#[test]
fn a_configuration_with_a_mistake_takes_nothing_over() {
    let place = Place::new();
    let node = serve(&place, "");
    write(&place.path("wrong.toml"), "[[listeners]]\nlisten = \"nowhere\"\n");
    let outcome = place.on_data(&["serve", "--config", "wrong.toml", "--takeover"]);
    assert!(!outcome.ok && outcome.stderr.contains("is no address to listen on"), "{}", outcome.stderr);
    assert!(!node.stderr().contains("takes over"), "{}", node.stderr());
    node.stop();
}
