//! One connection: which protocol it speaks, and the task that drives it.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::Parts;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

pub(crate) use super::arrival::Guard;
use super::arrival::{Arrived, Entrance, arrive, remember};
use super::plainly::{self, Turn};
use super::upgraded::{self, Switching};
use super::{Leave, Server, Standalone, farewell, http2, rest};
use crate::ServerLimits;
use crate::gate::{Quick, State, Upgrading, Wire};
use crate::head::Refusal;
use crate::interim::Line;
use crate::request::{Protocol, Request, RequestBody};
use crate::stream::{Raw, Stream};
use crate::target::split_port;
use crate::tls::Secured;
use crate::{target, websocket};

/// So many fields hyper parses on the stack; one more, and it allocates for every request.
const HYPER_HEADER_COUNT: usize = 100;

/// While draining, an unused HTTP/1.1 connection stays open this long: a request that is already
/// on its way still gets an answer, and with it `connection: close`.
pub(super) const DRAIN_LINGER: Duration = Duration::from_millis(250);

/// A piece of an answer that is handed to HTTP/2 at once; more stays where it is until the client
/// has room for it.
pub(super) const H2_PIECE_BYTES: usize = 64 << 10;

pub(super) async fn serve<S, F>(stream: Raw, mut entrance: Entrance, leave: &mut Leave, service: S)
where
    S: Fn(Request) -> F + Clone + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    // Boxed, each of them: what arriving takes is given back before HTTP begins, and a connection
    // of one version does not keep the room that the other would take.
    let Some(arrived) = Box::pin(arrive(stream, &mut entrance, leave)).await else { return };
    let Entrance { peer, reception, state, .. } = entrance;
    let Arrived { stream, before, h2, secured, guard } = arrived;
    let (server, listener) = (leave.server.clone(), reception.listener);
    drop(reception);
    let shared = Rc::new(Shared { peer, listener, secured, guard, server, state, service });
    if h2 {
        Box::pin(http2::serve(stream, before, shared)).await;
    } else {
        Box::pin(serve_http1(stream, before, shared)).await;
    }
}

/// Waits for a request, serves until nobody asks for a while, and waits again.
async fn serve_http1<S, F>(stream: Stream, before: Bytes, shared: Rc<Shared<S>>)
where
    S: Fn(Request) -> F + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let (limits, state) = (shared.server.limits(), &shared.state);
    let quick = Quick {
        server: shared.server.clone(),
        peer: shared.peer,
        listener: shared.listener,
        secured: shared.secured.clone(),
        guard: shared.guard.clone(),
    };
    let mut wire = Wire::new(stream, before, limits.clone(), state.clone()).with_quick(quick);
    let mut watch = Watch::new(state, limits.clone(), false);
    while rest::until_used(&mut wire, &mut watch, state, &shared.server.counts).await {
        match plainly::serve(&mut wire, &mut watch, state).await {
            Turn::Hyper => {}
            Turn::Rested => continue,
            Turn::Over => return,
        }
        // Boxed, so that what hyper needs for a request is given back when there is none.
        match Box::pin(serve_awake(wire, &mut watch, &limits, &shared)).await {
            Some(rested) => wire = rested,
            None => return,
        }
    }
}

/// Serves until the connection ends, or may rest; then it gives it back.
async fn serve_awake<S, F>(wire: Wire, watch: &mut Watch, limits: &ServerLimits, shared: &Rc<Shared<S>>) -> Option<Wire>
where
    S: Fn(Request) -> F + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let state = &shared.state;
    let mut builder = hyper::server::conn::http1::Builder::new();
    // No `pipeline_flush`: with it, hyper never writes an answer that comes while a part of the
    // request's body lies unread, and closes the connection without it.
    builder
        // The gate has counted already; hyper must not have a stricter mind of its own.
        .max_header_size(limits.header_bytes + 1)
        .max_buf_size((limits.header_bytes + 1).max(64 << 10))
        // A timer of ours does this without a timer operation for each request.
        .header_read_timeout(None);
    if limits.header_count > HYPER_HEADER_COUNT {
        builder.max_headers(limits.header_count);
    }
    // Boxed, since hyper keeps the room for an answer for as long as the connection stands unused.
    let service = service_fn(|request| {
        let (shared, flight) = (shared.clone(), Flight::new(&shared.state));
        boxed(move || answer(shared, flight, request))
    });
    let mut connection = builder.serve_connection(TokioIo::new(wire), service);
    let close = |connection: Pin<&mut _>| hyper::server::conn::http1::Connection::graceful_shutdown(connection);
    let end = drive(Pin::new(&mut connection), close, watch, state).await;
    if let End::Cut = end {
        return None;
    }
    let Parts { io, read_buf, .. } = connection.into_parts();
    let wire = io.into_inner();
    if let Some(accepted) = state.accepted.take() {
        let (stream, held) = wire.into_upgraded();
        let before = [&read_buf[..], &held[..]].concat();
        // The room in which the request was read would stay for as long as the socket does.
        drop((read_buf, held));
        let (stream, clean) = Box::pin(upgraded::serve(stream, before, accepted, state)).await;
        if !clean && !state.cut.get() {
            // A client that is refused may still be sending.
            farewell::linger(stream).await;
        }
        return None;
    }
    if let End::Rested = end
        && read_buf.is_empty()
        && wire.is_at_rest()
    {
        return Some(wire);
    }
    let (stream, mid_body) = wire.into_stream();
    let refusal = state.refusal.take();
    if let Some(refusal) = refusal {
        (shared.server.on_refusal)(shared.peer, refusal.code, &refusal.detail);
        farewell::refuse(stream, &refusal).await;
    } else if mid_body {
        farewell::linger(stream).await;
    }
    None
}

/// A future in a box, made where it will lie. `Box::pin` makes it first and asks for room then, and
/// has to copy all of it, most of which is the room for what it has not come to yet.
pub(super) fn boxed<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

pub(super) enum End {
    Served,
    /// It was not used for a while, and nothing of it is on its way.
    Rested,
    Cut,
}

/// Drives a connection, and beside it its timer, until one of them ends it. `close` asks the
/// connection to end by itself.
pub(super) async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    close: impl Fn(Pin<&mut C>),
    watch: &mut Watch,
    state: &State,
) -> End {
    poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Served);
            }
            if state.gone.get() && state.is_busy() {
                return Poll::Ready(End::Cut);
            }
            match watch.poll(state, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Verdict::Cut) => return Poll::Ready(End::Cut),
                Poll::Ready(Verdict::Close) => close(connection.as_mut()),
                Poll::Ready(Verdict::Rest) => {
                    // Unused, it ends at once, and hyper's end is not yet the socket's.
                    close(connection.as_mut());
                    if connection.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(End::Rested);
                    }
                }
                Poll::Ready(Verdict::Refuse(refusal)) => *state.refusal.borrow_mut() = Some(refusal),
            }
        }
    })
    .await
}

/// What the requests of a connection have in common.
pub(super) struct Shared<S> {
    pub peer: SocketAddr,
    pub listener: usize,
    pub secured: Option<Arc<Secured>>,
    pub guard: Option<Guard>,
    pub server: Rc<Server>,
    pub state: Rc<State>,
    pub service: S,
}

/// The service as hyper calls it: normalises, calls ours, follows the response to its end.
pub(super) async fn answer<S, F>(
    connection: Rc<Shared<S>>,
    flight: Flight,
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Tracked>, Infallible>
where
    S: Fn(Request) -> F,
    F: Future<Output = http::Response<Body>>,
{
    let http1 = request.version() != Version::HTTP_2;
    let state = &connection.state;
    if let Some(response) = state.prepared.take() {
        flight.complete();
        let mut response = *response;
        note_alone(&mut response, &flight);
        return Ok(framed(response, flight, state));
    }
    let held = http1 && websocket::asks(request.headers());
    let switching = Switching::of(&mut request);
    let (mut response, mut close) = match normalise(request, &switching, &connection) {
        // Boxed where it will lie: it is long, and else all of it is moved to where it is waited for.
        Ok(request) => (boxed(|| (connection.service)(request)).await, false),
        Err(refusal) => {
            (connection.server.on_refusal)(connection.peer, refusal.code, &refusal.detail);
            let mut response = refusal.response();
            if std::ptr::eq(refusal.code, &code::SOCKET_VERSION) {
                response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            (response, true)
        }
    };
    if let Some(line) = state.interim.get() {
        line.end().await;
    }
    let flight = match switching.and_then(|switching| switching.accept(&mut response)) {
        Ok(accepted) => upgraded::begin(accepted, flight, state),
        Err(_) => {
            if held {
                // What the client sent after its question is read as HTTP again.
                state.upgrade.set(Upgrading::Refused);
                state.wake();
            }
            flight.complete();
            note_alone(&mut response, &flight);
            Some(flight)
        }
    };
    close |= state.draining_since.get().is_some();
    if http1 && close && flight.is_some() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Tracked { body, flight, pieces: !http1 }))
}

/// Notes whether an answer is here as a whole, or was said to need nothing of the node any more.
pub(super) fn note_alone(response: &mut http::Response<Body>, flight: &Flight) {
    let told = response.extensions_mut().remove::<Standalone>().is_some();
    if told || response.body().whole().is_some() {
        flight.stand_alone();
    }
}

/// An answer (HTTP/1.1) that was there before hyper saw its request.
fn framed(mut response: http::Response<Body>, flight: Flight, state: &State) -> http::Response<Tracked> {
    if state.draining_since.get().is_some() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Tracked { body, flight: Some(flight), pieces: false })
}

fn normalise<S>(
    request: http::Request<Incoming>,
    switching: &Result<Switching, Option<Refusal>>,
    connection: &Shared<S>,
) -> Result<Request, Refusal> {
    let limits = &connection.server.limits();
    if let Err(Some(refusal)) = switching {
        return Err(refusal.clone());
    }
    let (parts, incoming) = request.into_parts();
    let upgrade = switching.is_ok();
    let body = if upgrade { Body::empty() } else { RequestBody::wrap(incoming, limits) };
    let request = admit(parts, body, connection)?;
    let state = &connection.state;
    let interim = (request.protocol == Protocol::Http11).then(|| {
        let line = state.interim.get_or_init(|| Line::new(state.waker.borrow().clone()));
        line.begin(state.passed.get())
    });
    Ok(Request { upgrade, interim, ..request })
}

/// A request of any version, normalised.
pub(super) fn admit<S>(
    mut parts: http::request::Parts,
    body: Body,
    connection: &Shared<S>,
) -> Result<Request, Refusal> {
    let protocol = match parts.version {
        Version::HTTP_3 => Protocol::Http3,
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_10 => Protocol::Http10,
        _ => Protocol::Http11,
    };
    if matches!(protocol, Protocol::Http2 | Protocol::Http3) {
        // They are one field in pieces, and count as one.
        join_cookies(&mut parts.headers);
        check_multiplexed(&parts, &connection.server.limits())?;
    }
    let target = target::normalise(&parts.method, &parts.uri, &mut parts.headers, connection.server.paths.get())?;
    if let Some(guard) = &connection.guard {
        let (host, _) = split_port(target.authority.to_str().unwrap_or_default());
        if !guard.covers(host) {
            let detail = "the host wants another client certificate than the server name of this connection";
            return Err(Refusal::new(&code::MISDIRECTED, detail));
        }
    }
    Ok(Request {
        method: parts.method,
        path_and_query: target.path_and_query,
        authority: target.authority,
        headers: parts.headers,
        body,
        peer: connection.peer,
        protocol,
        listener: connection.listener,
        secured: connection.secured.clone(),
        upgrade: false,
        interim: None,
        believed: None,
    })
}

/// What the gate checks for HTTP/1.1, and h2 and h3 leave to us.
fn check_multiplexed(parts: &http::request::Parts, limits: &ServerLimits) -> Result<(), Refusal> {
    let max = limits.uri_bytes;
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > max) {
        return Err(Refusal::new(&code::URI_TOO_LONG, format!("the target has more than {max} bytes (uri_bytes)")));
    }
    let max = limits.header_count;
    if parts.headers.len() > max {
        let detail = format!("the request has more than {max} fields (header_count)");
        return Err(Refusal::new(&code::HEADERS_TOO_LARGE, detail));
    }
    let named = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    match (named, authority) {
        (Some(a), Some(b)) if !a.eq_ignore_ascii_case(b) => {
            Err(Refusal::new(&code::BAD_REQUEST, "the Host field and :authority disagree"))
        }
        _ => Ok(()),
    }
}

/// A client of HTTP/2 and 3 may send its cookies one by one; everybody behind it reads one field
/// (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut http::HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    if cookies.nth(1).is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// A request on its way, from hyper's call to the last byte of the response, or the end of the
/// socket that it opened.
pub(super) struct Flight {
    state: Rc<State>,
    /// Its number on this connection.
    id: u64,
    complete: Cell<bool>,
    alone: Cell<bool>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let state = &self.state;
        state.finished.set(state.finished.get() + 1);
        if self.alone.get() {
            state.alone.set(state.alone.get() - 1);
        }
        state.hand_over(self.id, None);
        if !self.complete.get() {
            state.cancelled.set(state.cancelled.get() + 1);
        }
        if !state.is_busy() {
            state.note_unused(Instant::now());
        }
        // The gate holds the end of the stream back until the last answer before it is given.
        let awaited = state.is_refused() || state.draining_since.get().is_some();
        if awaited || (!self.complete.get() && state.passed.get() > 1) {
            state.wake();
        }
    }
}

impl Flight {
    pub(super) fn new(state: &Rc<State>) -> Self {
        Self { state: state.clone(), id: state.passed.get(), complete: Cell::new(false), alone: Cell::new(false) }
    }

    /// Its answer needs nothing of the node any more.
    pub(super) fn stand_alone(&self) {
        if !self.alone.replace(true) {
            self.state.alone.set(self.state.alone.get() + 1);
        }
    }

    /// The client did not give it up.
    pub(super) fn complete(&self) {
        self.complete.set(true);
    }
}

/// A response body that tells when it has been taken in full or given up, and while it waits.
pub(super) struct Tracked {
    pub body: Body,
    /// A socket keeps it otherwise.
    pub flight: Option<Flight>,
    /// On HTTP/2 and 3 a body is handed over piece by piece, each when the client has room for it.
    pub pieces: bool,
}

impl Tracked {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let taken = |flight: &Option<Flight>, at| {
            if let Some(flight) = flight {
                flight.state.hand_over(flight.id, at);
            }
        };
        taken(&self.flight, None);
        let piece = match self.body.take_whole() {
            Some(mut whole) if whole.len() > H2_PIECE_BYTES => {
                let piece = whole.split_to(H2_PIECE_BYTES);
                self.body = Body::full(whole);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Some(whole) if !whole.is_empty() => Poll::Ready(Some(Ok(Frame::data(whole)))),
            Some(_) => Poll::Ready(None),
            None => Pin::new(&mut self.body).poll_frame(cx),
        };
        if let Poll::Ready(Some(Ok(_))) = &piece {
            taken(&self.flight, Some(Instant::now()));
        }
        piece
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.pieces { self.poll_piece(cx) } else { Pin::new(&mut self.body).poll_frame(cx) }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the timer of a connection found.
pub(super) enum Verdict {
    /// Nobody uses it, and nobody has for a while.
    Rest,
    /// Finish what is in flight, take nothing new.
    Close,
    Refuse(Refusal),
    /// Drop the connection.
    Cut,
}

/// The one timer of a connection.
pub(super) struct Watch {
    limits: Rc<ServerLimits>,
    timer: Pin<Box<Sleep>>,
    /// It knows whom to wake, which is one task for as long as the connection lasts.
    armed: bool,
    /// HTTP/2 and 3.
    multiplexed: bool,
    /// Nothing but the socket is kept of it.
    pub resting: bool,
    /// Since when it has been asked to close.
    closing_since: Option<Instant>,
    started: Instant,
}

impl Watch {
    pub(super) fn new(state: &State, limits: Rc<ServerLimits>, multiplexed: bool) -> Self {
        let started = Instant::now();
        // A drain may have begun while the protocol was found out.
        state.rearm.set(true);
        Self {
            timer: Box::pin(tokio::time::sleep_until(started + limits.header)),
            armed: false,
            limits,
            multiplexed,
            resting: false,
            closing_since: None,
            started,
        }
    }

    pub(super) fn poll(&mut self, state: &State, cx: &mut Context<'_>) -> Poll<Verdict> {
        remember(state, cx);
        loop {
            if state.rearm.take() || self.is_due(cx) {
                match self.judge(state, Instant::now()) {
                    Ok(deadline) => {
                        let early = deadline.checked_sub(self.limits.rest).filter(|_| !self.multiplexed);
                        state.rests_early.set(early);
                        self.timer.as_mut().reset(deadline);
                        self.armed = false;
                    }
                    Err(verdict) => return Poll::Ready(verdict),
                }
            } else {
                return Poll::Pending;
            }
        }
    }

    /// Whether it is time to look. A timer that was told once is not told again with every request.
    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if self.armed {
            return self.timer.is_elapsed();
        }
        let is_due = self.timer.as_mut().poll(cx).is_ready();
        // Of a task whose turn is over, no note is taken.
        self.armed = !is_due && tokio::task::coop::has_budget_remaining();
        is_due
    }

    /// When to look again, or what is to be done now.
    fn judge(&mut self, state: &State, now: Instant) -> Result<Instant, Verdict> {
        if state.cut.get() {
            return Err(Verdict::Cut);
        }
        let mut next = now + self.limits.idle;
        if let Some(since) = state.stalled_since.get() {
            next = next.min(since + self.limits.write_idle);
            if next <= now {
                return Err(Verdict::Cut);
            }
        }
        if let Some(since) = self.closing_since {
            // HTTP/2 says goodbye and waits for the client's; a client that answers nothing may
            // not hold the connection.
            let end = since + self.limits.header;
            return if state.is_busy() || end > now {
                Ok(next.min(end.max(now + DRAIN_LINGER)))
            } else {
                Err(Verdict::Cut)
            };
        }
        if self.multiplexed {
            self.check_cancelled(state)?;
            next = next.min(self.check_windows(state, now)?);
        }
        if let Some(since) = state.head_since.get().filter(|_| !state.is_refused()) {
            let end = since + self.limits.header;
            if end <= now {
                let detail = "the head did not arrive within header_ms";
                return Err(Verdict::Refuse(Refusal::new(&code::REQUEST_TIMEOUT, detail)));
            }
            return Ok(next.min(end));
        }
        let close = self.close_at(state, now);
        if close <= now {
            self.closing_since = Some(now);
            state.rearm.set(true);
            return Err(Verdict::Close);
        }
        match rest::rests_at(state, self.limits.rest).filter(|_| !self.multiplexed && !self.resting) {
            Some(rest) if rest <= now => Err(Verdict::Rest),
            Some(rest) => Ok(next.min(close).min(rest)),
            None => Ok(next.min(close)),
        }
    }

    /// When the connection may be asked to close, if nothing changes.
    fn close_at(&self, state: &State, now: Instant) -> Instant {
        if let Some(since) = state.draining_since.get() {
            if self.multiplexed {
                return now;
            }
            if !state.is_busy() {
                return since + DRAIN_LINGER;
            }
        }
        if state.is_busy() {
            return now + self.limits.idle;
        }
        match state.passed.get() {
            0 => self.started + self.limits.header,
            _ => state.idle_since.get() + self.limits.idle,
        }
    }

    /// A client that makes requests to give them up (CVE-2023-44487).
    fn check_cancelled(&self, state: &State) -> Result<(), Verdict> {
        let (cancelled, max) = (state.cancelled.get(), self.limits.h2_resets);
        if cancelled > max && cancelled * 2 > state.passed.get() {
            let detail = format!("the client gave up {cancelled} of {} requests (h2_resets)", state.passed.get());
            *state.refusal.borrow_mut() = Some(Refusal::new(&code::H2_FLOOD, detail));
            return Err(Verdict::Cut);
        }
        Ok(())
    }

    /// A client that leaves a window closed holds what was made for it (CVE-2019-9517). When to
    /// look again; every answer moves that, so it is looked for now and then.
    fn check_windows(&self, state: &State, now: Instant) -> Result<Instant, Verdict> {
        let oldest = state.handed_over.borrow().iter().map(|(_, at)| *at).min();
        let limit = self.limits.write_idle;
        match oldest {
            Some(since) if since + limit <= now => {
                let detail = "the client took nothing of an answer within write_idle_ms";
                *state.refusal.borrow_mut() = Some(Refusal::new(&code::CLIENT_GONE, detail));
                Err(Verdict::Cut)
            }
            Some(since) => Ok(since + limit),
            None => Ok(now + limit),
        }
    }
}
