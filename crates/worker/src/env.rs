//! The environment of a worker: what its manifest was granted, opened, and the only meter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{BindingName, Body, Secret, SocketOptions, WorkerLimits, WorkerName, code};
use futures_util::future::{BoxFuture, LocalBoxFuture};
use http::{HeaderMap, Method};
use services::egress::EgressPolicy;
use services::kv::{Kv, KvNamespace};
use services::object::ObjectClass;
use services::postgres::Database;

use crate::{Call, Event, Failure, Frame, Objects, Response, ResponseCache, SqlBinding, SqlHeld};

/// Everything one worker may reach. Made when a deployment is released, shared by its instances.
pub struct Env {
    pub app: Arc<str>,
    pub worker: WorkerName,
    pub bindings: Vec<(BindingName, Handle)>,
    pub limits: WorkerLimits,
    pub egress: Arc<EgressPolicy>,
    pub fetcher: Arc<dyn Fetcher>,
    /// Shared by all apps of the node; each finds its own.
    pub responses: ResponseCache,
    /// Leads from positions in what runs to positions in what was written, where the two differ.
    pub source_map: Option<Arc<dyn SourceMap>>,
    /// The developer is the only one who looks: errors keep their stack where they leave a worker.
    pub dev: bool,
}

/// Knows where the code of a worker came from.
pub trait SourceMap: Send + Sync + 'static {
    /// The same stack trace with original positions.
    fn map_stack(&self, stack: &str) -> String;
}

impl Env {
    /// The same text with the positions at the ends of its lines in terms of the original source.
    pub fn original(&self, text: &str) -> String {
        self.source_map.as_ref().map_or_else(|| text.to_owned(), |map| map.map_stack(text))
    }

    /// The failure with the guest's stack trace, in terms of the original source.
    pub fn located(&self, failure: Failure, stack: String) -> Failure {
        if stack.is_empty() {
            return failure;
        }
        let stack = self.original(&stack);
        let frame = Frame::first(&stack);
        Failure { stack: Some(stack), frame, ..failure }
    }
}

/// One binding, opened.
pub enum Handle {
    Text(String),
    /// A JSON value, as text.
    Json(String),
    Secret(Secret<String>),
    Kv {
        provider: Arc<dyn Kv>,
        namespace: KvNamespace,
    },
    /// A database, or a family of them.
    Sql(Arc<SqlBinding>),
    /// Another worker of the app, or its assets.
    Service(Arc<dyn Invoker>),
    /// A class of durable objects.
    Objects {
        class: ObjectClass,
        objects: Arc<dyn Objects>,
    },
    Postgres(Arc<dyn Database>),
}

/// Calls guest code (or what answers like it) inside the node: no network hop.
///
/// Called on a core's thread; the future stays on it.
pub trait Invoker: Send + Sync + 'static {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>>;
}

/// An outbound request.
pub struct Outbound {
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: url::Url,
    pub headers: HeaderMap,
    pub body: Body,
}

/// Makes one outbound HTTP exchange: no redirect is followed here. Every address that the name
/// resolves to is checked against the policy before a byte is sent to it.
pub trait Fetcher: Send + Sync + 'static {
    fn fetch(&self, policy: Arc<EgressPolicy>, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>>;

    /// Asks for a WebSocket, under the same policy. If the server agrees, the response has status
    /// 101 and brings an end of the socket ([`base::socket::Upgrade`]).
    fn upgrade(
        &self,
        _policy: Arc<EgressPolicy>,
        request: Outbound,
        _options: SocketOptions,
    ) -> BoxFuture<'static, Result<Response, Failure>> {
        let detail = format!("no WebSocket can be opened to {} from here", request.url);
        Box::pin(async move { Err(Failure::new(&code::UPSTREAM_UNREACHABLE, detail)) })
    }
}

/// Counts what one invocation uses and refuses what goes beyond its limits.
#[derive(Debug, Default)]
pub struct Meter {
    pub cpu_us: AtomicU64,
    /// CPU time of computations for the guest on other threads, which is part of `cpu_us` in the end.
    pub native_us: AtomicU64,
    pub subrequests: AtomicU64,
    pub kv_reads: AtomicU64,
    pub kv_writes: AtomicU64,
    pub sql_rows_read: AtomicU64,
    pub sql_rows_written: AtomicU64,
    /// What it has open in databases; it ends with it.
    pub sql: SqlHeld,
    pub log_bytes: AtomicU64,
    /// `subrequests` and `log_bytes` when the allowances were renewed last.
    renewed: [AtomicU64; 2],
}

impl Meter {
    /// Counts a call to anything outside the sandbox.
    pub fn subrequest(&self, limits: &WorkerLimits) -> Result<(), Failure> {
        let renewed = self.renewed[0].load(Ordering::Relaxed);
        if self.subrequests.fetch_add(1, Ordering::Relaxed) - renewed < limits.subrequests {
            return Ok(());
        }
        self.subrequests.fetch_sub(1, Ordering::Relaxed);
        let max = limits.subrequests;
        Err(Failure::new(&code::SUBREQUESTS_EXCEEDED, format!("more than {max} sub-requests (limits.subrequests)")))
    }

    /// True if these bytes of log may still be written.
    pub fn log(&self, bytes: u64, limits: &WorkerLimits) -> bool {
        let renewed = self.renewed[1].load(Ordering::Relaxed);
        self.log_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= limits.log_bytes.saturating_add(renewed)
    }

    /// A new event of the same invocation: a message on its WebSocket. Limits are for each event,
    /// what is counted is for all of them.
    pub fn renew(&self) {
        for (renewed, counter) in self.renewed.iter().zip([&self.subrequests, &self.log_bytes]) {
            renewed.store(counter.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub fn usage(&self, memory_bytes: u64) -> telemetry::Usage {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        telemetry::Usage {
            cpu: std::time::Duration::from_micros(read(&self.cpu_us)),
            memory_bytes,
            subrequests: read(&self.subrequests),
            kv_reads: read(&self.kv_reads),
            kv_writes: read(&self.kv_writes),
            sql_rows_read: read(&self.sql_rows_read),
            sql_rows_written: read(&self.sql_rows_written),
            log_bytes: read(&self.log_bytes),
        }
    }
}

#[cfg(test)]
mod tests;
