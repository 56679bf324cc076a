//! Content codings of HTTP bodies (RFC 9110, section 8.4), as Workers code knows them.
//!
//! A script sees every body decoded, and the header `content-encoding` says in what coding it came
//! or is to leave: a fetched body is decoded when it is read, and a response is encoded on its way
//! out, if its reader takes that coding. A body that is passed on unread, or that the script says it
//! has encoded itself, is left as it is.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base::{Body, BodyError, WorkerLimits, code};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame};
use worker::Response;

use super::compression::{Codec, CodecError, Next};

/// Marks a response whose body is in the coding that its headers name.
#[derive(Debug, Clone)]
pub struct AlreadyCoded;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

impl Coding {
    /// The coding that headers name, and how they spell it; `None` for none, for several, and for
    /// one that is not known here, which is left to those who know it.
    pub fn of(headers: &HeaderMap) -> Option<(Self, &str)> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let name = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        Some((Self::named(name.trim())?, name))
    }

    fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            Some(Coding::Gzip)
        } else if name.eq_ignore_ascii_case("br") {
            Some(Coding::Brotli)
        } else if name.eq_ignore_ascii_case("deflate") {
            Some(Coding::Deflate)
        } else {
            None
        }
    }

    /// Whether a reader with this `accept-encoding` takes it. One that says nothing takes none.
    fn is_accepted(self, accepts: Option<&HeaderValue>) -> bool {
        let Some(accepts) = accepts.and_then(|value| value.to_str().ok()) else { return false };
        let mut any = false;
        for item in accepts.split(',') {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let refused = parameters
                .trim()
                .strip_prefix(['q', 'Q'])
                .and_then(|rest| rest.trim_start().strip_prefix('=')?.trim().parse::<f32>().ok())
                .is_some_and(|weight| weight <= 0.0);
            match name.trim() {
                "*" => any = !refused,
                name if Self::named(name) == Some(self) => return !refused,
                _ => {}
            }
        }
        any
    }
}

/// Brings a response that leaves a script into a coding that its reader takes.
pub fn negotiate(mut response: Response, accepts: Option<&HeaderValue>, limits: &WorkerLimits) -> Response {
    let Some((coding, _)) = Coding::of(response.headers()) else { return response };
    let already = response.extensions_mut().remove::<AlreadyCoded>().is_some();
    let accepted = coding.is_accepted(accepts);
    if response.body().is_empty() || (already && accepted) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    if !varies_by_coding(&head.headers) {
        head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if !accepted {
        head.headers.remove(CONTENT_ENCODING);
    }
    let body = match (already, accepted) {
        (true, _) => decoded(body, coding, limits),
        (false, true) => encoded(body, coding),
        (false, false) => body,
    };
    Response::from_parts(head, body)
}

fn varies_by_coding(headers: &HeaderMap) -> bool {
    let names = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding"))
}

/// What the body says once it is decoded; an empty one is empty.
pub fn decoded(body: Body, coding: Coding, limits: &WorkerLimits) -> Body {
    Body::stream(Recoded { left: limits.decoded_mib << 20, ..Recoded::new(body, coding, false) })
}

fn encoded(body: Body, coding: Coding) -> Body {
    Body::stream(Recoded::new(body, coding, true))
}

/// A body that is encoded or decoded as it is read. It takes one frame of the inner body at a time,
/// and gives at most what one step of the codec makes of it.
struct Recoded {
    inner: Body,
    coding: Coding,
    encode: bool,
    /// Opened with the first data, which tells the two kinds of deflate apart.
    codec: Option<Codec>,
    next: Next,
    /// The inner body has ended.
    finished: bool,
    /// Bytes that may still come of it.
    left: u64,
    out: Vec<u8>,
}

impl Recoded {
    fn new(inner: Body, coding: Coding, encode: bool) -> Self {
        Self { inner, coding, encode, codec: None, next: Next::Input, finished: false, left: u64::MAX, out: Vec::new() }
    }

    fn feed(&mut self, data: &[u8]) {
        let format = match self.coding {
            Coding::Gzip => "gzip",
            Coding::Brotli => "brotli",
            Coding::Deflate if self.encode || has_zlib_header(data) => "deflate",
            Coding::Deflate => "deflate-raw",
        };
        if self.codec.is_none() {
            self.codec = Codec::open(format, self.encode, None);
        }
        if let Some(codec) = &mut self.codec {
            codec.feed(data);
        }
    }

    /// One step; `None` at the end.
    fn step(&mut self) -> Option<Result<Bytes, BodyError>> {
        let codec = self.codec.as_mut()?;
        self.out.clear();
        match codec.step(self.finished, &mut self.out) {
            Ok(next) => self.next = next,
            // What follows the end of the data is nobody's.
            Err(CodecError::Trailing) => self.next = Next::Ended,
            Err(error) => {
                self.next = Next::Ended;
                return Some(Err(BodyError::new(&code::UPSTREAM_PROTOCOL, format!("the body's coding: {error}"))));
            }
        }
        match self.left.checked_sub(self.out.len() as u64) {
            Some(left) => {
                self.left = left;
                Some(Ok(Bytes::copy_from_slice(&self.out)))
            }
            None => {
                self.next = Next::Ended;
                let detail = "the body unfolds to more than limits.decoded_mib allows";
                Some(Err(BodyError::new(&code::UPSTREAM_PROTOCOL, detail)))
            }
        }
    }
}

/// Some servers call a deflate stream without zlib's two bytes before it `deflate` too.
fn has_zlib_header(data: &[u8]) -> bool {
    match data {
        [first, second, ..] => first & 15 == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0,
        [first] => first & 15 == 8,
        [] => true,
    }
}

impl HttpBody for Recoded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.next == Next::Ended {
                return Poll::Ready(None);
            }
            if self.next == Next::Input && !self.finished {
                match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                    None => self.finished = true,
                    Some(Err(error)) => {
                        self.next = Next::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => self.feed(&data),
                        // Trailers have no place in what comes of it.
                        _ => continue,
                    },
                }
            }
            match self.step() {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            }
        }
    }
}

#[cfg(test)]
mod tests;
