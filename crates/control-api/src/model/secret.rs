//! Secrets: names, versions, never a value.

use base::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretEntry {
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
}

/// A secret that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretVersion {
    pub version: u64,
}

/// How a secret is set. Over HTTP these are query parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecretPutOptions {
    /// How long the version before stays readable, as `previous`.
    pub overlap_s: u64,
}

/// One version that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretVersionEntry {
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
    /// Whether it is the one that workers read.
    pub current: bool,
    /// Until when workers may read it as the previous one, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until_ms: Option<u64>,
}

/// Which version to bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRollback {
    pub version: u64,
}
