//! The wide event of a request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::Code;

use crate::{Steps, TraceContext};

/// Everything worth knowing about one request, or about one event that came from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Milliseconds since the Unix epoch at which the request's head was complete.
    pub started_unix_ms: u64,
    pub request_id: String,
    pub trace: TraceContext,
    pub app: Option<Arc<str>>,
    pub deployment: Option<Arc<str>>,
    /// The pattern of the route that matched.
    pub route: Option<Arc<str>>,
    /// Where the route led: `worker web`, `upstream shop`, `assets public`.
    pub target: Option<Arc<str>>,
    /// Which of an upstream's servers answered, or was asked last.
    pub server: Option<Arc<str>>,
    /// How often a server was asked.
    pub tries: u32,
    /// What the cache did, as in `Cache-Status` (RFC 9211) without the name; empty if nothing was answered.
    pub cache: Cow<'static, str>,
    /// Seconds for which a hit is fresh, if `cache` does not say it.
    pub ttl_s: Option<i64>,
    pub client: Option<IpAddr>,
    pub method: String,
    pub host: String,
    pub path: String,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// 0 if no response was sent.
    pub status: u16,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// To the head of the response.
    pub head: Duration,
    /// To the last byte of the response.
    pub total: Duration,
    /// Time in the queue for admission.
    pub admission_wait: Duration,
    /// The error that Selvedge answered with, or that ended the response early.
    pub code: Option<Code>,
    /// For the log only: what the client was not told.
    pub detail: Option<String>,
    /// Every run of guest code on behalf of this request, nested ones included, in order of start.
    pub invocations: Vec<InvocationRecord>,
    /// Where each step is written down, if they are wanted.
    pub steps: Option<Arc<Steps>>,
}

impl Record {
    /// What the cache did, with all its parameters.
    pub fn cache_text(&self) -> Cow<'_, str> {
        match self.ttl_s {
            Some(ttl_s) => format!("{}; ttl={ttl_s}", self.cache).into(),
            None => Cow::Borrowed(&self.cache),
        }
    }
}

/// One run of guest code.
#[derive(Debug, Clone)]
pub struct InvocationRecord {
    pub worker: Arc<str>,
    /// Which instance ran it: unique within the node's lifetime.
    pub instance: u64,
    pub start: Start,
    pub usage: Usage,
    pub failure: Option<Code>,
}

/// Whether an instance was at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Warm,
    Cold(Phases),
}

/// The phases of a cold start. They follow each other, so they add up to the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// From disk: verify and map the image, or nothing if it was still loaded.
    pub load: Duration,
    /// Allocate a slot, map the memory, link the modules.
    pub instantiate: Duration,
    /// Build `env` in the new instance.
    pub prepare: Duration,
    /// From entry into the guest to the head of the response.
    pub first_response: Duration,
}

impl Phases {
    pub fn total(&self) -> Duration {
        self.load + self.instantiate + self.prepare + self.first_response
    }
}

/// What one invocation used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu: Duration,
    /// Largest linear memory seen, in bytes; shared by all requests of a shared instance.
    pub memory_bytes: u64,
    pub subrequests: u64,
    pub kv_reads: u64,
    pub kv_writes: u64,
    pub blob_reads: u64,
    pub blob_writes: u64,
    pub sql_rows_read: u64,
    pub sql_rows_written: u64,
    pub log_bytes: u64,
}

/// A line that guest code wrote to its console.
#[derive(Debug, Clone)]
pub struct GuestLine {
    pub unix_ms: u64,
    pub app: Arc<str>,
    pub worker: Arc<str>,
    pub request_id: String,
    pub level: Level,
    pub text: String,
    /// Where in the original source the call stands: `file:line:column`.
    pub source: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Where records and guest lines go. Called on the hot path: an implementation must not block.
pub trait Sink: Send + Sync + 'static {
    fn record(&self, record: Record);
    fn line(&self, line: GuestLine);

    /// A copy of a request was answered, or was not.
    fn mirrored(&self, _: Mirrored) {}

    /// The same as `record`, without a move of all of it: what is left says nothing any more.
    fn take(&self, record: &mut Record) {
        self.record(std::mem::take(record));
    }

    /// The same as `record`, for a sink that shares the record with others. One that only looks
    /// at records does without the copy.
    fn observe(&self, record: &Record) {
        self.record(record.clone());
    }
}

/// What became of a copy of a request for a shadow target.
#[derive(Debug, Clone)]
pub struct Mirrored {
    pub app: Arc<str>,
    /// The pattern of the route.
    pub route: Arc<str>,
    pub outcome: MirrorOutcome,
}

/// How the answer of a shadow compares with the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorOutcome {
    /// The same status and the same body.
    Same,
    OtherStatus,
    OtherBody,
    /// The shadow gave no whole answer in time.
    Failed,
    /// No copy was sent (too many under way, or the body was not at hand), or the real answer broke off.
    Skipped,
}

impl MirrorOutcome {
    pub const ALL: [Self; 5] = [Self::Same, Self::OtherStatus, Self::OtherBody, Self::Failed, Self::Skipped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::OtherStatus => "other_status",
            Self::OtherBody => "other_body",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Keeps nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullSink;

impl Sink for NullSink {
    fn record(&self, _: Record) {}
    fn line(&self, _: GuestLine) {}
}

/// A share in a request's record. The record is emitted when the last share is dropped.
#[derive(Clone)]
pub struct RecordHandle(Arc<Shared>);

struct Shared {
    record: Mutex<Record>,
    sink: Arc<dyn Sink>,
}

impl RecordHandle {
    pub fn new(record: Record, sink: Arc<dyn Sink>) -> Self {
        Self(Arc::new(Shared { record: Mutex::new(record), sink }))
    }

    /// Reads or changes the record. Hold the guard for a few assignments only.
    pub fn edit(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn sink(&self) -> &Arc<dyn Sink> {
        &self.0.sink
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let record = std::mem::take(self.record.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.sink.record(record);
    }
}
