//! Buckets and access keys.

use base::{AppName, ResourceName};
use bytes::Bytes;

use super::Answer;
use crate::model::{
    AccessKeyEntry, AccessKeyMade, AccessKeyRequest, BlobDeleted, BlobEntry, BlobPage, KvListOptions, ScrubResult,
};

/// The part of [`Api`](super::Api) that is about blobs. What is larger than a call of the API may be
/// goes through the S3 protocol.
pub trait BlobApi: Send + Sync {
    /// One page of blobs.
    fn bucket_list(&self, app: AppName, bucket: ResourceName, options: KvListOptions) -> Answer<'_, BlobPage>;

    /// The content of a blob, if there is one.
    fn bucket_get(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<Bytes>>;

    /// What is known of a blob, if there is one.
    fn bucket_head(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<BlobEntry>>;

    fn bucket_put(
        &self,
        app: AppName,
        bucket: ResourceName,
        key: String,
        content: Bytes,
        content_type: Option<String>,
    ) -> Answer<'_, BlobEntry>;

    fn bucket_delete(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, BlobDeleted>;

    /// Reads everything in a bucket.
    fn bucket_scrub(&self, app: AppName, bucket: ResourceName) -> Answer<'_, ScrubResult>;

    /// Makes an access key; its secret is answered here and never again.
    fn access_key_create(&self, app: AppName, request: AccessKeyRequest) -> Answer<'_, AccessKeyMade>;

    fn access_key_list(&self, app: AppName) -> Answer<'_, Vec<AccessKeyEntry>>;

    fn access_key_delete(&self, app: AppName, id: String) -> Answer<'_, ()>;
}
