use base::AppName;

use super::{Client, Payload};
use crate::api::CacheApi;
use crate::model::{CacheEntry, CachePurge, CachePurged, CacheStats, Items};
use crate::query::QueryText;
use crate::{Answer, Operation};

impl CacheApi for Client {
    fn cache_purge(&self, app: AppName, purge: CachePurge) -> Answer<'_, CachePurged> {
        Box::pin(async move {
            self.read(Operation::CachePurge, &[app.as_str()], QueryText::default(), Payload::json(&purge)).await
        })
    }

    fn cache_stats(&self, app: AppName) -> Answer<'_, CacheStats> {
        Box::pin(async move {
            self.read(Operation::CacheStats, &[app.as_str()], QueryText::default(), Payload::Nothing).await
        })
    }

    fn cache_entries(&self, app: AppName, url: String) -> Answer<'_, Vec<CacheEntry>> {
        Box::pin(async move {
            let query = QueryText::default().with("url", Some(url));
            let parameters = [app.as_str()];
            let items: Items<CacheEntry> =
                self.read(Operation::CacheEntries, &parameters, query, Payload::Nothing).await?;
            Ok(items.items)
        })
    }
}
