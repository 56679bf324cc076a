//! What became of requests, and which way a URL goes.

use super::Answer;
use crate::model::{TraceEntry, TraceOptions, TraceWay};

/// The part of [`Api`](super::Api) that looks back on requests. Only a node that runs answers it.
pub trait TraceApi: Send + Sync {
    /// The last requests that are wanted, in the order in which they were completed.
    fn trace(&self, options: TraceOptions) -> Answer<'_, Vec<TraceEntry>>;

    /// Which way a plain GET request for a URL goes, and why no other.
    fn trace_way(&self, url: String) -> Answer<'_, TraceWay>;
}
