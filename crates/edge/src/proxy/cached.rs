//! The cache in front of an upstream: the policy's questions, asked in order.
//!
//! What is in the way of a hit: a look into the store, the policy's judgement, an answer made of what is
//! stored. Else one fetch for all who ask ([`Filling`]). A key whose response was for one alone is
//! remembered for a while, so that nobody waits for it in vain.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Body, Clock, NodeLimits, code};
use cache::{Answer, Asked, Content, Key, Parts, Purge, Purged, Responses, Reuse, StoreError, Stored, Variants};
use futures_util::future::LocalBoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use net::Request;
use tokio::sync::oneshot;
use worker::Failure;

use super::alone::{Alone, Whom};
use super::counts::{Counted, Counts, Totals};
use super::fetch::{Fetch, Led};
use super::filling::{Filling, Head, Outcome};
use super::forwarded::CLIENT_CERT;
use super::heard::SharedHeard;
use super::part::{self, Parted};
use super::press::Press;
use super::rule::Rule;
use super::{Forwarded, NAME, Upstream, add_via, forwarded, gap, pass, rest};
use crate::compress::Streams;
use crate::respond::refuse;
use crate::told::CACHE_STATUS;

/// A request is unlike the one that was asked for, in what the response varies by.
const NOT_ALIKE: &str = "vary";

/// Ranges of one request that are passed on to an origin; with more, it is asked for the whole.
const RANGES_MAX: usize = 16;

/// The cache of all apps' upstreams on a node.
pub struct ProxyCache {
    pub(super) responses: Arc<Responses>,
    key_bytes_max: usize,
    filling: Mutex<HashMap<Key, Arc<Filling>>>,
    /// Bytes of bodies on their way into the store.
    pub(super) filling_bytes: AtomicU64,
    pub(super) filling_bytes_max: u64,
    pub(super) alone: Alone,
    pub(super) parted: Parted,
    counts: Counted,
    pub(super) press: Press,
    streams: Arc<Streams>,
    /// The next name of a body.
    pub(super) body_id: AtomicU64,
}

/// Whose fetch a request waits for.
enum Joined {
    /// Its own, which others may join.
    Leads(Arc<Filling>),
    Follows(Arc<Filling>),
    /// Its own, which nobody joins: the last response was for one alone.
    Alone,
    /// None: another's ended after the store was asked, and this came of it.
    Ended(Arc<Stored>),
}

/// What a request to a cached route comes with.
pub(crate) struct Caching<'a> {
    pub cache: &'a Arc<ProxyCache>,
    pub clock: &'a Arc<dyn Clock>,
    pub app: Arc<str>,
    pub rule: &'a Rule,
    /// The path and query that the client sent, whatever the target sees.
    pub asked: PathAndQuery,
    /// Keeps apart what one URL leads to by different routes.
    pub space: Option<Arc<str>>,
    /// Workers between the cache and the upstream.
    pub behind: Option<Behind>,
    /// Is told who answers.
    pub heard: &'a Arc<SharedHeard>,
}

/// Who is asked in place of the upstream, and asks it in turn.
pub(crate) type Behind = Rc<dyn Fn(Forwarded) -> LocalBoxFuture<'static, Result<Response<Body>, Failure>>>;

/// Sends a request to where the cache's misses go.
pub(super) async fn ask(
    upstream: &Arc<Upstream>,
    behind: Option<&Behind>,
    request: Forwarded,
) -> Result<Response<Body>, Failure> {
    match behind {
        Some(behind) => behind(request).await,
        None => upstream.ask(request).await,
    }
}

impl ProxyCache {
    pub fn new(responses: Arc<Responses>, limits: &NodeLimits, clock: &dyn Clock) -> Arc<Self> {
        Arc::new(Self {
            responses,
            key_bytes_max: usize::try_from(limits.cache_key_bytes).unwrap_or(usize::MAX),
            filling: Mutex::default(),
            filling_bytes: AtomicU64::new(0),
            filling_bytes_max: limits.cache_filling_bytes,
            alone: Alone::default(),
            parted: Parted::default(),
            counts: Counted::default(),
            press: Press::default(),
            streams: Streams::new(limits.compressed_streams),
            // What a disk has of an earlier process has smaller ones: a body takes longer than a nanosecond.
            body_id: AtomicU64::new(clock.unix_ms().saturating_mul(1_000_000)),
        })
    }

    /// How an app's requests fared.
    pub fn counts(&self, app: &Arc<str>) -> Arc<Counts> {
        self.counts.of(app)
    }

    /// What is stored under a key, if that is known without a wait.
    pub(crate) fn at_hand(&self, key: &Key) -> Option<Variants> {
        self.responses.at_hand(key)
    }

    /// Bodies that are compressed as they come, on all cores.
    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// How all apps' requests fared.
    pub fn totals(&self) -> Totals {
        self.counts.totals()
    }

    /// Purges what is stored, and what is on its way: nobody joins a fetch from before any more.
    pub(super) async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        self.fillings().retain(|key, _| !purge.hits_key(key));
        self.responses.purge(purge).await
    }

    fn fillings(&self) -> MutexGuard<'_, HashMap<Key, Arc<Filling>>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch that is under way for an entry, or a new one.
    fn join(&self, entry: &Asking, now_ms: u64) -> Joined {
        if self.alone.goes(&entry.key, entry.whom(), now_ms) { Joined::Alone } else { self.share(entry, now_ms) }
    }

    /// The same, whatever is known of the last response.
    fn share(&self, entry: &Asking, now_ms: u64) -> Joined {
        let key = &entry.key;
        let mut fillings = self.fillings();
        if let Some(filling) = fillings.get(key) {
            return Joined::Follows(filling.clone());
        }
        // A fetch stores before it leaves, so that what none is under way for may be there since the last look.
        if let Some(stored) = self.at_hand(key).and_then(|variants| entry.fresh(&variants, now_ms)) {
            return Joined::Ended(stored);
        }
        let filling = Arc::<Filling>::default();
        fillings.insert(key.clone(), filling.clone());
        Joined::Leads(filling)
    }

    /// From now on nobody joins this fetch.
    pub(super) fn leave(&self, key: &Key, filling: &Arc<Filling>) {
        let mut fillings = self.fillings();
        if fillings.get(key).is_some_and(|found| Arc::ptr_eq(found, filling)) {
            fillings.remove(key);
        }
    }
}

/// Answers a request of a route that leads to an upstream.
pub(crate) async fn answer(
    caching: Caching<'_>,
    upstream: &Arc<Upstream>,
    request: Request,
) -> Result<Response<Body>, Failure> {
    let rule = caching.rule;
    if !rule.on {
        caching.heard.step("cache", || "switched off on this route".to_owned());
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let mut response = Box::pin(ahead(&caching, upstream, request)).await?;
        bypassed(&caching.cache.counts(&caching.app), is_read, &mut response);
        return Ok(response);
    }
    let (path, query) = (caching.asked.path(), caching.asked.query());
    let page = rule.key.page(request.scheme(), request.authority(), path, query);
    let counts = caching.cache.counts(&caching.app);
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let key = Key {
        app: caching.app.clone(),
        cache: caching.space.clone(),
        url: match request.asked_host() {
            asked if *asked == request.authority => rule.key.key(page, &request.headers),
            asked => with_host(rule.key.key(page, &request.headers), asked),
        }
        .into(),
    };
    let is_plain = request.body.is_empty() && !request.upgrade && key.bytes() <= caching.cache.key_bytes_max;
    if !reads || !is_plain {
        caching.heard.step("cache", || passed_by(reads, &key, caching.cache.key_bytes_max));
        let method = request.method.clone();
        let mut response = Box::pin(ahead(&caching, upstream, request)).await?;
        if !method.is_safe() {
            invalidate(&caching, &key, &method, &response).await?;
        }
        bypassed(&counts, reads, &mut response);
        return Ok(response);
    }
    let is_head = request.method == Method::HEAD;
    let asked = Asked::parse(&request.headers);
    let mut request = forwarded(request, caching.heard.clone());
    // A response that depends on it is for one alone, and would not say so (RFC 9440, section 3).
    request.headers.remove(CLIENT_CERT);
    request.path_and_query = asked_for(rule, request.path_and_query);
    bound_ranges(&mut request.headers);
    let asking = Asking { asked, request, key, is_head, counts };
    let mut response = asking.answer(&caching, upstream).await?;
    add_via(response.headers_mut(), "1.1");
    Ok(response)
}

/// A key with the host that a proxy in front says the client asked for, where that is another one than the
/// page's: the origin is told it, and may answer by it.
pub(crate) fn with_host(key: String, asked: &HeaderValue) -> String {
    format!("{key} host={}", asked.to_str().unwrap_or_default())
}

/// Past the cache.
async fn ahead(caching: &Caching<'_>, upstream: &Arc<Upstream>, request: Request) -> Result<Response<Body>, Failure> {
    match &caching.behind {
        Some(behind) if !request.upgrade => behind(forwarded(request, caching.heard.clone())).await,
        _ => pass(upstream, request, caching.heard).await,
    }
}

/// Counts an answer that went past the cache, and says so in its fields.
pub(crate) fn bypassed(counts: &Counts, is_read: bool, response: &mut Response<Body>) {
    Counts::add(&counts.bypassed);
    add_via(response.headers_mut(), "1.1");
    let status = if is_read { "selvedge; fwd=bypass" } else { "selvedge; fwd=method" };
    response.headers_mut().append(CACHE_STATUS, HeaderValue::from_static(status));
}

/// The path and what of the query the origin gets: what is not in the key can't change a response.
fn asked_for(rule: &Rule, asked: PathAndQuery) -> PathAndQuery {
    let query = rule.key.query(asked.query());
    if query.as_deref() == asked.query() {
        return asked;
    }
    let text = match query {
        Some(query) => format!("{}?{query}", asked.path()),
        None => asked.path().to_owned(),
    };
    PathAndQuery::try_from(text).unwrap_or(asked)
}

/// Many small ranges cost an origin far more than they cost who asks (RFC 9110, section 17.15).
fn bound_ranges(headers: &mut HeaderMap) {
    let ranges = headers.get_all(header::RANGE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    if ranges.count() > RANGES_MAX {
        headers.remove(header::RANGE);
    }
}

/// What a request changed is stored no longer.
async fn invalidate(
    caching: &Caching<'_>,
    key: &Key,
    method: &Method,
    response: &Response<Body>,
) -> Result<(), Failure> {
    for url in cache::invalidated(method, key.page(), response.status(), response.headers()) {
        let purge = Purge { app: key.app.clone(), what: Purged::Url(url.into()), stale_at_ms: None, durable: false };
        caching.cache.purge(purge).await.map_err(|error| refuse(error.code(), error.to_string()))?;
    }
    Ok(())
}

/// A request that the cache may answer.
struct Asking {
    asked: Asked,
    /// As it would be forwarded; with the client's conditions and range.
    request: Forwarded,
    key: Key,
    is_head: bool,
    counts: Arc<Counts>,
}

/// What a fetch comes to for one who reads it.
enum Read {
    Answer(Response<Body>),
    /// Nothing, for this reason.
    Not(&'static str),
}

impl Asking {
    async fn answer(mut self, caching: &Caching<'_>, upstream: &Arc<Upstream>) -> Result<Response<Body>, Failure> {
        let now_ms = caching.clock.unix_ms();
        let variants = caching.cache.responses.get(&self.key).await;
        let variants = variants.map_err(|error| refuse(error.code(), error.to_string()))?;
        caching.heard.step("cache", || looked_up(&self.key, &variants, now_ms));
        let stored = match cache::reuse(&variants, &self.request.headers, &self.asked, now_ms) {
            Reuse::Fresh(stored) => return Ok(self.hit(caching, &stored, now_ms).await),
            Reuse::StaleWhile(stored) => {
                // Nobody waits for it, so that whom its response is for is no matter, nor who gives it.
                self.request.heard = Arc::default();
                if let Joined::Leads(filling) = caching.cache.share(&self, now_ms) {
                    self.fetch(caching, upstream, filling, Some(stored.clone()));
                }
                return Ok(self.hit(caching, &stored, now_ms).await);
            }
            Reuse::Validate(stored) => Some(stored),
            Reuse::Nothing => None,
        };
        // What it would wait for could be itself.
        upstream.check_loop(&self.request.headers)?;
        let asks_nothing = Asked { only_if_cached: self.asked.only_if_cached, ..Asked::default() } == self.asked;
        if stored.is_none()
            && !self.is_head
            && asks_nothing
            && let Some(parts) = Box::pin(caching.cache.parts(&self.key, &self.request.headers, now_ms)).await
            && let Some(response) = Box::pin(self.of_parts(caching, upstream, parts)).await
        {
            return Ok(response);
        }
        if self.asked.only_if_cached {
            return Err(refuse(&code::NOT_CACHED, "the request says only-if-cached, and nothing stored answers it"));
        }
        let forward = match &stored {
            Some(stored) if stored.is_fresh(now_ms) && !stored.terms.always_validate => "fwd=request",
            Some(_) => "fwd=stale",
            None if variants.is_empty() => "fwd=uri-miss",
            None => "fwd=vary-miss",
        };
        if self.is_head || self.asked.no_store {
            let status = if self.is_head { "fwd=method" } else { "fwd=bypass; detail=request-no-store" };
            return Box::pin(self.alone(caching, upstream, status)).await;
        }
        // Boxed, each of them: a hit has no need of the room that a fetch takes.
        Box::pin(self.joined(caching, upstream, stored, forward)).await
    }

    /// The stored response that answers without a question to the origin.
    fn fresh(&self, variants: &Variants, now_ms: u64) -> Option<Arc<Stored>> {
        match cache::reuse(variants, &self.request.headers, &self.asked, now_ms) {
            Reuse::Fresh(stored) => Some(stored),
            _ => None,
        }
    }

    fn whom(&self) -> Whom {
        Whom::of(self.request.headers.contains_key(header::AUTHORIZATION))
    }

    /// Fetches for all who join, or reads what another fetches.
    async fn joined(
        self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        stored: Option<Arc<Stored>>,
        forward: &str,
    ) -> Result<Response<Body>, Failure> {
        let now_ms = caching.clock.unix_ms();
        match caching.cache.join(&self, now_ms) {
            Joined::Ended(stored) => Ok(Box::pin(self.hit(caching, &stored, now_ms)).await),
            Joined::Leads(filling) => Box::pin(self.lead(caching, upstream, filling, stored, forward)).await,
            Joined::Follows(filling) => {
                caching.heard.step("cache", || "waits for the same fetch of another request".to_owned());
                Counts::add(&self.counts.collapsed);
                Box::pin(self.follow(caching, upstream, filling, stored, forward)).await
            }
            // Its part is all that this client needs of what was not stored as a whole.
            Joined::Alone if stored.is_none() && self.request.headers.contains_key(header::RANGE) => {
                Box::pin(self.alone(caching, upstream, &format!("{forward}; detail=not-shared-before"))).await
            }
            Joined::Alone => Box::pin(self.lead(caching, upstream, Arc::default(), stored, forward)).await,
        }
    }

    /// An answer made of stored parts, and of what the origin has of the rest; `None` if it has another whole.
    async fn of_parts(&self, caching: &Caching<'_>, upstream: &Arc<Upstream>, parts: Parts) -> Option<Response<Body>> {
        let gap = match parts {
            Parts::Whole(answer) => {
                Counts::add(&self.counts.hits);
                return Some(respond(answer, "hit; detail=part"));
            }
            Parts::Gap(gap) => gap,
        };
        if self.asked.only_if_cached {
            return None;
        }
        let (mut response, kept) = gap::fill(caching, upstream, &self.key, self.request.bodiless(), gap).await?;
        Counts::add(&self.counts.misses);
        tell(&mut response, if kept { "fwd=partial; fwd-status=206; stored" } else { "fwd=partial; fwd-status=206" });
        Some(response)
    }

    /// Fetches, for itself and for who joins.
    async fn lead(
        self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        filling: Arc<Filling>,
        stored: Option<Arc<Stored>>,
        forward: &str,
    ) -> Result<Response<Body>, Failure> {
        Counts::add(&self.counts.misses);
        let wants_part = stored.is_none() && self.request.headers.contains_key(header::RANGE);
        let own = match self.fetch(caching, upstream, filling.clone(), stored).await {
            // The whole is not stored, so this client needs no more of it than it asked for.
            Ok(Led::Own(response, told, why)) if wants_part && told.is_success() => {
                drop(response);
                return self.alone(caching, upstream, &format!("fwd=partial; detail={why}")).await;
            }
            Ok(Led::Own(mut response, told, why)) => {
                tell(&mut response, &format!("{forward}; fwd-status={}; detail={why}", told.as_u16()));
                return Ok(response);
            }
            Ok(Led::Shared(own)) => own,
            Err(_) => HeaderMap::new(),
        };
        match self.read(caching, upstream, &filling, forward).await? {
            Read::Answer(mut response) => {
                for (name, value) in &own {
                    response.headers_mut().append(name, value.clone());
                }
                Ok(response)
            }
            Read::Not(why) => self.alone(caching, upstream, &format!("fwd=bypass; detail={why}")).await,
        }
    }

    /// Reads what another's fetch brings, or fetches itself.
    async fn follow(
        self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        filling: Arc<Filling>,
        stored: Option<Arc<Stored>>,
        forward: &str,
    ) -> Result<Response<Body>, Failure> {
        match self.read(caching, upstream, &filling, &format!("{forward}; collapsed")).await? {
            Read::Answer(response) => Ok(response),
            Read::Not(why) => match filling.head().await {
                // Nothing is known of what others get: one of them asks for all.
                Head::Alone(Whom::Authorized) if self.whom() == Whom::All => {
                    Box::pin(self.joined(caching, upstream, stored, forward)).await
                }
                Head::Streaming(_) | Head::Alone(_) if self.request.headers.contains_key(header::RANGE) => {
                    Box::pin(self.alone(caching, upstream, &format!("fwd=bypass; detail={why}"))).await
                }
                Head::Whole(..) | Head::Streaming(_) if why == NOT_ALIKE => {
                    Box::pin(self.lead(caching, upstream, Arc::default(), stored, "fwd=vary-miss")).await
                }
                _ => Box::pin(self.lead(caching, upstream, Arc::default(), stored, forward)).await,
            },
        }
    }

    /// What a fetch brings, for this client.
    async fn read(
        &self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        filling: &Arc<Filling>,
        forward: &str,
    ) -> Result<Read, Failure> {
        let response = match filling.head().await {
            Head::Failed(failure) => return Err(failure),
            Head::Whole(stored, outcome) if stored.vary.matches(&self.request.headers) => {
                let now_ms = caching.clock.unix_ms();
                let status = match outcome {
                    Outcome::Validated => format!("{forward}; fwd-status=304; stored"),
                    Outcome::Stale => {
                        Counts::add(&self.counts.stale);
                        format!("{forward}; detail=stale-if-error")
                    }
                };
                Some(self.made_of(&stored, now_ms, &status))
            }
            Head::Streaming(stored) if stored.vary.matches(&self.request.headers) => {
                if let Some(error) = filling.broken() {
                    return Err(Failure::new(error.code, error.detail));
                }
                self.streamed(&stored, filling, (caching, upstream), forward).await
            }
            Head::Whole(..) | Head::Streaming(_) => return Ok(Read::Not(NOT_ALIKE)),
            Head::Alone(_) => return Ok(Read::Not("not-shared")),
        };
        Ok(response.map_or(Read::Not("too-large"), Read::Answer))
    }

    /// An answer that nobody was asked for.
    async fn hit(&self, caching: &Caching<'_>, stored: &Arc<Stored>, now_ms: u64) -> Response<Body> {
        Counts::add(if stored.is_fresh(now_ms) { &self.counts.hits } else { &self.counts.stale });
        let left = i128::from(stored.lifetime_s) - i128::from(stored.age_s(now_ms));
        let status = format!("hit; ttl={left}");
        let wants_part = self.request.headers.contains_key(header::RANGE);
        let response = match caching.rule.compress && !wants_part {
            true => {
                let pressed = Box::pin(caching.cache.pressed(&self.key, stored, &self.request.headers)).await;
                self.made_of(&pressed, now_ms, &status)
            }
            false => self.made_of(stored, now_ms, &status),
        };
        if !self.is_head {
            let bytes = http_body::Body::size_hint(response.body()).lower();
            self.counts.hit_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        response
    }

    /// An answer made of what is stored.
    fn made_of(&self, stored: &Stored, now_ms: u64, status: &str) -> Response<Body> {
        respond(cache::answer(stored, &self.request.headers, now_ms), status)
    }

    /// An answer whose body is still arriving; `None` if its beginning is gone.
    async fn streamed(
        &self,
        stored: &Arc<Stored>,
        filling: &Arc<Filling>,
        (caching, upstream): (&Caching<'_>, &Arc<Upstream>),
        forward: &str,
    ) -> Option<Response<Body>> {
        let now_ms = caching.clock.unix_ms();
        let status = format!("{forward}; stored");
        if let Some(whole) = filling.arrived() {
            let stored = Stored { body: whole.into(), ..Stored::clone(stored) };
            return Some(self.made_of(&stored, now_ms, &status));
        }
        let size: Option<u64> =
            stored.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_conditional = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE]
            .iter()
            .any(|name| self.request.headers.contains_key(name));
        if is_conditional {
            // Preconditions and ranges are about the whole, of which the size is enough to begin with.
            let body = match size {
                Some(size) => filling.held(size)?,
                None => Content::Whole(filling.body(None, None)?.collect(usize::MAX).await.ok()?),
            };
            return Some(self.made_of(&Stored { body, ..Stored::clone(stored) }, now_ms, &status));
        }
        // Of a body that does not say how long it is nobody knows yet whether it is one to be stored.
        let status = if size.is_some() { &status } else { forward };
        // What workers behind the cache made of a response, the origin has no rest of.
        let is_origins = caching.behind.is_none();
        let alone = is_origins.then(|| rest::of(upstream, &self.request, stored, size)).flatten();
        let mut response = Response::new(filling.body(size, alone)?);
        *response.status_mut() = stored.status;
        *response.headers_mut() = stored.headers.clone();
        tell(&mut response, status);
        Some(response)
    }

    /// As the client asks, for this client alone; a part is kept as it passes.
    async fn alone(
        self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        status: &str,
    ) -> Result<Response<Body>, Failure> {
        Counts::add(&self.counts.bypassed);
        let wants_part = self.request.headers.contains_key(header::RANGE) && !self.is_head && !self.asked.no_store;
        let keeps = wants_part.then(|| (self.request.headers.clone(), caching.cache.responses.ticket()));
        let mut request = self.request;
        cache::reduce_encodings(&mut request.headers);
        let response = ask(upstream, caching.behind.as_ref(), request).await?;
        let (mut response, kept) = match keeps {
            Some((client, ticket)) if response.status() == StatusCode::PARTIAL_CONTENT => {
                part::keep(caching, &self.key, &client, ticket, response)
            }
            _ => (response, false),
        };
        let stored = if kept { "; stored" } else { "" };
        let status = format!("{status}; fwd-status={}{stored}", response.status().as_u16());
        tell(&mut response, &status);
        Ok(response)
    }

    /// Begins a fetch. What comes of it, whoever led it may be gone.
    fn fetch(
        &self,
        caching: &Caching<'_>,
        upstream: &Arc<Upstream>,
        filling: Arc<Filling>,
        stored: Option<Arc<Stored>>,
    ) -> oneshot::Receiver<Led> {
        let fetch = Fetch {
            cache: caching.cache.clone(),
            clock: caching.clock.clone(),
            upstream: upstream.clone(),
            behind: caching.behind.clone(),
            filling,
            key: self.key.clone(),
            stored,
            client: self.request.headers.clone(),
            heuristic: caching.rule.heuristic,
            counts: self.counts.clone(),
            ticket: caching.cache.responses.ticket(),
        };
        // It says nothing to a client that has its answer already.
        let interim = self.request.interim.clone();
        let (lead, led) = oneshot::channel();
        let mut request = Forwarded { interim, ..self.request.bodiless() };
        cache::reduce_encodings(&mut request.headers);
        tokio::task::spawn_local(fetch.run(request, lead));
        led
    }
}

/// What is stored under a key, for who wants to know.
fn looked_up(key: &Key, variants: &Variants, now_ms: u64) -> String {
    let each = variants.iter().map(|stored| {
        let left = i128::from(stored.lifetime_s) - i128::from(stored.age_s(now_ms));
        let state = if left > 0 { format!("fresh for {left} s more") } else { format!("stale for {} s", -left) };
        format!("{} of {} s, {state}", stored.status.as_u16(), stored.age_s(now_ms))
    });
    let each: Vec<_> = each.collect();
    let found = if each.is_empty() { "nothing is stored".to_owned() } else { each.join("; ") };
    format!("key {}: {found}", key.url)
}

/// Why a request is none for the cache.
fn passed_by(reads: bool, key: &Key, key_bytes_max: usize) -> String {
    let why = if !reads {
        "the method is neither GET nor HEAD"
    } else if key.bytes() > key_bytes_max {
        "its key is longer than cache_key_bytes"
    } else {
        "it has a body, or asks for a WebSocket"
    };
    format!("passed by: {why}")
}

fn respond(answer: Answer, status: &str) -> Response<Body> {
    let mut response = Response::new(answer.body.into_body());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    tell(&mut response, status);
    response
}

/// Says what the cache did (RFC 9211).
fn tell(response: &mut Response<Body>, what: &str) {
    if let Ok(value) = HeaderValue::try_from(format!("{NAME}; {what}")) {
        response.headers_mut().append(CACHE_STATUS, value);
    }
}

#[cfg(test)]
mod tests;
