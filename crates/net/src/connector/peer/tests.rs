use std::rc::Rc;

use bytes::Bytes;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;

use super::super::tests::{allow, connector, echo, origin, run, serve, text};
use super::*;

const CA: &str = include_str!("../testdata/ca.pem");

fn options(url: &str) -> PeerOptions {
    let long = Duration::from_secs(30);
    PeerOptions {
        host: HostAsked::Target,
        srv: None,
        url: Url::parse(url).expect("a URL"),
        h2c: false,
        check: allow(),
        times: PeerTimes { connect: long, tls: long, first_byte: long },
        head_bytes: 64 << 10,
        head_fields: 256,
        unix: None,
        idle: long,
        idle_per_core: 8,
        age: None,
        requests: None,
        ca: Some(CA.to_owned()),
        server_name: None,
        certificate: None,
    }
}

fn peer(options: PeerOptions) -> Arc<Peer> {
    Peer::new(connector(5_000), options).expect("a peer")
}

async fn get(peer: &Peer) -> Result<http::Response<Body>, ExchangeError> {
    let asked = peer.exchange(Method::GET, PathAndQuery::from_static("/x?y"), HeaderMap::new(), Body::empty());
    asked.await.map_err(|undone| undone.error)
}

/// A listener whose connections a test holds.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = listener.local_addr().expect("its address").to_string();
    (listener, authority)
}

#[test]
fn each_phase_has_a_time_of_its_own() {
    run(async {
        let (listener, authority) = silent().await;
        let short = Duration::from_millis(20);
        let mut handshake = options(&format!("https://{authority}"));
        handshake.times.tls = short;
        let mut head = options(&format!("http://{authority}"));
        head.times.first_byte = short;
        for (options, limit) in [(handshake, "tls_ms"), (head, "first_byte_ms")] {
            let peer = peer(options);
            let (error, _held) = tokio::join!(get(&peer), async { listener.accept().await.expect("a connection") });
            let error = error.expect_err("nobody answers");
            assert_eq!(error.code().name, "upstream_timeout");
            assert!(error.to_string().contains(limit), "{error}");
        }
    });
}

#[test]
fn the_time_for_the_head_begins_when_the_request_was_sent() {
    run(async {
        let (listener, authority) = silent().await;
        let mut options = options(&format!("http://{authority}"));
        options.times.first_byte = Duration::from_millis(1);
        let peer = peer(options);
        let (sender, receiver) = tokio::sync::oneshot::channel::<Bytes>();
        let body = Body::stream(Once(Some(receiver)));
        let exchange = peer.exchange(Method::POST, PathAndQuery::from_static("/"), HeaderMap::new(), body);
        let serving = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            // Twenty times as long as the head may take.
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender.send(Bytes::from_static(b"late")).expect("it waits for the body");
            stream
        };
        let (error, _held) = tokio::join!(exchange, serving);
        assert!(error.err().expect("nobody answers").error.to_string().contains("first_byte_ms"));
    });
}

struct Once(Option<tokio::sync::oneshot::Receiver<Bytes>>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = base::BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, base::BodyError>>> {
        let Some(receiver) = &mut self.0 else { return std::task::Poll::Ready(None) };
        let piece = std::task::ready!(std::pin::Pin::new(receiver).poll(cx));
        self.0 = None;
        std::task::Poll::Ready(piece.ok().map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

#[test]
fn a_connection_is_left_when_it_is_worn() {
    run(async {
        let origin = origin(None, Rc::new(echo)).await;
        let mut counted = options(&format!("http://{}", origin.address));
        counted.requests = Some(2);
        let counted = peer(counted);
        for _ in 0..6 {
            text(get(&counted).await.expect("an answer")).await;
        }
        assert_eq!(origin.connections.get(), 3);
        let mut aged = options(&format!("http://{}", origin.address));
        aged.age = Some(Duration::ZERO);
        let aged = peer(aged);
        for _ in 0..2 {
            text(get(&aged).await.expect("an answer")).await;
        }
        assert_eq!(origin.connections.get(), 5);
    });
}

#[test]
fn a_server_may_speak_the_second_version_without_tls() {
    run(async {
        let (listener, authority) = silent().await;
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            serve(stream, true, Rc::new(echo)).await;
        });
        let peer = peer(PeerOptions { h2c: true, ..options(&format!("http://{authority}")) });
        for _ in 0..2 {
            assert_eq!(text(get(&peer).await.expect("an answer")).await, format!("HTTP/2.0 /x {authority}"));
        }
    });
}

#[test]
fn a_certificate_must_be_by_the_authority_and_for_the_name() {
    run(async {
        let origin = origin(Some(b"http/1.1"), Rc::new(echo)).await;
        let url = format!("https://127.0.0.1:{}", origin.address.port());
        text(get(&peer(options(&url))).await.expect("it is for this address")).await;
        let other_name = PeerOptions { server_name: Some("other.example".to_owned()), ..options(&url) };
        let system = PeerOptions { ca: Some(self_signed()), ..options(&url) };
        for options in [other_name, system] {
            let error = get(&peer(options)).await.expect_err("not trusted");
            assert_eq!(error.code().name, "upstream_tls", "{error}");
        }
    });
}

fn self_signed() -> String {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate").cert.pem()
}

#[test]
fn a_server_that_wants_to_know_who_asks_is_shown_a_certificate() {
    run(async {
        let identity = rcgen::generate_simple_self_signed(vec!["edge.example".to_owned()]).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity.cert.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let certificate = CertificateDer::from_pem_slice(include_bytes!("../testdata/server.pem")).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../testdata/server.key")).expect("PEM");
        let config = builder.expect("versions").with_client_cert_verifier(verifier.build().expect("a verifier"));
        let config = config.with_single_cert(vec![certificate], key).expect("a certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (listener, authority) = silent().await;
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, false, Rc::new(echo)).await;
                }
            }
        });
        let url = format!("https://{authority}");
        get(&peer(options(&url))).await.expect_err("it shows nothing");
        let text_of = format!("{}{}", identity.cert.pem(), identity.signing_key.serialize_pem());
        let known = peer(PeerOptions { certificate: Some(Secret::new(text_of)), ..options(&url) });
        text(get(&known).await.expect("it is known")).await;
    });
}

#[test]
fn an_expired_certificate_is_refused() {
    run(async {
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let der = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let config = builder.expect("versions").with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], der).expect("a certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (listener, authority) = silent().await;
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            drop(acceptor.accept(stream).await);
        });
        let options = PeerOptions { ca: Some(certificate.pem()), ..options(&format!("https://{authority}")) };
        let error = get(&peer(options)).await.expect_err("it is expired");
        assert!(error.code().name == "upstream_tls" && error.to_string().contains("xpired"), "{error}");
    });
}

#[test]
fn a_head_without_end_is_not_read_without_end() {
    run(async {
        let (listener, authority) = silent().await;
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            use tokio::io::AsyncWriteExt as _;
            let line = format!("x: {}\r\n", "y".repeat(1_000));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            for _ in 0..100_000 {
                if stream.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
            panic!("a hundred megabytes were read");
        });
        let error = get(&peer(options(&format!("http://{authority}")))).await.expect_err("too large");
        assert_eq!(error.code().name, "upstream_protocol", "{error}");
    });
}

/// Answers each connection's first request with a head of so many fields.
fn answer_with_fields(listener: TcpListener, fields: usize) {
    tokio::task::spawn_local(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 1024]).await;
            let mut head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n".to_owned();
            for number in 1..fields {
                head.push_str(&format!("x-{number}: {number}\r\n"));
            }
            let _ = stream.write_all(format!("{head}\r\nok").as_bytes()).await;
        }
    });
}

#[test]
fn a_head_may_have_as_many_fields_as_its_limit_says() {
    run(async {
        for (fields, max, taken) in [(200, 256, true), (256, 256, true), (257, 256, false), (60, 50, false)] {
            let (listener, authority) = silent().await;
            answer_with_fields(listener, fields);
            let mut options = options(&format!("http://{authority}"));
            options.head_fields = max;
            match get(&peer(options)).await {
                Ok(response) if taken => {
                    assert_eq!(response.headers().len(), fields);
                    assert_eq!(text(response).await, "ok");
                }
                Err(error) if !taken => {
                    assert_eq!(error.code().name, "upstream_protocol");
                    assert!(error.to_string().contains(&format!("at most {max} fields (head_fields)")), "{error}");
                }
                other => panic!("{fields} of {max}: {:?}", other.map(|response| response.headers().len())),
            }
        }
    });
}

#[test]
fn a_socket_of_the_file_system_is_asked_in_both_versions() {
    run(async {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.sock");
        let at = |h2c| PeerOptions { unix: Some(path.clone()), h2c, ..options("http://localhost") };
        let error = get(&peer(at(false))).await.expect_err("nobody is there");
        assert_eq!(error.code().name, "upstream_unreachable");
        assert!(error.to_string().contains(&format!("unix:{}", path.display())), "{error}");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        tokio::task::spawn_local(async move {
            for h2 in [false, true] {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::task::spawn_local(serve(stream, h2, Rc::new(echo)));
            }
        });
        for (h2c, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
            let peer = peer(at(h2c));
            // One connection for both.
            for _ in 0..2 {
                assert_eq!(text(get(&peer).await.expect("an answer")).await, format!("{version} /x localhost"));
            }
        }
    });
}

#[test]
fn a_body_that_nobody_asked_for_comes_back() {
    run(async {
        let (listener, authority) = silent().await;
        drop(listener);
        let (sender, receiver) = tokio::sync::oneshot::channel::<Bytes>();
        let body = Body::stream(Once(Some(receiver)));
        let peer = peer(options(&format!("http://{authority}")));
        let sent = peer.exchange(Method::POST, PathAndQuery::from_static("/"), HeaderMap::new(), body).await;
        let body = sent.err().expect("nobody is there").body.expect("it was not sent");
        sender.send(Bytes::from_static(b"whole")).expect("it is still wanted");
        assert_eq!(body.collect(100).await.expect("a body"), "whole");
    });
}
