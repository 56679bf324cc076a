//! A component's share of its core: the CPU time it has used, and its place in the slow lane.
//!
//! A component's handler is one future, polled again and again: while it computes, and while it
//! waits for a body or a timer. So its time is taken around each poll, and a wait gives its place
//! in the slow lane back, unless it waits for that very place.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use worker::Core;

use crate::cpu;
use crate::runtime::Runtime;

/// A guest that has run for less than this since it last waited is not sent to the slow lane.
const FAST: Duration = Duration::from_micros(500);

#[derive(Clone, Default)]
pub struct Share(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spent: Duration,
    /// Since the guest last waited for something outside.
    stretch: Duration,
    /// Thread time up to which `spent` is right; only during a poll.
    mark: Duration,
    /// The guest waits for a turn.
    queueing: bool,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

/// What to do about a guest that a tick found running.
pub enum Verdict {
    GoOn,
    TakeTurns,
    End,
}

impl State {
    fn charge(&mut self) {
        let now = cpu::thread_time();
        let used = now.saturating_sub(self.mark);
        self.mark = now;
        self.spent += used;
        self.stretch += used;
    }
}

impl Share {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn spent(&self) -> Duration {
        self.lock().spent
    }

    /// The guest is in the middle of a computation, and off the core.
    pub fn is_paused(&self) -> bool {
        self.lock().queueing
    }

    pub fn verdict(&self, cpu_max: Duration) -> Verdict {
        let mut state = self.lock();
        state.charge();
        if state.spent > cpu_max {
            Verdict::End
        } else if state.stretch < FAST {
            Verdict::GoOn
        } else {
            Verdict::TakeTurns
        }
    }

    /// Lets everything else on the core run while the place is still held, then queues up again.
    pub fn take_turns(&self, core: Core, app: Arc<str>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let held = {
            let mut state = self.lock();
            state.queueing = true;
            state.permits.take()
        };
        let share = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            drop(held);
            let permits = core.turn(&app).await;
            let mut state = share.lock();
            state.permits = permits;
            state.queueing = false;
        })
    }

    /// Polls a guest's future, at the expense of this share.
    pub async fn metered<F: Future>(&self, runtime: &Runtime, guest: F) -> F::Output {
        let mut guest = std::pin::pin!(guest);
        std::future::poll_fn(|cx| {
            runtime.entering();
            self.lock().mark = cpu::thread_time();
            let polled: Poll<F::Output> = guest.as_mut().poll(cx);
            let mut state = self.lock();
            state.charge();
            if !state.queueing {
                state.permits = None;
                state.stretch = Duration::ZERO;
            }
            polled
        })
        .await
    }
}
