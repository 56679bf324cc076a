//! What travels through the API. The doc comments become the descriptions of the OpenAPI document.
//! A client takes fields that it does not know as a sign of a newer server, and ignores them; the
//! server refuses them, since they are most likely a mistake.

use std::fmt;

use base::{AppName, Digest, ResourceName, WorkerName};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod blob;
mod cache;
mod mirror;

pub use blob::{
    AccessKeyEntry, AccessKeyMade, AccessKeyRequest, BlobDeleted, BlobEntry, BlobPage, DamagedBlob, ScrubResult,
};
mod config;
mod kv;
mod secret;
mod sql_feed;
mod trace;
mod upstream;
mod usage;

pub use cache::{CacheAmount, CacheEntry, CachePurge, CachePurged, CacheStats};
pub use config::{ConfigEntry, ConfigRollback, ConfigVersion, ConfigVersionEntry};
pub use kv::{
    KvChange, KvChanges, KvChangesOptions, KvCheck, KvCommitted, KvNamespaceUsage, KvTransaction, KvUsage, KvWrite,
};
pub use mirror::MirrorEntry;
pub use secret::{SecretEntry, SecretPutOptions, SecretRollback, SecretVersion, SecretVersionEntry};
pub use sql_feed::{SqlChange, SqlChanges, SqlChangesOptions};
pub use trace::{TraceAsk, TraceEntry, TraceField, TraceOptions, TraceRoute, TraceRun, TraceSent, TraceStep, TraceWay};
pub use upstream::{TargetEntry, UpstreamEntry};

pub use usage::{AppUsage, Used};

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Items_{T}")]
pub struct Items<T> {
    pub items: Vec<T>,
}

/// The node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of Selvedge that the node runs.
    pub version: String,
    /// Rises with each change of what is released.
    pub generation: u64,
    /// How many apps are released.
    pub apps: u64,
    /// Milliseconds since the control plane started.
    pub uptime_ms: u64,
}

/// A released app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppEntry {
    #[schemars(with = "String")]
    pub app: AppName,
    /// The deployment that is released.
    #[schemars(with = "String")]
    pub id: Digest,
    /// Counts the releases of the app, from 1.
    pub release: u64,
    /// Milliseconds since the Unix epoch.
    pub released_ms: u64,
    /// The hosts that the app claims, its default host included.
    pub hosts: Vec<String>,
}

/// Content, by its SHA-256 digests in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blobs {
    #[schemars(with = "Vec<String>")]
    pub digests: Vec<Digest>,
}

/// A deployment on its way in. Everything that its document refers to was uploaded before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The deployment document, as `selvedge deploy` makes it.
    pub document: serde_json::Value,
    /// What to tell people about this deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub message: Option<Message>,
}

/// A few words about a deployment: at most [`Message::BYTES_MAX`] bytes, on one line, of
/// characters that show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Message(String);

/// Why a text is no [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("a message has at most {max} bytes (message_bytes), this one has {0}", max = Message::BYTES_MAX)]
    TooLong(usize),
    #[error("a message is one line without control characters")]
    Control,
}

impl Message {
    /// The limit `message_bytes`.
    pub const BYTES_MAX: usize = 1_024;

    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let text = text.trim();
        match text.len() {
            bytes if bytes > Self::BYTES_MAX => Err(MessageError::TooLong(bytes)),
            _ if text.chars().any(char::is_control) => Err(MessageError::Control),
            _ => Ok(Self(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Message {
    type Error = MessageError;

    fn try_from(text: String) -> Result<Self, MessageError> {
        Self::parse(&text)
    }
}

impl From<Message> for String {
    fn from(message: Message) -> Self {
        message.0
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is released now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The SHA-256 digest of the deployment document, in hexadecimal.
    #[schemars(with = "String")]
    pub id: Digest,
    #[schemars(with = "String")]
    pub app: AppName,
    /// The hosts that the app claims, its default host included.
    pub hosts: Vec<String>,
    /// Counts the releases of the app, from 1.
    pub release: u64,
    /// False if this very deployment was known already.
    pub fresh: bool,
    /// What its workers logged while they were evaluated, a warm-up that failed among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_log: Vec<String>,
    /// Secrets that its workers bind and that are not set.
    #[schemars(with = "Vec<String>")]
    pub missing_secrets: Vec<ResourceName>,
}

/// One movement of an app's release pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseEntry {
    /// Counts the releases of the app, from 1.
    pub number: u64,
    /// The deployment that was released.
    #[schemars(with = "String")]
    pub id: Digest,
    /// Milliseconds since the Unix epoch.
    pub released_ms: u64,
    /// Who released it.
    pub by: String,
    /// When the deployment was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// What its author said about the deployment.
    pub message: Option<String>,
    /// The environment of the manifest that it was made with.
    pub env: Option<String>,
    /// True for the one that is served.
    pub current: bool,
}

/// Where to go back to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The id of a deployment that was released, or its first digits, at least six. Without it,
    /// the deployment that was released before the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// An entry. Over HTTP the value is the body, and the rest are header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvValue {
    pub value: Bytes,
    /// JSON, as it was put.
    pub metadata: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    pub revision: u64,
}

/// How a value is put. Over HTTP these are query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvPutOptions {
    /// Seconds from now, at least one; not together with `expires_at_ms`.
    pub ttl_s: Option<u64>,
    /// Milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    /// JSON.
    pub metadata: Option<String>,
    pub condition: KvCondition,
}

/// What must be true of a key for a write to happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KvCondition {
    #[default]
    Always,
    /// There is no entry.
    Absent,
    /// The entry has this revision.
    Revision(u64),
}

/// A value that was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvReceipt {
    pub revision: u64,
    /// Bytes of the value.
    pub size: u64,
    /// What the write survives: `memory`, `fsync` or `quorum`.
    pub durability: String,
}

/// A key that has no entry any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvDeleted {
    /// Whether there was an entry.
    pub existed: bool,
    /// What the write survives: `memory`, `fsync` or `quorum`.
    pub durability: String,
}

/// A SQL database of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlEntry {
    pub name: String,
}

/// Statements that run in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    pub statements: Vec<SqlText>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlText {
    pub sql: String,
    /// A value for each parameter: null, a number, a boolean, a string, or a blob as `{"hex": "00ff"}`.
    #[serde(default)]
    pub params: Vec<serde_json::Value>,
}

/// What statements answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SqlAnswered {
    /// One for each statement.
    pub results: Vec<SqlTable>,
    /// What the writes among them survive: `memory`, `fsync` or `quorum`.
    pub durability: String,
    /// Bytes of the database.
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SqlTable {
    pub columns: Vec<String>,
    /// A blob is `{"hex": "00ff"}`.
    pub rows: Vec<Vec<serde_json::Value>>,
    pub changes: u64,
    pub rows_read: u64,
    pub rows_written: u64,
    pub duration_ms: f64,
}

/// What a text of statements came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SqlImported {
    pub statements: u64,
    pub rows_written: u64,
    pub duration_ms: f64,
}

/// What a new database is to be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlCopyRequest {
    /// The name of the new database, which no database has yet; or that of this one, with a moment, to which
    /// it is put back then.
    pub to: String,
    /// The moment, in milliseconds since the Unix epoch; the present if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

/// A copy of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlCopied {
    /// When the last commit in it was made, if it is a copy of the past.
    pub time_ms: Option<u64>,
    pub bytes: u64,
}

/// Migrations, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlMigrateRequest {
    pub migrations: Vec<SqlMigrationText>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlMigrationText {
    pub name: String,
    pub text: String,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlMigration {
    pub name: String,
    pub checksum: String,
    /// Milliseconds since the Unix epoch.
    pub applied_ms: u64,
}

/// Where a backup goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A directory of the node's machine, as an absolute path; made if it is missing.
    pub to: String,
    /// Whether to restore the backup to a temporary place, and check it there.
    pub verify: bool,
    /// How many backups remain, this one among them; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupMade {
    /// By which it is restored: when it began, in milliseconds since the Unix epoch.
    pub id: u64,
    pub files: u64,
    pub bytes: u64,
    /// What had to be stored for it.
    pub new_bytes: u64,
    /// Whether it was restored and checked.
    pub verified: bool,
    /// How many older backups were removed.
    pub removed: u64,
}

/// A certificate that the node asks an authority for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateEntry {
    pub hosts: Vec<String>,
    /// When the one that is served expires, in milliseconds since the Unix epoch; left out if there
    /// is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When the authority is asked next.
    pub next_ms: u64,
    /// What the last attempt failed of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Which certificates are asked for now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// Those for this host; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What became of a configuration that was read again, in sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// What is different now.
    pub changed: Vec<String>,
    /// What will be with the next start of the node.
    pub later: Vec<String>,
    /// What is wrong with the configuration; then nothing is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What was read, and what of it is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    pub databases: u64,
    /// Beside the databases.
    pub files: u64,
    pub bytes: u64,
    pub damage: Vec<Damage>,
    /// The copy of the archive elsewhere, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveCopied>,
}

/// How the copy of the archive elsewhere is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveCopied {
    pub place: String,
    /// How old the oldest commit may be that is not there yet; 0 if all are.
    pub behind_ms: u64,
    /// How often it could not be brought up to date since the node started.
    pub failures: u64,
    /// Why it could not the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// A path below the data directory, or another place to look at.
    pub place: String,
    pub what: String,
}

/// Which keys to list. Over HTTP these are query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvListOptions {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Where the previous page of the same list ended.
    pub cursor: Option<String>,
    /// Keys in the page; at most `list_keys`.
    pub limit: Option<u64>,
    /// Only entries with a higher revision than this.
    pub after_revision: Option<u64>,
    /// With the values that are not too large.
    pub values: bool,
}

/// One page of durable objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectPage {
    /// In their order.
    pub ids: Vec<String>,
    /// There are more behind the last.
    pub more: bool,
}

/// A durable object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectInfo {
    pub id: String,
    /// What its id was made of, if that is known.
    pub name: Option<String>,
    pub bytes: u64,
    /// Keys in its storage.
    pub entries: u64,
    /// Tables of its own.
    pub tables: Vec<String>,
    /// When its alarm is due, in milliseconds since the Unix epoch.
    pub alarm_ms: Option<u64>,
}

/// Which moment an object is put back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRestoreRequest {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// An object that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRestored {
    /// When the last commit was made that is in it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// One page of keys, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvPage {
    pub keys: Vec<KvKey>,
    /// Asks for the next page; absent if this is the last.
    pub cursor: Option<String>,
    /// The page holds everything up to this revision: from the first page of a walk on, the changes
    /// since then tell what the walk may have missed.
    #[serde(default)]
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KvKey {
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    /// JSON, as it was put.
    pub metadata: Option<String>,
    pub revision: u64,
    /// The value in base64, if values were asked for and this one is not too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// A limit and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitEntry {
    pub scope: LimitScope,
    /// The worker that it bounds, if it bounds one.
    #[schemars(with = "Option<String>")]
    pub worker: Option<WorkerName>,
    pub name: String,
    pub value: u64,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    /// `ms`, `MiB`, `bytes`, or empty for a count.
    pub unit: String,
    pub about: String,
    /// `default`, `manifest`, `node`, or `fixed`.
    pub set_at: String,
}

/// Who a limit bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    Node,
    /// What is written down: a manifest, a deployment.
    Format,
    App,
    Worker,
}

#[cfg(test)]
mod tests;
