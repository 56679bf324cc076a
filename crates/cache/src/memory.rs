//! The store in memory: bounded in bytes, for all apps together and for each.
//!
//! What is asked for often stays when room runs short (moka's TinyLFU), whoever it belongs to, so a
//! flood of new entries does not wash out what others use. An app that reaches its own share makes
//! room for itself first: what it put longest ago goes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base::NodeLimits;
use futures_util::future::BoxFuture;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::sync::Cache;

use crate::purge::{Purge, Purged};
use crate::store::{Amount, KEYS_MAX, Key, Store, StoreError, Usage, VARIANTS_MAX, Variants};
use crate::stored::Stored;
use crate::tags::Tags;

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

/// A key within its app; in this order the entries of one URL, and those below one, lie together.
type Name = (Arc<str>, Option<Arc<str>>);

#[derive(Default)]
struct Share {
    bytes: u64,
    /// What it has.
    puts: BTreeMap<Name, Put>,
    /// All puts in order, those included that mean nothing any more.
    order: VecDeque<(Name, u64)>,
    next: u64,
}

/// The put that made an entry what it is.
struct Put {
    number: u64,
    /// Of each variant that has some.
    tags: Vec<Tags>,
}

impl Share {
    fn key(app: &Arc<str>, name: &Name) -> Key {
        Key { app: app.clone(), cache: name.1.clone(), url: name.0.clone() }
    }

    /// The keys that may hold something that a purge is about.
    fn hit(&self, purge: &Purge) -> Vec<Key> {
        let below = |url: &Arc<str>| (url.clone(), None)..;
        let found: Box<dyn Iterator<Item = (&Name, &Put)>> = match &purge.what {
            Purged::Url(url) | Purged::Prefix(url) | Purged::Entry { url, .. } => {
                let url = url.clone();
                let first = below(&url);
                Box::new(self.puts.range(first).take_while(move |((found, _), _)| found.starts_with(&*url)))
            }
            Purged::Tag(_) | Purged::All => Box::new(self.puts.iter()),
        };
        let tagged = |put: &Put| !matches!(purge.what, Purged::Tag(_)) || put.tags.iter().any(|t| purge.hits_tags(t));
        let hit = found.filter(|(_, put)| tagged(put)).map(|(name, _)| Self::key(&purge.app, name));
        hit.filter(|key| purge.hits_key(key)).collect()
    }
}

impl Shares {
    fn added(&mut self, key: &Key, variants: &Variants) {
        let share = self.0.entry(key.app.clone()).or_default();
        share.bytes += weight(key, variants);
        share.next += 1;
        let name = (key.url.clone(), key.cache.clone());
        let tags = variants.iter().map(|stored| stored.tags.clone()).filter(|tags| tags.iter().next().is_some());
        share.puts.insert(name.clone(), Put { number: share.next, tags: tags.collect() });
        share.order.push_back((name, share.next));
        if share.order.len() > 2 * share.puts.len() + 64 {
            let Share { puts, order, .. } = share;
            order.retain(|(name, number)| puts.get(name).is_some_and(|put| put.number == *number));
        }
    }

    fn removed(&mut self, key: &Key, bytes: u64, replaced: bool) {
        let Some(share) = self.0.get_mut(&key.app) else { return };
        share.bytes = share.bytes.saturating_sub(bytes);
        if !replaced {
            share.puts.remove(&(key.url.clone(), key.cache.clone()));
        }
        if share.puts.is_empty() {
            self.0.remove(&key.app);
        }
    }

    /// The entry that an app put longest ago, if the app has more than its share.
    fn displaced(&mut self, app: &Arc<str>, bytes_max: u64) -> Option<Key> {
        let share = self.0.get_mut(app)?;
        while share.bytes > bytes_max {
            let (name, number) = share.order.pop_front()?;
            if share.puts.get(&name).is_some_and(|put| put.number == number) {
                return Some(Share::key(app, &name));
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

    /// Puts one more variant under a key.
    fn put_now(&self, key: &Key, response: Stored) -> Result<(), StoreError> {
        let (bytes, max) = (response.body.len(), self.body_bytes_max());
        if bytes > max as u64 {
            return Err(StoreError::TooLarge { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), max });
        }
        let response = Arc::new(response);
        self.change(key, |old| Some(with_variant(old, response)));
        self.make_room(&key.app);
        Ok(())
    }

    /// Puts all variants that a key has, in place of what it had here.
    pub fn fill(&self, key: &Key, variants: Variants) {
        self.change(key, |_| Some(variants));
        self.make_room(&key.app);
    }

    /// Lets go of a key.
    pub fn forget(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    /// What is here, without a wait.
    pub fn find(&self, key: &Key) -> Option<Variants> {
        self.entries.get(key)
    }

    fn change(&self, key: &Key, change: impl FnOnce(&[Arc<Stored>]) -> Option<Variants>) {
        self.entries.entry(key.clone()).and_compute_with(|old| {
            let had = old.is_some();
            let old = old.map(|entry| entry.into_value());
            match change(old.as_deref().unwrap_or_default()) {
                Some(variants) => {
                    lock(&self.shares).added(key, &variants);
                    Op::Put(variants)
                }
                None if had => Op::Remove,
                None => Op::Nop,
            }
        });
    }

    fn make_room(&self, app: &Arc<str>) {
        // What had to make room is let go now, and not with some later access: entries are large.
        self.entries.run_pending_tasks();
        loop {
            // The lock is not held over the removal, which takes it too.
            let displaced = lock(&self.shares).displaced(app, self.limits.app_bytes);
            let Some(displaced) = displaced else { break };
            self.entries.invalidate(&displaced);
            self.entries.run_pending_tasks();
        }
    }

    /// Does what [`Store::purge`] does, without a wait.
    pub fn purge_now(&self, purge: &Purge) -> u64 {
        let hit = lock(&self.shares).0.get(&purge.app).map_or_else(Vec::new, |share| share.hit(purge));
        let mut count = 0;
        for key in hit {
            self.change(&key, |old| {
                let (gone, mut left): (Vec<_>, Vec<_>) =
                    old.iter().cloned().partition(|stored| purge.hits_tags(&stored.tags));
                count += gone.len() as u64;
                if let Some(at_ms) = purge.stale_at_ms {
                    left.extend(gone.into_iter().map(|stored| Arc::new(Stored::clone(&stored).staled(at_ms))));
                }
                (!left.is_empty()).then(|| left.into())
            });
        }
        self.entries.run_pending_tasks();
        count
    }

    fn amount(&self, app: Option<&str>) -> Amount {
        let shares = lock(&self.shares);
        let of = |share: &Share| Amount { entries: share.puts.len() as u64, bytes: share.bytes };
        match app {
            Some(app) => shares.0.get(app).map(of).unwrap_or_default(),
            None => shares.0.values().map(of).fold(Amount::default(), |sum, one| Amount {
                entries: sum.entries + one.entries,
                bytes: sum.bytes + one.bytes,
            }),
        }
    }

    fn keys_now(&self, app: &str, url: &str) -> Vec<Key> {
        let shares = lock(&self.shares);
        let Some((app, share)) = shares.0.get_key_value(app) else { return Vec::new() };
        let purge = Purge { app: app.clone(), what: Purged::Url(url.into()), stale_at_ms: None, durable: false };
        let mut keys = share.hit(&purge);
        keys.truncate(KEYS_MAX);
        keys
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

    fn at_hand(&self, key: &Key) -> Option<Variants> {
        self.find(key)
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.put_now(&key, response) })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.entries.remove(key).is_some()) })
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { Ok(self.purge_now(purge)) })
    }

    fn keys<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        Box::pin(async move { Ok(self.keys_now(app, url)) })
    }

    fn usage<'a>(&'a self, app: Option<&'a str>) -> BoxFuture<'a, Result<Usage, StoreError>> {
        Box::pin(async move { Ok(Usage { memory: self.amount(app), disk: None }) })
    }

    fn body_bytes_max(&self) -> usize {
        usize::try_from(self.limits.entry_bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests;
