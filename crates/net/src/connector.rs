//! Outbound requests: one exchange with one server.
//!
//! The connector resolves the name itself, lets the caller judge every address, and connects to an
//! address that was judged and no other, so that a name that resolves differently the second time
//! gains nothing. A pooled connection is judged again, by the address it leads to. It follows no
//! redirect and knows no proxy; the environment of the process plays no part.
//!
//! Connections are driven by the runtime of the thread that opened them, and pooled for that
//! thread only, so a request never waits for another core.
//!
//! **Cancellation.** Dropping the future, or the response before its body has ended, ends the
//! exchange: HTTP/1.1 closes the connection, HTTP/2 resets the stream. **Back-pressure** holds
//! both ways: a body is read as fast as the other side takes it. **Retry:** a request that a
//! pooled connection closed on before anything was sent goes out again on a new one; nothing else
//! is repeated.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::{Body, BodyError, Code, NodeLimits, code};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use url::Url;

use crate::dns::Resolver;

mod bare;
mod dial;
mod framing;
mod inline;
mod names;
mod peer;
mod phase;
mod plain;
mod pool;
mod raw;
mod resumed;
mod tls;
mod upgrade;

use dial::{Driver, HeadMax};
pub use peer::{HostAsked, Peer, PeerOptions, PeerTimes, SocketCheck, Telling, Undone};
pub use phase::{Phase, Phases};
pub use plain::{PlainAnswer, PlainRequest, Reply};
use pool::{Lease, Link, Pool, Reuse, Spot, Unsent};
pub use raw::RawStream;
pub use upgrade::Stream;

/// Judges an address that the target resolved to; the text of an error is why not.
pub type Check = Arc<dyn Fn(IpAddr) -> Result<(), String> + Send + Sync>;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectorOptions {
    /// For resolving, connecting and the TLS handshake together.
    pub connect: Duration,
    /// A PEM file of certificates to trust beside the system's.
    pub extra_ca: Option<PathBuf>,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Unused connections kept for one target, on one core, beside those that were used just now.
    pub idle_per_target: usize,
    /// Who knows the names of upstreams, and for how long; the system's resolver if there is none.
    pub resolver: Option<Arc<Resolver>>,
}

impl From<&NodeLimits> for ConnectorOptions {
    fn from(limits: &NodeLimits) -> Self {
        Self {
            connect: Duration::from_millis(limits.egress_connect_ms),
            extra_ca: None,
            resolver: None,
            // Shorter than what servers commonly keep, so that ours closes first.
            idle: Duration::from_secs(30),
            idle_per_target: 32,
        }
    }
}

/// A request to send.
#[derive(Debug)]
pub struct Outgoing {
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Body,
}

/// Why there is no response. `Display` is for the log and for the worker that asked.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("{0}")]
    Denied(String),
    #[error("can't reach {target}: {reason}")]
    Unreachable { target: String, reason: String },
    #[error("the TLS handshake with {target} failed: {reason}")]
    Tls { target: String, reason: String },
    #[error("connecting to {target} took longer than {ms} ms (egress_connect_ms)")]
    ConnectTimeout { target: String, ms: u128 },
    #[error("{target}: {phase} took longer than {ms} ms ({limit})")]
    Timeout { target: String, phase: &'static str, ms: u128, limit: &'static str },
    #[error("the request broke off: {0}")]
    Request(BodyError),
    #[error("the exchange with {target} failed: {reason}")]
    Protocol { target: String, reason: String },
}

impl ExchangeError {
    pub fn code(&self) -> Code {
        match self {
            Self::Denied(_) => &code::EGRESS_DENIED,
            Self::Unreachable { .. } => &code::UPSTREAM_UNREACHABLE,
            Self::Tls { .. } => &code::UPSTREAM_TLS,
            Self::ConnectTimeout { .. } | Self::Timeout { .. } => &code::UPSTREAM_TIMEOUT,
            Self::Request(error) => error.code,
            Self::Protocol { .. } => &code::UPSTREAM_PROTOCOL,
        }
    }

    /// Whether the server got nothing of the request.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Denied(_) | Self::Unreachable { .. } | Self::Tls { .. } | Self::ConnectTimeout { .. } => true,
            Self::Timeout { limit, .. } => matches!(*limit, "connect_ms" | "tls_ms"),
            Self::Request(_) | Self::Protocol { .. } => false,
        }
    }
}

/// The head of a response, of servers that no upstream describes.
const HEAD_MAX: HeadMax = HeadMax { bytes: 256 << 10, fields: 256 };

/// Where a request goes: what connections are pooled by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub https: bool,
    /// An address has no brackets.
    pub host: String,
    pub port: u16,
    /// The socket of the file system where it listens, whatever the host says.
    pub unix: Option<PathBuf>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(path) = &self.unix {
            write!(f, "unix:{}", path.display())
        } else if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Makes exchanges. One per node; cheap to share.
pub struct Connector {
    options: ConnectorOptions,
    pool: Arc<Pool>,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
    draining: watch::Sender<bool>,
}

impl Connector {
    pub fn new(options: ConnectorOptions) -> Arc<Self> {
        let pool =
            Pool::new(Reuse { idle: options.idle, per_target: options.idle_per_target, age: None, requests: None });
        Arc::new(Self { options, pool, tls: OnceCell::new(), draining: watch::Sender::new(false) })
    }

    /// The node stops: sockets that were opened say goodbye.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Sends a request and waits for the head of the response. Fields that belong to a connection
    /// are removed from both.
    pub async fn exchange(&self, request: Outgoing, check: Check) -> Result<http::Response<Body>, ExchangeError> {
        let target = Arc::new(target(&request.url)?);
        let mut request = prepare(request, &target)?;
        let spot = self.pool.spot(target.clone());
        while let Some(link) = self.pool.take(&spot, &*check, None, Instant::now()) {
            match self.send(link, request, &target, &spot).await {
                Ok(response) => return Ok(response),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(error),
            }
        }
        let link = self.connect(&target, &*check).await?;
        self.send(link, request, &target, &spot).await.map_err(|(error, _)| error)
    }

    async fn connect(
        &self,
        target: &Target,
        check: &(dyn Fn(IpAddr) -> Result<(), String> + Send + Sync),
    ) -> Result<Link, ExchangeError> {
        let opening = async {
            let stream = dial::dial(target, check).await?;
            if !target.https {
                return dial::handshake(stream, Driver::Task { h2: false }, target, HEAD_MAX).await;
            }
            let config = self.tls_config(target).await?;
            let (stream, h2) = tls::wrap(stream, config, target, &target.host).await?;
            dial::handshake(stream, Driver::Task { h2 }, target, HEAD_MAX).await
        };
        let ms = self.options.connect.as_millis();
        tokio::time::timeout(self.options.connect, opening)
            .await
            .unwrap_or_else(|_| Err(ExchangeError::ConnectTimeout { target: target.to_string(), ms }))
    }

    /// The trusted certificates are read when the first `https` target is asked for.
    async fn tls_config(&self, target: &Target) -> Result<Arc<rustls::ClientConfig>, ExchangeError> {
        let extra = self.options.extra_ca.clone();
        let load = || async {
            let loaded = tokio::task::spawn_blocking(move || tls::config(extra.as_deref())).await;
            loaded.unwrap_or_else(|_| Err("reading the trusted certificates failed".to_owned()))
        };
        let config = self.tls.get_or_try_init(load).await.cloned();
        config.map_err(|reason| ExchangeError::Tls { target: target.to_string(), reason })
    }

    /// An error comes with the request if nothing of it was sent.
    async fn send(
        &self,
        link: Link,
        request: http::Request<Body>,
        target: &Target,
        spot: &Spot,
    ) -> Result<http::Response<Body>, (ExchangeError, Option<http::Request<Body>>)> {
        let lease = Lease::new(self.pool.clone(), spot.clone(), link);
        match lease.send(request, None).await {
            Ok(mut response) => {
                strip_hop_by_hop(response.headers_mut());
                Ok(response)
            }
            Err(unsent) => {
                let (reason, unsent) = match unsent {
                    Unsent::Late => ("no answer".to_owned(), None),
                    Unsent::Unclear(reason) => (reason.to_owned(), None),
                    Unsent::Failed(error, unsent) => {
                        (HEAD_MAX.refuses(&error).unwrap_or_else(|| dial::chain(&error)), unsent)
                    }
                };
                Err((ExchangeError::Protocol { target: target.to_string(), reason }, unsent))
            }
        }
    }
}

fn target(url: &Url) -> Result<Target, ExchangeError> {
    let wrong = |reason: &str| ExchangeError::Unreachable { target: url.to_string(), reason: reason.to_owned() };
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(wrong("the scheme is neither http nor https")),
    };
    let host = match url.host() {
        Some(url::Host::Domain(name)) => name.to_owned(),
        Some(url::Host::Ipv4(address)) => address.to_string(),
        Some(url::Host::Ipv6(address)) => address.to_string(),
        None => return Err(wrong("the URL has no host")),
    };
    let port = url.port_or_known_default().unwrap_or(if https { 443 } else { 80 });
    Ok(Target { https, host, port, unix: None })
}

/// The request with an absolute target and a `Host` field; each protocol takes what it needs.
fn prepare(request: Outgoing, target: &Target) -> Result<http::Request<Body>, ExchangeError> {
    let wrong = |reason: String| ExchangeError::Unreachable { target: target.to_string(), reason };
    let url = &request.url;
    // Credentials in a URL are never sent: the fetch standard has removed them.
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let text =
        format!("{}://{}{}", url.scheme(), authority, &url[url::Position::BeforePath..url::Position::AfterQuery]);
    let uri = Uri::try_from(text).map_err(|error| wrong(error.to_string()))?;
    let mut headers = request.headers;
    strip_hop_by_hop(&mut headers);
    let host = HeaderValue::try_from(authority).map_err(|error| wrong(error.to_string()))?;
    headers.insert(header::HOST, host);
    // The body says how long it is; a second opinion could only be wrong.
    headers.remove(header::CONTENT_LENGTH);
    let mut out = http::Request::new(request.body);
    *out.method_mut() = request.method;
    *out.uri_mut() = uri;
    *out.headers_mut() = headers;
    *out.version_mut() = Version::HTTP_11;
    Ok(out)
}

/// The fields that belong to one connection (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [header::HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::HeaderName::from_static("keep-alive"),
    header::HeaderName::from_static("proxy-connection"),
];

/// Whether a field of this name belongs to one connection, in whatever case it is written.
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    // As the list above has them. Each name of every message is looked at, and most are none of these by their length.
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 => is("te"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}

/// Removes the fields that belong to one connection, those that `Connection` names included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have none, and looking at the names that there are costs less than eight look-ups; most
    // names are none of these by their length already.
    let may_be = |name: &header::HeaderName| matches!(name.as_str().len(), 2 | 7 | 10 | 16..=19);
    if !headers.keys().any(|name| may_be(name) && HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()))
        .collect();
    // A sender may not name away what tells others who the message is for.
    for name in named.iter().filter(|name| !name.eq_ignore_ascii_case("host")) {
        headers.remove(name.as_str());
    }
    for field in &HOP_BY_HOP {
        headers.remove(field);
    }
}

#[cfg(test)]
mod tests;
