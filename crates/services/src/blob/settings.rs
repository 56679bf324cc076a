//! What can be set for a bucket, and what the lifecycle says of a blob.

use base::ResourceName;
use serde::{Deserialize, Serialize};

use super::{BlobInfo, Map};

const DAY_MS: u64 = 86_400_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Versioning {
    /// Never enabled.
    #[default]
    Off,
    Enabled,
    /// Versions that are there stay; what is written replaces the null version.
    Suspended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketInfo {
    pub name: ResourceName,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    pub settings: Settings,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub versioning: Versioning,
    pub lifecycle: Vec<LifecycleRule>,
    pub cors: Vec<CorsRule>,
    pub tags: Map,
}

/// One setting, replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketChange {
    Versioning(Versioning),
    Lifecycle(Vec<LifecycleRule>),
    Cors(Vec<CorsRule>),
    Tags(Map),
}

impl Settings {
    pub fn apply(&mut self, change: BucketChange) {
        match change {
            BucketChange::Versioning(versioning) => self.versioning = versioning,
            BucketChange::Lifecycle(rules) => self.lifecycle = rules,
            BucketChange::Cors(rules) => self.cors = rules,
            BucketChange::Tags(tags) => self.tags = tags,
        }
    }

    /// Whether the lifecycle wants this current version gone by now. As S3 has it, a rule's days
    /// end at the midnight (UTC) that follows them.
    pub fn expires(&self, info: &BlobInfo, now_ms: u64) -> bool {
        !info.marker
            && self.lifecycle.iter().any(|rule| {
                rule.is_about(&info.key, &info.tags, info.size)
                    && match rule.expiry {
                        Some(Expiry::Days(days)) => due_ms(info.uploaded_ms, days) <= now_ms,
                        Some(Expiry::DateMs(at)) => at <= now_ms,
                        None => false,
                    }
            })
    }

    /// The same for a version that was replaced at a moment.
    pub fn expires_noncurrent(&self, info: &BlobInfo, replaced_ms: u64, now_ms: u64) -> bool {
        self.lifecycle.iter().any(|rule| {
            rule.is_about(&info.key, &info.tags, info.size)
                && rule.noncurrent_days.is_some_and(|days| due_ms(replaced_ms, days) <= now_ms)
        })
    }

    /// The same for a delete marker behind which there is nothing.
    pub fn expires_lone_marker(&self, info: &BlobInfo) -> bool {
        self.lifecycle.iter().any(|rule| rule.lone_markers && rule.is_about(&info.key, &info.tags, 0))
    }

    /// The same for an upload that was begun at a moment.
    pub fn expires_upload(&self, key: &str, started_ms: u64, now_ms: u64) -> bool {
        self.lifecycle.iter().any(|rule| {
            rule.enabled
                && key.starts_with(&rule.prefix)
                && rule.abort_days.is_some_and(|days| due_ms(started_ms, days) <= now_ms)
        })
    }
}

fn due_ms(from_ms: u64, days: u32) -> u64 {
    let after = from_ms.saturating_add(u64::from(days) * DAY_MS);
    after.div_ceil(DAY_MS) * DAY_MS
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    Days(u32),
    DateMs(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleRule {
    pub id: String,
    pub enabled: bool,
    pub prefix: String,
    /// All of these.
    pub tags: Map,
    pub larger_than: Option<u64>,
    pub smaller_than: Option<u64>,
    pub expiry: Option<Expiry>,
    /// Delete markers behind which there is nothing go.
    pub lone_markers: bool,
    /// Days after a version was replaced.
    pub noncurrent_days: Option<u32>,
    /// Days after an upload was begun.
    pub abort_days: Option<u32>,
}

impl LifecycleRule {
    pub fn expire_days(&self) -> Option<u32> {
        match self.expiry {
            Some(Expiry::Days(days)) => Some(days),
            _ => None,
        }
    }

    fn is_about(&self, key: &str, tags: &Map, size: u64) -> bool {
        self.enabled
            && key.starts_with(&self.prefix)
            && self.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
            && self.larger_than.is_none_or(|bytes| size > bytes)
            && self.smaller_than.is_none_or(|bytes| size < bytes)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    pub id: String,
    /// Origins; one `*` in each may stand for anything.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    /// Names of fields in lower case; one `*` in each may stand for anything.
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub max_age_s: Option<u32>,
}

impl CorsRule {
    /// Whether the rule lets a page of this origin use this method with these fields.
    pub fn allows<'a>(&self, origin: &str, method: &str, mut headers: impl Iterator<Item = &'a str>) -> bool {
        self.methods.iter().any(|allowed| allowed == method)
            && self.origins.iter().any(|pattern| fits(pattern, origin))
            && headers.all(|name| self.headers.iter().any(|pattern| fits(pattern, &name.to_ascii_lowercase())))
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}
