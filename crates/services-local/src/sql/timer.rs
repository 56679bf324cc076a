//! Ends transactions that last too long, and closes databases that nobody uses.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Settings;
use super::files::Shared;
use super::transaction::Lease;

/// How exactly the ends of transactions are met.
const TICK: Duration = Duration::from_millis(50);
/// How often idle databases are looked for.
const IDLE_TICK: Duration = Duration::from_secs(5);

/// The thread; it ends when this is dropped.
pub struct Timer {
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Watched {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    leases: Vec<Weak<Lease>>,
    stopped: bool,
}

impl Timer {
    pub fn start(files: Arc<Shared>, settings: Arc<Settings>) -> io::Result<Self> {
        let watched = Arc::new(Watched::default());
        let seen = watched.clone();
        let work = move || seen.run(&files, &settings);
        let thread = std::thread::Builder::new().name("store-sql-timer".into()).spawn(work)?;
        Ok(Self { watched, thread: Some(thread) })
    }

    pub fn watch(&self, lease: &Arc<Lease>) {
        self.watched.state().leases.push(Arc::downgrade(lease));
        self.watched.wake.notify_one();
    }
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, files: &Shared, settings: &Settings) {
        let mut state = self.state();
        while !state.stopped {
            let pause = if state.leases.is_empty() { IDLE_TICK } else { TICK };
            let (woken, waited) = self.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            let leases = { woken }.leases.clone();
            let now = settings.clock.monotonic();
            let over = |lease: &Weak<Lease>| lease.upgrade().is_none_or(|lease| lease.expire(now));
            let alive: Vec<bool> = leases.iter().map(|lease| !over(lease)).collect();
            if leases.is_empty() && waited.timed_out() {
                files.close_idle();
            }
            state = self.state();
            let mut alive = alive.into_iter();
            // What was added meanwhile stands at the end.
            state.leases.retain(|_| alive.next().unwrap_or(true));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.watched.state().stopped = true;
        self.watched.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
