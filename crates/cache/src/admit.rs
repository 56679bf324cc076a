//! Whether a response may be stored, and for how long it is fresh (RFC 9111, sections 3 and 4.2).

use http::header::{self, HeaderName};
use http::{HeaderMap, Method, StatusCode};

use crate::content::Content;
use crate::control::{CacheControl, seconds};
use crate::stored::{Stored, Terms};
use crate::tags::Tags;
use crate::vary::{Vary, VaryValues};

/// How long a response is fresh that does not say so itself (RFC 9111, section 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heuristic {
    /// A response of a status that is cacheable by default.
    pub default_s: u64,
    /// One that tells of an absence: 404, 405, 410, 414, 501.
    pub absence_s: u64,
    /// The most that is made of `Last-Modified`: a tenth of the time since then.
    pub modified_s_max: u64,
}

impl Default for Heuristic {
    fn default() -> Self {
        Self { default_s: 7_200, absence_s: 180, modified_s_max: 86_400 }
    }
}

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("only responses to GET requests are stored")]
    Method,
    #[error("a partial response (206) is not stored")]
    Partial,
    #[error("a response with Vary: * fits no other request")]
    VariesByAll,
    #[error("a response with this status is stored only if it says how long it is fresh")]
    Status,
    #[error("the status is not that of a final, complete response")]
    NotFinal,
    #[error("Cache-Control says no-store")]
    NoStore,
    #[error("Cache-Control says private")]
    Private,
    #[error("Cache-Control says no-cache, and nothing would be validated")]
    NoCache,
    #[error("it sets a cookie; remove Set-Cookie, or name it in Cache-Control: private=\"Set-Cookie\"")]
    SetsCookie,
    #[error("it is stale already")]
    Stale,
    #[error("it has more tags, or longer ones, than a purge could find it by")]
    Tags,
    #[error("the request says no-store")]
    RequestNoStore,
    #[error("the request has Authorization, and the response does not say that others may have it")]
    Authorized,
}

impl Refusal {
    /// For `Cache-Status` (RFC 9211, section 2.8).
    pub fn detail(self) -> &'static str {
        match self {
            Refusal::Method => "method",
            Refusal::Partial => "partial",
            Refusal::VariesByAll => "vary-any",
            Refusal::Status => "no-lifetime",
            Refusal::NotFinal => "not-final",
            Refusal::NoStore => "no-store",
            Refusal::Private => "private",
            Refusal::NoCache => "no-cache",
            Refusal::SetsCookie => "set-cookie",
            Refusal::Stale => "stale",
            Refusal::Tags => "too-many-tags",
            Refusal::RequestNoStore => "request-no-store",
            Refusal::Authorized => "authorization",
        }
    }
}

/// Fields of one hop or one exchange, which are not stored (section 3.1).
pub(crate) static NOT_STORED: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
];

/// What may be stored of a response to this request, at `now_ms`; the body is still to come.
pub fn admit(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    mut headers: HeaderMap,
    heuristic: Heuristic,
    now_ms: u64,
) -> Result<Stored, Refusal> {
    if *method != Method::GET {
        return Err(Refusal::Method);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Refusal::Partial);
    }
    let Vary::Fields(fields) = Vary::parse(&headers) else { return Err(Refusal::VariesByAll) };
    if status.as_u16() < 200 || status == StatusCode::NOT_MODIFIED {
        return Err(Refusal::NotFinal);
    }
    let control = CacheControl::parse(&headers);
    for name in control.fields.iter().chain(&connection_fields(&headers)).chain(&NOT_STORED) {
        headers.remove(name);
    }
    let refusal = [
        (control.no_store, Refusal::NoStore),
        (control.private, Refusal::Private),
        (control.no_cache, Refusal::NoCache),
        (headers.contains_key(header::SET_COOKIE), Refusal::SetsCookie),
    ];
    if let Some((_, refusal)) = refusal.into_iter().find(|(applies, _)| *applies) {
        return Err(refusal);
    }
    let lifetime_s = lifetime_s(status, &headers, &control, heuristic, now_ms).ok_or(Refusal::Status)?;
    let initial_age_s = initial_age_s(&headers, now_ms);
    if initial_age_s >= lifetime_s {
        return Err(Refusal::Stale);
    }
    let tags = Tags::parse(&headers).map_err(|_| Refusal::Tags)?;
    let vary = VaryValues::of(fields, request);
    Ok(Stored {
        status,
        headers,
        body: Content::empty(),
        stored_at_ms: now_ms,
        initial_age_s,
        lifetime_s,
        vary,
        terms: Terms::default(),
        tags,
        body_id: 0,
    })
}

/// The fields that `Connection` names.
pub(crate) fn connection_fields(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&b| b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// How old it may become (section 4.2.1); `None` if nothing says so and its status does not allow a
/// guess.
pub(crate) fn lifetime_s(
    status: StatusCode,
    headers: &HeaderMap,
    control: &CacheControl,
    heuristic: Heuristic,
    now_ms: u64,
) -> Option<u64> {
    if let Some(seconds) = control.lifetime_s() {
        return Some(seconds);
    }
    let date = date(headers, &header::DATE).unwrap_or(now_ms / 1000);
    if headers.contains_key(header::EXPIRES) {
        // A date that can't be read is in the past (section 5.3).
        let expires = self::date(headers, &header::EXPIRES).unwrap_or(0);
        return Some(expires.saturating_sub(date));
    }
    let default_s = match status.as_u16() {
        200 | 203 | 204 | 300 | 301 | 308 => heuristic.default_s,
        404 | 405 | 410 | 414 | 501 => heuristic.absence_s,
        _ if control.public => heuristic.absence_s,
        _ => return None,
    };
    match self::date(headers, &header::LAST_MODIFIED) {
        Some(modified) if modified < date => Some(((date - modified) / 10).min(heuristic.modified_s_max)),
        _ => Some(default_s),
    }
}

/// How old it is when it arrives (section 4.2.3); the way here counts as no time.
pub(crate) fn initial_age_s(headers: &HeaderMap, now_ms: u64) -> u64 {
    let told = headers.get(header::AGE).map_or(0, told_age_s);
    let apparent = date(headers, &header::DATE).map_or(0, |date| (now_ms / 1000).saturating_sub(date));
    told.max(apparent)
}

/// The first value counts (section 5.1). Of a list that begins with something else nobody knows how old it
/// is; a single value that can't be read says nothing.
fn told_age_s(age: &http::HeaderValue) -> u64 {
    let text = age.to_str().unwrap_or_default();
    match text.split_once(',') {
        Some((first, _)) if first.trim().bytes().all(|b| b.is_ascii_digit()) => seconds(Some(first.trim())),
        Some(_) => u64::from(u32::MAX),
        None => seconds(Some(text.trim())),
    }
}

/// A date in seconds since the Unix epoch.
pub fn date(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests;
