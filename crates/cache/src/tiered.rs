//! A store in memory above a slower one, which has everything.
//!
//! Memory learns of a response from the tier below alone, all variants of its key at once, and forgets
//! a key whenever something is put there. So what is in memory of a key is all that there is of it, and no
//! two orders of puts can differ. A read that began before a change does not bring back what was there:
//! each change raises a number, under a lock that a read takes only to bring something up.
//!
//! What stays in memory is what is asked for most (TinyLFU); of what is answered from there the tier
//! below hears now and then, so that it keeps what a restart will want. Bodies that are not at hand stay
//! below: the kernel's cache has their pages.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures_util::future::BoxFuture;

use crate::memory::MemoryStore;
use crate::purge::Purge;
use crate::store::{Key, Store, StoreError, Usage, Variants};
use crate::stored::Stored;

/// Locks, so that changes of different keys rarely wait for each other.
const SHARDS: usize = 64;

/// One of so many answers from memory is told to the tier below.
const TOLD_EVERY: u64 = 16;

/// Memory above another store.
pub struct Tiered {
    memory: MemoryStore,
    /// `None` once it was given up.
    below: RwLock<Option<Arc<dyn Store>>>,
    /// How often each part of the keys was changed.
    changes: [Mutex<u64>; SHARDS],
    answered: AtomicU64,
}

impl Tiered {
    pub fn new(memory: MemoryStore, below: Arc<dyn Store>) -> Self {
        let below = RwLock::new(Some(below));
        Self { memory, below, changes: std::array::from_fn(|_| Mutex::new(0)), answered: AtomicU64::new(0) }
    }

    /// Lets go of the tier below, for another process to open. What is fetched from now on is stored nowhere.
    pub fn give_up_below(&self) {
        self.below.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn below(&self) -> Result<Arc<dyn Store>, StoreError> {
        let below = self.below.read().unwrap_or_else(PoisonError::into_inner).clone();
        below.ok_or_else(|| StoreError::Busy("another process has the disk tier".to_owned()))
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, u64> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        lock(&self.changes[hash as usize % SHARDS])
    }

    async fn load(&self, key: &Key) -> Result<Variants, StoreError> {
        let before = *self.shard(key);
        let found = self.below()?.get(key).await?;
        let at_hand = !found.is_empty() && found.iter().all(|stored| stored.body.whole().is_some());
        if at_hand {
            let changes = self.shard(key);
            if *changes == before {
                self.memory.fill(key, found.clone());
            }
        }
        Ok(found)
    }

    fn changed(&self, key: &Key) {
        let mut changes = self.shard(key);
        *changes += 1;
        self.memory.forget(key);
    }
}

fn lock(changes: &Mutex<u64>) -> MutexGuard<'_, u64> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Tiered {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>> {
        match self.at_hand(key) {
            Some(found) => Box::pin(std::future::ready(Ok(found))),
            None => Box::pin(self.load(key)),
        }
    }

    fn at_hand(&self, key: &Key) -> Option<Variants> {
        let found = self.memory.find(key)?;
        if self.answered.fetch_add(1, Ordering::Relaxed).is_multiple_of(TOLD_EVERY)
            && let Ok(below) = self.below()
        {
            below.used(key);
        }
        Some(found)
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let outcome = self.below()?.put(key.clone(), response).await;
            // Also after a failure, of which nobody knows what it left.
            self.changed(&key);
            outcome
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let outcome = self.below()?.delete(key).await;
            self.changed(key);
            outcome
        })
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let outcome = self.below()?.purge(purge).await;
            self.changes.iter().for_each(|changes| *lock(changes) += 1);
            self.memory.purge_now(purge);
            outcome
        })
    }

    fn keys<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        let below = self.below();
        Box::pin(async move { below?.keys(app, url).await })
    }

    fn usage<'a>(&'a self, app: Option<&'a str>) -> BoxFuture<'a, Result<Usage, StoreError>> {
        Box::pin(async move {
            let (memory, below) = (self.memory.usage(app).await?, self.below()?.usage(app).await?);
            Ok(Usage { memory: memory.memory, disk: below.disk.or(Some(below.memory)) })
        })
    }

    fn body_bytes_max(&self) -> usize {
        self.below().map_or(0, |below| below.body_bytes_max())
    }
}

#[cfg(test)]
mod tests;
