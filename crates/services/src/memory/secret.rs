use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clock, Secret};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::secret::{SECRET_VERSIONS_KEPT, check_value};
use crate::{AppId, PreviousSecret, SecretEntry, SecretError, SecretInfo, SecretName, SecretStore, SecretVersionInfo};

/// The versions of each secret, oldest first and never none.
type Stored = BTreeMap<(AppId, SecretName), Vec<Version>>;

#[derive(Clone)]
struct Version {
    info: SecretVersionInfo,
    value: Secret<Bytes>,
}

/// [`SecretStore`] on a map. It seals nothing, for nothing reaches a disk.
pub struct MemorySecrets {
    clock: Arc<dyn Clock>,
    stored: Mutex<Stored>,
    /// The generation, and the source of versions.
    generation: AtomicU64,
}

impl MemorySecrets {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, stored: Mutex::default(), generation: AtomicU64::new(0) }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, versions: &mut Vec<Version>, value: Secret<Bytes>, overlap_ms: u64) -> u64 {
        let (now_ms, version) = (self.clock.unix_ms(), self.generation.fetch_add(1, Ordering::SeqCst) + 1);
        versions.iter_mut().for_each(|old| old.info.previous_until_ms = None);
        if let Some(last) = versions.last_mut().filter(|_| overlap_ms > 0) {
            last.info.previous_until_ms = Some(now_ms.saturating_add(overlap_ms));
        }
        versions
            .push(Version { info: SecretVersionInfo { version, updated_ms: now_ms, previous_until_ms: None }, value });
        let surplus = versions.len().saturating_sub(SECRET_VERSIONS_KEPT);
        versions.drain(..surplus);
        version
    }

    fn current(&self, versions: &[Version]) -> Option<SecretEntry> {
        let now_ms = self.clock.unix_ms();
        let (last, older) = versions.split_last()?;
        let previous = older.iter().rev().find_map(|old| {
            let until_ms = old.info.previous_until_ms.filter(|&until| until > now_ms)?;
            Some(PreviousSecret { value: old.value.clone(), version: old.info.version, until_ms })
        });
        Some(SecretEntry { value: last.value.clone(), version: last.info.version, previous })
    }
}

impl SecretStore for MemorySecrets {
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        value: Secret<Bytes>,
        overlap_ms: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        async move {
            check_value(&value)?;
            let mut stored = self.stored();
            let versions = stored.entry((app.clone(), name.clone())).or_default();
            Ok(self.set(versions, value, overlap_ms))
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>> {
        async move {
            let stored = self.stored();
            Ok(stored.get(&(app.clone(), name.clone())).and_then(|versions| self.current(versions)))
        }
        .boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>> {
        async move {
            let stored = self.stored();
            let own = stored.iter().filter(|((owner, _), _)| owner == app);
            let info = |((_, name), versions): (&(AppId, SecretName), &Vec<Version>)| {
                let last = &versions.last()?.info;
                Some(SecretInfo { name: name.clone(), version: last.version, updated_ms: last.updated_ms })
            };
            Ok(own.filter_map(info).collect())
        }
        .boxed()
    }

    fn versions<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Vec<SecretVersionInfo>, SecretError>> {
        async move {
            let (stored, now_ms) = (self.stored(), self.clock.unix_ms());
            let versions = stored.get(&(app.clone(), name.clone())).into_iter().flatten().rev();
            let info = |version: &Version| {
                let previous_until_ms = version.info.previous_until_ms.filter(|&until| until > now_ms);
                SecretVersionInfo { previous_until_ms, ..version.info.clone() }
            };
            Ok(versions.map(info).collect())
        }
        .boxed()
    }

    fn roll_back<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        version: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        async move {
            let unknown = || SecretError::UnknownVersion { name: name.clone(), version };
            let mut stored = self.stored();
            let versions = stored.get_mut(&(app.clone(), name.clone())).ok_or_else(unknown)?;
            let kept = versions.iter().find(|kept| kept.info.version == version).ok_or_else(unknown)?;
            let value = kept.value.clone();
            Ok(self.set(versions, value, 0))
        }
        .boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, name: &'a SecretName) -> BoxFuture<'a, Result<bool, SecretError>> {
        async move {
            let removed = self.stored().remove(&(app.clone(), name.clone())).is_some();
            if removed {
                self.generation.fetch_add(1, Ordering::SeqCst);
            }
            Ok(removed)
        }
        .boxed()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn overlap_end(&self) -> BoxFuture<'_, Result<Option<u64>, SecretError>> {
        async move {
            let (stored, now_ms) = (self.stored(), self.clock.unix_ms());
            let ends = stored.values().flatten().filter_map(|version| version.info.previous_until_ms);
            Ok(ends.filter(|&end| end > now_ms).min())
        }
        .boxed()
    }
}
