//! Stacks of calls that nest in other calls into WebAssembly. Each sandbox has one for its outermost
//! call; the others are the node's, and no app gets more than a share of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runtime::DEEPER_STACKS;

/// Most stacks of one app.
const APP_MAX: u32 = DEEPER_STACKS / 4;

#[derive(Default)]
pub struct Stacks(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    total: u32,
    apps: HashMap<Arc<str>, u32>,
}

/// One stack, until it is dropped.
pub struct Nested {
    stacks: Arc<Stacks>,
    app: Arc<str>,
}

impl Stacks {
    /// `None` if there is none left, or if the app has its share.
    pub fn take(self: &Arc<Self>, app: &Arc<str>) -> Option<Nested> {
        let mut taken = self.lock();
        let of_app = taken.apps.get(app).copied().unwrap_or(0);
        if taken.total >= DEEPER_STACKS || of_app >= APP_MAX {
            return None;
        }
        taken.total += 1;
        taken.apps.insert(app.clone(), of_app + 1);
        Some(Nested { stacks: self.clone(), app: app.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        let mut taken = self.stacks.lock();
        taken.total -= 1;
        let left = taken.apps.get(&self.app).map_or(0, |&count| count - 1);
        if left == 0 {
            taken.apps.remove(&self.app);
        } else {
            taken.apps.insert(self.app.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests;
