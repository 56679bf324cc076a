//! Flushing what objects have committed.
//!
//! A log is flushed through a descriptor of its own: SQLite's locks are on other files, so to open
//! and close this one does them no harm, and a flush is the file's, whoever asks for it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use services::StoreError;
use services::object::{ObjectKey, Ticket};
use tokio::sync::oneshot;

use super::{Shared, Slot};
use crate::disk;

/// The flushes of one open file.
pub struct Syncer {
    log: File,
    path: PathBuf,
    key: ObjectKey,
    slot: Arc<Slot>,
    state: Mutex<State>,
}

type Waiting = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
struct State {
    /// Commits that no flush has begun for.
    waiting: Vec<Waiting>,
    /// What the index of alarms is to say before the next flush.
    alarm: Option<Option<u64>>,
    /// A job is queued or running.
    scheduled: bool,
    failed: Option<StoreError>,
}

impl Syncer {
    pub fn new(log: File, path: PathBuf, key: ObjectKey, slot: Arc<Slot>) -> Arc<Self> {
        Arc::new(Self { log, path, key, slot, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is durable any more, if a flush failed.
    pub fn failed(&self) -> Option<StoreError> {
        self.state().failed.clone()
    }

    /// Flushes everything that was committed until now. `alarm` is what the alarm was changed to.
    pub fn flush(self: &Arc<Self>, shared: &Arc<Shared>, alarm: Option<Option<u64>>) -> Result<Ticket, StoreError> {
        let (done, answer) = oneshot::channel();
        let mut state = self.state();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if alarm.is_some() {
            state.alarm = alarm;
        }
        state.waiting.push(done);
        if !state.scheduled {
            self.schedule(shared)?;
            state.scheduled = true;
        }
        let abandoned = |_| Err(StoreError::Failed("a flush was abandoned".into()));
        Ok(Ticket::of(async move { answer.await.unwrap_or_else(abandoned) }))
    }

    fn schedule(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), StoreError> {
        let (this, of) = (self.clone(), shared.clone());
        shared.pool.spawn(self.slot.lane, move || this.run(&of))
    }

    /// One flush, then to the end of the line, if more was committed meanwhile.
    fn run(self: Arc<Self>, shared: &Arc<Shared>) {
        let (waiting, alarm) = {
            let mut state = self.state();
            (std::mem::take(&mut state.waiting), state.alarm.take())
        };
        let indexed = alarm.map_or(Ok(()), |due_ms| shared.alarms.set(&self.key, due_ms));
        let result = indexed.and_then(|()| self.log.sync_data().map_err(|e| disk::store_error(&self.path, &e)));
        let mut state = self.state();
        if let Err(error) = &result {
            self.slot.in_doubt.store(true, Ordering::Release);
            state.failed = Some(error.clone());
        }
        let more = !state.waiting.is_empty();
        let rescheduled = if more && result.is_ok() { self.schedule(shared) } else { result.clone() };
        state.scheduled = more && rescheduled.is_ok();
        // What gathered behind a failure fails with it.
        let behind = if rescheduled.is_err() { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        // Whoever does not wait any more has been reset.
        waiting.into_iter().for_each(|waiting| drop(waiting.send(result.clone())));
        behind.into_iter().for_each(|waiting| drop(waiting.send(rescheduled.clone())));
    }
}
