//! A request as it leaves this crate, and its body.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::ServerLimits;
use crate::chunked::Malformed;
use crate::head::Refusal;
use crate::interim::Interim;
use crate::target::{self, Paths, split_port};
use crate::tls::Secured;

/// A normalised request.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub path_and_query: PathAndQuery,
    /// Host and port as the client named them, in lower case; the `host` field says the same.
    pub authority: HeaderValue,
    pub headers: HeaderMap,
    /// Ends with `request_timeout` if the client pauses or dawdles, `bad_request` if it breaks the
    /// framing, `client_gone` if it leaves.
    pub body: Body,
    pub peer: SocketAddr,
    pub protocol: Protocol,
    /// The number of the listener that it came by.
    pub listener: usize,
    /// Present under TLS.
    pub secured: Option<Arc<Secured>>,
    /// The client asks for a WebSocket, with a handshake that is in order. An answer of status 101
    /// that brings an end of a socket ([`base::socket::Upgrade`]) opens it.
    pub upgrade: bool,
    /// Where interim answers go; `None` where there can be none.
    pub interim: Option<Interim>,
    /// Of a proxy in front whose word is taken; this crate takes nobody's.
    pub believed: Option<Box<Believed>>,
}

/// What a proxy in front says of the request that it passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    /// Who asked the first proxy that is believed.
    pub client: IpAddr,
    /// Of the URL that was asked for there; `None` if nothing was said.
    pub scheme: Option<&'static str>,
    /// Its host and port, normal; `None` if nothing was said.
    pub authority: Option<HeaderValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
    Http3,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
            Protocol::Http3 => "HTTP/3",
        }
    }
}

impl Request {
    /// A request that came by no connection, as one that did would be.
    pub fn made(
        (method, url): (Method, &Uri),
        mut headers: HeaderMap,
        body: Body,
        peer: SocketAddr,
    ) -> Result<Self, Refusal> {
        // The URL says it, whatever the field said.
        headers.remove(http::header::HOST);
        let target = target::normalise(&method, url, &mut headers, Paths::Segments)?;
        Ok(Self {
            method,
            path_and_query: target.path_and_query,
            authority: target.authority,
            headers,
            body,
            peer,
            protocol: Protocol::Http11,
            listener: usize::MAX,
            secured: None,
            upgrade: false,
            interim: None,
            believed: None,
        })
    }

    /// Of the URL that was asked for, as far as this end of the connection knows, or is told by whom it
    /// believes.
    pub fn scheme(&self) -> &'static str {
        let own = if self.secured.is_some() { "https" } else { "http" };
        self.believed.as_ref().and_then(|believed| believed.scheme).unwrap_or(own)
    }

    /// Who asks: the other end of the connection, or the client of the proxy there, if that is believed.
    pub fn client(&self) -> IpAddr {
        self.believed.as_ref().map_or(self.peer.ip(), |believed| believed.client)
    }

    /// The host and port that the client asked for. Another than the authority only where a proxy that is
    /// believed says so.
    pub fn asked_host(&self) -> &HeaderValue {
        self.believed.as_ref().and_then(|believed| believed.authority.as_ref()).unwrap_or(&self.authority)
    }

    /// Still percent-encoded.
    pub fn path(&self) -> &str {
        self.path_and_query.path()
    }

    pub fn authority(&self) -> &str {
        self.authority.to_str().unwrap_or_default()
    }

    /// The host without its port and without a trailing dot.
    pub fn host(&self) -> &str {
        let (host, _) = split_port(self.authority());
        host.strip_suffix('.').unwrap_or(host)
    }
}

/// How long a body may take before its average rate counts.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// The body of a request while it arrives. Only time spent waiting for the client counts against
/// it; a slow reader on our side does not.
pub(crate) struct RequestBody<B: http_body::Body> {
    incoming: B,
    /// What an error of its connection means.
    reason: fn(&B::Error) -> BodyError,
    idle: Duration,
    bytes_per_s_min: u64,
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl RequestBody<Incoming> {
    pub fn wrap(incoming: Incoming, limits: &ServerLimits) -> Body {
        if incoming.is_end_stream() { Body::empty() } else { Body::stream(Self::new(incoming, reason, limits)) }
    }
}

impl<B: http_body::Body> RequestBody<B> {
    pub fn new(incoming: B, reason: fn(&B::Error) -> BodyError, limits: &ServerLimits) -> Self {
        Self {
            incoming,
            reason,
            idle: limits.body_idle,
            bytes_per_s_min: limits.body_bytes_per_s_min,
            bytes: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: None,
            ended: false,
        }
    }

    /// When this wait has lasted too long, and why.
    fn deadline(&self, since: Instant) -> (Instant, &'static str) {
        let idle = (since + self.idle, "the client paused for longer than body_idle_ms");
        if self.bytes_per_s_min == 0 {
            return idle;
        }
        let earned = Duration::from_secs(self.bytes / self.bytes_per_s_min).max(RATE_GRACE);
        let rate = since + earned.saturating_sub(self.waited);
        if rate < idle.0 { (rate, "the body arrived more slowly than body_bytes_per_s_min") } else { idle }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let fresh = self.waiting_since.is_none();
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let (deadline, reason) = self.deadline(since);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if fresh {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| BodyError::new(&code::REQUEST_TIMEOUT, reason))
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for RequestBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            let timeout = std::task::ready!(this.poll_deadline(cx));
            this.ended = true;
            return Poll::Ready(Some(Err(timeout)));
        };
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| (this.reason)(&error));
            this.ended = frame.is_err();
            this.bytes += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
            frame
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Why hyper ended the body: the framing was broken, or the client left.
fn reason(error: &hyper::Error) -> BodyError {
    let mut source = error.source();
    while let Some(inner) = source {
        let malformed = inner.downcast_ref::<io::Error>().and_then(|e| e.get_ref()).and_then(|e| e.downcast_ref());
        if let Some(malformed) = malformed.or_else(|| inner.downcast_ref::<Malformed>()) {
            return BodyError::new(&code::BAD_REQUEST, malformed.to_string());
        }
        source = inner.source();
    }
    BodyError::gone()
}
