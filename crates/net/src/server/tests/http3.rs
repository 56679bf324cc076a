//! HTTP/3 as clients meet it, over real sockets; the client is h3's own, on quinn.

use bytes::BufMut as _;
use h3::client::SendRequest;
use h3_quinn::OpenStreams;
use http::Method;
use testkit::ManualClock;

use super::secured::{reception, two_hosts};
use super::*;
use crate::handover::Sockets;
use crate::quic::{self, Quic};

type Sender = SendRequest<OpenStreams, Bytes>;

/// A node that serves HTTP/3 beside its other versions.
fn with_quic(limits: NodeLimits, test: impl AsyncFnOnce(Rc<Node>, Client)) {
    let (ca, tls) = two_hosts();
    let reception = reception(&tls);
    let endpoint = RefCell::new(None);
    let begin = |limits: &NodeLimits, server: &Rc<Server>, seen: &Seen, cookies: &Seen| {
        let socket = quic::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Sockets::default()).unwrap();
        let clock = ManualClock::new();
        let (quic, intakes) = Quic::start(socket, &reception, &ServerLimits::from(limits), clock, 1).unwrap();
        for intake in intakes {
            let (seen, cookies) = (seen.clone(), cookies.clone());
            server.serve_quic(intake, move |request| echo(seen.clone(), cookies.clone(), request));
        }
        endpoint.replace(Some(quic));
    };
    with_server(limits, Reception::default(), begin, async |node| {
        let quic = endpoint.take().unwrap();
        let mut config = ca.client(None);
        config.alpn_protocols = vec![quic::ALPN.to_vec()];
        let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
        let mut local = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        local.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
        test(node, Client { endpoint: local, quic }).await;
    });
}

struct Client {
    endpoint: quinn::Endpoint,
    quic: Quic,
}

impl Client {
    async fn dial(&self) -> quinn::Connection {
        self.endpoint.connect(self.quic.address(), "a.example").unwrap().await.unwrap()
    }

    /// A connection of HTTP/3, and how it ends.
    async fn connect(&self) -> (Sender, tokio::task::JoinHandle<h3::error::ConnectionError>) {
        let connection = h3_quinn::Connection::new(self.dial().await);
        let (mut driver, sender) = h3::client::new(connection).await.unwrap();
        let ended = tokio::task::spawn_local(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        (sender, ended)
    }
}

fn request(method: Method, path: &str) -> http::Request<()> {
    http::Request::builder().method(method).uri(format!("https://a.example{path}")).body(()).unwrap()
}

/// Asks, and reads the answer.
async fn ask(
    sender: &mut Sender,
    request: http::Request<()>,
    body: &[u8],
) -> Result<(http::Response<()>, Vec<u8>), h3::error::StreamError> {
    let mut stream = sender.send_request(request).await?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body)).await?;
    }
    stream.finish().await?;
    let response = stream.recv_response().await?;
    let mut got = Vec::new();
    while let Some(piece) = stream.recv_data().await? {
        got.put(piece);
    }
    Ok((response, got))
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

#[test]
fn a_request_is_answered_as_on_the_other_versions() {
    with_quic(NodeLimits::default(), async |node, client| {
        let (mut sender, _ended) = client.connect().await;
        let (response, body) = ask(&mut sender, request(Method::GET, "/x/../y?z=1"), b"").await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(text(&body), "GET /y?z=1 at a.example ");
        assert_eq!(response.headers()[http::header::CONTENT_LENGTH], body.len().to_string());
        assert!(response.headers().contains_key(http::header::DATE));
        let (_, body) = ask(&mut sender, request(Method::POST, "/form"), b"a=b").await.unwrap();
        assert_eq!(text(&body), "POST /form at a.example a=b");
        let (response, body) = ask(&mut sender, request(Method::HEAD, "/x"), b"").await.unwrap();
        assert_eq!((response.status().as_u16(), body.len()), (200, 0));
        let (_, body) = ask(&mut sender, request(Method::GET, "/secured"), b"").await.unwrap();
        assert!(text(&body).contains("server_name: Some(\"a.example\")"), "{}", text(&body));
        let mut twice = request(Method::GET, "/cookies");
        for cookie in ["a=1", "b=2"] {
            twice.headers_mut().append(http::header::COOKIE, http::HeaderValue::from_static(cookie));
        }
        ask(&mut sender, twice, b"").await.unwrap();
        assert_eq!(*node.cookies.borrow(), ["a=1; b=2"]);
    });
}

#[test]
fn many_requests_share_a_connection_and_large_bodies_arrive_whole() {
    with_quic(NodeLimits::default(), async |_node, client| {
        let (sender, _ended) = client.connect().await;
        let sent = vec![b'u'; 3 << 20];
        let asking = (0..20).map(|n| {
            let (mut sender, sent) = (sender.clone(), &sent);
            async move {
                let (_, body) = ask(&mut sender, request(Method::POST, &format!("/{n}")), sent).await.unwrap();
                assert_eq!(body.len(), format!("POST /{n} at a.example ").len() + sent.len());
            }
        });
        futures_util::future::join_all(asking).await;
        let (_, body) = ask(&mut sender.clone(), request(Method::GET, "/large"), b"").await.unwrap();
        assert_eq!(body.len(), 32 << 20);
    });
}

#[test]
fn what_could_be_taken_in_two_ways_is_refused() {
    with_quic(NodeLimits::default(), async |node, client| {
        let (mut sender, _ended) = client.connect().await;
        let fields: [(&str, &str); 6] = [
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("content-length", "+3"),
            ("keep-alive", "1"),
        ];
        for (name, value) in fields {
            let mut odd = request(Method::POST, "/odd");
            odd.headers_mut().insert(http::HeaderName::from_static(name), value.parse().unwrap());
            let (response, _) = ask(&mut sender, odd, b"abc").await.unwrap();
            assert_eq!(response.status(), 400, "{name}");
        }
        for length in ["2", "4"] {
            let mut odd = request(Method::POST, "/length");
            odd.headers_mut().insert(http::header::CONTENT_LENGTH, length.parse().unwrap());
            let (response, body) = ask(&mut sender, odd, b"abc").await.unwrap();
            assert_eq!(response.status(), 400, "{}", text(&body));
        }
        let (response, _) = ask(&mut sender, request(Method::CONNECT, ""), b"").await.unwrap();
        assert_eq!(response.status(), 405);
        let (response, _) = ask(&mut sender, request(Method::GET, "/../../etc"), b"").await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(node.seen.borrow().iter().all(|line| !line.contains("/odd")), "{:?}", node.seen.borrow());
        let (response, _) = ask(&mut sender, request(Method::GET, "/after"), b"").await.unwrap();
        assert_eq!(response.status(), 200, "the connection goes on");
    });
}

#[test]
fn heads_have_bounds_in_words_and_without() {
    let limits = NodeLimits { header_bytes: 4096, header_count: 20, uri_bytes: 1024, ..NodeLimits::default() };
    with_quic(limits, async |node, client| {
        let (mut sender, _ended) = client.connect().await;
        let large = |bytes: usize| {
            let mut large = request(Method::GET, "/");
            large.headers_mut().insert("x-large", "v".repeat(bytes).parse().unwrap());
            large
        };
        let (response, _) = ask(&mut sender, large(5000), b"").await.unwrap();
        assert_eq!(response.status(), 431);
        let mut many = request(Method::GET, "/");
        for n in 0..30 {
            many.headers_mut().insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), "1".parse().unwrap());
        }
        assert_eq!(ask(&mut sender, many, b"").await.unwrap().0.status(), 431);
        let long = format!("/{}", "p".repeat(2000));
        assert_eq!(ask(&mut sender, request(Method::GET, &long), b"").await.unwrap().0.status(), 414);
        assert_eq!(node.refusals.borrow().len(), 3);
        // Beyond what h3 itself may hold: the client that knows the setting does not even send it,
        // so this is one that does not.
        let raw = client.dial().await;
        let (mut send, mut recv) = raw.open_bi().await.unwrap();
        // A HEADERS frame that says it has a gigabyte.
        send.write_all(&[0x01, 0xc0, 0, 0, 0, 0x40, 0, 0, 0]).await.unwrap();
        let flood = async {
            let noise = vec![0u8; 16 << 10];
            while send.write_all(&noise).await.is_ok() {}
        };
        flood.await;
        assert!(recv.read_to_end(1 << 20).await.is_err(), "the stream is reset");
    });
}

#[test]
fn a_body_that_nobody_reads_stays_with_the_client() {
    with_quic(NodeLimits::default(), async |node, client| {
        let (mut sender, _ended) = client.connect().await;
        // Frames of one byte, which cost their reader more than their sender.
        let mut stream = sender.send_request(request(Method::POST, "/never")).await.unwrap();
        let sent = Rc::new(Cell::new(0));
        let counter = sent.clone();
        let sending = tokio::task::spawn_local(async move {
            while stream.send_data(Bytes::from_static(b"x")).await.is_ok() {
                counter.set(counter.get() + 1);
            }
        });
        while node.seen.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        // It comes to rest.
        let mut before = usize::MAX;
        while before != sent.get() {
            before = sent.get();
            let (response, _) = ask(&mut sender, request(Method::GET, "/x"), b"").await.unwrap();
            assert_eq!(response.status(), 200);
        }
        assert!(sent.get() < 1 << 20, "{}", sent.get());
        sending.abort();
    });
}

#[test]
fn a_client_that_gives_up_frees_what_it_asked_for_and_one_that_does_only_that_is_cut_off() {
    let limits = NodeLimits { h2_resets: 10, ..NodeLimits::default() };
    with_quic(limits, async |node, client| {
        let (mut sender, ended) = client.connect().await;
        let mut given_up = 0;
        loop {
            let Ok(mut stream) = sender.send_request(request(Method::GET, "/never")).await else { break };
            if given_up == 0 {
                while node.seen.borrow().is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
            stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
            drop(stream);
            given_up += 1;
            assert!(given_up < 10_000, "nobody minds");
            tokio::task::yield_now().await;
        }
        let error = ended.await.unwrap().to_string();
        assert!(error.contains("EXCESSIVE_LOAD"), "{error}");
        let refusals = node.refusals.borrow();
        assert!(refusals.iter().any(|line| line.starts_with("protocol_flood")), "{refusals:?}");
    });
}

#[test]
fn a_drain_lets_requests_finish_and_says_goodbye() {
    with_quic(NodeLimits::default(), async |node, client| {
        let (mut sender, ended) = client.connect().await;
        let mut open = sender.send_request(request(Method::POST, "/open")).await.unwrap();
        open.send_data(Bytes::from_static(b"first ")).await.unwrap();
        ask(&mut sender, request(Method::GET, "/x"), b"").await.unwrap();
        node.stop();
        open.send_data(Bytes::from_static(b"second")).await.unwrap();
        open.finish().await.unwrap();
        assert_eq!(open.recv_response().await.unwrap().status(), 200);
        let mut answer = Vec::new();
        while let Some(piece) = open.recv_data().await.unwrap() {
            answer.put(piece);
        }
        assert!(text(&answer).ends_with("first second"), "{}", text(&answer));
        drop(open);
        assert!(ended.await.unwrap().is_h3_no_error());
        assert_eq!(node.drained().await, 0);
    });
}

#[test]
fn a_stranger_that_breaks_the_protocol_ends_only_its_own_connection() {
    with_quic(NodeLimits::default(), async |_node, client| {
        let (mut sender, _ended) = client.connect().await;
        // On a request's stream: SETTINGS, DATA before HEADERS, a frame of HTTP/2, QPACK that is none.
        let tricks: [&[u8]; 4] = [&[0x04, 0x00], &[0x00, 0x01, b'x'], &[0x06, 0x00], &[0x01, 0x03, 0xff, 0xff, 0xff]];
        for trick in tricks {
            let raw = client.dial().await;
            let (mut send, _recv) = raw.open_bi().await.unwrap();
            send.write_all(trick).await.unwrap();
            let _ = send.finish();
            let closed = raw.closed().await;
            assert!(matches!(closed, quinn::ConnectionError::ApplicationClosed(_)), "{trick:?}: {closed}");
        }
        // A head that never ends is waited for no longer than one of HTTP/1.1, without harm to others.
        let raw = client.dial().await;
        let (mut send, _recv) = raw.open_bi().await.unwrap();
        send.write_all(&[0x01, 0x20, 0x00]).await.unwrap();
        // Frames of no known kind mean nothing.
        let (mut odd, mut answer) = raw.open_bi().await.unwrap();
        odd.write_all(&[0x21, 0x03, 1, 2, 3]).await.unwrap();
        odd.finish().unwrap();
        assert!(answer.read_to_end(100).await.is_err(), "no head, no answer");
        let (response, _) = ask(&mut sender, request(Method::GET, "/x"), b"").await.unwrap();
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn two_paths_in_one_head_are_refused() {
    with_quic(NodeLimits::default(), async |node, client| {
        // GET, https, a.example; then one path or two of them.
        let begin = [0, 0, 0xc0 | 17, 0xc0 | 23, 0x50, 9, b'a', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e'];
        let one = [&begin[..], &[0xc0 | 1]].concat();
        let two = [&one[..], &[0x51, 2, b'/', b'x']].concat();
        for (head, expect) in [(one, true), (two, false)] {
            let raw = client.dial().await;
            let (mut send, mut recv) = raw.open_bi().await.unwrap();
            send.write_all(&[&[0x01, head.len() as u8][..], &head[..]].concat()).await.unwrap();
            if expect {
                send.finish().unwrap();
                assert!(!recv.read_to_end(1 << 20).await.unwrap().is_empty());
            } else {
                let reason = send.stopped().await.unwrap();
                assert_eq!(reason.map(quinn::VarInt::into_inner), Some(0x10e), "H3_MESSAGE_ERROR");
                assert!(recv.read_to_end(1 << 20).await.is_err(), "the stream is reset");
            }
        }
        assert_eq!(node.refusals.borrow().len(), 0);
    });
}

#[test]
fn a_connection_that_asks_nothing_ends() {
    let limits = NodeLimits { header_ms: 50, ..NodeLimits::default() };
    with_quic(limits, async |_node, client| {
        let (_sender, ended) = client.connect().await;
        assert!(ended.await.unwrap().is_h3_no_error());
    });
}

#[test]
fn a_client_beyond_the_count_is_refused() {
    let limits = NodeLimits { connections: 1, ..NodeLimits::default() };
    with_quic(limits, async |node, client| {
        let (mut sender, _ended) = client.connect().await;
        ask(&mut sender, request(Method::GET, "/x"), b"").await.unwrap();
        let second = client.endpoint.connect(client.quic.address(), "a.example").unwrap().await;
        assert!(second.is_err());
        assert!(node.refusals.borrow().iter().any(|line| line.starts_with("node_overloaded")));
    });
}

#[test]
fn under_load_a_client_shows_its_address_first() {
    // A quarter of four is one: with one handshake under way, the next is sent back for a proof.
    let limits = NodeLimits { quic_handshakes: 4, ..NodeLimits::default() };
    with_quic(limits, async |_node, client| {
        let dialling = (0..3).map(|_| client.endpoint.connect(client.quic.address(), "a.example").unwrap());
        for connected in futures_util::future::join_all(dialling).await {
            let connection = connected.expect("a proof is enough");
            assert!(connection.close_reason().is_none());
        }
    });
}
