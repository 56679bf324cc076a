//! Tiers of caches: a parent node that is asked before the origin is, and what keeps a request from going
//! in circles.
//!
//! A parent is another node with the same sites, nearer to the origin. It gets the request with the host that
//! the client named, answers out of its cache what it has, and collapses what many children ask for at once.
//! If it can't be reached, or says that whom it asked can't, the origin's own servers are asked.
//!
//! **Circles.** Every request to an upstream carries the names of the nodes that it passed (`CDN-Loop`,
//! RFC 8586). One that comes back is refused before it waits for itself.

use std::sync::Arc;

use base::{Body, Rng, code};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use worker::Failure;

use super::NAME;
use super::forwarded::Forwarded;
use super::upstream::Upstream;
use crate::respond::refuse;

pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// How this process names itself to other nodes: as nobody else does.
#[derive(Debug, Clone)]
pub struct NodeName(HeaderValue);

impl NodeName {
    pub fn new(rng: &dyn Rng) -> Self {
        let name = format!("{NAME}-{:016x}", rng.next_u64());
        // A pseudonym is a token (RFC 8586, section 2).
        Self(HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static(NAME)))
    }

    /// Refuses a request that was here before.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let lines = headers.get_all(CDN_LOOP).iter();
        let mut passed = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        let is_own = |node: &[u8]| {
            let id = node.split(|&byte| byte == b';').next().unwrap_or_default();
            id.trim_ascii().eq_ignore_ascii_case(self.0.as_bytes())
        };
        match passed.any(is_own) {
            true => Err(refuse(&code::UPSTREAM_LOOP, "CDN-Loop names this node")),
            false => Ok(()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Writes down that it passed here. What others wrote stays.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        headers.append(CDN_LOOP, self.0.clone());
    }
}

/// What a parent answers; `None` if it is to be asked of the origin.
///
/// Only what a cache may have is asked of it: the rest would take a longer way for nothing.
pub(super) fn ask<'a>(
    parent: &'a Arc<Upstream>,
    request: &Forwarded,
) -> impl Future<Output = Option<Response<Body>>> + use<'a> {
    let may_be_cached = matches!(request.method, Method::GET | Method::HEAD) && request.body.is_empty();
    let copy = || Forwarded { method: request.method.clone(), interim: request.interim.clone(), ..request.bodiless() };
    // Copied at once, so that nothing waits with a loan of the request, whose body only one thread may look at.
    let copy = may_be_cached.then(copy);
    async move { asked(parent, copy?).await }
}

async fn asked(parent: &Arc<Upstream>, copy: Forwarded) -> Option<Response<Body>> {
    match parent.ask_targets(copy).await {
        Ok(response) if !gave_up(response.status()) => Some(response),
        Ok(response) => {
            tracing::debug!(upstream = %parent.name, status = %response.status(), "a parent has no answer");
            None
        }
        Err(failure) => {
            tracing::debug!(upstream = %parent.name, detail = %failure.detail, "a parent can't be asked");
            None
        }
    }
}

/// Whether a parent says that it could not ask, and not what it was told.
fn gave_up(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT | StatusCode::LOOP_DETECTED)
}

#[cfg(test)]
mod tests;
