//! The head of a request as it lies in the buffer, for whoever has its answer at hand.
//!
//! A whole parser makes values of everything that a head says, a task and a future carry them, and most
//! of it is dropped unread when the answer lies ready. So a request of the plainest kind is looked at
//! before all that: one GET of HTTP/1.1 that stands alone in the buffer, has no body, and asks nothing
//! of its connection. It has been judged already ([`check_head`](crate::head::check_head)); whatever else
//! is not plain about it is no glance but `None`, and the request goes the long way, which knows
//! everything. A glance therefore decides nothing that the long way would decide otherwise.

use std::net::SocketAddr;

use bytes::Bytes;
use httparse::Header;

use crate::target;

/// Fields of a request that is looked at; one with more goes the long way.
pub(crate) const FIELDS_MAX: usize = 40;

/// Answers a request, if that takes no wait: writes the head of the answer and returns its body. What was
/// written by one that returns `None` is forgotten. The length of the body is told by its
/// `Content-Length`.
pub type AtOnce = Box<dyn Fn(&Glance<'_>, &mut Vec<u8>) -> Option<Bytes>>;

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
    /// Still percent-encoded.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    fields: &'a [Header<'a>],
}

impl<'a> Glance<'a> {
    /// `head` has passed the judge, and is all that there is of the request.
    pub(crate) fn read(
        head: &'a [u8],
        room: &'a mut [Header<'a>; FIELDS_MAX],
        (peer, listener, secured): (SocketAddr, usize, bool),
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
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
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
        Some(Self { peer, listener, secured, authority, path, query, fields })
    }

    /// The host without its port and without a trailing dot.
    pub fn host(&self) -> &'a str {
        let (host, _) = target::split_port(self.authority);
        host.strip_suffix('.').unwrap_or(host)
    }

    pub fn scheme(&self) -> &'static str {
        if self.secured { "https" } else { "http" }
    }

    /// All lines of a field.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| is(field, name)).map(|field| field.value.trim_ascii())
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
