//! Stopping without losing anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use telemetry::{GuestLine, Mirrored, Record, Sink};
use tokio::sync::{Notify, watch};

/// Begins a drain, and knows what is still in progress: every record that is open, so work passed
/// to `waitUntil` counts. Shared by all cores; clones are the same drain.
#[derive(Clone)]
pub struct Drain(Arc<Shared>);

struct Shared {
    begun: watch::Sender<bool>,
    /// For this long at most, if that is shorter than the limit.
    within: OnceLock<Duration>,
    open: AtomicU64,
    emptied: Notify,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            begun: watch::Sender::new(false),
            within: OnceLock::new(),
            open: AtomicU64::new(0),
            emptied: Notify::new(),
        }))
    }

    /// Every core stops accepting, finishes what has begun, and returns from `run_core`, within the
    /// limit of a drain.
    pub fn begin(&self) {
        self.0.begun.send_replace(true);
    }

    /// The same for a successor that waits for it: within this, if it is shorter, but answers that need
    /// nothing of the node any more go on after it.
    pub fn hand_over(&self, within: Duration) {
        // The first word counts.
        let _ = self.0.within.set(within);
        self.begin();
    }

    /// Whether somebody waits for what this node holds.
    pub fn is_handover(&self) -> bool {
        self.0.within.get().is_some()
    }

    pub fn is_begun(&self) -> bool {
        *self.0.begun.borrow()
    }

    /// How long a drain may take whose limit is this.
    pub fn limit(&self, limit: Duration) -> Duration {
        self.0.within.get().map_or(limit, |within| limit.min(*within))
    }

    /// Waits for [`Drain::begin`].
    pub async fn begun(&self) {
        let mut receiver = self.0.begun.subscribe();
        // The sender lives as long as `self`.
        let _ = receiver.wait_for(|begun| *begun).await;
    }

    /// Requests in progress on all cores, `waitUntil` work included.
    pub fn in_flight(&self) -> u64 {
        self.0.open.load(Ordering::Acquire)
    }

    /// Waits until nothing is in progress.
    pub async fn idle(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            let mut emptied = std::pin::pin!(emptied);
            emptied.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            emptied.await;
        }
    }

    pub(crate) fn enter(&self) {
        self.0.open.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

/// A sink that tells the drain when a record is complete.
pub(crate) struct Counted {
    pub sink: Arc<dyn Sink>,
    pub drain: Drain,
}

impl Sink for Counted {
    fn record(&self, record: Record) {
        self.sink.record(record);
        self.drain.leave();
    }

    fn take(&self, record: &mut Record) {
        self.sink.take(record);
        self.drain.leave();
    }

    fn line(&self, line: GuestLine) {
        self.sink.line(line);
    }

    fn mirrored(&self, mirrored: Mirrored) {
        self.sink.mirrored(mirrored);
    }
}
