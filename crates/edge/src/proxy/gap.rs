//! An answer with a hole, and the bytes that fill it.
//!
//! What stored parts leave out of what is asked for is asked of the origin alone, on the condition that it
//! is still of the same whole (RFC 9111, section 3.4). If the origin has another one by now, or answers
//! something else, nothing is put together, and the request goes the way that it goes without parts.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::{Body, BodyError, code};
use bytes::Bytes;
use cache::{Gap, Key};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::cached::{Caching, ask};
use super::{Forwarded, Upstream, part};

/// The answer, and whether what filled it is kept; `None` if nothing does.
pub(super) async fn fill(
    caching: &Caching<'_>,
    upstream: &Arc<Upstream>,
    whole: &Key,
    request: Forwarded,
    gap: Gap,
) -> Option<(Response<Body>, bool)> {
    let client = request.headers.clone();
    let ticket = caching.cache.responses.ticket();
    let request = asking(request, &gap)?;
    let response = ask(upstream, caching.behind.as_ref(), request).await.ok()?;
    if !gap.is_filled_by(&client, response.status(), response.headers()) {
        return None;
    }
    let (response, kept) = part::keep(caching, whole, &client, ticket, response);
    let missing = gap.missing.end - gap.missing.start;
    let (before, after) = (gap.before.body, gap.after);
    let bytes = before.len() + missing + after.len();
    let body = Sequence {
        bodies: VecDeque::from([
            (before.len(), before.into_body()),
            (missing, response.into_body()),
            (after.len(), after.into_body()),
        ]),
        bytes,
    };
    let mut joined = Response::new(Body::stream(body));
    *joined.status_mut() = gap.before.status;
    *joined.headers_mut() = gap.before.headers;
    Some((joined, kept))
}

/// The request for what is missing.
fn asking(mut request: Forwarded, gap: &Gap) -> Option<Forwarded> {
    let range = HeaderValue::try_from(format!("bytes={}-{}", gap.missing.start, gap.missing.end - 1)).ok()?;
    let headers: &mut HeaderMap = &mut request.headers;
    cache::reduce_encodings(headers);
    headers.insert(header::RANGE, range);
    headers.insert(header::IF_RANGE, gap.etag.clone());
    Some(request)
}

/// Bodies one after the other, each of which has to have the size that it was said to have.
struct Sequence {
    /// What is left of each.
    bodies: VecDeque<(u64, Body)>,
    bytes: u64,
}

impl HttpBody for Sequence {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some((left, body)) = self.bodies.front_mut() else { return Poll::Ready(None) };
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.bodies.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None if *left == 0 => {
                    self.bodies.pop_front();
                    continue;
                }
                None => return self.wrong("a part is shorter than it was said to be"),
            };
            // The fields behind a part are not those of the whole.
            let Ok(data) = frame.into_data() else { continue };
            let bytes = data.len() as u64;
            let Some(rest) = left.checked_sub(bytes) else {
                return self.wrong("a part is longer than it was said to be");
            };
            *left = rest;
            self.bytes -= bytes;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bodies.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

impl Sequence {
    fn wrong(&mut self, detail: &str) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.bodies.clear();
        Poll::Ready(Some(Err(BodyError::new(&code::UPSTREAM_PROTOCOL, detail))))
    }
}
