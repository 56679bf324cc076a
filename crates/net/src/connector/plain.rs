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
    target: PathAndQuery,
    /// The host that the client named.
    host: HeaderValue,
    lines: Vec<u8>,
    fields: usize,
}

impl PlainRequest {
    /// `None` if the target is none that everybody reads alike.
    pub fn new(target: PathAndQuery, host: HeaderValue) -> Option<Self> {
        let text = target.as_str();
        let is_plain = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| Self { target, host, lines: Vec::with_capacity(LINES_BYTES), fields: 0 })
    }

    /// Adds a field, whose name is a token and none of those that belong to a connection, to framing or to the
    /// host; no other one has it, and the value has no byte that ends it. Space around that means nothing.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.fields += 1;
        self.lines.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value.trim_ascii());
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Whether it has as many fields as it may have.
    pub fn is_full(&self) -> bool {
        // With its host.
        self.fields + 1 >= READ_FIELDS_MAX
    }

    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// As it is sent to a server that is called this.
    pub(super) fn head(&self, host: &HeaderValue) -> Vec<u8> {
        let target = self.target.as_str().as_bytes();
        let pieces = [b"GET ", target, b" HTTP/1.1\r\n", &self.lines, b"host: ", host.as_bytes(), b"\r\n\r\n"];
        pieces.concat()
    }

    /// The same as a map.
    pub fn headers(&self) -> HeaderMap {
        read(&self.head(&self.host)).into_parts().0.headers
    }
}

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
    let fields = parsed.headers.iter().map(|field| (field.name, Bytes::copy_from_slice(field.value)));
    *request.headers_mut() = map(fields, parsed.headers.len());
    request
}

/// Fields that a parser took; what it takes is a name, and a value.
fn map<'a>(fields: impl Iterator<Item = (&'a str, Bytes)>, count: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(count + FIELDS_ADDED);
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_maybe_shared(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// What a plain request comes to.
#[derive(Debug)]
pub enum Reply {
    Plain(PlainAnswer),
    Response(Response<Body>),
}

impl Reply {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Plain(answer) => answer.status,
            Self::Response(response) => response.status(),
        }
    }

    pub fn into_response(self) -> Response<Body> {
        match self {
            Self::Plain(answer) => answer.into_response(),
            Self::Response(response) => response,
        }
    }
}

/// An answer that came whole, with its length.
#[derive(Debug)]
pub struct PlainAnswer {
    status: StatusCode,
    read: Bytes,
    /// Bytes of it that are the head; the rest is the body.
    head: usize,
    fields: Vec<Place>,
}

/// Where a name and its value lie.
#[derive(Debug)]
pub(super) struct Place {
    name: Range<u16>,
    value: Range<u16>,
}

impl Place {
    /// `None` if that is nowhere in these bytes, or too far from their beginning.
    pub fn of(field: &Header<'_>, bytes: &[u8]) -> Option<Self> {
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
        Self { status, read: read.into(), head, fields }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Those that do not belong to the connection, with their names as they were written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        let part = |range: &Range<u16>| &self.read[usize::from(range.start)..usize::from(range.end)];
        let fields = self.fields.iter().map(move |Place { name, value }| {
            // Names are tokens.
            (std::str::from_utf8(part(name)).unwrap_or_default(), part(value))
        });
        // Nor where else the server is to be had (RFC 7838).
        fields.filter(|(name, _)| !is_hop_by_hop(name) && !name.eq_ignore_ascii_case("alt-svc"))
    }

    pub fn body(&self) -> &[u8] {
        &self.read[self.head..]
    }

    pub fn into_response(self) -> Response<Body> {
        let fields = self.fields().map(|(name, value)| (name, self.read.slice_ref(value)));
        let headers = map(fields, self.fields.len());
        let mut response = Response::new(Body::full(self.read.slice(self.head..)));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests;
