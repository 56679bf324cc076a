//! The policy of a cache in front of an origin: what `caches` leaves to its caller, that one decides.
//! Whether a stored response may be used as it is, or has to be validated first; what validating it
//! takes and brings; what may be served when the origin can't be reached; what a request that changes
//! something makes invalid.

use std::sync::Arc;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::admit::{Heuristic, NOT_STORED, Refusal, connection_fields, date, initial_age_s, lifetime_s};
use crate::content::Content;
use crate::control::{CacheControl, elements, seconds};
use crate::stored::{Stored, Terms};
use crate::tags::Tags;
use crate::vary::{Vary, VaryValues};

/// For how long a stale response is used when its origin can't be reached at all, and it did not say
/// (RFC 9111, section 4.2.4).
const DISCONNECTED_S_MAX: u64 = 86_400;

/// What a request asks of a cache (RFC 9111, section 5.2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    pub no_store: bool,
    pub no_cache: bool,
    pub only_if_cached: bool,
    pub max_age_s: Option<u64>,
    pub min_fresh_s: Option<u64>,
    /// `u64::MAX` for any time.
    pub max_stale_s: Option<u64>,
}

impl Asked {
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut asked = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            // Section 5.4.
            let lines = headers.get_all(header::PRAGMA).iter();
            asked.no_cache = lines
                .flat_map(|line| line.as_bytes().split(|&b| b == b','))
                .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-cache"));
            return asked;
        }
        for line in headers.get_all(header::CACHE_CONTROL) {
            let line = String::from_utf8_lossy(line.as_bytes());
            for directive in elements(&line) {
                let (name, value) = match directive.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                    None => (directive, None),
                };
                match name.to_ascii_lowercase().as_str() {
                    "no-store" => asked.no_store = true,
                    "no-cache" => asked.no_cache = true,
                    "only-if-cached" => asked.only_if_cached = true,
                    "max-age" => asked.max_age_s = Some(seconds(value)),
                    "min-fresh" => asked.min_fresh_s = Some(seconds(value)),
                    "max-stale" => asked.max_stale_s = Some(value.map_or(u64::MAX, |value| seconds(Some(value)))),
                    _ => {}
                }
            }
        }
        asked
    }
}

/// What a stored response is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reuse {
    /// It answers.
    Fresh(Arc<Stored>),
    /// It answers, and is to be validated behind the client's back (RFC 5861, section 3).
    StaleWhile(Arc<Stored>),
    /// The origin is asked whether it still holds.
    Validate(Arc<Stored>),
    Nothing,
}

/// What of the stored responses answers a request.
pub fn reuse(variants: &[Arc<Stored>], request: &HeaderMap, asked: &Asked, now_ms: u64) -> Reuse {
    reuse_where(variants, |stored| stored.vary.matches(request), asked, now_ms)
}

/// The same where somebody else knows which of them match the request.
pub fn reuse_where(variants: &[Arc<Stored>], matches: impl Fn(&Stored) -> bool, asked: &Asked, now_ms: u64) -> Reuse {
    let mut matching = variants.iter().filter(|stored| matches(stored));
    let Some(first) = matching.next() else { return Reuse::Nothing };
    // The most recent, by its own date (section 4.1). Of most URLs there is one, whose date nobody reads.
    let made_s = |stored: &Arc<Stored>| date(&stored.headers, &header::DATE).unwrap_or(stored.stored_at_ms / 1000);
    let order = |stored: &Arc<Stored>| (made_s(stored), stored.stored_at_ms);
    let youngest = |one, other| if order(other) >= order(one) { other } else { one };
    let stored = matching.fold(first, youngest).clone();
    let age_s = stored.age_s(now_ms);
    let wanted_fresh_s = asked.min_fresh_s.unwrap_or(0);
    let too_old = asked.max_age_s.is_some_and(|max| age_s > max);
    if stored.terms.always_validate || asked.no_cache || too_old {
        return Reuse::Validate(stored);
    }
    if age_s.saturating_add(wanted_fresh_s) < stored.lifetime_s {
        return Reuse::Fresh(stored);
    }
    let stale_s = stored.stale_for_s(now_ms);
    if stored.terms.never_stale || wanted_fresh_s > 0 {
        return Reuse::Validate(stored);
    }
    if asked.max_stale_s.is_some_and(|max| stale_s <= max) {
        return Reuse::Fresh(stored);
    }
    let meanwhile_s = stored.terms.stale_while_revalidate_s;
    if meanwhile_s > 0 && stale_s <= meanwhile_s { Reuse::StaleWhile(stored) } else { Reuse::Validate(stored) }
}

/// What may be stored of an origin's response to a GET request, at `now_ms`; the body is still to come.
/// One that is stale, or has to be validated each time, is stored too if it can be validated.
pub fn admit_proxied(
    request: &HeaderMap,
    status: StatusCode,
    headers: HeaderMap,
    heuristic: Heuristic,
    now_ms: u64,
) -> Result<Stored, Refusal> {
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Refusal::Partial);
    }
    admit_any(request, status, headers, heuristic, now_ms)
}

/// The same for a response of which nobody asks whether it is whole.
pub(crate) fn admit_any(
    request: &HeaderMap,
    status: StatusCode,
    mut headers: HeaderMap,
    heuristic: Heuristic,
    now_ms: u64,
) -> Result<Stored, Refusal> {
    let Vary::Fields(fields) = Vary::parse(&headers) else { return Err(Refusal::VariesByAll) };
    if status.as_u16() < 200 || status == StatusCode::NOT_MODIFIED {
        return Err(Refusal::NotFinal);
    }
    let targeted = CacheControl::targeted(&headers);
    let has_own = targeted.is_some();
    let control = targeted.unwrap_or_else(|| CacheControl::parse(&headers));
    // Section 5.2.2.3: who understands the status knows better than `no-store`.
    let no_store = control.no_store && !(control.must_understand && is_understood(status));
    let for_all = control.public || control.s_maxage_s.is_some();
    let own = connection_fields(&headers);
    for name in control.fields.iter().chain(&own).chain(&NOT_STORED) {
        headers.remove(name);
    }
    let refusal = [
        (Asked::parse(request).no_store, Refusal::RequestNoStore),
        (no_store, Refusal::NoStore),
        (control.must_understand && !is_understood(status), Refusal::Status),
        (control.private, Refusal::Private),
        // Nobody else should get this client's cookies, unless the origin says that all may have them.
        (headers.contains_key(header::SET_COOKIE) && !for_all, Refusal::SetsCookie),
        // Section 3.5: who has to ask again each time may have it too, once it is stale.
        (request.contains_key(header::AUTHORIZATION) && !for_all && !control.must_revalidate, Refusal::Authorized),
    ];
    if let Some((_, refusal)) = refusal.into_iter().find(|(applies, _)| *applies) {
        return Err(refusal);
    }
    if !headers.contains_key(header::DATE) {
        // RFC 9110, section 6.6.1: who stores it writes down when it came.
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(now_ms);
        if let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
            headers.insert(header::DATE, value);
        }
    }
    let judged = if has_own { without_expires(&headers) } else { headers.clone() };
    let told_s = lifetime_s(status, &judged, &control, heuristic, now_ms);
    let lifetime_s = told_s.or(control.no_cache.then_some(0)).ok_or(Refusal::Status)?;
    let initial_age_s = initial_age_s(&headers, now_ms);
    let terms = Terms {
        always_validate: control.no_cache,
        never_stale: control.must_revalidate || control.s_maxage_s.is_some(),
        stale_while_revalidate_s: control.stale_while_revalidate_s.unwrap_or(0),
        stale_if_error_s: control.stale_if_error_s.unwrap_or(0),
    };
    let validates = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    let is_stale = initial_age_s >= lifetime_s && terms.stale_while_revalidate_s == 0 && terms.stale_if_error_s == 0;
    if !validates && (is_stale || terms.always_validate) {
        return Err(if terms.always_validate { Refusal::NoCache } else { Refusal::Stale });
    }
    let tags = Tags::parse(&headers).map_err(|_| Refusal::Tags)?;
    let (vary, body) = (VaryValues::of(fields, request), Content::empty());
    let (stored_at_ms, body_id) = (now_ms, 0);
    Ok(Stored { status, headers, body, stored_at_ms, initial_age_s, lifetime_s, vary, terms, tags, body_id })
}

fn without_expires(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::EXPIRES);
    headers
}

/// The statuses whose rules for caching are kept here.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The fields by which a client asks for something else than the whole of a resource.
static CONDITIONS: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

/// Makes of a client's request one that validates what is stored, or fetches it whole. False if it can
/// only do the latter.
pub fn set_validators(stored: Option<&Stored>, request: &mut HeaderMap) -> bool {
    for name in &CONDITIONS {
        request.remove(name);
    }
    let Some(stored) = stored else { return false };
    let mut any = false;
    let pairs = [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];
    for (of, asks) in pairs {
        if let Some(value) = stored.headers.get(of) {
            request.insert(asks, value.clone());
            any = true;
        }
    }
    any
}

/// Fields of a stored response that a 304 says nothing about: they are of its body (section 3.2).
static OF_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE, header::CONTENT_TYPE];

/// The fields of a response that `private` or `no-cache` name: they are for the one who asked.
pub fn for_one(response: &HeaderMap) -> HeaderMap {
    let control = CacheControl::targeted(response).unwrap_or_else(|| CacheControl::parse(response));
    let mut fields = HeaderMap::new();
    for name in control.fields {
        if !NOT_STORED.contains(&name) && !fields.contains_key(&name) {
            for value in response.get_all(&name) {
                fields.append(name.clone(), value.clone());
            }
        }
    }
    fields
}

/// What is said of a stored response once a 304 to its validation came (section 4.3.4); `None` if the 304 is
/// about another one, so that nothing is known of this.
pub fn updated(stored: &Stored, response: &HeaderMap) -> Option<HeaderMap> {
    if let (Some(new), Some(old)) = (response.get(header::ETAG), stored.headers.get(header::ETAG))
        && new != old
    {
        return None;
    }
    let mut headers = stored.headers.clone();
    headers.remove(header::AGE);
    // One without a date was made now, as far as anybody knows.
    headers.remove(header::DATE);
    let own = connection_fields(response);
    for name in response.keys().filter(|name| !own.contains(name)) {
        if NOT_STORED.contains(name) || OF_THE_BODY.contains(name) {
            continue;
        }
        headers.remove(name);
        for value in response.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    Some(headers)
}

/// The stored response with what is said of it now, if that may be stored.
pub fn renewed(
    stored: &Stored,
    request: &HeaderMap,
    headers: HeaderMap,
    heuristic: Heuristic,
    now_ms: u64,
) -> Result<Stored, Refusal> {
    let renewed = admit_proxied(request, stored.status, headers, heuristic, now_ms)?;
    // What it varies by is of the response that is kept.
    let (body, body_id, vary) = (stored.body.clone(), stored.body_id, stored.vary.clone());
    Ok(Stored { body, body_id, vary, ..renewed })
}

/// What went wrong when the origin was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It could not be reached, or did not answer.
    Unreachable,
    /// It answered with this status.
    Status(StatusCode),
}

/// Whether a stored response is better than the trouble (RFC 5861, section 4; RFC 9111, section 4.2.4).
pub fn usable_in_trouble(stored: &Stored, trouble: Trouble, now_ms: u64) -> bool {
    if stored.terms.never_stale || stored.terms.always_validate {
        return false;
    }
    let stale_s = stored.stale_for_s(now_ms);
    let allowed_s = stored.terms.stale_if_error_s;
    match trouble {
        Trouble::Unreachable => stale_s <= allowed_s.max(DISCONNECTED_S_MAX),
        Trouble::Status(status) => {
            matches!(status.as_u16(), 500 | 502 | 503 | 504) && allowed_s > 0 && stale_s <= allowed_s
        }
    }
}

/// The URLs that a request made invalid: its own, and those of the same origin that the response names
/// (section 4.4). `url` is absolute, without a fragment.
pub fn invalidated(method: &Method, url: &str, status: StatusCode, response: &HeaderMap) -> Vec<String> {
    if method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let mut urls = vec![url.to_owned()];
    let origin_end =
        url.find("://").and_then(|at| url[at + 3..].find('/').map(|end| at + 3 + end)).unwrap_or(url.len());
    let origin = &url[..origin_end];
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let Some(named) = response.get(name).and_then(|value| value.to_str().ok()) else { continue };
        let named = named.split('#').next().unwrap_or_default();
        if named.starts_with('/') && !named.starts_with("//") {
            urls.push(format!("{origin}{named}"));
        } else if named.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/')) {
            urls.push(named.to_owned());
        } else if !named.contains("://") && !named.is_empty() {
            let folder = url.rfind('/').filter(|at| *at >= origin_end).map_or(origin_end, |at| at + 1);
            urls.push(format!("{}{named}", &url[..folder]));
        }
    }
    urls
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
