//! The handshake of one connection, and what is known of it afterwards.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::HeaderValue;
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::refused::{Failed, Reason};
use super::{Challenges, Policies, Tls};
use crate::stream::Raw;

/// What is known of a connection under TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// By the name that IANA gives it.
    pub cipher: String,
    /// The host that the client named.
    pub server_name: Option<String>,
    /// Whether it went on with an earlier session.
    pub resumed: bool,
    /// The client's certificate, verified; `None` if it showed none, or was not asked.
    pub client: Option<ClientCertificate>,
}

/// A client's certificate whose chain was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Of its DER, in lower-case hex.
    pub sha256: String,
    /// Its DER as an item of a structured field (RFC 9440, section 2.1), made once for all requests.
    pub field: Option<HeaderValue>,
}

/// A connection after its handshake.
pub(crate) struct Shaken {
    pub stream: Box<TlsStream<Raw>>,
    pub secured: Secured,
    /// `None` if the client named no protocol.
    pub h2: Option<bool>,
    pub policies: Arc<Policies>,
    pub policy: usize,
}

/// Why there is no connection.
pub(crate) enum AcceptError {
    /// The client speaks HTTP in the clear; it can be told so.
    Plain(Raw),
    /// An authority asked whether the host is here, and was answered.
    Answered,
    Failed(Box<Failed>),
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Failed(Box::new(Failed::of(error)))
    }
}

/// The most that is read before it is clear what the client speaks; a first message of TLS with a
/// hybrid key share fits.
const FIRST_BYTES: usize = 2048;

impl Tls {
    /// Makes the handshake. Cancelled without harm; the time that it takes is the caller's to bound.
    pub(crate) async fn accept(&self, mut raw: Raw) -> Result<Shaken, AcceptError> {
        let mut first = BytesMut::with_capacity(FIRST_BYTES);
        match raw.read_buf(&mut first).await {
            // A probe that says nothing is no failed handshake.
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        // Every method of HTTP begins with a letter, a message of TLS with its type.
        let plain = first[0].is_ascii_uppercase();
        raw.unread(first.freeze());
        if plain {
            self.counts.failed.add(Reason::InTheClear);
            return Err(AcceptError::Plain(raw));
        }
        let shaken = self.shake(raw).await;
        let count = match &shaken {
            Ok(shaken) if shaken.secured.resumed => &self.counts.resumed,
            Ok(_) => &self.counts.full,
            Err(AcceptError::Answered) => return shaken,
            Err(AcceptError::Failed(failed)) => {
                self.counts.failed.add(failed.reason);
                return shaken;
            }
            Err(AcceptError::Plain(_)) => return shaken,
        };
        count.fetch_add(1, Ordering::Relaxed);
        shaken
    }

    async fn shake(&self, raw: Raw) -> Result<Shaken, AcceptError> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), raw).await?;
        let settings = self.settings();
        if let Some(challenges) = settings.challenges.as_ref().filter(|_| Challenges::is_asked(&start.client_hello())) {
            let config = challenges.config(&self.provider).map_err(io::Error::other)?;
            // The handshake itself is the answer.
            drop(start.into_stream(config).await?);
            return Err(AcceptError::Answered);
        }
        let host = start.client_hello().server_name().map(str::to_owned);
        let policy = settings.policies.of(host.as_deref().unwrap_or_default());
        let stream = match start.into_stream(settings.configs[policy].clone()).await {
            Ok(stream) => Box::new(stream),
            Err(error) => {
                let subject = settings.verifiers[policy].as_ref().and_then(|verifier| verifier.take());
                return Err(AcceptError::Failed(Box::new(Failed { host, subject, ..Failed::of(error) })));
            }
        };
        let connection = stream.get_ref().1;
        let secured = describe(connection);
        let h2 = connection.alpn_protocol().map(|protocol| protocol == b"h2");
        Ok(Shaken { secured, h2, policies: settings.policies.clone(), policy, stream })
    }
}

fn describe(connection: &ServerConnection) -> Secured {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    let client = connection.peer_certificates().and_then(|chain| chain.first());
    let client = client.map(|certificate| {
        let sum = digest(&SHA256, certificate);
        ClientCertificate {
            sha256: sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            field: HeaderValue::try_from(format!(":{}:", STANDARD.encode(certificate))).ok(),
        }
    });
    Secured {
        version,
        // rustls has a prefix of its own for the suites of TLS 1.3.
        cipher: suite.replacen("TLS13_", "TLS_", 1),
        server_name: connection.server_name().map(str::to_owned),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client,
    }
}
