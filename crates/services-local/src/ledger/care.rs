//! What keeps the log short: databases that hold an old segment are made durable on their own, and
//! segments that none needs go.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use services::StoreError;

use super::Inner;
use super::segment::{self, SEGMENT_BYTES};

const EVERY: Duration = Duration::from_millis(500);

/// The thread; it ends when this is dropped.
pub struct Care {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Care {
    pub fn start(inner: Arc<Inner>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = inner.tend() {
                    tracing::warn!(%error, "the ledger could not be shortened; it is tried again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("ledger-care".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Care {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inner {
    /// One round.
    pub(super) fn tend(&self) -> Result<(), StoreError> {
        let current = self.log.segment();
        // Half of what the log may hold is for what comes while this works.
        let kept = (self.bytes_max / SEGMENT_BYTES / 2).max(1);
        let mut needed_from = current;
        for member in self.all() {
            let Some(mut needed) = member.needed_from() else {
                self.let_go(&member);
                continue;
            };
            if needed + kept < current || !member.is_held() {
                // One that can't be copied now, because it is read or written, is not in the way of
                // the others.
                if let Err(error) = member.copy_idle().and_then(|_| member.flush()) {
                    tracing::warn!(file = %member.path.display(), %error, "a database holds up the ledger");
                }
                needed = member.needed_from().unwrap_or(current);
            }
            needed_from = needed_from.min(needed);
        }
        self.retire_before(needed_from)
    }

    /// Gives up the segments before this one.
    fn retire_before(&self, number: u64) -> Result<(), StoreError> {
        let fail = |error| crate::disk::store_error(&self.dir, &error);
        // The one being filled may not exist yet, and the last one before it says where it ends.
        let segments = segment::list(&self.dir).map_err(fail)?;
        let newest = segments.last().copied().unwrap_or(0);
        for &old in segments.iter().filter(|&&old| old < number && old < newest) {
            segment::retire(&self.dir, old).map_err(fail)?;
        }
        self.set_oldest(number.min(newest));
        Ok(())
    }
}
