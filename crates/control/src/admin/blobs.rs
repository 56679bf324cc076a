//! Buckets and access keys.

use base::{AppName, ResourceName, code};
use control_api::{ApiError, KvListOptions, Operation};

use super::{Admin, Call, Reply, items, json, name, not_here};

impl Admin {
    pub(super) async fn blobs(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        match call.operation {
            Operation::AccessKeyList => return items(api.access_key_list(app).await?),
            Operation::AccessKeyCreate => {
                let request = self.json_body(call).await?;
                return json(&api.access_key_create(app, request).await?);
            }
            Operation::AccessKeyDelete => {
                api.access_key_delete(app, call.parameter(1).to_owned()).await?;
                return Ok(Reply::Nothing);
            }
            _ => {}
        }
        let bucket: ResourceName = name("bucket", call.parameter(1))?;
        match call.operation {
            Operation::BucketList => {
                let text = |name| call.query.text(name).map(str::to_owned);
                let options = KvListOptions {
                    prefix: text("prefix").unwrap_or_default(),
                    cursor: text("cursor"),
                    limit: call.query.number("limit")?,
                    ..KvListOptions::default()
                };
                return json(&api.bucket_list(app, bucket, options).await?);
            }
            Operation::BucketScrub => return json(&api.bucket_scrub(app, bucket).await?),
            _ => {}
        }
        let key = call.parameter(2).to_owned();
        let missing = || ApiError::new(&code::KEY_MISSING, format!("there is no blob under {key:?}"));
        match call.operation {
            Operation::BucketGet => {
                Ok(Reply::Bytes(api.bucket_get(app, bucket, key.clone()).await?.ok_or_else(missing)?))
            }
            Operation::BucketHead => json(&api.bucket_head(app, bucket, key.clone()).await?.ok_or_else(missing)?),
            Operation::BucketPut => {
                let content_type = call.query.text("content_type").map(str::to_owned);
                let content = call.collect(self.body_limit()).await?;
                json(&api.bucket_put(app, bucket, key, content, content_type).await?)
            }
            Operation::BucketDelete => json(&api.bucket_delete(app, bucket, key).await?),
            other => Err(not_here(other)),
        }
    }
}
