//! Upstreams as a target of step 6, with the cache in front of them (5, and 8 for what it stores).
//!
//! A request without a cache goes to one of the upstream's servers and its answer comes back, both as
//! streams. With one, [`cached`] asks the policy (`cache::reuse`) what the store has; what it has not is
//! fetched once for all who ask at the time ([`filling`]).
//!
//! To a server, a request says who sent it (`Forwarded`, RFC 7239, and the fields that came before it)
//! and that it passed here (`Via`). What the client says of the kind is passed on no further: nothing
//! stands in front of this node that would be believed.

mod cached;
mod filling;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Body, SocketOptions, WorkerLimits, code};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use manifest::UpstreamPlan;
use net::Request;
use services::egress::EgressPolicy;
use url::Url;
use worker::{Failure, Fetcher, Outbound};

use crate::respond::refuse;
use crate::upgrade::Asked;

pub use cached::ProxyCache;
pub(crate) use cached::{Behind, Caching, answer};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How this node names itself in `Via`, and in `Cache-Status`.
const NAME: &str = "selvedge";

/// The servers behind a route, which take turns.
pub struct Upstream {
    targets: Vec<Url>,
    policy: Arc<EgressPolicy>,
    fetcher: Arc<dyn Fetcher>,
    turn: AtomicUsize,
}

/// A request on its way to an upstream.
pub(crate) struct Forwarded {
    pub method: Method,
    pub path_and_query: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Body,
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
    pub(crate) async fn ask(&self, mut request: Forwarded) -> Result<Response<Body>, Failure> {
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
    async fn upgrade(&self, request: Forwarded) -> Result<Response<Body>, Failure> {
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

/// The request as a server gets it.
fn forwarded(request: Request) -> Forwarded {
    let scheme = request.scheme();
    let mut headers = request.headers;
    net::strip_hop_by_hop(&mut headers);
    let client = request.peer.ip();
    let host = request.authority.clone();
    for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, header::FORWARDED] {
        headers.remove(name);
    }
    let node = match client {
        IpAddr::V4(address) => format!("for={address}"),
        // RFC 7239, section 6: an address of version 6 stands in brackets and quotes.
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    let told = host.to_str().unwrap_or_default();
    let pairs = [
        (header::FORWARDED, format!("{node};host=\"{told}\";proto={scheme}")),
        (X_FORWARDED_FOR, client.to_string()),
        (X_FORWARDED_HOST, told.to_owned()),
        (X_FORWARDED_PROTO, scheme.to_owned()),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    add_via(&mut headers, request.protocol.as_str());
    Forwarded { method: request.method, path_and_query: request.path_and_query, headers, body: request.body }
}

/// RFC 9110, section 7.6.3.
fn add_via(headers: &mut HeaderMap, protocol: &str) {
    let version = protocol.strip_prefix("HTTP/").unwrap_or(protocol);
    if let Ok(value) = HeaderValue::try_from(format!("{version} {NAME}")) {
        headers.append(header::VIA, value);
    }
}

/// Without a cache: there and back.
async fn pass(upstream: &Upstream, request: Request) -> Result<Response<Body>, Failure> {
    let upgrade = request.upgrade;
    let mut request = forwarded(request);
    if upgrade {
        Asked::tell(true, &mut request.headers);
        return upstream.upgrade(request).await;
    }
    upstream.ask(request).await
}
