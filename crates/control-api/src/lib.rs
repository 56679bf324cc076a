//! The control plane as its callers see it: the [`Api`] trait, what travels through it, the table
//! of its HTTP routes, its OpenAPI document, and a client. It is all that the command line knows of
//! the control plane, and it is written so that whoever holds an `Api` can't tell whether the
//! control plane runs in this process or behind a socket.
//!
//! It is not the control plane: that is `control`, which implements the trait and answers at the
//! routes. No request to an app passes through here.
//!
//! One table, [`route::ROUTES`], says which method and path each operation has. The server, the
//! client and the document are all made from it, so none of them can drift from the others.

mod api;
mod client;
mod error;
pub mod model;
pub mod openapi;
pub mod query;
pub mod route;

pub use api::{Answer, Api, BlobApi, CacheApi, ConfigApi, MirrorApi, SecretKey, TraceApi};
pub use client::{Client, ClientOptions};
pub use error::ApiError;
pub use model::{
    AccessKeyEntry, AccessKeyMade, AccessKeyRequest, AppEntry, AppUsage, ArchiveCopied, BackupMade, BackupRequest,
    BlobDeleted, BlobEntry, BlobPage, Blobs, CacheAmount, CacheEntry, CachePurge, CachePurged, CacheStats,
    CertificateEntry, Checked, ConfigEntry, ConfigRollback, ConfigVersion, ConfigVersionEntry, Damage, DamagedBlob,
    DeployRequest, Deployed, Items, KvChange, KvChanges, KvChangesOptions, KvCheck, KvCommitted, KvCondition,
    KvDeleted, KvKey, KvListOptions, KvNamespaceUsage, KvPage, KvPutOptions, KvReceipt, KvTransaction, KvUsage,
    KvValue, KvWrite, LimitEntry, LimitScope, Message, MirrorEntry, ObjectInfo, ObjectPage, ObjectRestoreRequest,
    ObjectRestored, ReleaseEntry, Reloaded, RenewRequest, RollbackRequest, ScrubResult, SecretEntry, SecretPutOptions,
    SecretRollback, SecretVersion, SecretVersionEntry, SqlAnswered, SqlChange, SqlChanges, SqlChangesOptions,
    SqlCopied, SqlCopyRequest, SqlEntry, SqlImported, SqlMigrateRequest, SqlMigration, SqlMigrationText, SqlRequest,
    SqlTable, SqlText, Status, TargetEntry, TraceAsk, TraceEntry, TraceField, TraceOptions, TraceRoute, TraceRun,
    TraceSent, TraceStep, TraceWay, UpstreamEntry, Used,
};
pub use route::Operation;
