//! Secrets: small values that code may read and nothing may show. And configuration, which is kept and
//! versioned in the same way, and may be shown to whoever holds the node's token.

use std::fmt;

use base::{Code, ResourceName, Secret, code};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, StoreError};

/// The longest secret: room for a certificate chain with its key.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// Versions of a secret that are kept, the current one included.
pub const SECRET_VERSIONS_KEPT: usize = 10;

/// What a value is to those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    #[default]
    Secret,
    /// Configuration: no secret, and nobody's to leak. It has names of its own.
    Config,
}

/// A secret of an app, or the value that it has in one environment of the manifest. The two are
/// independent: who wants the one for want of the other asks twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretName {
    #[serde(default)]
    pub kind: ValueKind,
    pub name: ResourceName,
    pub env: Option<ResourceName>,
}

impl SecretName {
    /// For every environment that has no value of its own.
    pub fn new(name: ResourceName) -> Self {
        Self { kind: ValueKind::Secret, name, env: None }
    }

    /// The same of a configuration value.
    pub fn config(name: ResourceName) -> Self {
        Self { kind: ValueKind::Config, name, env: None }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ValueKind::Config {
            // No name has a slash, so none of a secret reads like this.
            f.write_str("config/")?;
        }
        match &self.env {
            // No name has this sign, so no two secrets read the same.
            Some(env) => write!(f, "{}@{env}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// A provider of secrets.
///
/// # Promises
///
/// 1. **Durability.** An answered change survives what the provider's durability says.
/// 2. **Sealed at rest.** No byte of a value is on a disk in the clear, and what is on the disk is
///    worthless without a key that lies elsewhere. A sealed value is bound to its app, its name,
///    its environment and its version: moved to another place it does not open.
/// 3. **Silence.** A value appears in no error, no log, no `Debug` output.
/// 4. **Versions** of a name strictly increase, also across deletion. The last
///    [`SECRET_VERSIONS_KEPT`] are kept, and can be brought back; that makes a new version.
/// 5. **Generations.** Each change raises the generation, so that a holder of secrets sees a
///    rotation cheaply.
/// 6. **Overlap.** The version that a rotation replaced is readable as the previous one until the
///    moment that the rotation named, and never after it. There is one previous version at most: the
///    next change ends it, and a change that names no overlap leaves none, so that a value that
///    leaked is gone at once.
/// 7. **Kinds.** A secret and a configuration value of one name are two.
pub trait SecretStore: Send + Sync {
    /// Sets a secret; answers its version. At most [`SECRET_BYTES_MAX`] bytes, and at least one.
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        value: Secret<Bytes>,
        overlap_ms: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>>;

    /// The value of a secret, if it is set.
    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>>;

    /// The names that are set, in their order; never a value.
    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>>;

    /// The versions that are kept, newest first; never a value.
    fn versions<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Vec<SecretVersionInfo>, SecretError>>;

    /// Sets a secret to what a version was that is kept; answers the new version.
    fn roll_back<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        version: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>>;

    /// Unsets a secret and forgets its versions; answers whether it was set.
    fn delete<'a>(&'a self, app: &'a AppId, name: &'a SecretName) -> BoxFuture<'a, Result<bool, SecretError>>;

    /// Rises with each change of any secret. Costs nothing.
    fn generation(&self) -> u64;

    /// The next moment at which some previous version stops being readable, in milliseconds since
    /// the Unix epoch.
    fn overlap_end(&self) -> BoxFuture<'_, Result<Option<u64>, SecretError>>;
}

#[derive(Clone, Debug)]
pub struct SecretEntry {
    pub value: Secret<Bytes>,
    pub version: u64,
    pub previous: Option<PreviousSecret>,
}

/// The version that a rotation replaced, while both are good.
#[derive(Clone, Debug)]
pub struct PreviousSecret {
    pub value: Secret<Bytes>,
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub until_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretInfo {
    pub name: SecretName,
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVersionInfo {
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    pub updated_ms: u64,
    /// Until when it is the previous one, if it is.
    pub previous_until_ms: Option<u64>,
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
    Sealed { app: AppId, name: SecretName },
    #[error("the secret {name} has no version {version}; the last {SECRET_VERSIONS_KEPT} are kept")]
    UnknownVersion { name: SecretName, version: u64 },
    #[error("the secret store is not available")]
    Store(#[from] StoreError),
}

impl SecretError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            SecretError::Empty | SecretError::TooLarge { .. } => &code::BAD_SECRET,
            SecretError::UnknownVersion { .. } => &code::UNKNOWN_VERSION,
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
