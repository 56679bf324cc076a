//! Bodies between the node and wasi:http, frame by frame: nothing is collected on the way, a
//! piece waits until its reader takes it, and trailers pass.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};
use worker::Failure;

use super::invocation::Invocation;

/// A body that the guest reads: a request's, or an answer's from outside.
pub struct Incoming {
    body: Body,
    idle_max: Duration,
    /// Runs while the guest waits for a frame.
    idle: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub fn new(body: Body, idle_max: Duration) -> Self {
        Self { body, idle_max, idle: None }
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.idle = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| told_to_guest(&error))));
        }
        let idle_max = self.idle_max;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_max)));
        idle.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn told_to_guest(error: &BodyError) -> Error {
    match error.code.name {
        "client_gone" => Error::ConnectionTerminated,
        "body_too_large" => Error::HttpRequestBodySize(None),
        "request_timeout" | "stream_idle" | "upstream_timeout" => Error::ConnectionReadTimeout,
        "upstream_protocol" => Error::HttpProtocolError,
        name => Error::InternalError(Some(format!("{name}: {}", error.detail))),
    }
}

/// A response's body, written by the guest.
pub struct Outgoing {
    body: WasiBody,
    invocation: Arc<Invocation>,
    ended: bool,
    /// Frames that were taken before anybody asked for them.
    early: VecDeque<Piece>,
}

type Piece = Result<Frame<Bytes>, BodyError>;

impl Outgoing {
    pub fn new(body: WasiBody, invocation: Arc<Invocation>) -> Self {
        Self { body, invocation, ended: false, early: VecDeque::new() }
    }

    /// For a guest that has ended: what it wrote is at hand, and mostly short enough to be whole.
    pub fn at_hand(mut self) -> Body {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(piece)) = self.poll_guest(&mut cx) {
            self.early.push_back(piece);
        }
        let whole = self.ended && self.early.iter().all(|piece| piece.as_ref().is_ok_and(Frame::is_data));
        if !whole {
            return Body::stream(self);
        }
        let mut pieces = self.early.drain(..).filter_map(|piece| piece.ok()?.into_data().ok());
        let first = pieces.next().unwrap_or_default();
        match pieces.next() {
            None => Body::full(first),
            Some(second) => {
                let mut all = [first, second].concat();
                pieces.for_each(|piece| all.extend_from_slice(&piece));
                Body::full(all)
            }
        }
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let last = match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.invocation.body_moved();
                return Poll::Ready(Some(Ok(frame)));
            }
            // A guest that was ended leaves a body that looks whole.
            None => self.invocation.failure().map(ended_early),
            Some(Err(_)) => Some(self.invocation.failure().map_or_else(unfinished, ended_early)),
        };
        self.ended = true;
        self.invocation.body_ended();
        Poll::Ready(last.map(Err))
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match self.early.pop_front() {
            Some(piece) => Poll::Ready(Some(piece)),
            None => self.poll_guest(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        // Only the guest's end tells whether the body is whole.
        self.ended && self.early.is_empty()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.ended {
            self.invocation.body_ended();
        }
    }
}

fn ended_early(failure: &Failure) -> BodyError {
    BodyError::new(failure.code, failure.detail.clone())
}

fn unfinished() -> BodyError {
    BodyError::new(
        &code::GUEST_EXCEPTION,
        "the component gave its response body up, or wrote another length than it promised",
    )
}

/// The body of a request that the guest makes.
pub struct Sent {
    body: WasiBody,
    /// The length that the guest promised, and wasi:http enforces.
    length: Option<u64>,
}

impl Sent {
    pub fn new(body: WasiBody, length: Option<u64>) -> Self {
        Self { body, length }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError::new(&code::GUEST_EXCEPTION, error.to_string()))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

/// A failed exchange, in the terms of wasi:http.
pub fn exchange_failed(failure: &Failure) -> Error {
    match failure.code.name {
        "egress_denied" => Error::HttpRequestDenied,
        "upstream_unreachable" => Error::DestinationUnavailable,
        "upstream_timeout" => Error::ConnectionTimeout,
        "upstream_tls" => Error::TlsProtocolError,
        "upstream_protocol" => Error::HttpProtocolError,
        _ => Error::InternalError(Some(failure.to_string())),
    }
}
