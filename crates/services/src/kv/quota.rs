//! What an app stores, and how much it may.

use base::ResourceName;
use serde::{Deserialize, Serialize};

use super::{KvError, KvLimits};

/// Entries that are stored, the expired ones included whose space is not reclaimed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvUsage {
    pub keys: u64,
    /// Of keys, values and metadata.
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceUsage {
    pub namespace: ResourceName,
    pub usage: KvUsage,
}

impl KvUsage {
    /// After an entry of `old` became one of `new`.
    pub fn replace(self, old: Option<KvUsage>, new: Option<KvUsage>) -> Self {
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        // What is counted was added before, so nothing goes below zero unless a count was damaged.
        Self {
            keys: (self.keys + new.keys).saturating_sub(old.keys),
            bytes: (self.bytes + new.bytes).saturating_sub(old.bytes),
        }
    }

    /// One entry.
    pub fn entry(key_bytes: usize, metadata_bytes: usize, value_bytes: u64) -> Self {
        Self { keys: 1, bytes: (key_bytes + metadata_bytes) as u64 + value_bytes }
    }
}

impl KvLimits {
    /// Refuses growth beyond a quota. What shrinks is always welcome, for else nobody could make
    /// room.
    pub fn check_quota(&self, namespace: (KvUsage, KvUsage), app: (KvUsage, KvUsage)) -> Result<(), KvError> {
        let quotas = [
            ("kv_namespace_keys", namespace.0.keys, namespace.1.keys, self.namespace_keys),
            ("kv_namespace_bytes", namespace.0.bytes, namespace.1.bytes, self.namespace_bytes),
            ("kv_app_keys", app.0.keys, app.1.keys, self.app_keys),
            ("kv_app_bytes", app.0.bytes, app.1.bytes, self.app_bytes),
        ];
        match quotas.into_iter().find(|&(_, before, after, max)| after > max && after > before) {
            Some((name, _, found, max)) => Err(KvError::Quota { name, found, max }),
            None => Ok(()),
        }
    }
}
