//! The last requests of the node in this process.

use std::sync::Arc;
use std::time::Duration;

use base::code;
use control_api::{Answer, ApiError, TraceApi, TraceAsk, TraceEntry, TraceOptions, TraceWay};
use telemetry::recent::{Numbered, StatusFilter, Wanted};
use telemetry::{Recent, Record};

use super::Control;

/// Answered at once, if nothing else is asked.
const LISTED: u64 = 50;
/// Answered at once at most.
const LISTED_MAX: u64 = 1_000;

/// What a node remembers and knows of its requests.
#[derive(Clone)]
pub struct Traced {
    pub recent: Arc<Recent>,
    /// Which way a request goes, and what comes of it if it is to be sent.
    pub way: Arc<dyn Fn(TraceAsk) -> Answer<'static, TraceWay> + Send + Sync>,
}

impl Control {
    fn traced(&self) -> Result<&Traced, ApiError> {
        let stopped = || ApiError::new(&code::NODE_STOPPED, "no node runs on this data, so there is nothing to trace");
        self.parts.traced.as_ref().ok_or_else(stopped)
    }
}

fn wanted(options: TraceOptions) -> Result<Wanted, ApiError> {
    let bad = |text: &str| {
        let message = format!("{text:?} is no status; it is one such as 404, or a class such as 5xx");
        ApiError::new(&code::BAD_REQUEST, message)
    };
    let status = options.status.map(|text| StatusFilter::parse(&text).ok_or_else(|| bad(&text))).transpose()?;
    let TraceOptions { app, path, slow_ms, request_id, after, .. } = options;
    Ok(Wanted { app, path, status, slow_ms, request_id, after: after.unwrap_or(0) })
}

/// A record as it is told.
pub fn trace_entry(number: u64, record: &Record) -> TraceEntry {
    let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    TraceEntry {
        number,
        time_ms: record.started_unix_ms,
        request_id: record.request_id.clone(),
        app: text(&record.app),
        route: text(&record.route),
        target: text(&record.target),
        server: text(&record.server),
        tries: record.tries,
        client: record.client.map(|client| client.to_string()),
        protocol: record.protocol.to_owned(),
        method: record.method.clone(),
        host: record.host.clone(),
        path: record.path.clone(),
        status: record.status,
        cache: record.cache_text().into_owned(),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        head_us: us(record.head),
        total_us: us(record.total),
        code: record.code.map(|code| code.name.to_owned()),
        detail: record.detail.clone(),
    }
}

impl TraceApi for Control {
    fn trace(&self, options: TraceOptions) -> Answer<'_, Vec<TraceEntry>> {
        Box::pin(async move {
            let limit = options.limit.unwrap_or(LISTED).min(LISTED_MAX);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let wanted = wanted(options)?;
            Ok(self
                .traced()?
                .recent
                .find(&wanted, limit)
                .iter()
                .map(|Numbered { number, record }| trace_entry(*number, record))
                .collect())
        })
    }

    fn trace_way(&self, ask: TraceAsk) -> Answer<'_, TraceWay> {
        Box::pin(async move { (self.traced()?.way)(ask).await })
    }
}
