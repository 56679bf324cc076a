//! `caches`: the cache of responses, as an app's workers may use it.
//!
//! What may be stored, and what answers a request, is the policy of the `cache` crate; where it is
//! kept, a store's. Here the two meet: an app is kept to its own entries, and what is on its way into
//! the cache is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Body, BodyError, NodeLimits};
use bytes::Bytes;
use cache::{Heuristic, Kept, Key, Refusal, Responses, Store, StoreError};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::{Failure, Response};

/// Larger bodies come out of the cache piece by piece.
const PIECE_BYTES: usize = 64 << 10;

/// Tells code written for Workers that the response is the cache's.
const STATUS: HeaderName = HeaderName::from_static("cf-cache-status");

/// The responses of all apps on a node.
#[derive(Clone)]
pub struct ResponseCache {
    responses: Arc<Responses>,
    filling: Arc<AtomicU64>,
    filling_bytes_max: u64,
    key_bytes_max: usize,
}

/// Whom a call acts for, and when.
#[derive(Debug, Clone)]
pub struct CacheScope {
    pub app: Arc<str>,
    pub now_ms: u64,
}

/// The request that names an entry.
#[derive(Debug, Clone)]
pub struct CacheRequest {
    /// `None` for the default cache.
    pub cache: Option<String>,
    pub method: Method,
    /// Absolute.
    pub url: String,
    pub headers: HeaderMap,
}

/// What became of a response that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// It may not be stored at all: the caller's mistake.
    Refused(Refusal),
    /// It was not stored, and why. A cache may always do that.
    Skipped(String),
}

impl ResponseCache {
    pub fn new(store: Arc<dyn Store>, limits: &NodeLimits) -> Self {
        Self {
            responses: Responses::new(store),
            filling: Arc::default(),
            filling_bytes_max: limits.cache_filling_bytes,
            key_bytes_max: limits.cache_key_bytes as usize,
        }
    }

    /// Where they are kept, for the proxy, whose cache is the same.
    pub fn responses(&self) -> Arc<Responses> {
        self.responses.clone()
    }

    /// The stored response that answers the request and is fresh.
    pub async fn lookup(&self, scope: &CacheScope, request: &CacheRequest) -> Result<Option<Response>, Failure> {
        let Some(key) = self.key(scope, request).filter(|_| request.method == Method::GET) else { return Ok(None) };
        let variants = self.responses.get(&key).await.map_err(failed)?;
        let Some(stored) = cache::select(&variants, &request.headers, scope.now_ms) else { return Ok(None) };
        let answer = cache::answer(stored, &request.headers, scope.now_ms);
        let body = answer.body.whole().cloned().map_or_else(|| answer.body.clone().into_body(), in_pieces);
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response.headers_mut().insert(STATUS, HeaderValue::from_static("HIT"));
        Ok(Some(response))
    }

    /// Stores a response. Its body is read to the end first; if that fails, so does the call, and
    /// nothing changes.
    pub async fn put(&self, scope: &CacheScope, request: &CacheRequest, response: Response) -> Result<Put, Failure> {
        let (head, body) = response.into_parts();
        let mut headers = head.headers;
        headers.remove(STATUS);
        let (policy, now_ms) = (Heuristic::default(), scope.now_ms);
        let admitted = cache::admit(&request.method, &request.headers, head.status, headers, policy, now_ms);
        let mut stored = match admitted {
            Ok(stored) => stored,
            Err(refusal @ (Refusal::Method | Refusal::Partial | Refusal::VariesByAll)) => {
                return Ok(Put::Refused(refusal));
            }
            Err(refusal) => return Ok(Put::Skipped(refusal.to_string())),
        };
        let Some(key) = self.key(scope, request) else {
            let max = self.key_bytes_max;
            return Ok(Put::Skipped(format!(
                "the URL or the cache's name is longer than {max} bytes (cache_key_bytes)"
            )));
        };
        let ticket = self.responses.ticket();
        let mut filled = Filled { cache: self, bytes: 0 };
        stored.body = match filled.read(body).await {
            Ok(body) => body.into(),
            Err(NotRead::Skipped(why)) => return Ok(Put::Skipped(why)),
            Err(NotRead::Failed(error)) => return Err(Failure::new(error.code, error.detail)),
        };
        match self.responses.put(key, stored, &ticket).await {
            Ok(Kept::Kept(_)) => Ok(Put::Stored),
            Ok(Kept::Purged) => Ok(Put::Skipped("it was purged while it arrived".to_owned())),
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Busy(_))) => Ok(Put::Skipped(error.to_string())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Removes what is stored for the URL. True if there was something.
    pub async fn delete(&self, scope: &CacheScope, request: &CacheRequest) -> Result<bool, Failure> {
        match self.key(scope, request).filter(|_| request.method == Method::GET) {
            Some(key) => self.responses.delete(&key).await.map_err(failed),
            None => Ok(false),
        }
    }

    fn key(&self, scope: &CacheScope, request: &CacheRequest) -> Option<Key> {
        let url = request.url.split_once('#').map_or(request.url.as_str(), |(url, _)| url);
        let cache = request.cache.as_deref().map(Arc::from);
        let key = Key { app: scope.app.clone(), cache, url: url.into() };
        (key.bytes() <= self.key_bytes_max).then_some(key)
    }
}

fn failed(error: StoreError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// A body that enters a guest whole only if it is small.
fn in_pieces(body: Bytes) -> Body {
    if body.len() <= PIECE_BYTES {
        return Body::full(body);
    }
    let pieces = stream::unfold(body, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        Some((Ok::<_, BodyError>(Frame::data(piece)), rest))
    });
    Body::stream(StreamBody::new(pieces))
}

/// A body on its way into the cache: its bytes count as long as this lives.
struct Filled<'a> {
    cache: &'a ResponseCache,
    bytes: u64,
}

enum NotRead {
    Skipped(String),
    Failed(BodyError),
}

impl Filled<'_> {
    async fn read(&mut self, mut body: Body) -> Result<Bytes, NotRead> {
        let entry_max = self.cache.responses.body_bytes_max();
        let mut whole = Vec::new();
        if let Some(bytes) = body.take_whole() {
            self.take(bytes.len(), bytes.len(), entry_max)?;
            return Ok(bytes);
        }
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(NotRead::Failed)?.into_data() {
                self.take(data.len(), whole.len() + data.len(), entry_max)?;
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.into())
    }

    fn take(&mut self, bytes: usize, total: usize, entry_max: usize) -> Result<(), NotRead> {
        if total > entry_max {
            return Err(NotRead::Skipped(format!("the body has more than {entry_max} bytes (cache_entry_bytes)")));
        }
        self.bytes += bytes as u64;
        let max = self.cache.filling_bytes_max;
        if self.cache.filling.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64 > max {
            return Err(NotRead::Skipped(format!(
                "more than {max} bytes are being stored already (cache_filling_bytes)"
            )));
        }
        Ok(())
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        self.cache.filling.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
