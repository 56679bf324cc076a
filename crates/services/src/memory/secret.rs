use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clock, ResourceName, Secret};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::secret::check_value;
use crate::{AppId, SecretEntry, SecretError, SecretInfo, SecretStore};

type Stored = BTreeMap<(AppId, ResourceName), (SecretInfo, Secret<Bytes>)>;

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
}

impl SecretStore for MemorySecrets {
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
        value: Secret<Bytes>,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        async move {
            check_value(&value)?;
            let mut stored = self.stored();
            let version = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
            let info = SecretInfo { name: name.clone(), version, updated_ms: self.clock.unix_ms() };
            stored.insert((app.clone(), name.clone()), (info, value));
            Ok(version)
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>> {
        async move {
            let stored = self.stored();
            let entry = stored.get(&(app.clone(), name.clone()));
            Ok(entry.map(|(info, value)| SecretEntry { value: value.clone(), version: info.version }))
        }
        .boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>> {
        async move {
            let stored = self.stored();
            let own = stored.iter().filter(|((owner, _), _)| owner == app);
            Ok(own.map(|(_, (info, _))| info.clone()).collect())
        }
        .boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, name: &'a ResourceName) -> BoxFuture<'a, Result<bool, SecretError>> {
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
}
