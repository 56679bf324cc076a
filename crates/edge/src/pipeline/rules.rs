//! What a route's rules do with a request on its way to the target, in the order that
//! [`manifest::route::rules`] gives. The decisions are made there; here they meet a request, a clock
//! and a random number.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use base::{Body, Rng as _, code};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use manifest::route::rules::{
    FieldRules, Maintenance, Rewrite, SPLIT_COOKIE, Split, SplitBy, StandIn, WHOLE, position,
};
use manifest::route::template::Filling;
use manifest::route::when::{Facts, cookie};
use manifest::site_files::Elsewhere;
use manifest::{RouteIndex, RouteMatch, RouteTable, Rules, Target};
use net::Request;
use worker::Failure;

use super::middleware::go_on;
use super::{Answered, Outcome, Way, mirror, reach};
use crate::assets;
use crate::body;
use crate::proxy;
use crate::respond::{self, refuse};
use crate::told::Giver;

/// How long a client stays on its side of a split.
const SPLIT_COOKIE_S: u32 = 30 * 86_400;

/// The route that a request belongs to.
pub(super) fn find<'t>(
    table: &'t RouteTable,
    request: &Request,
    country: &dyn Fn() -> Option<String>,
) -> Option<RouteMatch<'t>> {
    with_facts(request, country, |facts| table.find_for(request.host(), request.path(), facts))
}

/// Looks at a request as conditions do.
fn with_facts<T>(request: &Request, country: &dyn Fn() -> Option<String>, look: impl FnOnce(&Facts<'_>) -> T) -> T {
    // HTTP/2 lets a client send its cookies in several fields.
    let joined = OnceCell::new();
    let cookies = || {
        let fields = request.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        fields.collect::<Vec<_>>().join("; ")
    };
    let first = |name: &str| match name {
        "cookie" => Some(joined.get_or_init(cookies).as_str()).filter(|cookies| !cookies.is_empty()),
        name => request.headers.get(name)?.to_str().ok(),
    };
    look(&Facts {
        method: request.method.as_str(),
        query: request.path_and_query.query(),
        client: Some(request.client()),
        header: &first,
        country,
    })
}

/// Where a request of a route goes.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub target: Target,
    /// Which blob, where the target is a bucket.
    pub key: String,
    /// Path and query as the client sent them, under which a cache keeps the answer.
    pub asked: PathAndQuery,
    /// Tells apart, in the cache, what else would look the same.
    pub space: Option<Arc<str>>,
    /// The blob's key is the whole path, since that was rewritten.
    pub follows_path: bool,
    /// The route, whose workers stand behind the cache; none for a copy.
    pub route: Option<RouteIndex>,
}

impl Course {
    pub fn new(way: &Way, index: RouteIndex, target: Target, request: &Request) -> Self {
        let route = way.site.plan().routes.route(index);
        // Most requests go to no bucket, and need no copy of their path.
        let may_be_blob = route.rules.is_some() || matches!(target, Target::Blob(_));
        let key = if may_be_blob { route.path.rest(request.path()).to_owned() } else { String::new() };
        let space = way.site.cache_space(index, &target);
        Self { target, key, asked: request.path_and_query.clone(), space, follows_path: false, route: Some(index) }
    }
}

/// What is done to the answer, whoever gives it.
#[derive(Default)]
pub(super) struct After {
    fields: Fields,
    cookie: Option<HeaderValue>,
}

impl After {
    pub fn apply(self, headers: &mut HeaderMap) {
        self.fields.apply(headers);
        if let Some(cookie) = self.cookie {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

/// Answers a request of a route that has rules.
pub(super) async fn answer(way: &Way, index: RouteIndex, rules: &Rules, mut request: Request) -> Answered {
    let route = way.site.plan().routes.route(index);
    let captures = route.path.clone();
    let path = request.path().to_owned();
    let facts = Told::of(way, &request);
    let of_request = |place: &str| facts.place(place);
    let filling = Filling { captures: captures.captures(&path), of_request: &of_request };
    let mut after = After { fields: Fields::of(&rules.response_headers, &filling), cookie: None };
    let early = |giver, outcome: Outcome, after: After| Answered { after, ..Answered::of(giver, outcome) };

    if let Some((giver, outcome)) = instead(way, rules, &request, &filling) {
        return early(giver, outcome, after);
    }
    if let Some(max) = rules.max_body_bytes
        && let Err(failure) = bound(&mut request, max)
    {
        return early(Giver::Node, Err(failure), after);
    }
    let mut course = Course::new(way, index, route.target, &request);
    if let Some(split) = &rules.split {
        let (at, cookie) = place(split, way, &request);
        after.cookie = cookie;
        if let Some(side) = split.side(at) {
            course = Course::new(way, index, side.target, &request);
        }
        way.step("split", || {
            let side = way.site.label(&course.target).unwrap_or_default();
            format!("position {:.2} of 100: {side}", f64::from(at) * 100.0 / f64::from(WHOLE))
        });
    }
    if let Err(failure) = rewrite(&rules.rewrite, &filling, &mut request, &mut course) {
        return early(Giver::Node, Err(failure), after);
    }
    if course.asked != request.path_and_query {
        way.step("rewrite", || format!("{} becomes {}", course.asked, request.path_and_query));
    }
    let fields = Fields::of(&rules.request_headers, &filling);
    fields.tell(way, "request headers");
    after.fields.tell(way, "response headers");
    fields.uncover(&mut request.headers);
    fields.apply(&mut request.headers);
    let answered = match rules.timeout_ms {
        None => go_on(way.clone(), index, 0, course, request).await,
        Some(ms) => {
            let limit = Duration::from_millis(ms);
            match tokio::time::timeout(limit, go_on(way.clone(), index, 0, course, request)).await {
                Ok(answered) => answered,
                Err(_) => {
                    let detail = format!("no answer began within {ms} ms (timeout_ms of the route)");
                    Answered::plain(Err(refuse(&code::ROUTE_TIMEOUT, detail)))
                }
            }
        }
    };
    Answered { after, ..answered }
}

/// What the route answers itself, and no target.
fn instead(way: &Way, rules: &Rules, request: &Request, filling: &Filling<'_>) -> Option<(Giver, Outcome)> {
    if let Some(maintenance) = &rules.maintenance
        && !is_let_in(maintenance, way, request)
    {
        way.step("maintenance", || "the route is closed, and this client is none that is let in".to_owned());
        return Some((Giver::Maintenance, closed(maintenance)));
    }
    if let Some(file) = rules.redirects
        && let Some(Elsewhere::Redirect { status, location }) =
            way.site.asset_index(file).redirects.find(request.path(), request.path_and_query.query())
    {
        way.step("redirects", || format!("a line of the route's file: {status} to {location}"));
        return Some((Giver::Redirect, redirected(status, location)));
    }
    if let Some(redirect) = &rules.redirect {
        let location = redirect.location(request.path_and_query.query(), filling);
        way.step("redirect", || format!("{} to {location}", redirect.status));
        return Some((Giver::Redirect, redirected(redirect.status, location)));
    }
    None
}

/// Mirror, target, failover.
pub(super) async fn on_the_way(way: &Way, index: RouteIndex, course: Course, mut request: Request) -> Answered {
    let Some(rules) = way.site.plan().routes.route(index).rules.as_deref() else {
        return reach(way, &course, request).await;
    };
    let copies = rules.failover.is_some() || rules.mirror.is_some();
    let whole = if copies { at_hand(&mut request).await } else { None };
    let shadow = rules.mirror.as_ref().and_then(|mirror| mirror::begin(way, index, mirror, &request, &whole));
    if shadow.is_some() {
        way.step("mirror", || "a copy goes to the shadow; its answer is compared and thrown away".to_owned());
    }
    let spare = match &rules.failover {
        Some(failover) => whole.clone().map(|bytes| (failover, copy(&request, bytes))),
        None => None,
    };
    let repeats = request.method.is_idempotent();
    let mut answered = reach(way, &course, request).await;
    if let Some((failover, request)) = spare
        && may_go_elsewhere(&answered.outcome, &failover.statuses, repeats)
    {
        way.call.record.edit().detail = answered.outcome.as_ref().err().map(|failure| failure.detail.clone());
        let elsewhere = Course { target: failover.target, ..course.clone() };
        way.step("failover", || format!("{} answers in place", way.site.label(&failover.target).unwrap_or_default()));
        let space = way.site.cache_space(index, &failover.target);
        answered = match &failover.page {
            // Without its file, what failed says more than that.
            Some(page) => stand_in(way, failover.target, page, &request).await.unwrap_or(answered),
            None => reach(way, &Course { space, ..elsewhere }, request).await,
        };
    }
    match shadow {
        Some(shadow) => Answered { outcome: shadow.watch(answered.outcome), ..answered },
        None => answered,
    }
}

/// The one file that answers for a target that fails.
async fn stand_in(way: &Way, target: Target, page: &StandIn, request: &Request) -> Option<Answered> {
    let Target::Assets(index) = target else { return None };
    Some(Answered::file(assets::stand_in(way.site.asset_index(index), request, page).await?))
}

/// Whether another target may be asked in place of one that failed. What never arrived may be sent
/// again, whatever it is; what may have been done, only if doing it twice is the same.
fn may_go_elsewhere(outcome: &Outcome, statuses: &[u16], repeats: bool) -> bool {
    match outcome {
        Ok(response) => repeats && statuses.contains(&response.status().as_u16()),
        Err(failure) if failure.code.fault == base::Fault::Client => false,
        Err(failure) => repeats || failure.code.name == code::UPSTREAM_UNREACHABLE.name,
    }
}

/// The body, if all of it is here; the request keeps it.
async fn at_hand(request: &mut Request) -> Option<Bytes> {
    // Whose client waits for a word has sent no body yet, and may not have to.
    if request.upgrade || request.headers.contains_key(header::EXPECT) {
        return None;
    }
    let body = std::mem::replace(&mut request.body, Body::empty());
    let mut body = if body.is_empty() { body } else { body::whole_if_at_hand(body).await };
    let whole = if body.is_empty() { Some(Bytes::new()) } else { body.take_whole() };
    request.body = match &whole {
        Some(bytes) if bytes.is_empty() => Body::empty(),
        Some(bytes) => Body::full(bytes.clone()),
        None => body,
    };
    whole
}

/// The same request once more.
pub(super) fn copy(request: &Request, body: Bytes) -> Request {
    Request {
        method: request.method.clone(),
        path_and_query: request.path_and_query.clone(),
        authority: request.authority.clone(),
        headers: request.headers.clone(),
        body: if body.is_empty() { Body::empty() } else { Body::full(body) },
        peer: request.peer,
        protocol: request.protocol,
        listener: request.listener,
        secured: request.secured.clone(),
        upgrade: false,
        interim: None,
        believed: request.believed.clone(),
    }
}

/// What templates may name of a request.
struct Told {
    path: String,
    query: String,
    host: String,
    scheme: &'static str,
    client: std::net::IpAddr,
    country: Option<String>,
}

impl Told {
    fn of(way: &Way, request: &Request) -> Self {
        Self {
            path: request.path().to_owned(),
            query: request.path_and_query.query().unwrap_or_default().to_owned(),
            host: request.host().to_owned(),
            scheme: request.scheme(),
            client: request.client(),
            country: way.country(request),
        }
    }

    fn place(&self, name: &str) -> String {
        match name {
            "path" => self.path.clone(),
            "query" => self.query.clone(),
            "host" => self.host.clone(),
            "scheme" => self.scheme.to_owned(),
            "client" => self.client.to_canonical().to_string(),
            "country" => self.country.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }
}

fn is_let_in(maintenance: &Maintenance, way: &Way, request: &Request) -> bool {
    let country = || way.country(request);
    maintenance.allow.as_ref().is_some_and(|allow| with_facts(request, &country, |facts| allow.holds(facts)))
}

fn closed(maintenance: &Maintenance) -> Outcome {
    let Some(page) = &maintenance.page else {
        let failure = refuse(&code::MAINTENANCE, "the route is closed for maintenance");
        return Err(match maintenance.retry_after_s {
            Some(seconds) => failure.with_retry_after_s(seconds),
            None => failure,
        });
    };
    let mut response = Response::new(Body::full(page.clone()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = maintenance.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

pub(crate) fn redirected(status: u16, location: String) -> Outcome {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let location = HeaderValue::try_from(location)
        .map_err(|_| refuse(&code::BAD_PATH, "the path can stand in no Location field"))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn bound(request: &mut Request, max: u64) -> Result<(), Failure> {
    let told = respond::content_length(&request.headers);
    if let Some(length) = told.filter(|length| *length > max) {
        let detail = format!("the body has {length} bytes, {max} are allowed (max_body_bytes of the route)");
        return Err(refuse(&code::BODY_TOO_LARGE, detail));
    }
    let body = std::mem::replace(&mut request.body, Body::empty());
    request.body = body::limited(body, max, "max_body_bytes of the route");
    Ok(())
}

/// Where in a split a request stands, and the cookie that keeps its client there.
fn place(split: &Split, way: &Way, request: &Request) -> (u32, Option<HeaderValue>) {
    let client = || position(request.client().to_canonical().to_string().as_bytes());
    let of_cookie = |name: &str| {
        let fields = request.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        fields.into_iter().find_map(|field| cookie(field, name).map(str::to_owned))
    };
    let draw = || {
        let mut bytes = [0; 8];
        way.core.ids.fill(&mut bytes);
        bytes
    };
    match &split.by {
        SplitBy::Request => ((u64::from_le_bytes(draw()) % u64::from(WHOLE)) as u32, None),
        SplitBy::Client => (client(), None),
        SplitBy::Header(name) => {
            (request.headers.get(name).map_or_else(client, |value| position(value.as_bytes())), None)
        }
        SplitBy::AppCookie(name) => (of_cookie(name).map_or_else(client, |value| position(value.as_bytes())), None),
        SplitBy::Cookie => match of_cookie(SPLIT_COOKIE).filter(|value| is_ours(value)) {
            Some(value) => (position(value.as_bytes()), None),
            None => {
                let value = format!("{:016x}", u64::from_le_bytes(draw()));
                let secure = if request.scheme() == "https" { "; Secure" } else { "" };
                let cookie =
                    format!("{SPLIT_COOKIE}={value}; Path=/; Max-Age={SPLIT_COOKIE_S}; HttpOnly; SameSite=Lax{secure}");
                (position(value.as_bytes()), HeaderValue::try_from(cookie).ok())
            }
        },
    }
}

fn is_ours(value: &str) -> bool {
    value.len() == 16 && value.bytes().all(|b| b.is_ascii_hexdigit())
}

fn rewrite(rules: &Rewrite, filling: &Filling<'_>, request: &mut Request, course: &mut Course) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    let path = rules.path(request.path(), filling).map_err(|error| refuse(&code::BAD_PATH, error.to_string()))?;
    let query = rules.query(request.path_and_query.query(), filling);
    let text = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let bad = |_| refuse(&code::BAD_PATH, format!("{text:?} is no path and query"));
    request.path_and_query = PathAndQuery::try_from(text.as_str()).map_err(bad)?;
    if rules.path.is_some() {
        course.key = path.trim_start_matches('/').to_owned();
        course.follows_path = true;
    }
    Ok(())
}

/// Changes of fields, their values made for one request. A value that no field can have is left out.
#[derive(Default)]
struct Fields {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    append: Vec<(HeaderName, HeaderValue)>,
}

impl Fields {
    fn of(rules: &FieldRules, filling: &Filling<'_>) -> Self {
        let name = |name: &str| HeaderName::try_from(name).ok();
        let filled = |pairs: &[(String, manifest::route::template::Template)]| {
            let pairs = pairs.iter().filter_map(|(key, value)| {
                let value = value.fill(filling, |out, piece| out.push_str(piece));
                Some((name(key)?, HeaderValue::try_from(value).ok()?))
            });
            pairs.collect()
        };
        Self {
            remove: rules.remove.iter().filter_map(|key| name(key)).collect(),
            set: filled(&rules.set),
            append: filled(&rules.append),
        }
    }

    /// Takes out of a request what a server would take for one of these.
    fn uncover(&self, headers: &mut HeaderMap) {
        let changed = self.set.iter().chain(&self.append).map(|(name, _)| name);
        for name in changed.chain(&self.remove) {
            proxy::without_shadows(headers, name);
        }
    }

    /// For who wants to know each step.
    fn tell(&self, way: &Way, phase: &'static str) {
        let told = |(name, value): &(HeaderName, HeaderValue), verb| {
            format!("{verb} {name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        self.remove.iter().for_each(|name| way.step(phase, || format!("removes {name}")));
        self.set.iter().for_each(|pair| way.step(phase, || told(pair, "sets")));
        self.append.iter().for_each(|pair| way.step(phase, || told(pair, "adds")));
    }

    fn apply(self, headers: &mut HeaderMap) {
        for name in self.remove {
            headers.remove(name);
        }
        for (name, value) in self.set {
            headers.insert(name, value);
        }
        for (name, value) in self.append {
            headers.append(name, value);
        }
    }
}
