use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Clock;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::object::{
    Alarm, Lease, LeaseError, Leases, ListOptions, ObjectClass, ObjectError, ObjectId, ObjectInfo, ObjectKey,
    ObjectLimits, ObjectStorage, ObjectStore, RESTORES_KEPT, Ticket,
};
use crate::sql::{SqlResult, SqlStatement};
use crate::{AppId, Durability, SqlError};

/// [`ObjectStore`] and [`Leases`] on maps.
pub struct MemoryObjects {
    limits: ObjectLimits,
    shared: Arc<Shared>,
}

/// Commits of one object that its past goes back.
const PAST_COMMITS: usize = 1_000;

struct Shared {
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    changed: Arc<Notify>,
    fence: AtomicU64,
}

#[derive(Default)]
struct Books {
    objects: BTreeMap<ObjectKey, State>,
    /// The highest fence that each object was opened with.
    fences: HashMap<ObjectKey, u64>,
    leased: HashSet<ObjectKey>,
    pasts: HashMap<ObjectKey, Past>,
}

/// What an object was after each commit.
#[derive(Default)]
struct Past {
    commits: VecDeque<(u64, State)>,
    /// The next commit is made at this moment at the earliest.
    floor_ms: u64,
    /// Every time that it was put back, and the moment before.
    restores: Vec<(u32, u64)>,
}

impl Past {
    fn now_ms(&self, clock: &dyn Clock) -> u64 {
        self.floor_ms.max(clock.unix_ms())
    }

    fn is_to_come(&self, clock: &dyn Clock, at_ms: u64) -> bool {
        at_ms > self.now_ms(clock)
    }

    fn note(&mut self, clock: &dyn Clock, state: State) {
        self.floor_ms = self.now_ms(clock);
        self.commits.push_back((self.floor_ms, state));
        if self.commits.len() > PAST_COMMITS {
            self.commits.pop_front();
        }
    }

    fn mark(&mut self, clock: &dyn Clock) -> u64 {
        let at_ms = self.now_ms(clock);
        self.floor_ms = at_ms + 1;
        at_ms
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    name: Option<String>,
    entries: BTreeMap<String, Vec<u8>>,
    alarm: Option<Alarm>,
    /// What it is to be put back to when it is opened next.
    #[serde(skip)]
    wish: Option<(u32, u64)>,
}

impl State {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.alarm.is_none() && self.wish.is_none()
    }

    fn bytes(&self) -> u64 {
        self.entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

impl MemoryObjects {
    pub fn new(clock: Arc<dyn Clock>, limits: ObjectLimits) -> Self {
        let shared = Shared { clock, books: Mutex::default(), changed: Arc::default(), fence: AtomicU64::new(0) };
        Self { limits, shared: Arc::new(shared) }
    }

    fn restore_now(&self, key: &ObjectKey, fence: u64, at_ms: u64) -> Result<u64, ObjectError> {
        let mut books = self.shared.books();
        if books.fences.get(key).is_some_and(|highest| *highest > fence) {
            return Err(ObjectError::Fenced);
        }
        if books.pasts.entry(key.clone()).or_default().is_to_come(&*self.shared.clock, at_ms) {
            return Err(ObjectError::Past("the moment is yet to come".into()));
        }
        books.put_back(&*self.shared.clock, key, None, at_ms)
    }

    fn replace_now(&self, key: &ObjectKey, fence: u64, export: Option<Bytes>) -> Result<(), ObjectError> {
        let mut books = self.shared.books();
        if books.fences.get(key).is_some_and(|highest| *highest > fence) {
            return Err(ObjectError::Fenced);
        }
        match export {
            Some(bytes) => {
                let state =
                    serde_json::from_slice(&bytes).map_err(|error| ObjectError::BadExport(error.to_string()))?;
                books.keep(&*self.shared.clock, key, state);
            }
            None => books.keep(&*self.shared.clock, key, State::default()),
        }
        Ok(())
    }
}

impl Books {
    /// A commit.
    fn keep(&mut self, clock: &dyn Clock, key: &ObjectKey, state: State) {
        self.pasts.entry(key.clone()).or_default().note(clock, state.clone());
        match state.is_empty() {
            true => drop(self.objects.remove(key)),
            false => drop(self.objects.insert(key.clone(), state)),
        }
    }

    fn put_back(
        &mut self,
        clock: &dyn Clock,
        key: &ObjectKey,
        number: Option<u32>,
        at_ms: u64,
    ) -> Result<u64, ObjectError> {
        let past = self.pasts.entry(key.clone()).or_default();
        let found = past.commits.iter().rev().find(|(time_ms, _)| *time_ms <= at_ms).cloned();
        let gone = || ObjectError::Past(format!("nothing is known of the object at {at_ms} ms"));
        let (time_ms, state) = found.ok_or_else(gone)?;
        let before_ms = past.mark(clock);
        let number = number.unwrap_or_else(|| past.next_number());
        past.restores.push((number, before_ms));
        let surplus = past.restores.len().saturating_sub(RESTORES_KEPT);
        past.restores.drain(..surplus);
        self.keep(clock, key, State { wish: None, ..state });
        Ok(time_ms)
    }
}

impl Past {
    fn next_number(&self) -> u32 {
        self.restores.last().map_or(1, |(number, _)| number + 1)
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases for MemoryObjects {
    fn acquire<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        let lease = if self.shared.books().leased.insert(key.clone()) {
            let fence = self.shared.fence.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(Lease::new(fence, Box::new(Returned { shared: self.shared.clone(), key: key.clone() })))
        } else {
            Err(LeaseError::Held)
        };
        std::future::ready(lease).boxed()
    }
}

struct Returned {
    shared: Arc<Shared>,
    key: ObjectKey,
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.shared.books().leased.remove(&self.key);
    }
}

impl ObjectStore for MemoryObjects {
    fn open<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectStorage>, ObjectError>> {
        let mut books = self.shared.books();
        let highest = books.fences.entry(key.clone()).or_default();
        if fence < *highest {
            return std::future::ready(Err(ObjectError::Fenced)).boxed();
        }
        *highest = fence;
        if let Some((number, at_ms)) = books.objects.get(key).and_then(|state| state.wish)
            && books.put_back(&*self.shared.clock, key, Some(number), at_ms).is_err()
            && let Some(state) = books.objects.get_mut(key)
        {
            // Nobody can have it: the object goes on as it is.
            state.wish = None;
        }
        let state = books.objects.get(key).cloned().unwrap_or_default();
        let storage = MemoryStorage {
            limits: self.limits,
            shared: self.shared.clone(),
            key: key.clone(),
            fence,
            state,
            parts: Vec::new(),
            before: None,
            name: None,
        };
        std::future::ready(Ok(Box::new(storage) as Box<dyn ObjectStorage>)).boxed()
    }

    fn list<'a>(
        &'a self,
        class: &'a ObjectClass,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectId>, ObjectError>> {
        let books = self.shared.books();
        let ids = books.objects.keys().filter(|key| key.class == *class).map(|key| key.id);
        let ids = ids.filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect();
        std::future::ready(Ok(ids)).boxed()
    }

    fn info<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<ObjectInfo>, ObjectError>> {
        let info = self.shared.books().objects.get(key).map(|state| ObjectInfo {
            name: state.name.clone(),
            alarm_ms: state.alarm.map(|alarm| alarm.due_ms),
            entries: state.entries.len() as u64,
            bytes: state.bytes(),
            tables: Vec::new(),
        });
        std::future::ready(Ok(info)).boxed()
    }

    fn export<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Bytes>, ObjectError>> {
        let books = self.shared.books();
        let export = books.objects.get(key).map(|state| Bytes::from(serde_json::to_vec(state).unwrap_or_default()));
        std::future::ready(Ok(export)).boxed()
    }

    fn replace<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
        export: Option<Bytes>,
    ) -> BoxFuture<'a, Result<(), ObjectError>> {
        std::future::ready(self.replace_now(key, fence, export)).boxed()
    }

    fn restore<'a>(&'a self, key: &'a ObjectKey, fence: u64, at_ms: u64) -> BoxFuture<'a, Result<u64, ObjectError>> {
        std::future::ready(self.restore_now(key, fence, at_ms)).boxed()
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, ObjectError>> {
        let books = self.shared.books();
        let of_app = books.objects.iter().filter(|(key, _)| key.class.app == *app);
        std::future::ready(Ok(of_app.map(|(_, state)| state.bytes()).sum())).boxed()
    }

    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(ObjectKey, u64)>, ObjectError>> {
        let books = self.shared.books();
        let alarms = books.objects.iter().filter_map(|(key, state)| Some((key.clone(), state.alarm?.due_ms)));
        let mut due: Vec<_> = alarms.filter(|(_, due_ms)| *due_ms <= now_ms).collect();
        due.sort_by_key(|(_, due_ms)| *due_ms);
        due.truncate(limit);
        std::future::ready(Ok(due)).boxed()
    }

    fn next_alarm(&self) -> Option<u64> {
        self.shared.books().objects.values().filter_map(|state| Some(state.alarm?.due_ms)).min()
    }

    fn alarms_changed(&self) -> BoxFuture<'static, ()> {
        let changed = self.shared.changed.clone();
        async move { changed.notified().await }.boxed()
    }
}

/// A copy of the object, which a commit puts in the place of the original.
struct MemoryStorage {
    limits: ObjectLimits,
    shared: Arc<Shared>,
    key: ObjectKey,
    fence: u64,
    state: State,
    /// What is to be put back if a part is undone.
    parts: Vec<State>,
    /// What was committed last, once something was written since.
    before: Option<State>,
    name: Option<String>,
}

impl MemoryStorage {
    fn writes(&mut self) -> &mut State {
        if self.before.is_none() {
            self.before = Some(self.state.clone());
        }
        if let Some(name) = self.name.take() {
            self.state.name = Some(name);
        }
        &mut self.state
    }

    fn size(&self) -> u64 {
        self.state.bytes()
    }
}

impl ObjectStorage for MemoryStorage {
    fn name(&mut self) -> Result<Option<String>, ObjectError> {
        Ok(self.name.clone().or_else(|| self.state.name.clone()))
    }

    fn set_name(&mut self, name: &str) {
        if self.state.name.as_deref() != Some(name) {
            self.name = Some(name.to_owned());
        }
    }

    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError> {
        keys.iter().try_for_each(|key| self.limits.check_key(key))?;
        Ok(keys.iter().map(|key| self.state.entries.get(*key).map(|value| Bytes::copy_from_slice(value))).collect())
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError> {
        self.limits.check_key(key)?;
        self.limits.check_value(value)?;
        if self.size() + (key.len() + value.len()) as u64 > self.limits.object_bytes {
            return Err(ObjectError::Full { max: self.limits.object_bytes });
        }
        self.writes().entries.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<bool, ObjectError> {
        self.limits.check_key(key)?;
        if !self.state.entries.contains_key(key) {
            return Ok(false);
        }
        self.writes().entries.remove(key);
        Ok(true)
    }

    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError> {
        let entries = self.state.entries.iter().filter(|(key, _)| options.takes(key));
        let limit = options.limit.unwrap_or(usize::MAX);
        let copy = |(key, value): (&String, &Vec<u8>)| (key.clone(), Bytes::copy_from_slice(value));
        Ok(match options.reverse {
            true => entries.rev().take(limit).map(copy).collect(),
            false => entries.take(limit).map(copy).collect(),
        })
    }

    fn delete_all(&mut self) -> Result<(), ObjectError> {
        if !self.state.entries.is_empty() {
            self.writes().entries.clear();
        }
        Ok(())
    }

    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError> {
        Ok(self.state.alarm)
    }

    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError> {
        if self.state.alarm != alarm {
            self.writes().alarm = alarm;
        }
        Ok(())
    }

    fn sql(&mut self, _: &SqlStatement) -> Result<SqlResult, ObjectError> {
        let what = "objects that are kept in memory have no SQL".to_owned();
        Err(ObjectError::Sql(SqlError::Forbidden(what)))
    }

    fn begin(&mut self) -> Result<(), ObjectError> {
        self.parts.push(self.state.clone());
        Ok(())
    }

    fn end(&mut self, keep: bool) -> Result<(), ObjectError> {
        if let Some(before) = self.parts.pop()
            && !keep
        {
            self.state = before;
        }
        Ok(())
    }

    fn bytes(&mut self) -> Result<u64, ObjectError> {
        Ok(self.size())
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn bookmark(&mut self) -> Result<u64, ObjectError> {
        let (mut books, state) = (self.shared.books(), self.before.as_ref().unwrap_or(&self.state));
        let past = books.pasts.entry(self.key.clone()).or_default();
        if past.commits.is_empty() {
            past.note(&*self.shared.clock, state.clone());
        }
        Ok(past.mark(&*self.shared.clock))
    }

    fn restore_next(&mut self, at_ms: u64) -> Result<u32, ObjectError> {
        let mut books = self.shared.books();
        let past = books.pasts.entry(self.key.clone()).or_default();
        if past.is_to_come(&*self.shared.clock, at_ms) {
            return Err(ObjectError::Past("the moment is yet to come".into()));
        }
        let number = self.state.wish.map_or(past.next_number(), |(number, _)| number + 1);
        drop(books);
        self.writes().wish = Some((number, at_ms));
        Ok(number)
    }

    fn before_restore(&mut self, number: u32) -> Result<Option<u64>, ObjectError> {
        let books = self.shared.books();
        let known = books.pasts.get(&self.key).and_then(|past| past.restores.iter().find(|(of, _)| *of == number));
        Ok(known.map(|&(_, before_ms)| before_ms))
    }

    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError> {
        if self.before.take().is_none() {
            return Ok(None);
        }
        let mut books = self.shared.books();
        if books.fences.get(&self.key).is_some_and(|highest| *highest > self.fence) {
            return Err(ObjectError::Fenced);
        }
        books.keep(&*self.shared.clock, &self.key, self.state.clone());
        drop(books);
        self.shared.changed.notify_waiters();
        Ok(Some(Ticket::durable()))
    }

    fn roll_back(&mut self) {
        self.parts.clear();
        if let Some(before) = self.before.take() {
            self.state = before;
        }
    }
}
