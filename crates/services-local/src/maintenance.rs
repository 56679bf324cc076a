//! What is done now and then, by one thread: reclaiming the space of expired entries, and of
//! content files that lost their row.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crate::blob::LocalBlobs;
use crate::kv::LocalKv;

/// How often expired entries are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Turns between two that look at all files of blobs.
const TURNS_TO_ALL: u64 = 60;

/// The thread; it ends when this is dropped.
pub struct Maintenance {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    pub fn start(kv: &Arc<LocalKv>) -> io::Result<Self> {
        let kv: Weak<LocalKv> = Arc::downgrade(kv);
        Self::every_minute("store-sweep", move |_| {
            let Some(kv) = kv.upgrade() else { return false };
            if let Err(error) = block_on(kv.sweep()) {
                tracing::warn!(%error, "expired entries could not be removed; it is tried again");
            }
            true
        })
    }

    /// The same for blobs; once an hour for files that are not open too, since lifecycles know no use.
    pub fn start_blobs(blobs: &Arc<LocalBlobs>) -> io::Result<Self> {
        let blobs: Weak<LocalBlobs> = Arc::downgrade(blobs);
        Self::every_minute("blob-sweep", move |turn| {
            let Some(blobs) = blobs.upgrade() else { return false };
            if let Err(error) = block_on(blobs.sweep(turn.is_multiple_of(TURNS_TO_ALL))) {
                tracing::warn!(%error, "what lifecycles want gone could not be removed; it is tried again");
            }
            true
        })
    }

    fn every_minute(name: &str, mut sweep: impl FnMut(u64) -> bool + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            let mut turn = 0;
            while stopped.recv_timeout(SWEEP_EVERY) == Err(RecvTimeoutError::Timeout) {
                if !sweep(turn) {
                    return;
                }
                turn += 1;
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for a future on this thread, which has nothing else to do.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
