//! Access keys: who may use an app's buckets with the S3 protocol, and how far.

use base::{Code, ResourceName, Secret, code};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, StoreError};

/// A key and its secret.
pub type AccessKeyPair = (AccessKey, Secret<String>);

/// A provider of access keys, for all apps.
///
/// # Promises
///
/// 1. **Durability.** A key that was answered survives power loss; one that was deleted opens
///    nothing from then on.
/// 2. **Secrecy.** At rest a secret is sealed. It is answered when the key is made, and to
///    [`find`](AccessKeyStore::find), which checks signatures with it; lists have none.
/// 3. **Scope.** A key belongs to one app, and its id to no other key, ever.
/// 4. **Cancellation.** Dropping the future of a change leaves it done or not done.
pub trait AccessKeyStore: Send + Sync {
    /// Makes a key.
    fn create<'a>(&'a self, app: &'a AppId, grant: Grant) -> BoxFuture<'a, Result<AccessKeyPair, AccessKeyError>>;

    /// The key with this id and its secret, whichever app it belongs to.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<AccessKeyPair>, AccessKeyError>>;

    /// The keys of an app, oldest first.
    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<AccessKey>, AccessKeyError>>;

    /// Deletes a key; answers whether it was there.
    fn delete<'a>(&'a self, app: &'a AppId, id: &'a str) -> BoxFuture<'a, Result<bool, AccessKeyError>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Twenty letters and digits.
    pub id: String,
    pub app: AppId,
    pub grant: Grant,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// What a key opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// These buckets only; every bucket of the app if there is none.
    pub buckets: Vec<ResourceName>,
    pub read: bool,
    pub write: bool,
    pub list: bool,
}

/// What a request does to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    List,
    /// Creates, deletes or sets up the bucket itself.
    Manage,
}

impl Grant {
    pub fn all() -> Self {
        Self { buckets: Vec::new(), read: true, write: true, list: true }
    }

    /// Whether it opens a bucket for this. To manage one takes both reading and writing.
    pub fn allows(&self, bucket: &ResourceName, access: Access) -> bool {
        let here = self.buckets.is_empty() || self.buckets.contains(bucket);
        here && match access {
            Access::Read => self.read,
            Access::Write => self.write,
            Access::List => self.list,
            Access::Manage => self.read && self.write && self.list,
        }
    }
}

/// Letters and digits that are not taken for each other.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const ID_RANDOM_BYTES: usize = 16;
pub const SECRET_RANDOM_BYTES: usize = 40;

/// An id from random bytes: `SELV` and sixteen letters and digits.
pub fn id_of(random: [u8; ID_RANDOM_BYTES]) -> String {
    let mut id = String::from("SELV");
    id.extend(random.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte & 31)])));
    id
}

/// A secret from random bytes: forty letters and digits.
pub fn secret_of(random: [u8; SECRET_RANDOM_BYTES]) -> Secret<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab";
    Secret::new(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect())
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessKeyError {
    #[error("the app has {keys_max} access keys, which is what access_keys allows")]
    TooMany { keys_max: usize },
    #[error(
        "the access key {id} does not open with this node key; make another, or start the node with the key it was sealed with"
    )]
    Sealed { id: String },
    #[error("access keys are not available")]
    Store(#[from] StoreError),
}

impl AccessKeyError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            AccessKeyError::TooMany { .. } => &code::TOO_MANY_ACCESS_KEYS,
            AccessKeyError::Sealed { .. } => &code::SECRET_SEALED,
            AccessKeyError::Store(error) => error.code(),
        }
    }
}
