//! The head of an HTTP/1.1 request, judged before anything believes it: pure functions of bytes.
//!
//! The judge is stricter than RFC 9112 allows a recipient to be wherever leniency would let two
//! recipients see two different messages (RFC 9112, section 11.2, request smuggling). A head that
//! passes has exactly one reading: lines end in CRLF, no field continues on a second line, and the
//! length of the body is told once, by one field.

use base::{Body, Code, Problem, code};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::ServerLimits;
use crate::websocket::handshake::is_websocket;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How the end of a message's body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// A whole head, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes up to and with the empty line.
    pub bytes: usize,
    pub framing: Framing,
    /// It asks for a WebSocket: what follows may be no HTTP.
    pub upgrade: bool,
}

/// Why a head is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub detail: String,
}

impl Refusal {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    fn bad(detail: impl Into<String>) -> Self {
        Self::new(&code::BAD_REQUEST, detail)
    }

    /// The answer. As every other it says that no cache had a part in it (RFC 9211): this node made it.
    pub fn response(&self) -> Response<Body> {
        let mut response = Problem::new(self.code).detail(self.detail.clone()).into_response("");
        if let Ok(told) = HeaderValue::try_from(format!("selvedge; detail={}", self.code.name)) {
            response.headers_mut().insert(CACHE_STATUS, told);
        }
        response
    }
}

/// Judges the bytes from the start of a request. `None` if the head is not complete yet;
/// `searched` is how many bytes were at hand the last time, so that a head that trickles in is
/// not searched from its start each time.
pub fn check_head(bytes: &[u8], searched: usize, limits: &ServerLimits) -> Result<Option<Head>, Refusal> {
    // A head in one piece is looked at once. Whatever else these bytes are is found out below.
    if searched == 0
        && let Some(head) = good_head(bytes, limits)
    {
        return Ok(Some(head));
    }
    // RFC 9112, section 2.2: empty lines before a request are ignored.
    let start = bytes.chunks(2).take_while(|pair| *pair == b"\r\n").count() * 2;
    if bytes[start..].first() == Some(&b'\n') {
        return Err(bare_lf());
    }
    let from = searched.saturating_sub(3).max(start);
    let end = find_end(&bytes[from..]).map(|end| from + end);
    if end.unwrap_or(bytes.len()) > limits.header_bytes {
        return Err(too_large(&bytes[start..], limits));
    }
    let Some(end) = end else {
        return check_target_length(&bytes[start..], limits).map(|()| None);
    };
    let (framing, upgrade) = check_lines(&mut &bytes[start..end], limits)?;
    Ok(Some(Head { bytes: end, framing, upgrade }))
}

/// A whole head without a fault.
fn good_head(bytes: &[u8], limits: &ServerLimits) -> Option<Head> {
    // What ends with half a line is mostly a head that has not come yet, of which nothing is told here.
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let mut rest = bytes;
    let (framing, upgrade) = check_lines(&mut rest, limits).ok()?;
    let end = bytes.len() - rest.len();
    (end <= limits.header_bytes).then_some(Head { bytes: end, framing, upgrade })
}

/// The end of the first empty line, with whatever ends its lines: a wrong ending is for the judge.
fn find_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// A head that is over the limit: is it the target that is too long, or all of it?
fn too_large(bytes: &[u8], limits: &ServerLimits) -> Refusal {
    if let Err(refusal) = check_target_length(bytes, limits) {
        return refusal;
    }
    let max = limits.header_bytes;
    Refusal::new(&code::HEADERS_TOO_LARGE, format!("the head of the request has more than {max} bytes (header_bytes)"))
}

fn check_target_length(bytes: &[u8], limits: &ServerLimits) -> Result<(), Refusal> {
    // A method of more than this is none that anyone has.
    const METHOD_BYTES: usize = 32;
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let target = bytes[..line].split(|b| *b == b' ').nth(1).map_or(0, <[u8]>::len);
    if target > limits.uri_bytes || line > limits.uri_bytes + METHOD_BYTES + " HTTP/1.1\r".len() {
        let max = limits.uri_bytes;
        return Err(Refusal::new(&code::URI_TOO_LONG, format!("the target has more than {max} bytes (uri_bytes)")));
    }
    Ok(())
}

fn bare_lf() -> Refusal {
    Refusal::bad("a line of the head ends in LF without CR")
}

/// What the fields said about framing and host so far.
#[derive(Default)]
struct Seen {
    fields: usize,
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    upgrade: bool,
}

/// Judges all lines up to the empty one, which it leaves behind.
fn check_lines(rest: &mut &[u8], limits: &ServerLimits) -> Result<(Framing, bool), Refusal> {
    let version = check_request_line(next_line(rest)?, limits)?;
    let mut seen = Seen::default();
    loop {
        let line = next_line(rest)?;
        if line.is_empty() {
            break;
        }
        seen.fields += 1;
        if seen.fields > limits.header_count {
            let max = limits.header_count;
            let detail = format!("the request has more than {max} fields (header_count)");
            return Err(Refusal::new(&code::HEADERS_TOO_LARGE, detail));
        }
        check_field(line, &mut seen)?;
    }
    let framing = seen.framing(version)?;
    Ok((framing, seen.upgrade && framing == Framing::Length(0)))
}

/// Cuts the next line off, without its ending.
fn next_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Refusal> {
    let Some(lf) = memchr::memchr(b'\n', rest) else {
        return Err(bare_lf());
    };
    let Some(line) = rest[..lf].strip_suffix(b"\r") else {
        return Err(bare_lf());
    };
    *rest = &rest[lf + 1..];
    Ok(line)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

fn check_request_line(line: &[u8], limits: &ServerLimits) -> Result<Version, Refusal> {
    if let Some(version) = good_request_line(line, limits) {
        return Ok(version);
    }
    // What is wrong with it.
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::bad("the request line is not a method, a target and a version with one space between"));
    };
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) {
        return Err(Refusal::bad("the method is not a token"));
    }
    if target.len() > limits.uri_bytes {
        let max = limits.uri_bytes;
        return Err(Refusal::new(&code::URI_TOO_LONG, format!("the target has more than {max} bytes (uri_bytes)")));
    }
    if let Some(byte) = target.iter().find(|b| **b <= b' ' || **b == 0x7f || **b == b'#') {
        return Err(Refusal::new(&code::BAD_PATH, format!("the byte 0x{byte:02x} can't stand in a target")));
    }
    if target.is_empty() {
        return Err(Refusal::bad("the target is empty"));
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(Refusal::bad("the version is neither HTTP/1.1 nor HTTP/1.0")),
    }
}

/// The version of a line that is good; the whole of it is looked at once.
fn good_request_line(line: &[u8], limits: &ServerLimits) -> Option<Version> {
    let method = line.iter().position(|byte| !is_token(*byte)).filter(|end| *end > 0)?;
    let rest = line[method..].strip_prefix(b" ")?;
    let (target, version) = rest.split_at_checked(rest.len().checked_sub(" HTTP/1.1".len())?)?;
    let version = match version {
        b" HTTP/1.1" => Version::Http11,
        b" HTTP/1.0" => Version::Http10,
        _ => return None,
    };
    let is_good = |byte: u8| byte > b' ' && byte != 0x7f && byte != b'#';
    let good = !target.is_empty() && target.len() <= limits.uri_bytes && target.iter().all(|byte| is_good(*byte));
    good.then_some(version)
}

fn check_field(line: &[u8], seen: &mut Seen) -> Result<(), Refusal> {
    if matches!(line[0], b' ' | b'\t') {
        return Err(Refusal::bad("a field continues on a second line (obs-fold)"));
    }
    let colon = match line.iter().position(|byte| !is_token(*byte)) {
        Some(end) if line[end] == b':' && end > 0 => end,
        _ if memchr::memchr(b':', line).is_none() => {
            return Err(Refusal::bad("a line of the head is not a field"));
        }
        _ => return Err(Refusal::bad("the name of a field is not a token")),
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_bad = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    // All of it first, without a branch for each byte.
    if line[colon..].iter().fold(false, |bad, byte| bad | is_bad(*byte))
        && let Some(byte) = line[colon..].iter().find(|byte| is_bad(**byte))
    {
        return Err(Refusal::bad(format!("the byte 0x{byte:02x} can't stand in the value of a field")));
    }
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => seen.host(),
        7 if name.eq_ignore_ascii_case(b"upgrade") => {
            seen.upgrade |= is_websocket(value);
            Ok(())
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => seen.content_length(value),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => seen.transfer_encoding(value),
        _ => Ok(()),
    }
}

impl Seen {
    fn host(&mut self) -> Result<(), Refusal> {
        self.hosts += 1;
        if self.hosts > 1 { Err(Refusal::bad("the request has two Host fields")) } else { Ok(()) }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::bad("the request has two Content-Length fields"));
        }
        // `parse` alone would take a plus sign.
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match length {
            Some(length) => {
                self.length = Some(length);
                Ok(())
            }
            None => Err(Refusal::bad("Content-Length is not a number of bytes")),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked {
            return Err(Refusal::bad("the request has two Transfer-Encoding fields"));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::bad("the only Transfer-Encoding served is chunked"));
        }
        self.chunked = true;
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        if self.hosts == 0 && version == Version::Http11 {
            return Err(Refusal::bad("the request has no Host field"));
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Refusal::bad("the request has both Content-Length and Transfer-Encoding")),
            // RFC 9112, section 6.1: such a message comes from a confused sender.
            (None, true) if version == Version::Http10 => Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding")),
            (None, true) => Ok(Framing::Chunked),
            (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Writes the fields of a head, a line each.
pub(crate) fn put_fields(head: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
}

/// RFC 9110, section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Every byte of every name is looked up here.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = matches!(byte as u8,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
            | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
