use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server on loopback that answers with what it was asked.
pub(super) struct Origin {
    pub address: SocketAddr,
    pub connections: Rc<Cell<usize>>,
}

pub(super) type Handler = Rc<dyn Fn(http::Request<hyper::body::Incoming>) -> http::Response<Body>>;

pub(super) fn echo(request: http::Request<hyper::body::Incoming>) -> http::Response<Body> {
    let host = request.headers().get("host").map(|h| h.to_str().unwrap().to_owned());
    let authority = request.uri().authority().map(ToString::to_string);
    let text = format!("{:?} {} {}", request.version(), request.uri().path(), host.or(authority).unwrap_or_default());
    http::Response::builder().header("keep-alive", "timeout=5").body(Body::full(text)).unwrap()
}

pub(super) async fn origin(tls: Option<&[u8]>, handler: Handler) -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Rc::new(Cell::new(0)));
    let acceptor = tls.map(acceptor);
    let counted = connections.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.set(counted.get() + 1);
            let (acceptor, handler) = (acceptor.clone(), handler.clone());
            tokio::task::spawn_local(async move {
                let Some(acceptor) = acceptor else { return serve(stream, false, handler).await };
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(stream, h2, handler).await;
            });
        }
    });
    Origin { address, connections }
}

pub(super) fn acceptor(alpn: &[u8]) -> tokio_rustls::TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("testdata/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

pub(super) async fn serve<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static>(
    stream: S,
    h2: bool,
    handler: Handler,
) {
    let service = service_fn(move |request| std::future::ready(Ok::<_, Infallible>(handler(request))));
    let io = TokioIo::new(stream);
    if h2 {
        let _ = hyper::server::conn::http2::Builder::new(Local).serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

pub(super) fn connector(connect_ms: u64) -> Arc<Connector> {
    let extra_ca = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/src/connector/testdata/ca.pem").into());
    let limits = NodeLimits { egress_connect_ms: connect_ms, ..Default::default() };
    Connector::new(ConnectorOptions { extra_ca, ..ConnectorOptions::from(&limits) })
}

pub(super) fn allow() -> Check {
    Arc::new(|_| Ok(()))
}

fn deny() -> Check {
    Arc::new(|address| Err(format!("{address} is not for you")))
}

fn get(url: String) -> Outgoing {
    Outgoing { method: Method::GET, url: Url::parse(&url).unwrap(), headers: HeaderMap::new(), body: Body::empty() }
}

pub(super) async fn text(response: http::Response<Body>) -> String {
    String::from_utf8(response.into_body().collect(1 << 20).await.unwrap().to_vec()).unwrap()
}

#[test]
fn a_connection_is_used_again_and_its_fields_stay_on_it() {
    run(async {
        let origin = origin(None, Rc::new(echo)).await;
        let connector = connector(5000);
        for _ in 0..3 {
            let url = format!("http://user:pw@{}/a?b", origin.address);
            let response = connector.exchange(get(url), allow()).await.unwrap();
            assert!(!response.headers().contains_key("keep-alive"));
            assert_eq!(text(response).await, format!("HTTP/1.1 /a {}", origin.address));
            tokio::task::yield_now().await;
        }
        assert_eq!(origin.connections.get(), 1);
    });
}

#[test]
fn every_address_is_judged_and_a_pooled_connection_again() {
    run(async {
        let origin = origin(None, Rc::new(echo)).await;
        let connector = connector(5000);
        let url = format!("http://localhost:{}/", origin.address.port());
        let judged = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = judged.clone();
        let note: Check = Arc::new(move |address| {
            log.lock().unwrap().push(address);
            Ok(())
        });
        let error = connector.exchange(get(url.clone()), deny()).await.unwrap_err();
        assert_eq!(error.code().name, "egress_denied");
        assert_eq!(origin.connections.get(), 0, "nothing was sent to an address that was not judged well");
        text(connector.exchange(get(url.clone()), note).await.unwrap()).await;
        assert!(judged.lock().unwrap().contains(&origin.address.ip()));
        tokio::task::yield_now().await;
        let error = connector.exchange(get(url.clone()), deny()).await.unwrap_err();
        assert_eq!(error.code().name, "egress_denied", "the pool is no way around");
        text(connector.exchange(get(url), allow()).await.unwrap()).await;
        assert_eq!(origin.connections.get(), 1, "the connection stayed for those who may");
    });
}

#[test]
fn https_speaks_what_the_server_chooses() {
    run(async {
        let connector = connector(5000);
        let one = origin(Some(b"http/1.1"), Rc::new(echo)).await;
        let two = origin(Some(b"h2"), Rc::new(echo)).await;
        for (origin, version) in [(&one, "HTTP/1.1"), (&two, "HTTP/2.0")] {
            for _ in 0..2 {
                let authority = format!("localhost:{}", origin.address.port());
                let response = connector.exchange(get(format!("https://{authority}/x")), allow()).await.unwrap();
                assert_eq!(text(response).await, format!("{version} /x {authority}"));
                tokio::task::yield_now().await;
            }
            assert_eq!(origin.connections.get(), 1);
        }
    });
}

#[test]
fn each_failure_has_its_code() {
    run(async {
        let connector = connector(100);
        let code = async |url: String| connector.exchange(get(url), allow()).await.unwrap_err();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = code(format!("http://{free}/")).await;
        assert_eq!(error.code().name, "upstream_unreachable");
        assert!(error.to_string().starts_with(&format!("can't reach {free}: {free}: ")), "{error}");
        assert_eq!(code("http://no-such-name.invalid/".into()).await.code().name, "upstream_unreachable");

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let error = code(format!("https://localhost:{port}/")).await;
        assert_eq!(error.code().name, "upstream_timeout");
        assert_eq!(
            error.to_string(),
            format!("connecting to localhost:{port} took longer than 100 ms (egress_connect_ms)")
        );

        let connector = self::connector(5000);
        let code = async |url: String| connector.exchange(get(url), allow()).await.unwrap_err();
        let plain = origin(None, Rc::new(echo)).await;
        let error = code(format!("https://{}/", plain.address)).await;
        assert_eq!(error.code().name, "upstream_tls", "{error}");
        let stranger = origin(Some(b"h2"), Rc::new(echo)).await;
        let error = code(format!("https://127.0.0.2:{}/", stranger.address.port())).await;
        assert_eq!(error.code().name, "upstream_unreachable", "nobody listens there: {error}");
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    run(async {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = acceptor(b"http/1.1");
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = accept.accept(stream).await;
        });
        let error = connector(5000).exchange(get(format!("https://{address}/")), allow()).await.unwrap_err();
        assert_eq!(error.code().name, "upstream_tls");
        assert!(error.to_string().contains("certificate"), "{error}");
    });
}

#[test]
fn a_server_that_breaks_the_protocol_is_an_error_and_nothing_is_repeated() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Rc::new(Cell::new(0));
        let count = served.clone();
        tokio::task::spawn_local(async move {
            loop {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let (mut stream, _) = listener.accept().await.unwrap();
                count.set(count.get() + 1);
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"nonsense\r\n\r\n").await;
            }
        });
        let error = connector(5000).exchange(get(format!("http://{address}/")), allow()).await.unwrap_err();
        assert_eq!(error.code().name, "upstream_protocol");
        assert_eq!(served.get(), 1);
    });
}

#[test]
fn a_pooled_connection_that_the_server_closed_costs_nothing() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            loop {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                // Says that it will go on, and does not.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        });
        let connector = connector(5000);
        for _ in 0..5 {
            let response = connector.exchange(get(format!("http://{address}/")), allow()).await.unwrap();
            assert_eq!(text(response).await, "ok");
        }
    });
}

#[test]
fn dropping_the_response_ends_the_exchange() {
    run(async {
        for alpn in [None, Some(&b"h2"[..])] {
            let (sender, body) = http_body_util::channel::Channel::<bytes::Bytes, base::BodyError>::new(1);
            let body = RefCell::new(Some(Body::stream(body)));
            let origin = origin(alpn, Rc::new(move |_| http::Response::new(body.take().unwrap()))).await;
            let scheme = if alpn.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://localhost:{}/", origin.address.port());
            let mut sender = sender;
            let response = connector(5000).exchange(get(url), allow()).await.unwrap();
            sender.send_data(bytes::Bytes::from_static(b"first")).await.unwrap();
            let mut body = response.into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
            drop(body);
            // Once the server notices, nothing more can be sent.
            while sender.send_data(bytes::Bytes::from_static(b"more")).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn hop_by_hop_fields_are_removed() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "x-mine, close"),
        ("x-mine", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
        ("host", "h"),
        ("x-kept", "1"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    strip_hop_by_hop(&mut headers);
    let mut left: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["host", "x-kept"]);
}

#[test]
fn a_name_belongs_to_a_connection_in_whatever_case() {
    for name in &super::HOP_BY_HOP {
        assert!(super::is_hop_by_hop(name.as_str().as_bytes()), "{name}");
        assert!(super::is_hop_by_hop(name.as_str().to_ascii_uppercase().as_bytes()), "{name}");
    }
    assert!(
        ["", "ab", "expires", "user-agent", "x-forwarded-host", "proxy-authorizations"]
            .iter()
            .all(|name| !super::is_hop_by_hop(name.as_bytes()))
    );
}

#[test]
fn a_stream_is_sent_while_it_is_made() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes, base::BodyError>::new(1);
        let request = Outgoing { method: Method::POST, body: Body::stream(body), ..get(format!("http://{address}/")) };
        let exchange = tokio::task::spawn_local(async move { connector(5000).exchange(request, allow()).await });
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        for piece in ["one", "two"] {
            use tokio::io::AsyncReadExt as _;
            sender.send_data(bytes::Bytes::from_static(piece.as_bytes())).await.unwrap();
            while !String::from_utf8_lossy(&bytes).contains(piece) {
                stream.read_buf(&mut bytes).await.unwrap();
            }
        }
        exchange.abort();
    });
}
