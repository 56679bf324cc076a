//! The trait.

use std::future::Future;
use std::pin::Pin;

use base::{AppName, ClassName, Digest, ResourceName, Secret};
use bytes::Bytes;

use crate::model::{
    AppEntry, AppUsage, BackupMade, BackupRequest, CertificateEntry, Checked, DeployRequest, Deployed, KvChanges,
    KvChangesOptions, KvCommitted, KvDeleted, KvListOptions, KvPage, KvPutOptions, KvReceipt, KvTransaction, KvUsage,
    KvValue, LimitEntry, ObjectInfo, ObjectPage, ObjectRestoreRequest, ObjectRestored, ReleaseEntry, Reloaded,
    RenewRequest, RollbackRequest, SecretEntry, SecretPutOptions, SecretRollback, SecretVersion, SecretVersionEntry,
    SqlAnswered, SqlChanges, SqlChangesOptions, SqlCopied, SqlCopyRequest, SqlEntry, SqlImported, SqlMigrateRequest,
    SqlMigration, SqlRequest, Status, UpstreamEntry,
};
use crate::{ApiError, KvCondition};

mod blob;
mod cache;
mod config;
mod mirror;
mod trace;

pub use blob::BlobApi;
pub use cache::CacheApi;
pub use config::ConfigApi;
pub use mirror::MirrorApi;
pub use trace::TraceApi;

/// What an operation answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// A secret of an app, or its value in one environment of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    pub name: ResourceName,
    pub env: Option<ResourceName>,
}

/// The control plane.
///
/// Promises:
/// - An answered change is durable, as far as the node's stores promise it.
/// - Each change happens as a whole or not at all. If an answer is lost, the operation may be
///   repeated: every one of them is idempotent, except for a [`rollback`](Api::rollback) that
///   names no deployment, of [`access_key_create`](BlobApi::access_key_create), [`kv_put`](Api::kv_put), [`kv_delete`](Api::kv_delete) and
///   [`kv_commit`](Api::kv_commit) under a condition or with an addition, and of what makes a new version
///   of a secret or a configuration value.
/// - No answer ever holds the value of a secret, but for that of an access key when it is made.
pub trait Api: BlobApi + CacheApi + ConfigApi + MirrorApi + TraceApi + Send + Sync {
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

    /// Sets a secret, or the value that it has in one environment. The app need not exist yet.
    fn secret_put(
        &self,
        app: AppName,
        secret: SecretKey,
        value: Secret<Bytes>,
        options: SecretPutOptions,
    ) -> Answer<'_, SecretVersion>;

    /// The secrets that are set, by name; never a value.
    fn secret_list(&self, app: AppName) -> Answer<'_, Vec<SecretEntry>>;

    /// The versions that are kept, newest first; never a value.
    fn secret_versions(&self, app: AppName, secret: SecretKey) -> Answer<'_, Vec<SecretVersionEntry>>;

    /// Sets a secret to what an earlier version was; that makes a new version.
    fn secret_rollback(&self, app: AppName, secret: SecretKey, to: SecretRollback) -> Answer<'_, SecretVersion>;

    /// Unsets a secret, with all its versions; to unset what is not set is no error.
    fn secret_delete(&self, app: AppName, secret: SecretKey) -> Answer<'_, ()>;

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

    /// Makes all writes of a transaction if all its checks hold.
    fn kv_commit(&self, app: AppName, namespace: ResourceName, transaction: KvTransaction) -> Answer<'_, KvCommitted>;

    /// What changed in a namespace.
    fn kv_changes(&self, app: AppName, namespace: ResourceName, options: KvChangesOptions) -> Answer<'_, KvChanges>;

    /// What an app stores in each service, and how much it may.
    fn app_usage(&self, app: AppName) -> Answer<'_, AppUsage>;

    /// What an app stores in KV, and how much it may.
    fn kv_usage(&self, app: AppName) -> Answer<'_, KvUsage>;
    /// The SQL databases of an app that were used.
    fn sql_list(&self, app: AppName) -> Answer<'_, Vec<SqlEntry>>;

    /// Runs statements in one transaction. Those that only read are safe to repeat.
    fn sql_query(&self, app: AppName, database: String, request: SqlRequest) -> Answer<'_, SqlAnswered>;

    /// Runs a text of statements in one transaction.
    fn sql_import(&self, app: AppName, database: String, text: Bytes) -> Answer<'_, SqlImported>;

    /// The migrations that were applied, in order.
    fn sql_migrations(&self, app: AppName, database: String) -> Answer<'_, Vec<SqlMigration>>;

    /// Makes a new database of what one is, or was at a moment.
    fn sql_copy(&self, app: AppName, database: String, request: SqlCopyRequest) -> Answer<'_, SqlCopied>;

    /// Removes a database that nobody uses; its past stays in the archive.
    fn sql_delete(&self, app: AppName, database: String) -> Answer<'_, ()>;

    /// Which rows were written.
    fn sql_changes(&self, app: AppName, database: String, options: SqlChangesOptions) -> Answer<'_, SqlChanges>;

    /// Applies the migrations that are missing; answers all that are applied now.
    fn sql_migrate(&self, app: AppName, database: String, request: SqlMigrateRequest) -> Answer<'_, Vec<SqlMigration>>;
    /// One page of the ids of a class's objects, those after `after`.
    fn object_list(
        &self,
        app: AppName,
        class: ClassName,
        after: Option<String>,
        limit: Option<u64>,
    ) -> Answer<'_, ObjectPage>;

    /// What there is of an object, which is named by its id or by its name.
    fn object_inspect(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<ObjectInfo>>;

    /// The whole object, as a file.
    fn object_export(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<Bytes>>;

    /// Puts an export in the place of what an object has that sleeps; nothing removes it.
    fn object_replace(&self, app: AppName, class: ClassName, object: String, export: Option<Bytes>) -> Answer<'_, ()>;

    /// Puts an object that sleeps back to what it was at a moment. What it is now is part of its past,
    /// and can be had back.
    fn object_restore(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
        request: ObjectRestoreRequest,
    ) -> Answer<'_, ObjectRestored>;

    /// Upstreams of the released apps, on this node; none if no node runs.
    fn upstreams(&self) -> Answer<'_, Vec<UpstreamEntry>>;

    /// Adds a backup of all data of the node to a directory.
    fn back_up(&self, request: BackupRequest) -> Answer<'_, BackupMade>;

    /// The certificates that are asked of an authority.
    fn certificates(&self) -> Answer<'_, Vec<CertificateEntry>>;

    /// Asks for certificates now, and answers what became of those that it asked for; those that
    /// failed say why, and what was served before goes on being served.
    fn renew(&self, request: RenewRequest) -> Answer<'_, Vec<CertificateEntry>>;

    /// Reads the node's configuration again and makes the node what it says, as far as that can be
    /// done while it runs. What is wrong with it leaves everything as it was.
    fn reload(&self) -> Answer<'_, Reloaded>;

    /// Reads all data of the node and answers what is damaged.
    fn check(&self) -> Answer<'_, Checked>;

    /// The limits of the node and, if one is named, of a released app and its workers.
    fn limits(&self, app: Option<AppName>) -> Answer<'_, Vec<LimitEntry>>;
}
