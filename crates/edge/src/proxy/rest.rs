//! The rest of a response, for one who reads slower than the others it was fetched for.
//!
//! What many read together is not kept for the slowest of them ([`filling`](super::filling)). Whoever falls
//! behind further than what is held asks for the rest alone, by a range, on the condition that the origin still
//! has the same body byte for byte: that takes a strong validator (RFC 9110, section 13.1.5). Where there is
//! none, or the origin answers with anything but exactly that rest, the response breaks off, as it has to when
//! nobody has the bytes any more.

use std::sync::Arc;

use base::Body;
use cache::{Span, Stored};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::filling::BEHIND_BYTES;
use super::{Forwarded, Upstream};

/// Asks for the bytes from here on; `None` if they are not to be had.
pub(super) type Rest = Box<dyn FnOnce(u64) -> BoxFuture<'static, Option<Body>> + Send>;

/// What of a request is about another representation than the one that is read.
const CONDITIONS: [HeaderName; 5] =
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE, header::RANGE];

/// How one who asked with this request gets the rest of what is stored; `None` if it can't be had alone, or
/// nobody can fall behind.
pub(super) fn of(upstream: &Arc<Upstream>, request: &Forwarded, stored: &Stored, size: Option<u64>) -> Option<Rest> {
    let etag = stored.headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""))?.clone();
    let is_held = size.is_some_and(|size| size <= BEHIND_BYTES as u64);
    if is_held || stored.status != StatusCode::OK {
        return None;
    }
    let coding = stored.headers.get(header::CONTENT_ENCODING).cloned();
    let (upstream, mut request) = (upstream.clone(), request.bodiless());
    Some(Box::new(move |from| {
        Box::pin(async move {
            set_range(&mut request.headers, from, &etag)?;
            let response = upstream.ask(request).await.ok()?;
            is_rest(&response, from, size, &etag, coding.as_ref()).then(|| response.into_body())
        })
    }))
}

fn set_range(headers: &mut HeaderMap, from: u64, etag: &HeaderValue) -> Option<()> {
    for name in &CONDITIONS {
        headers.remove(name);
    }
    cache::reduce_encodings(headers);
    headers.insert(header::RANGE, HeaderValue::try_from(format!("bytes={from}-")).ok()?);
    headers.insert(header::IF_RANGE, etag.clone());
    Some(())
}

/// Whether an answer is all from here to the end, of the same whole.
fn is_rest(
    response: &Response<Body>,
    from: u64,
    size: Option<u64>,
    etag: &HeaderValue,
    coding: Option<&HeaderValue>,
) -> bool {
    let headers = response.headers();
    let is_all = |span: Span| span.part == (from..span.total) && size.is_none_or(|size| size == span.total);
    response.status() == StatusCode::PARTIAL_CONTENT
        && headers.get(header::ETAG).is_some_and(|found| found.as_bytes().trim_ascii() == etag.as_bytes())
        && headers.get(header::CONTENT_ENCODING) == coding
        && Span::parse(headers).is_some_and(is_all)
}

#[cfg(test)]
mod tests;
