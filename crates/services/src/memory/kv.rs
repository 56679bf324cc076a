use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Body, Clock};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::kv::Cursor;
use crate::{
    Condition, DeleteReceipt, Durability, Kv, KvEntry, KvError, KvLimits, KvNamespace, ListOptions, ListPage,
    ListedKey, PutOptions, PutReceipt,
};

/// [`Kv`] on a map.
pub struct MemoryKv {
    clock: Arc<dyn Clock>,
    limits: KvLimits,
    state: Mutex<State>,
}

type Namespaces = BTreeMap<KvNamespace, BTreeMap<String, Stored>>;

/// Everything that a [`MemoryKv`] held at a moment.
#[derive(Clone, Default)]
pub struct KvSnapshot(Namespaces);

#[derive(Default)]
struct State {
    namespaces: Namespaces,
    /// One sequence for all keys, so that it rises per key whatever is deleted.
    revision: u64,
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
        Self { clock, limits, state: Mutex::default() }
    }

    pub fn snapshot(&self) -> KvSnapshot {
        KvSnapshot(self.state().namespaces.clone())
    }

    /// Puts back what was there. Revisions go on from where they are: what is written next has a
    /// higher one than anything before.
    pub fn restore(&self, snapshot: &KvSnapshot) {
        self.state().namespaces.clone_from(&snapshot.0);
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
        state.revision += 1;
        let revision = state.revision;
        let size = value.len() as u64;
        let stored = Stored { value, metadata: options.metadata, expires_at_ms: options.expires_at_ms, revision };
        state.namespaces.entry(ns.clone()).or_default().insert(key.into(), stored);
        Ok(PutReceipt { revision, durability: Durability::Memory, size })
    }

    fn list_page(&self, ns: &KvNamespace, options: &ListOptions) -> Result<ListPage, KvError> {
        self.limits.check_prefix(&options.prefix)?;
        let decode = |text: &String| Cursor::decode(text, ns, &options.prefix);
        let after = options.cursor.as_ref().map(decode).transpose()?.map(|cursor| cursor.after);
        let page = self.limits.page(options);
        let now_ms = self.clock.unix_ms();
        let state = self.state();
        let mut keys: Vec<ListedKey> = state
            .namespaces
            .get(ns)
            .into_iter()
            .flatten()
            .filter(|(key, stored)| key.starts_with(&options.prefix) && stored.visible(now_ms))
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .take(page + 1)
            .map(|(key, stored)| ListedKey {
                name: key.clone(),
                expires_at_ms: stored.expires_at_ms,
                metadata: stored.metadata.clone(),
                revision: stored.revision,
            })
            .collect();
        let complete = keys.len() <= page;
        keys.truncate(page);
        let cursor = match keys.last() {
            Some(last) if !complete => Some(Cursor { after: last.name.clone() }.encode(ns, &options.prefix)),
            _ => None,
        };
        Ok(ListPage { keys, cursor, complete })
    }
}

impl Stored {
    fn visible(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at| now_ms < at)
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
            let mut state = self.state();
            let current = self.find(&state, ns, key, self.clock.unix_ms());
            condition.check(current.as_ref().map(|s| s.revision))?;
            if let Some(entries) = state.namespaces.get_mut(ns) {
                entries.remove(key);
            }
            Ok(DeleteReceipt { existed: current.is_some(), durability: Durability::Memory })
        }
        .boxed()
    }

    fn list<'a>(&'a self, ns: &'a KvNamespace, options: ListOptions) -> BoxFuture<'a, Result<ListPage, KvError>> {
        async move { self.list_page(ns, &options) }.boxed()
    }
}
