//! Mirrors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the copies of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MirrorEntry {
    /// The pattern of the route.
    pub route: String,
    /// The same status and the same body.
    pub same: u64,
    pub other_status: u64,
    pub other_body: u64,
    /// The shadow gave no whole answer in time.
    pub failed: u64,
    /// No copy was sent, or the real answer broke off.
    pub skipped: u64,
}
