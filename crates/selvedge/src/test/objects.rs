//! The durable objects of one file of tests: the provider's own, and what they held can be put back.
//!
//! As with [SQL](super::sql), each generation has objects of its own, and one comes into being there,
//! from what a snapshot exported, when it is opened. What an earlier test left running writes to
//! objects that nobody wakes any more. Alarms are kept here, so that none of those rings.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::AppName;
use bytes::Bytes;
use services::object::{
    Alarm, Lease, LeaseError, Leases, ListOptions, ObjectClass, ObjectError, ObjectId, ObjectInfo, ObjectKey,
    ObjectStorage, ObjectStore, Ticket,
};
use services::sql::{SqlResult, SqlStatement};
use services::{AppId, BoxFuture};
use tokio::sync::Notify;
use worker::ToldTime;

/// [`ObjectStore`] and [`Leases`] for one file of tests.
pub struct TestObjects {
    store: Arc<dyn ObjectStore>,
    leases: Arc<dyn Leases>,
    /// Which file of tests it is, so that no two share an object.
    owner: AppName,
    shared: Arc<Shared>,
}

/// What the objects held.
#[derive(Clone, Default)]
pub struct ObjectSnapshot(Arc<Frozen>);

#[derive(Clone, Default)]
struct Frozen {
    exports: BTreeMap<ObjectKey, Bytes>,
    alarms: BTreeMap<ObjectKey, u64>,
}

#[derive(Default)]
struct Shared {
    books: Mutex<Books>,
    changed: Arc<Notify>,
    /// The time that stands in for the clock.
    told: Option<ToldTime>,
    /// Whether somebody rings alarms themselves.
    paused: AtomicUsize,
}

/// While it lives, no alarm rings by itself.
pub struct Pause(Arc<Shared>);

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.paused.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

#[derive(Default)]
struct Books {
    generation: u64,
    /// What this generation began with, or what was frozen since.
    base: ObjectSnapshot,
    /// Objects that have come into being in this generation.
    made: BTreeSet<ObjectKey>,
    /// Those that may hold something else than what is frozen.
    written: HashSet<ObjectKey>,
    alarms: BTreeMap<ObjectKey, u64>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a turn left, unless its generation is over.
    fn note(&self, generation: u64, key: &ObjectKey, alarm: Option<u64>) {
        let mut books = self.books();
        if books.generation == generation {
            books.written.insert(key.clone());
            match alarm {
                Some(due_ms) => drop(books.alarms.insert(key.clone(), due_ms)),
                None => drop(books.alarms.remove(key)),
            }
        }
        drop(books);
        self.changed.notify_waiters();
    }
}

impl TestObjects {
    pub fn new(store: Arc<dyn ObjectStore>, leases: Arc<dyn Leases>, owner: AppName, told: ToldTime) -> Self {
        let shared = Arc::new(Shared { told: Some(told), ..Shared::default() });
        Self { store, leases, owner, shared }
    }

    /// Puts off that alarms ring by themselves.
    pub fn pause(&self) -> Pause {
        self.shared.paused.fetch_add(1, Ordering::Relaxed);
        Pause(self.shared.clone())
    }

    /// When an object's alarm is due.
    pub fn alarm(&self, key: &ObjectKey) -> Option<u64> {
        self.shared.books().alarms.get(key).copied()
    }

    /// The alarm of the object with this id.
    pub fn alarm_of(&self, id: &str) -> Option<(ObjectKey, u64)> {
        let books = self.shared.books();
        let found = books.alarms.iter().find(|(key, _)| key.id.to_string() == id);
        found.map(|(key, due_ms)| (key.clone(), *due_ms))
    }

    /// The alarm that is due first up to a moment.
    pub fn first_due(&self, until_ms: u64) -> Option<(ObjectKey, u64)> {
        let books = self.shared.books();
        let due = books.alarms.iter().filter(|(_, due_ms)| **due_ms <= until_ms);
        due.min_by_key(|(_, due_ms)| **due_ms).map(|(key, due_ms)| (key.clone(), *due_ms))
    }

    /// The ids of objects that hold something.
    pub async fn ids(&self) -> Vec<ObjectId> {
        let keys: BTreeSet<ObjectKey> = {
            let books = self.shared.books();
            books.made.iter().chain(&books.written).chain(books.base.0.exports.keys()).cloned().collect()
        };
        let mut ids = Vec::new();
        for key in keys {
            if matches!(self.info(&key).await, Ok(Some(_))) {
                ids.push(key.id);
            }
        }
        ids
    }

    fn told_ms(&self) -> Option<u64> {
        let us = self.shared.told.as_ref()?.get()?;
        Some((us / 1000).max(0) as u64)
    }

    /// Freezes what the objects hold now, as far as it was committed.
    pub async fn snapshot(&self) -> Result<ObjectSnapshot, ObjectError> {
        let (generation, written, base, alarms) = {
            let mut books = self.shared.books();
            let written = std::mem::take(&mut books.written);
            (books.generation, written, books.base.clone(), books.alarms.clone())
        };
        if written.is_empty() {
            return Ok(base);
        }
        let mut exports = base.0.exports.clone();
        for key in written {
            match self.store.export(&self.place(&key, generation)).await? {
                Some(export) => drop(exports.insert(key, export)),
                None => drop(exports.remove(&key)),
            }
        }
        let snapshot = ObjectSnapshot(Arc::new(Frozen { exports, alarms }));
        self.shared.books().base = snapshot.clone();
        Ok(snapshot)
    }

    /// Puts back what the objects held. None of them is awake.
    pub fn restore(&self, snapshot: &ObjectSnapshot) {
        let mut books = self.shared.books();
        if books.written.is_empty() && Arc::ptr_eq(&books.base.0, &snapshot.0) {
            return;
        }
        books.generation += 1;
        books.base = snapshot.clone();
        books.alarms.clone_from(&snapshot.0.alarms);
        books.made.clear();
        books.written.clear();
        drop(books);
        self.shared.changed.notify_waiters();
    }

    /// Where an object lies in a generation: an app's own, whose ids stay what they are.
    fn place(&self, key: &ObjectKey, generation: u64) -> ObjectKey {
        let class = ObjectClass::new(self.app(&key.class.app, generation), key.class.name.clone());
        ObjectKey { class, id: key.id }
    }

    fn app(&self, app: &AppId, generation: u64) -> AppId {
        let name = AppName::parse(&format!("{}-g{generation}", self.owner)).unwrap_or_else(|_| self.owner.clone());
        AppId::new(app.tenant.clone(), name)
    }

    fn place_now(&self, key: &ObjectKey) -> (ObjectKey, u64) {
        let generation = self.shared.books().generation;
        (self.place(key, generation), generation)
    }

    /// What a snapshot has of an object is put in its place, once in a generation.
    async fn make(&self, key: &ObjectKey, fence: Option<u64>) -> Result<(ObjectKey, u64), ObjectError> {
        let (place, generation) = self.place_now(key);
        let export = {
            let mut books = self.shared.books();
            let is_first = books.generation == generation && books.made.insert(key.clone());
            books.base.0.exports.get(key).filter(|_| is_first).cloned()
        };
        let Some(export) = export else { return Ok((place, generation)) };
        let lease = match fence {
            None => self.leases.acquire(&place).await.ok(),
            Some(_) => None,
        };
        let fence = fence.or(lease.as_ref().map(|lease| lease.fence)).unwrap_or_default();
        let made = self.store.replace(&place, fence, Some(export)).await;
        if made.is_err() {
            self.shared.books().made.remove(key);
        }
        made.map(|()| (place, generation))
    }
}

impl Leases for TestObjects {
    fn acquire<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        Box::pin(async move { self.leases.acquire(&self.place_now(key).0).await })
    }
}

impl ObjectStore for TestObjects {
    fn open<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectStorage>, ObjectError>> {
        Box::pin(async move {
            let (place, generation) = self.make(key, Some(fence)).await?;
            let inner = self.store.open(&place, fence).await?;
            let storage = TestStorage { inner, key: key.clone(), generation, shared: self.shared.clone() };
            Ok(Box::new(storage) as Box<dyn ObjectStorage>)
        })
    }

    fn list<'a>(
        &'a self,
        class: &'a ObjectClass,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectId>, ObjectError>> {
        Box::pin(async move {
            let keys: BTreeSet<ObjectKey> = {
                let books = self.shared.books();
                let known = books.made.iter().chain(books.base.0.exports.keys());
                known.filter(|key| key.class == *class && after.is_none_or(|after| key.id > after)).cloned().collect()
            };
            let mut ids = Vec::new();
            for key in keys {
                if ids.len() < limit && self.info(&key).await?.is_some() {
                    ids.push(key.id);
                }
            }
            Ok(ids)
        })
    }

    fn info<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<ObjectInfo>, ObjectError>> {
        Box::pin(async move { self.store.info(&self.make(key, None).await?.0).await })
    }

    fn export<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Bytes>, ObjectError>> {
        Box::pin(async move { self.store.export(&self.make(key, None).await?.0).await })
    }

    fn replace<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
        export: Option<Bytes>,
    ) -> BoxFuture<'a, Result<(), ObjectError>> {
        Box::pin(async move {
            let (place, generation) = self.place_now(key);
            self.shared.books().made.insert(key.clone());
            self.store.replace(&place, fence, export).await?;
            let alarm = self.store.info(&place).await?.and_then(|info| info.alarm_ms);
            self.shared.note(generation, key, alarm);
            Ok(())
        })
    }

    fn restore<'a>(&'a self, key: &'a ObjectKey, fence: u64, at_ms: u64) -> BoxFuture<'a, Result<u64, ObjectError>> {
        Box::pin(async move {
            let (place, generation) = self.make(key, Some(fence)).await?;
            let restored = self.store.restore(&place, fence, at_ms).await?;
            let alarm = self.store.info(&place).await?.and_then(|info| info.alarm_ms);
            self.shared.note(generation, key, alarm);
            Ok(restored)
        })
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, ObjectError>> {
        let generation = self.shared.books().generation;
        Box::pin(async move { self.store.used(&self.app(app, generation)).await })
    }

    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(ObjectKey, u64)>, ObjectError>> {
        if self.shared.paused.load(Ordering::Relaxed) > 0 {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let now_ms = self.told_ms().unwrap_or(now_ms);
        let books = self.shared.books();
        let alarms = books.alarms.iter().filter(|(_, due_ms)| **due_ms <= now_ms);
        let mut due: Vec<_> = alarms.map(|(key, due_ms)| (key.clone(), *due_ms)).collect();
        due.sort_by_key(|(_, due_ms)| *due_ms);
        due.truncate(limit);
        Box::pin(std::future::ready(Ok(due)))
    }

    fn next_alarm(&self) -> Option<u64> {
        if self.shared.paused.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let next = self.shared.books().alarms.values().min().copied()?;
        match self.told_ms() {
            // A clock that a test moves stands still until it does: one is due, or there is nothing to wait for.
            Some(told_ms) => (next <= told_ms).then_some(0),
            None => Some(next),
        }
    }

    fn alarms_changed(&self) -> BoxFuture<'static, ()> {
        let changed = self.shared.changed.clone();
        Box::pin(async move { changed.notified().await })
    }
}

/// The storage of an object, which tells what becomes of it.
struct TestStorage {
    inner: Box<dyn ObjectStorage>,
    key: ObjectKey,
    generation: u64,
    shared: Arc<Shared>,
}

impl ObjectStorage for TestStorage {
    fn name(&mut self) -> Result<Option<String>, ObjectError> {
        self.inner.name()
    }

    fn set_name(&mut self, name: &str) {
        self.inner.set_name(name);
    }

    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError> {
        self.inner.get(keys)
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError> {
        self.inner.put(key, value)
    }

    fn delete(&mut self, key: &str) -> Result<bool, ObjectError> {
        self.inner.delete(key)
    }

    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError> {
        self.inner.list(options)
    }

    fn delete_all(&mut self) -> Result<(), ObjectError> {
        self.inner.delete_all()
    }

    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError> {
        self.inner.alarm()
    }

    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError> {
        self.inner.set_alarm(alarm)
    }

    fn sql(&mut self, statement: &SqlStatement) -> Result<SqlResult, ObjectError> {
        self.inner.sql(statement)
    }

    fn begin(&mut self) -> Result<(), ObjectError> {
        self.inner.begin()
    }

    fn end(&mut self, keep: bool) -> Result<(), ObjectError> {
        self.inner.end(keep)
    }

    fn bytes(&mut self) -> Result<u64, ObjectError> {
        self.inner.bytes()
    }

    fn durability(&self) -> services::Durability {
        self.inner.durability()
    }

    fn bookmark(&mut self) -> Result<u64, ObjectError> {
        self.inner.bookmark()
    }

    fn restore_next(&mut self, at_ms: u64) -> Result<u32, ObjectError> {
        self.inner.restore_next(at_ms)
    }

    fn before_restore(&mut self, number: u32) -> Result<Option<u64>, ObjectError> {
        self.inner.before_restore(number)
    }

    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError> {
        let alarm = self.inner.alarm()?.map(|alarm| alarm.due_ms);
        let ticket = self.inner.commit()?;
        if ticket.is_some() {
            self.shared.note(self.generation, &self.key, alarm);
        }
        Ok(ticket)
    }

    fn roll_back(&mut self) {
        self.inner.roll_back();
    }
}
