//! Parts of a response that is not stored as a whole (RFC 9111, sections 3.3 and 3.4): what is asked for
//! again and again of something large.
//!
//! Each part is an entry of its own, and answers what lies within it. Several answer together if a strong
//! validator says that they are of one body, byte for byte; nothing less does. What is missing between them
//! is named, so that it alone is asked of the origin.

use std::ops::Range;
use std::sync::Arc;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::admit::{Heuristic, Refusal};
use crate::answer::{Answer, Wanted, if_range, parse_range};
use crate::content::Content;
use crate::proxy::admit_any;
use crate::stored::Stored;
use crate::vary::{Vary, VaryValues};

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
    if !headers.get(header::ETAG).is_some_and(is_strong) && !headers.contains_key(header::LAST_MODIFIED) {
        return Err(Refusal::Partial);
    }
    let stored = admit_any(request, StatusCode::OK, headers, heuristic, now_ms)?;
    Ok((Stored { status: StatusCode::PARTIAL_CONTENT, ..stored }, span))
}

/// What stored parts come to for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parts {
    /// All that is asked for is there.
    Whole(Answer),
    /// Its beginning, its end or both are there, and between them bytes are missing.
    Gap(Gap),
}

/// An answer with a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The answer as it would be, with what is there of its body before the hole.
    pub before: Answer,
    /// The bytes of the whole that are missing.
    pub missing: Range<u64>,
    pub after: Content,
    /// Of how many bytes the whole is.
    pub total: u64,
    /// Which whole it is, as a strong validator.
    pub etag: HeaderValue,
    variant: VaryValues,
}

impl Gap {
    /// Whether what an origin sends is what is missing, of the same whole: then, and only then, may they
    /// be put together (RFC 9110, section 15.3.7.3).
    pub fn is_filled_by(&self, request: &HeaderMap, status: StatusCode, headers: &HeaderMap) -> bool {
        let same = match Vary::parse(headers) {
            Vary::Fields(fields) => VaryValues::of(fields, request) == self.variant,
            Vary::Any => false,
        };
        status == StatusCode::PARTIAL_CONTENT
            && same
            && headers.get(header::ETAG).is_some_and(|etag| etag.as_bytes().trim_ascii() == self.etag.as_bytes())
            && headers.get(header::CONTENT_ENCODING) == self.before.headers.get(header::CONTENT_ENCODING)
            && Span::parse(headers).is_some_and(|span| span.part == self.missing && span.total == self.total)
    }
}

/// What stored parts come to for a request for one, or for the whole; `None` if nothing.
///
/// One part answers what lies within it, whatever its validator. Several are put together if they have the
/// same strong one, the same size of the whole and the same variant (RFC 9111, section 3.4).
pub fn answer_parts(parts: &[Arc<Stored>], request: &HeaderMap, now_ms: u64) -> Option<Parts> {
    if CONDITIONS.iter().any(|name| request.contains_key(name)) {
        return None;
    }
    let mut pieces: Vec<Piece<'_>> = parts.iter().filter_map(|stored| Piece::of(stored, request, now_ms)).collect();
    // What came last is the newest whole that is known of.
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.stored.stored_at_ms));
    let within = pieces.iter().find_map(|piece| {
        let wanted = wanted(request, piece.span.total)?;
        (piece.has(wanted.start) && piece.span.part.end >= wanted.end).then(|| (vec![piece], wanted))
    });
    if let Some((one, wanted)) = within {
        let joined = piece_of(&one, wanted.clone());
        return Some(Parts::Whole(told(&one, request, &wanted, joined, now_ms)));
    }
    let newest = pieces.iter().find(|piece| piece.etag.is_some())?;
    let wanted = wanted(request, newest.span.total)?;
    let like: Vec<&Piece<'_>> = pieces.iter().filter(|piece| piece.is_like(newest)).collect();
    together(&like, request, wanted, now_ms)
}

const CONDITIONS: [HeaderName; 4] =
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE];

/// A stored part that may be used.
struct Piece<'a> {
    stored: &'a Stored,
    span: Span,
    /// A strong one.
    etag: Option<&'a HeaderValue>,
}

impl<'a> Piece<'a> {
    fn of(stored: &'a Stored, request: &HeaderMap, now_ms: u64) -> Option<Self> {
        let usable = stored.status == StatusCode::PARTIAL_CONTENT
            && stored.vary.matches(request)
            && stored.is_fresh(now_ms)
            && !stored.terms.always_validate
            && if_range(stored, request);
        let span = Span::parse(&stored.headers).filter(|span| usable && stored.body.len() == span.bytes())?;
        let etag = stored.headers.get(header::ETAG).filter(|etag| is_strong(etag));
        Some(Self { stored, span, etag })
    }

    fn has(&self, at: u64) -> bool {
        self.span.part.contains(&at)
    }

    fn is_like(&self, other: &Self) -> bool {
        let coded = |piece: &Self| piece.stored.headers.get(header::CONTENT_ENCODING).cloned();
        self.etag.is_some()
            && self.etag == other.etag
            && self.span.total == other.span.total
            && self.stored.vary == other.stored.vary
            && coded(self) == coded(other)
    }

    fn slice(&self, wanted: Range<u64>) -> Content {
        self.stored.body.slice(wanted.start - self.span.part.start..wanted.end - self.span.part.start)
    }
}

fn is_strong(etag: &HeaderValue) -> bool {
    etag.as_bytes().starts_with(b"\"")
}

/// The one range that is asked for, or all of it.
fn wanted(request: &HeaderMap, total: u64) -> Option<Range<u64>> {
    let Some(range) = request.get(header::RANGE) else { return Some(0..total) };
    match parse_range(range.to_str().ok()?, total) {
        Wanted::Part(wanted) => Some(wanted),
        Wanted::All | Wanted::Nothing => None,
    }
}

/// Puts together what there is from the beginning on, and up to the end.
fn together(like: &[&Piece<'_>], request: &HeaderMap, wanted: Range<u64>, now_ms: u64) -> Option<Parts> {
    let (mut from, mut to) = (wanted.start, wanted.end);
    let (mut used, mut last) = (Vec::new(), Vec::new());
    while from < to {
        let next = like.iter().filter(|piece| piece.has(from)).max_by_key(|piece| piece.span.part.end);
        let Some(next) = next else { break };
        used.push(*next);
        from = next.span.part.end.min(to);
    }
    while from < to {
        let next = like.iter().filter(|piece| piece.has(to - 1)).min_by_key(|piece| piece.span.part.start);
        let Some(next) = next else { break };
        last.insert(0, *next);
        to = next.span.part.start.max(from);
    }
    let before = piece_of(&used, wanted.start..from);
    let after = piece_of(&last, to..wanted.end);
    used.extend(last);
    let newest = used.iter().max_by_key(|piece| piece.stored.stored_at_ms)?;
    let (total, etag, variant) = (newest.span.total, newest.etag?.clone(), newest.stored.vary.clone());
    if from == to {
        let joined = Content::joined([before, after].into_iter().filter(|content| !content.is_empty()).collect());
        return Some(Parts::Whole(told(&used, request, &wanted, joined, now_ms)));
    }
    let before = told(&used, request, &wanted, before, now_ms);
    Some(Parts::Gap(Gap { before, missing: from..to, after, total, etag, variant }))
}

/// The bytes of a range, each of the first piece that has it.
fn piece_of(pieces: &[&Piece<'_>], wanted: Range<u64>) -> Content {
    let mut at = wanted.start;
    let mut contents = Vec::new();
    for piece in pieces {
        let end = piece.span.part.end.min(wanted.end);
        if piece.has(at) && at < end {
            contents.push(piece.slice(at..end));
            at = end;
        }
    }
    Content::joined(contents)
}

/// The answer that pieces make: with the fields of the newest, as old as the oldest.
fn told(pieces: &[&Piece<'_>], request: &HeaderMap, wanted: &Range<u64>, body: Content, now_ms: u64) -> Answer {
    let newest = pieces.iter().max_by_key(|piece| piece.stored.stored_at_ms);
    let mut headers = newest.map_or_else(HeaderMap::new, |piece| piece.stored.headers.clone());
    let total = newest.map_or(0, |piece| piece.span.total);
    let age_s = pieces.iter().map(|piece| piece.stored.age_s(now_ms)).max().unwrap_or(0);
    headers.insert(header::AGE, HeaderValue::from(age_s));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(wanted.end - wanted.start));
    headers.remove(header::CONTENT_RANGE);
    if !request.contains_key(header::RANGE) {
        return Answer { status: StatusCode::OK, headers, body };
    }
    let range = format!("bytes {}-{}/{total}", wanted.start, wanted.end - 1);
    if let Ok(range) = HeaderValue::try_from(range) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Answer { status: StatusCode::PARTIAL_CONTENT, headers, body }
}

#[cfg(test)]
mod tests;
