use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::*;
use crate::{ListenOptions, Listener};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn options(sockets: &Arc<Sockets>, cores: usize) -> ListenOptions {
    ListenOptions { cores, sockets: sockets.clone(), ..ListenOptions::default() }
}

#[test]
fn what_waits_in_a_queue_is_served_by_the_successor_and_no_connection_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("takeover");
    let old = Arc::new(Sockets::default());
    let listeners = Listener::bind(ANY, &options(&old, 4)).unwrap();
    let address = listeners[0].address().tcp().unwrap();
    let offer = Offer::open(&path).unwrap();
    let giving = {
        let old = old.clone();
        std::thread::spawn(move || offer.wait(&old))
    };
    let mut before: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(address).unwrap()).collect();
    let taken = take(&path).unwrap().expect("somebody offers");
    let _successor = giving.join().unwrap().unwrap();
    assert_eq!(taken.count, 4);
    assert!(old.gone().load(Ordering::Acquire));
    drop(listeners);
    drop(old);
    let after: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(address).unwrap()).collect();
    before.extend(after);

    // On fewer cores than before, and with no other port.
    let bound = Listener::bind(ANY, &options(&taken.sockets, 2)).unwrap();
    assert_eq!(bound.len(), 4, "none is left out");
    assert!(bound.iter().all(|one| one.address().tcp() == Some(address)));
    let mut accepted = 0;
    for listener in &bound {
        while let Ok(mut stream) = listener.accept_now() {
            stream.write_all(b"!").unwrap();
            accepted += 1;
        }
    }
    assert_eq!(accepted, before.len());
    for stream in &mut before {
        stream.read_exact(&mut [0]).expect("an answer");
    }
    assert!(taken.sockets.given("http 127.0.0.1:0").is_none(), "they are used up");
}

#[test]
fn a_successor_on_more_cores_has_a_socket_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("takeover");
    let old = Arc::new(Sockets::default());
    let unix = crate::Address::Unix(dir.path().join("listener"));
    let _listeners = (Listener::bind(ANY, &options(&old, 1)).unwrap(), Listener::bind(unix.clone(), &options(&old, 1)));
    let offer = Offer::open(&path).unwrap();
    let giving = std::thread::spawn(move || offer.wait(&old).map(|successor| (successor, old)));
    let taken = take(&path).unwrap().unwrap();
    assert_eq!(Listener::bind(ANY, &options(&taken.sockets, 3)).unwrap().len(), 3);
    let second = Listener::bind(unix.clone(), &options(&taken.sockets, 2)).unwrap();
    assert_eq!(second.len(), 2);
    drop((giving.join().unwrap().unwrap(), _listeners));
    assert!(dir.path().join("listener").exists(), "the file is the successor's now");
    drop(second);
    assert!(!dir.path().join("listener").exists());
}

#[test]
fn a_stranger_and_a_successor_that_dies_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("takeover");
    assert!(take(&path).unwrap().is_none(), "nobody offers");
    let sockets = Arc::new(Sockets::default());
    let _listeners = Listener::bind(ANY, &options(&sockets, 1)).unwrap();
    let offer = Offer::open(&path).unwrap();
    let giving = {
        let sockets = sockets.clone();
        std::thread::spawn(move || offer.wait(&sockets))
    };
    let dial = || {
        let peer = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        peer.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        peer
    };
    send(&dial(), b"GET / HTTP/1.1", &[]).unwrap();
    drop(dial());
    let dying = dial();
    send(&dying, HELLO, &[]).unwrap();
    receive(&dying).unwrap();
    drop(dying);
    assert!(!sockets.gone().load(Ordering::Acquire));
    let taken = take(&path).unwrap().expect("it is still offered");
    let successor = giving.join().unwrap().unwrap();
    assert_eq!(taken.count, 1);
    assert!(!taken.freed(Duration::from_millis(10)).unwrap(), "the old process holds its locks");
    successor.say_free().unwrap();
    assert!(taken.freed(Duration::from_secs(10)).unwrap());
}

#[test]
fn a_successor_hears_of_the_end_of_a_process_that_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("takeover");
    let sockets = Arc::new(Sockets::default());
    let _listeners = Listener::bind(ANY, &options(&sockets, 1)).unwrap();
    let offer = Offer::open(&path).unwrap();
    let giving = std::thread::spawn(move || offer.wait(&sockets));
    let taken = take(&path).unwrap().expect("somebody offers");
    drop(giving.join().unwrap().unwrap());
    assert!(taken.freed(Duration::from_secs(10)).unwrap());
}
