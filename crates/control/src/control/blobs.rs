//! Buckets and access keys.

use base::{AppName, Body, Code, ResourceName, code};
use bytes::Bytes;
use control_api::{
    AccessKeyEntry, AccessKeyMade, AccessKeyRequest, Answer, ApiError, BlobApi, BlobDeleted, BlobEntry, BlobPage,
    DamagedBlob, KvListOptions, ScrubResult,
};
use services::access_key::{AccessKey, AccessKeyError, Grant};
use services::blob::{
    BlobError, BlobInfo, Bucket, Content, Cursor, DeleteKey, GetOptions, HttpMetadata, ListOptions, PutOptions,
};

use super::{Control, StoreFailure, failed};

impl StoreFailure for BlobError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for AccessKeyError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl Control {
    fn bucket(&self, app: AppName, name: ResourceName) -> Bucket {
        Bucket::new(self.parts.tenant.clone(), app, name)
    }
}

fn entry(info: BlobInfo) -> BlobEntry {
    BlobEntry {
        version: info.version.id().to_string(),
        key: info.key,
        size: info.size,
        etag: info.etag,
        uploaded_ms: info.uploaded_ms,
        content_type: info.http.content_type,
    }
}

fn key_entry(key: AccessKey) -> AccessKeyEntry {
    let Grant { buckets, read, write, list } = key.grant;
    AccessKeyEntry { id: key.id, buckets, read, write, list, created_ms: key.created_ms }
}

impl BlobApi for Control {
    fn bucket_list(&self, app: AppName, bucket: ResourceName, options: KvListOptions) -> Answer<'_, BlobPage> {
        Box::pin(async move {
            let bucket = self.bucket(app, bucket);
            let KvListOptions { prefix, cursor, limit, .. } = options;
            let after = cursor.map(|cursor| Cursor::decode(&bucket, &prefix, None, &cursor)).transpose();
            let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
            let after = after.map_err(failed)?;
            let wanted = ListOptions { prefix: prefix.clone(), delimiter: None, after, limit };
            let page = self.parts.blobs.list(&bucket, wanted).await.map_err(failed)?;
            let cursor = page.next.map(|next| Cursor::encode(&bucket, &prefix, None, &next));
            Ok(BlobPage { blobs: page.blobs.into_iter().map(entry).collect(), cursor })
        })
    }

    fn bucket_get(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            let bucket = self.bucket(app, bucket);
            let found = self.parts.blobs.get(&bucket, &key, GetOptions::default()).await.map_err(failed)?;
            let Some(Content::Bytes { body, .. }) = found.map(|blob| blob.content) else { return Ok(None) };
            let most = self.parts.limits.admin_body_bytes as usize;
            let content = body.collect(most).await.map_err(|error| ApiError::new(error.code, error.detail))?;
            Ok(Some(content))
        })
    }

    fn bucket_head(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<BlobEntry>> {
        Box::pin(async move {
            let found = self.parts.blobs.head(&self.bucket(app, bucket), &key, None).await.map_err(failed)?;
            Ok(found.map(entry))
        })
    }

    fn bucket_put(
        &self,
        app: AppName,
        bucket: ResourceName,
        key: String,
        content: Bytes,
        content_type: Option<String>,
    ) -> Answer<'_, BlobEntry> {
        Box::pin(async move {
            let http = HttpMetadata { content_type, ..HttpMetadata::default() };
            let options = PutOptions { http, ..PutOptions::default() };
            let bucket = self.bucket(app, bucket);
            let receipt = self.parts.blobs.put(&bucket, &key, Body::full(content), options).await.map_err(failed)?;
            Ok(entry(receipt.info))
        })
    }

    fn bucket_delete(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, BlobDeleted> {
        Box::pin(async move {
            let keys = vec![DeleteKey::new(key)];
            let mut outcomes = self.parts.blobs.delete(&self.bucket(app, bucket), keys).await.map_err(failed)?;
            let deleted = outcomes.pop().transpose().map_err(failed)?;
            Ok(BlobDeleted { existed: deleted.is_some_and(|deleted| deleted.existed) })
        })
    }

    fn bucket_scrub(&self, app: AppName, bucket: ResourceName) -> Answer<'_, ScrubResult> {
        Box::pin(async move {
            let report = self.parts.blobs.scrub(&self.bucket(app, bucket)).await.map_err(failed)?;
            let damaged = report.damaged.into_iter();
            let damaged = damaged.map(|found| DamagedBlob { key: found.key, version: found.version, what: found.what });
            Ok(ScrubResult { blobs: report.blobs, bytes: report.bytes, damaged: damaged.collect() })
        })
    }

    fn access_key_create(&self, app: AppName, request: AccessKeyRequest) -> Answer<'_, AccessKeyMade> {
        Box::pin(async move {
            let AccessKeyRequest { buckets, read, write, list } = request;
            let grant = Grant { buckets, read, write, list };
            let (key, secret) = self.parts.access_keys.create(&self.id(&app), grant).await.map_err(failed)?;
            Ok(AccessKeyMade { key: key_entry(key), secret: secret.expose().clone() })
        })
    }

    fn access_key_list(&self, app: AppName) -> Answer<'_, Vec<AccessKeyEntry>> {
        Box::pin(async move {
            let keys = self.parts.access_keys.list(&self.id(&app)).await.map_err(failed)?;
            Ok(keys.into_iter().map(key_entry).collect())
        })
    }

    fn access_key_delete(&self, app: AppName, id: String) -> Answer<'_, ()> {
        Box::pin(async move {
            match self.parts.access_keys.delete(&self.id(&app), &id).await.map_err(failed)? {
                true => Ok(()),
                false => Err(ApiError::new(&code::NO_ACCESS_KEY, format!("{app} has no access key {id}"))),
            }
        })
    }
}
