//! An exchange on a connection that hyper knows nothing of, where there is nothing to know.
//!
//! Most of what goes to a server through here is a GET without a body, and most of what comes back is a
//! head with one length and a body of that length in the same piece. Of hyper's client such an exchange
//! takes a channel, a state for what may come next, two buffers and a third of the time. So it is made by
//! hand: one head is written, and what was read is looked at by a pure function ([`judge`]), with hyper's
//! own parser.
//!
//! **Framing stays hyper's.** What [`judge`] calls plain has one reading: HTTP/1.1, a final status whose
//! response has a body, exactly one `Content-Length` of digits, nothing said of codings, upgrades or the end
//! of the connection, and not one byte behind the body. Everything else (interim answers, chunks, a body
//! that ends with the connection or has not come yet, nonsense, an error) is given to hyper from its first
//! byte, together with the connection ([`Resumed`](super::resumed::Resumed)), and judged by it alone.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base::Body;
use http::{Method, StatusCode, Version, header};
use httparse::{Header, ParserConfig};
use tokio::io::ReadBuf;

use super::plain::{Place, PlainAnswer};
use super::upgrade::Stream;
use crate::head::put_fields;

/// Fields of an answer that is plain.
const FIELDS_MAX: usize = 64;
/// Of an answer that is plain, its head and its body. No more is read before hyper has it.
pub(super) const ANSWER_BYTES_MAX: usize = 8 << 10;
/// An answer in more pieces is hyper's: each of them is looked at from the beginning.
const PIECES_MAX: usize = 8;

/// What can be said of the bytes of an answer so far.
pub(super) enum Verdict<'b> {
    /// More of its head has to come.
    Head,
    /// Its head is plain, and more of its body has to come.
    Body,
    /// It is plain, and there is no more of it.
    Plain(Plain<'b>),
    /// It is for hyper to judge, whatever follows.
    Other,
}

/// A plain answer.
pub(super) struct Plain<'b> {
    pub status: StatusCode,
    pub fields: &'b [Header<'b>],
    /// Bytes of the head; the rest is the body.
    pub head: usize,
}

type Room<'b> = [MaybeUninit<Header<'b>>; FIELDS_MAX];

/// Judges an answer to a GET. Once it says anything but [`Verdict::Head`] or [`Verdict::Body`], more bytes of the
/// same answer change nothing.
pub(super) fn judge<'b>(bytes: &'b [u8], room: &'b mut Room<'b>) -> Verdict<'b> {
    let mut parsed = httparse::Response::new(&mut []);
    let head = match ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, room) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() < ANSWER_BYTES_MAX => return Verdict::Head,
        Ok(httparse::Status::Partial) | Err(_) => return Verdict::Other,
    };
    let fields: &'b [Header<'b>] = parsed.headers;
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).filter(|status| has_body(*status));
    // Words of its own for a status are kept, by hyper.
    let Some(status) = status.filter(|status| parsed.version == Some(1) && parsed.reason == status.canonical_reason())
    else {
        return Verdict::Other;
    };
    let Some(length) = length(fields) else { return Verdict::Other };
    match (bytes.len() - head).cmp(&length) {
        std::cmp::Ordering::Less if head.saturating_add(length) <= ANSWER_BYTES_MAX => Verdict::Body,
        std::cmp::Ordering::Equal => Verdict::Plain(Plain { status, fields, head }),
        std::cmp::Ordering::Less | std::cmp::Ordering::Greater => Verdict::Other,
    }
}

/// Whether the length of a response to a GET is what its fields say (RFC 9112, section 6.3).
fn has_body(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How long the body is, if the fields say that once and nothing else of framing or of the connection.
fn length(fields: &[Header<'_>]) -> Option<usize> {
    let mut length = None;
    for Header { name, value } in fields {
        match name.len() {
            7 if name.eq_ignore_ascii_case("upgrade") => return None,
            10 if name.eq_ignore_ascii_case("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => return None,
            14 if name.eq_ignore_ascii_case("content-length") => {
                length = Some(number(value).filter(|_| length.is_none())?);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => return None,
            _ => {}
        }
    }
    length
}

/// Digits and nothing else: `parse` would take a plus sign as well.
fn number(digits: &[u8]) -> Option<usize> {
    let next = |number: usize, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, next) }
}

/// The head of a request as hyper writes it, for one that can be asked without it.
pub(super) fn head_of(request: &http::Request<Body>) -> Option<Vec<u8>> {
    let plain = request.method() == Method::GET
        && request.body().is_empty()
        && request.version() == Version::HTTP_11
        && request.extensions().is_empty()
        && request.uri().path().starts_with('/');
    let target = request.uri().path_and_query().filter(|_| plain)?.as_str();
    let headers = request.headers();
    // Whoever says something of its connection, or of a body, is none of these.
    if headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::CONNECTION) {
        return None;
    }
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut head = Vec::with_capacity(target.len() + fields + 32);
    for piece in ["GET ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    put_fields(&mut head, headers);
    head.extend_from_slice(b"\r\n");
    Some(head)
}

/// Whether nothing came on an unused connection, neither its end nor what nobody has asked for. If so, what comes
/// next wakes whose context this is.
pub(super) fn is_silent(stream: &mut dyn Stream, cx: &mut Context<'_>) -> bool {
    let mut byte = [0];
    Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
}

/// An exchange under way.
pub(super) struct Exchange {
    pub request: Vec<u8>,
    sent: usize,
    flushed: bool,
    /// What was read of the answer.
    pub read: Vec<u8>,
    pieces: usize,
    /// Its head has come, and it is plain so far.
    is_in_body: bool,
    /// Nothing had come just now, and what comes wakes who waits.
    listens: bool,
    /// What went wrong on the connection, for hyper to find.
    pub failure: Option<io::Error>,
}

impl Exchange {
    /// `listens` if [`is_silent`] was said in this turn, for the same task.
    pub fn new(request: Vec<u8>, listens: bool) -> Self {
        let read = Vec::new();
        Self { request, sent: 0, flushed: false, read, pieces: 0, is_in_body: false, listens, failure: None }
    }

    /// Sends the request and reads the answer. `None` if the answer is hyper's.
    pub fn poll(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<Option<PlainAnswer>> {
        let listens = std::mem::take(&mut self.listens);
        match ready!(self.poll_send(stream, cx)) {
            // No answer comes before anybody has looked at the socket again.
            Ok(()) if listens => Poll::Pending,
            Ok(()) => self.poll_answer(stream, cx),
            Err(error) => {
                self.failure = Some(error);
                Poll::Ready(None)
            }
        }
    }

    fn poll_send(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.request.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.request[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what is there, 0 bytes at the end. It is read onto the stack and kept in as much memory as it takes: an
    /// exchange that waits, as most do most of the time, holds none, and a short answer is a small allocation.
    fn poll_piece(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); ANSWER_BYTES_MAX];
        let mut piece = ReadBuf::uninit(&mut space[self.read.len()..]);
        ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
        let piece = piece.filled();
        self.read.reserve_exact(piece.len());
        self.read.extend_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_answer(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<Option<PlainAnswer>> {
        loop {
            match self.poll_piece(stream, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => self.pieces += 1,
                Poll::Ready(Err(error)) => {
                    self.failure = Some(error);
                    return Poll::Ready(None);
                }
                // The response has begun, and goes on as it comes.
                Poll::Pending if self.is_in_body => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
            let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
            match judge(&self.read, &mut room) {
                Verdict::Plain(Plain { status, fields, head }) => {
                    let fields = Place::of_all(fields, &self.read);
                    let read = |fields| PlainAnswer::new(status, std::mem::take(&mut self.read), head, fields);
                    return Poll::Ready(fields.map(read));
                }
                Verdict::Body => self.is_in_body = true,
                Verdict::Head => {}
                Verdict::Other => return Poll::Ready(None),
            }
            if self.pieces == PIECES_MAX {
                return Poll::Ready(None);
            }
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
