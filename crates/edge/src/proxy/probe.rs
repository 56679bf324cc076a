//! Health checks: a request to each target, again and again, as long as the upstream is there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use base::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use manifest::HealthPlan;

use super::NAME;
use super::upstream::Upstream;

/// Of the answer's body so much is read, so that its connection can be used again.
const BODY_BYTES_MAX: usize = 64 << 10;

pub(super) fn watch(upstream: &Arc<Upstream>, health: &HealthPlan) {
    let Ok(path) = PathAndQuery::try_from(health.path.as_str()) else {
        tracing::warn!(upstream = %upstream.name, "its health checks have no path");
        return;
    };
    for at in 0..upstream.peers.len() {
        let checks =
            Checks { upstream: Arc::downgrade(upstream), at, path: path.clone(), status: health.status.clone() };
        tokio::spawn(checks.run());
    }
}

struct Checks {
    upstream: Weak<Upstream>,
    at: usize,
    path: PathAndQuery,
    status: Vec<u16>,
}

impl Checks {
    async fn run(self) {
        while let Some(upstream) = self.upstream.upgrade() {
            let limit = Duration::from_millis(upstream.limits.check_ms);
            let ok = tokio::time::timeout(limit, self.is_well(&upstream)).await.unwrap_or(false);
            upstream.checked(self.at, ok);
            let pause = jittered(upstream.limits.check_interval_ms, upstream.rng.next_u64());
            drop(upstream);
            tokio::time::sleep(pause).await;
        }
    }

    async fn is_well(&self, upstream: &Upstream) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(NAME));
        let asked = upstream.peers[self.at].exchange(Method::GET, self.path.clone(), headers, Body::empty()).await;
        let Ok(response) = asked else { return false };
        let status = response.status();
        let known = if self.status.is_empty() { status.is_success() } else { self.status.contains(&status.as_u16()) };
        // A body that breaks off, or has no end, is none of a server that is well.
        response.into_body().collect(BODY_BYTES_MAX).await.is_ok() && known
    }
}

/// Give or take a tenth, so that nodes do not ask in step.
fn jittered(interval_ms: u64, random: u64) -> Duration {
    let tenth = interval_ms / 10;
    Duration::from_millis(interval_ms - tenth + random % (2 * tenth + 1))
}
