//! HTTP/1.1 with a server in the clear, driven by who asks.
//!
//! hyper's client makes a task of each connection, and an exchange passes through its channels: the
//! request, the head of the response, the wish for its body, the body. Each is a turn of the scheduler. A
//! request without a body needs none of that, since nothing is to be sent while the response comes: who
//! asks writes, then reads, and the body of a small response is there with its head. So a GET or HEAD of
//! an upstream goes this way, and everything else goes hyper's; the two share a pool and no connection.
//!
//! Nobody listens to an unused connection: that its server has closed it is found out when it is looked at
//! for the next request.
//!
//! What a response may look like is read strictly (RFC 9112, section 6.3): what could end in two places is
//! an error, and a connection whose end of a message is in doubt is not used again.

use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use base::{Body, BodyError, code};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::pool::{Lease, Sender};
use crate::head::find_end;

mod chunks;

use chunks::Chunks;

/// Fields of a response.
const FIELDS_MAX: usize = 100;
/// Room for one read of a head, and of a body.
const HEAD_ROOM: usize = 8 << 10;
const BODY_ROOM: usize = 64 << 10;

/// A connection.
pub(super) struct Plain {
    stream: TcpStream,
    /// What was read and not used.
    buffer: BytesMut,
}

/// Why there is no response.
pub(super) struct Failed {
    pub reason: String,
    /// Nothing of the request was sent.
    pub unsent: bool,
}

impl Failed {
    fn after(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), unsent: false }
    }
}

/// What of a response is still to come.
enum Left {
    Length(u64),
    Chunked(Chunks),
    /// Whatever comes until the server closes.
    Close,
}

/// The head of a response.
struct Head {
    parts: http::response::Parts,
    left: Left,
    /// Another request may follow on the connection.
    reusable: bool,
}

/// Whether a request can go this way.
pub(super) fn takes(method: &Method, body: &Body) -> bool {
    body.is_empty() && matches!(*method, Method::GET | Method::HEAD)
}

impl Plain {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Unused, and the server neither closed nor said something that nobody asked for. No system call,
    /// unless something happened on the socket.
    pub fn is_open(&self) -> bool {
        let idle = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        self.buffer.is_empty() && self.stream.try_read(&mut [0]).is_err_and(idle)
    }

    /// Sends the text of a request with this method, and reads the head of its response.
    async fn ask(&mut self, text: Vec<u8>, method: &Method, head_bytes: usize) -> Result<Head, Failed> {
        let mut sent = 0;
        while sent < text.len() {
            match self.stream.write(&text[sent..]).await {
                Ok(n) if n > 0 => sent += n,
                Ok(_) => return Err(Failed::after("the connection was closed")),
                Err(error) => return Err(Failed { reason: error.to_string(), unsent: sent == 0 }),
            }
        }
        let mut searched = 0;
        loop {
            if let Some(end) = find_end(&self.buffer[searched..]).map(|end| searched + end) {
                let head = self.buffer.split_to(end).freeze();
                searched = 0;
                match read_head(&head, method)? {
                    Some(head) => return Ok(head),
                    // An interim response, which nobody waits for (RFC 9110, section 15.2).
                    None => continue,
                }
            }
            if self.buffer.len() >= head_bytes {
                return Err(Failed::after(format!("the head has more than {head_bytes} bytes")));
            }
            searched = self.buffer.len().saturating_sub(2);
            self.buffer.reserve(HEAD_ROOM);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(Failed::after("the connection was closed before the head was whole")),
                Ok(_) => {}
                Err(error) => return Err(Failed::after(error.to_string())),
            }
        }
    }

    /// Reads more, into the room that is wanted.
    fn poll_more(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<std::io::Result<usize>> {
        self.buffer.reserve(room.clamp(1, BODY_ROOM));
        // Reading keeps nothing between two polls.
        pin!(self.stream.read_buf(&mut self.buffer)).poll(cx)
    }
}

/// The head of a request in origin form, whose `Host` field is there.
fn encode(request: &http::Request<Body>) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    for part in [request.method().as_str(), " ", path, " HTTP/1.1\r\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// What a whole head says; `None` for an interim response.
fn read_head(head: &Bytes, method: &Method) -> Result<Option<Head>, Failed> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(n)) if n == head.len() => {}
        Ok(_) => return Err(Failed::after("a line of the head ends in two ways")),
        Err(error) => return Err(Failed::after(format!("the head can't be read: {error}"))),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| Failed::after("the status is none"))?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failed::after("the server changes to a protocol that nobody asked for"));
    }
    if status.is_informational() {
        return Ok(None);
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // Of the head itself, without a copy.
        let value = match field.value.is_empty() {
            true => Ok(HeaderValue::from_static("")),
            false => HeaderValue::from_maybe_shared(head.slice_ref(field.value)),
        };
        let (Ok(name), Ok(value)) = (name, value) else { return Err(Failed::after("a field can't be read")) };
        headers.append(name, value);
    }
    let (mut parts, _) = Response::new(()).into_parts();
    let is_old = parsed.version == Some(0);
    (parts.status, parts.headers) = (status, headers);
    parts.version = if is_old { Version::HTTP_10 } else { Version::HTTP_11 };
    let bodiless = *method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let (left, certain) = if bodiless { (Left::Length(0), true) } else { framing(&mut parts.headers, is_old)? };
    let reusable = certain && keeps(&parts.headers, is_old);
    Ok(Some(Head { parts, left, reusable }))
}

/// How the end of the body is found (RFC 9112, section 6.3), and whether another message may follow it.
fn framing(headers: &mut HeaderMap, is_old: bool) -> Result<(Left, bool), Failed> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") || is_old {
            return Err(Failed::after("the response has a transfer coding that is not known"));
        }
        // Told twice, the length is in doubt.
        let certain = headers.remove(header::CONTENT_LENGTH).is_none();
        return Ok((Left::Chunked(Chunks::default()), certain));
    }
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        let digits = !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
        let told = value.to_str().ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
        match (told, length) {
            (Some(told), None) => length = Some(told),
            (Some(told), Some(before)) if told == before => {}
            _ => return Err(Failed::after("Content-Length is not one number of bytes")),
        }
    }
    Ok(length.map_or((Left::Close, false), |length| (Left::Length(length), true)))
}

/// Whether the server goes on with the connection (RFC 9112, section 9.3).
fn keeps(headers: &HeaderMap, is_old: bool) -> bool {
    let says = |wanted: &str| {
        let lines = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    !says("close") && (!is_old || says("keep-alive"))
}

impl Lease {
    /// Sends a request that can go this way, on such a connection; an error comes with the request if
    /// nothing of it was sent.
    pub(super) async fn ask(
        mut self,
        request: http::Request<Body>,
        head_bytes: usize,
    ) -> Result<Response<Body>, (String, Option<http::Request<Body>>)> {
        self.link.wear.requests.fetch_add(1, Ordering::Relaxed);
        let Sender::Plain(plain) = &mut self.link.sender else {
            return Err(("the connection is another kind's".to_owned(), Some(request)));
        };
        let (text, method) = (encode(&request), request.method().clone());
        let head = match plain.ask(text, &method, head_bytes).await {
            Ok(head) => head,
            Err(Failed { reason, unsent }) => return Err((reason, unsent.then_some(request))),
        };
        let Head { parts, left, reusable } = head;
        let at_hand = match left {
            Left::Length(bytes) if bytes <= plain.buffer.len() as u64 => {
                Some(plain.buffer.split_to(bytes as usize).freeze())
            }
            _ => None,
        };
        let body = match at_hand {
            Some(whole) => {
                self.give_back(reusable);
                Body::full(whole)
            }
            None => Body::stream(PlainBody { lease: Some(self), left, reusable }),
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Back to the pool, unless the connection is used up.
    fn give_back(mut self, reusable: bool) {
        let Sender::Plain(plain) = &mut self.link.sender else { return };
        if reusable && plain.buffer.is_empty() {
            // An empty rest would keep its memory for as long as the connection lies unused.
            plain.buffer = BytesMut::new();
            self.release();
        }
    }
}

/// A body that is read from its connection while it is asked for.
struct PlainBody {
    lease: Option<Lease>,
    left: Left,
    reusable: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl PlainBody {
    fn broke(&mut self, reason: impl std::fmt::Display) -> Polled {
        self.lease = None;
        let detail = format!("the response broke off: {reason}");
        Poll::Ready(Some(Err(BodyError::new(&code::UPSTREAM_PROTOCOL, detail))))
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back(self.reusable);
        }
    }

    /// The next frame of what is there.
    fn next(&mut self) -> Result<Option<Frame<Bytes>>, &'static str> {
        let Some(Lease { link, .. }) = &mut self.lease else { return Ok(None) };
        let Sender::Plain(plain) = &mut link.sender else { return Ok(None) };
        let buffer = &mut plain.buffer;
        let piece = match &mut self.left {
            Left::Chunked(chunks) => return chunks.next(buffer),
            Left::Length(left) => {
                let n = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                buffer.split_to(n)
            }
            Left::Close => buffer.split(),
        };
        Ok((!piece.is_empty()).then(|| Frame::data(piece.freeze())))
    }

    fn is_over(&self) -> bool {
        match &self.left {
            Left::Length(left) => *left == 0,
            Left::Chunked(chunks) => chunks.is_end(),
            Left::Close => false,
        }
    }
}

impl http_body::Body for PlainBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        loop {
            match self.next() {
                Err(reason) => return self.broke(reason),
                Ok(Some(frame)) => {
                    if self.is_over() {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(None) if self.is_over() => self.end(),
                Ok(None) => {}
            }
            let room = match &self.left {
                Left::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX),
                Left::Chunked(_) | Left::Close => BODY_ROOM,
            };
            let Some(Lease { link, .. }) = &mut self.lease else { return Poll::Ready(None) };
            let Sender::Plain(plain) = &mut link.sender else { return Poll::Ready(None) };
            match ready!(plain.poll_more(cx, room)) {
                Ok(0) if matches!(self.left, Left::Close) => self.lease = None,
                Ok(0) => return self.broke("the connection was closed"),
                Ok(_) => {}
                Err(error) => return self.broke(error),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.left {
            Left::Length(left) => SizeHint::with_exact(*left),
            Left::Chunked(_) | Left::Close => SizeHint::default(),
        }
    }
}

/// A connection that was just made.
pub(super) fn link(dialled: super::dial::Dialled<TcpStream>) -> super::pool::Link {
    let sender = Sender::Plain(Plain::new(dialled.stream));
    super::pool::Link { sender, address: dialled.address, wear: super::pool::Wear::new() }
}

#[cfg(test)]
mod tests;
