//! One fetch of a cache: what is asked of the origin, and what becomes of its answer.
//!
//! It goes on without the request that began it. What may be stored is told to all who wait ([`Filling`]) and
//! stored when it is whole; what may not goes to the one who led.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use base::{Body, BodyError, Clock};
use cache::{Heuristic, Kept, Key, Stored, Ticket, Trouble};
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::alone::Whom;
use super::cached::{Behind, ProxyCache, ask};
use super::counts::Counts;
use super::filling::{Ends, Filling, Head, Outcome};
use super::{Forwarded, Upstream};

/// A fetch, which goes on without the request that began it.
pub(super) struct Fetch {
    pub cache: Arc<ProxyCache>,
    pub clock: Arc<dyn Clock>,
    pub upstream: Arc<Upstream>,
    pub behind: Option<Behind>,
    pub filling: Arc<Filling>,
    pub key: Key,
    /// What is stored, and to be validated.
    pub stored: Option<Arc<Stored>>,
    /// The client's fields, by which the response may vary.
    pub client: HeaderMap,
    pub heuristic: Heuristic,
    pub counts: Arc<Counts>,
    /// Of the moment before the origin was asked.
    pub ticket: Ticket,
}

/// What who leads a fetch gets.
pub(super) enum Led {
    /// What all get, and the fields that are for the one who asked.
    Shared(HeaderMap),
    /// What is not stored, the status that the origin answered with, and why.
    Own(Response<Body>, StatusCode, &'static str),
}

impl Fetch {
    pub async fn run(self, mut request: Forwarded, lead: oneshot::Sender<Led>) {
        let _ends = Ends(self.filling.clone());
        let plain = request.headers.clone();
        let validates = cache::set_validators(self.stored.as_deref(), &mut request.headers);
        request.heard.step("cache", || match validates {
            true => "asks whether what is stored still holds".to_owned(),
            false => "fetches it for all who ask meanwhile".to_owned(),
        });
        let (path_and_query, client) = (request.path_and_query.clone(), request.client);
        let heard = request.heard.clone();
        let mut outcome = ask(&self.upstream, self.behind.as_ref(), request).await;
        if let Ok(response) = &outcome
            && validates
            && response.status() == StatusCode::NOT_MODIFIED
        {
            match self.validated(response.headers()) {
                Some((stored, headers)) => return self.renew(stored, headers, response.headers(), lead).await,
                None => {
                    // It speaks of another response than the one that is stored: begin anew.
                    let (method, mut headers) = (Method::GET, plain);
                    cache::set_validators(None, &mut headers);
                    let again = Forwarded {
                        method,
                        path_and_query,
                        headers,
                        body: Body::empty(),
                        client,
                        interim: None,
                        heard,
                    };
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
            return self.settle(Head::Whole(stored.clone(), Outcome::Stale), lead, HeaderMap::new());
        }
        match outcome {
            Err(failure) => self.settle(Head::Failed(failure), lead, HeaderMap::new()),
            Ok(response) => self.fill(response, lead).await,
        }
    }

    /// What is stored, and what a 304 makes of its fields; `None` if it is about something else.
    fn validated(&self, response: &HeaderMap) -> Option<(&Stored, HeaderMap)> {
        let stored = self.stored.as_deref()?;
        Some((stored, cache::updated(stored, response)?))
    }

    /// What is stored holds still: for all, or if its new fields are for one alone, for the one who led.
    async fn renew(&self, stored: &Stored, headers: HeaderMap, response: &HeaderMap, lead: oneshot::Sender<Led>) {
        let now_ms = self.clock.unix_ms();
        match cache::renewed(stored, &self.client, headers.clone(), self.heuristic, now_ms) {
            Ok(renewed) => {
                self.cache.alone.forget(&self.key);
                let held = self.put(renewed).await;
                self.settle(Head::Whole(held, Outcome::Validated), lead, cache::for_one(response));
            }
            Err(refusal) => {
                let mut renewed = Response::new(stored.body.clone().into_body());
                (*renewed.status_mut(), *renewed.headers_mut()) = (stored.status, headers);
                self.refuse(renewed, StatusCode::NOT_MODIFIED, refusal.detail(), lead);
            }
        }
    }

    /// The response is for the one who led; all others ask themselves.
    fn refuse(&self, response: Response<Body>, told: StatusCode, why: &'static str, lead: oneshot::Sender<Led>) {
        // A server in trouble says nothing about what it has else.
        let whom = match told.is_server_error() {
            true => Whom::All,
            false => {
                let whom = Whom::of(self.client.contains_key(header::AUTHORIZATION));
                self.cache.alone.remember(&self.key, whom, self.clock.unix_ms());
                whom
            }
        };
        self.cache.leave(&self.key, &self.filling);
        self.filling.tell(Head::Alone(whom));
        let _ = lead.send(Led::Own(response, told, why));
    }

    async fn put(&self, stored: Stored) -> Arc<Stored> {
        let held = Arc::new(stored.clone());
        match self.cache.responses.put(self.key.clone(), stored, &self.ticket).await {
            Ok(Kept::Kept(stored)) => {
                Counts::add(&self.counts.stored);
                stored
            }
            Ok(Kept::Purged) => held,
            Err(error) => {
                tracing::debug!(%error, url = %self.key.url, "a response was not stored");
                held
            }
        }
    }

    /// Everybody gets the same, and who comes later asks the store.
    fn settle(&self, head: Head, lead: oneshot::Sender<Led>, own: HeaderMap) {
        self.cache.leave(&self.key, &self.filling);
        self.filling.tell(head);
        // Whoever led may have left.
        let _ = lead.send(Led::Shared(own));
    }

    /// Stores a response while everybody reads it, or leaves it to the one who led.
    async fn fill(&self, response: Response<Body>, lead: oneshot::Sender<Led>) {
        let bytes_max = self.cache.responses.body_bytes_max();
        let (head, mut body) = response.into_parts();
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let now_ms = self.clock.unix_ms();
        let admitted = cache::admit_proxied(&self.client, head.status, head.headers.clone(), self.heuristic, now_ms);
        let admitted = match admitted {
            Ok(_) if length.is_some_and(|length| length > bytes_max as u64) => Err("too-large"),
            Ok(stored) => Ok(stored),
            Err(refusal) => Err(refusal.detail()),
        };
        let stored = match admitted {
            Ok(stored) => stored,
            Err(why) => {
                let told = head.status;
                return self.refuse(Response::from_parts(head, body), told, why, lead);
            }
        };
        self.cache.alone.forget(&self.key);
        self.filling.tell(Head::Streaming(Arc::new(stored.clone())));
        let _ = lead.send(Led::Shared(cache::for_one(&head.headers)));
        let end = self.pour(&mut body, bytes_max).await;
        match end {
            Ok(true) => {
                let (body, body_id) = (self.filling.whole().into(), self.cache.body_id.fetch_add(1, Ordering::Relaxed));
                let mut put = pin!(self.put(Stored { body, body_id, ..stored }));
                // Who reads does not wait for a disk; who comes meanwhile joins, and finds it whole.
                let waits = std::future::poll_fn(|cx| Poll::Ready(put.as_mut().poll(cx).is_pending()));
                if waits.await {
                    self.filling.end(Ok(()));
                    put.await;
                }
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
        let mut share = FillingShare::new(self.cache.clone());
        let mut kept = true;
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            let fits = !kept || share.takes(piece.len() as u64);
            let is_small = self.filling.push(piece) <= bytes_max;
            if kept && !(is_small && fits) {
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

/// What one fetch has of `cache_filling_bytes`.
pub(super) struct FillingShare {
    cache: Arc<ProxyCache>,
    bytes: u64,
}

impl FillingShare {
    fn new(cache: Arc<ProxyCache>) -> Self {
        Self { cache, bytes: 0 }
    }

    /// A share of so many bytes, if there is one.
    pub fn take(cache: Arc<ProxyCache>, bytes: u64) -> Option<Self> {
        let mut share = Self::new(cache);
        share.takes(bytes).then_some(share)
    }

    fn takes(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let before = self.cache.filling_bytes.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.cache.filling_bytes_max
    }
}

impl Drop for FillingShare {
    fn drop(&mut self) {
        self.cache.filling_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
