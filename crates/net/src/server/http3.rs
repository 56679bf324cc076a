//! One connection of HTTP/3 (RFC 9114): a task for it, and one for each of its requests.
//!
//! What a connection may take, when it must end and how it is asked to are decided where they are
//! for HTTP/2 (`connection::Watch`); a request goes the same way once its head is there. What
//! differs is here: streams that end one by one, with a client who may give up either half; an end
//! in two steps (a client is told to begin nothing more, and after a moment that nothing more is
//! taken), so that what was on its way meanwhile is served; and bodies, which h3 hands out piece
//! by piece.
//!
//! There is no 0-RTT, no push, and no extended CONNECT.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::{Buf as _, Bytes};
use h3::error::{Code, StreamError};
use h3::server::{RequestResolver, RequestStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use quinn::VarInt;
use quinn::crypto::rustls::HandshakeData;
use tokio::time::Instant;

use super::Leave;
use super::arrival::{Guard, within};
use super::connection::{DRAIN_LINGER, Flight, Shared, Tracked, Watch, admit, drive};
use crate::gate::State;
use crate::head::Refusal;
use crate::interim::Line;
use crate::quic::streams::{Connection, Control, Opened, Receiving, Room, Sending, Stopped};
use crate::quic::{self, Arrival};
use crate::request::{Request, RequestBody};
use crate::tls::Secured;
use crate::{ServerLimits, strip_hop_by_hop};

/// Beyond `header_bytes`, what a head may have before it is refused in words.
const HEAD_SLACK: u64 = 64 << 10;
/// In the first step of an end, requests that are on their way are taken.
const ON_THEIR_WAY: usize = 1 << 20;
/// What one field costs beside its name and value, as on HTTP/1.1.
const FIELD_EXTRA: usize = 4;

pub(super) async fn serve<S, F>(
    arrival: Arrival,
    listener: &Arc<quic::Shared>,
    state: Rc<State>,
    leave: &mut Leave,
    service: S,
) where
    S: Fn(Request) -> F + Clone + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let server = leave.server.clone();
    let policies = listener.tls.policies();
    let Some((quic, peer)) = shake(arrival, listener, &state, &server.limits()).await else { return };
    if let Err(refused) = leave.place.claim(peer.ip()) {
        (server.on_refusal)(peer, &code::NODE_OVERLOADED, &refused.to_string());
        return close(&quic, Code::H3_EXCESSIVE_LOAD).await;
    }
    let told = quic.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let secured = Secured {
        version: "TLSv1.3",
        // quinn does not tell.
        cipher: String::new(),
        server_name: told.and_then(|data| data.server_name),
        resumed: false,
        client: None,
    };
    let date = {
        let clock = listener.clock.clone();
        move || std::time::UNIX_EPOCH + Duration::from_millis(clock.unix_ms())
    };
    let shared = Rc::new(Shared {
        peer,
        listener: listener.listener,
        secured: Some(Arc::new(secured)),
        guard: Some(Guard::new(policies, 0)),
        server: server.clone(),
        state: state.clone(),
        service: Dated { service, date: Rc::new(date) },
    });
    let closing = Cell::new(false);
    let mut watch = Watch::new(&state, server.limits(), true);
    {
        let mut running = pin!(run(&quic, &shared, &closing));
        drive(running.as_mut(), |_| closing.set(true), &mut watch, &state).await;
        if let Some(refusal) = state.refusal.take() {
            (server.on_refusal)(peer, refusal.code, &refusal.detail);
            quic.close(VarInt::from_u32(Code::H3_EXCESSIVE_LOAD.value() as u32), b"");
        }
    }
    close(&quic, Code::H3_NO_ERROR).await;
}

/// The service, and what time it is.
#[derive(Clone)]
struct Dated<S> {
    service: S,
    date: Rc<dyn Fn() -> std::time::SystemTime>,
}

/// Closes a connection, and lets its task say so.
async fn close(quic: &quinn::Connection, reason: Code) {
    quic.close(VarInt::from_u32(reason.value() as u32), b"");
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// Makes the handshake. `None` if there is no connection.
async fn shake(
    arrival: Arrival,
    listener: &quic::Shared,
    state: &State,
    limits: &ServerLimits,
) -> Option<(quinn::Connection, SocketAddr)> {
    let Arrival { incoming, handshake } = arrival;
    let peer = incoming.remote_address();
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let shaken = async {
        let connecting = incoming.accept_with(listener.config())?;
        connecting.await
    };
    let shaken = within(state, limits.tls_handshake, shaken).await;
    drop(handshake);
    listener.tls.count(matches!(shaken, Some(Ok(_))));
    match shaken? {
        Ok(quic) => Some((quic, peer)),
        Err(error) => {
            tracing::debug!(%peer, %error, "a handshake of HTTP/3 failed");
            None
        }
    }
}

/// How far a connection is with its end.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Open,
    /// The client was told to begin nothing more; what is on its way is still taken until then.
    Leaving(Instant),
    /// Nothing more is taken.
    Last,
}

impl Stage {
    /// Ends when it is time for the next.
    async fn over(self, closing: &Cell<bool>, state: &State) {
        let when = |reached: bool| if reached { Poll::Ready(()) } else { Poll::Pending };
        match self {
            Self::Open => poll_fn(|_| when(closing.get())).await,
            Self::Leaving(until) => tokio::time::sleep_until(until).await,
            Self::Last => poll_fn(|_| when(!state.is_busy())).await,
        }
    }
}

/// Takes requests until the connection ends, or has been asked to and is empty.
async fn run<S, F>(quic: &quinn::Connection, shared: &Rc<Shared<Dated<S>>>, closing: &Cell<bool>)
where
    S: Fn(Request) -> F + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let (limits, state) = (shared.server.limits(), &shared.state);
    let head_max = limits.header_bytes as u64 + HEAD_SLACK;
    let (streams, control) = Connection::new(quic, head_max);
    let mut builder = h3::server::builder();
    builder.max_field_section_size(head_max).send_grease(false);
    let Ok(mut h3) = builder.build(streams).await else { return };
    let mut stage = Stage::Open;
    loop {
        tokio::select! {
            biased;
            () = stage.over(closing, state) => stage = match stage {
                Stage::Open => {
                    // Of a client that has asked nothing yet, nothing is on its way for sure.
                    control.refusing.set(state.passed.get() == 0);
                    if h3.shutdown(ON_THEIR_WAY).await.is_err() {
                        return;
                    }
                    Stage::Leaving(Instant::now() + DRAIN_LINGER)
                }
                Stage::Leaving(_) => {
                    control.refusing.set(true);
                    if h3.shutdown(1).await.is_err() {
                        return;
                    }
                    Stage::Last
                }
                Stage::Last => return,
            },
            next = h3.accept() => match next {
                Ok(Some(resolver)) => begin(resolver, &control, shared),
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(peer = %shared.peer, %error, "a connection of HTTP/3 ended");
                    return;
                }
            },
        }
    }
}

fn begin<S, F>(resolver: RequestResolver<Connection, Bytes>, control: &Control, shared: &Rc<Shared<Dated<S>>>)
where
    S: Fn(Request) -> F + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let Some(opened) = control.opened() else { return };
    let state = &shared.state;
    state.passed.set(state.passed.get() + 1);
    let flight = Flight::new(state);
    let shared = shared.clone();
    tokio::task::spawn_local(async move { serve_request(resolver, opened, flight, &shared).await });
}

/// One request, from its stream to the acknowledgement of its answer.
async fn serve_request<S, F>(
    resolver: RequestResolver<Connection, Bytes>,
    mut opened: Opened,
    flight: Flight,
    shared: &Shared<Dated<S>>,
) where
    S: Fn(Request) -> F,
    F: Future<Output = http::Response<Body>>,
{
    let limits = shared.server.limits();
    let head = tokio::time::timeout(limits.header, resolver.resolve_request()).await;
    // h3 has answered what it could not read, as far as it can be answered.
    let Ok(Ok((request, stream))) = head else { return };
    opened.room.head_ends();
    let (mut send, recv) = stream.split();
    let head_only = *request.method() == Method::HEAD;
    let answering = async {
        let incoming = Incoming::begin(recv, opened.room.clone(), request.headers()).await;
        let mut response = match normalise(request, incoming, shared) {
            Ok(request) => {
                let line = Arc::<Line>::default();
                let request = Request { interim: Some(line.begin(1)), ..request };
                telling(&mut send, &line, (shared.service.service)(request)).await
            }
            Err(refusal) => {
                (shared.server.on_refusal)(shared.peer, refusal.code, &refusal.detail);
                refusal.response()
            }
        };
        flight.complete();
        finish_head(&mut response, head_only, &shared.service.date);
        write(&mut send, response, flight, head_only).await
    };
    let sent = tokio::select! {
        biased;
        _ = &mut opened.stopped => None,
        sent = answering => sent,
    };
    // The answer is in flight until the client has it: a connection that closed before would take
    // it along.
    if let Some(_flight) = sent {
        let _: Result<Stopped, _> = tokio::time::timeout(limits.write_idle, opened.stopped).await;
    }
}

/// Waits for an answer, and sends what is said before it.
async fn telling(
    send: &mut RequestStream<Sending, Bytes>,
    line: &Line,
    answering: impl Future<Output = http::Response<Body>>,
) -> http::Response<Body> {
    let mut answering = pin!(answering);
    let head = |(status, headers)| {
        let mut head = http::Response::new(());
        (*head.status_mut(), *head.headers_mut()) = (status, headers);
        head
    };
    let response = loop {
        tokio::select! {
            biased;
            interim = line.next() => drop(send.send_response(head(interim)).await),
            response = &mut answering => break response,
        }
    };
    for interim in line.rest() {
        // A client that is gone is noticed when it gets the answer.
        drop(send.send_response(head(interim)).await);
    }
    response
}

fn normalise<S>(request: http::Request<()>, incoming: Incoming, shared: &Shared<S>) -> Result<Request, Refusal> {
    let limits = &shared.server.limits();
    let (parts, ()) = request.into_parts();
    check_fields(&parts.headers, limits)?;
    let body = if incoming.is_end_stream() {
        Body::empty()
    } else {
        Body::stream(RequestBody::new(incoming, BodyError::clone, limits))
    };
    admit(parts, body, shared)
}

/// What h2 refuses by itself and h3 does not: fields that speak of a connection (RFC 9114, section
/// 4.2), and a length that is none.
fn check_fields(headers: &HeaderMap, limits: &ServerLimits) -> Result<(), Refusal> {
    let bad = |detail: &str| Err(Refusal::new(&code::BAD_REQUEST, detail));
    let of_connection = ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
    if let Some(name) = of_connection.into_iter().find(|name| headers.contains_key(*name)) {
        return bad(&format!("{name} can't stand in a request of HTTP/3"));
    }
    if headers.get(header::TE).is_some_and(|te| te != "trailers") {
        return bad("TE can say nothing but trailers in HTTP/3");
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_EXTRA).sum();
    if bytes > limits.header_bytes {
        let detail = format!("the head has more than {} bytes (header_bytes)", limits.header_bytes);
        return Err(Refusal::new(&code::HEADERS_TOO_LARGE, detail));
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        return bad("the request has two Content-Length fields");
    }
    if headers.contains_key(header::CONTENT_LENGTH) && content_length(headers).is_none() {
        return bad("Content-Length is not a number of bytes");
    }
    Ok(())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    // `parse` alone would take a plus sign.
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// What hyper adds on the other versions.
fn finish_head(response: &mut http::Response<Body>, head_only: bool, date: &Rc<dyn Fn() -> std::time::SystemTime>) {
    let length = response.body().size_hint().exact();
    let status = response.status();
    let headers = response.headers_mut();
    strip_hop_by_hop(headers);
    if !headers.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(date()))
    {
        headers.insert(header::DATE, date);
    }
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED || status.is_informational();
    let unknown = head_only && length == Some(0);
    if let Some(length) = length.filter(|_| !bodiless && !unknown)
        && !headers.contains_key(header::CONTENT_LENGTH)
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

/// Sends an answer, each piece when the client has room for it. The flight, if all of it was sent.
async fn write(
    send: &mut RequestStream<Sending, Bytes>,
    response: http::Response<Body>,
    flight: Flight,
    head_only: bool,
) -> Option<Flight> {
    let (parts, body) = response.into_parts();
    let body = if head_only { Body::empty() } else { body };
    let mut tracked = Tracked { body, flight: Some(flight), pieces: true };
    send.send_response(http::Response::from_parts(parts, ())).await.ok()?;
    while let Some(frame) = tracked.frame().await {
        let Ok(frame) = frame else {
            // Whoever reads must not take it for the whole.
            send.stop_stream(Code::H3_INTERNAL_ERROR);
            return None;
        };
        match frame.into_data() {
            Ok(data) => send.send_data(data).await.ok()?,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    send.send_trailers(trailers).await.ok()?;
                }
            }
        }
    }
    send.finish().await.ok()?;
    tracked.flight.take()
}

/// The body of a request, as h3 hands it out.
struct Incoming {
    stream: RequestStream<Receiving, Bytes>,
    room: Arc<Room>,
    /// What the client said it would send, and what is left of that.
    left: Option<u64>,
    /// What was there with the head.
    first: Option<Result<Bytes, BodyError>>,
    /// Of a body that has nothing else.
    trailers: Option<HeaderMap>,
    state: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Data,
    Trailers,
    Ended,
}

impl Incoming {
    /// Looks whether there is a body at all, without waiting for one.
    async fn begin(stream: RequestStream<Receiving, Bytes>, room: Arc<Room>, headers: &HeaderMap) -> Self {
        let left = content_length(headers);
        let mut this = Self { stream, room, left, first: None, trailers: None, state: Reading::Data };
        let first = poll_fn(|cx| Poll::Ready(this.poll_data(cx))).await;
        match first {
            Poll::Ready(Some(first)) => this.first = Some(first),
            Poll::Ready(None) => match poll_fn(|cx| Poll::Ready(this.stream.poll_recv_trailers(cx))).await {
                Poll::Ready(Ok(None)) => this.state = Reading::Ended,
                Poll::Ready(Ok(trailers)) => this.trailers = trailers,
                _ => {}
            },
            Poll::Pending => {}
        }
        this
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut piece = match ready!(self.stream.poll_recv_data(cx)) {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                self.state = Reading::Trailers;
                let short = self.left.is_some_and(|left| left > 0);
                let short = short.then(|| self.broken("the body ended before its Content-Length"));
                return Poll::Ready(short.map(Err));
            }
            Err(error) => return Poll::Ready(Some(Err(lost(&error)))),
        };
        let bytes = piece.copy_to_bytes(piece.remaining());
        self.room.take(bytes.len());
        if let Some(left) = &mut self.left {
            match left.checked_sub(bytes.len() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err(self.broken("the body is longer than its Content-Length")))),
            }
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    fn broken(&mut self, detail: &str) -> BodyError {
        self.state = Reading::Ended;
        self.stream.stop_sending(Code::H3_MESSAGE_ERROR);
        BodyError::new(&code::BAD_REQUEST, detail)
    }
}

fn lost(error: &StreamError) -> BodyError {
    match error {
        StreamError::StreamError { code: Code::H3_MESSAGE_ERROR | Code::H3_EXCESSIVE_LOAD, .. } => {
            BodyError::new(&code::BAD_REQUEST, error.to_string())
        }
        _ => BodyError::gone(),
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(first.map(Frame::data)));
        }
        if this.state == Reading::Data
            && let Some(piece) = ready!(this.poll_data(cx))
        {
            return Poll::Ready(Some(piece.map(Frame::data)));
        }
        if this.state != Reading::Trailers {
            return Poll::Ready(None);
        }
        if let Some(trailers) = this.trailers.take() {
            this.state = Reading::Ended;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let trailers = ready!(this.stream.poll_recv_trailers(cx));
        this.state = Reading::Ended;
        Poll::Ready(match trailers {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(lost(&error))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.state == Reading::Ended
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok()).map_or(0, Bytes::len) as u64;
        self.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + first))
    }
}
