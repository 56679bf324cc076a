//! The steps of one request of which each is wanted, as `selvedge trace --send` wants them. Every other
//! request has none, and makes none of their texts.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Clock;

/// Steps that are kept of one request, so that a worker which asks again and again fills no memory.
const STEPS_MAX: usize = 500;
/// The longest text of one, in bytes.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// What happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Since the request was there.
    pub at: Duration,
    /// The part of the node that says it: `route`, `cache`, `upstream`.
    pub phase: &'static str,
    pub text: String,
}

/// Where they are written down; whoever works on the request has a share.
pub struct Steps {
    clock: Arc<dyn Clock>,
    started: Duration,
    taken: Mutex<Vec<Step>>,
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.so_far()).finish()
    }
}

impl Steps {
    /// The request is there now.
    pub fn begin(clock: Arc<dyn Clock>) -> Arc<Self> {
        let started = clock.monotonic();
        Arc::new(Self { clock, started, taken: Mutex::default() })
    }

    /// This happened just now.
    pub fn note(&self, phase: &'static str, mut text: String) {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        let at = self.clock.monotonic().saturating_sub(self.started);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() < STEPS_MAX {
            taken.push(Step { at, phase, text });
        }
    }

    /// What happened so far, in its order.
    pub fn so_far(&self) -> Vec<Step> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
