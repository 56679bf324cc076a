//! One core of a node, as guest code sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
}

#[derive(Debug)]
struct Lane {
    place: Arc<Semaphore>,
    apps: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

impl Core {
    pub fn new(index: usize) -> Self {
        let lane = Lane { place: Arc::new(Semaphore::new(1)), apps: Mutex::default() };
        Self { index, lane: Arc::new(lane) }
    }

    /// Waits for a turn of this app; it lasts until both permits are dropped. `None` only if the
    /// lane was closed, which nobody does.
    pub async fn turn(&self, app: &Arc<str>) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let among_own = self.app_lane(app).acquire_owned().await.ok()?;
        let among_apps = self.lane.place.clone().acquire_owned().await.ok()?;
        Some((among_apps, among_own))
    }

    fn app_lane(&self, app: &Arc<str>) -> Arc<Semaphore> {
        let mut apps = self.lane.apps.lock().unwrap_or_else(PoisonError::into_inner);
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
