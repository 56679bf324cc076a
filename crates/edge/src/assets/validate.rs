//! Conditions and ranges of a request for a file (RFC 9110, sections 13 and 14), as a pure
//! function.

use http::{HeaderMap, HeaderValue, Method, header};

/// Bytes from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u64,
    pub end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Span),
    NotModified,
    Unsatisfiable,
}

pub(super) fn wanted(method: &Method, headers: &HeaderMap, etag: &HeaderValue, size: u64) -> Wanted {
    let etag = etag.to_str().unwrap_or_default();
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|value| lists(value, etag)) {
        return Wanted::NotModified;
    }
    let Some(range) = headers.get(header::RANGE).filter(|_| *method == Method::GET) else {
        return Wanted::Whole;
    };
    // Only the strong validator that we gave; a date or a weak one can't match.
    if headers.get(header::IF_RANGE).is_some_and(|value| value.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    range.to_str().ok().and_then(|range| parse_range(range, size)).unwrap_or(Wanted::Whole)
}

/// Weak comparison, as `If-None-Match` wants it.
fn lists(value: &HeaderValue, etag: &str) -> bool {
    let tags = value.to_str().unwrap_or_default();
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// `None` for what is to be ignored: another unit, several ranges, nonsense.
fn parse_range(range: &str, size: u64) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // What is too large for a number is beyond every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let span = if first.is_empty() {
        let suffix = number(last)?;
        Span { start: size.saturating_sub(suffix), end: size }
    } else {
        let start = number(first)?;
        let end = if last.is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
        if !last.is_empty() && number(last)? < start {
            return None;
        }
        Span { start, end }
    };
    Some(if span.start < span.end { Wanted::Part(span) } else { Wanted::Unsatisfiable })
}

#[cfg(test)]
mod tests;
