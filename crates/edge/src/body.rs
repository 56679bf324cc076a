//! Bodies that are counted while they pass.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::{Body, BodyError, Clock, Code, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use telemetry::RecordHandle;

/// Counts a body and ends it with an error beyond a limit.
struct Counter {
    body: Body,
    bytes: u64,
    bytes_max: u64,
    over: Code,
    limit: &'static str,
    ended: bool,
}

impl Counter {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.bytes > self.bytes_max {
                self.ended = true;
                let detail = format!("the body has more than {} bytes ({})", self.bytes_max, self.limit);
                return Poll::Ready(Some(Err(BodyError::new(self.over, detail))));
            }
        }
        Poll::Ready(frame)
    }
}

/// Why a request's body ended early, for whoever answers the request.
pub(crate) type Broken = Arc<OnceLock<BodyError>>;

/// The body of a request, on its way to a worker.
struct RequestBody {
    counter: Counter,
    record: RecordHandle,
    broken: Broken,
}

pub(crate) fn bounded_request(body: Body, bytes_max: u64, record: &RecordHandle, broken: &Broken) -> Body {
    if body.is_empty() {
        return body;
    }
    let counter = Counter {
        body,
        bytes: 0,
        bytes_max,
        over: &code::BODY_TOO_LARGE,
        limit: "limits.request_body_bytes",
        ended: false,
    };
    Body::stream(RequestBody { counter, record: record.clone(), broken: broken.clone() })
}

/// A body that ends with an error beyond a limit of its route.
pub(crate) fn limited(body: Body, bytes_max: u64, limit: &'static str) -> Body {
    if body.is_empty() {
        return body;
    }
    Body::stream(Limited(Counter { body, bytes: 0, bytes_max, over: &code::BODY_TOO_LARGE, limit, ended: false }))
}

struct Limited(Counter);

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.ended || self.0.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.body.size_hint()
    }
}

/// Bodies of a known length up to this are taken whole if they are there.
const SMALL_BYTES: u64 = 64 << 10;

/// Makes a small body whole whose bytes have arrived: a worker then reads it without an operation
/// for each piece. It waits for nobody, only gives the connection one turn to hand over what it has.
pub(crate) async fn whole_if_at_hand(mut body: Body) -> Body {
    if body.size_hint().exact().is_none_or(|bytes| bytes == 0 || bytes > SMALL_BYTES) {
        return body;
    }
    let mut frames = VecDeque::new();
    let mut may_wait = true;
    while !body.is_end_stream() {
        match body.frame().now_or_never() {
            Some(None) => break,
            Some(Some(Ok(frame))) if frame.is_data() => frames.push_back(Ok(frame)),
            Some(Some(other)) => {
                frames.push_back(other);
                return Body::stream(Begun { frames, rest: body });
            }
            None if may_wait => {
                may_wait = false;
                tokio::task::yield_now().await;
            }
            None => return Body::stream(Begun { frames, rest: body }),
        }
    }
    let mut data = frames.into_iter().filter_map(|frame| frame.ok()?.into_data().ok());
    let first = data.next().unwrap_or_default();
    match data.next() {
        None => Body::full(first),
        Some(second) => {
            let mut whole = [first, second].concat();
            data.for_each(|bytes| whole.extend_from_slice(&bytes));
            Body::full(whole)
        }
    }
}

/// A body of which some frames were read already.
struct Begun {
    frames: VecDeque<Result<Frame<Bytes>, BodyError>>,
    rest: Body,
}

impl HttpBody for Begun {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    /// What a client said of its length stays said, so that an upstream hears it too.
    fn size_hint(&self) -> SizeHint {
        let data = self.frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let read: u64 = data.map(|bytes| bytes.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint.set_lower(rest.lower() + read);
        hint
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.counter.poll(cx));
        if let Some(Err(error)) = &frame {
            let _ = self.broken.set(error.clone());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.counter.ended || self.counter.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.counter.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.record.edit().request_bytes = self.counter.bytes;
    }
}

/// The body of a response that is not whole, on its way to the client. Its end completes the
/// record, for as far as the edge is concerned.
struct ResponseBody {
    counter: Counter,
    record: RecordHandle,
    clock: Arc<dyn Clock>,
    started: Duration,
    complete: bool,
    /// What ends it, one turn from now.
    broken: Option<BodyError>,
}

/// A body that ends its record when it ends, and breaks off beyond a length.
pub fn bounded_response(
    body: Body,
    bytes_max: u64,
    record: RecordHandle,
    clock: Arc<dyn Clock>,
    started: Duration,
) -> Body {
    let counter = Counter {
        body,
        bytes: 0,
        bytes_max,
        over: &code::RESPONSE_TOO_LARGE,
        limit: "limits.response_body_bytes",
        ended: false,
    };
    Body::stream(ResponseBody { counter, record, clock, started, complete: false, broken: None })
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(self.counter.poll(cx));
        match frame {
            None => self.complete = true,
            Some(Ok(_)) => self.complete = self.counter.body.is_end_stream(),
            Some(Err(error)) => {
                self.complete = true;
                let mut record = self.record.edit();
                record.code = Some(error.code);
                record.detail = Some(error.detail.clone());
                drop(record);
                // An error ends the connection, whatever waits to be sent on it: that goes first.
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && (self.counter.ended || self.counter.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.counter.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let total = self.clock.monotonic().saturating_sub(self.started);
        let mut record = self.record.edit();
        record.response_bytes = self.counter.bytes;
        record.total = total;
        if !self.complete && !self.counter.body.is_end_stream() {
            record.code.get_or_insert(&code::CLIENT_GONE);
        }
    }
}

#[cfg(test)]
mod tests;
