//! The way of a request, as one function: [`answer`].
//!
//! Each step returns a decision; none calls the next. The numbers are those of the design, "A
//! request goes down once and up once". Step 1 (accept, normalise) has happened in `net` when a
//! request arrives here. Of filters (4) there is what a listener does of itself, and what a route's
//! [`rules`] do with its requests; the cache (5, and its store in 8) stands before upstreams, and is asked
//! by `proxy`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::socket::Upgrade;
use base::{Body, Rng as _, code};
use http::{HeaderName, HeaderValue, Method, Response, header};
use manifest::{AssetsIndex, NotFound, Route, RouteCache, RouteMatch, Target, UpstreamIndex, WorkerIndex};
use net::{Request, Standalone};
use telemetry::{NullSink, Record, RecordHandle, Steps, TraceContext};
use worker::{Call, Event, Failure, FetchEvent, Next};

use crate::assets::{self, Lookup};
use crate::body::{self, Broken};
use crate::compress;
use crate::core::Core;
use crate::overlay;
use crate::proxy::{self, Caching, SharedHeard};
use crate::respond::{self, Audience, refuse};
use crate::site::Site;
use crate::told::{self, Giver};
use crate::traced::Watch;
use crate::upgrade::{self, Asked};

pub(crate) mod at_once;
pub(crate) mod later;
mod middleware;
pub(crate) mod mirror;
pub(crate) mod rules;

use rules::{After, Course};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("cf-connecting-ip");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers one request. Whatever goes wrong is an answer too.
///
/// Dropping the future means that the client left: the worker's call is dropped with it, and the
/// record says so.
pub(crate) async fn answer(core: &Rc<Core>, mut request: Request, watch: Option<&Watch>) -> Response<Body> {
    // 2. One request sees one generation of everything.
    let hosts = core.hosts.current();
    let site = hosts.find(request.host());
    let open = Open::new(core, &mut request, site, watch);

    // 3. The route, with everything that was resolved when the plan was compiled.
    let routed = route(&open, site, &mut request);

    // 4. Filters: what an authority asks is answered, and what does not belong on this listener is
    // sent to another one. 5. Cache lookup, for what comes from an upstream.
    let doors = core.doors.current();
    let (door, host, secured) = (doors.get(request.listener), request.host().to_owned(), request.secured.is_some());
    let elsewhere = door.and_then(|door| door.before(&request));
    if elsewhere.is_some() {
        open.step("listener", || "the listener answers by itself, before any app".to_owned());
    }

    // 6. Target; a worker is step 7.
    let (method, protocol) = (request.method.clone(), request.protocol);
    let html = open.dev_html(site, &request);
    let asked = Asked::of(&request);
    let coding = compress::wanted(&request);
    let Answered { mut outcome, worker, giver, compress, after } = match (elsewhere, routed) {
        (Some(response), _) => Answered::of(Giver::of_door(&response), Ok(response)),
        (None, Err(failure)) => Answered::plain(Err(failure)),
        (None, Ok((way, RouteMatch { index, route }))) => match &route.rules {
            None => reach(&way, &Course::new(&way, index, route.target, &request), request).await,
            // Boxed, so that a request without rules is not moved about with room for all of them.
            Some(rules) => Box::pin(rules::answer(&way, index, rules, request)).await,
        },
    };

    // 8. Store, response filters, write.
    let worker = site.zip(worker).map(|(site, worker)| site.plan().worker(worker));
    let bytes_max = worker.map_or(u64::MAX, |worker| worker.limits.response_body_bytes);
    if let Ok(response) = &mut outcome
        && let Err(failure) = match Upgrade::is_in(response) {
            true => asked.shape(response),
            false => respond::shape(response, &method, bytes_max),
        }
    {
        outcome = Err(failure);
    }
    let dev = site.and_then(|site| site.dev());
    let mut response = open.told(outcome, giver, html, dev);
    after.apply(response.headers_mut());
    upgrade::name(&mut response, protocol);
    if let Some(door) = door {
        door.fields(&host, secured, response.headers_mut());
    }
    response.headers_mut().insert(REQUEST_ID, open.id.clone());
    if worker.is_some_and(|worker| worker.server_timing) {
        open.add_server_timing(&mut response);
    }

    if compress && !Upgrade::is_in(&response) {
        core.press(&mut response, coding, giver == Giver::Asset);
    }
    open.step("answer", || answered(&response));

    // 9. The record, which is complete when the last byte is gone.
    open.finish(response, bytes_max)
}

type Outcome = Result<Response<Body>, Failure>;

/// 3. The route of a request, and what goes with it from there.
fn route<'s>(
    open: &Open<'_>,
    site: Option<&'s Arc<Site>>,
    request: &mut Request,
) -> Result<(Way, RouteMatch<'s>), Failure> {
    let Some(site) = site else {
        return Err(refuse(&code::NO_APP, format!("no application is served at {}", request.host())));
    };
    let Some(matched) = rules::find(&site.plan().routes, request, &|| open.core.country(request.client())) else {
        return Err(refuse(&code::NO_ROUTE, format!("no route matches {}{}", request.host(), request.path())));
    };
    let before = open.steps().map(|_| request.headers.clone());
    sift(site, matched.route, request);
    open.record.edit().route = Some(site.pattern(matched.index).clone());
    open.step("route", || format!("{} of {}", site.pattern(matched.index), site.app()));
    if let Some(before) = before {
        for name in before.keys().filter(|name| !request.headers.contains_key(*name)) {
            open.step("hygiene", || format!("{name} is taken out: a client has no say in it, or it is in no key"));
        }
    }
    Ok((open.way(site), matched))
}

/// What goes out, in a few words.
fn answered(response: &Response<Body>) -> String {
    let field = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let kind = field(header::CONTENT_TYPE).map(|kind| format!(", {kind}")).unwrap_or_default();
    let coding = field(header::CONTENT_ENCODING).map(|coding| format!(", in {coding}")).unwrap_or_default();
    format!("{}{kind}{coding}", response.status())
}

/// An answer, and what is known of how it came about.
struct Answered {
    outcome: Outcome,
    /// The worker that gave it, whose limits hold for it.
    worker: Option<WorkerIndex>,
    giver: Giver,
    /// It may be compressed on its way out.
    compress: bool,
    /// What is still to be done to it.
    after: After,
}

impl Answered {
    /// Of the node itself.
    fn plain(outcome: Outcome) -> Self {
        Self::of(Giver::Node, outcome)
    }

    /// What a directory has, which may say where else to look.
    fn file(outcome: Outcome) -> Self {
        let is_elsewhere = |response: &Response<Body>| response.headers().contains_key(header::LOCATION);
        let giver = if outcome.as_ref().is_ok_and(is_elsewhere) { Giver::Redirect } else { Giver::Asset };
        // It is in memory, or the file is open.
        Self::of(giver, outcome.map(standalone))
    }

    fn of(giver: Giver, outcome: Outcome) -> Self {
        Self { outcome, worker: None, giver, compress: true, after: After::default() }
    }
}

/// What the steps from 6 to 8 need of a request beside itself, wherever they run.
#[derive(Clone)]
pub(crate) struct Way {
    core: Rc<Core>,
    site: Arc<Site>,
    /// That of the request, or of the worker that stands in its way.
    call: Call,
    trace: TraceContext,
    steps: Option<Arc<Steps>>,
}

impl Way {
    /// For a copy of the request, which stands in no log and is counted nowhere.
    fn aside(&self) -> Self {
        let call = Call::new(RecordHandle::new(Record::default(), Arc::new(NullSink)));
        Self { call, steps: None, ..self.clone() }
    }

    /// Tells what happens, where somebody wants to know each step.
    fn step(&self, phase: &'static str, text: impl FnOnce() -> String) {
        if let Some(steps) = &self.steps {
            steps.note(phase, text());
        }
    }

    fn country(&self, request: &Request) -> Option<String> {
        self.core.country(request.client())
    }
}

/// Takes out of a request what its client is no authority for, if it may go to servers: before the rules of
/// its route, and before any worker.
fn sift(site: &Site, route: &Route, request: &mut Request) {
    let others = route.rules.iter().flat_map(|rules| rules.targets());
    let caches = std::iter::once(&route.target).chain(others).filter_map(|target| match target {
        Target::Upstream { cache, .. } => Some(*cache),
        _ => None,
    });
    let reads = matches!(request.method, Method::GET | Method::HEAD) && !request.upgrade && request.body.is_empty();
    let Some(cache) = caches.reduce(|one, other| if one == RouteCache::Off { other } else { one }) else { return };
    let rule = (reads && cache != RouteCache::Off).then(|| site.cache_rule(cache));
    proxy::sift(&mut request.headers, request.believed.is_some(), rule.as_deref().map(|rule| &rule.key));
}

/// 6. What a target answers.
async fn reach(way: &Way, course: &Course, request: Request) -> Answered {
    let site = &way.site;
    way.call.record.edit().target = site.label(&course.target);
    way.step("target", || site.label(&course.target).map_or_else(String::new, |label| label.to_string()));
    let worker = match course.target {
        Target::Worker(worker) => worker,
        Target::Blob(bucket) => {
            let bucket = site.bucket(bucket);
            return Answered::of(Giver::Blob, bucket.answer(&request.method, &request.headers, &course.key).await);
        }
        Target::Assets(assets) => return Answered::file(file(site, assets, &request).await),
        Target::Upstream { upstream, cache } => {
            let (on, compress) = (cache != RouteCache::Off, site.compresses(cache));
            let outcome = upstream_answer(way, upstream, cache, course, request).await;
            return Answered { compress, ..Answered::of(Giver::Upstream { cached: on }, outcome) };
        }
        Target::AssetsThenWorker { assets, worker } => match file_before_worker(site, assets, &request).await {
            Some(outcome) => return Answered::file(outcome),
            None => worker,
        },
        // Its rules answered, since a plan gives it one that does.
        Target::Redirect => return Answered::plain(Err(refuse(&code::NOT_FOUND, "the route leads nowhere"))),
    };
    let outcome = Box::pin(run(way, worker, request, None)).await;
    Answered { worker: Some(worker), ..Answered::of(Giver::Worker, outcome) }
}

/// 7. A worker's answer. If it stands in the way of the request, there is a next step.
async fn run(way: &Way, index: WorkerIndex, request: Request, next: Option<Next>) -> Result<Response<Body>, Failure> {
    let site = &way.site;
    let plan = site.plan().worker(index);
    let bytes_max = plan.limits.request_body_bytes;
    if let Some(length) = respond::content_length(&request.headers).filter(|length| *length > bytes_max) {
        let detail = format!("the body has {length} bytes, {bytes_max} are allowed (limits.request_body_bytes)");
        return Err(refuse(&code::BODY_TOO_LARGE, detail));
    }
    let broken = Broken::default();
    let cf = way.core.cf.of(&request);
    let url = format!("{}://{}{}", request.scheme(), request.authority(), request.path_and_query);
    let mut headers = request.headers;
    net::strip_hop_by_hop(&mut headers);
    Asked::tell(request.upgrade, &mut headers);
    let client = request.believed.as_ref().map_or(request.peer.ip(), |believed| believed.client);
    if let Ok(address) = HeaderValue::try_from(client.to_string()) {
        headers.insert(CLIENT_ADDRESS, address);
    }
    if let Ok(traceparent) = HeaderValue::try_from(way.trace.traceparent()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    let body = body::bounded_request(request.body, bytes_max, &way.call.record, &broken);
    let body = at_hand(&headers, body).await;
    let event =
        FetchEvent { method: request.method, url, headers, body, client: Some(client), cf: Some(cf), entry: None };
    let call = Call { next, ..way.call.clone() };
    way.step("worker", || format!("{} gets {} {}", plan.name, event.method, event.url));
    let outcome = site.worker(index).invoke(call, Event::Fetch(Box::new(event))).await;
    way.step("worker", || match &outcome {
        Ok(response) => format!("{} answers {}", plan.name, response.status()),
        Err(failure) => format!("{} fails: {} ({})", plan.name, failure.code.name, failure.detail),
    });
    // A worker that failed because its request did was not at fault.
    outcome.map_err(|failure| match broken.get() {
        Some(error) => refuse(error.code, error.detail.clone()),
        None => failure,
    })
}

/// The body as a whole, if it is there. One whose client waits for a word before it sends it (`Expect`) is
/// looked at by nobody but who wants it.
async fn at_hand(headers: &http::HeaderMap, body: Body) -> Body {
    if headers.contains_key(header::EXPECT) { body } else { body::whole_if_at_hand(body).await }
}

/// An upstream's answer, or the cache's in front of it.
async fn upstream_answer(
    way: &Way,
    index: UpstreamIndex,
    route: RouteCache,
    course: &Course,
    mut request: Request,
) -> Result<Response<Body>, Failure> {
    let site = &way.site;
    if let Ok(traceparent) = HeaderValue::try_from(way.trace.traceparent()) {
        request.headers.insert(TRACEPARENT, traceparent);
    }
    if request.believed.is_none() {
        proxy::forget(&mut request.headers);
    }
    let broken = Broken::default();
    let body = std::mem::replace(&mut request.body, Body::empty());
    if !body.is_empty() {
        let body = body::bounded_request(body, u64::MAX, &way.call.record, &broken);
        request.body = Box::pin(at_hand(&request.headers, body)).await;
    }
    let (cache, clock, app) = (&way.core.cache, &way.core.clock, site.app_label().clone());
    let (asked, space) = (course.asked.clone(), course.space.clone());
    let behind = middleware::behind(way, course.route, index, &request);
    let needs_worker = behind.is_some();
    let rule = site.cache_rule(route);
    let heard = Arc::new(SharedHeard::telling(way.steps.clone()));
    let caching = Caching { cache, clock, app, rule: &rule, asked, space, behind, heard: &heard };
    let outcome = proxy::answer(caching, site.upstream(index), request).await;
    heard.write(&mut way.call.record.edit());
    let outcome = outcome.map(|response| if needs_worker { response } else { standalone(response) });
    outcome.map_err(|failure| match broken.get() {
        Some(error) => refuse(error.code, error.detail.clone()),
        None => failure,
    })
}

/// An answer whose body goes on without the node's apps and stores, if it has to.
fn standalone(mut response: Response<Body>) -> Response<Body> {
    // One that is whole is so by nature.
    if response.body().whole().is_none() && !Upgrade::is_in(&response) {
        response.extensions_mut().insert(Standalone);
    }
    response
}

/// A file, or what the directory answers for one that is not there.
async fn file(site: &Site, index: AssetsIndex, request: &Request) -> Result<Response<Body>, Failure> {
    let (files, not_found) = (site.asset_index(index), site.plan().asset_dir(index).not_found);
    if let Some(outcome) = assets::serve(files, request).await {
        return outcome;
    }
    match assets::instead(files, request, not_found).await {
        Some(outcome) => outcome,
        None => Err(refuse(&code::NOT_FOUND, format!("there is no file at {}", request.path()))),
    }
}

/// A file if there is one, and for a navigation the page of a single-page application; `None`
/// means that the worker answers.
async fn file_before_worker(
    site: &Site,
    index: AssetsIndex,
    request: &Request,
) -> Option<Result<Response<Body>, Failure>> {
    let files = site.asset_index(index);
    if !assets::is_read(&request.method) || matches!(files.look_up(request.path()), Lookup::Refused) {
        return None;
    }
    if let Some(outcome) = assets::serve(files, request).await {
        return Some(outcome);
    }
    let navigates = request.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match site.plan().asset_dir(index).not_found {
        NotFound::SinglePage if navigates => assets::instead(files, request, NotFound::SinglePage).await,
        _ => None,
    }
}

/// A request whose record is open. If it is dropped before it is finished, the client left.
struct Open<'a> {
    core: &'a Rc<Core>,
    record: RecordHandle,
    trace: TraceContext,
    id: HeaderValue,
    started: Duration,
    finished: bool,
    watch: Option<&'a Watch>,
}

impl<'a> Open<'a> {
    fn new(core: &'a Rc<Core>, request: &mut Request, site: Option<&Arc<Site>>, watch: Option<&'a Watch>) -> Self {
        // Neither is believed of a stranger: an id names one request of this node, an address is
        // the one that the connection came from.
        request.headers.remove(REQUEST_ID);
        request.headers.remove(CLIENT_ADDRESS);
        let id = request_id(core);
        let traceparent = request.headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
        let trace = TraceContext::accept(traceparent, &core.ids);
        let record = Record {
            started_unix_ms: core.clock.unix_ms(),
            request_id: id.as_str().to_owned(),
            trace,
            app: site.map(|site| site.app_label().clone()),
            deployment: site.map(|site| site.deployment().clone()),
            client: Some(request.client()),
            method: request.method.as_str().to_owned(),
            host: request.host().to_owned(),
            path: request.path().to_owned(),
            protocol: request.protocol.as_str(),
            steps: watch.map(|watch| watch.steps.clone()),
            ..Record::default()
        };
        core.drain.enter();
        let id = id_value(id.as_str());
        let record = RecordHandle::new(record, core.sink.clone());
        if let Some(watch) = watch {
            watch.follow(&record);
        }
        Self { core, record, trace, id, started: core.clock.monotonic(), finished: false, watch }
    }

    fn steps(&self) -> Option<&Arc<Steps>> {
        self.watch.map(|watch| &watch.steps)
    }

    /// As [`Way::step`].
    fn step(&self, phase: &'static str, text: impl FnOnce() -> String) {
        if let Some(steps) = self.steps() {
            steps.note(phase, text());
        }
    }

    /// What the rest of the way needs.
    fn way(&self, site: &Arc<Site>) -> Way {
        let call = Call::new(self.record.clone());
        Way { core: self.core.clone(), site: site.clone(), call, trace: self.trace, steps: self.steps().cloned() }
    }

    fn elapsed(&self) -> Duration {
        self.core.clock.monotonic().saturating_sub(self.started)
    }

    /// Whether a failure is shown as a page.
    fn dev_html(&self, site: Option<&Arc<Site>>, request: &Request) -> bool {
        site.is_some_and(|site| site.dev().is_some()) && overlay::wants_html(&request.headers)
    }

    fn fail(&self, failure: &Failure, html: bool, dev: Option<&std::path::PathBuf>) -> Response<Body> {
        let mut record = self.record.edit();
        record.code = Some(failure.code);
        record.detail = Some(match &failure.stack {
            Some(stack) => format!("{}\n{stack}", failure.detail),
            None => failure.detail.clone(),
        });
        drop(record);
        let request_id = self.id.to_str().unwrap_or_default();
        respond::failure(failure, &Audience { request_id, html, dev })
    }

    /// The answer, or what there is in its place, with a word on who gave it.
    fn told(&self, outcome: Outcome, giver: Giver, html: bool, dev: Option<&std::path::PathBuf>) -> Response<Body> {
        match outcome {
            Ok(mut response) => {
                told::tell(response.headers_mut(), giver);
                response
            }
            Err(failure) => {
                let mut response = self.fail(&failure, html, dev);
                told::tell_failure(response.headers_mut(), failure.code, giver);
                response
            }
        }
    }

    fn add_server_timing(&self, response: &mut Response<Body>) {
        let record = self.record.edit();
        let lost = |code: base::Code| std::ptr::eq(code, &code::INSTANCE_LOST);
        // What lost its instance to another request ran again.
        let run = record.invocations.iter().find(|run| !run.failure.is_some_and(lost));
        let value = respond::server_timing(run, self.elapsed());
        drop(record);
        response.headers_mut().append(SERVER_TIMING, value);
    }

    /// Hands the response over. One that is whole ends the record here; a stream ends it when it
    /// ends itself.
    fn finish(mut self, mut response: Response<Body>, bytes_max: u64) -> Response<Body> {
        self.finished = true;
        let head = self.elapsed();
        let whole = if Upgrade::is_in(&response) { None } else { response.body_mut().take_whole() };
        let mut record = self.record.edit();
        record.status = response.status().as_u16();
        record.head = head;
        record.cache = told::ours_kept(response.headers());
        if let Some(whole) = whole {
            record.response_bytes = whole.len() as u64;
            record.total = head;
            drop(record);
            *response.body_mut() = Body::full(whole);
            return response;
        }
        drop(record);
        if upgrade::follow(&mut response, &self.record, &self.core.clock, self.started) {
            return response;
        }
        let (record, clock, started) = (self.record.clone(), self.core.clock.clone(), self.started);
        response.map(|body| body::bounded_response(body, bytes_max, record, clock, started))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let total = self.elapsed();
            let mut record = self.record.edit();
            record.total = total;
            record.code = Some(&code::CLIENT_GONE);
        }
    }
}

/// An id as a field. No other answer has it: that it is remembered nowhere leaves the tables of HPACK to what comes
/// again.
fn id_value(id: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// What a request is called, without memory of its own.
#[derive(Debug, Clone, Copy)]
struct RequestId([u8; 36]);

impl RequestId {
    fn as_str(&self) -> &str {
        // Digits and hyphens.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A random UUID (RFC 9562, version 4).
fn request_id(core: &Core) -> RequestId {
    let mut bytes = [0; 16];
    core.ids.fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = [b'-'; 36];
    for (part, place) in [(0..4, 0..8), (4..6, 9..13), (6..8, 14..18), (8..10, 19..23), (10..16, 24..36)] {
        telemetry::trace::write_hex(&bytes[part], &mut id[place]);
    }
    RequestId(id)
}

#[cfg(test)]
mod tests;
