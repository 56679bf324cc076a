//! Which server answered a request, and at which try: for the record, whoever else reads the answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use telemetry::Record;

/// What is known so far. A request that was answered without any server leaves it empty.
#[derive(Default)]
pub(crate) struct Heard {
    server: Mutex<Option<Arc<str>>>,
    tries: AtomicU32,
}

impl Heard {
    /// This server is asked, or has answered.
    pub fn note(&self, server: &Arc<str>, tries: u64) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.clone());
        self.tries.store(u32::try_from(tries).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub fn write(&self, record: &mut Record) {
        record.server.clone_from(&self.server.lock().unwrap_or_else(PoisonError::into_inner));
        record.tries = self.tries.load(Ordering::Relaxed);
    }
}
