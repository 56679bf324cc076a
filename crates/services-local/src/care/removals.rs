//! Removing files that nothing refers to any more, which waits while a backup is being made.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk;

/// Shared by all stores of a data directory.
#[derive(Debug, Default)]
pub struct Removals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holds: usize,
    waiting: Vec<PathBuf>,
}

/// While one of these lives, nothing is removed.
#[derive(Debug)]
pub struct Hold(Arc<Removals>);

impl Removals {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hold(self: &Arc<Self>) -> Hold {
        self.state().holds += 1;
        Hold(self.clone())
    }

    /// Whether files must stay where they are.
    pub fn is_held(&self) -> bool {
        self.state().holds > 0
    }

    /// Removes a file, now or when nobody holds it. Blocks. If that fails, the store's sweep does it
    /// some day.
    pub fn remove(&self, path: PathBuf) {
        {
            let mut state = self.state();
            if state.holds > 0 {
                state.waiting.push(path);
                return;
            }
        }
        remove(&path);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state();
            state.holds -= 1;
            if state.holds > 0 {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.iter().for_each(|path| remove(path));
    }
}

fn remove(path: &std::path::Path) {
    if let Err(error) = disk::remove(path) {
        tracing::warn!(%error, path = %path.display(), "a file that nothing refers to could not be removed");
    }
}
