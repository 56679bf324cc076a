//! Blobs: files of any size under keys, in buckets. For uploads, images, backups, whatever is read
//! and written as a stream; other programs reach the same buckets with the S3 protocol.

use base::{AppName, Body, ResourceName, TenantName};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, Durability};

pub mod checksum;
mod condition;
mod error;
mod info;
mod limits;
mod list;
mod range;
mod settings;
mod upload;

pub use checksum::{Algorithm, Checksum, Digests, Expected, Running, Trailer};
pub use condition::{Conditions, Etags, Verdict};
pub use error::BlobError;
pub use info::{BlobInfo, HttpMetadata, Map, Version, VersionId};
pub use limits::BlobLimits;
pub use list::{Cursor, ListOptions, ListPage, Place, VersionsOptions, VersionsPage, end_of, group_of};
pub use range::{Range, RangeSpec};
pub use settings::{BucketChange, BucketInfo, CorsRule, Expiry, LifecycleRule, Settings, Versioning};
pub use upload::{Assembled, PartInfo, PartWanted, UploadId, UploadInfo, UploadOptions, UploadsPage, assemble};

/// A provider of blobs, for all buckets.
///
/// # Promises
///
/// 1. **Durability.** A receipt is given after the write has reached the durability it names: the
///    bytes, their names, and the row that makes them visible. This holds for parts of an upload
///    and for a bucket's settings as well.
/// 2. **Atomicity.** A put, a copy, a completed upload and each deletion of a key happen as a whole
///    or not at all. Content, metadata, tags, checksums and version change together; a put whose
///    body breaks off, or does not have the checksum it was sent with, changes nothing.
/// 3. **Order.** Operations on one key are linearizable within the node: a read, and a list, that
///    starts after a receipt sees that write or a later one.
/// 4. **One version.** What [`get`](Blobs::get) answers is one version: its body yields that
///    version's bytes to the end, or fails, whatever is written or deleted meanwhile. A slow reader
///    holds up nobody.
/// 5. **Conditions** are judged at the moment of the write, together with it. Of writers that race
///    with `if_none_match` on an absent key, or `if_match` on the same tag, one wins.
/// 6. **Integrity.** What is read is what was written: damage is found when it is read and is an
///    error, never other bytes. [`scrub`](Blobs::scrub) reads everything and names what is damaged.
/// 7. **Lists** are in the byte order of the UTF-8 keys. A page is one consistent view; the pages of
///    a walk are not: a key that exists throughout the walk appears exactly once, by itself or in its
///    common prefix.
/// 8. **Versions** of a key are ordered by when they were written. With versioning enabled no write
///    removes another's content; a deletion without a version hides the key behind a marker.
/// 9. **Uploads.** Parts may come in any order and again; the last one acknowledged under a number
///    counts. An upload is visible to nobody until it is completed, in which case all of it is; one
///    that is aborted leaves nothing.
/// 10. **Isolation.** Two buckets share nothing that anybody can see; two apps share nothing but the
///     disk.
/// 11. **Cancellation.** Dropping the future of a write leaves it done or not done, never half; the
///     same holds when the acknowledgement is lost (`store_failed`). To repeat a put without
///     conditions is safe; for a completed upload `no_upload` may mean that it was done before:
///     read the key.
///
/// A bucket that was not created is empty to whoever reads, and is created by whoever writes.
pub trait Blobs: Send + Sync {
    /// Makes a bucket; answers false if it was there.
    fn create_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>>;

    /// Removes a bucket that holds nothing: no version of any key, no upload. Answers whether it
    /// was there.
    fn delete_bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<bool, BlobError>>;

    /// The buckets of an app, in the order of their names.
    fn buckets<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<BucketInfo>, BlobError>>;

    /// What all blobs of an app take, in bytes: old versions and parts of uploads too.
    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, BlobError>>;

    fn bucket<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<Option<BucketInfo>, BlobError>>;

    /// Changes a setting of a bucket.
    fn change_bucket<'a>(&'a self, bucket: &'a Bucket, change: BucketChange) -> BoxFuture<'a, Result<(), BlobError>>;

    /// A version without its content: the current one, or the one that is named. A delete marker
    /// is answered only if it is named.
    fn head<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
    ) -> BoxFuture<'a, Result<Option<BlobInfo>, BlobError>>;

    /// A version with its content, or the part of it that was asked for.
    fn get<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: GetOptions,
    ) -> BoxFuture<'a, Result<Option<Blob>, BlobError>>;

    /// Stores a blob under a key. The body is read to its end first; conditions are judged after.
    fn put<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>>;

    /// Stores the content of another blob under a key, without reading it. `None` if the source is
    /// not there; [`BlobError::Precondition`] if the conditions on it don't hold.
    fn copy<'a>(
        &'a self,
        from: Source<'a>,
        bucket: &'a Bucket,
        key: &'a str,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<Option<PutReceipt>, BlobError>>;

    /// Deletes keys, or single versions; at most `blob_delete_keys`. To delete nothing is no error.
    /// Answers in the order asked.
    fn delete<'a>(
        &'a self,
        bucket: &'a Bucket,
        keys: Vec<DeleteKey>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted, BlobError>>, BlobError>>;

    /// Replaces the tags of a version. False if it is not there.
    fn tag<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        version: Option<VersionId>,
        tags: Map,
    ) -> BoxFuture<'a, Result<bool, BlobError>>;

    /// One page of keys.
    fn list<'a>(&'a self, bucket: &'a Bucket, options: ListOptions) -> BoxFuture<'a, Result<ListPage, BlobError>>;

    /// One page of versions, markers included: keys in order, of each the newest version first.
    fn list_versions<'a>(
        &'a self,
        bucket: &'a Bucket,
        options: VersionsOptions,
    ) -> BoxFuture<'a, Result<VersionsPage, BlobError>>;

    /// Begins an upload in parts.
    fn create_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        options: UploadOptions,
    ) -> BoxFuture<'a, Result<UploadId, BlobError>>;

    /// Stores a part, in place of what was there under its number.
    fn put_part<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        number: u32,
        body: Body,
        expect: Expected,
    ) -> BoxFuture<'a, Result<PartInfo, BlobError>>;

    /// An upload and its parts after a number, in order, at most so many.
    fn parts<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        after: u32,
        limit: usize,
    ) -> BoxFuture<'a, Result<(UploadInfo, Vec<PartInfo>), BlobError>>;

    /// Uploads that are neither completed nor aborted, by key and age.
    fn uploads<'a>(&'a self, bucket: &'a Bucket, options: ListOptions)
    -> BoxFuture<'a, Result<UploadsPage, BlobError>>;

    /// Makes a blob of the parts, which are named in rising order.
    fn complete_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
        parts: Vec<PartWanted>,
        conditions: Conditions,
    ) -> BoxFuture<'a, Result<PutReceipt, BlobError>>;

    /// Gives an upload up; answers whether it was there.
    fn abort_upload<'a>(
        &'a self,
        bucket: &'a Bucket,
        key: &'a str,
        upload: &'a UploadId,
    ) -> BoxFuture<'a, Result<bool, BlobError>>;

    /// Reads everything in a bucket and says what is damaged.
    fn scrub<'a>(&'a self, bucket: &'a Bucket) -> BoxFuture<'a, Result<ScrubReport, BlobError>>;
}

/// A bucket: the scope of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket {
    pub tenant: TenantName,
    pub app: AppName,
    pub name: ResourceName,
}

impl Bucket {
    pub fn new(tenant: TenantName, app: AppName, name: ResourceName) -> Self {
        Self { tenant, app, name }
    }

    pub fn app_id(&self) -> AppId {
        AppId::new(self.tenant.clone(), self.app.clone())
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.app, self.name)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetOptions {
    pub version: Option<VersionId>,
    pub range: Option<RangeSpec>,
    pub conditions: Conditions,
}

/// What a get found.
#[derive(Debug)]
pub struct Blob {
    pub info: BlobInfo,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// The bytes of `range`: whole if they are few, a stream if not.
    Bytes { body: Body, range: Range },
    /// A condition says that the caller has it already.
    NotModified,
    /// A condition does not hold.
    Refused,
}

#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub http: HttpMetadata,
    pub custom: Map,
    pub tags: Map,
    /// Tags alone count for a write.
    pub conditions: Conditions,
    /// What the content must come to.
    pub expect: Expected,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PutReceipt {
    pub info: BlobInfo,
    pub durability: Durability,
}

/// What to copy.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub bucket: &'a Bucket,
    pub key: &'a str,
    pub version: Option<VersionId>,
    pub conditions: Conditions,
}

#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// In place of the source's metadata.
    pub metadata: Option<(HttpMetadata, Map)>,
    /// In place of the source's tags.
    pub tags: Option<Map>,
    /// On what is under the key so far.
    pub conditions: Conditions,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteKey {
    pub key: String,
    /// This version alone, for good.
    pub version: Option<VersionId>,
    /// Only if the current version (or the named one) has one of these tags.
    pub if_match: Option<Etags>,
}

impl DeleteKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Whether there was something to delete.
    pub existed: bool,
    /// The version that is gone, if one was named.
    pub version: Option<Version>,
    /// The version that is gone was a delete marker.
    pub was_marker: bool,
    /// The marker that hides the key now.
    pub marker: Option<Version>,
    pub durability: Durability,
}

/// What a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    pub blobs: u64,
    pub bytes: u64,
    pub damaged: Vec<Damage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    pub key: String,
    pub version: String,
    /// For the operator: which file, where, how.
    pub what: String,
}

#[cfg(test)]
mod tests;
