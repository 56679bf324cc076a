//! A connection of HTTP/1.1 that is driven by who asks.
//!
//! A connection is commonly a task of its own, and an exchange passes through its channels: the request,
//! the head of the response, the wish for its body, the body. Each of them is a turn of the scheduler. Where
//! the request is at hand, nothing is to be sent while its response is read, so whoever waits for that drives
//! the connection itself: between two turns it writes the request, or reads the response with what came of
//! its body. The protocol is hyper's in either case.
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
use futures_util::future::BoxFuture;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use tokio::time::{Instant, Sleep};

use super::pool::{Lease, Sender, broke_off};

/// A connection, and both of its ends.
pub(super) struct Inline {
    sender: http1::SendRequest<Body>,
    /// `None` if it has ended.
    connection: Option<BoxFuture<'static, hyper::Result<()>>>,
    /// Looks for a response that is late. It is set once for many requests, since all have as long: when it
    /// goes off, it is set again for the one that is under way then.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why there is no response.
pub(super) enum Unanswered {
    Late,
    Failed(Box<TrySendError<http::Request<Body>>>),
}

impl Inline {
    pub fn new(
        sender: http1::SendRequest<Body>,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    ) -> Self {
        Self { sender, connection: Some(Box::pin(connection)), timer: None }
    }

    /// Does what can be done now. What went wrong is told where it is waited for.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// The same, and from now on nothing that happens wakes anybody.
    fn settle(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    pub fn is_closed(&self) -> bool {
        self.connection.is_none() || self.sender.is_closed()
    }

    /// Looks whether an unused connection is one still.
    pub fn is_open(&mut self) -> bool {
        self.settle();
        !self.is_closed() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response, for so long after it is sent. All of a
    /// request is sent at once, so that is from now on.
    pub async fn ask(
        &mut self,
        request: http::Request<Body>,
        limit: Option<Duration>,
    ) -> Result<http::Response<Incoming>, Unanswered> {
        let mut asked = pin!(self.sender.try_send_request(request));
        let (connection, timer) = (&mut self.connection, &mut self.timer);
        let mut late_at = None;
        poll_fn(|cx| {
            if let Some(driven) = connection
                && driven.as_mut().poll(cx).is_ready()
            {
                *connection = None;
            }
            if let Poll::Ready(answered) = asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Poll::Ready(answered.map_err(|error| Unanswered::Failed(Box::new(error))));
            }
            let Some(limit) = limit else { return Poll::Pending };
            let late_at = *late_at.get_or_insert_with(|| Instant::now() + limit);
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(late_at)));
            while timer.as_mut().poll(cx).is_ready() {
                if Instant::now() >= late_at {
                    return Poll::Ready(Err(Unanswered::Late));
                }
                timer.as_mut().reset(late_at);
            }
            Poll::Pending
        })
        .await
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
            && inline.is_open()
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
