//! Threads for what may block: a fixed number, shared by all apps, in turns.
//!
//! Each owner has a lane of jobs; a thread takes one job from the lane whose turn it is and puts
//! the lane at the end of the line. So an app with a thousand jobs delays a neighbour's single one
//! by as many jobs as there are busy apps, not by a thousand.
//!
//! To wake a thread for each job costs more than most jobs do. What is over soon may be queued by
//! [`Pool::spawn_behind`]: one thread is woken for many such jobs, after those who are ready to queue
//! more have done so, and takes one after the other. Others help it as far as there are cores. Should
//! they all get stuck, one more is woken after a [`STALL`], in which none of them took a job.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use services::StoreError;
use tokio::sync::oneshot;

/// Jobs that may wait in one lane; beyond, the caller is told that the store is busy.
const LANE_JOBS_MAX: usize = 4_096;
/// How long jobs wait for threads that take none.
const STALL: Duration = Duration::from_millis(2);

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
    /// Jobs wait that no thread was woken for.
    left: Condvar,
}

#[derive(Default)]
struct Line {
    lanes: HashMap<Lane, VecDeque<Job>>,
    /// Lanes that have jobs, in the order of their turns.
    turns: VecDeque<Lane>,
    /// Jobs of each lane that run now, and how many may.
    running: HashMap<Lane, usize>,
    running_max: usize,
    /// Threads that wait for a job, and those of them that were woken and don't know it yet.
    idle: usize,
    roused: usize,
    /// All threads, and how many at once are of use to jobs that never wait.
    threads: usize,
    cores: usize,
    /// Threads of which a task is about to wake one of these, and since when.
    asking: Vec<(ThreadId, Instant)>,
    /// Jobs that were ever taken.
    taken: u64,
    is_watched: bool,
    closed: bool,
}

impl Threads {
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        Self::start_shared(name, count, count)
    }

    /// Threads of which one lane never has more than `lane_max`, so that jobs that take long leave
    /// some to the others.
    pub fn start_shared(name: &str, count: usize, lane_max: usize) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let line = Line { running_max: lane_max, threads: count, cores, ..Line::default() };
        let pool = Pool { shared: Arc::new(Shared { line: Mutex::new(line), ..Shared::default() }) };
        let mut threads = Self { pool: pool.clone(), handles: Vec::with_capacity(count) };
        for n in 0..count {
            let pool = pool.clone();
            threads.begin(format!("{name}-{n}"), move || pool.work())?;
        }
        Ok(threads)
    }

    /// Has a thread look after jobs of [`Pool::spawn_behind`], too.
    pub fn watched(mut self, name: &str) -> std::io::Result<Self> {
        let pool = self.pool.clone();
        self.begin(name.to_owned(), move || pool.watch())?;
        Ok(self)
    }

    fn begin(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.handles.push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.pool.line().closed = true;
        self.pool.shared.wake.notify_all();
        self.pool.shared.left.notify_all();
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
        let mut line = self.line();
        line.queue(lane, Box::new(job))?;
        let wakes = line.rouse();
        drop(line);
        if wakes {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Queues a job as the last thing that a job of this pool does: its thread looks for the next
    /// one right after, so that no other need be woken.
    pub fn spawn_next(&self, lane: Lane, job: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        self.line().queue(lane, Box::new(job))
    }

    /// Queues a job that is over soon, on threads that are [watched](Threads::watched). A thread is
    /// woken once what this answers is let go, if none is to be by then.
    pub fn spawn_behind(&self, lane: Lane, job: impl FnOnce() + Send + 'static) -> Result<Due, StoreError> {
        let mut line = self.line();
        line.queue(lane, Box::new(job))?;
        let first = line.is_first(std::thread::current().id(), Instant::now());
        Ok(Due(first.then(|| self.clone())))
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
                self.call_for_the_rest(line);
                return Some(job);
            }
            if line.closed {
                return None;
            }
            line.idle += 1;
            line = self.shared.wake.wait(line).unwrap_or_else(PoisonError::into_inner);
            line.idle -= 1;
            line.roused = line.roused.saturating_sub(1);
        }
    }

    /// Wakes a thread for jobs that wait, if one is of use; if not, they are watched. One that was woken
    /// and is on its way does so itself.
    fn call_for_the_rest(&self, mut line: MutexGuard<'_, Line>) {
        if line.roused > 0 || line.next_turn().is_none() {
            return;
        }
        let called = if line.busy() < line.cores && line.rouse() {
            &self.shared.wake
        } else if !std::mem::replace(&mut line.is_watched, true) {
            &self.shared.left
        } else {
            return;
        };
        drop(line);
        called.notify_one();
    }

    /// Wakes one more thread where jobs wait and none is taken.
    fn watch(&self) {
        let mut line = self.line();
        while !line.closed {
            if !line.is_watched {
                line = self.shared.left.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let taken = line.taken;
            (line, _) = self.shared.left.wait_timeout(line, STALL).unwrap_or_else(PoisonError::into_inner);
            line.is_watched = line.next_turn().is_some();
            if line.is_watched && line.taken == taken && line.rouse() {
                self.shared.wake.notify_one();
            }
        }
    }
}

/// A thread of the pool that is to be woken, if it was not left to another.
pub struct Due(Option<Pool>);

impl Due {
    /// Of nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Lets go once all that is ready beside this task had its turn, so that one thread is woken for
    /// what those queue as well.
    pub async fn behind_the_ready(self) {
        if self.0.is_some() {
            behind_the_ready().await;
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(pool) = &self.0 {
            let mut line = pool.line();
            line.asking.clear();
            pool.call_for_the_rest(line);
        }
    }
}

/// Comes back once all that is ready beside this task had its turn.
pub async fn behind_the_ready() {
    // Who begins a job may look at it once more before it waits for it.
    let mut turns = 2;
    std::future::poll_fn(|cx| {
        if turns == 0 {
            return Poll::Ready(());
        }
        turns -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Line {
    fn queue(&mut self, lane: Lane, job: Job) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        let jobs = self.lanes.entry(lane).or_default();
        if jobs.len() >= LANE_JOBS_MAX {
            return Err(StoreError::Busy { in_flight: LANE_JOBS_MAX });
        }
        jobs.push_back(job);
        if jobs.len() == 1 {
            self.turns.push_back(lane);
        }
        Ok(())
    }

    /// Whether a thread's task is to wake one of these: the first does it, unless it takes long over it.
    fn is_first(&mut self, home: ThreadId, now: Instant) -> bool {
        self.asking.retain(|&(_, since)| now.duration_since(since) < STALL);
        let first = self.asking.iter().all(|&(asks, _)| asks != home);
        if first {
            self.asking.push((home, now));
        }
        first
    }

    /// Threads that have a job, or were woken for one.
    fn busy(&self) -> usize {
        self.threads + self.roused - self.idle
    }

    /// Answers whether a thread is to be woken: one that nobody woke yet.
    fn rouse(&mut self) -> bool {
        let has_one = self.idle > self.roused;
        self.roused += usize::from(has_one);
        has_one
    }

    /// Where the lane stands whose turn it is.
    fn next_turn(&self) -> Option<usize> {
        let may_run = |lane: &Lane| self.running.get(lane).is_none_or(|&running| running < self.running_max);
        self.turns.iter().position(may_run)
    }

    fn take(&mut self) -> Option<(Lane, Job)> {
        let place = self.next_turn()?;
        let lane = self.turns.remove(place)?;
        let jobs = self.lanes.get_mut(&lane)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        *self.running.entry(lane).or_default() += 1;
        self.taken += 1;
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
