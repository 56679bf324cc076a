//! The trait.

use std::future::Future;
use std::pin::Pin;

use base::{AppName, Digest, ResourceName, Secret};
use bytes::Bytes;

use crate::model::{
    AppEntry, BackupMade, BackupRequest, Checked, DeployRequest, Deployed, KvDeleted, KvListOptions, KvPage,
    KvPutOptions, KvReceipt, KvValue, LimitEntry, ReleaseEntry, RollbackRequest, SecretEntry, SecretVersion, Status,
};
use crate::{ApiError, KvCondition};

mod blob;

pub use blob::BlobApi;

/// What an operation answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// The control plane.
///
/// Promises:
/// - An answered change is durable, as far as the node's stores promise it.
/// - Each change happens as a whole or not at all. If an answer is lost, the operation may be
///   repeated: every one of them is idempotent, except for a [`rollback`](Api::rollback) that
///   names no deployment, [`access_key_create`](BlobApi::access_key_create), and [`kv_put`](Api::kv_put) and [`kv_delete`](Api::kv_delete) under a
///   condition.
/// - No answer ever holds the value of a secret, but for that of an access key when it is made.
pub trait Api: BlobApi + Send + Sync {
    fn status(&self) -> Answer<'_, Status>;

    /// What is released, in the order of the names.
    fn apps(&self) -> Answer<'_, Vec<AppEntry>>;

    /// Which of these blobs the node does not have yet, each once, in the order asked.
    fn missing_blobs(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>>;

    /// Stores a blob, if it has the digest that it is sent under.
    fn put_blob(&self, digest: Digest, bytes: Bytes) -> Answer<'_, ()>;

    /// Checks a deployment whose blobs are all there, records it, and releases it. What is
    /// released already is left as it is.
    fn deploy(&self, request: DeployRequest) -> Answer<'_, Deployed>;

    /// The releases of an app, newest first, at most `limit` and at most `releases_listed`.
    fn releases(&self, app: AppName, limit: Option<u64>) -> Answer<'_, Vec<ReleaseEntry>>;

    /// Releases an earlier deployment again.
    fn rollback(&self, app: AppName, request: RollbackRequest) -> Answer<'_, Deployed>;

    /// Stops serving an app and forgets its releases. Its data and its secrets stay.
    fn remove(&self, app: AppName) -> Answer<'_, ()>;

    /// Sets a secret. The app need not exist yet.
    fn secret_put(&self, app: AppName, name: ResourceName, value: Secret<Bytes>) -> Answer<'_, SecretVersion>;

    /// The secrets that are set, by name; never a value.
    fn secret_list(&self, app: AppName) -> Answer<'_, Vec<SecretEntry>>;

    /// Unsets a secret; to unset what is not set is no error.
    fn secret_delete(&self, app: AppName, name: ResourceName) -> Answer<'_, ()>;

    /// The entry under a key, if there is one.
    fn kv_get(&self, app: AppName, namespace: ResourceName, key: String) -> Answer<'_, Option<KvValue>>;

    fn kv_put(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        value: Bytes,
        options: KvPutOptions,
    ) -> Answer<'_, KvReceipt>;

    fn kv_delete(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        condition: KvCondition,
    ) -> Answer<'_, KvDeleted>;

    /// One page of keys.
    fn kv_list(&self, app: AppName, namespace: ResourceName, options: KvListOptions) -> Answer<'_, KvPage>;

    /// Adds a backup of all data of the node to a directory.
    fn back_up(&self, request: BackupRequest) -> Answer<'_, BackupMade>;

    /// Reads all data of the node and answers what is damaged.
    fn check(&self) -> Answer<'_, Checked>;

    /// The limits of the node and, if one is named, of a released app and its workers.
    fn limits(&self, app: Option<AppName>) -> Answer<'_, Vec<LimitEntry>>;
}
