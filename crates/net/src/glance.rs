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

use crate::target;

/// Fields of a request that is looked at; one with more goes the long way.
pub(crate) const FIELDS_MAX: usize = 40;

/// Answers a request, if that takes no wait: writes the head of the answer and returns its body. What was
/// written by one that returns `None` is forgotten. The length of the body is told by its
/// `Content-Length`.
pub type AtOnce = Box<dyn Fn(&Glance<'_>, &mut Vec<u8>) -> Option<Bytes>>;

/// One line of a head.
#[derive(Debug, Clone, Copy, Default)]
pub struct Field<'a> {
    /// In whatever case it came.
    pub name: &'a [u8],
    /// Without the white space around it.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// `name` is in lower case.
    pub fn is(&self, name: &str) -> bool {
        self.name.len() == name.len() && self.name.eq_ignore_ascii_case(name.as_bytes())
    }
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
    /// Still percent-encoded.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// In their order, `Host` included.
    pub fields: &'a [Field<'a>],
}

impl<'a> Glance<'a> {
    /// `head` has passed the judge, and is all that there is of the request.
    pub(crate) fn read(
        head: &'a [u8],
        fields: &'a mut [Field<'a>; FIELDS_MAX],
        (peer, listener, secured): (SocketAddr, usize, bool),
    ) -> Option<Self> {
        let rest = head.strip_prefix(b"GET ")?;
        let line = memchr::memchr(b'\n', rest)?;
        let target = rest[..line].strip_suffix(b" HTTP/1.1\r")?;
        let target =
            std::str::from_utf8(target).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))?;
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if !target::is_normal_path(path) {
            return None;
        }
        let (mut rest, mut count, mut authority) = (&rest[line + 1..], 0, None);
        loop {
            let line = memchr::memchr(b'\n', rest)?;
            let (text, after) = (rest[..line].strip_suffix(b"\r")?, &rest[line + 1..]);
            if text.is_empty() {
                break;
            }
            let colon = memchr::memchr(b':', text)?;
            let field = Field { name: &text[..colon], value: text[colon + 1..].trim_ascii() };
            match field.name.len() {
                4 if field.is("host") => authority = std::str::from_utf8(field.value).ok(),
                6 if field.is("expect") => return None,
                7 if field.is("upgrade") => return None,
                10 if field.is("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") => return None,
                _ => {}
            }
            *fields.get_mut(count)? = field;
            (count, rest) = (count + 1, after);
        }
        let authority = authority.filter(|authority| target::is_normal_authority(authority))?;
        Some(Self { peer, listener, secured, authority, path, query, fields: &fields[..count] })
    }

    /// The host without its port and without a trailing dot.
    pub fn host(&self) -> &'a str {
        let (host, _) = target::split_port(self.authority);
        host.strip_suffix('.').unwrap_or(host)
    }

    pub fn scheme(&self) -> &'static str {
        if self.secured { "https" } else { "http" }
    }

    /// All lines of a field, whose name is in lower case.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |field| field.is(name)).map(|field| field.value)
    }
}

#[cfg(test)]
mod tests;
