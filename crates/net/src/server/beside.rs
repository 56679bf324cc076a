//! The streams that run in the task of their connection.
//!
//! Each has a place, and a place has one waker for all who come there: nothing is made for a stream that its
//! place does not have from the last one. Who is woken stands in a list, and only who stands there is polled. A
//! waker that outlives its stream calls whoever has the place then, who looks and waits on.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// Places that are kept while nobody has one.
const PLACES_KEPT: usize = 16;

pub(super) type Running = Pin<Box<dyn Future<Output = ()>>>;

pub(super) struct Streams {
    places: Vec<Place>,
    /// Those that nobody has.
    free: Vec<usize>,
    calls: Arc<Calls>,
    /// Room for who is polled.
    called: Vec<usize>,
}

struct Place {
    running: Option<Running>,
    call: Arc<Call>,
    waker: Waker,
}

/// Who was woken, and what wakes the task that polls them.
struct Calls {
    waiting: Mutex<Vec<usize>>,
    task: Waker,
}

/// What wakes one of them.
struct Call {
    at: usize,
    /// It stands in the list.
    is_waiting: AtomicBool,
    calls: Arc<Calls>,
}

impl Streams {
    /// `task` is woken when one of them is.
    pub fn new(task: Waker) -> Self {
        let calls = Arc::new(Calls { waiting: Mutex::default(), task });
        Self { places: Vec::new(), free: Vec::new(), calls, called: Vec::new() }
    }

    /// One more, which is polled next.
    pub fn push(&mut self, running: Running) {
        let at = self.free.pop().unwrap_or_else(|| {
            let at = self.places.len();
            let call = Arc::new(Call { at, is_waiting: AtomicBool::new(false), calls: self.calls.clone() });
            self.places.push(Place { running: None, waker: Waker::from(call.clone()), call });
            at
        });
        let place = &mut self.places[at];
        place.running = Some(running);
        place.call.wait();
    }

    /// Polls who was woken, but nobody twice.
    pub fn poll(&mut self) {
        std::mem::swap(&mut *self.calls.waiting(), &mut self.called);
        for at in self.called.drain(..) {
            let Some(Place { running, call, waker }) = self.places.get_mut(at) else { continue };
            call.is_waiting.store(false, Ordering::SeqCst);
            let Some(polled) = running else { continue };
            if polled.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                *running = None;
                self.free.push(at);
            }
        }
        if self.free.len() == self.places.len() && self.places.len() > PLACES_KEPT {
            self.places.truncate(PLACES_KEPT);
            self.free = (0..PLACES_KEPT).collect();
        }
    }
}

impl Calls {
    fn waiting(&self) -> MutexGuard<'_, Vec<usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Puts it into the list; whether it did not stand there already.
    fn wait(&self) -> bool {
        let is_new = !self.is_waiting.swap(true, Ordering::SeqCst);
        if is_new {
            self.calls.waiting().push(self.at);
        }
        is_new
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.wait() {
            self.calls.task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests;
