//! The end of a lock, for whoever has to know of it: another process waits for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lies behind the lock of a directory, and goes after it.
pub(crate) struct Releasing(#[expect(dead_code, reason = "it is there to go")] Sender<()>);

/// Waits for the end of the lock of a directory.
#[derive(Clone)]
pub struct Released(Arc<Mutex<Receiver<()>>>);

pub(crate) fn pair() -> (Releasing, Released) {
    let (releasing, released) = channel();
    (Releasing(releasing), Released(Arc::new(Mutex::new(released))))
}

impl Released {
    /// Waits until the last part of what was open is closed and the lock is free. Blocks; false if that took
    /// longer than this.
    pub fn wait(&self, within: Duration) -> bool {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(receiver.recv_timeout(within), Err(RecvTimeoutError::Disconnected))
    }
}
