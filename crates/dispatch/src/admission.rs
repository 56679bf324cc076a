//! Admission: how many requests of one app may be in progress on the node, and who waits.
//!
//! A request that finds a place takes it with one compare-and-swap and gives it back with another;
//! no lock is touched. Only when a request has to wait, or a place is given back while someone
//! waits, does the queue's lock come into play. The queue is one for all cores and first come,
//! first served, so a busy core can't starve another's requests.
//!
//! [`Counts`] is the whole policy, as pure functions; [`Admission`] keeps one in an atomic word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

/// What admission may allow: `AppLimits::concurrency` and `AppLimits::queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub concurrency: u32,
    pub queue: u32,
}

impl Bounds {
    pub fn of(limits: &base::AppLimits) -> Self {
        let clamp = |value: u64| u32::try_from(value).unwrap_or(Counts::WAITING_MAX).min(Counts::WAITING_MAX);
        Self { concurrency: clamp(limits.concurrency).max(1), queue: clamp(limits.queue) }
    }
}

/// The state of an app's admission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub in_progress: u32,
    pub waiting: u32,
    /// The node is draining: who waits already is still served, nobody else.
    pub closed: bool,
}

/// What becomes of a request that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Enters(Counts),
    Waits(Counts),
    Overloaded,
    Closed,
}

/// What becomes of a place that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    Frees(Counts),
    /// The first that waits gets the place.
    HandsOver(Counts),
}

impl Counts {
    const WAITING_MAX: u32 = u32::MAX >> 1;

    pub fn arrive(self, bounds: Bounds) -> Arrival {
        if self.closed {
            Arrival::Closed
        } else if self.waiting == 0 && self.in_progress < bounds.concurrency {
            Arrival::Enters(Self { in_progress: self.in_progress + 1, ..self })
        } else if self.waiting < bounds.queue {
            Arrival::Waits(Self { waiting: self.waiting + 1, ..self })
        } else {
            Arrival::Overloaded
        }
    }

    pub fn depart(self, bounds: Bounds) -> Departure {
        if self.waiting > 0 && self.in_progress <= bounds.concurrency {
            Departure::HandsOver(Self { waiting: self.waiting - 1, ..self })
        } else {
            Departure::Frees(Self { in_progress: self.in_progress - 1, ..self })
        }
    }

    /// One that waits stops waiting.
    pub fn give_up(self) -> Self {
        Self { waiting: self.waiting - 1, ..self }
    }

    /// After the bounds were raised: the first that waits enters, if there is room.
    pub fn promote(self, bounds: Bounds) -> Option<Self> {
        let room = self.waiting > 0 && self.in_progress < bounds.concurrency;
        room.then(|| Self { in_progress: self.in_progress + 1, waiting: self.waiting - 1, ..self })
    }

    fn is_idle(self) -> bool {
        self.in_progress == 0 && self.waiting == 0
    }

    fn pack(self) -> u64 {
        u64::from(self.in_progress) | u64::from(self.waiting) << 32 | u64::from(self.closed) << 63
    }

    fn unpack(word: u64) -> Self {
        Self { in_progress: word as u32, waiting: (word >> 32) as u32 & Self::WAITING_MAX, closed: word >> 63 == 1 }
    }
}

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many wait as may.
    QueueFull,
    /// It waited for as long as it may.
    WaitedTooLong,
    Closed,
}

/// The admission of one app, shared by all cores.
pub(crate) struct Admission {
    word: AtomicU64,
    concurrency: AtomicU32,
    queue_max: AtomicU32,
    /// While this is locked, `Counts::waiting` is the queue's length.
    queue: Mutex<Queue>,
    idle: Notify,
    pub refused: AtomicU64,
    pub waited: AtomicU64,
}

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Slot>>,
}

/// A place in an app's admission, given back when it is dropped.
pub(crate) struct Slot(Arc<Admission>);

/// A place in the queue. Dropping it gives it up.
pub(crate) struct Waiting {
    admission: Arc<Admission>,
    id: u64,
    slot: oneshot::Receiver<Slot>,
}

pub(crate) enum Entry {
    Entered(Slot),
    Waiting(Waiting),
}

impl Admission {
    pub fn new(bounds: Bounds, closed: bool) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU64::new(Counts { closed, ..Counts::default() }.pack()),
            concurrency: AtomicU32::new(bounds.concurrency),
            queue_max: AtomicU32::new(bounds.queue),
            queue: Mutex::default(),
            idle: Notify::new(),
            refused: AtomicU64::new(0),
            waited: AtomicU64::new(0),
        })
    }

    /// Enters, or takes a place in the queue.
    pub fn enter(self: &Arc<Self>) -> Result<Entry, Refusal> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            match Counts::unpack(word).arrive(self.bounds()) {
                Arrival::Enters(next) => match self.swap(word, next) {
                    Ok(()) => return Ok(Entry::Entered(Slot(self.clone()))),
                    Err(now) => word = now,
                },
                Arrival::Waits(_) => return self.enqueue(),
                Arrival::Overloaded => return Err(self.refuse(Refusal::QueueFull)),
                Arrival::Closed => return Err(self.refuse(Refusal::Closed)),
            }
        }
    }

    pub fn counts(&self) -> Counts {
        Counts::unpack(self.word.load(Ordering::SeqCst))
    }

    /// A newer deployment brought other limits.
    pub fn set_bounds(self: &Arc<Self>, bounds: Bounds) {
        self.concurrency.store(bounds.concurrency, Ordering::SeqCst);
        self.queue_max.store(bounds.queue, Ordering::SeqCst);
        self.promote();
    }

    /// Refuses everyone from now on, except those who wait already.
    pub fn close(&self) {
        let closed = Counts { closed: true, ..Counts::default() }.pack();
        self.word.fetch_or(closed, Ordering::SeqCst);
    }

    /// Waits until nothing is in progress and nobody waits.
    pub async fn idle(&self) {
        loop {
            let mut notified = std::pin::pin!(self.idle.notified());
            notified.as_mut().enable();
            if self.counts().is_idle() {
                return;
            }
            notified.await;
        }
    }

    fn enqueue(self: &Arc<Self>) -> Result<Entry, Refusal> {
        let mut queue = self.lock();
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let (next, waits) = match Counts::unpack(word).arrive(self.bounds()) {
                Arrival::Enters(next) => (next, false),
                Arrival::Waits(next) => (next, true),
                Arrival::Overloaded => return Err(self.refuse(Refusal::QueueFull)),
                Arrival::Closed => return Err(self.refuse(Refusal::Closed)),
            };
            match self.swap(word, next) {
                Ok(()) if waits => break,
                Ok(()) => return Ok(Entry::Entered(Slot(self.clone()))),
                Err(now) => word = now,
            }
        }
        self.waited.fetch_add(1, Ordering::Relaxed);
        let (sender, slot) = oneshot::channel();
        let id = queue.next;
        queue.next += 1;
        queue.waiting.insert(id, sender);
        Ok(Entry::Waiting(Waiting { admission: self.clone(), id, slot }))
    }

    fn depart(self: &Arc<Self>) {
        let mut word = self.word.load(Ordering::SeqCst);
        while Counts::unpack(word).waiting == 0 {
            let Departure::Frees(next) = Counts::unpack(word).depart(self.bounds()) else { break };
            match self.swap(word, next) {
                Ok(()) => return self.note_idle(next),
                Err(now) => word = now,
            }
        }
        self.depart_with_queue();
    }

    fn depart_with_queue(self: &Arc<Self>) {
        let mut queue = self.lock();
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let (next, hands_over) = match Counts::unpack(word).depart(self.bounds()) {
                Departure::Frees(next) => (next, false),
                Departure::HandsOver(next) => (next, true),
            };
            match self.swap(word, next) {
                Ok(()) if hands_over => {
                    let first = queue.waiting.pop_first();
                    drop(queue);
                    return self.grant(first);
                }
                Ok(()) => {
                    drop(queue);
                    self.note_idle(next);
                    // The bounds may have been raised since they were read.
                    return self.promote();
                }
                Err(now) => word = now,
            }
        }
    }

    fn promote(self: &Arc<Self>) {
        while self.counts().waiting > 0 {
            let mut queue = self.lock();
            let word = self.word.load(Ordering::SeqCst);
            let Some(next) = Counts::unpack(word).promote(self.bounds()) else { return };
            if self.swap(word, next).is_ok() {
                let first = queue.waiting.pop_first();
                drop(queue);
                self.grant(first);
            }
        }
    }

    /// Gives a place to one that waited. If it went away meanwhile, its place comes back by itself.
    fn grant(self: &Arc<Self>, first: Option<(u64, oneshot::Sender<Slot>)>) {
        let slot = Slot(self.clone());
        if let Some((_, sender)) = first {
            let _ = sender.send(slot);
        }
    }

    fn give_up(&self, id: u64) {
        let mut queue = self.lock();
        if queue.waiting.remove(&id).is_none() {
            return;
        }
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let next = Counts::unpack(word).give_up();
            match self.swap(word, next) {
                Ok(()) => return self.note_idle(next),
                Err(now) => word = now,
            }
        }
    }

    fn note_idle(&self, counts: Counts) {
        if counts.closed && counts.is_idle() {
            self.idle.notify_waiters();
        }
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }

    fn bounds(&self) -> Bounds {
        Bounds { concurrency: self.concurrency.load(Ordering::SeqCst), queue: self.queue_max.load(Ordering::SeqCst) }
    }

    fn swap(&self, from: u64, to: Counts) -> Result<(), u64> {
        self.word.compare_exchange_weak(from, to.pack(), Ordering::SeqCst, Ordering::SeqCst).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub async fn within(mut self, longest: Duration) -> Result<Slot, Refusal> {
        match tokio::time::timeout(longest, &mut self.slot).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(self.admission.refuse(Refusal::WaitedTooLong)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.depart();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admission.give_up(self.id);
    }
}

#[cfg(test)]
mod tests;
