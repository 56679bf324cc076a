//! The head of a request as it came, for whoever has its answer at hand.
//!
//! A whole parser makes values of everything that a head says, a task and a future carry them, and most
//! of it is dropped unread when the answer lies ready. So a request of the plainest kind is looked at
//! before all that: one GET of HTTP/1.1 that stands alone in the buffer, has no body, and asks nothing
//! of its connection. It has been judged already ([`check_head`](crate::head::check_head)); whatever else
//! is not plain about it is no glance but `None`, and the request goes the long way, which knows
//! everything. A glance therefore decides nothing that the long way would decide otherwise.
//!
//! A request of HTTP/2 was parsed already, for its fields are compressed together with all before it. It is
//! looked at in the same way, before it becomes a task.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use base::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use httparse::Header;

use crate::request::{Protocol, Request};
use crate::tls::Secured;
use crate::{ServerLimits, target};

/// Fields of a request that is looked at; one with more goes the long way.
pub(crate) const FIELDS_MAX: usize = 40;
/// Room for what is added to a request that is passed on.
const FIELDS_ADDED: usize = 8;

/// Looks at a request that may have its answer at hand, or who can be asked for it. What was written by one
/// that returns `None` is forgotten.
pub type AtOnce = Box<dyn Fn(&Glance<'_>, &mut Vec<u8>) -> Option<Found>>;

/// The same for a request of HTTP/2.
pub type AtHand = Box<dyn Fn(&Glance<'_>) -> Option<Given>>;

/// What came of a look at a request of HTTP/2.
pub enum Given {
    /// The whole answer.
    Answer(Response<Body>),
    /// It will be there. To drop it gives it up.
    Later(Pin<Box<dyn Future<Output = Response<Body>>>>),
}

/// What came of a look.
pub enum Found {
    /// The head of the answer was written, and this is its body, whose length is told by `Content-Length`.
    Answer(Bytes),
    /// It will be there. To drop it gives it up.
    Later(Later),
}

pub type Later = Pin<Box<dyn Future<Output = Late>>>;

/// An answer that was waited for.
pub enum Late {
    /// As [`Found::Answer`]. The head ends with its empty line.
    Whole { head: Vec<u8>, body: Bytes },
    /// The same in one piece, of which so many bytes are the head.
    Short { text: Vec<u8>, head: usize },
    /// One that has to be framed, as the long way has it from its service.
    Response(Response<Body>),
}

/// A plain request, normal as every [`Request`](crate::Request) is. Its method is GET.
#[derive(Debug)]
pub struct Glance<'a> {
    pub peer: SocketAddr,
    /// The number of the listener that it came by.
    pub listener: usize,
    /// It came under TLS.
    pub secured: bool,
    /// Host and port as the client named them, in lower case.
    pub authority: &'a str,
    /// The host without its port and without a trailing dot.
    host: &'a str,
    /// Still percent-encoded.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// HTTP/1.1 or HTTP/2.
    pub protocol: Protocol,
    /// Of HTTP/1.1: the bytes that everything here is a piece of.
    head: &'a [u8],
    target: &'a str,
    session: Option<&'a Arc<Secured>>,
    fields: &'a [Header<'a>],
}

impl<'a> Glance<'a> {
    /// `head` has passed the judge, and is all that there is of the request.
    pub(crate) fn read(
        head: &'a [u8],
        room: &'a mut [Header<'a>; FIELDS_MAX],
        (peer, listener, session): (SocketAddr, usize, Option<&'a Arc<Secured>>),
    ) -> Option<Self> {
        let mut parsed = httparse::Request::new(room);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(bytes)) if bytes == head.len() => {}
            _ => return None,
        }
        let (method, target, version) = (parsed.method?, parsed.path?, parsed.version?);
        // A target with anything but printable ASCII is one for the whole parser.
        if method != "GET" || version != 1 || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (path, query) = match target.bytes().position(|byte| byte == b'?') {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        if !target::is_normal_path(path) {
            return None;
        }
        let (fields, mut authority) = (parsed.headers, None);
        for Header { name, value } in fields.iter() {
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => authority = std::str::from_utf8(value).ok(),
                6 if name.eq_ignore_ascii_case("expect") => return None,
                7 if name.eq_ignore_ascii_case("upgrade") => return None,
                10 if name.eq_ignore_ascii_case("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => {
                    return None;
                }
                _ => {}
            }
        }
        let authority = authority.filter(|authority| target::is_normal_authority(authority))?;
        let host = host_of(authority);
        let secured = session.is_some();
        let protocol = Protocol::Http11;
        Some(Self { peer, listener, secured, authority, host, path, query, protocol, head, target, session, fields })
    }

    /// The same of a request of HTTP/2 without a body.
    pub(crate) fn of_head<B>(
        request: &'a http::Request<B>,
        room: &'a mut [Header<'a>; FIELDS_MAX],
        limits: &ServerLimits,
        (peer, listener, session): (SocketAddr, usize, Option<&'a Arc<Secured>>),
    ) -> Option<Self> {
        let (uri, headers) = (request.uri(), request.headers());
        let (target, count) = (uri.path_and_query()?.as_str(), headers.len());
        if *request.method() != Method::GET || count >= room.len() || count > limits.header_count {
            return None;
        }
        if target.len() > limits.uri_bytes || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if !target::is_normal_path(uri.path()) {
            return None;
        }
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return None;
        }
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let authority = authority.filter(|authority| target::is_normal_authority(authority))?;
        // The field that everybody behind HTTP/2 finds, and that nobody has to send.
        room[0] = Header { name: header::HOST.as_str(), value: authority.as_bytes() };
        for (field, (name, value)) in room[1..].iter_mut().zip(headers) {
            if *name == header::HOST || *name == header::EXPECT {
                return None;
            }
            *field = Header { name: name.as_str(), value: value.as_bytes() };
        }
        let (path, query, protocol) = (uri.path(), uri.query(), Protocol::Http2);
        let (secured, fields) = (session.is_some(), &room[..=count]);
        let (host, head) = (host_of(authority), &[]);
        Some(Self { peer, listener, secured, authority, host, path, query, protocol, head, target, session, fields })
    }

    /// The host without its port and without a trailing dot.
    pub fn host(&self) -> &'a str {
        self.host
    }

    pub fn scheme(&self) -> &'static str {
        if self.secured { "https" } else { "http" }
    }

    /// All lines of a field.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| is(field, name)).map(|field| field.value.trim_ascii())
    }

    /// All of its fields, and their names as they were written.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
        self.fields.iter().map(|field| (field.name, field.value.trim_ascii()))
    }

    /// The path and the query.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// Whether the client showed a certificate, which servers are told.
    pub fn shows_certificate(&self) -> bool {
        self.session.is_some_and(|session| session.client.is_some())
    }

    /// The request as the long way would have it, but for interim answers. `None` if it is not to be had, as one
    /// of HTTP/2 is not.
    pub fn request(&self) -> Option<Request> {
        if self.protocol != Protocol::Http11 {
            return None;
        }
        // Fields are pieces of one copy.
        let copy = Bytes::copy_from_slice(self.head);
        let piece = |bytes: &[u8]| {
            let start = bytes.as_ptr() as usize - self.head.as_ptr() as usize;
            copy.slice(start..start + bytes.len())
        };
        let mut headers = HeaderMap::with_capacity(self.fields.len() + FIELDS_ADDED);
        for Header { name, value } in self.fields {
            let value = HeaderValue::from_maybe_shared(piece(value.trim_ascii())).ok()?;
            headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
        }
        let authority = headers.get(http::header::HOST)?.clone();
        Some(Request {
            method: Method::GET,
            path_and_query: PathAndQuery::from_maybe_shared(piece(self.target.as_bytes())).ok()?,
            authority,
            headers,
            body: Body::empty(),
            peer: self.peer,
            protocol: Protocol::Http11,
            listener: self.listener,
            secured: self.session.cloned(),
            upgrade: false,
            interim: None,
            believed: None,
        })
    }

    /// Whether it has one of these fields.
    pub fn has_any(&self, names: &[&str]) -> bool {
        self.fields.iter().any(|field| names.iter().any(|name| is(field, name)))
    }
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.len() == name.len() && field.name.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;

/// The host of an authority without its port and without a trailing dot.
fn host_of(authority: &str) -> &str {
    let (host, _) = target::split_port(authority);
    host.strip_suffix('.').unwrap_or(host)
}
