//! Buckets and access keys.

use base::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlobEntry {
    pub key: String,
    pub size: u64,
    pub etag: String,
    /// Milliseconds since the Unix epoch.
    pub uploaded_ms: u64,
    pub content_type: Option<String>,
    /// Sixteen hexadecimal digits, or `null` where versioning is off.
    pub version: String,
}

/// One page of blobs, in the order of the bytes of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlobPage {
    pub blobs: Vec<BlobEntry>,
    /// Asks for the next page; absent if this is the last.
    pub cursor: Option<String>,
}

/// A key that has no blob any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlobDeleted {
    /// Whether there was one.
    pub existed: bool,
}

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubResult {
    pub blobs: u64,
    pub bytes: u64,
    pub damaged: Vec<DamagedBlob>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DamagedBlob {
    pub key: String,
    pub version: String,
    pub what: String,
}

/// What an access key is to open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyRequest {
    /// These buckets only; every bucket of the app if there is none.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub buckets: Vec<ResourceName>,
    pub read: bool,
    pub write: bool,
    pub list: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessKeyEntry {
    pub id: String,
    #[schemars(with = "Vec<String>")]
    pub buckets: Vec<ResourceName>,
    pub read: bool,
    pub write: bool,
    pub list: bool,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// An access key with its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessKeyMade {
    pub key: AccessKeyEntry,
    pub secret: String,
}
