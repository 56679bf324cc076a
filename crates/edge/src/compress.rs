//! Answers that are compressed on their way out: what a worker, a directory of files or an upstream sends as
//! it is, to a client that accepts a coding.
//!
//! Hits have their compressed bodies stored beside them ([`proxy`](crate::proxy)). This is for everything
//! else: what is made for one request, what is not to be stored, and the first answer of what is. A body that
//! is at hand and small is compressed at once and has a length. Any other is compressed as it comes, in
//! pieces, and whenever its source pauses, what it has sent so far is flushed: nobody waits for a block to
//! fill up. After some work the task gives way, so that a large body does not hold up the others on its core.
//!
//! Not compressed is what has a coding already, what says `no-transform`, what is no text, a part, and what is
//! too small to gain. Event streams go out as they are. When `compressed_streams` bodies are on their way, a
//! further one goes out as it is: an encoder holds memory for as long as its client reads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use base::{Body, BodyError, code};
use bytes::Bytes;
use cache::Coding;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use net::Request;

use crate::told;

mod encoder;

use encoder::Encoder;

/// A body at hand is compressed before its head is sent, which takes about a millisecond.
const AT_ONCE_BYTES: usize = 64 << 10;
/// Compressed between two looks at what there is to send.
const PIECE_BYTES: usize = 16 << 10;
/// Compressed in one turn.
const TURN_BYTES: usize = 128 << 10;
/// A hit whose body is larger is sent as it is stored: to compress it again for each client is worth less.
const HIT_BYTES_MAX: u64 = cache::COMPRESSED_BYTES_MAX;

/// How many bodies are being compressed, of so many at most.
pub(crate) struct Streams {
    now: AtomicU64,
    max: u64,
}

impl Streams {
    pub fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(0), max })
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        let place = Place(self.clone());
        (self.now.fetch_add(1, Ordering::Relaxed) < self.max).then_some(place)
    }
}

/// One of them.
struct Place(Arc<Streams>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Compressed files of one core, by the entity tag that their content gives them.
#[derive(Default)]
pub(crate) struct Kept(RefCell<Shelf>);

#[derive(Default)]
struct Shelf {
    files: HashMap<(Vec<u8>, Coding), Bytes>,
    bytes: usize,
}

impl Kept {
    fn get(&self, key: &(Vec<u8>, Coding)) -> Option<Bytes> {
        self.0.borrow().files.get(key).cloned()
    }

    /// Beyond the bound all go: what is asked for is soon there again.
    fn put(&self, key: (Vec<u8>, Coding), made: Bytes, bytes_max: usize) {
        let mut shelf = self.0.borrow_mut();
        let bytes = made.len() + key.0.len();
        if shelf.bytes + bytes > bytes_max {
            *shelf = Shelf::default();
        }
        if bytes <= bytes_max {
            shelf.bytes += bytes;
            shelf.files.insert(key, made);
        }
    }
}

/// What a client accepts; none if its answer has no body to compress.
pub(crate) fn wanted(request: &Request) -> Option<Coding> {
    if request.method == Method::HEAD || request.upgrade || !request.headers.contains_key(header::ACCEPT_ENCODING) {
        return None;
    }
    cache::negotiate(&request.headers)
}

/// Compresses an answer, if that is worth it; what is the same for all who ask for it is kept. Its header
/// says that others get it otherwise, whatever this client gets.
pub(crate) fn answer(
    response: &mut Response<Body>,
    coding: Option<Coding>,
    streams: &Arc<Streams>,
    kept: Option<(&Kept, usize)>,
) {
    if !is_worth(response) {
        return;
    }
    cache::vary_by_encoding(response.headers_mut());
    let Some(coding) = coding else { return };
    let whole = response.body().whole().map(<[u8]>::len);
    let made = match whole {
        Some(bytes) if bytes <= AT_ONCE_BYTES || kept.is_some() => match at_once(response, coding, kept) {
            Some(made) => Body::full(made),
            None => return,
        },
        _ => {
            let Some((place, encoder)) = streams.enter().zip(Encoder::new(coding).ok()) else { return };
            let body = std::mem::take(response.body_mut());
            Body::stream(Pressing::new(body, encoder, place))
        }
    };
    *response.body_mut() = made;
    cache::recode_header(response.headers_mut(), coding);
}

/// Whether an answer gains by it, and may be compressed. Most of those that are made for one request are small, so
/// that comes first, and nothing is read for it.
fn is_worth(response: &Response<Body>) -> bool {
    let (status, headers, exact) = (response.status(), response.headers(), response.body().size_hint().exact());
    if exact.is_some_and(|bytes| bytes < cache::COMPRESSED_BYTES_MIN) {
        return false;
    }
    let has_body = !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
        );
    if !has_body || !cache::may_encode(headers) {
        return false;
    }
    let told = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    match exact.or_else(told) {
        Some(bytes) => bytes >= cache::COMPRESSED_BYTES_MIN && !(bytes > HIT_BYTES_MAX && told::is_hit(headers)),
        None => true,
    }
}

/// The compressed body, unless nothing is gained by it.
fn at_once(response: &Response<Body>, coding: Coding, kept: Option<(&Kept, usize)>) -> Option<Bytes> {
    let tag = || Some((response.headers().get(header::ETAG)?.as_bytes().to_vec(), coding));
    let kept = kept.and_then(|(kept, bytes_max)| Some((kept, bytes_max, tag()?)));
    let found = kept.as_ref().and_then(|(kept, _, key)| kept.get(key));
    let made = match found {
        Some(found) => found,
        None => {
            let body = response.body().whole()?;
            let made = encoder::whole(body, coding).ok()?;
            // Kept empty, so that it is not tried again.
            let made = if made.len() < body.len() { made } else { Bytes::new() };
            if let Some((kept, bytes_max, key)) = kept {
                kept.put(key, made.clone(), bytes_max);
            }
            made
        }
    };
    Some(made).filter(|made| !made.is_empty())
}

/// A body that is compressed as it comes.
struct Pressing {
    body: Body,
    /// Taken when the body has ended.
    encoder: Option<Encoder>,
    /// What came and is not compressed yet.
    rest: Bytes,
    /// Something is in the encoder that was not flushed.
    holds: bool,
    trailers: Option<HeaderMap>,
    /// Compressed since the task last gave way.
    turn_bytes: usize,
    _place: Place,
}

/// What there is to do next.
enum Step {
    Send(Frame<Bytes>),
    Again,
}

impl Pressing {
    fn new(body: Body, encoder: Encoder, place: Place) -> Self {
        let rest = Bytes::new();
        Self { body, encoder: Some(encoder), rest, holds: false, trailers: None, turn_bytes: 0, _place: place }
    }

    /// One piece of what came.
    fn press(&mut self) -> std::io::Result<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        self.turn_bytes += piece.len();
        self.holds = true;
        let Some(encoder) = &mut self.encoder else { return Ok(Bytes::new()) };
        encoder.write(&piece)?;
        Ok(encoder.take())
    }

    /// What is in the encoder, at a pause.
    fn flush(&mut self) -> std::io::Result<Bytes> {
        self.holds = false;
        let Some(encoder) = &mut self.encoder else { return Ok(Bytes::new()) };
        encoder.flush()?;
        Ok(encoder.take())
    }

    fn finish(&mut self) -> std::io::Result<Bytes> {
        self.holds = false;
        self.encoder.take().map_or(Ok(Bytes::new()), Encoder::finish)
    }

    /// What the next frame of the body comes to.
    fn take(&mut self, frame: Option<Frame<Bytes>>) -> std::io::Result<Step> {
        let made = match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.rest = data;
                return Ok(Step::Again);
            }
            Some(Err(other)) => {
                self.trailers = other.into_trailers().ok();
                self.finish()?
            }
            None => self.finish()?,
        };
        Ok(if made.is_empty() { Step::Again } else { Step::Send(Frame::data(made)) })
    }
}

impl HttpBody for Pressing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let failed = |error: std::io::Error| Poll::Ready(Some(Err(BodyError::new(&code::INTERNAL, error.to_string()))));
        loop {
            if self.turn_bytes >= TURN_BYTES {
                self.turn_bytes = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.rest.is_empty() {
                match self.press() {
                    Ok(made) if made.is_empty() => continue,
                    Ok(made) => return Poll::Ready(Some(Ok(Frame::data(made)))),
                    Err(error) => return failed(error),
                }
            }
            if self.encoder.is_none() {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(frame) => frame.and_then(Result::ok),
                Poll::Pending => {
                    self.turn_bytes = 0;
                    return match self.holds.then(|| self.flush()) {
                        Some(Ok(made)) if !made.is_empty() => Poll::Ready(Some(Ok(Frame::data(made)))),
                        Some(Err(error)) => failed(error),
                        _ => Poll::Pending,
                    };
                }
            };
            match self.take(frame) {
                Ok(Step::Send(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Step::Again) => {}
                Err(error) => return failed(error),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;
