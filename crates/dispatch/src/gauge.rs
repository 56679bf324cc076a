//! Who acts where: the counts that pools, keepers and drains look at, and the [`Lease`] that an
//! invocation holds on its instance.
//!
//! Everything here may be touched from any thread, since a lease travels in `worker::Call`; in
//! practice a lease is dropped on the core that made it, so these atomics stay in that core's cache.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::admission::Slot;

/// Something that may have room, and those who wait for it.
#[derive(Default)]
pub(crate) struct Room {
    waiting: AtomicU32,
    freed: Notify,
}

impl Room {
    /// There is room for one more.
    pub fn signal(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Counts as one that waits until it is dropped.
    pub fn enlist(&self) -> Enlisted<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Enlisted(self)
    }
}

pub(crate) struct Enlisted<'a>(&'a Room);

impl Drop for Enlisted<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How a core's keeper is told that something is to be done.
#[derive(Default)]
pub(crate) struct CoreSignal {
    /// Keys of pools that have something to drop.
    dirty: Mutex<Vec<u64>>,
    sweep: AtomicBool,
    pub notify: Notify,
}

impl CoreSignal {
    pub fn mark(&self, pool: u64) {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
        self.notify.notify_one();
    }

    /// Look at every pool.
    pub fn sweep(&self) {
        self.sweep.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// What was asked for since the last time.
    pub fn take(&self) -> (Vec<u64>, bool) {
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        (dirty, self.sweep.swap(false, Ordering::SeqCst))
    }
}

/// Whether a deployment is current, and the end of its last invocation.
#[derive(Default)]
pub(crate) struct Lifecycle {
    pub retired: AtomicBool,
    /// Signalled when nothing acts on some core any more, once the deployment is retired.
    pub quiet: Notify,
}

impl Lifecycle {
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }
}

/// The counts of one worker on one core.
pub(crate) struct PoolGauge {
    pub key: u64,
    /// Invocations that are somewhere between the door and the end of `waitUntil`.
    pub acting: AtomicU32,
    pub instances: AtomicU32,
    /// At the last look.
    pub memory_bytes: AtomicU64,
    /// Room in one of the instances.
    pub room: Room,
    pub app_room: Arc<Room>,
    pub node_room: Arc<Room>,
    pub signal: Arc<CoreSignal>,
    pub lifecycle: Arc<Lifecycle>,
}

impl PoolGauge {
    pub fn begin(self: &Arc<Self>) -> Acting {
        self.acting.fetch_add(1, Ordering::SeqCst);
        Acting(self.clone())
    }

    pub fn in_flight(&self) -> u32 {
        self.acting.load(Ordering::SeqCst)
    }
}

/// Something acts in this pool until this is dropped.
pub(crate) struct Acting(Arc<PoolGauge>);

impl Drop for Acting {
    fn drop(&mut self) {
        if self.0.acting.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.lifecycle.is_retired() {
            self.0.lifecycle.quiet.notify_waiters();
            self.0.signal.mark(self.0.key);
        }
    }
}

/// The invocations of one instance.
pub(crate) struct MemberGauge {
    in_use: AtomicU32,
    /// The instance takes no more events: it is to be dropped when its last one is over.
    leaving: AtomicBool,
    pool: Arc<PoolGauge>,
}

impl MemberGauge {
    pub fn new(pool: Arc<PoolGauge>) -> Arc<Self> {
        Arc::new(Self { in_use: AtomicU32::new(0), leaving: AtomicBool::new(false), pool })
    }

    pub fn in_use(&self) -> u32 {
        self.in_use.load(Ordering::SeqCst)
    }

    /// Answers true if the last invocation is over already.
    pub fn leave(&self) -> bool {
        self.leaving.store(true, Ordering::SeqCst);
        self.in_use() == 0
    }
}

/// An invocation's hold on its instance and on its root's place in admission. It is what travels
/// in `Call::admission`.
pub(crate) struct Lease {
    slot: Arc<Slot>,
    member: Arc<MemberGauge>,
    _acting: Acting,
}

impl Lease {
    pub fn new(slot: Arc<Slot>, member: Arc<MemberGauge>, acting: Acting) -> Arc<Self> {
        member.in_use.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self { slot, member, _acting: acting })
    }

    /// The root's place, for an invocation that this one makes.
    pub fn slot(&self) -> Arc<Slot> {
        self.slot.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let pool = &self.member.pool;
        let last = self.member.in_use.fetch_sub(1, Ordering::SeqCst) == 1;
        pool.room.signal();
        if last {
            if self.member.leaving.load(Ordering::SeqCst) {
                pool.signal.mark(pool.key);
            }
            // What stands unused may be evicted for somebody else.
            pool.app_room.signal();
            pool.node_room.signal();
        }
    }
}
