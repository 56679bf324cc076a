//! Writing to a KV file: what a put, a deletion and a transaction do within the commit of a group.
//!
//! All of them end here, so that no two count, tell or condition differently. Everything that may
//! refuse a write comes before what changes the counts in memory; after a commit that failed those
//! are read again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clock, ResourceName};
use bytes::Bytes;
use rusqlite::Connection;
use services::kv::sum;
use services::{Action, ChangeKind, CommitReceipt, Condition, Durability, KvError, KvLimits, KvUsage, PutOptions};

use super::feed;
use super::hot::{Changing, Hot};
use super::recent::{Known, Recent};
use super::rows::{self, Found, Namespace, NewRow};
use super::stores::Store;
use crate::content::{ContentGuard, ContentId};
use crate::database::{Fate, Tx, WriteError};

/// What the writer of a file remembers of it between two writes.
#[derive(Default)]
pub struct Counts {
    known: Mutex<Option<Count>>,
    /// Keys of writes whose fate is unknown, until the file was opened again.
    doubtful: Mutex<Vec<Changing>>,
    recent: Mutex<Recent>,
}

#[derive(Clone)]
struct Count {
    /// Of all namespaces.
    total: KvUsage,
    /// Changes that are kept.
    changes: u64,
    /// The namespace that was written to last, which most often is the next one's too.
    last: Option<(ResourceName, Namespace)>,
}

impl Counts {
    fn known(&self) -> MutexGuard<'_, Option<Count>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, connection: &Connection) -> rusqlite::Result<Count> {
        let mut known = self.known();
        if let Some(count) = &*known {
            return Ok(count.clone());
        }
        let count = Count { total: rows::total(connection)?, changes: feed::count(connection)?, last: None };
        // Writes are taken, so the file is certain again, and whatever comes of those in doubt is there.
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(known.insert(count).clone())
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubt(&self, changing: Vec<Changing>) {
        *self.known() = None;
        self.recent().clear();
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).extend(changing);
    }
}

/// A received value, before its row.
pub enum Value {
    Inline(Bytes),
    Content(ContentGuard, u64),
}

impl Value {
    pub fn size(&self) -> u64 {
        match self {
            Value::Inline(bytes) => bytes.len() as u64,
            Value::Content(_, size) => *size,
        }
    }

    /// What it holds in memory.
    pub fn held(&self) -> usize {
        match self {
            Value::Inline(bytes) => bytes.len(),
            Value::Content(..) => 0,
        }
    }
}

/// A write whose values were received.
pub enum Step {
    Put(Value, PutOptions),
    Delete,
    Add(i64),
}

impl Step {
    /// For an action whose value, if it has one, was received.
    pub fn new(action: Action, value: Option<Value>) -> Self {
        match (action, value) {
            (Action::Put { metadata, expires_at_ms, .. }, Some(value)) => {
                Step::Put(value, PutOptions { metadata, expires_at_ms, condition: Condition::Always })
            }
            (Action::Put { value, metadata, expires_at_ms }, None) => {
                let options = PutOptions { metadata, expires_at_ms, condition: Condition::Always };
                Step::Put(Value::Inline(value), options)
            }
            (Action::Delete, _) => Step::Delete,
            (Action::Add(amount), _) => Step::Add(amount),
        }
    }
}

/// What a write needs besides the transaction that it runs in.
pub struct Desk {
    pub clock: Arc<dyn Clock>,
    pub limits: Arc<KvLimits>,
    pub store: Arc<Store>,
    pub hot: Arc<Hot>,
}

/// A write under way.
pub struct Writing<'a, 'tx> {
    desk: Desk,
    tx: &'a mut Tx<'tx>,
    name: &'a ResourceName,
    namespace: Option<Namespace>,
    count: Count,
    before: (KvUsage, KvUsage),
    now_ms: u64,
    /// Drawn with the first change.
    revision: Option<u64>,
    told: usize,
    sums: Vec<i64>,
    /// The row of a put that is all of its write.
    row: Option<Known>,
    held: Held,
}

/// What a write holds until its fate is known.
#[derive(Default)]
struct Held {
    guards: Vec<ContentGuard>,
    dropped: Vec<ContentId>,
    changing: Vec<Changing>,
}

type Written<T> = Result<T, WriteError<KvError>>;

impl<'a, 'tx> Writing<'a, 'tx> {
    pub fn begin(desk: Desk, tx: &'a mut Tx<'tx>, name: &'a ResourceName) -> Written<Self> {
        let count = desk.store.counts.get(tx.connection())?;
        let namespace = match &count.last {
            Some((last, namespace)) if last == name => Some(*namespace),
            _ => rows::namespace(tx, name)?,
        };
        let usage = namespace.as_ref().map_or_else(KvUsage::default, |namespace| namespace.usage);
        Ok(Self {
            now_ms: desk.clock.unix_ms(),
            before: (usage, count.total),
            desk,
            tx,
            name,
            namespace,
            count,
            revision: None,
            told: 0,
            sums: Vec::new(),
            row: None,
            held: Held::default(),
        })
    }

    /// The row under a key, expired or not.
    fn find(&self, key: &str) -> Written<Option<Found>> {
        match &self.namespace {
            Some(namespace) => Ok(rows::find(self.tx, namespace.id, key)?),
            None => Ok(None),
        }
    }

    /// The revision of a visible entry, whatever the condition says about it.
    pub fn current(&self, key: &str) -> Written<Option<u64>> {
        Ok(self.find(key)?.filter(|found| found.visible(self.now_ms)).map(|found| found.revision))
    }

    pub fn check(&self, key: &str, condition: Condition) -> Written<()> {
        // Most writes have none, and need no look.
        if condition == Condition::Always {
            return Ok(());
        }
        condition.check(self.current(key)?).map_err(WriteError::Refused)
    }

    /// Makes one write; answers whether there was a visible entry.
    pub fn step(&mut self, key: &str, step: Step) -> Written<bool> {
        let old = self.find(key)?;
        let existed = old.as_ref().is_some_and(|old| old.visible(self.now_ms));
        match step {
            Step::Put(value, options) => self.put(key, old, value, &options)?,
            Step::Delete => self.delete(key, old, existed)?,
            Step::Add(amount) => self.add(key, old, existed, amount)?,
        }
        Ok(existed)
    }

    /// Makes a put that is all of its write. Whatever may refuse it comes before the first change, so
    /// that nothing need be kept to undo it by.
    pub fn put_alone(&mut self, key: &str, value: Value, options: &PutOptions) -> Written<()> {
        let known = self.namespace.and_then(|namespace| self.desk.store.counts.recent().take(namespace.id, key));
        let old = match &known {
            Some(known) => Some(known.row.clone()),
            None => self.find(key)?,
        };
        let visible = old.as_ref().filter(|old| old.visible(self.now_ms));
        options.condition.check(visible.map(|old| old.revision)).map_err(WriteError::Refused)?;
        let (before, new) = (old.as_ref().map(|old| old.usage), usage(key, value.size(), options));
        let after = self.before.0.replace(before, Some(new));
        let total = self.before.1.replace(before, Some(new));
        self.desk.limits.check_quota((self.before.0, after), (self.before.1, total)).map_err(WriteError::Refused)?;
        let revision = self.draw();
        let row = match (&value, &self.namespace, &old) {
            (Value::Inline(_), Some(namespace), Some(old)) => {
                let key = known.map_or_else(|| key.to_owned(), |known| known.key);
                let row = old.clone().replaced(new, revision, options);
                Some(Known { namespace: namespace.id, key, row })
            }
            _ => None,
        };
        self.put(key, old, value, options)?;
        self.row = row;
        Ok(())
    }

    fn namespace_id(&mut self) -> Written<i64> {
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.id);
        }
        let made = rows::create_namespace(self.tx, self.name)?;
        Ok(self.namespace.insert(made).id)
    }

    fn draw(&mut self) -> u64 {
        match self.revision {
            Some(revision) => revision,
            None => *self.revision.insert(self.tx.next_sequence()),
        }
    }

    fn put(&mut self, key: &str, old: Option<Found>, value: Value, options: &PutOptions) -> Written<()> {
        let (namespace, revision, size) = (self.namespace_id()?, self.draw(), value.size());
        let usage = usage(key, size, options);
        let (inline, guard) = match value {
            Value::Inline(bytes) => (Some(bytes), None),
            Value::Content(guard, _) => (None, Some(guard)),
        };
        let content = guard.as_ref().map(ContentGuard::id);
        self.held.guards.extend(guard);
        let row = NewRow { value: inline.as_deref(), content, size, options, revision };
        rows::put(self.tx, namespace, key, old.as_ref(), &row)?;
        self.changed(namespace, key, ChangeKind::Put, revision, old, Some(usage))
    }

    fn add(&mut self, key: &str, old: Option<Found>, existed: bool, amount: i64) -> Written<()> {
        let (value, options) = match &old {
            // A content file is longer than any counter.
            Some(old) if existed && old.content.is_some() => (Some(Vec::new()), PutOptions::default()),
            Some(old) if existed => rows::counter(self.tx, old.id)?,
            _ => (None, PutOptions::default()),
        };
        let total = sum(key, value.as_deref(), amount).map_err(WriteError::Refused)?;
        self.sums.push(total);
        self.put(key, old, Value::Inline(total.to_string().into()), &options)
    }

    fn delete(&mut self, key: &str, old: Option<Found>, existed: bool) -> Written<()> {
        let Some(found) = &old else { return Ok(()) };
        rows::delete(self.tx, found.id)?;
        let (namespace, revision) = (self.namespace_id()?, self.draw());
        let kind = if existed { ChangeKind::Delete } else { ChangeKind::Expire };
        self.changed(namespace, key, kind, revision, old, None)
    }

    fn changed(
        &mut self,
        namespace: i64,
        key: &str,
        kind: ChangeKind,
        revision: u64,
        old: Option<Found>,
        new: Option<KvUsage>,
    ) -> Written<()> {
        self.desk.store.counts.recent().take(namespace, key);
        self.held.changing.push(self.desk.hot.change(&self.desk.store.app, self.name, key));
        feed::tell(self.tx, namespace, key.as_bytes(), kind, revision, self.told)?;
        self.told += 1;
        let before = old.as_ref().map(|old| old.usage);
        if let Some(namespace) = &mut self.namespace {
            namespace.usage = namespace.usage.replace(before, new);
        }
        self.count.total = self.count.total.replace(before, new);
        self.held.dropped.extend(old.and_then(|old| old.content));
        Ok(())
    }

    /// The last step of a write: quota, counts, and what happens when the commit is done.
    pub fn finish(self) -> Written<CommitReceipt> {
        let Self { desk, tx, name, namespace, mut count, before, revision, told, sums, row, held, .. } = self;
        let Some(revision) = revision else {
            let revision = rows::sequence(tx.connection())?;
            return Ok(CommitReceipt { revision, durability: Durability::Fsync, sums });
        };
        if let Some(namespace) = namespace {
            let (after, total) = ((before.0, namespace.usage), (before.1, count.total));
            desk.limits.check_quota(after, total).map_err(WriteError::Refused)?;
            // A value that takes the place of one of its size is the usual case, and counts as before.
            if namespace.usage != before.0 {
                rows::set_usage(tx, namespace.id, namespace.usage)?;
            }
            count.last = Some((name.clone(), namespace));
        }
        count.changes = feed::forget(tx, count.changes + told as u64, desk.limits.watch_changes as u64)?;
        if let Some(row) = row {
            desk.store.counts.recent().keep(row);
        }
        settle(tx, desk.store, count, revision, held);
        Ok(CommitReceipt { revision, durability: Durability::Fsync, sums })
    }
}

fn usage(key: &str, size: u64, options: &PutOptions) -> KvUsage {
    KvUsage::entry(key.len(), options.metadata.as_ref().map_or(0, String::len), size)
}

/// Nothing of this write fails from here on: its counts are those that the next one builds upon.
fn settle(tx: &mut Tx<'_>, store: Arc<Store>, count: Count, revision: u64, held: Held) {
    *store.counts.known() = Some(count);
    tx.after(move |fate| {
        let Held { guards, dropped, changing } = held;
        match fate {
            Fate::Committed => {
                guards.into_iter().for_each(ContentGuard::keep);
                // The content files of rows that are gone for certain.
                dropped.into_iter().for_each(|id| store.contents.discard(id));
            }
            Fate::Unknown => {
                guards.into_iter().for_each(ContentGuard::leave);
                store.counts.doubt(changing);
            }
        }
        // Whoever begins to listen looks first, so that nobody misses what is told to nobody.
        if store.news.receiver_count() > 0 {
            store.news.send_replace(revision);
        }
    });
}

/// Removes expired rows and tells so; answers how many.
/// What is at hand of them is not answered any more, as they are expired there too.
pub fn expire(desk: &Desk, tx: &mut Tx<'_>, limit: usize) -> Result<usize, rusqlite::Error> {
    let expired = rows::expired(tx, desk.clock.unix_ms(), limit)?;
    if expired.is_empty() {
        return Ok(0);
    }
    let mut count = desk.store.counts.get(tx.connection())?;
    count.last = None;
    desk.store.counts.recent().clear();
    let mut freed: BTreeMap<i64, KvUsage> = BTreeMap::new();
    let (mut held, mut revision) = (Held::default(), 0);
    for row in &expired {
        rows::delete(tx, row.id)?;
        // Each is a change of its own, so that no page of the feed grows with a sweep.
        revision = tx.next_sequence();
        feed::tell(tx, row.namespace, &row.key, ChangeKind::Expire, revision, 0)?;
        let sum = freed.entry(row.namespace).or_default();
        *sum = sum.replace(None, Some(row.usage));
        count.total = count.total.replace(Some(row.usage), None);
        held.dropped.extend(row.content);
    }
    for (namespace, usage) in freed {
        let mut statement = tx.prepare("UPDATE namespace SET keys = keys - ?2, bytes = bytes - ?3 WHERE id = ?1")?;
        statement.execute([namespace, usage.keys as i64, usage.bytes as i64])?;
    }
    count.changes = feed::forget(tx, count.changes + expired.len() as u64, desk.limits.watch_changes as u64)?;
    settle(tx, desk.store.clone(), count, revision, held);
    Ok(expired.len())
}
