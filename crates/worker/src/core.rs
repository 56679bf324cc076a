//! One core of a node, as guest code sees it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base::WorkerName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the instances of one core share.
///
/// **The slow lane** (decision 0001): from its first tick on, a guest runs only while it holds the
/// core's one place, so that guests that compute for long take turns among themselves and leave
/// the core to short requests and I/O in between. A guest queues up twice: among the guests of its
/// app, then among the apps, so that each app with work gets the same share.
#[derive(Debug, Clone)]
pub struct Core {
    pub index: usize,
    lane: Arc<Lane>,
    /// Long computations for guests, which run on other threads: one at a time for each core too.
    long: Arc<Lane>,
    told: Option<ToldTime>,
}

#[derive(Debug)]
struct Lane {
    place: Arc<Semaphore>,
    apps: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

impl Core {
    pub fn new(index: usize) -> Self {
        Self { index, lane: Arc::new(Lane::new()), long: Arc::new(Lane::new()), told: None }
    }

    /// A core whose guests may be told another time than the clock's.
    pub fn with_told_time(index: usize, told: ToldTime) -> Self {
        Self { told: Some(told), ..Self::new(index) }
    }

    /// The time that stands in for the clock, if one was told.
    pub fn told_us(&self) -> Option<i64> {
        self.told.as_ref()?.get()
    }

    /// The same, for what a guest of this worker sees itself.
    pub fn told_us_to(&self, worker: &WorkerName) -> Option<i64> {
        self.told.as_ref().filter(|told| told.teller != *worker)?.get()
    }

    /// Waits for a turn of this app; it lasts until both permits are dropped. `None` only if the
    /// lane was closed, which nobody does.
    pub async fn turn(&self, app: &Arc<str>) -> Option<Turn> {
        self.lane.turn(app).await
    }

    /// As [`Core::turn`], for a computation off the core (a key derivation, say) that the app's
    /// guest waits for. So an app that starts a thousand has no more of the machine than another.
    pub async fn long_turn(&self, app: &Arc<str>) -> Option<Turn> {
        self.long.turn(app).await
    }
}

/// A time that stands in for the clock while an app is tested. One worker tells it to all others of
/// its core; what that one sees itself is the clock, which it has stand-ins for.
#[derive(Debug, Clone)]
pub struct ToldTime {
    teller: WorkerName,
    /// In microseconds since the epoch; `i64::MIN` for none.
    us: Arc<AtomicI64>,
}

impl ToldTime {
    pub fn new(teller: WorkerName) -> Self {
        Self { teller, us: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// From now on it is this time, and stays so; `None` for the clock's.
    pub fn tell(&self, us: Option<i64>) {
        self.us.store(us.unwrap_or(i64::MIN), Ordering::Relaxed);
    }

    pub fn get(&self) -> Option<i64> {
        Some(self.us.load(Ordering::Relaxed)).filter(|&us| us != i64::MIN)
    }
}

/// A place among the apps, and one among the app's own.
pub type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Lane {
    fn new() -> Self {
        Self { place: Arc::new(Semaphore::new(1)), apps: Mutex::default() }
    }

    async fn turn(&self, app: &Arc<str>) -> Option<Turn> {
        let among_own = self.app_lane(app).acquire_owned().await.ok()?;
        let among_apps = self.place.clone().acquire_owned().await.ok()?;
        Some((among_apps, among_own))
    }

    fn app_lane(&self, app: &Arc<str>) -> Arc<Semaphore> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = apps.get(app).and_then(Weak::upgrade) {
            return lane;
        }
        apps.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Semaphore::new(1));
        apps.insert(app.clone(), Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests;
