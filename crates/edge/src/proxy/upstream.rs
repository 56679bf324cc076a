//! The servers behind a route: which of them gets a request, and what follows if it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Body, SocketOptions, WorkerLimits, code};
use http::Response;
use http::uri::PathAndQuery;
use manifest::UpstreamPlan;
use services::egress::EgressPolicy;
use url::Url;
use worker::{Failure, Fetcher, Outbound};

use super::forwarded::Forwarded;
use crate::respond::refuse;

/// The servers behind a route, which take turns.
pub struct Upstream {
    targets: Vec<Url>,
    policy: Arc<EgressPolicy>,
    fetcher: Arc<dyn Fetcher>,
    turn: AtomicUsize,
}

impl Upstream {
    /// `policy` lets the targets through, and nothing of the node itself.
    pub fn new(plan: &UpstreamPlan, policy: Arc<EgressPolicy>, fetcher: Arc<dyn Fetcher>) -> Arc<Self> {
        let parse = |target: &manifest::EgressRule| Url::parse(&target.to_string()).expect("a plan's target is a URL");
        let targets: Vec<Url> = plan.targets.iter().map(parse).collect();
        assert!(!targets.is_empty(), "a plan gives every upstream a target");
        Arc::new(Self { targets, policy, fetcher, turn: AtomicUsize::new(0) })
    }

    /// Sends a request and answers with the head of the response. A server that can't be reached is
    /// passed over, if nothing of the body is lost with it.
    pub(super) async fn ask(&self, mut request: Forwarded) -> Result<Response<Body>, Failure> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = None;
        for at in 0..self.targets.len() {
            let target = &self.targets[(first.wrapping_add(at)) % self.targets.len()];
            let whole = request.body.take_whole();
            let body = match &whole {
                Some(bytes) => Body::full(bytes.clone()),
                None => std::mem::replace(&mut request.body, Body::empty()),
            };
            let url = self.url(target, &request.path_and_query)?;
            let (method, headers) = (request.method.clone(), request.headers.clone());
            let outbound = Outbound { method, url, headers, body };
            match self.fetcher.fetch(self.policy.clone(), outbound).await {
                Err(failure) if is_unreached(&failure) && whole.is_some() => {
                    request.body = whole.map_or_else(Body::empty, Body::full);
                    last = Some(failure);
                }
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| refuse(&code::UPSTREAM_UNREACHABLE, "the upstream has no server")))
    }

    /// Opens a WebSocket and passes its end on.
    pub(super) async fn upgrade(&self, request: Forwarded) -> Result<Response<Body>, Failure> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let url = self.url(&self.targets[turn % self.targets.len()], &request.path_and_query)?;
        let outbound = Outbound { method: request.method, url, headers: request.headers, body: Body::empty() };
        self.fetcher.upgrade(self.policy.clone(), outbound, SocketOptions::from(&WorkerLimits::default())).await
    }

    fn url(&self, target: &Url, path_and_query: &PathAndQuery) -> Result<Url, Failure> {
        let text = format!("{}{path_and_query}", target.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|error| refuse(&code::BAD_REQUEST, format!("{text}: {error}")))
    }
}

/// Whether a server did not get the request.
fn is_unreached(failure: &Failure) -> bool {
    failure.code.name == code::UPSTREAM_UNREACHABLE.name
}
