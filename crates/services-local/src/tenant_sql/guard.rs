//! What a connection's callbacks share with whoever runs a statement on it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Clock;
use rusqlite::hooks::Authorization;

use super::Budget;
use super::policy::Verdict;

/// Whose statements are being compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Tenant,
    /// A tenant's, in a transaction that is not its own, of which it need not know.
    Migration,
    /// A dump, which may begin and end a transaction of its own as well.
    Import,
    Trusted,
}

impl Mode {
    fn from_number(number: u8) -> Self {
        match number {
            1 => Mode::Migration,
            2 => Mode::Import,
            3 => Mode::Trusted,
            _ => Mode::Tenant,
        }
    }
}

/// Ends a statement from another thread, now or as soon as it runs.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The state of one connection. The callbacks run on the thread that runs the statement; atomics
/// are there because SQLite's interface can't say so.
#[derive(Debug, Default)]
pub struct Guard {
    mode: AtomicU8,
    /// In microseconds of the clock.
    until_us: AtomicU64,
    cancel: Mutex<Option<Cancel>>,
    has_cancel: AtomicBool,
    refusal: Mutex<Option<String>>,
}

impl Guard {
    pub fn mode(&self) -> Mode {
        Mode::from_number(self.mode.load(Ordering::Relaxed))
    }

    /// Runs something in another mode.
    pub fn within<T>(&self, mode: Mode, work: impl FnOnce() -> T) -> T {
        let before = self.mode.swap(mode as u8, Ordering::Relaxed);
        let answer = work();
        self.mode.store(before, Ordering::Relaxed);
        answer
    }

    /// Sets the bounds of what runs next.
    pub fn arm(&self, now: Duration, budget: &Budget) {
        let until = now.saturating_add(budget.time).as_micros();
        self.until_us.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        if budget.cancel.is_some() || self.has_cancel.load(Ordering::Relaxed) {
            *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = budget.cancel.clone();
            self.has_cancel.store(budget.cancel.is_some(), Ordering::Relaxed);
        }
    }

    /// Whether what runs has to end.
    pub fn is_over(&self, clock: &dyn Clock) -> bool {
        if self.mode() == Mode::Trusted {
            return false;
        }
        self.is_cancelled() || clock.monotonic().as_micros() > u128::from(self.until_us.load(Ordering::Relaxed))
    }

    pub fn is_cancelled(&self) -> bool {
        self.has_cancel.load(Ordering::Relaxed)
            && self.cancel.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// Keeps the reason of a refusal for the error that follows.
    pub fn note(&self, verdict: Verdict) -> Authorization {
        match verdict {
            Verdict::Allow => Authorization::Allow,
            Verdict::Ignore => Authorization::Ignore,
            Verdict::Refuse(reason) => {
                self.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
                Authorization::Deny
            }
        }
    }

    pub fn take_refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
