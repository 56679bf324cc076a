use super::{Client, Payload};
use crate::api::TraceApi;
use crate::model::{Items, TraceAsk, TraceEntry, TraceOptions, TraceWay};
use crate::query::QueryText;
use crate::{Answer, Operation};

impl TraceApi for Client {
    fn trace(&self, options: TraceOptions) -> Answer<'_, Vec<TraceEntry>> {
        Box::pin(async move {
            let query = QueryText::default()
                .with("app", options.app)
                .with("path", options.path)
                .with("status", options.status)
                .with("slow_ms", options.slow_ms)
                .with("request_id", options.request_id)
                .with("after", options.after)
                .with("limit", options.limit);
            let items: Items<TraceEntry> = self.read(Operation::Trace, &[], query, Payload::Nothing).await?;
            Ok(items.items)
        })
    }

    fn trace_way(&self, ask: TraceAsk) -> Answer<'_, TraceWay> {
        Box::pin(async move { self.read(Operation::TraceWay, &[], QueryText::default(), Payload::json(&ask)).await })
    }
}
