//! A request that becomes a WebSocket: on HTTP/1.1 the connection changes hands when hyper is done
//! with it (RFC 6455); on HTTP/2 it is one stream among others (RFC 8441).

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use base::socket::Upgrade;
use base::{Body, SocketEnd, code};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection::Flight;
use crate::gate::{State, Upgrading};
use crate::head::Refusal;
use crate::websocket::{self, OnSocketEnd, Stop, Summary, handshake};

/// A request that asks for a WebSocket, as its protocol has it.
pub(super) enum Switching {
    Http1 { key: HeaderValue },
    Http2 { stream: OnUpgrade },
}

impl Switching {
    /// `Err(None)` if the request asks for nothing of the kind. One of HTTP/2 leaves here as the
    /// GET that it stands for.
    pub fn of(request: &mut Request<Incoming>) -> Result<Self, Option<Refusal>> {
        if request.version() != Version::HTTP_2 {
            let key = handshake::read(request.method(), request.version(), request.headers()).map_err(Some)?;
            return key.map(|key| Self::Http1 { key }).ok_or(None);
        }
        if *request.method() != Method::CONNECT {
            return Err(None);
        }
        // Without a protocol it is a plain CONNECT, and refused as such.
        let protocol = request.extensions_mut().remove::<Protocol>().ok_or(None)?;
        if !handshake::is_websocket(protocol.as_str().as_bytes()) {
            let detail = "the only protocol served by an extended CONNECT is websocket";
            return Err(Some(Refusal::new(&code::BAD_HANDSHAKE, detail)));
        }
        handshake::check_version(request.headers()).map_err(Some)?;
        let stream = request.extensions_mut().remove::<OnUpgrade>().ok_or(None)?;
        *request.method_mut() = Method::GET;
        Ok(Self::Http2 { stream })
    }

    /// The socket, if the answer brings one; the answer's head is then what the protocol wants.
    pub fn accept(self, response: &mut Response<Body>) -> Result<Accepted, Option<Refusal>> {
        let Some(end) = Upgrade::take(response) else {
            if let Self::Http2 { .. } = self
                && response.status().is_success()
            {
                // A plain success would tell the client that its socket is open.
                *response = Refusal::new(&code::INVALID_RESPONSE, "").response();
            }
            return Err(None);
        };
        let told = OnSocketEnd::take(response);
        let stream = match self {
            Self::Http1 { key } => {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                handshake::switch(response.headers_mut(), &key);
                None
            }
            Self::Http2 { stream } => {
                *response.status_mut() = StatusCode::OK;
                handshake::tidy(response.headers_mut());
                Some(stream)
            }
        };
        *response.body_mut() = Body::empty();
        Ok(Accepted { end, told, stream, flight: None })
    }
}

/// A socket whose handshake is over as soon as the answer is written.
pub(crate) struct Accepted {
    end: SocketEnd,
    told: Option<Box<dyn FnOnce(Summary) + Send>>,
    stream: Option<OnUpgrade>,
    /// Keeps the request in flight, so that its connection counts as busy.
    flight: Option<Flight>,
}

/// Starts a socket on HTTP/2; on HTTP/1.1 the connection will find it. Gives the flight back if
/// the answer is to keep it.
pub(super) fn begin(mut accepted: Accepted, flight: Flight, state: &Rc<State>) -> Option<Flight> {
    flight.complete();
    match accepted.stream.take() {
        None => {
            state.upgrade.set(Upgrading::Accepted);
            *state.accepted.borrow_mut() = Some(accepted);
            // The connection is this request's own until its end; nothing counts it any more.
            drop(flight);
        }
        Some(stream) => {
            accepted.flight = Some(flight);
            let state = state.clone();
            tokio::task::spawn_local(async move {
                match stream.await {
                    Ok(stream) => drop(serve(TokioIo::new(stream), Vec::new(), accepted, &state).await),
                    Err(error) => tracing::debug!(%error, "a stream did not become a socket"),
                }
            });
        }
    }
    None
}

/// Serves a socket to its end. Gives the connection back, and whether both sides had closed.
pub(super) async fn serve<T>(stream: T, before: Vec<u8>, accepted: Accepted, state: &Rc<State>) -> (T, bool)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Accepted { end, told, flight, .. } = accepted;
    let (stream, summary) = websocket::run(stream, before, Role::Server, end, Connection(state)).await;
    let clean = summary.ended.clean;
    if let Some(told) = told {
        told(summary);
    }
    drop(flight);
    (stream, clean)
}

/// The connection's state tells its sockets when to end.
struct Connection<'a>(&'a State);

impl Connection<'_> {
    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let mut told = pin!(self.0.sockets.notified());
            told.as_mut().enable();
            if reached(self.0) {
                return;
            }
            told.await;
        }
    }
}

impl Stop for Connection<'_> {
    fn drain(&self) -> impl Future<Output = ()> {
        self.until(|state| state.draining_since.get().is_some())
    }

    fn cut(&self) -> impl Future<Output = ()> {
        self.until(|state| state.cut.get())
    }
}
