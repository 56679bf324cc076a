//! Upstreams as a target of step 6, with the cache in front of them (5, and 8 for what it stores).
//!
//! A request without a cache goes to one of the upstream's servers and its answer comes back, both as
//! streams. With one, [`cached`] asks the policy (`cache::reuse`) what the store has; what it has not is
//! fetched once for all who ask at the time ([`filling`]).

mod alone;
mod binding;
mod cached;
mod care;
mod counts;
mod fetch;
mod filling;
mod forwarded;
mod gap;
mod heard;
mod part;
mod passing;
mod press;
mod probe;
mod rest;
mod rule;
mod settings;
mod sift;
mod spool;
#[cfg(test)]
mod tests;
mod tier;
mod upstream;

use std::sync::Arc;

use base::Body;
use http::Response;
use net::Request;
use worker::Failure;

use crate::upgrade::Asked;

pub use self::upstream::{Upstream, UpstreamParts, UpstreamView};
pub use cached::ProxyCache;
pub(crate) use cached::{Behind, Caching, answer, bypassed, with_host};
pub use care::CacheCare;
pub use counts::{Counts, Totals};
pub(crate) use forwarded::{Came, Forwarded, forget};
use forwarded::{add_via, forwarded};
pub(crate) use heard::{Heard, SharedHeard};
pub(crate) use rule::Rule;
pub(crate) use sift::{sift, without_shadows};
pub use tier::NodeName;

/// How this node names itself in `Via`, and in `Cache-Status`.
const NAME: &str = "selvedge";

/// Without a cache: there and back.
pub(crate) async fn pass(
    upstream: &Arc<Upstream>,
    request: Request,
    heard: &Arc<SharedHeard>,
) -> Result<Response<Body>, Failure> {
    let upgrade = request.upgrade;
    let mut request = forwarded(request, heard.clone());
    if upgrade {
        Asked::tell(true, &mut request.headers);
        return upstream.upgrade(request).await;
    }
    upstream.ask(request).await
}
