//! What is known of a version of a blob besides its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Checksum;

/// Names and values, in the order of the names.
pub type Map = BTreeMap<String, String>;

/// One version of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    pub key: String,
    pub version: Version,
    /// It is what the key stands for now.
    pub latest: bool,
    /// It says that the key was deleted, and has no content.
    pub marker: bool,
    pub size: u64,
    /// Without quotes: the MD5 of the content in hexadecimal, or that of the parts' MD5s with
    /// `-` and the number of parts.
    pub etag: String,
    /// Milliseconds since the Unix epoch.
    pub uploaded_ms: u64,
    pub http: HttpMetadata,
    pub custom: Map,
    pub tags: Map,
    pub checksum: Option<Checksum>,
    /// How many parts it was uploaded in, if in parts.
    pub parts: Option<u32>,
}

/// Which version: rises with each write of the bucket, and never comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub number: u64,
    /// Written while versioning was not enabled: S3 calls it `null`, and there is one of a key.
    pub null: bool,
}

impl Version {
    pub fn id(self) -> VersionId {
        if self.null { VersionId::Null } else { VersionId::Number(self.number) }
    }
}

/// How a version is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionId {
    Null,
    Number(u64),
}

impl VersionId {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "null" => Some(Self::Null),
            digits if digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                u64::from_str_radix(digits, 16).ok().map(Self::Number)
            }
            _ => None,
        }
    }

    pub fn is(self, version: Version) -> bool {
        match self {
            Self::Null => version.null,
            Self::Number(number) => version.number == number && !version.null,
        }
    }
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Number(number) => write!(f, "{number:016x}"),
        }
    }
}

/// Fields that a response with the content carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// As it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl HttpMetadata {
    /// The fields that are set, by their names in HTTP.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("content-type", &self.content_type),
            ("content-language", &self.content_language),
            ("content-disposition", &self.content_disposition),
            ("content-encoding", &self.content_encoding),
            ("cache-control", &self.cache_control),
            ("expires", &self.expires),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// The field of a name in HTTP, in lower case.
    pub fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "content-type" => &mut self.content_type,
            "content-language" => &mut self.content_language,
            "content-disposition" => &mut self.content_disposition,
            "content-encoding" => &mut self.content_encoding,
            "cache-control" => &mut self.cache_control,
            "expires" => &mut self.expires,
            _ => return None,
        })
    }
}
