//! Secrets: small values that code may read and nothing may show.

use base::{Code, ResourceName, Secret, code};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, StoreError};

/// The longest secret: room for a certificate chain with its key.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// A provider of secrets.
///
/// # Promises
///
/// 1. **Durability.** An answered change survives what the provider's durability says.
/// 2. **Sealed at rest.** No byte of a value is on a disk in the clear, and what is on the disk is
///    worthless without a key that lies elsewhere. A sealed value is bound to its app, its name
///    and its version: moved to another place it does not open.
/// 3. **Silence.** A value appears in no error, no log, no `Debug` output.
/// 4. **Versions** of a name strictly increase, also across deletion.
/// 5. **Generations.** Each change raises the generation, so that a holder of secrets sees a
///    rotation cheaply.
pub trait SecretStore: Send + Sync {
    /// Sets a secret; answers its version. At most [`SECRET_BYTES_MAX`] bytes, and at least one.
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
        value: Secret<Bytes>,
    ) -> BoxFuture<'a, Result<u64, SecretError>>;

    /// The value of a secret, if it is set.
    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>>;

    /// The names that are set, in their order; never a value.
    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>>;

    /// Unsets a secret; answers whether it was set.
    fn delete<'a>(&'a self, app: &'a AppId, name: &'a ResourceName) -> BoxFuture<'a, Result<bool, SecretError>>;

    /// Rises with each change of any secret. Costs nothing.
    fn generation(&self) -> u64;
}

#[derive(Clone, Debug)]
pub struct SecretEntry {
    pub value: Secret<Bytes>,
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    pub name: ResourceName,
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the secret is empty")]
    Empty,
    #[error("the secret has {bytes} bytes, at most {SECRET_BYTES_MAX} are allowed")]
    TooLarge { bytes: usize },
    #[error(
        "the secret {name} of {app} does not open with this node key; set it again, or start the node with the key it was sealed with"
    )]
    Sealed { app: AppId, name: ResourceName },
    #[error("the secret store is not available")]
    Store(#[from] StoreError),
}

impl SecretError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            SecretError::Empty | SecretError::TooLarge { .. } => &code::BAD_SECRET,
            SecretError::Sealed { .. } => &code::SECRET_SEALED,
            SecretError::Store(error) => error.code(),
        }
    }
}

/// The check that every provider makes.
pub fn check_value(value: &Secret<Bytes>) -> Result<(), SecretError> {
    match value.expose().len() {
        0 => Err(SecretError::Empty),
        bytes if bytes > SECRET_BYTES_MAX => Err(SecretError::TooLarge { bytes }),
        _ => Ok(()),
    }
}
