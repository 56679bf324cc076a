//! Upstreams, as a node sees them.

use base::{AppName, ResourceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An upstream of a released app, on this node, since its deployment was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamEntry {
    #[schemars(with = "String")]
    pub app: AppName,
    #[schemars(with = "String")]
    pub upstream: ResourceName,
    /// Nothing is sent, for too much failed.
    pub breaker_open: bool,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that wait for room.
    pub waiting: u64,
    /// How many may be under way, where that is learnt; else 0.
    pub adaptive_limit: u64,
    /// Requests that went out again.
    pub retries: u64,
    /// Requests that were refused.
    pub refused: u64,
    pub targets: Vec<TargetEntry>,
}

/// One target of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetEntry {
    /// As the manifest names it.
    pub target: String,
    /// `healthy`, `ejected`, `half-open`, `warming` or `down`.
    pub state: String,
    pub weight: u64,
    pub in_flight: u64,
    pub requests: u64,
    pub failures: u64,
    pub ejections: u64,
    /// Up to the head of a response: a mean that follows slow answers at once, in microseconds.
    pub latency_us: u64,
}
