//! What goes out when a stored response answers a request: preconditions (RFC 9110, section 13),
//! ranges (section 14), and the age.

use std::ops::Range;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::admit::date;
use crate::content::Content;
use crate::stored::Stored;

/// A response from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Content,
}

/// Answers a request with these headers from a response that was selected for it.
pub fn answer(stored: &Stored, request: &HeaderMap, now_ms: u64) -> Answer {
    let mut headers = stored.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(stored.age_s(now_ms)));
    if stored.status == StatusCode::OK && not_modified(stored, request) {
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_RANGE] {
            headers.remove(name);
        }
        return Answer { status: StatusCode::NOT_MODIFIED, headers, body: Content::empty() };
    }
    let total = stored.body.len();
    match wanted_range(stored, request) {
        Wanted::All => Answer { status: stored.status, headers, body: stored.body.clone() },
        Wanted::Part(range) => {
            let described = format!("bytes {}-{}/{total}", range.start, range.end - 1);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
            insert(&mut headers, header::CONTENT_RANGE, &described);
            Answer { status: StatusCode::PARTIAL_CONTENT, headers, body: stored.body.slice(range) }
        }
        Wanted::Nothing => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            insert(&mut headers, header::CONTENT_RANGE, &format!("bytes */{total}"));
            Answer { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, body: Content::empty() }
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether the client has it already. `If-None-Match` counts, and only without it the date.
fn not_modified(stored: &Stored, request: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let Some(tag) = stored.headers.get(header::ETAG).map(|tag| opaque(tag.as_bytes())) else {
            return request.get_all(header::IF_NONE_MATCH).iter().any(|line| line.as_bytes().trim_ascii() == b"*");
        };
        return request.get_all(header::IF_NONE_MATCH).iter().any(|line| names(line.as_bytes(), tag));
    }
    // Without a date of change, the response was not changed after it was made (RFC 9110, section 13.1.3).
    let modified = date(&stored.headers, &header::LAST_MODIFIED).or_else(|| date(&stored.headers, &header::DATE));
    match (date(request, &header::IF_MODIFIED_SINCE), modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// A list of entity tags, compared weakly (RFC 9110, section 8.8.3.2). A tag may hold commas.
fn names(line: &[u8], tag: &[u8]) -> bool {
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        let one = opaque(rest);
        let end = match one.first() {
            Some(b'"') => one[1..].iter().position(|&b| b == b'"').map_or(one.len(), |at| at + 2),
            _ => one.iter().position(|&b| b == b',').unwrap_or(one.len()),
        };
        if one[..end].trim_ascii() == tag {
            return true;
        }
        let next = one[end..].iter().position(|&b| b == b',').map_or(one.len(), |at| end + at + 1);
        rest = one[next..].trim_ascii_start();
    }
    false
}

/// An entity tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Part(Range<u64>),
    /// No byte that there is.
    Nothing,
}

/// The part that is asked for. Several ranges at once, another unit, or what can't be read give all.
fn wanted_range(stored: &Stored, request: &HeaderMap) -> Wanted {
    let Some(range) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Wanted::All };
    if stored.status != StatusCode::OK || !if_range(stored, request) {
        return Wanted::All;
    }
    parse_range(range, stored.body.len())
}

pub(crate) fn parse_range(range: &str, total: u64) -> Wanted {
    let Some((unit, spec)) = range.split_once('=') else { return Wanted::All };
    let Some((from, to)) = spec.trim().split_once('-') else { return Wanted::All };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::All;
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    let (from, to) = (from.trim(), to.trim());
    if !digits(from) || !digits(to) || (from.is_empty() && to.is_empty()) {
        return Wanted::All;
    }
    if from.is_empty() {
        let count = number(to).min(total);
        return if count == 0 { Wanted::Nothing } else { Wanted::Part(total - count..total) };
    }
    let first = number(from);
    let end = if to.is_empty() { total } else { number(to).saturating_add(1).min(total) };
    if !to.is_empty() && number(to) < first {
        return Wanted::All;
    }
    if first >= total { Wanted::Nothing } else { Wanted::Part(first..end) }
}

/// `If-Range`: a part only of what the client has already (RFC 9110, section 13.1.5).
pub(crate) fn if_range(stored: &Stored, request: &HeaderMap) -> bool {
    let Some(wanted) = request.get(header::IF_RANGE) else { return true };
    let wanted = wanted.as_bytes().trim_ascii();
    if wanted.starts_with(b"\"") {
        return stored.headers.get(header::ETAG).is_some_and(|tag| tag.as_bytes().trim_ascii() == wanted);
    }
    if wanted.starts_with(b"W/") {
        return false;
    }
    match (date(request, &header::IF_RANGE), date(&stored.headers, &header::LAST_MODIFIED)) {
        (Some(since), Some(modified)) => since == modified,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
