//! What an app stores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an app stores in each service, and how much it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppUsage {
    pub kv: Used,
    pub sql: Used,
    pub blobs: Used,
    pub objects: Used,
}

/// Bytes of one service. Those of files on the disk are about right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    pub bytes: u64,
    /// The quota.
    pub bytes_max: u64,
}
