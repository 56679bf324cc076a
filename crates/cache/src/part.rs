//! Parts of a response that is not stored as a whole (RFC 9111, sections 3.3 and 3.4): what is asked for
//! again and again of something large.
//!
//! Each part is an entry of its own, and answers what lies within it. Parts are never put together: that
//! would take the word of an origin that they are of one body, byte for byte.

use std::ops::Range;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::admit::{Heuristic, Refusal};
use crate::answer::{Answer, Wanted, if_range, parse_range};
use crate::proxy::admit_any;
use crate::stored::Stored;

/// Which bytes of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub part: Range<u64>,
    pub total: u64,
}

impl Span {
    /// What `Content-Range` says, if it is one part of something whose size is known.
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(header::CONTENT_RANGE).iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let (range, total) = line.to_str().ok()?.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number =
            |text: &str| Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse::<u64>().ok();
        let (first, last, total) = (number(first)?, number(last)?, number(total)?);
        (first <= last && last < total).then(|| Self { part: first..last + 1, total })
    }

    pub fn bytes(&self) -> u64 {
        self.part.end - self.part.start
    }
}

/// What may be stored of a part; the body is still to come. It has to say by a validator which whole it is
/// a part of.
pub fn admit_part(
    request: &HeaderMap,
    headers: HeaderMap,
    heuristic: Heuristic,
    now_ms: u64,
) -> Result<(Stored, Span), Refusal> {
    let span = Span::parse(&headers).ok_or(Refusal::Partial)?;
    let strong = headers.get(header::ETAG).is_some_and(|tag| tag.as_bytes().starts_with(b"\""));
    if !strong && !headers.contains_key(header::LAST_MODIFIED) {
        return Err(Refusal::Partial);
    }
    let stored = admit_any(request, StatusCode::OK, headers, heuristic, now_ms)?;
    Ok((Stored { status: StatusCode::PARTIAL_CONTENT, ..stored }, span))
}

/// The answer that a stored part has to a request for one; `None` if it has none.
pub fn answer_part(stored: &Stored, request: &HeaderMap, now_ms: u64) -> Option<Answer> {
    const CONDITIONS: [HeaderName; 4] =
        [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE];
    let usable = stored.status == StatusCode::PARTIAL_CONTENT
        && stored.vary.matches(request)
        && stored.is_fresh(now_ms)
        && !stored.terms.always_validate;
    if !usable || !if_range(stored, request) || CONDITIONS.iter().any(|name| request.contains_key(name)) {
        return None;
    }
    let span = Span::parse(&stored.headers)?;
    let Wanted::Part(wanted) = parse_range(request.get(header::RANGE)?.to_str().ok()?, span.total) else { return None };
    if wanted.start < span.part.start || wanted.end > span.part.end || stored.body.len() != span.bytes() {
        return None;
    }
    let mut headers = stored.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(stored.age_s(now_ms)));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(wanted.end - wanted.start));
    let told = format!("bytes {}-{}/{}", wanted.start, wanted.end - 1, span.total);
    headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(told).ok()?);
    let body = stored.body.slice(wanted.start - span.part.start..wanted.end - span.part.start);
    Some(Answer { status: StatusCode::PARTIAL_CONTENT, headers, body })
}

#[cfg(test)]
mod tests;
