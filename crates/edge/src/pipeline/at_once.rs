//! A hit in one step: what [`answer`](super::answer) answers with a fresh response that lies in memory,
//! for a request of the plainest kind. One of that kind for an upstream without a cache is asked for from
//! here as well ([`later`](super::later)).
//!
//! Most requests of a cache are such, and on the long way they pay for what the others need: a map of
//! fields, a future with room for every way that a request can take, a body that might wait. Here the head
//! of the answer is written from the stored one into the connection's buffer, and nothing else is made.
//! The decisions are those of the long way, made by the same functions; whatever else would have a say (a
//! rule of the route, a condition of the client, a response that is stale, compressed or not at hand) is
//! `None`, and the request goes the long way from its beginning. What was decided shows in the same places:
//! the fields of the answer, the counts of the cache, the record.

use std::io::Write as _;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::Body;
use bytes::Bytes;
use cache::{Asked, Key, Reuse, Stored};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use manifest::route::when::Facts;
use manifest::{RouteCache, RouteIndex, Target, UpstreamIndex};
use net::{Believed, Found, Given, Glance};
use telemetry::TraceContext;

use super::{CLIENT_ADDRESS, REQUEST_ID, RequestId, TRACEPARENT, id_value, later, request_id};
use crate::core::Core;
use crate::door::Door;
use crate::proxy::{self, Rule};
use crate::sender;
use crate::site::Site;
use crate::told::CACHE_STATUS;

/// What a client says of the response that it wants, or has already.
const CONDITIONS: [&str; 8] = [
    "cache-control",
    "pragma",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];

/// Fields that reach an origin as the client sent them. A response that varies by another one is
/// compared on the long way.
static UNCHANGED: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::COOKIE,
    header::ORIGIN,
    header::USER_AGENT,
];

/// Room for what is said beside what is stored.
const FIELDS_ADDED: usize = 8;
/// Room for the word of the cache.
const STATUS_BYTES: usize = 40;

/// Answers a request with what lies ready, if that is all that there is to it.
pub(crate) fn answer(core: &Rc<Core>, glance: &Glance<'_>, out: &mut Vec<u8>) -> Option<Found> {
    let started = core.clock.monotonic();
    let hosts = core.hosts.current();
    let site = hosts.find(glance.host())?;
    let doors = core.doors.current();
    let door = doors.get(glance.listener);
    let asked = Wanted::of(core, site, glance, door)?;
    if asked.cache == RouteCache::Off {
        let to = (asked.index, asked.upstream);
        return later::ask(core, site, to, glance, asked.believed, started).map(Found::Later);
    }
    let hit = asked.find(core, site, glance)?;
    let id = request_id(core);
    write_head(out, &hit, id.as_str(), glance, door)?;
    let body = hit.body.clone();
    hit.tell(core, site, glance, id, started);
    Some(Found::Answer(body))
}

/// The same as a response, for who frames it (HTTP/2).
pub(crate) fn respond(core: &Rc<Core>, glance: &Glance<'_>) -> Option<Given> {
    let started = core.clock.monotonic();
    let hosts = core.hosts.current();
    let site = hosts.find(glance.host())?;
    let doors = core.doors.current();
    let door = doors.get(glance.listener);
    let asked = Wanted::of(core, site, glance, door)?;
    if asked.cache == RouteCache::Off {
        let to = (asked.index, asked.upstream);
        return later::respond(core, site, to, glance, asked.believed.is_some(), started).map(Given::Later);
    }
    let hit = asked.find(core, site, glance)?;
    let id = request_id(core);
    let response = response(&hit, id.as_str(), glance, door)?;
    hit.tell(core, site, glance, id, started);
    Some(Given::Answer(response))
}

/// What is asked of a route to an upstream that has nothing in between.
struct Wanted {
    index: RouteIndex,
    upstream: UpstreamIndex,
    cache: RouteCache,
    target: Target,
    client: IpAddr,
    scheme: &'static str,
    believed: Option<Box<Believed>>,
}

impl Wanted {
    fn of(core: &Core, site: &Site, glance: &Glance<'_>, door: Option<&Door>) -> Option<Self> {
        let believed = door.and_then(|door| sender::of_glance(door, glance));
        let client = believed.as_ref().map_or(glance.peer.ip(), |believed| believed.client);
        let scheme = believed.as_ref().and_then(|believed| believed.scheme).unwrap_or(glance.scheme());
        let (index, upstream, cache, target) = routed(core, site, glance, client)?;
        let stopped = door.is_some_and(|door| door.stops(glance.host(), glance.path, scheme));
        (!stopped).then_some(Self { index, upstream, cache, target, client, scheme, believed })
    }

    /// What the cache has for it.
    fn find(self, core: &Core, site: &Site, glance: &Glance<'_>) -> Option<Hit> {
        if glance.has_any(&CONDITIONS) {
            return None;
        }
        let now_ms = core.clock.unix_ms();
        let asked = self.believed.and_then(|believed| believed.authority);
        let asked = asked.filter(|asked| asked != glance.authority);
        let page = Page { glance, scheme: self.scheme, asked };
        let stored = find(core, site, page, self.index, self.cache, &self.target, now_ms)?;
        let body = stored.body.whole()?.clone();
        let age_s = stored.age_s(now_ms);
        let left_s = i128::from(stored.lifetime_s) - i128::from(age_s);
        Some(Hit { stored, body, age_s, left_s, now_ms, index: self.index, client: self.client })
    }
}

/// A stored response that answers.
struct Hit {
    stored: Arc<Stored>,
    body: Bytes,
    age_s: u64,
    /// How long it is fresh.
    left_s: i128,
    now_ms: u64,
    index: RouteIndex,
    client: IpAddr,
}

/// The route of a request, if nothing stands between it and the cache, or the upstream.
fn routed(
    core: &Core,
    site: &Site,
    glance: &Glance<'_>,
    client: IpAddr,
) -> Option<(RouteIndex, UpstreamIndex, RouteCache, Target)> {
    let first = |name: &str| -> Option<&str> {
        let mut lines = glance.lines(name);
        let value = std::str::from_utf8(lines.next()?).ok();
        value.filter(|text| text.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)))
    };
    let facts = Facts {
        method: "GET",
        query: glance.query,
        client: Some(client),
        header: &first,
        country: &|| core.country(client),
    };
    // What a stranger is not believed, and what is one field in several lines.
    let unclear = [REQUEST_ID, CLIENT_ADDRESS];
    if glance.has_any(&unclear.each_ref().map(HeaderName::as_str)) || glance.lines("cookie").nth(1).is_some() {
        return None;
    }
    let found = site.plan().routes.find_for(glance.host(), glance.path, &facts)?;
    let Target::Upstream { upstream, cache } = found.route.target else { return None };
    found.route.rules.is_none().then(|| (found.index, upstream, cache, found.route.target))
}

/// What is asked for, as a proxy in front that is believed says.
struct Page<'g> {
    glance: &'g Glance<'g>,
    scheme: &'static str,
    /// Another host than the request names.
    asked: Option<HeaderValue>,
}

/// A fresh response in memory that answers it as it is.
fn find(
    core: &Core,
    site: &Site,
    Page { glance, scheme, asked }: Page<'_>,
    index: RouteIndex,
    cache: RouteCache,
    target: &Target,
    now_ms: u64,
) -> Option<Arc<Stored>> {
    let rule = match cache {
        RouteCache::Rule(_) => Some(site.cache_rule(cache)),
        _ => None,
    };
    let rule = rule.as_deref();
    let names = |rule: &Rule| !rule.key.headers.is_empty() || !rule.key.cookies.is_empty() || rule.key.device;
    if rule.is_some_and(names) {
        return None;
    }
    let authority = glance.authority;
    let url = match rule {
        Some(rule) => rule.key.page(scheme, authority, glance.path, glance.query),
        None => cache::KeyRule::default().page(scheme, authority, glance.path, glance.query),
    };
    let url = match asked {
        Some(asked) => proxy::with_host(url, &asked),
        None => url,
    };
    let key = Key { app: site.app_label().clone(), cache: site.cache_space(index, target), url: url.into() };
    let variants = core.cache.at_hand(&key)?;
    if variants.iter().any(|stored| !stored.vary.fields().all(|name| UNCHANGED.contains(name))) {
        return None;
    }
    let lines = |name: &HeaderName| {
        let known = UNCHANGED.iter().find(|known| *known == name);
        glance.lines(known.map_or("", HeaderName::as_str))
    };
    let matches = |stored: &Stored| stored.vary.matches_lines(lines);
    let Reuse::Fresh(stored) = cache::reuse_where(&variants, matches, &Asked::default(), now_ms) else { return None };
    let compressed = rule.is_some_and(|rule| rule.compress) && stored.body_id != 0 && cache::compressible(&stored);
    let plain = !matches!(
        stored.status,
        StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::UPGRADE_REQUIRED
    );
    (plain && !compressed).then_some(stored)
}

/// The head as hyper would write it.
fn write_head(out: &mut Vec<u8>, hit: &Hit, id: &str, glance: &Glance<'_>, door: Option<&Door>) -> Option<()> {
    let stored = &*hit.stored;
    let reason = stored.status.canonical_reason()?;
    for piece in ["HTTP/1.1 ", stored.status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    let mut dated = false;
    for (name, value) in &stored.headers {
        dated |= name == header::DATE;
        if is_kept(name) {
            push(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if !dated {
        // The long way knows the time in words.
        return None;
    }
    out.extend_from_slice(b"content-length: ");
    push_number(out, hit.body.len() as u64);
    out.extend_from_slice(b"\r\nage: ");
    push_number(out, hit.age_s);
    out.extend_from_slice(b"\r\ncache-status: selvedge; hit; ttl=");
    match u64::try_from(hit.left_s) {
        Ok(left_s) => push_number(out, left_s),
        Err(_) => drop(write!(out, "{}", hit.left_s)),
    }
    out.extend_from_slice(b"\r\nvia: 1.1 selvedge\r\n");
    push(out, REQUEST_ID.as_str().as_bytes(), id.as_bytes());
    let told = door.map(|door| door.told(glance.host(), glance.secured)).into_iter().flatten().flatten();
    for (name, value) in told.filter(|(name, _)| !stored.headers.contains_key(name)) {
        push(out, name.as_str().as_bytes(), HeaderValue::as_bytes(value));
    }
    out.extend_from_slice(b"\r\n");
    Some(())
}

/// The same fields as a response.
fn response(hit: &Hit, id: &str, glance: &Glance<'_>, door: Option<&Door>) -> Option<Response<Body>> {
    let stored = &*hit.stored;
    if !stored.headers.contains_key(header::DATE) {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(stored.headers.len() + FIELDS_ADDED);
    for (name, value) in stored.headers.iter().filter(|(name, _)| is_kept(name)) {
        headers.append(name, value.clone());
    }
    let mut status = Vec::with_capacity(STATUS_BYTES);
    let _ = write!(status, "selvedge; hit; ttl={}", hit.left_s);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(stored.body.len()));
    headers.insert(header::AGE, HeaderValue::from(hit.age_s));
    headers.append(CACHE_STATUS, HeaderValue::from_maybe_shared(Bytes::from(status)).ok()?);
    headers.append(header::VIA, HeaderValue::from_static("1.1 selvedge"));
    headers.insert(REQUEST_ID, id_value(id));
    if let Some(door) = door {
        door.fields(glance.host(), glance.secured, &mut headers);
    }
    let mut response = Response::new(Body::full(hit.body.clone()));
    (*response.status_mut(), *response.headers_mut()) = (stored.status, headers);
    Some(response)
}

/// Whether a field is told as it is stored.
fn is_kept(name: &HeaderName) -> bool {
    *name != header::CONTENT_LENGTH && *name != header::AGE && *name != REQUEST_ID
}

/// Names are written in lower case, as hyper does.
pub(super) fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    let start = out.len();
    out.extend_from_slice(name);
    out[start..].make_ascii_lowercase();
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Decimal, without what formatting in general costs.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut left = number;
    loop {
        out.push(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out[start..].reverse();
}

impl Hit {
    /// Makes the record, and counts.
    fn tell(self, core: &Core, site: &Site, glance: &Glance<'_>, id: RequestId, started: Duration) {
        site.counts(&core.cache).hit(self.body.len() as u64);
        core.drain.enter();
        let total = core.clock.monotonic().saturating_sub(started);
        core.tell(|record| {
            record.started_unix_ms = self.now_ms;
            id.as_str().clone_into(&mut record.request_id);
            record.trace = TraceContext::accept(glance.lines(TRACEPARENT.as_str()).next(), &core.ids);
            record.app = Some(site.app_label().clone());
            record.deployment = Some(site.deployment().clone());
            record.route = Some(site.pattern(self.index).clone());
            record.client = Some(self.client);
            "GET".clone_into(&mut record.method);
            glance.host().clone_into(&mut record.host);
            glance.path.clone_into(&mut record.path);
            record.protocol = glance.protocol.as_str();
            record.status = self.stored.status.as_u16();
            record.target = site.label(&site.plan().routes.route(self.index).target);
            record.cache = "hit".into();
            record.ttl_s = Some(i64::try_from(self.left_s).unwrap_or(i64::MAX));
            record.response_bytes = self.body.len() as u64;
            (record.head, record.total) = (total, total);
        });
    }
}
