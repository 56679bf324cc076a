//! The [`Record`]: one wide event for each request, from which the access log, the metrics, the
//! trace and the usage are made. Nothing else counts or bills.
//!
//! A record is shared while its request is in progress: the edge, dispatch and the engine write
//! what they know through a [`RecordHandle`]. When the last handle is dropped nobody can add to it
//! any more, and it goes to the [`Sink`]. So a record is complete by construction, `waitUntil` work
//! included, and there is no moment at which somebody must remember to send it.
//!
//! Sinks are values that the binary makes and joins ([`Fanout`]); there is no global state. None
//! of them blocks: the [`AccessLog`] hands records to a thread of its own and drops (and counts)
//! what that thread can't keep up with, [`Metrics`] adds to atomic counters.

pub mod access_log;
pub mod fanout;
pub mod metrics;
pub mod recent;
pub mod record;
pub mod steps;
pub mod trace;

pub use access_log::{AccessLog, AccessLogOptions, Format};
pub use fanout::Fanout;
pub use metrics::Metrics;
pub use recent::Recent;
pub use record::{
    GuestLine, InvocationRecord, Level, MirrorOutcome, Mirrored, NullSink, Phases, Record, RecordHandle, Sink, Start,
    Usage,
};
pub use steps::{Step, Steps};
pub use trace::TraceContext;
