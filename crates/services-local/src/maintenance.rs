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

use crate::kv::LocalKv;

/// How often expired entries are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The thread; it ends when this is dropped.
pub struct Maintenance {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Maintenance {
    pub fn start(kv: &Arc<LocalKv>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let kv: Weak<LocalKv> = Arc::downgrade(kv);
        let work = move || {
            while stopped.recv_timeout(SWEEP_EVERY) == Err(RecvTimeoutError::Timeout) {
                let Some(kv) = kv.upgrade() else { return };
                if let Err(error) = block_on(kv.sweep()) {
                    tracing::warn!(%error, "expired entries could not be removed; it is tried again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("store-sweep".into()).spawn(work)?;
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
