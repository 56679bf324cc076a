//! One server that is known beforehand: a target of an upstream. It has its own connections, its own way
//! to be sure whom it talks to, and a time for each phase of an exchange.
//!
//! New connections go where its name leads at the time, and kept ones are used while it still leads there
//! (`names`); an age of connections (`Reuse::age`) bounds how long one is used at all.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::{Body, Secret, SocketOptions};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::bare::Exchange;
use super::dial::{self, Dialled, Driver, HeadMax};
use super::inline::ByHand;
use super::names::Names;
use super::phase::{Phase, Phases, tell};
use super::plain::{PlainRequest, Reply};
use super::pool::{Lease, Link, Pool, Reuse, Sender, Sent, Spot, Unsent};
use super::upgrade::Stream;
use super::{Check, Connector, ExchangeError, Target, strip_hop_by_hop, target, tls};
use crate::interim::Interim;

mod sent;

/// How long each phase of an exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct PeerTimes {
    /// Resolving and connecting.
    pub connect: Duration,
    pub tls: Duration,
    /// From the end of the request to the head of the response.
    pub first_byte: Duration,
}

/// How to talk to a server.
pub struct PeerOptions {
    /// `http` or `https`, a host, a port.
    pub url: Url,
    /// The socket of the file system where it listens; then the URL says only how it is asked.
    pub unix: Option<PathBuf>,
    /// HTTP/2 from the first byte, without TLS.
    pub h2c: bool,
    /// Judges each address once, when a connection to it is opened.
    pub check: Check,
    /// The host is the name of a service: its SRV records name servers and ports, each of which this judges.
    pub srv: Option<SocketCheck>,
    pub host: HostAsked,
    pub times: PeerTimes,
    pub head_bytes: usize,
    pub head_fields: usize,
    pub idle: Duration,
    /// Unused connections kept, on one core, beside those that were used just now.
    pub idle_per_core: usize,
    /// How old a connection may be, and how many requests it may have had, that takes another one.
    pub age: Option<Duration>,
    pub requests: Option<u64>,
    /// Authorities in PEM; those of the system if there are none.
    pub ca: Option<String>,
    /// The name that its certificate is for, if it is not the host.
    pub server_name: Option<String>,
    /// The certificate that is shown to it, and its key, in PEM.
    pub certificate: Option<Secret<String>>,
}

/// Which host a server is asked for: what its `Host` field says, or its `:authority`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostAsked {
    /// Its own.
    #[default]
    Target,
    /// What the request's own `Host` names, as of a server that has the same sites.
    Request,
    /// Always this one, with its port if it has one.
    Named(String),
}

/// Judges a server that a service's name led to; the text of an error is why not.
pub type SocketCheck = Arc<dyn Fn(SocketAddr) -> Result<(), String> + Send + Sync>;

/// Why an exchange gave no response, and the body of the request if none of it was asked for.
pub struct Undone {
    pub error: ExchangeError,
    pub body: Option<Body>,
}

/// Who hears of an exchange before there is an answer.
#[derive(Default)]
pub struct Telling {
    /// What the server says before its answer (over HTTP/1.1).
    pub interim: Option<Interim>,
    pub phases: Option<Phases>,
}

/// A server.
pub struct Peer {
    connector: Arc<Connector>,
    options: PeerOptions,
    target: Arc<Target>,
    /// Where its connections are kept.
    spot: Spot,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    pool: Arc<Pool>,
    tls: OnceCell<Arc<ClientConfig>>,
    /// `None` for an address, and where the system's resolver is asked.
    names: Option<Arc<Names>>,
}

impl Peer {
    pub fn new(connector: Arc<Connector>, options: PeerOptions) -> Result<Arc<Self>, ExchangeError> {
        let mut target = target(&options.url)?;
        target.unix.clone_from(&options.unix);
        let wrong = |reason: String| ExchangeError::Unreachable { target: target.to_string(), reason };
        let text = match (&options.host, &options.srv) {
            (HostAsked::Named(name), _) => name,
            (_, Some(_)) => domain_of(&target.host),
            (_, None) => &options.url[url::Position::BeforeHost..url::Position::AfterPort],
        };
        let authority = Authority::try_from(text).map_err(|error| wrong(error.to_string()))?;
        let host = HeaderValue::try_from(text).map_err(|error| wrong(error.to_string()))?;
        let pool = Pool::new(Reuse {
            idle: options.idle,
            per_target: options.idle_per_core,
            age: options.age,
            requests: options.requests,
        });
        let is_name = target.unix.is_none() && target.host.parse::<IpAddr>().is_err();
        let resolver = connector.options.resolver.clone().filter(|_| is_name);
        let names = resolver.map(|resolver| Names::new(resolver, target.clone(), options.srv.is_some()));
        let target = Arc::new(target);
        let scheme = if target.https { Scheme::HTTPS } else { Scheme::HTTP };
        let spot = pool.spot(target.clone());
        Ok(Arc::new(Self {
            connector,
            options,
            target,
            spot,
            scheme,
            authority,
            host,
            pool,
            tls: OnceCell::new(),
            names,
        }))
    }

    /// Sends a request and waits for the head of the response. Fields that belong to a connection are
    /// removed from both.
    pub async fn exchange(
        &self,
        method: Method,
        path_and_query: PathAndQuery,
        headers: HeaderMap,
        body: Body,
    ) -> Result<http::Response<Body>, Undone> {
        self.exchange_telling(method, path_and_query, headers, body, Telling::default()).await
    }

    /// The same, and tells what happens before there is an answer.
    pub async fn exchange_telling(
        &self,
        method: Method,
        path_and_query: PathAndQuery,
        headers: HeaderMap,
        body: Body,
        telling: Telling,
    ) -> Result<http::Response<Body>, Undone> {
        let Telling { interim, phases } = telling;
        let gone = |error| Undone { error, body: None };
        let at_hand = body.whole().is_some();
        let mut request = self.request(method, path_and_query, headers, body).map_err(gone)?;
        if let Some(interim) = interim {
            hyper::ext::on_informational(&mut request, move |head| interim.pass(head.status(), head.headers()));
        }
        let taken = || {
            let mut nobody = Context::from_waker(Waker::noop());
            let listener = at_hand.then_some(&mut nobody);
            self.pool.take(&self.spot, &|address| self.approve(address), listener, Instant::now())
        };
        while let Some(link) = taken() {
            tell(phases.as_ref(), || Phase::Reused { address: link.address, h2: link.is_h2() });
            match self.send(link, request).await {
                Ok(response) => return Ok(response),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(gone(error)),
            }
        }
        // Boxed: most exchanges need no room for what connecting takes.
        let link = match Box::pin(self.connect(at_hand, phases.as_ref())).await {
            Ok(link) => link,
            Err(error) => return Err(Undone { error, body: Some(request.into_body()) }),
        };
        self.send(link, request).await.map_err(|(error, unsent)| match (error, unsent) {
            (ExchangeError::Protocol { target, reason }, Some(unsent)) => {
                let error = ExchangeError::Unreachable { target, reason };
                Undone { error, body: Some(unsent.into_body()) }
            }
            (error, unsent) => Undone { error, body: unsent.map(http::Request::into_body) },
        })
    }

    /// Sends a GET without a body, and waits for the answer, or for the head of the response.
    pub async fn exchange_plain(&self, request: &PlainRequest) -> Result<Reply, Undone> {
        let host = if self.options.host == HostAsked::Request { request.host() } else { self.host.as_bytes() };
        let now = Instant::now();
        let late_at = now + self.options.times.first_byte;
        let taken = |cx: &mut Context<'_>| {
            Poll::Ready(self.pool.take(&self.spot, &|address| self.approve(address), Some(cx), now))
        };
        while let Some(mut link) = poll_fn(taken).await {
            let Sender::Inline(inline) = &mut link.sender else {
                // No matter of who asks.
                self.pool.put(&self.spot, link);
                break;
            };
            link.wear.count();
            let mut exchange = Exchange::new(request.head(host, inline.room()), true);
            match poll_fn(|cx| inline.poll_by_hand(&mut exchange, Some(late_at), cx)).await {
                ByHand::Whole(answer) => {
                    inline.end(exchange);
                    self.pool.put(&self.spot, link);
                    return Ok(Reply::Plain(answer));
                }
                ByHand::Late => return Err(Undone { error: self.failed(Unsent::Late).0, body: None }),
                ByHand::Hyper => {}
            }
            // Boxed, as below.
            match Box::pin(self.pool.go_on(&self.spot, link, exchange, late_at)).await {
                Ok(response) => {
                    let response = self.tidied(response);
                    return response.map(Reply::of).map_err(|error| Undone { error, body: None });
                }
                Err(Unsent::Failed(_, Some(_))) => {}
                Err(unsent) => return Err(Undone { error: self.failed(unsent).0, body: None }),
            }
        }
        // Boxed: most exchanges need no room for connecting, nor for another protocol.
        let (target, headers) = (request.target(), request.headers());
        Box::pin(self.exchange(Method::GET, target, headers, Body::empty())).await.map(Reply::of)
    }

    /// Asks for a WebSocket, over a connection of its own.
    pub async fn upgrade(
        &self,
        path_and_query: PathAndQuery,
        headers: HeaderMap,
        options: SocketOptions,
    ) -> Result<http::Response<Body>, ExchangeError> {
        let request = self.request(Method::GET, path_and_query, headers, Body::empty())?;
        let stream: Box<dyn Stream> = if let Some(path) = &self.target.unix {
            Box::new(self.dial_unix(path).await?.stream)
        } else if self.target.https {
            let mut config = (**self.tls_config().await?).clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Box::new(self.secure(self.dial().await?, Arc::new(config)).await?.0.stream)
        } else {
            Box::new(self.dial().await?.stream)
        };
        let (limit, what) = (self.options.times.first_byte, ("the answer to the handshake", "first_byte_ms"));
        self.within(limit, what, self.connector.upgrade_on(stream, request, options, &self.target)).await
    }

    fn request(
        &self,
        method: Method,
        path_and_query: PathAndQuery,
        mut headers: HeaderMap,
        body: Body,
    ) -> Result<http::Request<Body>, ExchangeError> {
        let asked = headers.get(header::HOST).filter(|_| self.options.host == HostAsked::Request).cloned();
        let uri = self.uri(path_and_query, asked.as_ref())?;
        strip_hop_by_hop(&mut headers);
        headers.insert(header::HOST, asked.unwrap_or_else(|| self.host.clone()));
        // Servers of gRPC refuse who does not say that trailers get through; they do.
        if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        // The body says how long it is; a second opinion could only be wrong.
        headers.remove(header::CONTENT_LENGTH);
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Absolute where the connection may be one of HTTP/2, which takes the host from it.
    fn uri(&self, path_and_query: PathAndQuery, asked: Option<&HeaderValue>) -> Result<Uri, ExchangeError> {
        if !self.target.https && !self.options.h2c {
            return Ok(path_and_query.into());
        }
        let authority = match asked.map(|host| Authority::try_from(host.as_bytes())) {
            Some(Ok(authority)) => authority,
            Some(Err(_)) | None => self.authority.clone(),
        };
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(authority);
        uri.path_and_query(path_and_query)
            .build()
            .map_err(|error| ExchangeError::Unreachable { target: self.target.to_string(), reason: error.to_string() })
    }

    /// A connection for a request that is at hand, or for one whose body has to be sent meanwhile.
    async fn connect(&self, at_hand: bool, phases: Option<&Phases>) -> Result<Link, ExchangeError> {
        let (target, head) = (&self.target, self.head_max());
        let driver = |h2: bool| if at_hand && !h2 { Driver::Asker } else { Driver::Task { h2 } };
        if let Some(path) = &target.unix {
            return dial::handshake(self.dial_unix(path).await?, driver(self.options.h2c), target, head).await;
        }
        let dialled = self.dial().await?;
        tell(phases, || Phase::Connected { address: dialled.address });
        if !target.https {
            return dial::handshake(dialled, driver(self.options.h2c), target, head).await;
        }
        let config = self.tls_config().await?.clone();
        let (dialled, h2) = self.secure(dialled, config).await?;
        tell(phases, || Phase::Secured { h2 });
        dial::handshake(dialled, driver(h2), target, head).await
    }

    fn head_max(&self) -> HeadMax {
        HeadMax { bytes: self.options.head_bytes, fields: self.options.head_fields }
    }

    async fn dial_unix(&self, path: &Path) -> Result<Dialled<tokio::net::UnixStream>, ExchangeError> {
        let dialling = dial::dial_unix(&self.target, path);
        self.within(self.options.times.connect, ("connecting", "connect_ms"), dialling).await
    }

    async fn dial(&self) -> Result<Dialled<tokio::net::TcpStream>, ExchangeError> {
        let (target, check) = (&self.target, &self.options.check);
        let dialling = async {
            match (&self.names, &self.options.srv) {
                (Some(names), None) => {
                    let addresses = names.resolve().await;
                    dial::dial_one(target, addresses, |address| check(address.ip())).await
                }
                (Some(names), Some(check)) => dial::dial_one(target, names.resolve().await, &**check).await,
                (None, None) => dial::dial(target, &**check).await,
                (None, Some(_)) => Err(ExchangeError::Unreachable {
                    target: target.to_string(),
                    reason: "nobody is there to be asked for SRV records".to_owned(),
                }),
            }
        };
        self.within(self.options.times.connect, ("connecting", "connect_ms"), dialling).await
    }

    /// Whether a connection that is kept may be used again. Where it leads was judged when it was opened, and this
    /// server has one judge, who says the same of an address each time.
    fn approve(&self, address: IpAddr) -> Result<(), String> {
        self.names.as_ref().map_or(Ok(()), |names| names.approve(address))
    }

    async fn secure(
        &self,
        dialled: Dialled<tokio::net::TcpStream>,
        config: Arc<ClientConfig>,
    ) -> Result<(Dialled<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>, bool), ExchangeError> {
        let name = self.options.server_name.as_deref().unwrap_or(&self.target.host);
        let securing = tls::wrap(dialled, config, &self.target, name);
        self.within(self.options.times.tls, ("the TLS handshake", "tls_ms"), securing).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        (phase, name): (&'static str, &'static str),
        work: impl Future<Output = Result<T, ExchangeError>>,
    ) -> Result<T, ExchangeError> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(self.timed_out(limit, phase, name)))
    }

    fn timed_out(&self, limit: Duration, phase: &'static str, name: &'static str) -> ExchangeError {
        ExchangeError::Timeout { target: self.target.to_string(), phase, ms: limit.as_millis(), limit: name }
    }

    /// Made when it is needed first.
    async fn tls_config(&self) -> Result<&Arc<ClientConfig>, ExchangeError> {
        let make = || async {
            let failed = |reason: String| ExchangeError::Tls { target: self.target.to_string(), reason };
            let trusting = match &self.options.ca {
                Some(pem) => Arc::new(tls::config_of(pem).map_err(failed)?),
                None => self.connector.tls_config(&self.target).await?,
            };
            match &self.options.certificate {
                Some(identity) => Ok(Arc::new(tls::showing(&trusting, identity.expose()).map_err(failed)?)),
                None => Ok(trusting),
            }
        };
        self.tls.get_or_try_init(make).await
    }

    /// An error comes with the request if nothing of it was sent.
    async fn send(
        &self,
        link: Link,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, (ExchangeError, Option<http::Request<Body>>)> {
        let lease = Lease::new(self.pool.clone(), self.spot.clone(), link);
        let limit = self.options.times.first_byte;
        let outcome = if lease.is_driven_by_asker() {
            lease.send(request, Some(limit)).await
        } else {
            // Boxed: most exchanges need no room for the wait for the end of a request.
            Box::pin(send_watched(lease, request, limit)).await
        };
        match outcome {
            Ok(response) => self.tidied(response).map_err(|error| (error, None)),
            Err(unsent) => Err(self.failed(unsent)),
        }
    }

    /// A response without what belongs to this connection.
    fn tidied(&self, mut response: http::Response<Body>) -> Result<http::Response<Body>, ExchangeError> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let reason = "it switched protocols, which nobody asked for".to_owned();
            return Err(ExchangeError::Protocol { target: self.target.to_string(), reason });
        }
        let counted = self.head_max().counts(response.headers().len());
        counted.map_err(|reason| ExchangeError::Protocol { target: self.target.to_string(), reason })?;
        strip_hop_by_hop(response.headers_mut());
        // Both are about this server: its version, and where else it is to be had (RFC 7838).
        response.headers_mut().remove(header::ALT_SVC);
        *response.version_mut() = Version::default();
        Ok(response)
    }

    /// Why there is no response; with the request if nothing of it was sent.
    fn failed(&self, unsent: Unsent) -> (ExchangeError, Option<http::Request<Body>>) {
        let (error, unsent) = match unsent {
            Unsent::Late => {
                let limit = self.options.times.first_byte;
                return (self.timed_out(limit, "the head of the response", "first_byte_ms"), None);
            }
            Unsent::Unclear(reason) => {
                let target = self.target.to_string();
                return (ExchangeError::Protocol { target, reason: reason.to_owned() }, None);
            }
            Unsent::Failed(error, unsent) => (error, unsent),
        };
        if let Some(body) = dial::of_request(&error) {
            return (ExchangeError::Request(body), None);
        }
        let reason = self.head_max().refuses(&error).unwrap_or_else(|| dial::chain(&error));
        let target = self.target.to_string();
        // It says so itself (RFC 9113, section 8.7).
        if dial::is_refused(&error) {
            return (ExchangeError::Unreachable { target, reason }, unsent);
        }
        (ExchangeError::Protocol { target, reason }, unsent)
    }
}

/// Sends a request and waits for the head of the response, for so long from the end of the request on.
async fn send_watched(lease: Lease, request: http::Request<Body>, limit: Duration) -> Sent {
    let (request, sent) = sent::watch(request);
    let late = async {
        sent.await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        biased;
        outcome = lease.send(request, None) => outcome,
        () = late => Err(Unsent::Late),
    }
}

/// The domain of a service's name: `_api._tcp.example.com` is one of `example.com`.
fn domain_of(service: &str) -> &str {
    let mut domain = service;
    while let Some((label, rest)) = domain.split_once('.')
        && label.starts_with('_')
    {
        domain = rest;
    }
    domain
}

#[cfg(test)]
mod tests;
