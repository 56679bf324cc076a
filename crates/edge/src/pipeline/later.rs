//! A plain request for an upstream without a cache, and its answer: there and back, and nothing beside.
//!
//! On the long way such a request is parsed, framed and answered by a server that can do everything, and most
//! of what that makes is for what this request does not have: a body, a wait for it, rules, a cache, a
//! worker. Here the request is made of the head as it lies in the buffer, given to the same upstream by the
//! same function, and an answer that came whole is written as a hit is. Everything else (a stream, a status
//! without a body, a failure) is made into a response as the long way makes it, and framed by hyper.
//!
//! It may decide nothing differently: what the client, the server, the record and the counts see is the same.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::{Body, code};
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use manifest::{RouteCache, RouteIndex, Target, UpstreamIndex};
use net::{Believed, Glance, Late, Later, PlainRequest, Protocol, Reply, Request};
use telemetry::{Record, RecordHandle, TraceContext};
use worker::Failure;

use super::at_once::{push, push_number};
use super::{CLIENT_ADDRESS, Open, REQUEST_ID, RequestId, TRACEPARENT, id_value, request_id, rules, standalone};
use crate::core::Core;
use crate::overlay;
use crate::proxy::{self, Came, Counts, Heard, SharedHeard, Upstream};
use crate::respond;
use crate::site::{Generation, Site};
use crate::told::{self, Giver};

/// What the record says of the cache.
const BYPASSED: &str = "fwd=bypass";
/// Room for the head of an answer.
const HEAD_BYTES: usize = 1 << 10;
/// Room for a small body behind it.
const JOINED_BYTES: usize = 4 << 10;

/// Asks for the answer to a request that was routed, if that is all that there is to it.
pub(super) fn ask(
    core: &Rc<Core>,
    site: &Arc<Site>,
    (index, upstream): (RouteIndex, UpstreamIndex),
    glance: &Glance<'_>,
    believed: Option<Box<Believed>>,
    started: Duration,
) -> Option<Later> {
    let upstream = site.upstream(upstream);
    // Interim answers are written between hyper's.
    if upstream.tells_early() {
        return None;
    }
    let upstream = upstream.clone();
    if let Some((request, trace)) = plain_of(core, site, &upstream, glance, believed.is_some()) {
        let mut waiting = Waiting::plain(core, site, (index, started, trace), &upstream, glance);
        // Made where it will lie, not moved there. It is no `async fn`: one has room twice for what it is given.
        let asked = Box::write(Box::new_uninit(), async move {
            let outcome = upstream.ask_plain(&request, &mut waiting.heard).await;
            waiting.end_plain(outcome)
        });
        return Some(Box::into_pin(asked));
    }
    let request = Request { believed, ..glance.request()? };
    let (waiting, request) = Waiting::begin(core, site, index, request, started);
    let asked = Box::write(Box::new_uninit(), exchange(waiting, upstream, request));
    Some(Box::into_pin(asked))
}

/// The same of a request of HTTP/2, whose answer is framed by the library. One that is more than text goes the
/// long way.
pub(super) fn respond(
    core: &Rc<Core>,
    site: &Arc<Site>,
    (index, upstream): (RouteIndex, UpstreamIndex),
    glance: &Glance<'_>,
    is_believed: bool,
    started: Duration,
) -> Option<Pin<Box<dyn Future<Output = Response<Body>>>>> {
    let upstream = site.upstream(upstream);
    // Interim answers have their own way.
    if upstream.tells_early() {
        return None;
    }
    let (request, trace) = plain_of(core, site, upstream, glance, is_believed)?;
    let mut waiting = Waiting::plain(core, site, (index, started, trace), upstream, glance);
    let upstream = upstream.clone();
    // As above.
    let asked = Box::write(Box::new_uninit(), async move {
        let outcome = upstream.ask_plain(&request, &mut waiting.heard).await;
        waiting.answer(outcome.map(Reply::into_response))
    });
    Some(Box::into_pin(asked))
}

/// The request as text, if that is all that there is to it.
fn plain_of(
    core: &Core,
    site: &Site,
    upstream: &Upstream,
    glance: &Glance<'_>,
    is_believed: bool,
) -> Option<(PlainRequest, TraceContext)> {
    let mut fields = glance.fields().enumerate();
    let twice = |(at, (name, _)): (usize, (&str, _))| {
        glance.fields().take(at).any(|(other, _)| name.len() == other.len() && name.eq_ignore_ascii_case(other))
    };
    // A field in several lines is one for a map, and the pages of `dev` are for who reads them.
    if site.dev().is_some() || glance.shows_certificate() || fields.any(twice) {
        return None;
    }
    let trace = TraceContext::accept(glance.lines(TRACEPARENT.as_str()).next(), &core.ids);
    let request = upstream.plain(Came::of(glance, is_believed, &trace), glance.fields())?;
    Some((request, trace))
}

/// The same for a request that came the long way so far, as those of HTTP/2 do. One that it is not made for is
/// given back.
pub(crate) fn take(core: &Rc<Core>, mut request: Request) -> Either<Taken, Request> {
    let started = core.clock.monotonic();
    let hosts = core.hosts.current();
    let Some((site, index, upstream)) = routed(core, &hosts, &request) else { return Either::Right(request) };
    if request.headers.keys().any(|name| *name == REQUEST_ID || *name == CLIENT_ADDRESS) {
        request.headers.remove(REQUEST_ID);
        request.headers.remove(CLIENT_ADDRESS);
    }
    let (waiting, request) = match plain_of_map(core, site, &upstream, &request) {
        Some((plain, trace)) => {
            let waiting = Waiting::new(core, site, (index, started, trace), Client::of(&request, false));
            (waiting, Either::Left(plain))
        }
        None => {
            let (waiting, request) = Waiting::begin(core, site, index, request, started);
            (waiting, Either::Right(Box::new(request)))
        }
    };
    Either::Left(Taken { waiting, upstream, request })
}

/// A request that was taken. It is no future yet, which would be moved with the room for all that it comes to.
pub(crate) struct Taken {
    waiting: Waiting,
    upstream: Arc<Upstream>,
    request: Either<PlainRequest, Box<Request>>,
}

impl Taken {
    pub async fn answer(self) -> Response<Body> {
        let Self { mut waiting, upstream, request } = self;
        let outcome = match request {
            Either::Left(plain) => upstream.ask_plain(&plain, &mut waiting.heard).await.map(Reply::into_response),
            // Boxed: most need no room for it.
            Either::Right(request) => Box::pin(proxy::pass(&upstream, *request, &waiting.shared_heard())).await,
        };
        waiting.answer(outcome)
    }
}

/// As [`plain_of`].
fn plain_of_map(
    core: &Core,
    site: &Site,
    upstream: &Upstream,
    request: &Request,
) -> Option<(PlainRequest, TraceContext)> {
    let headers = &request.headers;
    // Interim answers have their own way.
    let shows_certificate = request.secured.as_ref().is_some_and(|secured| secured.client.is_some());
    if site.dev().is_some() || upstream.tells_early() || shows_certificate || headers.keys_len() != headers.len() {
        return None;
    }
    let trace = TraceContext::accept(headers.get(TRACEPARENT).map(HeaderValue::as_bytes), &core.ids);
    let came = Came {
        target: request.path_and_query.as_str(),
        authority: request.authority.to_str().ok()?,
        peer: request.peer.ip(),
        scheme: request.scheme(),
        protocol: request.protocol,
        is_believed: request.believed.is_some(),
        traceparent: trace.traceparent_bytes(),
    };
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Some((upstream.plain(came, fields)?, trace))
}

/// The site and the upstream of a request, if nothing stands between them.
fn routed<'s>(
    core: &Core,
    hosts: &'s Generation,
    request: &Request,
) -> Option<(&'s Arc<Site>, RouteIndex, Arc<Upstream>)> {
    let site = hosts.find(request.host()).filter(|site| !site.upstreams().is_empty())?;
    if request.method != Method::GET || request.upgrade || !request.body.is_empty() {
        return None;
    }
    let doors = core.doors.current();
    let door = doors.get(request.listener);
    if door.is_some_and(|door| door.stops(request.host(), request.path(), request.scheme())) {
        return None;
    }
    let found = rules::find(&site.plan().routes, request, &|| core.country(request.client()))?;
    match found.route.target {
        Target::Upstream { upstream, cache: RouteCache::Off } if found.route.rules.is_none() => {
            Some((site, found.index, site.upstream(upstream).clone()))
        }
        _ => None,
    }
}

async fn exchange(mut waiting: Waiting, upstream: Arc<Upstream>, request: Request) -> Late {
    let outcome = proxy::pass(&upstream, request, &waiting.shared_heard()).await;
    waiting.end(outcome)
}

/// What is known of a request while its answer is waited for. If it is dropped before, the client left.
struct Waiting {
    core: Rc<Core>,
    site: Arc<Site>,
    index: RouteIndex,
    id: RequestId,
    trace: TraceContext,
    started: Duration,
    started_unix_ms: u64,
    client: Client,
    heard: Heard,
    /// The same of a request that is more than text.
    heard_elsewhere: Option<Arc<SharedHeard>>,
    /// The record is there, or somebody else's to make.
    told: bool,
}

/// What the record says of who asked for what.
struct Client {
    address: IpAddr,
    /// The host, which is so long, and the path: one piece of memory.
    text: String,
    host_bytes: usize,
    protocol: Protocol,
    listener: usize,
    secured: bool,
    /// A failure is shown as a page.
    html: bool,
}

impl Client {
    fn of(request: &Request, html: bool) -> Self {
        Self {
            address: request.client(),
            text: [request.host(), request.path()].concat(),
            host_bytes: request.host().len(),
            protocol: request.protocol,
            listener: request.listener,
            secured: request.secured.is_some(),
            html,
        }
    }

    fn of_glance(glance: &Glance<'_>) -> Self {
        Self {
            address: glance.peer.ip(),
            text: [glance.host(), glance.path].concat(),
            host_bytes: glance.host().len(),
            protocol: glance.protocol,
            listener: glance.listener,
            secured: glance.secured,
            html: false,
        }
    }

    fn host(&self) -> &str {
        &self.text[..self.host_bytes]
    }

    fn path(&self) -> &str {
        &self.text[self.host_bytes..]
    }
}

impl Waiting {
    /// The record of a request is open from here on, and the request is as its server gets it.
    fn begin(
        core: &Rc<Core>,
        site: &Arc<Site>,
        index: RouteIndex,
        mut request: Request,
        started: Duration,
    ) -> (Self, Request) {
        let trace = TraceContext::accept(request.headers.get(TRACEPARENT).map(HeaderValue::as_bytes), &core.ids);
        if let Ok(traceparent) = HeaderValue::try_from(trace.traceparent()) {
            request.headers.insert(TRACEPARENT, traceparent);
        }
        proxy::sift(&mut request.headers, request.believed.is_some(), None);
        if request.believed.is_none() {
            proxy::forget(&mut request.headers);
        }
        let html = site.dev().is_some() && overlay::wants_html(&request.headers);
        (Self::new(core, site, (index, started, trace), Client::of(&request, html)), request)
    }

    /// Of a request that is text alone and goes out in the turn in which it came.
    fn plain(
        core: &Rc<Core>,
        site: &Arc<Site>,
        (index, started, trace): (RouteIndex, Duration, TraceContext),
        upstream: &Upstream,
        glance: &Glance<'_>,
    ) -> Self {
        let mut waiting = Self::new(core, site, (index, started, trace), Client::of_glance(glance));
        waiting.heard.began = Some(started).filter(|_| upstream.goes_by(&core.clock));
        waiting
    }

    fn new(
        core: &Rc<Core>,
        site: &Arc<Site>,
        (index, started, trace): (RouteIndex, Duration, TraceContext),
        client: Client,
    ) -> Self {
        core.drain.enter();
        Self {
            core: core.clone(),
            site: site.clone(),
            index,
            id: request_id(core),
            trace,
            started,
            started_unix_ms: core.clock.unix_ms(),
            client,
            heard: Heard::default(),
            heard_elsewhere: None,
            told: false,
        }
    }

    fn end_plain(mut self, outcome: Result<Reply, Failure>) -> Late {
        let answer = match outcome {
            Ok(Reply::Plain(answer)) => answer,
            Ok(Reply::Response(response)) => return self.end(Ok(*response)),
            Err(failure) => return self.end(Err(failure)),
        };
        let status = answer.status();
        let Some(reason) = status.canonical_reason().filter(|_| has_body(status)) else {
            return self.end(Ok(answer.into_response()));
        };
        Counts::add(&self.counts().bypassed);
        let (body, elapsed) = (answer.body(), self.elapsed());
        let each = |told: &mut dyn FnMut(&[u8], &[u8])| answer.fields().for_each(|(name, value)| told(name, value));
        let mut text = self.head((status, reason), each, body.len(), elapsed);
        let head = text.len();
        text.extend_from_slice(body);
        self.tell(status, body.len(), elapsed);
        Late::Short { text, head }
    }

    fn end(mut self, outcome: Result<Response<Body>, Failure>) -> Late {
        let (mut response, reason) = match outcome {
            Ok(response) => match plain_reason(&response) {
                Some(reason) => (response, reason),
                None => return self.respond(Ok(response)),
            },
            failed => return self.respond(failed),
        };
        let Some(body) = response.body_mut().take_whole() else { return self.respond(Ok(response)) };
        Counts::add(&self.counts().bypassed);
        let each = |told: &mut dyn FnMut(&[u8], &[u8])| {
            response.headers().iter().for_each(|(name, value)| told(name.as_str().as_bytes(), value.as_bytes()));
        };
        let elapsed = self.elapsed();
        let head = self.head((response.status(), reason), each, body.len(), elapsed);
        self.tell(response.status(), body.len(), elapsed);
        Late::Whole { head, body }
    }

    /// The answer as the long way has it.
    fn answer(mut self, outcome: Result<Response<Body>, Failure>) -> Response<Body> {
        let mut response = match outcome {
            Ok(response) if has_body(response.status()) => response,
            other => return self.shaped(other),
        };
        let Some(body) = response.body_mut().take_whole() else { return self.shaped(Ok(response)) };
        proxy::bypassed(self.counts(), true, &mut response);
        if !tells_length(response.headers(), body.len()) {
            // It is counted again.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        if let Some(door) = self.core.doors.current().get(self.client.listener) {
            door.fields(self.client.host(), self.client.secured, response.headers_mut());
        }
        response.headers_mut().insert(REQUEST_ID, id_value(self.id.as_str()));
        self.tell(response.status(), body.len(), self.elapsed());
        *response.body_mut() = Body::full(body);
        response
    }

    /// Completes the record of one that was answered in one piece.
    fn tell(&mut self, status: StatusCode, bytes: usize, elapsed: Duration) {
        self.told = true;
        self.core.tell(|record| {
            self.write(record);
            record.status = status.as_u16();
            record.cache = BYPASSED.into();
            record.response_bytes = bytes as u64;
            (record.head, record.total) = (elapsed, elapsed);
        });
    }

    /// The head as hyper would write it. `each` tells the fields of the answer, as often as it is asked.
    fn head(
        &self,
        (status, reason): (StatusCode, &str),
        each: impl Fn(&mut dyn FnMut(&[u8], &[u8])),
        bytes: usize,
        elapsed: Duration,
    ) -> Vec<u8> {
        let core = &self.core;
        // The connection gives it back when it is sent.
        let mut out = core.scratch.take();
        out.clear();
        out.reserve(HEAD_BYTES + bytes.min(JOINED_BYTES));
        for piece in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
        let mut is_dated = false;
        each(&mut |name, value| {
            // By their lengths, since each name is looked at.
            let is_told = match name.len() {
                4 => {
                    is_dated |= name.eq_ignore_ascii_case(b"date");
                    false
                }
                12 => name.eq_ignore_ascii_case(b"x-request-id"),
                14 => name.eq_ignore_ascii_case(b"content-length"),
                _ => false,
            };
            if !is_told {
                push(&mut out, name, value);
            }
        });
        if !is_dated {
            let now_ms = self.started_unix_ms.saturating_add(elapsed.as_millis() as u64);
            core.dates.with(now_ms, |date| push(&mut out, b"date", date.as_bytes()));
        }
        out.extend_from_slice(b"content-length: ");
        push_number(&mut out, bytes as u64);
        out.extend_from_slice(b"\r\nvia: 1.1 selvedge\r\ncache-status: selvedge; fwd=bypass\r\n");
        push(&mut out, REQUEST_ID.as_str().as_bytes(), self.id.as_str().as_bytes());
        let doors = core.doors.current();
        let told = doors.get(self.client.listener).map(|door| door.told(self.client.host(), self.client.secured));
        for (name, value) in told.into_iter().flatten().flatten() {
            let mut is_there = false;
            each(&mut |known, _| is_there |= is(known, &name));
            if !is_there {
                push(&mut out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The same, for hyper to frame.
    fn respond(self, outcome: Result<Response<Body>, Failure>) -> Late {
        Late::Response(self.shaped(outcome))
    }

    /// What is no body in one piece, or a failure.
    fn shaped(mut self, outcome: Result<Response<Body>, Failure>) -> Response<Body> {
        let core = self.core.clone();
        let mut outcome = outcome.map(|mut response| {
            proxy::bypassed(self.counts(), true, &mut response);
            response
        });
        if let Ok(response) = &mut outcome
            && let Err(failure) = respond::shape(response, &Method::GET, u64::MAX)
        {
            outcome = Err(failure);
        }
        let id = id_value(self.id.as_str());
        let host = self.client.host().to_owned();
        let record = RecordHandle::new(self.record(), core.sink.clone());
        let open =
            Open { core: &core, record, trace: self.trace, id, started: self.started, finished: false, watch: None };
        let mut response = outcome.map(standalone).unwrap_or_else(|failure| {
            let mut response = open.fail(&failure, self.client.html, self.site.dev());
            told::tell_failure(response.headers_mut(), failure.code, Giver::Upstream { cached: false });
            response
        });
        if let Some(door) = core.doors.current().get(self.client.listener) {
            door.fields(&host, self.client.secured, response.headers_mut());
        }
        response.headers_mut().insert(REQUEST_ID, open.id.clone());
        open.finish(response, u64::MAX)
    }

    fn shared_heard(&mut self) -> Arc<SharedHeard> {
        self.heard_elsewhere.get_or_insert_default().clone()
    }

    fn counts(&self) -> &Counts {
        self.site.counts(&self.core.cache)
    }

    fn elapsed(&self) -> Duration {
        let ended = self.heard.ended.unwrap_or_else(|| self.core.clock.monotonic());
        ended.saturating_sub(self.started)
    }

    /// The record so far, which from now on is somebody else's to complete.
    fn record(&mut self) -> Record {
        self.told = true;
        let mut record = Record::default();
        self.write(&mut record);
        record
    }

    /// The same, where it lies.
    fn write(&self, record: &mut Record) {
        record.started_unix_ms = self.started_unix_ms;
        self.id.as_str().clone_into(&mut record.request_id);
        record.trace = self.trace;
        record.app = Some(self.site.app_label().clone());
        record.deployment = Some(self.site.deployment().clone());
        record.route = Some(self.site.pattern(self.index).clone());
        record.client = Some(self.client.address);
        "GET".clone_into(&mut record.method);
        self.client.host().clone_into(&mut record.host);
        self.client.path().clone_into(&mut record.path);
        record.protocol = self.client.protocol.as_str();
        record.target = self.site.label(&self.site.plan().routes.route(self.index).target);
        match &self.heard_elsewhere {
            Some(heard) => heard.write(record),
            None => self.heard.write(record),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.told {
            let total = self.elapsed();
            let record = Record { total, code: Some(&code::CLIENT_GONE), ..self.record() };
            self.core.sink.record(record);
        }
    }
}

/// What its status is called, if that and a length are all that there is to the framing of a response.
fn plain_reason(response: &Response<Body>) -> Option<&'static str> {
    // A server's own words for a status are an extension.
    let plain = has_body(response.status()) && response.extensions().is_empty();
    response.status().canonical_reason().filter(|_| plain)
}

/// Whether the head says of a body how long it is, once and in the digits that one would write.
fn tells_length(headers: &HeaderMap, bytes: usize) -> bool {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let is_short = matches!(line.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    is_short && line.to_str().is_ok_and(|text| text.parse() == Ok(bytes))
}

/// Whether a field is called this, in whatever case.
fn is(name: &[u8], wanted: &HeaderName) -> bool {
    name.len() == wanted.as_str().len() && name.eq_ignore_ascii_case(wanted.as_str().as_bytes())
}

fn has_body(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
