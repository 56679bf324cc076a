//! The cache of responses.

use base::{AppName, code};
use control_api::{ApiError, Operation};

use super::{Admin, Call, Reply, items, json, name, not_here};

impl Admin {
    pub(super) async fn cache(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        match call.operation {
            Operation::CachePurge => json(&api.cache_purge(app, self.json_body(call).await?).await?),
            Operation::CacheStats => json(&api.cache_stats(app).await?),
            Operation::CacheEntries => {
                let missing = || ApiError::new(&code::BAD_REQUEST, "the query names no url");
                let url = call.query.text("url").ok_or_else(missing)?.to_owned();
                items(api.cache_entries(app, url).await?)
            }
            other => Err(not_here(other)),
        }
    }
}
