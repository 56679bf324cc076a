use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Body, Clock};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::kv::{Cursor, LISTED_VALUE_BYTES, PAGE_CHANGES, sum};
use crate::{
    Action, AppId, Change, ChangeKind, ChangesOptions, ChangesPage, CommitReceipt, Condition, DeleteReceipt,
    Durability, Kv, KvEntry, KvError, KvLimits, KvNamespace, KvUsage, ListOptions, ListPage, ListedKey, NamespaceUsage,
    PutOptions, PutReceipt, Transaction, Write,
};

/// [`Kv`] on a map.
pub struct MemoryKv {
    clock: Arc<dyn Clock>,
    limits: KvLimits,
    state: Mutex<State>,
    /// The revision, for those who wait for changes.
    news: watch::Sender<u64>,
}

type Namespaces = BTreeMap<KvNamespace, BTreeMap<String, Stored>>;

/// Everything that a [`MemoryKv`] held at a moment.
#[derive(Clone, Default)]
pub struct KvSnapshot(Namespaces);

#[derive(Clone, Default)]
struct State {
    namespaces: Namespaces,
    /// One sequence for all keys, so that it rises per key whatever is deleted.
    revision: u64,
    changes: VecDeque<(KvNamespace, Change)>,
    /// Everything through this revision is forgotten.
    floor: u64,
}

#[derive(Clone)]
struct Stored {
    value: Bytes,
    metadata: Option<String>,
    expires_at_ms: Option<u64>,
    revision: u64,
}

impl MemoryKv {
    pub fn new(clock: Arc<dyn Clock>, limits: KvLimits) -> Self {
        Self { clock, limits, state: Mutex::default(), news: watch::Sender::new(0) }
    }

    pub fn snapshot(&self) -> KvSnapshot {
        KvSnapshot(self.state().namespaces.clone())
    }

    /// Puts back what was there. Revisions go on from where they are: what is written next has a
    /// higher one than anything before. What changed by this is not told, so the feed has a gap.
    pub fn restore(&self, snapshot: &KvSnapshot) {
        let mut state = self.state();
        state.namespaces.clone_from(&snapshot.0);
        state.revision += 1;
        state.floor = state.revision;
        state.changes.clear();
        self.news.send_replace(state.revision);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, state: &State, ns: &KvNamespace, key: &str, now_ms: u64) -> Option<Stored> {
        state.namespaces.get(ns)?.get(key).filter(|s| s.visible(now_ms)).cloned()
    }

    fn put_whole(&self, ns: &KvNamespace, key: &str, value: Bytes, options: PutOptions) -> Result<PutReceipt, KvError> {
        let now_ms = self.clock.unix_ms();
        let mut state = self.state();
        options.condition.check(self.find(&state, ns, key, now_ms).map(|s| s.revision))?;
        let size = value.len() as u64;
        let action = Action::Put { value, metadata: options.metadata, expires_at_ms: options.expires_at_ms };
        let writes = [Write { key: key.into(), action }];
        let receipt = self.apply(&mut state, ns, &writes, now_ms)?;
        Ok(PutReceipt { revision: receipt.revision, durability: Durability::Memory, size })
    }

    fn remove(&self, ns: &KvNamespace, key: &str, condition: Condition) -> Result<DeleteReceipt, KvError> {
        let now_ms = self.clock.unix_ms();
        let mut state = self.state();
        let current = self.find(&state, ns, key, now_ms);
        condition.check(current.as_ref().map(|s| s.revision))?;
        self.apply(&mut state, ns, &[Write { key: key.into(), action: Action::Delete }], now_ms)?;
        Ok(DeleteReceipt { existed: current.is_some(), durability: Durability::Memory })
    }

    fn commit_whole(&self, ns: &KvNamespace, transaction: &Transaction) -> Result<CommitReceipt, KvError> {
        let now_ms = self.clock.unix_ms();
        self.limits.check_transaction(transaction, now_ms)?;
        let mut state = self.state();
        for check in &transaction.checks {
            let current = self.find(&state, ns, &check.key, now_ms).map(|stored| stored.revision);
            if !check.condition.holds(current) {
                return Err(KvError::CheckFailed { key: check.key.clone(), current });
            }
        }
        self.apply(&mut state, ns, &transaction.writes, now_ms)
    }

    /// Makes all writes, on a copy that takes the place of the state if nothing is refused.
    fn apply(
        &self,
        state: &mut State,
        ns: &KvNamespace,
        writes: &[Write],
        now_ms: u64,
    ) -> Result<CommitReceipt, KvError> {
        state.expire(ns, now_ms);
        let before = (state.usage(ns), state.app_usage(&ns.app_id()));
        let entries = state.namespaces.entry(ns.clone()).or_default();
        let (mut changed, mut changes, mut sums) = (entries.clone(), Vec::new(), Vec::new());
        let revision = state.revision + 1;
        for Write { key, action } in writes {
            let old = changed.get(key);
            let stored = match action {
                Action::Put { value, metadata, expires_at_ms } => {
                    let (metadata, value) = (metadata.clone(), value.clone());
                    Stored { value, metadata, expires_at_ms: *expires_at_ms, revision }
                }
                Action::Add(amount) => {
                    let total = sum(key, old.map(|stored| stored.value.as_ref()), *amount)?;
                    sums.push(total);
                    let (metadata, expires_at_ms) =
                        old.map_or((None, None), |old| (old.metadata.clone(), old.expires_at_ms));
                    Stored { value: total.to_string().into(), metadata, expires_at_ms, revision }
                }
                Action::Delete => {
                    if changed.remove(key).is_some() {
                        changes.push(Change { key: key.clone(), kind: ChangeKind::Delete, revision });
                    }
                    continue;
                }
            };
            changed.insert(key.clone(), stored);
            changes.push(Change { key: key.clone(), kind: ChangeKind::Put, revision });
        }
        let old = std::mem::replace(entries, changed);
        let after = (state.usage(ns), state.app_usage(&ns.app_id()));
        if let Err(refused) = self.limits.check_quota((before.0, after.0), (before.1, after.1)) {
            state.namespaces.insert(ns.clone(), old);
            return Err(refused);
        }
        if !changes.is_empty() {
            state.revision = revision;
            state.changes.extend(changes.into_iter().map(|change| (ns.clone(), change)));
        }
        state.forget(self.limits.watch_changes);
        self.news.send_replace(state.revision);
        Ok(CommitReceipt { revision: state.revision, durability: Durability::Memory, sums })
    }

    fn list_page(&self, ns: &KvNamespace, options: &ListOptions) -> Result<ListPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let decode = |text: &String| Cursor::decode(text, ns, &options.prefix);
        let after = options.cursor.as_ref().map(decode).transpose()?.map(|cursor| cursor.after);
        let (page, now_ms) = (self.limits.page(options), self.clock.unix_ms());
        let state = self.state();
        let mut keys: Vec<ListedKey> = Vec::new();
        let (mut complete, mut bytes) = (true, 0);
        for (key, stored) in state.namespaces.get(ns).into_iter().flatten() {
            let wanted = key.starts_with(&options.prefix)
                && stored.visible(now_ms)
                && after.as_ref().is_none_or(|after| key > after)
                && options.after_revision.is_none_or(|after| stored.revision > after);
            if !wanted {
                continue;
            }
            let value = Some(stored.value.clone()).filter(|value| options.values && value.len() <= LISTED_VALUE_BYTES);
            bytes += value.as_ref().map_or(0, Bytes::len);
            if keys.len() == page || (!keys.is_empty() && bytes > self.limits.list_bytes) {
                complete = false;
                break;
            }
            keys.push(stored.listed(key, value));
        }
        let cursor = match keys.last() {
            Some(last) if !complete => Some(Cursor { after: last.name.clone() }.encode(ns, &options.prefix)),
            _ => None,
        };
        Ok(ListPage { keys, cursor, complete, revision: state.revision })
    }

    fn changes_page(&self, ns: &KvNamespace, options: &ChangesOptions) -> Result<ChangesPage, KvError> {
        let now_ms = self.clock.unix_ms();
        let mut state = self.state();
        state.expire(ns, now_ms);
        state.forget(self.limits.watch_changes);
        let Some(since) = options.since else {
            return Ok(ChangesPage { changes: Vec::new(), through: state.revision });
        };
        self.limits.check_since(since, state.floor, state.revision)?;
        let wanted = |(of, change): &&(KvNamespace, Change)| {
            of == ns && change.revision > since && change.key.starts_with(&options.prefix)
        };
        let mut changes: Vec<Change> = Vec::new();
        for (_, change) in state.changes.iter().filter(wanted) {
            match changes.last() {
                Some(last) if changes.len() >= PAGE_CHANGES && last.revision != change.revision => {
                    let through = last.revision;
                    return Ok(ChangesPage { changes, through });
                }
                _ => changes.push(change.clone()),
            }
        }
        Ok(ChangesPage { changes, through: state.revision })
    }

    async fn changes_later(&self, ns: &KvNamespace, mut options: ChangesOptions) -> Result<ChangesPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            let page = self.changes_page(ns, &options)?;
            if !options.wait || options.since.is_none() || !page.changes.is_empty() {
                return Ok(page);
            }
            options.since = Some(page.through);
            // The sender lives as long as this does.
            let _ = news.changed().await;
        }
    }
}

impl State {
    /// Drops what has expired, as a sweep does, and tells so.
    fn expire(&mut self, ns: &KvNamespace, now_ms: u64) {
        let Some(entries) = self.namespaces.get_mut(ns) else { return };
        let expired: Vec<String> =
            entries.iter().filter(|(_, stored)| !stored.visible(now_ms)).map(|(key, _)| key.clone()).collect();
        for key in expired {
            entries.remove(&key);
            self.revision += 1;
            let change = Change { key, kind: ChangeKind::Expire, revision: self.revision };
            self.changes.push_back((ns.clone(), change));
        }
    }

    /// Keeps so many changes, and no part of a transaction.
    fn forget(&mut self, keep: usize) {
        while self.changes.len() > keep || self.changes.front().is_some_and(|(_, change)| change.revision <= self.floor)
        {
            if let Some((_, change)) = self.changes.pop_front() {
                self.floor = change.revision;
            }
        }
    }

    fn usage(&self, ns: &KvNamespace) -> KvUsage {
        let entries = self.namespaces.get(ns).into_iter().flatten();
        entries.fold(KvUsage::default(), |sum, (key, stored)| sum.replace(None, Some(stored.usage(key))))
    }

    fn app_usage(&self, app: &AppId) -> KvUsage {
        let own = self.namespaces.keys().filter(|ns| ns.app_id() == *app);
        own.fold(KvUsage::default(), |sum, ns| {
            let usage = self.usage(ns);
            KvUsage { keys: sum.keys + usage.keys, bytes: sum.bytes + usage.bytes }
        })
    }
}

impl Stored {
    fn visible(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at| now_ms < at)
    }

    fn usage(&self, key: &str) -> KvUsage {
        KvUsage::entry(key.len(), self.metadata.as_ref().map_or(0, String::len), self.value.len() as u64)
    }

    fn listed(&self, key: &str, value: Option<Bytes>) -> ListedKey {
        ListedKey {
            name: key.into(),
            expires_at_ms: self.expires_at_ms,
            metadata: self.metadata.clone(),
            revision: self.revision,
            value,
        }
    }

    fn entry(self) -> KvEntry {
        let size = self.value.len() as u64;
        KvEntry {
            value: Body::full(self.value),
            size,
            metadata: self.metadata,
            expires_at_ms: self.expires_at_ms,
            revision: self.revision,
        }
    }
}

impl Kv for MemoryKv {
    fn get<'a>(&'a self, ns: &'a KvNamespace, key: &'a str) -> BoxFuture<'a, Result<Option<KvEntry>, KvError>> {
        async move {
            self.limits.check_key(key)?;
            Ok(self.find(&self.state(), ns, key, self.clock.unix_ms()).map(Stored::entry))
        }
        .boxed()
    }

    fn get_many<'a>(
        &'a self,
        ns: &'a KvNamespace,
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<KvEntry>>, KvError>> {
        async move {
            self.limits.check_keys(keys)?;
            let (state, now_ms) = (self.state(), self.clock.unix_ms());
            Ok(keys.iter().map(|key| self.find(&state, ns, key, now_ms).map(Stored::entry)).collect())
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        value: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutReceipt, KvError>> {
        async move {
            self.limits.check_put(key, &options, self.clock.unix_ms())?;
            let value = self.limits.read_value(value).await?;
            self.put_whole(ns, key, value, options)
        }
        .boxed()
    }

    fn delete<'a>(
        &'a self,
        ns: &'a KvNamespace,
        key: &'a str,
        condition: Condition,
    ) -> BoxFuture<'a, Result<DeleteReceipt, KvError>> {
        async move {
            self.limits.check_key(key)?;
            self.remove(ns, key, condition)
        }
        .boxed()
    }

    fn list<'a>(&'a self, ns: &'a KvNamespace, options: ListOptions) -> BoxFuture<'a, Result<ListPage, KvError>> {
        async move { self.list_page(ns, &options) }.boxed()
    }

    fn commit<'a>(
        &'a self,
        ns: &'a KvNamespace,
        transaction: Transaction,
    ) -> BoxFuture<'a, Result<CommitReceipt, KvError>> {
        async move { self.commit_whole(ns, &transaction) }.boxed()
    }

    fn changes<'a>(
        &'a self,
        ns: &'a KvNamespace,
        options: ChangesOptions,
    ) -> BoxFuture<'a, Result<ChangesPage, KvError>> {
        self.changes_later(ns, options).boxed()
    }

    fn usage<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<NamespaceUsage>, KvError>> {
        async move {
            let state = self.state();
            let own = state.namespaces.keys().filter(|ns| ns.app_id() == *app);
            Ok(own.map(|ns| NamespaceUsage { namespace: ns.name.clone(), usage: state.usage(ns) }).collect())
        }
        .boxed()
    }
}
