use base::{AppName, ResourceName, code};
use bytes::Bytes;

use super::{Client, Payload};
use crate::api::BlobApi;
use crate::model::{
    AccessKeyEntry, AccessKeyMade, AccessKeyRequest, BlobDeleted, BlobEntry, BlobPage, KvListOptions, ScrubResult,
};
use crate::query::QueryText;
use crate::{Answer, ApiError, Operation};

fn if_there<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is(&code::KEY_MISSING) => Ok(None),
        Err(error) => Err(error),
    }
}

impl BlobApi for Client {
    fn bucket_list(&self, app: AppName, bucket: ResourceName, options: KvListOptions) -> Answer<'_, BlobPage> {
        Box::pin(async move {
            let prefix = Some(options.prefix).filter(|prefix| !prefix.is_empty());
            let query = QueryText::default().with("prefix", prefix).with("cursor", options.cursor);
            let query = query.with("limit", options.limit);
            let parameters = [app.as_str(), bucket.as_str()];
            self.read(Operation::BucketList, &parameters, query, Payload::Nothing).await
        })
    }

    fn bucket_get(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            let parameters = [app.as_str(), bucket.as_str(), &key];
            let answer = self.call(Operation::BucketGet, &parameters, QueryText::default(), Payload::Nothing).await;
            if_there(answer.map(|response| response.body))
        })
    }

    fn bucket_head(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, Option<BlobEntry>> {
        Box::pin(async move {
            let parameters = [app.as_str(), bucket.as_str(), &key];
            if_there(self.read(Operation::BucketHead, &parameters, QueryText::default(), Payload::Nothing).await)
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
            let query = QueryText::default().with("content_type", content_type);
            let parameters = [app.as_str(), bucket.as_str(), &key];
            self.read(Operation::BucketPut, &parameters, query, Payload::Bytes(content)).await
        })
    }

    fn bucket_delete(&self, app: AppName, bucket: ResourceName, key: String) -> Answer<'_, BlobDeleted> {
        Box::pin(async move {
            let parameters = [app.as_str(), bucket.as_str(), &key];
            self.read(Operation::BucketDelete, &parameters, QueryText::default(), Payload::Nothing).await
        })
    }

    fn bucket_scrub(&self, app: AppName, bucket: ResourceName) -> Answer<'_, ScrubResult> {
        Box::pin(async move {
            let parameters = [app.as_str(), bucket.as_str()];
            self.read(Operation::BucketScrub, &parameters, QueryText::default(), Payload::Nothing).await
        })
    }

    fn access_key_create(&self, app: AppName, request: AccessKeyRequest) -> Answer<'_, AccessKeyMade> {
        Box::pin(async move {
            let payload = Payload::json(&request);
            self.read(Operation::AccessKeyCreate, &[app.as_str()], QueryText::default(), payload).await
        })
    }

    fn access_key_list(&self, app: AppName) -> Answer<'_, Vec<AccessKeyEntry>> {
        Box::pin(async move { self.items(Operation::AccessKeyList, &[app.as_str()], QueryText::default()).await })
    }

    fn access_key_delete(&self, app: AppName, id: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [app.as_str(), &id];
            self.call(Operation::AccessKeyDelete, &parameters, QueryText::default(), Payload::Nothing).await.map(drop)
        })
    }
}
