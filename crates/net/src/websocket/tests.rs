//! Frames by hand and by a client of tungstenite's, over real sockets, against a server that echoes.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use base::socket::{self, Message, Received, Upgrade, close_code};
use base::{NodeLimits, SocketOptions, WorkerLimits};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};

use super::*;
use crate::{
    ConnectionCounts, Connector, ConnectorOptions, ListenOptions, Listener, Outgoing, Request, Server, ServerLimits,
};

#[derive(Clone)]
struct Seen {
    options: SocketOptions,
    /// How each end ended, as the worker hears it.
    ends: Rc<RefCell<Vec<Ended>>>,
    /// What the pump told of each.
    told: Arc<Mutex<Vec<Summary>>>,
}

/// Opens a socket that echoes, unless it is asked not to.
async fn serve(seen: Seen, request: Request) -> Response<Body> {
    if !request.upgrade || request.path() == "/no" {
        return Response::new(Body::full(format!("{} {}", request.method, request.path())));
    }
    let (near, far) = socket::pair(seen.options);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    if let Some(offer) = offers(&request.headers).next() {
        response.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
    }
    Upgrade::attach(&mut response, far);
    let told = seen.told.clone();
    OnSocketEnd::attach(&mut response, move |summary| told.lock().unwrap().push(summary));
    let path = request.path().to_owned();
    tokio::task::spawn_local(async move {
        match path.as_str() {
            "/drop" => return,
            "/flood" => while near.send(Message::Binary(vec![0; 60_000].into())).is_ok() {},
            "/close" => near.close(Ended::new(3005, "enough").cleanly()),
            _ => {}
        }
        if path == "/flood" {
            near.abort(Ended::new(close_code::ERROR, "overflow"));
        }
        loop {
            match near.receive().await {
                Received::Message(message) => drop(near.send(message)),
                Received::Ended(ended) => return seen.ends.borrow_mut().push(ended),
            }
        }
    });
    response
}

struct Node {
    address: SocketAddr,
    seen: Seen,
    stop: RefCell<Option<oneshot::Sender<()>>>,
    done: RefCell<Option<tokio::task::JoinHandle<usize>>>,
}

fn with_node(limits: NodeLimits, worker: impl FnOnce(&mut WorkerLimits), test: impl AsyncFnOnce(Rc<Node>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(loopback, &ListenOptions::default()).unwrap().remove(0);
        let address = listener.address().tcp().unwrap();
        let mut options = WorkerLimits { socket_message_bytes: 100_000, ..WorkerLimits::default() };
        worker(&mut options);
        let seen =
            Seen { options: SocketOptions::from(&options), ends: Rc::default(), told: Arc::new(Mutex::default()) };
        let server = Server::new(ServerLimits::from(&limits), ConnectionCounts::new(&limits), Box::new(|_, _, _| {}));
        let (stop, stopped) = oneshot::channel::<()>();
        let service = {
            let seen = seen.clone();
            move |request| serve(seen.clone(), request)
        };
        let stopped = async { drop(stopped.await) };
        let done = tokio::task::spawn_local(async move { server.run(vec![listener], service, stopped).await.unwrap() });
        let (stop, done) = (RefCell::new(Some(stop)), RefCell::new(Some(done)));
        test(Rc::new(Node { address, seen, stop, done })).await;
    });
}

const HANDSHAKE: &str = "Host: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

impl Node {
    /// A connection whose handshake is over, and the head of the answer.
    async fn open(&self, path: &str, more: &[u8]) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\n{HANDSHAKE}\r\n");
        stream.write_all(&[head.as_bytes(), more].concat()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (stream, String::from_utf8(head).unwrap())
    }

    async fn client(&self, path: &str) -> WebSocketStream<TcpStream> {
        let (stream, head) = self.open(path, b"").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        WebSocketStream::from_raw_socket(stream, Role::Client, None).await
    }

    /// How the next socket ended for the worker.
    async fn end(&self) -> Ended {
        loop {
            if let Some(ended) = self.seen.ends.borrow_mut().pop() {
                return ended;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Sends bytes of a client's frames and reads the close that answers them.
    async fn close_for(&self, bytes: &[u8]) -> u16 {
        let (mut stream, _) = self.open("/", b"").await;
        stream.write_all(bytes).await.unwrap();
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        close_of(&mut socket).await
    }
}

async fn close_of<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> u16 {
    loop {
        match socket.next().await.expect("a close before the end").expect("a close") {
            Frame::Close(frame) => return frame.map_or(close_code::NONE, |frame| frame.code.into()),
            _ => continue,
        }
    }
}

/// A client's frame, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ 0..=125 => vec![0x80 | short as u8],
        middle => [&[0x80 | 126][..], &(middle as u16).to_be_bytes()].concat(),
    };
    [&[first][..], &length, &[0; 4], payload].concat()
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

#[test]
fn a_client_is_echoed_and_says_goodbye() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let mut socket = node.client("/").await;
            for message in [Frame::text("grüß"), Frame::binary(vec![1; 70_000]), Frame::text(""), Frame::binary(vec![])]
            {
                socket.send(message.clone()).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), message);
            }
            socket.send(Frame::Ping(Bytes::from_static(b"you?"))).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Frame::Pong(Bytes::from_static(b"you?")));
            let close = CloseFrame { code: 4000.into(), reason: Utf8Bytes::from_static("bye") };
            socket.close(Some(close.clone())).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Frame::Close(Some(close)));
            assert_eq!(node.end().await, Ended::new(4000, "bye").cleanly());
            assert!(socket.next().await.is_none());
            while node.seen.told.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            let summary = node.seen.told.lock().unwrap().remove(0);
            assert_eq!((summary.received_bytes, summary.ended.code), (70_006, 4000));
        },
    );
}

#[test]
fn the_handshake_is_answered_or_refused() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let (_, head) = node.open("/", b"").await;
            for line in ["HTTP/1.1 101 ", "upgrade: websocket", "accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] {
                assert!(head.contains(line), "{head}");
            }
            for (from, to, expect) in [
                ("Version: 13", "Version: 8", ["HTTP/1.1 426 ", "sec-websocket-version: 13"]),
                ("==\r\n", "\r\n", ["HTTP/1.1 400 ", "bad_handshake"]),
                ("Connection: Upgrade", "Connection: close", ["HTTP/1.1 200 ", "GET /"]),
            ] {
                let mut stream = TcpStream::connect(node.address).await.unwrap();
                let head = format!("GET / HTTP/1.1\r\n{HANDSHAKE}\r\n").replace(from, to);
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(expect.iter().all(|expect| answer.contains(expect)), "{from:?}: {answer}");
            }
        },
    );
}

#[test]
fn what_comes_early_belongs_to_the_protocol_that_is_chosen() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            // Frames before the answer.
            let (stream, _) = node.open("/", &masked(TEXT, b"early")).await;
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
            assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("early"));
            // A request behind a question that is answered with no.
            let mut stream = TcpStream::connect(node.address).await.unwrap();
            let head = format!(
                "GET /no HTTP/1.1\r\n{HANDSHAKE}\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains("GET /no") && answer.ends_with("GET /next"), "{answer}");
        },
    );
}

#[test]
fn a_client_that_breaks_the_protocol_hears_why() {
    with_node(
        NodeLimits::default(),
        |limits| limits.socket_pings = 10,
        async |node| {
            let ping_flood: Vec<u8> = (0..20).flat_map(|_| masked(PING, b"")).collect();
            let start = masked(0x01, b"a");
            let fragments: Vec<u8> = start.iter().copied().chain((0..60_000).flat_map(|_| masked(0x00, b""))).collect();
            for (name, bytes, code, cause) in [
                ("unmasked", vec![TEXT, 1, b'a'], 1002, "socket_protocol"),
                ("a reserved bit", masked(0xc1, b"a"), 1002, "socket_protocol"),
                ("an unknown opcode", masked(0x83, b"a"), 1002, "socket_protocol"),
                ("a continuation of nothing", masked(0x80, b"a"), 1002, "socket_protocol"),
                ("a fragmented ping", masked(0x09, b"a"), 1002, "socket_protocol"),
                ("a long ping", masked(PING, &[0; 126]), 1002, "socket_protocol"),
                ("bad UTF-8", masked(TEXT, &[0xff, 0xfe]), 1007, "socket_protocol"),
                (
                    "a length that is too large",
                    [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa1][..], &[0; 4]].concat(),
                    1009,
                    "socket_message_too_large",
                ),
                ("many fragments", fragments, 1008, "socket_flood"),
                ("many pings", ping_flood, 1008, "socket_flood"),
            ] {
                assert_eq!(node.close_for(&bytes).await, code, "{name}");
                let ended = node.end().await;
                assert_eq!((ended.code, ended.clean), (code, false), "{name}");
                assert_eq!(ended.cause.map(|cause| cause.name), Some(cause), "{name}");
            }
        },
    );
}

#[test]
fn a_client_that_leaves_without_a_word_is_gone() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let (stream, _) = node.open("/", b"").await;
            drop(stream);
            let ended = node.end().await;
            assert_eq!((ended.code, ended.clean), (close_code::ABNORMAL, false));
            // Half a close, in the middle of a frame.
            let (mut stream, _) = node.open("/", b"").await;
            stream.write_all(&masked(TEXT, b"cut")[..4]).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(node.end().await.code, close_code::ABNORMAL);
        },
    );
}

#[test]
fn a_silent_client_is_asked_and_then_given_up() {
    with_node(
        NodeLimits::default(),
        |limits| limits.socket_idle_ms = 60,
        async |node| {
            let (mut stream, _) = node.open("/", b"").await;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(bytes, [PING, 0]);
            assert_eq!(node.end().await.cause.map(|cause| cause.name), Some("socket_idle"));
            // One that answers stays.
            let mut socket = node.client("/").await;
            let started = tokio::time::Instant::now();
            while started.elapsed() < Duration::from_millis(300) {
                assert!(matches!(socket.next().await.unwrap().unwrap(), Frame::Ping(_)));
            }
            socket.send(Frame::text("here")).await.unwrap();
            while socket.next().await.unwrap().unwrap() != Frame::text("here") {}
        },
    );
}

#[test]
fn the_worker_closes_or_goes() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let mut socket = node.client("/close").await;
            assert_eq!(close_of(&mut socket).await, 3005);
            assert!(socket.next().await.is_none());
            assert_eq!(node.end().await, Ended::new(3005, "enough").cleanly());
            assert_eq!(close_of(&mut node.client("/drop").await).await, close_code::ERROR);
        },
    );
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let worker = |limits: &mut WorkerLimits| {
        limits.socket_buffer_bytes = 32 << 20;
        limits.socket_close_ms = 50;
    };
    with_node(NodeLimits::default(), worker, async |node| {
        let (stream, _) = node.open("/flood", b"").await;
        let ended = node.end().await;
        assert_eq!((ended.code, ended.clean), (close_code::ABNORMAL, false));
        drop(stream);
    });
}

#[test]
fn a_drain_says_goodbye_and_a_cut_does_not() {
    with_node(
        NodeLimits { drain_ms: 5_000, ..NodeLimits::default() },
        |_| {},
        async |node| {
            let mut socket = node.client("/").await;
            drop(node.stop.take());
            assert_eq!(close_of(&mut socket).await, close_code::AWAY);
            assert!(socket.next().await.is_none());
            assert_eq!(node.end().await.code, close_code::AWAY);
            assert_eq!(node.done.take().unwrap().await.unwrap(), 0);
        },
    );
    let worker = |limits: &mut WorkerLimits| limits.socket_close_ms = 60_000;
    with_node(NodeLimits { drain_ms: 50, ..NodeLimits::default() }, worker, async |node| {
        let (_stream, _) = node.open("/", b"").await;
        drop(node.stop.take());
        assert_eq!(node.done.take().unwrap().await.unwrap(), 1);
        assert_eq!(node.end().await.code, close_code::ABNORMAL);
    });
}

#[test]
fn http2_opens_a_socket_as_one_of_its_streams() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let stream = TcpStream::connect(node.address).await.unwrap();
            let executor = hyper_util::rt::TokioExecutor::new();
            let handshake = hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(executor, TokioIo::new(stream));
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            let ask = |protocol: &'static str, path: &str| {
                http::Request::builder()
                    .method("CONNECT")
                    .uri(format!("http://a.test{path}"))
                    .header("sec-websocket-version", "13")
                    .header("sec-websocket-protocol", "chat")
                    .extension(hyper::ext::Protocol::from_static(protocol))
                    .body(Empty::new())
                    .unwrap()
            };
            // The server's settings come first.
            let response = sender.send_request(http::Request::get("http://a.test/").body(Empty::new()).unwrap()).await;
            assert_eq!(response.unwrap().status(), 200);
            let response = sender.send_request(ask("websocket", "/")).await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
                (200, &"chat".parse().unwrap())
            );
            let upgraded = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
            let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
            socket.send(Frame::text("over h2")).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Frame::text("over h2"));
            socket.close(None).await.unwrap();
            assert_eq!(close_of(&mut socket).await, close_code::NONE);
            assert_eq!(node.end().await.code, close_code::NONE);
            // A success that opens nothing would be taken for a socket.
            assert_eq!(sender.send_request(ask("websocket", "/no")).await.unwrap().status(), 500);
            assert_eq!(sender.send_request(ask("connect-udp", "/")).await.unwrap().status(), 400);
        },
    );
}

#[test]
fn the_connector_opens_sockets() {
    with_node(
        NodeLimits::default(),
        |_| {},
        async |node| {
            let connector = Connector::new(ConnectorOptions::from(&NodeLimits::default()));
            let ask = async |path: &str, allowed: bool| {
                let url = url::Url::parse(&format!("http://127.0.0.1:{}{path}", node.address.port())).unwrap();
                let mut headers = http::HeaderMap::new();
                headers.insert("sec-websocket-protocol", "chat, other".parse().unwrap());
                let outgoing = Outgoing { method: http::Method::GET, url, headers, body: Body::empty() };
                let check: crate::Check =
                    Arc::new(move |_| if allowed { Ok(()) } else { Err("not this one".to_owned()) });
                connector.upgrade(outgoing, node.seen.options, check).await
            };
            let mut response = ask("/", true).await.unwrap();
            assert_eq!(response.status(), 101);
            assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
            let end = Upgrade::take(&mut response).unwrap();
            for message in [Message::text("a"), Message::Binary(vec![5; 99_999].into())] {
                end.send(message.clone()).unwrap();
                assert_eq!(end.receive().await, Received::Message(message));
            }
            end.close(Ended::new(1000, "done").cleanly());
            assert_eq!(end.receive().await, Received::Ended(Ended::new(1000, "done").cleanly()));
            assert_eq!(node.end().await, Ended::new(1000, "done").cleanly());

            let mut response = ask("/", true).await.unwrap();
            let end = Upgrade::take(&mut response).unwrap();
            connector.drain();
            let Received::Ended(ended) = end.receive().await else { panic!("nothing was said") };
            assert_eq!((ended.code, ended.clean), (close_code::AWAY, true));
            assert_eq!(node.end().await.code, close_code::AWAY);

            let mut response = ask("/no", true).await.unwrap();
            assert!(response.status() == 200 && Upgrade::take(&mut response).is_none());
            assert_eq!(response.into_body().collect(100).await.unwrap(), "GET /no");
            assert_eq!(ask("/", false).await.unwrap_err().code().name, "egress_denied");
        },
    );
}

/// Small numbers that look like none: the same ones at every run.
struct Nonsense(u64);

impl Nonsense {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Frames and what is nearly one.
    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.next() % 20 {
            let payload: Vec<u8> = (0..self.next() % 200).map(|_| self.next() as u8).collect();
            let first = if self.next().is_multiple_of(4) {
                self.next() as u8
            } else {
                [0x01, 0x00, 0x80, TEXT, 0x82, PING][(self.next() % 6) as usize]
            };
            bytes.extend(masked(first, &payload));
            if self.next().is_multiple_of(8) {
                bytes.truncate(bytes.len() - (self.next() as usize % 5).min(bytes.len()));
            }
        }
        bytes
    }
}

#[test]
fn nonsense_hurts_nobody_else() {
    let worker = |limits: &mut WorkerLimits| limits.socket_close_ms = 50;
    with_node(NodeLimits::default(), worker, async |node| {
        let mut neighbour = node.client("/").await;
        for seed in 0..200 {
            let mut nonsense = Nonsense(seed);
            let (mut stream, _) = node.open("/", b"").await;
            // The server may have had enough before it has read everything.
            let _ = stream.write_all(&nonsense.bytes()).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            node.end().await;
        }
        neighbour.send(Frame::text("still here")).await.unwrap();
        assert_eq!(neighbour.next().await.unwrap().unwrap(), Frame::text("still here"));
    });
}
