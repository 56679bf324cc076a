//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::Clock;

/// Wall time and monotonic time that move together, and only when told.
#[derive(Debug)]
pub struct ManualClock {
    start_ms: u64,
    passed_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that shows a date in the middle of 2026.
    pub fn new() -> Arc<Self> {
        Self::at(1_780_000_000_000)
    }

    /// A clock that shows so many milliseconds since the Unix epoch.
    pub fn at(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self { start_ms: unix_ms, passed_ms: AtomicU64::new(0) })
    }

    pub fn advance(&self, ms: u64) {
        self.passed_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.start_ms + self.passed_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests;
