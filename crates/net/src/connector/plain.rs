//! A plain request to a server, and its answer, as text.
//!
//! Between one client and one server there is nothing to look up in the fields of a message, only some to
//! leave out and some to add. So neither is made into a map: the lines of a request are written once, and the
//! fields of its answer are read where they lie.

use std::ops::Range;

use base::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use httparse::Header;

use super::is_hop_by_hop;

/// Room for what is added to the fields of a response.
const FIELDS_ADDED: usize = 4;
/// Room for the lines of most requests.
const LINES_BYTES: usize = 512;
/// Fields of a request that is read back.
const READ_FIELDS_MAX: usize = 64;

/// A GET without a body.
#[derive(Debug)]
pub struct PlainRequest {
    /// The host that the client named, and behind it the request but for its `Host`: one piece of memory.
    text: Vec<u8>,
    host: usize,
    target: Range<usize>,
    fields: usize,
}

impl PlainRequest {
    /// `None` if the target or the host is none that everybody reads alike.
    pub fn new(target: &str, host: &str) -> Option<Self> {
        let is_plain = target.starts_with('/') && target.bytes().all(is_plain) && host.bytes().all(is_plain);
        if !is_plain {
            return None;
        }
        let start = host.len() + "GET ".len();
        let mut text = Vec::with_capacity(LINES_BYTES + start + target.len());
        for piece in [host, "GET ", target, " HTTP/1.1\r\n"] {
            text.extend_from_slice(piece.as_bytes());
        }
        Some(Self { text, host: host.len(), target: start..start + target.len(), fields: 0 })
    }

    /// Adds a field, whose name is a token and none of those that belong to a connection, to framing or to the
    /// host; no other one has it, and the value has no byte that ends it. Space around that means nothing.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        let value = value.trim_ascii();
        self.text.reserve(name.len() + value.len() + 4);
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        self.text[start..].make_ascii_lowercase();
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        self.fields += 1;
    }

    /// Adds so many fields as they are sent, as lines like those that [`PlainRequest::push`] makes, which take at most
    /// so many bytes.
    pub fn push_lines(&mut self, fields: usize, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.text.reserve(bytes);
        write(&mut self.text);
        self.fields += fields;
    }

    /// Whether it has as many fields as it may have.
    pub fn is_full(&self) -> bool {
        // With its host.
        self.fields + 1 >= READ_FIELDS_MAX
    }

    pub fn target(&self) -> PathAndQuery {
        // What is plain is one.
        PathAndQuery::try_from(&self.text[self.target.clone()]).unwrap_or(PathAndQuery::from_static("/"))
    }

    pub(super) fn host(&self) -> &[u8] {
        &self.text[..self.host]
    }

    /// As it is sent to a server that is called this, in this memory.
    pub(super) fn head(&self, host: &[u8], mut room: Vec<u8>) -> Vec<u8> {
        let pieces = [&self.text[self.host..], b"host: ", host, b"\r\n\r\n"];
        room.clear();
        room.reserve_exact(pieces.iter().map(|piece| piece.len()).sum());
        pieces.iter().for_each(|piece| room.extend_from_slice(piece));
        room
    }

    /// The same as a map.
    pub fn headers(&self) -> HeaderMap {
        read(&self.head(self.host(), Vec::new())).into_parts().0.headers
    }
}

/// Whether a byte of a target is one in its path and in its query, for every parser of either.
fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = matches!(byte as u8, b'!' | b'$'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'z' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// The request that a head says. One that is none is a request for nothing.
pub(super) fn read(head: &[u8]) -> http::Request<Body> {
    let mut room = [httparse::EMPTY_HEADER; READ_FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut room);
    let mut request = http::Request::new(Body::empty());
    let Ok(httparse::Status::Complete(_)) = parsed.parse(head) else { return request };
    if let Some(target) = parsed.path.and_then(|target| PathAndQuery::try_from(target).ok()) {
        *request.uri_mut() = target.into();
    }
    if let Some(method) = parsed.method.and_then(|method| Method::try_from(method).ok()) {
        *request.method_mut() = method;
    }
    let fields = parsed.headers.iter().map(|field| (field.name.as_bytes(), Bytes::copy_from_slice(field.value)));
    *request.headers_mut() = map(fields, parsed.headers.len());
    request
}

/// Fields that a parser took; what it takes is a name, and a value.
fn map<'a>(fields: impl Iterator<Item = (&'a [u8], Bytes)>, count: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(count + FIELDS_ADDED);
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// What a plain request comes to.
#[derive(Debug)]
pub enum Reply {
    Plain(PlainAnswer),
    /// Boxed: a plain answer is not moved about with room for it.
    Response(Box<Response<Body>>),
}

impl Reply {
    pub fn of(response: Response<Body>) -> Self {
        Self::Response(Box::new(response))
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Plain(answer) => answer.status,
            Self::Response(response) => response.status(),
        }
    }

    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Plain(answer) => answer.into_response(),
            Self::Response(response) => *response,
        }
    }
}

/// An answer that came whole, with its length.
#[derive(Debug)]
pub struct PlainAnswer {
    status: StatusCode,
    read: Vec<u8>,
    /// Bytes of it that are the head; the rest is the body.
    head: usize,
    /// Those that do not belong to the connection.
    fields: Vec<Place>,
}

/// Where a name and its value lie.
#[derive(Debug)]
pub(super) struct Place {
    name: Range<u16>,
    value: Range<u16>,
}

impl Place {
    /// Of those fields of an answer that are for who asked: not of those that belong to the connection, nor of
    /// where else the server is to be had (RFC 7838).
    pub fn of_all(fields: &[Header<'_>], bytes: &[u8]) -> Option<Vec<Self>> {
        let mut places = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.name.as_bytes();
            if !is_hop_by_hop(name) && !name.eq_ignore_ascii_case(b"alt-svc") {
                places.push(Self::of(field, bytes)?);
            }
        }
        Some(places)
    }

    /// `None` if that is nowhere in these bytes, or too far from their beginning.
    fn of(field: &Header<'_>, bytes: &[u8]) -> Option<Self> {
        let start = bytes.as_ptr() as usize;
        let place = |part: &[u8]| {
            let at = if part.is_empty() { 0 } else { (part.as_ptr() as usize).checked_sub(start)? };
            Some(u16::try_from(at).ok()?..u16::try_from(at + part.len()).ok()?)
        };
        Some(Self { name: place(field.name.as_bytes())?, value: place(field.value)? })
    }
}

impl PlainAnswer {
    pub(super) fn new(status: StatusCode, read: Vec<u8>, head: usize, fields: Vec<Place>) -> Self {
        Self { status, read, head, fields }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Those that do not belong to the connection, with their names as they were written.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let part = |range: &Range<u16>| &self.read[usize::from(range.start)..usize::from(range.end)];
        self.fields.iter().map(move |Place { name, value }| (part(name), part(value)))
    }

    pub fn body(&self) -> &[u8] {
        &self.read[self.head..]
    }

    pub fn into_response(self) -> Response<Body> {
        let Self { status, read, head, fields } = self;
        let read = Bytes::from(read);
        let part = |range: &Range<u16>| usize::from(range.start)..usize::from(range.end);
        let pieces = fields.iter().map(|Place { name, value }| (&read[part(name)], read.slice(part(value))));
        let headers = map(pieces, fields.len());
        let mut response = Response::new(Body::full(read.slice(head..)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests;
