//! The store in memory: bounded in bytes, for all apps together and for each.
//!
//! What is asked for often stays when room runs short (moka's TinyLFU), whoever it belongs to, so a
//! flood of new entries does not wash out what others use. An app that reaches its own share makes
//! room for itself first: what it put longest ago goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base::NodeLimits;
use futures_util::future::BoxFuture;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::sync::Cache;

use crate::store::{Key, Store, StoreError, VARIANTS_MAX, Variants};
use crate::stored::Stored;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryStoreLimits {
    /// All apps together.
    pub bytes: u64,
    pub app_bytes: u64,
    /// The body of one response.
    pub entry_bytes: u64,
}

impl From<&NodeLimits> for MemoryStoreLimits {
    fn from(limits: &NodeLimits) -> Self {
        Self { bytes: limits.cache_bytes, app_bytes: limits.cache_app_bytes, entry_bytes: limits.cache_entry_bytes }
    }
}

/// Keeps responses in the process.
pub struct MemoryStore {
    entries: Cache<Key, Variants>,
    shares: Arc<Mutex<Shares>>,
    limits: MemoryStoreLimits,
}

/// What each app has.
#[derive(Default)]
struct Shares(HashMap<Arc<str>, Share>);

#[derive(Default)]
struct Share {
    bytes: u64,
    /// What it has, with the number of the put that made it so.
    puts: HashMap<Key, u64>,
    /// All puts in order, those included that mean nothing any more.
    order: VecDeque<(Key, u64)>,
    next: u64,
}

impl Shares {
    fn added(&mut self, key: &Key, bytes: u64) {
        let share = self.0.entry(key.app.clone()).or_default();
        share.bytes += bytes;
        share.next += 1;
        share.puts.insert(key.clone(), share.next);
        share.order.push_back((key.clone(), share.next));
        if share.order.len() > 2 * share.puts.len() + 64 {
            let Share { puts, order, .. } = share;
            order.retain(|(key, put)| puts.get(key) == Some(put));
        }
    }

    fn removed(&mut self, key: &Key, bytes: u64, replaced: bool) {
        let Some(share) = self.0.get_mut(&key.app) else { return };
        share.bytes = share.bytes.saturating_sub(bytes);
        if !replaced {
            share.puts.remove(key);
        }
        if share.puts.is_empty() {
            self.0.remove(&key.app);
        }
    }

    /// The entry that an app put longest ago, if the app has more than its share.
    fn displaced(&mut self, app: &Arc<str>, bytes_max: u64) -> Option<Key> {
        let share = self.0.get_mut(app)?;
        while share.bytes > bytes_max {
            let (key, put) = share.order.pop_front()?;
            if share.puts.get(&key) == Some(&put) {
                return Some(key);
            }
        }
        None
    }
}

fn weight(key: &Key, variants: &Variants) -> u64 {
    const OVERHEAD: usize = 128;
    (OVERHEAD + key.bytes() + variants.iter().map(|stored| stored.bytes()).sum::<usize>()) as u64
}

impl MemoryStore {
    pub fn new(limits: MemoryStoreLimits) -> Self {
        let shares = Arc::<Mutex<Shares>>::default();
        let counted = shares.clone();
        let entries = Cache::builder()
            .max_capacity(limits.bytes)
            .weigher(|key, variants| u32::try_from(weight(key, variants)).unwrap_or(u32::MAX))
            .eviction_listener(move |key: Arc<Key>, variants: Variants, cause| {
                lock(&counted).removed(&key, weight(&key, &variants), cause == RemovalCause::Replaced);
            })
            .build();
        Self { entries, shares, limits }
    }

    fn put_now(&self, key: &Key, response: Stored) -> Result<(), StoreError> {
        let (bytes, max) = (response.body.len(), self.body_bytes_max());
        if bytes > max {
            return Err(StoreError::TooLarge { bytes, max });
        }
        let response = Arc::new(response);
        self.entries.entry(key.clone()).and_compute_with(|old| {
            let old = old.map(|entry| entry.into_value());
            let variants = with_variant(old.as_deref().unwrap_or_default(), response);
            lock(&self.shares).added(key, weight(key, &variants));
            Op::Put(variants)
        });
        // What had to make room is let go now, and not with some later access: entries are large.
        self.entries.run_pending_tasks();
        loop {
            // The lock is not held over the removal, which takes it too.
            let displaced = lock(&self.shares).displaced(&key.app, self.limits.app_bytes);
            let Some(displaced) = displaced else { break };
            self.entries.invalidate(&displaced);
            self.entries.run_pending_tasks();
        }
        Ok(())
    }

    /// What everything takes up, in bytes.
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }
}

/// The variants with one more, in place of its like.
fn with_variant(old: &[Arc<Stored>], response: Arc<Stored>) -> Variants {
    let mut variants: Vec<Arc<Stored>> = old.iter().filter(|stored| stored.vary != response.vary).cloned().collect();
    if variants.len() >= VARIANTS_MAX
        && let Some(oldest) = (0..variants.len()).min_by_key(|&at| variants[at].stored_at_ms)
    {
        variants.remove(oldest);
    }
    variants.push(response);
    variants.into()
}

fn lock(shares: &Mutex<Shares>) -> std::sync::MutexGuard<'_, Shares> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>> {
        let found = self.entries.get(key).unwrap_or_else(|| Vec::new().into());
        Box::pin(std::future::ready(Ok(found)))
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.put_now(&key, response) })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.entries.remove(key).is_some()) })
    }

    fn body_bytes_max(&self) -> usize {
        usize::try_from(self.limits.entry_bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests;
