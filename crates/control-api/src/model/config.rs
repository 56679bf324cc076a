//! Configuration: values of an app that are no secret, and change without a deployment.

use base::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value, as workers read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigEntry {
    #[schemars(with = "String")]
    pub name: ResourceName,
    /// The environment of the manifest that it is for; absent for every one that has no value of
    /// its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub env: Option<ResourceName>,
    /// Rises each time it is set.
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
    pub value: String,
}

/// A value that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigVersion {
    pub version: u64,
}

/// One version that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigVersionEntry {
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
    /// Whether it is the one that workers read.
    pub current: bool,
}

/// Which version to bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigRollback {
    pub version: u64,
}
