//! The PROXY protocol, and sockets of the file system.

use tokio::net::UnixStream;

use super::*;

fn from_here() -> Reception {
    Reception { proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Reception::default() }
}

const PEER: &str = "GET /peer HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

#[test]
fn a_proxy_says_whose_connection_it_is() {
    with_reception(NodeLimits::default(), from_here(), async |node| {
        let header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
        let answer = node.exchange(format!("{header}{PEER}").as_bytes()).await;
        assert!(answer.ends_with("192.0.2.7:4711"), "{answer}");
        // Byte by byte, and in the middle of a request.
        let mut stream = node.connect().await;
        for byte in format!("{header}{PEER}").as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
        }
        assert!(read_all(&mut stream).await.ends_with("192.0.2.7:4711"));
    });
}

#[test]
fn connections_are_counted_for_the_client_that_the_proxy_names() {
    let limits = NodeLimits { connections_per_address: 1, ..NodeLimits::default() };
    with_reception(limits, from_here(), async |node| {
        let mut first = node.connect().await;
        first.write_all(format!("PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\n{GET}").as_bytes()).await.unwrap();
        read_one(&mut first).await;
        let other = node.exchange(format!("PROXY TCP4 192.0.2.8 198.51.100.1 1 443\r\n{PEER}").as_bytes()).await;
        assert!(other.ends_with("192.0.2.8:1"), "{other}");
        let refused = node.exchange(format!("PROXY TCP4 192.0.2.7 198.51.100.1 2 443\r\n{PEER}").as_bytes()).await;
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    });
}

#[test]
fn a_trusted_proxy_must_send_a_header_and_nobody_else_may() {
    with_reception(NodeLimits::default(), from_here(), async |node| {
        assert_eq!(node.exchange(PEER.as_bytes()).await, "");
        let told = "bad_proxy_header: the connection does not begin with a PROXY header";
        assert_eq!(*node.refusals.borrow(), [told]);
    });
    let elsewhere = Reception { proxies: vec!["192.0.2.0/24".parse().unwrap()], ..Reception::default() };
    with_reception(NodeLimits::default(), elsewhere, async |node| {
        let forged = format!("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n{PEER}");
        assert!(node.exchange(forged.as_bytes()).await.starts_with("HTTP/1.1 400 "));
        assert!(node.exchange(PEER.as_bytes()).await.contains("127.0.0.1:"));
    });
}

#[test]
fn a_proxy_that_sends_nothing_is_not_waited_for() {
    let limits = NodeLimits { header_ms: 50, ..NodeLimits::default() };
    with_reception(limits, from_here(), async |node| {
        assert_eq!(node.exchange(b"PROXY TCP4 ").await, "");
    });
}

#[test]
fn a_socket_of_the_file_system_is_served_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    // Left over by a process that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let address = crate::Address::Unix(path.clone());
        let options = ListenOptions { cores: 2, mode: 0o600, ..ListenOptions::default() };
        let listeners = Listener::bind(address.clone(), &options).unwrap();
        let again = Listener::bind(address, &options).unwrap_err().to_string();
        assert_eq!(
            again,
            format!("unix:{} is in use by another process; choose another with --listen", path.display())
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        // Behind it, nobody is counted by address.
        let limits = NodeLimits { connections_per_address: 1, ..NodeLimits::default() };
        let server = Server::new((&limits).into(), ConnectionCounts::new(&limits), Box::new(|_, _, _| ()));
        let (stop, stopped) = oneshot::channel::<()>();
        let service = |request| echo(Seen::default(), Seen::default(), request);
        let stopped = async { drop(stopped.await) };
        let done = tokio::task::spawn_local(server.run(listeners, service, stopped));
        let mut kept = Vec::new();
        for _ in 0..3 {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(PEER.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(String::from_utf8(answer).unwrap().ends_with("127.0.0.1:0"));
            kept.push(stream);
        }
        drop((stop, kept));
        done.await.unwrap().unwrap();
    });
    assert!(!path.exists(), "the file goes with its node");
    std::fs::write(&path, "precious").unwrap();
    let error = Listener::bind(crate::Address::Unix(path.clone()), &ListenOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("is there, and is no socket; move it away or choose another path"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn an_unspecified_ipv6_address_takes_ipv4_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let address: SocketAddr = "[::]:0".parse().unwrap();
        let Ok(listeners) = Listener::bind(address, &ListenOptions::default()) else {
            // A machine without IPv6 has nothing to show.
            return;
        };
        let port = listeners[0].address().tcp().unwrap().port();
        let limits = NodeLimits::default();
        let server = Server::new((&limits).into(), ConnectionCounts::new(&limits), Box::new(|_, _, _| ()));
        let service = |request| echo(Seen::default(), Seen::default(), request);
        tokio::task::spawn_local(server.run(listeners, service, std::future::pending()));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(PEER.as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.contains("\r\n127.0.0.1:"), "{answer}");
    });
}
