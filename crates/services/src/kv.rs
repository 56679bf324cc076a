//! KV: entries under keys, in namespaces. For sessions, configuration, small documents: many reads,
//! fewer writes, compare-and-set where two writers may meet.

use base::{AppName, Body, BodyError, Code, NodeLimits, ResourceName, TenantName, code};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, Durability, StoreError};

mod changes;
mod cursor;
mod quota;
mod transaction;

pub use changes::{Change, ChangeKind, ChangesOptions, ChangesPage, PAGE_CHANGES, PAGE_SCANNED};
pub use cursor::Cursor;
pub use quota::{KvUsage, NamespaceUsage};
pub use transaction::{Action, Check, CommitReceipt, Transaction, Write, sum};

/// A provider of KV, for all namespaces.
///
/// # Promises
///
/// 1. **Durability.** A receipt is given after the write has reached the durability it names. A
///    provider that promises `Fsync` loses no acknowledged write to `kill -9` or a power cut.
/// 2. **Atomicity.** A put or a delete happens as a whole or not at all; value, metadata, expiry
///    and revision change together. A failed operation changes nothing, and never fails its
///    neighbours.
/// 3. **Order.** Operations on one key are linearizable within the node: a read that starts after
///    a receipt sees that write or a later one.
/// 4. **Revisions** of a key strictly increase, also across delete and re-creation. They have
///    gaps, and those of different keys mean nothing to each other.
/// 5. **Expiry.** An entry is never visible at or after `expires_at_ms`, in no operation; its
///    space is reclaimed some time later. To a condition, an expired entry is absent.
/// 6. **Lists** are in the byte order of the UTF-8 keys. A page is one consistent view; the pages
///    of a walk are not: a key that exists throughout the walk appears exactly once, one that
///    comes or goes meanwhile may or may not appear.
/// 7. **Isolation.** Two namespaces share nothing but the disk.
/// 8. **Cancellation.** Dropping the future of a write leaves it done or not done, never half; the
///    same holds when the acknowledgement is lost (`store_failed`). To repeat such a write is safe
///    under `Condition::Always`; under another condition, read first.
/// 9. **Streams.** The entry that [`get`](Kv::get) answers is one version: its stream yields that
///    version's bytes to the end, or fails, whatever is written meanwhile. A slow reader holds up
///    nobody.
/// 10. **Transactions.** All checks of a [`Transaction`] are made, and all its writes happen, at one
///     moment between those of other operations, and under one revision; or none happens. No read
///     that is one view (`get_many`, a page) ever sees a part of it. Promise 8 holds for it as a
///     whole: with an addition in it, or a check, it is not safe to repeat.
/// 11. **Counters.** An addition is never lost and never done twice: what is added by receipts adds
///     up. One that would overflow, or meets a value that is no counter, changes nothing.
/// 12. **Changes.** The feed tells each write that changed an entry, in the order of revisions, with
///     none left out: what is no longer kept is an error (`ChangesGone`), never a silent gap, and so is a
///     revision that was not given yet: who knows it saw a past that a backup has undone. Writes
///     are told once they have a receipt or may get one. An entry that expires is told when its space
///     is reclaimed; if it is written again before, that is told instead.
/// 13. **Quotas.** What an app stores never exceeds its quotas, whoever races; what makes an entry
///     smaller, or removes it, is never refused for one.
pub trait Kv: Send + Sync {
    /// The entry under `key`, if there is one.
    fn get<'a>(&'a self, ns: &'a KvNamespace, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>>;

    /// The entries under several keys, in the order asked; at most `get_keys` of them. They are
    /// one consistent view. A key may be named twice.
    fn get_many<'a>(
        &'a self,
        ns: &'a KvNamespace,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<KvEntry>>, KvError>>;

    /// Stores `value` under `key`, in place of what was there, if the condition holds when the
    /// write is made. A streaming value is read to its end first; the condition is not checked
    /// before that.
    fn put<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        value: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, KvError>>;

    /// Removes the entry under `key`, if the condition holds. To remove nothing is no error.
    fn delete<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        condition: Condition,
    ) -> BoxFuture<'a, Result<DeleteReceipt, KvError>>;

    /// One page of keys.
    fn list<'a>(&'a self, ns: &'a KvNamespace, options: ListOptions) -> BoxFuture<'a, Result<ListPage, KvError>>;

    /// Makes all writes of a transaction if all its checks hold.
    fn commit<'a>(
        &'a self,
        ns: &'a KvNamespace,
        transaction: Transaction,
    ) -> BoxFuture<'a, Result<CommitReceipt, KvError>>;

    /// One page of the change feed.
    fn changes<'a>(
        &'a self,
        ns: &'a KvNamespace,
        options: ChangesOptions,
    ) -> BoxFuture<'a, Result<ChangesPage, KvError>>;

    /// What each namespace of an app stores, in the order of their names; one that never held
    /// anything may be left out.
    fn usage<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<NamespaceUsage>, KvError>>;
}

/// A namespace: the scope of keys. It needs no creation; an empty one and a missing one are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KvNamespace {
    pub tenant: TenantName,
    pub app: AppName,
    pub name: ResourceName,
}

impl KvNamespace {
    pub fn new(tenant: TenantName, app: AppName, name: ResourceName) -> Self {
        Self { tenant, app, name }
    }

    pub fn app_id(&self) -> AppId {
        AppId::new(self.tenant.clone(), self.app.clone())
    }
}

impl std::fmt::Display for KvNamespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.app, self.name)
    }
}

/// One version of an entry.
#[derive(Debug)]
pub struct KvEntry {
    /// Whole if it is small ([`Body::take_whole`] then gives it without a copy), a stream if not.
    pub value: Body,
    /// Bytes of the value.
    pub size: u64,
    /// JSON, as it was put.
    pub metadata: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    pub revision: u64,
}

impl KvEntry {
    /// The whole value.
    pub async fn bytes(self) -> Result<Bytes, KvError> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        self.value.collect(size).await.map_err(KvError::Body)
    }
}

/// What must be true of a key for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Always,
    /// There is no entry.
    Absent,
    /// There is an entry.
    Present,
    /// The entry has this revision.
    Revision(u64),
}

impl Condition {
    /// Whether it holds for an entry with this revision, or for none.
    pub fn check(self, current: Option<u64>) -> Result<(), KvError> {
        if self.holds(current) { Ok(()) } else { Err(KvError::Conflict { current }) }
    }

    pub fn holds(self, current: Option<u64>) -> bool {
        match self {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Present => current.is_some(),
            Condition::Revision(wanted) => current == Some(wanted),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Milliseconds since the Unix epoch; must lie in the future. A TTL is added to the clock by
    /// the caller.
    pub expires_at_ms: Option<u64>,
    /// JSON, kept as it is.
    pub metadata: Option<String>,
    pub condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutReceipt {
    pub revision: u64,
    pub durability: Durability,
    /// Bytes of the stored value.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteReceipt {
    /// Whether there was a visible entry.
    pub existed: bool,
    pub durability: Durability,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only keys that start with this; empty for all.
    pub prefix: String,
    /// Where the previous page of the same list ended.
    pub cursor: Option<String>,
    /// Keys in the page; `None`, and anything above `list_keys`, means `list_keys`.
    pub limit: Option<usize>,
    /// Only entries with a higher revision than this.
    pub after_revision: Option<u64>,
    /// With the values up to [`LISTED_VALUE_BYTES`]. A page then ends early, after its first key
    /// at the soonest, where its values would exceed `list_bytes`.
    pub values: bool,
}

/// Values up to this size come with a list that asks for values; a larger one is read by itself.
pub const LISTED_VALUE_BYTES: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    pub keys: Vec<ListedKey>,
    /// Present exactly if the list is not complete.
    pub cursor: Option<String>,
    pub complete: bool,
    /// The page holds everything up to this revision, and nothing beyond: from the first page of a
    /// walk on, [`changes`](Kv::changes) since this one tell what the walk may have missed.
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    pub name: String,
    pub expires_at_ms: Option<u64>,
    pub metadata: Option<String>,
    pub revision: u64,
    /// If values were asked for and this one is not too large.
    pub value: Option<Bytes>,
}

/// The limits on KV, by the names that `selvedge limits` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvLimits {
    pub key_bytes: usize,
    pub value_bytes: usize,
    pub metadata_bytes: usize,
    pub list_keys: usize,
    pub get_keys: usize,
    pub list_bytes: usize,
    pub transaction_keys: usize,
    pub transaction_bytes: usize,
    pub watch_changes: usize,
    pub namespace_keys: u64,
    pub namespace_bytes: u64,
    pub app_keys: u64,
    pub app_bytes: u64,
}

impl Default for KvLimits {
    fn default() -> Self {
        Self::from(&NodeLimits::default())
    }
}

impl From<&NodeLimits> for KvLimits {
    fn from(node: &NodeLimits) -> Self {
        Self {
            key_bytes: node.key_bytes as usize,
            value_bytes: node.value_bytes as usize,
            metadata_bytes: node.metadata_bytes as usize,
            list_keys: node.list_keys as usize,
            get_keys: node.get_keys as usize,
            list_bytes: node.list_bytes as usize,
            transaction_keys: node.transaction_keys as usize,
            transaction_bytes: node.transaction_bytes as usize,
            watch_changes: node.watch_changes as usize,
            namespace_keys: node.kv_namespace_keys,
            namespace_bytes: node.kv_namespace_bytes,
            app_keys: node.kv_app_keys,
            app_bytes: node.kv_app_bytes,
        }
    }
}

/// The checks that every provider makes, in one place, so that no two differ.
impl KvLimits {
    /// A key has 1 to `key_bytes` bytes and is neither `.` nor `..` (which no URL can carry).
    pub fn check_key(&self, key: &str) -> Result<(), KvError> {
        match key {
            "" => Err(KvError::KeyEmpty),
            "." | ".." => Err(KvError::KeyDots(key.into())),
            _ => self.check_prefix(key),
        }
    }

    /// A prefix may be empty, and is no longer than a key.
    pub fn check_prefix(&self, prefix: &str) -> Result<(), KvError> {
        match prefix.len() {
            bytes if bytes > self.key_bytes => Err(KvError::KeyTooLong { bytes, bytes_max: self.key_bytes }),
            _ => Ok(()),
        }
    }

    pub fn check_keys(&self, keys: &[String]) -> Result<(), KvError> {
        if keys.len() > self.get_keys {
            return Err(KvError::TooManyKeys { keys: keys.len(), keys_max: self.get_keys });
        }
        keys.iter().try_for_each(|key| self.check_key(key))
    }

    pub fn check_put(&self, key: &str, options: &PutOptions, now_ms: u64) -> Result<(), KvError> {
        self.check_key(key)?;
        if let Some(metadata) = &options.metadata {
            let bytes = metadata.len();
            if bytes > self.metadata_bytes {
                return Err(KvError::MetadataTooLarge { bytes, bytes_max: self.metadata_bytes });
            }
            serde_json::from_str::<serde::de::IgnoredAny>(metadata)
                .map_err(|error| KvError::BadMetadata(error.to_string()))?;
        }
        match options.expires_at_ms {
            // SQLite, and much else, has no unsigned 64-bit integers.
            Some(at) if at <= now_ms || at > i64::MAX as u64 => Err(KvError::BadExpiry { at_ms: at, now_ms }),
            _ => Ok(()),
        }
    }

    /// Reads a value to its end, within `value_bytes`.
    pub async fn read_value(&self, value: Body) -> Result<Bytes, KvError> {
        value.collect(self.value_bytes).await.map_err(|error| self.value_error(error))
    }

    /// What a failed read of the value to put means.
    pub fn value_error(&self, error: BodyError) -> KvError {
        match error.code.name == code::BODY_TOO_LARGE.name {
            true => KvError::ValueTooLarge { bytes_max: self.value_bytes },
            false => KvError::Body(error),
        }
    }

    /// How many keys a page has.
    pub fn page(&self, options: &ListOptions) -> usize {
        options.limit.unwrap_or(self.list_keys).clamp(1, self.list_keys)
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    #[error("the key is empty")]
    KeyEmpty,
    #[error("the key can't be {0:?}")]
    KeyDots(String),
    #[error("the key has {bytes} bytes, key_bytes allows {bytes_max}")]
    KeyTooLong { bytes: usize, bytes_max: usize },
    #[error("{keys} keys were asked for at once, get_keys allows {keys_max}")]
    TooManyKeys { keys: usize, keys_max: usize },
    #[error("the value has more bytes than value_bytes allows, which is {bytes_max}")]
    ValueTooLarge { bytes_max: usize },
    #[error("the metadata has {bytes} bytes as JSON, metadata_bytes allows {bytes_max}")]
    MetadataTooLarge { bytes: usize, bytes_max: usize },
    #[error("the metadata is not JSON: {0}")]
    BadMetadata(String),
    #[error("the expiry {at_ms} does not lie in the future; it is {now_ms} now, in milliseconds since 1970")]
    BadExpiry { at_ms: u64, now_ms: u64 },
    #[error("the cursor was not made by a list of this namespace with this prefix")]
    BadCursor,
    #[error("{}", conflict(*.current))]
    Conflict { current: Option<u64> },
    #[error("the check of {key:?} does not hold: {}", conflict(*.current))]
    CheckFailed { key: String, current: Option<u64> },
    #[error("the transaction writes {0:?} twice")]
    KeyTwice(String),
    #[error("the transaction has {found}, {name} allows {max}")]
    TransactionTooLarge { name: &'static str, found: u64, max: u64 },
    #[error("{0:?} holds no counter: a whole number in decimal, of 64 bits")]
    NotACounter(String),
    #[error("the counter {0:?} would leave the range of 64 bits")]
    CounterOverflow(String),
    #[error(
        "the changes since revision {since} are not told any more, or never were: the feed goes from {oldest} to {newest} (watch_changes)"
    )]
    ChangesGone { since: u64, oldest: u64, newest: u64 },
    #[error("{found} would be stored, {name} allows {max}")]
    Quota { name: &'static str, found: u64, max: u64 },
    #[error("the value could not be read to its end")]
    Body(#[source] BodyError),
    #[error("KV is not available")]
    Store(#[from] StoreError),
}

fn conflict(current: Option<u64>) -> String {
    match current {
        Some(revision) => format!("the key has another revision, {revision}"),
        None => "the key has no entry".into(),
    }
}

impl KvError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            KvError::KeyEmpty | KvError::KeyDots(_) => &code::KEY_EMPTY,
            KvError::KeyTooLong { .. } => &code::KEY_TOO_LONG,
            KvError::TooManyKeys { .. } => &code::TOO_MANY_KEYS,
            KvError::ValueTooLarge { .. } => &code::VALUE_TOO_LARGE,
            KvError::MetadataTooLarge { .. } => &code::METADATA_TOO_LARGE,
            KvError::BadMetadata(_) => &code::BAD_METADATA,
            KvError::BadExpiry { .. } => &code::BAD_EXPIRY,
            KvError::BadCursor => &code::BAD_CURSOR,
            KvError::Conflict { .. } | KvError::CheckFailed { .. } => &code::REVISION_CONFLICT,
            KvError::KeyTwice(_) => &code::BAD_TRANSACTION,
            KvError::TransactionTooLarge { .. } => &code::TRANSACTION_TOO_LARGE,
            KvError::NotACounter(_) => &code::NOT_A_COUNTER,
            KvError::CounterOverflow(_) => &code::COUNTER_OVERFLOW,
            KvError::ChangesGone { .. } => &code::CHANGES_GONE,
            KvError::Quota { .. } => &code::QUOTA_EXCEEDED,
            KvError::Body(error) => error.code,
            KvError::Store(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests;
