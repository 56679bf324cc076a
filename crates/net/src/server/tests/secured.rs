//! TLS as clients meet it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme};
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::fixture::{self, Authority, NOW, Years};
use crate::tls::{ClientRule, LocalCa, Reason, Source, Tls};

const GOOD: Years = (2020, 2045);

pub(super) fn reception(tls: &Arc<Tls>) -> Reception {
    Reception { tls: Some(tls.clone()), ..Reception::default() }
}

pub(super) async fn shake(
    node: &Node,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(config.clone()).connect(name, node.connect().await).await
}

/// The answer to a request, to the end of the connection; empty if there was none.
async fn ask(stream: &mut TlsStream<TcpStream>, host: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let _ = stream.read_to_end(&mut answer).await;
    }
    String::from_utf8(answer).unwrap()
}

pub(super) fn two_hosts() -> (Authority, Arc<Tls>) {
    let ca = Authority::new("ca");
    ca.write("a", &["a.example", "*.a.example"], GOOD);
    ca.write("b", &["b.example"], GOOD);
    let tls = fixture::open(vec![ca.source("a"), ca.source("b")]).unwrap();
    (ca, tls)
}

#[test]
fn each_host_has_its_certificate_and_both_protocols_their_name() {
    let (ca, tls) = two_hosts();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let mut config = ca.client(None);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        for name in ["a.example", "www.a.example", "b.example"] {
            let stream = shake(&node, &config, name).await.expect(name);
            let connection = stream.get_ref().1;
            assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            let group = connection.negotiated_key_exchange_group().unwrap();
            assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
        }
        assert!(shake(&node, &config, "other.example").await.is_err(), "the first certificate is not for it");
        let plain = Arc::new(ca.client(None));
        let answer = ask(&mut shake(&node, &plain, "a.example").await.unwrap(), "a.example", "/secured").await;
        for part in ["version: \"TLSv1.3\"", "cipher: \"TLS_AES", "server_name: Some(\"a.example\")", "resumed: false"]
        {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        let mut strange = ca.client(None);
        strange.alpn_protocols = vec![b"spdy/3".to_vec()];
        assert!(shake(&node, &Arc::new(strange), "a.example").await.is_err(), "no protocol in common");
    });
}

#[test]
fn http2_is_served_with_large_answers() {
    let (ca, tls) = two_hosts();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let mut config = ca.client(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = shake(&node, &Arc::new(config), "a.example").await.unwrap();
        let executor = OnThisCore;
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::task::spawn_local(connection);
        let uri = "https://a.example/large";
        let request = http::Request::get(uri).body(Body::empty()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 32 << 20);
    });
}

#[derive(Clone, Copy)]
struct OnThisCore;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisCore {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

#[test]
fn sessions_are_resumed_in_both_versions_and_across_a_reload() {
    let (ca, tls) = two_hosts();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let (mut full, mut resumed) = (0, 0);
        for versions in [[&rustls::version::TLS13], [&rustls::version::TLS12]] {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca.certificate.clone()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions).unwrap();
            let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
                let mut stream = shake(&node, &config, "a.example").await.unwrap();
                // The tickets of TLS 1.3 come with the answer.
                let answer = ask(&mut stream, "a.example", "/a").await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected), "{versions:?}");
                tls.reload(NOW).unwrap();
            }
            full += 1;
            resumed += 2;
            let counted = tls.handshakes();
            assert_eq!((counted.full, counted.resumed, counted.failed), (full, resumed, 0));
        }
    });
}

#[test]
fn a_certificate_is_replaced_while_connections_go_on() {
    let (ca, tls) = two_hosts();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let config = Arc::new(ca.client(None));
        let shown = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let mut before = shake(&node, &config, "a.example").await.unwrap();
        ca.write("a", &["a.example"], GOOD);
        tls.reload(NOW).unwrap();
        let fresh = Arc::new(ca.client(None));
        let after = shake(&node, &fresh, "a.example").await.unwrap();
        assert_ne!(shown(&before), shown(&after));
        assert!(ask(&mut before, "a.example", "/a").await.starts_with("HTTP/1.1 200"));
        std::fs::write(ca.path("a.key"), "gone").unwrap();
        tls.reload(NOW).unwrap_err();
        assert_eq!(shown(&shake(&node, &Arc::new(ca.client(None)), "a.example").await.unwrap()), shown(&after));
    });
}

/// Takes every certificate, and keeps the response that came with it.
#[derive(Debug, Default)]
struct Stapled(std::sync::Mutex<Vec<u8>>);

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        response: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = response.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[test]
fn the_response_of_the_authority_is_stapled() {
    let ca = Authority::new("ca");
    ca.write("a", &["a.example"], GOOD);
    let response = fixture::ocsp(NOW, Some(NOW + Duration::from_secs(60)), 0x80);
    std::fs::write(ca.path("a.ocsp"), &response).unwrap();
    let Source::Files { cert, key, hosts, default, .. } = ca.source("a") else { unreachable!("files") };
    let with = |name: &str| {
        let ocsp = Some(ca.path(name));
        vec![Source::Files { cert: cert.clone(), key: key.clone(), hosts: hosts.clone(), default, ocsp }]
    };
    let missing = fixture::open(with("none.ocsp")).unwrap().summary();
    assert!(missing.warnings[0].message.contains("none.ocsp does not exist"), "{missing:?}");
    let folder = vec![Source::Directory(ca.dir.path().to_owned())];
    for tls in [fixture::open(folder).unwrap(), fixture::open(with("a.ocsp")).unwrap()] {
        assert!(tls.summary().files.contains(&ca.path("a.ocsp")), "it is watched");
        with_reception(NodeLimits::default(), reception(&tls), async |node| {
            let stapled = Arc::new(Stapled::default());
            shake(&node, &Arc::new(config_with(&ca, &stapled)), "a.example").await.unwrap();
            assert_eq!(*stapled.0.lock().unwrap(), response);
            // It ends before the listener does, and the certificate goes on without it.
            let ends = Duration::from_secs(tls.summary().staple_ends_unix_s.expect("an end"));
            assert_eq!(ends, NOW + Duration::from_secs(60));
            let summary = tls.reload(ends).unwrap();
            assert!(summary.warnings[0].message.contains("a.ocsp ran out 0 hours ago"), "{summary:?}");
            assert_eq!(summary.staple_ends_unix_s, None);
            shake(&node, &Arc::new(config_with(&ca, &stapled)), "a.example").await.unwrap();
            assert_eq!(*stapled.0.lock().unwrap(), b"");
        });
    }
}

#[test]
fn an_answer_that_is_not_to_be_stapled_is_told_of_and_left_out() {
    let ca = Authority::new("ca");
    ca.write("a", &["a.example"], GOOD);
    let hour = Duration::from_secs(3_600);
    for (response, said) in [
        (b"what the authority says".to_vec(), "is no answer of an authority"),
        (fixture::ocsp(NOW + hour, None, 0x80), "is not valid yet"),
        (fixture::ocsp(NOW - 3 * hour, Some(NOW - 2 * hour), 0x80), "ran out 2 hours ago"),
        (fixture::ocsp(NOW, None, 0xa1), "says that the certificate is revoked"),
    ] {
        std::fs::write(ca.path("a.ocsp"), &response).unwrap();
        let tls = fixture::open(vec![Source::Directory(ca.dir.path().to_owned())]).unwrap();
        let summary = tls.summary();
        assert!(summary.warnings[0].message.contains(said), "{said}: {summary:?}");
        assert!(summary.files.contains(&ca.path("a.ocsp")), "it is watched");
        with_reception(NodeLimits::default(), reception(&tls), async |node| {
            let stapled = Arc::new(Stapled::default());
            shake(&node, &Arc::new(config_with(&ca, &stapled)), "a.example").await.unwrap();
            assert_eq!(*stapled.0.lock().unwrap(), b"", "{said}");
        });
    }
}

fn config_with(ca: &Authority, stapled: &Arc<Stapled>) -> ClientConfig {
    let mut config = ca.client(None);
    config.dangerous().set_certificate_verifier(stapled.clone());
    config
}

/// Hosts `admin.a.example` and `open.a.example`; the first wants a certificate.
fn guarded(required: bool) -> (Authority, Authority, Arc<Tls>) {
    let (ca, staff) = (Authority::new("ca"), Authority::new("staff"));
    ca.write("a", &["a.example", "*.a.example"], GOOD);
    let mut options = fixture::options(vec![ca.source("a")]);
    options.clients =
        vec![ClientRule { hosts: vec!["admin.a.example".to_owned()], ca: staff.path("ca.pem"), required }];
    let tls = Tls::open(options, NOW).unwrap();
    (ca, staff, tls)
}

#[test]
fn a_host_asks_for_certificates_of_its_own_clients() {
    let (ca, staff, tls) = guarded(true);
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let member = Arc::new(ca.client(Some(staff.sign(&["member"], GOOD))));
        let answer =
            ask(&mut shake(&node, &member, "admin.a.example").await.unwrap(), "admin.a.example", "/secured").await;
        assert!(answer.contains("client: Some(ClientCertificate { sha256: \""), "{answer}");
        // In TLS 1.3 the client learns of its refusal when it reads.
        for (what, own) in [
            ("no certificate", None),
            ("one of another authority", Some(ca.sign(&["member"], GOOD))),
            ("one that expired", Some(staff.sign(&["member"], (2000, 2001)))),
        ] {
            let stranger = Arc::new(ca.client(own));
            let answer = match shake(&node, &stranger, "admin.a.example").await {
                Ok(mut stream) => ask(&mut stream, "admin.a.example", "/a").await,
                Err(_) => String::new(),
            };
            assert_eq!(answer, "", "{what}");
            let open = ask(&mut shake(&node, &stranger, "open.a.example").await.unwrap(), "open.a.example", "/a").await;
            assert!(open.starts_with("HTTP/1.1 200"), "{what}: {open}");
        }
        let counted = [Reason::NoClientCertificate, Reason::BadClientCertificate].map(|reason| tls.failures(reason));
        assert_eq!(counted, [1, 2], "by reason");
        assert_eq!(node.seen.borrow().iter().filter(|line| line.contains("admin")).count(), 0, "{:?}", node.seen);
    });
}

#[test]
fn a_connection_for_one_host_does_not_reach_another_that_asks_for_more() {
    let (ca, staff, tls) = guarded(true);
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let stranger = Arc::new(ca.client(None));
        for host in ["admin.a.example", "ADMIN.a.example", "admin.a.example.", "admin.a.example:443"] {
            let mut stream = shake(&node, &stranger, "open.a.example").await.unwrap();
            let answer = ask(&mut stream, host, "/a").await;
            assert!(answer.starts_with("HTTP/1.1 421 "), "{host}: {answer}");
            assert!(answer.contains("\"code\":\"misdirected\""), "{answer}");
        }
        // Nor does a session of one become one of the other.
        let member = Arc::new(ca.client(Some(staff.sign(&["member"], GOOD))));
        for _ in 0..2 {
            let mut stream = shake(&node, &member, "admin.a.example").await.unwrap();
            assert!(ask(&mut stream, "admin.a.example", "/a").await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(tls.handshakes().resumed, 1 + 3, "each with its own");
    });
}

#[test]
fn an_authority_that_is_replaced_takes_its_sessions_along() {
    let (ca, staff, tls) = guarded(true);
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let member = Arc::new(ca.client(Some(staff.sign(&["member"], GOOD))));
        let mut stream = shake(&node, &member, "admin.a.example").await.unwrap();
        assert!(ask(&mut stream, "admin.a.example", "/a").await.starts_with("HTTP/1.1 200"));
        let successor = Authority::new("successor");
        std::fs::copy(successor.path("ca.pem"), staff.path("ca.pem")).unwrap();
        tls.reload(NOW).unwrap();
        let answer = match shake(&node, &member, "admin.a.example").await {
            Ok(mut stream) => ask(&mut stream, "admin.a.example", "/a").await,
            Err(_) => String::new(),
        };
        assert_eq!(answer, "", "the old authority's clients are strangers now");
    });
}

#[test]
fn a_certificate_may_be_asked_for_without_being_required() {
    let (ca, staff, tls) = guarded(false);
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        for (own, wanted) in [(None, "client: None"), (Some(staff.sign(&["m"], GOOD)), "client: Some(")] {
            let client = Arc::new(ca.client(own));
            let mut stream = shake(&node, &client, "admin.a.example").await.unwrap();
            let answer = ask(&mut stream, "admin.a.example", "/secured").await;
            assert!(answer.contains(wanted), "{answer}");
        }
    });
}

#[test]
fn who_speaks_in_the_clear_is_told_so() {
    let (_ca, tls) = two_hosts();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let answer = node.exchange(GET.as_bytes()).await;
        is_problem(&answer, 400, "tls_required", "the request came in the clear");
        for nonsense in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x00\x00\x00\x00", b"\x80\x2e\x01\x00\x02", &[0x16; 3000]]
        {
            // An alert at most.
            let mut stream = node.connect().await;
            stream.write_all(nonsense).await.unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
            assert!(bytes.len() < 16, "{bytes:?}");
        }
        assert!(node.seen.borrow().is_empty());
    });
}

#[test]
fn a_client_that_does_not_finish_its_handshake_is_not_waited_for() {
    let (_ca, tls) = two_hosts();
    let limits = NodeLimits { tls_handshake_ms: 50, ..NodeLimits::default() };
    with_reception(limits, reception(&tls), async |node| {
        assert_eq!(node.exchange(b"").await, "");
        assert_eq!(node.exchange(b"\x16\x03\x01\x02\x00\x01").await, "");
        let idle = node.connect().await;
        node.stop();
        assert_eq!(node.drained().await, 0, "a drain waits for no handshake");
        drop(idle);
    });
}

#[test]
fn tls_13_can_be_all_there_is() {
    let ca = Authority::new("ca");
    ca.write("a", &["a.example"], GOOD);
    let mut options = fixture::options(vec![ca.source("a")]);
    options.only_tls13 = true;
    let tls = Tls::open(options, NOW).unwrap();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]);
        let old = Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth());
        assert!(shake(&node, &old, "a.example").await.is_err());
        assert!(shake(&node, &Arc::new(ca.client(None)), "a.example").await.is_ok());
    });
}

#[test]
fn the_local_authority_serves_names_below_localhost() {
    let clock: Arc<dyn base::Clock> = Arc::new(base::SystemClock::default());
    let fresh = LocalCa::make(&*clock).unwrap();
    let ca = LocalCa::open(&fresh.certificate_pem, &fresh.key_pem, &[], 8, clock).unwrap();
    let tls = fixture::open(vec![Source::Local(ca)]).unwrap();
    with_reception(NodeLimits::default(), reception(&tls), async |node| {
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(fresh.certificate_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        for name in ["localhost", "app.localhost", "127.0.0.1", "::1"] {
            let mut stream = shake(&node, &client, name).await.expect(name);
            assert!(ask(&mut stream, "localhost", "/a").await.starts_with("HTTP/1.1 200"), "{name}");
        }
        assert!(shake(&node, &client, "example.com").await.is_err());
    });
}
