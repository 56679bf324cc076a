//! One run of a component, as the tasks that serve it share it: the handler, the response's body,
//! requests to the outside, the console.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base::{Clock, Code, code};
use telemetry::{InvocationRecord, Level, Phases, Start, Usage};
use tokio::sync::Notify;
use tokio::time::Instant;
use worker::{Call, Env, Failure, Meter};

use super::share::Share;
use crate::lines::{self, Line};

pub struct Invocation {
    pub call: Call,
    pub env: Arc<Env>,
    pub meter: Meter,
    share: Share,
    clock: Arc<dyn Clock>,
    /// Position in the record.
    place: usize,
    /// Why the guest was ended, or ended itself.
    failure: OnceLock<Failure>,
    log_cut: AtomicBool,
    memory_bytes: AtomicU64,
    stage: Mutex<Stage>,
    /// The stage has changed.
    moved: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    BeforeHead,
    /// The body flows; a piece was last taken at this moment.
    Body(Instant),
    /// Nobody waits for anything; since when.
    After(Instant),
}

impl Invocation {
    /// Enters the run in the record.
    pub fn begin(
        call: Call,
        env: Arc<Env>,
        share: Share,
        clock: Arc<dyn Clock>,
        instance: u64,
        phases: Phases,
    ) -> Arc<Self> {
        let entry = InvocationRecord {
            worker: env.worker.as_str().into(),
            instance,
            start: Start::Cold(phases),
            usage: Usage::default(),
            failure: None,
        };
        let place = {
            let mut record = call.record.edit();
            record.invocations.push(entry);
            record.invocations.len() - 1
        };
        Arc::new(Self {
            call,
            env,
            meter: Meter::default(),
            share,
            clock,
            place,
            failure: OnceLock::new(),
            log_cut: AtomicBool::new(false),
            memory_bytes: AtomicU64::new(0),
            stage: Mutex::new(Stage::BeforeHead),
            moved: Notify::new(),
        })
    }

    pub fn record_start(&self, phases: Phases) {
        self.edit(|entry| entry.start = Start::Cold(phases));
    }

    pub fn record_memory(&self, bytes: usize) {
        self.memory_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    fn edit(&self, change: impl FnOnce(&mut InvocationRecord)) {
        if let Some(entry) = self.call.record.edit().invocations.get_mut(self.place) {
            change(entry);
        }
    }

    /// The first failure counts.
    pub fn fail(&self, failure: Failure) {
        self.note(failure.code);
        // The failure that came first is kept.
        let _ = self.failure.set(failure);
    }

    fn note(&self, failure: Code) {
        self.edit(|entry| {
            entry.failure.get_or_insert(failure);
        });
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// The failure, of a handler that must have one.
    pub fn why_it_ended(&self) -> Failure {
        self.failure().cloned().unwrap_or_else(|| Failure::new(&code::INTERNAL, "the handler's task ended"))
    }

    pub fn log(&self, level: Level, text: &str) {
        let mut cut = self.log_cut.load(Ordering::Relaxed);
        let line = Line { level, text, site: None };
        lines::emit(&self.call, &self.meter, &self.env, &mut cut, self.clock.unix_ms(), line);
        self.log_cut.store(cut, Ordering::Relaxed);
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head is on its way; the body follows.
    pub fn head_sent(&self) {
        *self.stage() = Stage::Body(Instant::now());
        self.moved.notify_one();
    }

    pub fn is_head_sent(&self) -> bool {
        *self.stage() != Stage::BeforeHead
    }

    pub fn body_moved(&self) {
        *self.stage() = Stage::Body(Instant::now());
    }

    pub fn body_ended(&self) {
        *self.stage() = Stage::After(Instant::now());
        self.moved.notify_one();
    }

    /// Ends when the guest has had its time: while its body stands still, or after it.
    pub async fn overdue(&self) -> Failure {
        let limits = &self.env.limits;
        loop {
            let stage = *self.stage();
            let deadline = match stage {
                Stage::BeforeHead => {
                    self.moved.notified().await;
                    continue;
                }
                Stage::Body(since) => since + Duration::from_millis(limits.stream_idle_ms),
                Stage::After(since) => since + Duration::from_millis(limits.wait_until_ms),
            };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = self.moved.notified() => continue,
            }
            match stage {
                // A piece that was taken meanwhile moves the deadline.
                _ if *self.stage() != stage => {}
                Stage::After(_) => {
                    let ms = limits.wait_until_ms;
                    let detail = format!("the handler was ended {ms} ms after its response (limits.wait_until_ms)");
                    return Failure::new(&code::WAIT_UNTIL_EXCEEDED, detail);
                }
                _ => {
                    let ms = limits.stream_idle_ms;
                    let detail = format!("the response body stood still for {ms} ms (limits.stream_idle_ms)");
                    return Failure::new(&code::STREAM_IDLE, detail);
                }
            }
        }
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        self.meter.cpu_us.store(self.share.spent().as_micros() as u64, Ordering::Relaxed);
        let usage = self.meter.usage(self.memory_bytes());
        self.edit(|entry| entry.usage = usage);
    }
}
