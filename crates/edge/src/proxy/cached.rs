//! The cache in front of an upstream: the policy's questions, asked in order.
//!
//! What is in the way of a hit: a look into the store, the policy's judgement, an answer made of what is
//! stored. Else one fetch for all who ask ([`Filling`]). A key whose response was for one alone is
//! remembered for a while, so that nobody waits for it in vain.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Body, BodyError, Clock, code};
use cache::{Asked, Heuristic, Key, Reuse, Store, Stored, Trouble};
use futures_util::future::LocalBoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use manifest::RouteCache;
use net::Request;
use tokio::sync::oneshot;
use worker::Failure;

use super::filling::{Ends, Filling, Head, Outcome};
use super::{Forwarded, NAME, Upstream, add_via, forwarded, pass};
use crate::respond::refuse;

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// For how long a key is fetched without waiting for others, after its response was for one alone.
const ALONE_MS: u64 = 10_000;
/// Such keys that are remembered; they are all forgotten when there are more.
const ALONE_MAX: usize = 10_000;

/// The cache of all apps' upstreams on a node.
pub struct ProxyCache {
    store: Arc<dyn Store>,
    key_bytes_max: usize,
    filling: Mutex<HashMap<Key, Arc<Filling>>>,
    alone: Mutex<HashMap<Key, u64>>,
}

/// Whose fetch a request waits for.
enum Joined {
    /// Its own, which others may join.
    Leads(Arc<Filling>),
    Follows(Arc<Filling>),
    /// Nobody's: the last response was for one alone.
    Alone,
}

/// What a request to a cached route comes with.
pub(crate) struct Caching<'a> {
    pub cache: &'a Arc<ProxyCache>,
    pub clock: &'a Arc<dyn Clock>,
    pub app: Arc<str>,
    pub route: RouteCache,
    /// The path and query that the client sent, whatever the target sees.
    pub asked: PathAndQuery,
    /// Keeps apart what one URL leads to by different routes.
    pub space: Option<Arc<str>>,
    /// Workers between the cache and the upstream.
    pub behind: Option<Behind>,
}

/// Who is asked in place of the upstream, and asks it in turn.
pub(crate) type Behind = Rc<dyn Fn(Forwarded) -> LocalBoxFuture<'static, Result<Response<Body>, Failure>>>;

/// Sends a request to where the cache's misses go.
async fn ask(upstream: &Upstream, behind: Option<&Behind>, request: Forwarded) -> Result<Response<Body>, Failure> {
    match behind {
        Some(behind) => behind(request).await,
        None => upstream.ask(request).await,
    }
}

impl ProxyCache {
    pub fn new(store: Arc<dyn Store>, key_bytes_max: u64) -> Arc<Self> {
        let key_bytes_max = usize::try_from(key_bytes_max).unwrap_or(usize::MAX);
        Arc::new(Self { store, key_bytes_max, filling: Mutex::default(), alone: Mutex::default() })
    }

    fn fillings(&self) -> MutexGuard<'_, HashMap<Key, Arc<Filling>>> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch that is under way for a key, or a new one.
    fn join(&self, key: &Key, now_ms: u64) -> Joined {
        let alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_alone = alone.get(key).is_some_and(|until| *until > now_ms);
        drop(alone);
        if goes_alone {
            return Joined::Alone;
        }
        let mut fillings = self.fillings();
        if let Some(filling) = fillings.get(key) {
            return Joined::Follows(filling.clone());
        }
        let filling = Arc::<Filling>::default();
        fillings.insert(key.clone(), filling.clone());
        Joined::Leads(filling)
    }

    /// From now on nobody joins this fetch.
    fn leave(&self, key: &Key, filling: &Arc<Filling>) {
        let mut fillings = self.fillings();
        if fillings.get(key).is_some_and(|found| Arc::ptr_eq(found, filling)) {
            fillings.remove(key);
        }
    }

    fn remember_alone(&self, key: &Key, now_ms: u64) {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if alone.len() >= ALONE_MAX {
            alone.clear();
        }
        alone.insert(key.clone(), now_ms + ALONE_MS);
    }
}

/// Answers a request of a route that leads to an upstream.
pub(crate) async fn answer(
    caching: Caching<'_>,
    upstream: &Arc<Upstream>,
    request: Request,
) -> Result<Response<Body>, Failure> {
    let url = format!("{}://{}{}", request.scheme(), request.authority(), caching.asked);
    let key = Key { app: caching.app.clone(), cache: caching.space.clone(), url: url.as_str().into() };
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let is_plain = request.body.is_empty() && !request.upgrade && key.bytes() <= caching.cache.key_bytes_max;
    if caching.route == RouteCache::Off || !reads || !is_plain {
        let (method, changes) = (request.method.clone(), !request.method.is_safe());
        let mut response = match &caching.behind {
            Some(behind) if !request.upgrade => behind(forwarded(request)).await?,
            _ => pass(upstream, request).await?,
        };
        if changes && caching.route != RouteCache::Off {
            for url in cache::invalidated(&method, &url, response.status(), response.headers()) {
                let key = Key { url: url.into(), ..key.clone() };
                caching.cache.store.delete(&key).await.map_err(|error| refuse(error.code(), error.to_string()))?;
            }
        }
        add_via(response.headers_mut(), "1.1");
        tell(&mut response, if reads { "fwd=bypass" } else { "fwd=method" });
        return Ok(response);
    }
    let is_head = request.method == Method::HEAD;
    let asking = Asking { asked: Asked::parse(&request.headers), request: forwarded(request), key, is_head };
    let mut response = asking.answer(&caching, upstream).await?;
    add_via(response.headers_mut(), "1.1");
    Ok(response)
}

/// A request that the cache may answer.
struct Asking {
    asked: Asked,
    /// As it would be forwarded; with the client's conditions and range.
    request: Forwarded,
    key: Key,
    is_head: bool,
}

/// A fetch, which goes on without the request that began it.
struct Fetch {
    cache: Arc<ProxyCache>,
    clock: Arc<dyn Clock>,
    upstream: Arc<Upstream>,
    behind: Option<Behind>,
    filling: Arc<Filling>,
    key: Key,
    /// What is stored, and to be validated.
    stored: Option<Arc<Stored>>,
    /// The client's fields, by which the response may vary.
    client: HeaderMap,
    heuristic: Heuristic,
}

/// What who leads a fetch gets.
enum Led {
    /// What all get.
    Shared,
    Own(Response<Body>),
}

impl Asking {
    async fn answer(self, caching: &Caching<'_>, upstream: &Arc<Upstream>) -> Result<Response<Body>, Failure> {
        let now_ms = caching.clock.unix_ms();
        let variants = caching.cache.store.get(&self.key).await;
        let variants = variants.map_err(|error| refuse(error.code(), error.to_string()))?;
        let stored = match cache::reuse(&variants, &self.request.headers, &self.asked, now_ms) {
            Reuse::Fresh(stored) => return Ok(self.hit(&stored, now_ms, &hit(&stored, now_ms))),
            Reuse::StaleWhile(stored) => {
                if let Joined::Leads(filling) = caching.cache.join(&self.key, now_ms) {
                    self.fetch(caching, upstream, filling, Some(stored.clone()));
                }
                return Ok(self.hit(&stored, now_ms, &hit(&stored, now_ms)));
            }
            Reuse::Validate(stored) => Some(stored),
            Reuse::Nothing => None,
        };
        if self.asked.only_if_cached {
            return Err(refuse(&code::NOT_CACHED, "the request says only-if-cached, and nothing stored answers it"));
        }
        let wants_part = stored.is_none() && self.request.headers.contains_key(header::RANGE);
        if self.is_head || wants_part || self.asked.no_store {
            let status = if self.is_head { "fwd=method" } else { "fwd=bypass" };
            return self.alone(caching, upstream, status).await;
        }
        let (filling, leads) = match caching.cache.join(&self.key, now_ms) {
            Joined::Leads(filling) => (filling, true),
            Joined::Follows(filling) => (filling, false),
            Joined::Alone => return self.alone(caching, upstream, "fwd=uri-miss").await,
        };
        let forward = if stored.is_some() { "fwd=stale" } else { "fwd=uri-miss" };
        if leads {
            match self.fetch(caching, upstream, filling.clone(), stored).await {
                Ok(Led::Own(mut response)) => {
                    let status = format!("{forward}; fwd-status={}", response.status().as_u16());
                    tell(&mut response, &status);
                    return Ok(response);
                }
                Ok(Led::Shared) | Err(_) => {}
            }
        }
        let forward = if leads { forward.to_owned() } else { format!("{forward}; collapsed") };
        match filling.head().await {
            Head::Failed(failure) => Err(failure),
            Head::Whole(stored, outcome) if stored.vary.matches(&self.request.headers) => {
                let now_ms = caching.clock.unix_ms();
                let status = match outcome {
                    Outcome::Validated => format!("{forward}; fwd-status=304; stored"),
                    Outcome::Stale => format!("{forward}; detail=stale-if-error"),
                };
                Ok(self.hit(&stored, now_ms, &status))
            }
            Head::Streaming(stored) if stored.vary.matches(&self.request.headers) => {
                match self.streamed(&stored, &filling, caching, &format!("{forward}; stored")).await {
                    Some(response) => Ok(response),
                    None => self.alone(caching, upstream, "fwd=bypass").await,
                }
            }
            Head::Alone | Head::Whole(..) | Head::Streaming(_) => self.alone(caching, upstream, "fwd=uri-miss").await,
        }
    }

    /// An answer made of what is stored.
    fn hit(&self, stored: &Stored, now_ms: u64, status: &str) -> Response<Body> {
        let answer = cache::answer(stored, &self.request.headers, now_ms);
        let mut response = Response::new(Body::full(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        tell(&mut response, status);
        response
    }

    /// An answer whose body is still arriving; `None` if its beginning is gone.
    async fn streamed(
        &self,
        stored: &Arc<Stored>,
        filling: &Arc<Filling>,
        caching: &Caching<'_>,
        status: &str,
    ) -> Option<Response<Body>> {
        let size = stored.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = filling.body(size)?;
        let is_conditional = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE]
            .iter()
            .any(|name| self.request.headers.contains_key(name));
        if is_conditional {
            // Preconditions and ranges are about the whole.
            let whole = body.collect(usize::MAX).await.ok()?;
            let stored = Stored { body: whole, ..Stored::clone(stored) };
            return Some(self.hit(&stored, caching.clock.unix_ms(), status));
        }
        let mut response = Response::new(body);
        *response.status_mut() = stored.status;
        *response.headers_mut() = stored.headers.clone();
        tell(&mut response, status);
        Some(response)
    }

    /// Without the cache, for this client alone.
    async fn alone(self, caching: &Caching<'_>, upstream: &Upstream, status: &str) -> Result<Response<Body>, Failure> {
        let mut response = ask(upstream, caching.behind.as_ref(), self.request).await?;
        let status = format!("{status}; fwd-status={}", response.status().as_u16());
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
        let (default_s, absence_s) = match caching.route {
            RouteCache::DefaultTtl(seconds) => (u64::from(seconds), u64::from(seconds)),
            _ => (0, 0),
        };
        let fetch = Fetch {
            cache: caching.cache.clone(),
            clock: caching.clock.clone(),
            upstream: upstream.clone(),
            behind: caching.behind.clone(),
            filling,
            key: self.key.clone(),
            stored,
            client: self.request.headers.clone(),
            heuristic: Heuristic { default_s, absence_s, ..Heuristic::default() },
        };
        let request = Forwarded {
            method: Method::GET,
            path_and_query: self.request.path_and_query.clone(),
            headers: self.request.headers.clone(),
            body: Body::empty(),
        };
        let (lead, led) = oneshot::channel();
        tokio::task::spawn_local(fetch.run(request, lead));
        led
    }
}

impl Fetch {
    async fn run(self, mut request: Forwarded, lead: oneshot::Sender<Led>) {
        let _ends = Ends(self.filling.clone());
        let plain = request.headers.clone();
        let validates = cache::set_validators(self.stored.as_deref(), &mut request.headers);
        let path_and_query = request.path_and_query.clone();
        let mut outcome = ask(&self.upstream, self.behind.as_ref(), request).await;
        if validates && outcome.as_ref().is_ok_and(|response| response.status() == StatusCode::NOT_MODIFIED) {
            let response = outcome.as_ref().map_or(None, |response| self.renew(response.headers()));
            match response {
                Some(renewed) => {
                    let held = self.put(renewed).await;
                    return self.settle(Head::Whole(held, Outcome::Validated), lead);
                }
                None => {
                    // It speaks of another response than the one that is stored: begin anew.
                    let (method, mut headers) = (Method::GET, plain);
                    cache::set_validators(None, &mut headers);
                    let again = Forwarded { method, path_and_query, headers, body: Body::empty() };
                    outcome = ask(&self.upstream, self.behind.as_ref(), again).await;
                }
            }
        }
        let trouble = match &outcome {
            Err(_) => Trouble::Unreachable,
            Ok(response) => Trouble::Status(response.status()),
        };
        let now_ms = self.clock.unix_ms();
        if let Some(stored) = &self.stored
            && cache::usable_in_trouble(stored, trouble, now_ms)
        {
            return self.settle(Head::Whole(stored.clone(), Outcome::Stale), lead);
        }
        match outcome {
            Err(failure) => self.settle(Head::Failed(failure), lead),
            Ok(response) => self.fill(response, lead).await,
        }
    }

    /// What is stored, as a 304 renews it; `None` if it is about something else, or ends its time.
    fn renew(&self, response: &HeaderMap) -> Option<Stored> {
        let stored = self.stored.as_deref()?;
        let now_ms = self.clock.unix_ms();
        cache::freshened(stored, &self.client, response, self.heuristic, now_ms)?.ok()
    }

    async fn put(&self, stored: Stored) -> Arc<Stored> {
        let held = Arc::new(stored.clone());
        if let Err(error) = self.cache.store.put(self.key.clone(), stored).await {
            tracing::debug!(%error, url = %self.key.url, "a response was not stored");
        }
        held
    }

    /// Everybody gets the same, and who comes later asks the store.
    fn settle(&self, head: Head, lead: oneshot::Sender<Led>) {
        self.cache.leave(&self.key, &self.filling);
        self.filling.tell(head);
        // Whoever led may have left.
        let _ = lead.send(Led::Shared);
    }

    /// Stores a response while everybody reads it, or leaves it to the one who led.
    async fn fill(&self, response: Response<Body>, lead: oneshot::Sender<Led>) {
        let bytes_max = self.cache.store.body_bytes_max();
        let (head, mut body) = response.into_parts();
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let now_ms = self.clock.unix_ms();
        let admitted = cache::admit_proxied(&self.client, head.status, head.headers.clone(), self.heuristic, now_ms);
        let stored = match admitted {
            Ok(stored) if length.is_none_or(|length| length <= bytes_max as u64) => stored,
            _ => {
                self.cache.remember_alone(&self.key, now_ms);
                self.cache.leave(&self.key, &self.filling);
                self.filling.tell(Head::Alone);
                let _ = lead.send(Led::Own(Response::from_parts(head, body)));
                return;
            }
        };
        self.filling.tell(Head::Streaming(Arc::new(stored.clone())));
        let _ = lead.send(Led::Shared);
        let end = self.pour(&mut body, bytes_max).await;
        match end {
            Ok(true) => {
                let body = self.filling.whole();
                self.put(Stored { body, ..stored }).await;
                self.cache.leave(&self.key, &self.filling);
                self.filling.end(Ok(()));
            }
            Ok(false) => self.filling.end(Ok(())),
            Err(error) => {
                self.cache.leave(&self.key, &self.filling);
                self.filling.end(Err(error));
            }
        }
    }

    /// Reads the body to its end. True if all of it is kept.
    async fn pour(&self, body: &mut Body, bytes_max: usize) -> Result<bool, BodyError> {
        let mut kept = true;
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            if self.filling.push(piece) > bytes_max && kept {
                kept = false;
                self.cache.leave(&self.key, &self.filling);
                self.filling.keep_no_more();
            }
            if !kept && !self.filling.room().await {
                return Ok(false);
            }
        }
        Ok(kept)
    }
}

fn hit(stored: &Stored, now_ms: u64) -> String {
    let left = i128::from(stored.lifetime_s) - i128::from(stored.age_s(now_ms));
    format!("hit; ttl={left}")
}

/// Says what the cache did (RFC 9211).
fn tell(response: &mut Response<Body>, what: &str) {
    if let Ok(value) = HeaderValue::try_from(format!("{NAME}; {what}")) {
        response.headers_mut().append(CACHE_STATUS, value);
    }
}
