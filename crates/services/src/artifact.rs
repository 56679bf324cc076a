//! Artifacts: immutable bytes under their own digest. What a build made of a worker, and the
//! static assets of a deployment.

use std::path::PathBuf;

use base::{Code, Digest, TenantName, code};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::StoreError;

/// A provider of content-addressed bytes.
///
/// # Promises
///
/// 1. **Durability.** When `put` answers, the bytes survive what the provider's durability says
///    (a local one: power loss).
/// 2. **Integrity.** `get` answers bytes that have the digest asked for, or an error; damage is
///    found when it is read.
/// 3. **Idempotency.** To put the same bytes again is cheap and changes nothing.
/// 4. **Isolation.** Tenants share nothing: equal bytes of two tenants are stored twice, so that
///    nobody learns what another has by how a put behaves.
/// 5. **Deletion** is for a garbage collector that knows what is referenced. It must not run while
///    a deployment is between its first put and the record that refers to it.
pub trait ArtifactStore: Send + Sync {
    /// Stores the bytes and answers their digest. At most `artifact_bytes`.
    fn put<'a>(&'a self, tenant: &'a TenantName, bytes: Bytes) -> BoxFuture<'a, Result<Digest, ArtifactError>>;

    /// The bytes with this digest, if they are stored.
    fn get<'a>(
        &'a self,
        tenant: &'a TenantName,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ArtifactError>>;

    /// Whether bytes with this digest are stored. Does not read them.
    fn has<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>>;

    /// Where the bytes lie as a file on this machine, if they do: for serving a large file without
    /// reading it whole. The content is not verified.
    fn local_file(&self, tenant: &TenantName, digest: &Digest) -> Option<PathBuf> {
        let _ = (tenant, digest);
        None
    }

    /// Everything that a tenant stores, in the order of the digests.
    fn list<'a>(&'a self, tenant: &'a TenantName) -> BoxFuture<'a, Result<Vec<ArtifactInfo>, ArtifactError>>;

    /// Removes the bytes; answers whether they were there.
    fn delete<'a>(&'a self, tenant: &'a TenantName, digest: &'a Digest) -> BoxFuture<'a, Result<bool, ArtifactError>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactInfo {
    pub digest: Digest,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    #[error("the artifact has {bytes} bytes, artifact_bytes allows {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("the stored artifact {0} does not have its digest; deploy it again")]
    Damaged(Digest),
    #[error("the artifact store is not available")]
    Store(#[from] StoreError),
}

impl ArtifactError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            ArtifactError::TooLarge { .. } => &code::BODY_TOO_LARGE,
            ArtifactError::Damaged(_) => &code::STORE_CORRUPT,
            ArtifactError::Store(error) => error.code(),
        }
    }
}
