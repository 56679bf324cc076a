//! What became of requests, and which way a URL goes.

use super::Answer;
use crate::model::{TraceAsk, TraceEntry, TraceOptions, TraceWay};

/// The part of [`Api`](super::Api) that looks back on requests. Only a node that runs answers it.
pub trait TraceApi: Send + Sync {
    /// The last requests that are wanted, in the order in which they were completed.
    fn trace(&self, options: TraceOptions) -> Answer<'_, Vec<TraceEntry>>;

    /// Which way a request goes, and why no other; and if it is to be sent, what comes of it.
    fn trace_way(&self, ask: TraceAsk) -> Answer<'_, TraceWay>;
}
