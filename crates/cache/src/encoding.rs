//! Which stored responses are compressed for whom, and what of their header changes (RFC 9110, section
//! 12.5.3 and 8.4).

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::control::{elements, forbids_transforming};
use crate::stored::Stored;

/// Smaller bodies gain nothing.
pub const COMPRESSED_BYTES_MIN: u64 = 1_024;
/// Larger ones are not held in memory a second time.
pub const COMPRESSED_BYTES_MAX: u64 = 8 << 20;

/// A way to compress a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// In the order in which they are taken if a client likes them equally.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    pub fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }
}

/// The coding that a client likes best; `None` if that is none at all.
pub fn negotiate(request: &HeaderMap) -> Option<Coding> {
    let mut best: Option<(u16, Coding)> = None;
    let weights = Weights::parse(request)?;
    for coding in Coding::ALL {
        let weight = weights.of_coding(coding.token());
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, coding));
        }
    }
    // Without a word about it, nobody minds the body as it is; who likes it better gets it.
    best.filter(|(weight, _)| *weight >= weights.named("identity").unwrap_or(0)).map(|(_, coding)| coding)
}

/// The codings that a response may have, by the order of their names.
const KNOWN: [&str; 4] = ["br", "deflate", "gzip", "zstd"];

/// What the lines of an `Accept-Encoding` come to: the known codings that are accepted, in one spelling for
/// all who accept the same (RFC 9111, section 4.1). `None` without such a field, which accepts any.
pub(crate) fn accepted<'r>(lines: impl Iterator<Item = &'r [u8]>) -> Option<String> {
    let mut lines = lines.peekable();
    lines.peek()?;
    // What can't be read names nothing.
    let weights = Weights::of(lines).unwrap_or_default();
    let mut told = String::new();
    for coding in KNOWN.into_iter().filter(|coding| weights.of_coding(coding) > 0) {
        told.push_str(if told.is_empty() { "" } else { ", " });
        told.push_str(coding);
    }
    match weights.named("identity").or_else(|| weights.named("*")) {
        Some(0) if told.is_empty() => told.push_str("identity;q=0"),
        Some(0) => told.push_str(", identity;q=0"),
        _ if told.is_empty() => told.push_str("identity"),
        _ => {}
    }
    Some(told)
}

/// Asks an origin for what is compared when its response is looked for.
pub fn reduce_encodings(request: &mut HeaderMap) {
    let told = accepted(request.get_all(header::ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes));
    if let Some(Ok(told)) = told.map(HeaderValue::try_from) {
        request.insert(header::ACCEPT_ENCODING, told);
    }
}

/// The names in an `Accept-Encoding` that somebody asks for. What it says of others matters to nobody.
const NAMED: [&str; 6] = ["br", "deflate", "gzip", "zstd", "identity", "*"];

/// What `Accept-Encoding` says, in thousandths, in the order of [`NAMED`].
#[derive(Default)]
struct Weights([Option<u16>; NAMED.len()]);

impl Weights {
    /// `None` without any element.
    fn parse(request: &HeaderMap) -> Option<Self> {
        let lines = || request.get_all(header::ACCEPT_ENCODING).iter().map(HeaderValue::as_bytes);
        let weights = Self::of(lines())?;
        let has_any = lines().any(|line| std::str::from_utf8(line).is_ok_and(|line| elements(line).next().is_some()));
        has_any.then_some(weights)
    }

    /// Of a name that comes twice, the first counts. `None` if it can't be read.
    fn of<'r>(lines: impl Iterator<Item = &'r [u8]>) -> Option<Self> {
        let mut weights = Self::default();
        for line in lines {
            for element in elements(std::str::from_utf8(line).ok()?) {
                let mut parts = element.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default();
                let Some(at) = NAMED.iter().position(|known| is_coding(name, known)) else { continue };
                let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
                weights.0[at].get_or_insert_with(|| weight.map_or(1_000, thousandths));
            }
        }
        Some(weights)
    }

    fn named(&self, coding: &str) -> Option<u16> {
        NAMED.iter().position(|known| *known == coding).and_then(|at| self.0[at])
    }

    fn of_coding(&self, coding: &str) -> u16 {
        self.named(coding).or_else(|| self.named("*")).unwrap_or(0)
    }
}

/// `x-gzip` is gzip (RFC 9110, section 8.4.1.3).
fn is_coding(name: &str, coding: &str) -> bool {
    let plain = name.get(..2).filter(|start| start.eq_ignore_ascii_case("x-")).and_then(|_| name.get(2..));
    name.eq_ignore_ascii_case(coding) || plain.is_some_and(|name| name.eq_ignore_ascii_case(coding))
}

/// A weight of at most three digits after the point; what can't be read is none.
fn thousandths(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    let rest = format!("{rest:0<3}").parse().unwrap_or(0);
    match whole {
        "0" => rest,
        "1" if rest == 0 => 1_000,
        _ => 0,
    }
}

/// Types that are text under another name.
const TEXTUAL: [&str; 16] = [
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/xml",
    "application/xhtml+xml",
    "application/wasm",
    "application/manifest+json",
    "application/vnd.ms-fontobject",
    "application/graphql",
    "application/toml",
    "application/yaml",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
    "image/x-icon",
];

/// Whether a stored response gains by being compressed, and may be.
pub fn compressible(stored: &Stored) -> bool {
    stored.status == StatusCode::OK
        && (COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&stored.body.len())
        && may_encode(&stored.headers)
}

/// Whether a response is of a kind that gains by being compressed, and nothing forbids it.
pub fn may_encode(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(is_text)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !forbids_transforming(headers)
}

fn is_text(kind: &HeaderValue) -> bool {
    let Ok(kind) = kind.to_str() else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is = |other: &str| kind.eq_ignore_ascii_case(other);
    let begins = |start: &str| kind.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    let ends = |end: &str| {
        let start = kind.len().checked_sub(end.len());
        start.and_then(|start| kind.get(start..)).is_some_and(|found| found.eq_ignore_ascii_case(end))
    };
    // An event stream is read as it comes.
    (begins("text/") && !is("text/event-stream"))
        || ends("+json")
        || ends("+xml")
        || TEXTUAL.iter().any(|other| is(other))
}

/// Says in a response that others get it otherwise.
pub fn vary_by_encoding(headers: &mut HeaderMap) {
    let named = headers.get_all(header::VARY).iter().any(|line| {
        let mut names = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"))
    });
    if !named {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// What is said of a body that is another one now.
static OF_THE_BYTES: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
];

/// The header of a response whose body is compressed, and has so many bytes.
pub fn encode_header(headers: &mut HeaderMap, coding: Coding, bytes: u64) {
    recode_header(headers, coding);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
}

/// The same for one whose length nobody knows yet. Its entity tag becomes a weak one, for the bytes
/// are not those that it was given to.
pub fn recode_header(headers: &mut HeaderMap, coding: Coding) {
    for name in &OF_THE_BYTES {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
    let strong = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    let weak = strong.map(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()));
    if let Some(Ok(weak)) = weak {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests;
