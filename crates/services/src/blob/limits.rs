//! The limits on blobs, and the checks that every provider makes, in one place, so that no two
//! differ.

use base::NodeLimits;

use super::{BlobError, DeleteKey, HttpMetadata, LifecycleRule, Map, PutOptions, Settings};

/// By the names that `selvedge limits` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobLimits {
    pub blob_key_bytes: usize,
    pub blob_put_bytes: u64,
    pub blob_bytes: u64,
    pub blob_app_bytes: u64,
    pub blob_metadata_bytes: usize,
    pub blob_tags: usize,
    pub blob_list_keys: usize,
    pub blob_delete_keys: usize,
    pub blob_buckets: usize,
    pub blob_uploads: usize,
    pub blob_parts: u32,
    pub blob_part_bytes_min: u64,
    pub blob_rules: usize,
}

/// A tag's name and value (S3's own figures).
const TAG_NAME_CHARS: usize = 128;
const TAG_VALUE_CHARS: usize = 256;

impl Default for BlobLimits {
    fn default() -> Self {
        Self::from(&NodeLimits::default())
    }
}

impl From<&NodeLimits> for BlobLimits {
    fn from(node: &NodeLimits) -> Self {
        Self {
            blob_key_bytes: node.blob_key_bytes as usize,
            blob_put_bytes: node.blob_put_bytes,
            blob_bytes: node.blob_bytes,
            blob_app_bytes: node.blob_app_bytes,
            blob_metadata_bytes: node.blob_metadata_bytes as usize,
            blob_tags: node.blob_tags as usize,
            blob_list_keys: node.blob_list_keys as usize,
            blob_delete_keys: node.blob_delete_keys as usize,
            blob_buckets: node.blob_buckets as usize,
            blob_uploads: node.blob_uploads as usize,
            blob_parts: node.blob_parts as u32,
            blob_part_bytes_min: node.blob_part_bytes_min,
            blob_rules: node.blob_rules as usize,
        }
    }
}

impl BlobLimits {
    /// A key has 1 to `blob_key_bytes` bytes; any of Unicode, NUL and dots included.
    pub fn check_key(&self, key: &str) -> Result<(), BlobError> {
        match key.len() {
            0 => Err(BlobError::KeyEmpty),
            bytes if bytes > self.blob_key_bytes => {
                Err(BlobError::KeyTooLong { bytes, bytes_max: self.blob_key_bytes })
            }
            _ => Ok(()),
        }
    }

    pub fn check_put(&self, key: &str, options: &PutOptions) -> Result<(), BlobError> {
        self.check_key(key)?;
        self.check_metadata(&options.http, &options.custom)?;
        self.check_tags(&options.tags)
    }

    /// Metadata goes out as fields of a response, so it must be able to.
    pub fn check_metadata(&self, http: &HttpMetadata, custom: &Map) -> Result<(), BlobError> {
        let bytes = custom.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + http.fields().map(|(_, value)| value.len()).sum::<usize>();
        if bytes > self.blob_metadata_bytes {
            return Err(BlobError::MetadataTooLarge { bytes, bytes_max: self.blob_metadata_bytes });
        }
        let is_text = |value: &str| value.chars().all(|c| c == '\t' || !c.is_control());
        if let Some((name, _)) = http.fields().find(|(_, value)| !is_text(value)) {
            return Err(BlobError::BadMetadata(format!("{name} has control characters")));
        }
        for (name, value) in custom {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(BlobError::BadMetadata(format!("{name:?} is no name of a field")));
            }
            if !is_text(value) {
                return Err(BlobError::BadMetadata(format!("{name} has control characters")));
            }
        }
        Ok(())
    }

    pub fn check_tags(&self, tags: &Map) -> Result<(), BlobError> {
        if tags.len() > self.blob_tags {
            return Err(BlobError::BadTags(format!("{} tags, blob_tags allows {}", tags.len(), self.blob_tags)));
        }
        for (name, value) in tags {
            if name.is_empty() || name.chars().count() > TAG_NAME_CHARS {
                return Err(BlobError::BadTags(format!("a name has 1 to {TAG_NAME_CHARS} characters")));
            }
            if value.chars().count() > TAG_VALUE_CHARS {
                return Err(BlobError::BadTags(format!("a value has at most {TAG_VALUE_CHARS} characters")));
            }
        }
        Ok(())
    }

    pub fn check_settings(&self, settings: &Settings) -> Result<(), BlobError> {
        let most = self.blob_rules;
        if settings.lifecycle.len() > most || settings.cors.len() > most {
            return Err(BlobError::BadSettings(format!("more than {most} rules (blob_rules)")));
        }
        if let Some(rule) = settings.lifecycle.iter().find(|rule| !rule_does_something(rule)) {
            return Err(BlobError::BadSettings(format!("the lifecycle rule {:?} does nothing", rule.id)));
        }
        let zero = |rule: &LifecycleRule| {
            [rule.expire_days(), rule.noncurrent_days, rule.abort_days].into_iter().flatten().any(|days| days == 0)
        };
        if let Some(rule) = settings.lifecycle.iter().find(|rule| zero(rule)) {
            return Err(BlobError::BadSettings(format!("the lifecycle rule {:?} has 0 days", rule.id)));
        }
        if settings.cors.iter().any(|rule| rule.origins.is_empty() || rule.methods.is_empty()) {
            return Err(BlobError::BadSettings("a CORS rule names origins and methods".into()));
        }
        Ok(())
    }

    pub fn check_part(&self, number: u32) -> Result<(), BlobError> {
        match (1..=self.blob_parts).contains(&number) {
            true => Ok(()),
            false => Err(BlobError::PartNumber { parts_max: self.blob_parts }),
        }
    }

    pub fn check_delete(&self, keys: &[DeleteKey]) -> Result<(), BlobError> {
        let keys_max = self.blob_delete_keys;
        if keys.len() > keys_max { Err(BlobError::TooManyKeys { keys: keys.len(), keys_max }) } else { Ok(()) }
    }

    /// How many keys a page has.
    pub fn page(&self, limit: Option<usize>) -> usize {
        limit.unwrap_or(self.blob_list_keys).min(self.blob_list_keys)
    }
}

fn rule_does_something(rule: &LifecycleRule) -> bool {
    rule.expiry.is_some() || rule.noncurrent_days.is_some() || rule.abort_days.is_some() || rule.lone_markers
}
