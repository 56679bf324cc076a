//! Normalising what a request asks for, so that the router, the cache and the guest see the same
//! host and the same path. Pure functions.
//!
//! - The host is the one of an absolute-form target, else of the `Host` field (RFC 9112, section
//!   3.2.2). It is lower case and holds nothing but a name or an address, and a port.
//! - The path's dot segments, written plainly or as `%2e`, are resolved as every URL parser does
//!   (WHATWG URL, section 4.4). One that would leave the root is refused, for nobody asks for that
//!   in good faith.
//!   Where paths are names ([`Paths::Names`]), they stay as they are.
//! - Bytes that a URL parser would encode are encoded, and a backslash, which it would take for a
//!   slash, is refused. So a second parser behind this one changes nothing.
//! - `%2f` stays as it is: it is data in a segment, not a slash. `%00` is refused.

use std::borrow::Cow;

use base::code;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, header};

use crate::head::Refusal;

/// What a request asks for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host and port as sent, in lower case; ASCII.
    pub authority: HeaderValue,
    pub path_and_query: PathAndQuery,
}

/// What a path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Segments, of which `.` and `..` mean places.
    #[default]
    Segments,
    /// A name, whose every byte counts: keys of S3, which are signed as they are.
    Names,
}

/// Normalises the target of a request and its `Host` field, which afterwards agree.
pub fn normalise(method: &Method, uri: &Uri, headers: &mut HeaderMap, paths: Paths) -> Result<Target, Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) || method.as_str() == "TRACK" {
        return Err(Refusal::new(&code::METHOD_NOT_ALLOWED, format!("{method} is not served")));
    }
    let authority = authority(uri, headers)?;
    if headers.get(header::HOST) != Some(&authority) {
        headers.insert(header::HOST, authority.clone());
    }
    let given = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if given == "*" {
        return Err(Refusal::new(&code::BAD_PATH, "the asterisk form of a target is not served"));
    }
    let (path, query) = given.split_once('?').map_or((given, None), |(path, query)| (path, Some(query)));
    let path_and_query = match normalise_as(path, paths)? {
        Cow::Borrowed(_) => uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        Cow::Owned(path) => {
            let text = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            PathAndQuery::try_from(text).map_err(|_| bad_path("the path can't be read"))?
        }
    };
    Ok(Target { authority, path_and_query })
}

fn bad_path(detail: &str) -> Refusal {
    Refusal::new(&code::BAD_PATH, detail)
}

fn bad_host(detail: &str) -> Refusal {
    Refusal::new(&code::BAD_REQUEST, detail)
}

fn authority(uri: &Uri, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(bad_host("the request has two Host fields"));
    }
    if let Some(scheme) = uri.scheme()
        && *scheme != Scheme::HTTP
        && *scheme != Scheme::HTTPS
    {
        return Err(bad_host("the scheme of the target is neither http nor https"));
    }
    match (uri.authority().map(Authority::as_str), field) {
        (Some(target), _) => {
            check_authority(target)?;
            lower_case(target, field.filter(|f| f.as_bytes() == target.as_bytes()))
        }
        (None, Some(field)) => {
            let text = field.to_str().map_err(|_| bad_host("the host is not a host name"))?;
            check_authority(text)?;
            lower_case(text, Some(field))
        }
        (None, None) => Err(bad_host("the request has no host")),
    }
}

/// In lower case; the field itself, if that is what it says already.
fn lower_case(text: &str, field: Option<&HeaderValue>) -> Result<HeaderValue, Refusal> {
    match field {
        Some(field) if !text.bytes().any(|b| b.is_ascii_uppercase()) => Ok(field.clone()),
        _ => HeaderValue::try_from(text.to_ascii_lowercase()).map_err(|_| bad_host("the host is not a host name")),
    }
}

/// A name or an address, and perhaps a port; no user, no escapes, nothing that a URL parser would
/// read in another way.
fn check_authority(text: &str) -> Result<(), Refusal> {
    let (host, port) = split_port(text);
    let name = |b: u8| NAME[usize::from(b)] != Letter::None;
    let good = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 254 && host.bytes().all(name) && !host.starts_with('.'),
    };
    // No port has a user before it either.
    if !good || port.is_some_and(|port| port.contains('@')) {
        return Err(bad_host("the host is not a host name"));
    }
    let numeric = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if port.is_some_and(|port| !numeric(port)) {
        return Err(bad_host("the port of the host is not a number"));
    }
    Ok(())
}

/// Splits `host:port`; an address in brackets keeps its colons.
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    // Most are short, and a search made for long texts costs more than a look at each byte.
    match authority.bytes().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if authority.as_bytes()[at] == b':' => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

/// Borrowed if the path is normal already, as nearly every path is.
pub fn normalise_path(path: &str) -> Result<Cow<'_, str>, Refusal> {
    normalise_as(path, Paths::Segments)
}

fn normalise_as(path: &str, paths: Paths) -> Result<Cow<'_, str>, Refusal> {
    if !path.starts_with('/') {
        return Err(bad_path("the path does not begin with a slash"));
    }
    if is_plain(path.as_bytes()) {
        return Ok(path.into());
    }
    if path.contains('\\') {
        return Err(bad_path("a backslash can't stand in a path; write %5C"));
    }
    if path.bytes().any(|b| b < b' ') || path.contains("%00") {
        return Err(bad_path("a path can't hold NUL or control characters"));
    }
    let resolved = match paths {
        Paths::Segments => resolve_dots(path)?,
        Paths::Names => path.into(),
    };
    Ok(if resolved.bytes().any(must_encode) { encode(&resolved).into() } else { resolved })
}

/// True if [`normalise_path`] would leave it as it is.
pub(crate) fn is_normal_path(path: &str) -> bool {
    path.starts_with('/') && is_plain(path.as_bytes())
}

/// True if [`normalise`] would take the `Host` field as it is.
pub fn is_normal_authority(text: &str) -> bool {
    if is_plain_name(text.as_bytes()) {
        return true;
    }
    !text.bytes().any(|byte| NAME[usize::from(byte)] == Letter::Capital) && check_authority(text).is_ok()
}

/// A name in lower case without a port, as nearly every one is: one look at each byte.
fn is_plain_name(host: &[u8]) -> bool {
    let is_small = |byte: &u8| NAME[usize::from(*byte)] == Letter::Small;
    matches!(host.len(), 1..=254) && host[0] != b'.' && host.iter().all(is_small)
}

/// What a byte is in the name of a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    None,
    Small,
    Capital,
}

/// Every byte of every host is looked up here.
static NAME: [Letter; 256] = {
    let mut table = [Letter::None; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' => Letter::Capital,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => Letter::Small,
            _ => Letter::None,
        };
        byte += 1;
    }
    table
};

/// True if nothing in the path needs a second look: one pass, no allocation.
fn is_plain(path: &[u8]) -> bool {
    path.iter().enumerate().all(|(at, byte)| match byte {
        // A dot is suspicious only as the first of its segment.
        b'.' => path[at - 1] != b'/',
        // Of the escapes, only those of a dot and of NUL matter here; both begin with 2 or 0.
        b'%' => !matches!(path.get(at + 1), Some(b'2' | b'0')),
        b'\\' => false,
        byte => *byte >= b' ' && !must_encode(*byte),
    })
}

/// What a URL parser encodes in a path (WHATWG URL, path percent-encode set).
fn must_encode(byte: u8) -> bool {
    byte >= 0x7f || matches!(byte, b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}')
}

fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if must_encode(byte) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(byte as char);
        }
    }
    out
}

fn resolve_dots(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if !path.split('/').any(|segment| dots(segment) > 0) {
        return Ok(path.into());
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut pieces = path[1..].split('/').peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        match dots(piece) {
            0 => segments.push(piece),
            dots => {
                if dots == 2 && segments.pop().is_none() {
                    return Err(bad_path("the path leaves the root"));
                }
                // `/a/..` names the directory, so it keeps its slash.
                if last {
                    segments.push("");
                }
            }
        }
    }
    Ok(format!("/{}", segments.join("/")).into())
}

/// 1 for `.`, 2 for `..`, in any way of writing them; 0 for everything else.
fn dots(segment: &str) -> usize {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest.strip_prefix('.') {
            Some(rest) => rest,
            None if rest.get(..3).is_some_and(|e| e.eq_ignore_ascii_case("%2e")) => &rest[3..],
            None => return 0,
        };
        count += 1;
    }
    if count <= 2 { count } else { 0 }
}

#[cfg(test)]
mod tests;
