use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::{Digest, NodeLimits, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::{ArtifactError, ArtifactInfo, ArtifactStore};

/// [`ArtifactStore`] on a map.
pub struct MemoryArtifacts {
    bytes_max: u64,
    stored: Mutex<BTreeMap<(TenantName, Digest), Bytes>>,
}

impl MemoryArtifacts {
    pub fn new(limits: &NodeLimits) -> Self {
        Self { bytes_max: limits.artifact_bytes, stored: Mutex::default() }
    }

    fn stored(&self) -> MutexGuard<'_, BTreeMap<(TenantName, Digest), Bytes>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArtifactStore for MemoryArtifacts {
    fn put<'a>(&'a self, tenant: &'a TenantName, bytes: Bytes) -> BoxFuture<'a, Result<Digest, ArtifactError>> {
        async move {
            let found = bytes.len() as u64;
            if found > self.bytes_max {
                return Err(ArtifactError::TooLarge { bytes: found, bytes_max: self.bytes_max });
            }
            let digest = Digest::of(&bytes);
            self.stored().insert((tenant.clone(), digest), bytes);
            Ok(digest)
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ArtifactError>> {
        async move { Ok(self.stored().get(&(tenant.clone(), *digest)).cloned()) }.boxed()
    }

    fn has<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>> {
        async move { Ok(self.stored().contains_key(&(tenant.clone(), *digest))) }.boxed()
    }

    fn list<'a>(&'a self, tenant: &'a TenantName) -> BoxFuture<'a, Result<Vec<ArtifactInfo>, ArtifactError>> {
        async move {
            let stored = self.stored();
            let own = stored.iter().filter(|((owner, _), _)| owner == tenant);
            Ok(own.map(|((_, digest), bytes)| ArtifactInfo { digest: *digest, size: bytes.len() as u64 }).collect())
        }
        .boxed()
    }

    fn delete<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>> {
        async move { Ok(self.stored().remove(&(tenant.clone(), *digest)).is_some()) }.boxed()
    }
}
