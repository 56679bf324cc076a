//! From a name to an HTTP connection.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use base::{Body, BodyError};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::inline::Inline;
use super::pool::{Link, Sender, Wear};
use super::{ExchangeError, Target};

/// After so long without an answer the next address is tried beside (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The least that hyper reads a head into.
const HEAD_BYTES_MIN: usize = 8 << 10;
/// So many fields hyper parses on the stack.
const HYPER_FIELDS: usize = 100;

/// What the head of a response may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadMax {
    pub bytes: usize,
    pub fields: usize,
}

impl HeadMax {
    /// A connection of HTTP/1.1 that reads no more than this.
    pub fn http1(self) -> hyper::client::conn::http1::Builder {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(self.bytes.max(HEAD_BYTES_MIN));
        if self.fields > HYPER_FIELDS {
            builder.max_headers(self.fields);
        }
        builder
    }

    /// Why a head is none that is taken, if that is why.
    pub fn refuses(self, error: &hyper::Error) -> Option<String> {
        error.is_parse_too_large().then(|| self.told("the head of its response is larger than it may be"))
    }

    /// Why a head with so many fields is none that is taken.
    pub fn counts(self, fields: usize) -> Result<(), String> {
        match fields > self.fields {
            true => Err(self.told(&format!("the head of its response has {fields} fields"))),
            false => Ok(()),
        }
    }

    fn told(self, what: &str) -> String {
        let Self { bytes, fields } = self;
        format!("{what}; at most {fields} fields (head_fields) and {bytes} bytes (head_bytes)")
    }
}

/// A stream, and the address it leads to.
pub(super) struct Dialled<S> {
    pub stream: S,
    pub address: IpAddr,
}

/// Resolves the target, has every address judged, and connects to one that passed.
pub(super) async fn dial(
    target: &Target,
    check: &(dyn Fn(IpAddr) -> Result<(), String> + Send + Sync),
) -> Result<Dialled<TcpStream>, ExchangeError> {
    let addresses = resolve(target).await;
    dial_one(target, addresses, |address| check(address.ip())).await
}

/// Connects to a socket of the file system, which is this machine.
pub(super) async fn dial_unix(target: &Target, path: &Path) -> Result<Dialled<UnixStream>, ExchangeError> {
    let stream = UnixStream::connect(path).await;
    let unreachable =
        |error: std::io::Error| ExchangeError::Unreachable { target: target.to_string(), reason: error.to_string() };
    Ok(Dialled { stream: stream.map_err(unreachable)?, address: IpAddr::V4(Ipv4Addr::LOCALHOST) })
}

/// Has every address judged, and connects to one that passed.
pub(super) async fn dial_one(
    target: &Target,
    addresses: Result<Vec<SocketAddr>, String>,
    check: impl Fn(SocketAddr) -> Result<(), String>,
) -> Result<Dialled<TcpStream>, ExchangeError> {
    let unreachable = |reason: String| ExchangeError::Unreachable { target: target.to_string(), reason };
    let addresses = addresses.map_err(unreachable)?;
    let mut denied = None;
    let allowed: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| check(*address).map_err(|reason| denied = Some(reason)).is_ok())
        .collect();
    if allowed.is_empty() {
        return Err(match denied {
            Some(reason) => ExchangeError::Denied(reason),
            None => unreachable("the name has no address".to_owned()),
        });
    }
    connect_any(allowed).await.map_err(unreachable)
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = target.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, target.port)]);
    }
    // The system's resolver, on a thread that may block.
    let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
    Ok(found.map_err(|error| error.to_string())?.collect())
}

/// The first that answers wins.
async fn connect_any(addresses: Vec<SocketAddr>) -> Result<Dialled<TcpStream>, String> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = String::new();
    let attempt = |address: SocketAddr| async move {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
        let _ = stream.set_nodelay(true);
        Ok::<_, String>(Dialled { stream, address: address.ip() })
    };
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(attempt(address));
        } else if attempts.is_empty() {
            return Err(last);
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(dialled) => return Ok(dialled),
                Err(reason) => last = reason,
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

/// Who drives a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// A task of this thread's runtime.
    Task { h2: bool },
    /// Who asks, over HTTP/1.1.
    Asker,
}

/// Begins HTTP on a stream.
pub(super) async fn handshake<S>(
    dialled: Dialled<S>,
    driver: Driver,
    target: &Target,
    head: HeadMax,
) -> Result<Link, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let protocol = |error: hyper::Error| ExchangeError::Protocol { target: target.to_string(), reason: chain(&error) };
    let sender = match driver {
        Driver::Asker => Sender::Inline(Box::new(Inline::new(Box::new(dialled.stream), head))),
        Driver::Task { h2: true } => {
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
            builder.max_header_list_size(u32::try_from(head.bytes).unwrap_or(u32::MAX));
            let io = TokioIo::new(dialled.stream);
            let (sender, connection) = builder.handshake::<_, Body>(io).await.map_err(protocol)?;
            tokio::spawn(async move { drop(connection.await) });
            Sender::H2(sender)
        }
        Driver::Task { h2: false } => {
            let builder = head.http1();
            let io = TokioIo::new(dialled.stream);
            let (sender, connection) = builder.handshake::<_, Body>(io).await.map_err(protocol)?;
            tokio::spawn(async move { drop(connection.await) });
            Sender::H1(sender)
        }
    };
    Ok(Link { sender, address: dialled.address, wear: Wear::new() })
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Whether the server says that it did nothing with the request.
pub(super) fn is_refused(error: &hyper::Error) -> bool {
    cause::<h2::Error>(error).is_some_and(|h2| h2.is_remote() && h2.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// The error of the request's own body, if that was it.
pub(super) fn of_request(error: &hyper::Error) -> Option<BodyError> {
    cause::<BodyError>(error).cloned()
}

fn cause<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}
