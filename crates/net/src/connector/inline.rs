//! A connection of HTTP/1.1 that is driven by who asks.
//!
//! A connection is commonly a task of its own, and an exchange passes through its channels: the request,
//! the head of the response, the wish for its body, the body. Each of them is a turn of the scheduler. Where
//! the request is at hand, nothing is to be sent while its response is read, so whoever waits for that drives
//! the connection itself: between two turns it writes the request, or reads the response with what came of
//! its body. The protocol is hyper's in either case.
//!
//! Most exchanges need none of that, and are made without hyper ([`bare`]). It comes in where it has a say,
//! and goes when an answer was whole, so that a connection that nobody uses is commonly nobody's.
//!
//! Everything that can happen on the channels happens while the connection is driven, here, and is looked at
//! right behind; so the channels wake nobody ([`Waker::noop`]), and only the socket wakes who waits. Nobody
//! listens to an unused connection: that its server has closed it is found out when it is taken.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use super::bare::{self, Exchange};
use super::dial::HeadMax;
use super::plain::{self, PlainAnswer};
use super::pool::{Lease, Sender, broke_off};
use super::resumed::Resumed;
use super::upgrade::Stream;

/// Memory that an unused connection keeps for its next request.
const ROOM_BYTES_MAX: usize = 1 << 10;

/// A connection.
pub(super) struct Inline {
    wire: Wire,
    /// Of the head of a response, for hyper.
    head: HeadMax,
    timer: Timer,
    /// Memory of the last request, for the next one.
    room: Vec<u8>,
}

/// Who speaks HTTP on it.
enum Wire {
    /// Whoever asks, as [`bare`] has it.
    Bare(Box<dyn Stream>),
    Hyper(Hyper),
}

/// A connection of hyper's, and both of its ends.
struct Hyper {
    sender: http1::SendRequest<Body>,
    /// `None` if it has ended.
    connection: Option<Box<http1::Connection<TokioIo<Resumed>, Body>>>,
}

/// Looks for a response that is late. It is set once for many requests, since all have as long: when it
/// goes off, it is set again for the one that is under way then.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

/// What a request comes to.
pub(super) enum Answer {
    /// An answer that is there, on a connection that is unused again.
    Whole(PlainAnswer),
    /// One whose body is still to be read.
    Begun(http::Response<Incoming>),
}

/// What comes of an exchange by hand.
pub(super) enum ByHand {
    Whole(PlainAnswer),
    Late,
    /// It is for hyper, if it has not had it from the beginning.
    Hyper,
}

/// Why there is no response.
pub(super) enum Unanswered {
    Late,
    /// With the request, if nothing of it was sent.
    Failed(hyper::Error, Option<http::Request<Body>>),
}

impl Timer {
    /// Whether it is that time; if not, who asks is woken then.
    fn is_late(&mut self, late_at: Instant, cx: &mut Context<'_>) -> bool {
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(late_at)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= late_at {
                return true;
            }
            timer.as_mut().reset(late_at);
        }
        false
    }
}

impl Hyper {
    async fn begin(io: Resumed, head: HeadMax) -> hyper::Result<Self> {
        let (sender, connection) = head.http1().handshake::<_, Body>(TokioIo::new(io)).await?;
        Ok(Self { sender, connection: Some(Box::new(connection)) })
    }

    /// Does what can be done now. What went wrong is told where it is waited for.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    fn is_closed(&self) -> bool {
        self.connection.is_none() || self.sender.is_closed()
    }

    /// Nothing is under way, and nothing came that nobody asked for.
    fn is_open(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_closed() && self.sender.is_ready()
    }

    async fn ask(
        &mut self,
        request: http::Request<Body>,
        late_at: Option<Instant>,
        timer: &mut Timer,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let mut asked = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            if let Some(driven) = connection
                && Pin::new(driven).poll(cx).is_ready()
            {
                *connection = None;
            }
            if let Poll::Ready(answered) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(answered.map_err(|mut error| {
                    let unsent = error.take_message();
                    Unanswered::Failed(error.into_error(), unsent)
                }));
            }
            match late_at {
                Some(late_at) if timer.is_late(late_at, cx) => Poll::Ready(Err(Unanswered::Late)),
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl Wire {
    /// A connection that has ended.
    fn ended() -> Self {
        Self::Bare(Box::new(tokio::io::empty()))
    }
}

impl Inline {
    /// A connection on which nothing happened yet.
    pub fn new(stream: Box<dyn Stream>, head: HeadMax) -> Self {
        Self { wire: Wire::Bare(stream), head, timer: Timer::default(), room: Vec::new() }
    }

    /// Memory for a request.
    pub fn room(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.room)
    }

    /// An exchange is over, and its memory is the next one's. A connection that nobody uses has little of it.
    pub fn end(&mut self, exchange: Exchange) {
        if exchange.request.capacity() <= ROOM_BYTES_MAX {
            self.room = exchange.request;
        }
    }

    /// Does what can be done now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Wire::Hyper(hyper) = &mut self.wire {
            hyper.drive(cx);
        }
    }

    /// The same, and from now on nothing that happens wakes anybody.
    fn settle(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    pub fn is_closed(&self) -> bool {
        match &self.wire {
            // Found out when it is taken.
            Wire::Bare(_) => false,
            Wire::Hyper(hyper) => hyper.is_closed(),
        }
    }

    /// Looks whether an unused connection is one still. If it is nobody's, what comes next wakes whose context this is.
    pub fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.wire {
            Wire::Bare(stream) => bare::is_silent(&mut **stream, cx),
            Wire::Hyper(hyper) => hyper.is_open(),
        }
    }

    /// A connection is nobody's again, if it is unused.
    fn bare(&mut self) {
        if let Wire::Hyper(hyper) = &mut self.wire
            && hyper.is_open()
            && let Some(connection) = hyper.connection.take()
        {
            let parts = connection.into_parts();
            let stream = parts.io.into_inner().into_stream().filter(|_| parts.read_buf.is_empty());
            self.wire = stream.map_or_else(Wire::ended, Wire::Bare);
        }
    }

    /// Sends a request and waits for the head of the response, for so long after it is sent. All of a
    /// request is sent at once, so that is from now on.
    pub async fn ask(&mut self, request: http::Request<Body>, limit: Option<Duration>) -> Result<Answer, Unanswered> {
        let head = match &self.wire {
            Wire::Bare(_) => bare::head_of(&request),
            Wire::Hyper(_) => None,
        };
        let late_at = limit.map(|limit| Instant::now() + limit);
        self.exchange(head, Some(request), late_at).await
    }

    /// By hand if there is a head for that, and a request is only made of it where hyper has to be asked.
    async fn exchange(
        &mut self,
        head: Option<Vec<u8>>,
        request: Option<http::Request<Body>>,
        late_at: Option<Instant>,
    ) -> Result<Answer, Unanswered> {
        let mut exchange = head.map(|head| Exchange::new(head, false));
        if let Some(exchange) = &mut exchange {
            match poll_fn(|cx| self.poll_by_hand(exchange, late_at, cx)).await {
                ByHand::Whole(answer) => return Ok(Answer::Whole(answer)),
                ByHand::Late => return Err(Unanswered::Late),
                ByHand::Hyper => {}
            }
        }
        // Boxed: most exchanges need no room for it.
        Box::pin(self.ask_hyper(exchange, request, late_at)).await.map(Answer::Begun)
    }

    /// Asks for a GET without a body, as far as that needs no hyper. The exchange is where it is waited for, and no
    /// future of its own, which would be moved there.
    pub fn poll_by_hand(
        &mut self,
        exchange: &mut Exchange,
        late_at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<ByHand> {
        let Wire::Bare(stream) = &mut self.wire else { return Poll::Ready(ByHand::Hyper) };
        if let Poll::Ready(answered) = exchange.poll(&mut **stream, cx) {
            return Poll::Ready(answered.map_or(ByHand::Hyper, ByHand::Whole));
        }
        match late_at {
            Some(late_at) if self.timer.is_late(late_at, cx) => Poll::Ready(ByHand::Late),
            _ => Poll::Pending,
        }
    }

    /// Goes on with an exchange that is for hyper.
    pub async fn go_on(
        &mut self,
        exchange: Exchange,
        late_at: Instant,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let (begun, request) = match &self.wire {
            Wire::Bare(_) => (Some(exchange), None),
            Wire::Hyper(_) => (None, Some(plain::read(&exchange.request))),
        };
        self.ask_hyper(begun, request, Some(late_at)).await
    }

    /// The same by hyper, which goes on with what was begun.
    async fn ask_hyper(
        &mut self,
        begun: Option<Exchange>,
        request: Option<http::Request<Body>>,
        late_at: Option<Instant>,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let sent = begun.as_ref().map(|begun| &begun.request[..]).unwrap_or_default();
        let request = request.unwrap_or_else(|| plain::read(sent));
        let is_sent = begun.is_some();
        let mut hyper = match std::mem::replace(&mut self.wire, Wire::ended()) {
            Wire::Hyper(hyper) => hyper,
            Wire::Bare(stream) => {
                let hyper = Hyper::begin(Resumed::new(stream, begun), self.head).await;
                hyper.map_err(|error| Unanswered::Failed(error, None))?
            }
        };
        let answered = hyper.ask(request, late_at, &mut self.timer).await;
        self.wire = Wire::Hyper(hyper);
        answered.map_err(|unanswered| match unanswered {
            // What was sent before is not for hyper to say.
            Unanswered::Failed(error, _) if is_sent => Unanswered::Failed(error, None),
            other => other,
        })
    }
}

/// The body of a response on such a connection, which goes back to its pool with the end of it. An error if it
/// broke off before there was any of it.
pub(super) fn body(mut incoming: Incoming, mut lease: Lease) -> hyper::Result<Body> {
    if let Sender::Inline(inline) = &mut lease.link.sender {
        inline.settle();
    }
    let mut body = InlineBody { first: None, incoming: None, lease: Some(lease) };
    if incoming.is_end_stream() {
        body.release();
        return Ok(Body::empty());
    }
    // What came with the head is here already, and mostly that is all of it.
    let whole = incoming.size_hint().exact();
    let mut nobody = Context::from_waker(Waker::noop());
    match body.poll_next(&mut incoming, &mut nobody) {
        Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| Some(data.len() as u64) == whole) => {
            // The next one may need no hyper.
            if let Some(Lease { link, .. }) = &mut body.lease
                && let Sender::Inline(inline) = &mut link.sender
            {
                inline.bare();
            }
            body.release();
            return Ok(Body::full(frame.into_data().unwrap_or_default()));
        }
        Poll::Ready(Some(Err(error))) => return Err(error),
        Poll::Ready(frame) => body.first = frame,
        Poll::Pending => {}
    }
    body.incoming = Some(incoming);
    Ok(Body::stream(body))
}

type Next = Option<Result<Frame<Bytes>, hyper::Error>>;

struct InlineBody {
    /// What was there with the head.
    first: Next,
    /// What follows it.
    incoming: Option<Incoming>,
    lease: Option<Lease>,
}

impl InlineBody {
    fn release(&mut self) {
        if let Some(mut lease) = self.lease.take()
            && let Sender::Inline(inline) = &mut lease.link.sender
            && inline.is_open(&mut Context::from_waker(Waker::noop()))
        {
            lease.release();
        }
    }

    /// The next frame, for which the connection is driven.
    fn poll_next(&mut self, incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Next> {
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut nobody) {
            return Poll::Ready(frame);
        }
        if let Some(Lease { link, .. }) = &mut self.lease
            && let Sender::Inline(inline) = &mut link.sender
        {
            inline.drive(cx);
        }
        Pin::new(incoming).poll_frame(&mut nobody)
    }
}

impl http_body::Body for InlineBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match (this.first.take(), this.incoming.take()) {
            (Some(first), incoming) => {
                this.incoming = incoming;
                Some(first)
            }
            (None, None) => None,
            (None, Some(mut incoming)) => {
                let polled = this.poll_next(&mut incoming, cx);
                this.incoming = Some(incoming);
                std::task::ready!(polled)
            }
        };
        match &frame {
            Some(Err(_)) => this.lease = None,
            None => this.release(),
            Some(Ok(_)) if this.is_end_stream() => this.release(),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| broke_off(&error))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint);
        let first = match &self.first {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            _ => 0,
        };
        rest.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
    }
}

#[cfg(test)]
mod tests;
