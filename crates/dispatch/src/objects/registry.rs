//! Which core is whose home.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use services::object::ObjectKey;
use tokio::sync::mpsc::UnboundedSender;

use super::Job;

#[derive(Default)]
pub(crate) struct Registry {
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    cores: BTreeMap<usize, UnboundedSender<Job>>,
    homes: HashMap<ObjectKey, usize>,
}

impl Registry {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn open(&self, core: usize, jobs: UnboundedSender<Job>) {
        self.books().cores.insert(core, jobs);
    }

    /// The core is gone, and whoever was at home there.
    pub fn close(&self, core: usize) {
        let mut books = self.books();
        books.cores.remove(&core);
        books.homes.retain(|_, home| *home != core);
    }

    /// The object's home; one that has none gets one by its id. `None` if there is no core.
    pub fn home(&self, key: &ObjectKey) -> Option<(usize, UnboundedSender<Job>)> {
        let mut books = self.books();
        let Books { cores, homes } = &mut *books;
        let home = match homes.get(key) {
            Some(&home) => home,
            None => {
                // Ids are digests or random, so some of their bytes are as good as a hash.
                let bytes = key.id.as_bytes();
                let number = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize;
                let core = *cores.keys().nth(number % cores.len().max(1))?;
                homes.insert(key.clone(), core);
                core
            }
        };
        Some((home, cores.get(&home)?.clone()))
    }

    /// It sleeps, and keeps nothing: its next home may be another one.
    pub fn release(&self, key: &ObjectKey, core: usize) {
        let mut books = self.books();
        if books.homes.get(key) == Some(&core) {
            books.homes.remove(key);
        }
    }

    /// One core does for all what is done once.
    pub fn is_first(&self, core: usize) -> bool {
        self.books().cores.keys().next() == Some(&core)
    }
}

#[cfg(test)]
mod tests;
