//! Threads for what may block: a fixed number, shared by all apps, in turns.
//!
//! Each owner has a lane of jobs; a thread takes one job from the lane whose turn it is and puts
//! the lane at the end of the line. So an app with a thousand jobs delays a neighbour's single one
//! by as many jobs as there are busy apps, not by a thousand.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use services::StoreError;
use tokio::sync::oneshot;

/// Jobs that may wait in one lane; beyond, the caller is told that the store is busy.
const LANE_JOBS_MAX: usize = 4_096;

type Job = Box<dyn FnOnce() + Send>;

/// The owner of the threads. Dropping it runs what is queued, then ends the threads.
pub struct Threads {
    pool: Pool,
    handles: Vec<JoinHandle<()>>,
}

/// A way to hand jobs to the threads.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

/// Whose turn a job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane(u64);

impl Default for Lane {
    /// A lane that nobody else has.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    wake: Condvar,
}

#[derive(Default)]
struct Line {
    lanes: HashMap<Lane, VecDeque<Job>>,
    /// Lanes that have jobs, in the order of their turns.
    turns: VecDeque<Lane>,
    /// Jobs of each lane that run now, and how many may.
    running: HashMap<Lane, usize>,
    running_max: usize,
    closed: bool,
}

impl Threads {
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        Self::start_shared(name, count, count)
    }

    /// Threads of which one lane never has more than `lane_max`, so that jobs that take long leave
    /// some to the others.
    pub fn start_shared(name: &str, count: usize, lane_max: usize) -> std::io::Result<Self> {
        let pool = Pool { shared: Arc::default() };
        pool.line().running_max = lane_max;
        let mut threads = Self { pool: pool.clone(), handles: Vec::with_capacity(count) };
        for n in 0..count {
            let pool = pool.clone();
            let builder = std::thread::Builder::new().name(format!("{name}-{n}"));
            threads.handles.push(builder.spawn(move || pool.work())?);
        }
        Ok(threads)
    }

    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.pool.line().closed = true;
        self.pool.shared.wake.notify_all();
        let own = std::thread::current().id();
        // A job may hold the last of what holds the threads; its own thread ends by itself.
        for handle in self.handles.drain(..).filter(|handle| handle.thread().id() != own) {
            // A job contains its own panics, so a thread ends well.
            let _ = handle.join();
        }
    }
}

impl Pool {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.shared.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job.
    pub fn spawn(&self, lane: Lane, job: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        self.queue(lane, Box::new(job))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Queues a job as the last thing that a job of this pool does: its thread looks for the next
    /// one right after, so that no other need be woken.
    pub fn spawn_next(&self, lane: Lane, job: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        self.queue(lane, Box::new(job))
    }

    fn queue(&self, lane: Lane, job: Job) -> Result<(), StoreError> {
        let mut line = self.line();
        if line.closed {
            return Err(StoreError::Closed);
        }
        let jobs = line.lanes.entry(lane).or_default();
        if jobs.len() >= LANE_JOBS_MAX {
            return Err(StoreError::Busy { in_flight: LANE_JOBS_MAX });
        }
        jobs.push_back(job);
        if jobs.len() == 1 {
            line.turns.push_back(lane);
        }
        Ok(())
    }

    /// Runs a job on a thread and waits for what it answers.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.spawn(lane, move || {
            // Nobody waits any more: the caller's future was dropped.
            let _ = reply.send(job());
        })?;
        answer.await.map_err(|_| StoreError::Failed("a storage job panicked".into()))
    }

    fn work(&self) {
        while let Some((lane, job)) = self.next() {
            if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a storage job panicked");
            }
            self.line().finished(lane);
        }
    }

    fn next(&self) -> Option<(Lane, Job)> {
        let mut line = self.line();
        loop {
            if let Some(job) = line.take() {
                return Some(job);
            }
            if line.closed {
                return None;
            }
            line = self.shared.wake.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Line {
    fn take(&mut self) -> Option<(Lane, Job)> {
        let may_run = |lane: &Lane| self.running.get(lane).is_none_or(|&running| running < self.running_max);
        let place = self.turns.iter().position(may_run)?;
        let lane = self.turns.remove(place)?;
        let jobs = self.lanes.get_mut(&lane)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        *self.running.entry(lane).or_default() += 1;
        Some((lane, job))
    }

    /// The thread that ran a job looks for the next one itself, so nobody need be told.
    fn finished(&mut self, lane: Lane) {
        if let Some(running) = self.running.get_mut(&lane) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&lane);
            }
        }
    }
}

#[cfg(test)]
mod tests;
