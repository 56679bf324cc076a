//! An object's state, opened: turns on one connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use services::object::{Alarm, ListOptions, ObjectError, ObjectKey, ObjectStorage, Ticket};
use services::sql::{SqlResult, SqlStatement};
use services::{Durability, SqlError, StoreError};

use super::file::{self, Open, PAGE_BYTES};
use super::pending::Pending;
use super::recent::Recent;
use super::{Shared, Slot, past};
use crate::disk;
use crate::ledger::AHEAD_MS;
use crate::tenant_sql::{Budget, TenantConnection};

pub struct LocalStorage {
    shared: Arc<Shared>,
    key: ObjectKey,
    slot: Arc<Slot>,
    fence: u64,
    /// Which opening of the slot this is.
    opening: u64,
    path: PathBuf,
    /// A transaction is open.
    in_turn: bool,
    parts: u32,
    /// Stored with the next write.
    name: Option<String>,
    /// The alarm of this turn, if it was changed.
    alarm: Option<Option<u64>>,
    spent: Option<StoreError>,
    recent: Recent,
    pending: Pending,
}

impl LocalStorage {
    /// Blocks: opens the file, if there is one. One that an earlier owner has open is taken over as
    /// it is, without what that one has not committed.
    pub fn open(shared: Arc<Shared>, key: ObjectKey, slot: Arc<Slot>, fence: u64) -> Result<Self, ObjectError> {
        let gate = slot.clone();
        // One who closes or opens it is waited for.
        let _turn = super::lock(&gate.gate);
        if slot.fence.fetch_max(fence, Ordering::SeqCst) > fence {
            shared.leave(&key, slot);
            return Err(ObjectError::Fenced);
        }
        let path = shared.file(&key);
        let (in_turn, parts, name, alarm, spent) = (false, 0, None, None, None);
        let opening = slot.opened.fetch_add(1, Ordering::SeqCst) + 1;
        let recent = Recent::new(usize::try_from(shared.root.options.limits.object_cache_bytes).unwrap_or(usize::MAX));
        let pending = Pending::default();
        let mut storage =
            Self { shared, key, slot, fence, opening, path, in_turn, parts, name, alarm, spent, recent, pending };
        storage.find()?;
        // What a crash left the index without.
        if let Some(alarm) = storage.alarm()? {
            storage.shared.alarms.restore(&storage.key, alarm.due_ms)?;
        }
        Ok(storage)
    }

    fn find(&mut self) -> Result<(), ObjectError> {
        let mut open = super::lock(&self.slot.open);
        if let Some(Open { connection, .. }) = &*open {
            if connection.in_transaction() {
                let undone = connection.trusted(|connection| connection.execute_batch("ROLLBACK"));
                undone.map_err(|error| file::own(&self.path, error))?;
            }
            if connection.trusted(past::wish).map_err(|error| file::own(&self.path, error))?.is_none() {
                return Ok(());
            }
        }
        if let Some(before) = open.take() {
            file::close(&self.shared, &self.path, before, false)?;
        }
        if self.path.try_exists().map_err(|error| disk::store_error(&self.path, &error))? {
            *open = Some(file::open(&self.shared, &self.path)?);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ObjectError> {
        if let Some(error) = &self.spent {
            return Err(ObjectError::Spent(error.clone()));
        }
        match self.slot.fence.load(Ordering::SeqCst) == self.fence {
            true => Ok(()),
            false => Err(ObjectError::Fenced),
        }
    }

    fn is_stored(&self) -> bool {
        super::lock(&self.slot.open).is_some()
    }

    /// The transaction of this turn ended by itself.
    fn lost_its_turn(&self) -> bool {
        self.in_turn && super::lock(&self.slot.open).as_ref().is_some_and(|open| !open.connection.in_transaction())
    }

    /// Reads, if anything is stored.
    fn read<T>(&mut self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>, ObjectError> {
        self.check()?;
        self.write_pending()?;
        let read = super::lock(&self.slot.open).as_ref().map(|open| open.connection.trusted(run));
        read.transpose().map_err(|error| self.failed(error))
    }

    /// Writes in this turn, which begins with the first write.
    fn write<T>(&mut self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ObjectError> {
        self.enter()?;
        self.write_pending()?;
        let written = super::lock(&self.slot.open).as_ref().map(|open| open.connection.trusted(run));
        written.ok_or(StoreError::Closed)?.map_err(|error| self.failed(error))
    }

    /// Writes what was put and waits. The object was told that it is stored, so the turn is lost where it can't be.
    fn write_pending(&mut self) -> Result<(), ObjectError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (entries, shared, slot) = (self.pending.take(), self.shared.clone(), self.slot.clone());
        let open = super::lock(&slot.open);
        // Looked at once more: who takes the object over takes the connection.
        self.check()?;
        let written = open.as_ref().map(|open| open.connection.trusted(|c| put_all(c, &shared, &entries)));
        drop(open);
        written.ok_or(StoreError::Closed)?.map_err(|error| {
            let failed = self.failed(error);
            let spent = StoreError::Failed(format!("the whole turn was undone: {failed}"));
            self.spent.get_or_insert(spent).clone().into()
        })
    }

    fn enter(&mut self) -> Result<(), ObjectError> {
        self.begin_turn(false)
    }

    /// A turn that begins with a removal is let through on a full disk.
    fn begin_turn(&mut self, removes: bool) -> Result<(), ObjectError> {
        self.check()?;
        if self.in_turn {
            return Ok(());
        }
        self.make()?;
        let (shared, name) = (self.shared.clone(), self.name.clone());
        let slot = self.slot.clone();
        let mut open = super::lock(&slot.open);
        let Some(Open { journal, connection }) = &mut *open else { return Err(StoreError::Closed.into()) };
        let quota = shared.root.quotas.object_bytes(&self.key.class.app.app);
        connection.allow_growth(journal.room(quota), quota)?;
        connection.note_size(journal.bytes());
        let begun = connection.trusted(|connection| {
            let ready = if removes { journal.ready_to_remove(connection) } else { journal.ready(connection) };
            if let Err(refused) = ready {
                return Ok(Err(refused));
            }
            connection.prepare_cached(&shared.statements.begin)?.execute([])?;
            if let Some(name) = name {
                connection.prepare_cached(&shared.statements.set_name)?.execute([name])?;
            }
            Ok(Ok(()))
        });
        drop(open);
        match begun {
            Ok(Ok(())) => {
                self.in_turn = true;
                self.name = None;
                Ok(())
            }
            Ok(Err(refused)) => {
                self.spent = Some(refused.clone());
                Err(refused.into())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes the file, if there is none.
    fn make(&mut self) -> Result<(), ObjectError> {
        let mut open = super::lock(&self.slot.open);
        if open.is_none() {
            self.shared.check_quota(&self.key, self.shared.template.len())?;
            *open = Some(file::make(&self.shared, &self.key, &self.path)?);
        }
        Ok(())
    }

    /// Refuses what the object or the app has no room for, so that the rest of the turn stays.
    fn check_growth(&mut self, bytes: u64) -> Result<(), ObjectError> {
        self.enter()?;
        let checked = super::lock(&self.slot.open).as_ref().map(|open| open.connection.check_growth(bytes));
        checked.unwrap_or(Ok(())).map_err(|error| self.failed(error))
    }

    /// What a failed statement means. Where the transaction went with it, so did the turn.
    fn failed(&mut self, error: SqlError) -> ObjectError {
        let turn_is_lost = self.lost_its_turn();
        if let (SqlError::DatabaseFull { .. }, false) = (&error, turn_is_lost) {
            return ObjectError::Full { max: self.shared.limits.object_bytes };
        }
        if let SqlError::AppFull { bytes_max } = error {
            let full = ObjectError::AppFull { max: bytes_max };
            self.spent = turn_is_lost.then(|| StoreError::Failed(format!("the whole turn was undone: {full}")));
            return full;
        }
        let failed = file::own(&self.path, error);
        self.spent = Some(failed.clone());
        failed.into()
    }

    /// What a statement of the tenant's own failed with is the tenant's to see, unless the turn went
    /// with it.
    fn refused(&mut self, error: SqlError) -> ObjectError {
        let turn_is_lost = self.lost_its_turn();
        match error {
            SqlError::DatabaseFull { .. } | SqlError::AppFull { .. } | SqlError::Store(_) => self.failed(error),
            error if turn_is_lost => {
                self.spent = Some(StoreError::Failed(format!("a statement undid the whole turn: {error}")));
                ObjectError::Undone(error)
            }
            SqlError::TimeLimit { ms_max } => ObjectError::SqlTime { max: ms_max },
            error => ObjectError::Sql(error),
        }
    }
}

impl ObjectStorage for LocalStorage {
    fn name(&mut self) -> Result<Option<String>, ObjectError> {
        if self.name.is_some() {
            return Ok(self.name.clone());
        }
        let shared = self.shared.clone();
        let stored = self.read(|c| {
            c.prepare_cached(&shared.statements.name)?.query_row([], |row| row.get::<_, Option<String>>(0))
        })?;
        Ok(stored.flatten())
    }

    fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError> {
        keys.iter().try_for_each(|key| self.shared.limits.check_key(key))?;
        self.check()?;
        let known: Option<Vec<_>> = keys.iter().map(|key| self.recent.get(key)).collect();
        if let Some(values) = known {
            return Ok(values);
        }
        let shared = self.shared.clone();
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(&shared.statements.get)?;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = statement.query_row([key], |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)));
                values.push(value.optional()?);
            }
            Ok(values)
        })?;
        let values = found.unwrap_or_else(|| vec![None; keys.len()]);
        keys.iter().zip(&values).for_each(|(key, value)| self.recent.note(key, value.clone()));
        Ok(values)
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError> {
        self.shared.limits.check_key(key)?;
        self.shared.limits.check_value(value)?;
        self.check_growth((key.len() + value.len()) as u64)?;
        let value = Bytes::copy_from_slice(value);
        if !self.pending.put(key, &value) {
            let shared = self.shared.clone();
            self.write(|connection| {
                connection.prepare_cached(&shared.statements.put)?.execute(params![key, &*value]).map(drop)
            })?;
        }
        self.recent.note(key, Some(value));
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<bool, ObjectError> {
        if self.get(&[key])?.iter().all(Option::is_none) {
            return Ok(false);
        }
        let shared = self.shared.clone();
        let deleted = self.write(|connection| {
            connection.prepare_cached(&shared.statements.delete)?.execute([key]).map(|rows| rows > 0)
        })?;
        self.recent.note(key, None);
        Ok(deleted)
    }

    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError> {
        let prefix_end = options.prefix.filter(|prefix| !prefix.is_empty()).map(after_prefix);
        let limit = options.limit.map_or(-1, |limit| limit as i64);
        let shared = self.shared.clone();
        let sql = if options.reverse { &shared.statements.list_reversed } else { &shared.statements.list };
        let bounds = params![
            options.start.unwrap_or(""),
            options.start_after.unwrap_or(""),
            options.end,
            options.prefix.unwrap_or(""),
            prefix_end,
            limit
        ];
        let listed = self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(bounds, |row| {
                Ok((row.get::<_, String>(0)?, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(listed.unwrap_or_default())
    }

    /// Tables, views and triggers of the tenant's own go as well.
    fn delete_all(&mut self) -> Result<(), ObjectError> {
        self.check()?;
        if !self.is_stored() {
            return Ok(());
        }
        self.begin_turn(true)?;
        self.recent.forget_all();
        self.pending.forget();
        self.write(|connection| {
            connection.execute_batch("PRAGMA defer_foreign_keys = ON; DELETE FROM _selvedge_entry")?;
            let mut statement = connection.prepare(
                "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger', 'table')
                   AND substr(tbl_name, 1, 9) <> '_selvedge' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 ORDER BY type DESC, sql LIKE 'CREATE VIRTUAL%' DESC",
            )?;
            let named = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            for (kind, name) in named.collect::<rusqlite::Result<Vec<_>>>()? {
                // What a table takes along is gone when its turn comes.
                let quoted = name.replace('"', "\"\"");
                connection.execute_batch(&format!("DROP {kind} IF EXISTS \"{quoted}\""))?;
            }
            Ok(())
        })
    }

    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError> {
        let shared = self.shared.clone();
        let alarm = self.read(|connection| {
            connection.prepare_cached(&shared.statements.alarm)?.query_row([], |row| {
                let (due, scheduled) = (row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?);
                let tries = row.get::<_, Option<u32>>(2)?.unwrap_or(0);
                let alarm =
                    |due: i64| Alarm { due_ms: due as u64, scheduled_ms: scheduled.unwrap_or(due) as u64, tries };
                Ok(due.map(alarm))
            })
        })?;
        Ok(alarm.flatten())
    }

    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError> {
        if self.alarm()? == alarm {
            return Ok(());
        }
        let due_ms = alarm.map(|alarm| alarm.due_ms);
        let shared = self.shared.clone();
        self.write(|connection| {
            let mut statement = connection.prepare_cached(&shared.statements.set_alarm)?;
            let scheduled = alarm.map(|alarm| alarm.scheduled_ms as i64);
            statement.execute(params![due_ms.map(|ms| ms as i64), scheduled, alarm.map(|alarm| alarm.tries)]).map(drop)
        })?;
        self.alarm = Some(due_ms);
        Ok(())
    }

    fn sql(&mut self, statement: &SqlStatement) -> Result<SqlResult, ObjectError> {
        self.check()?;
        self.make()?;
        self.write_pending()?;
        let time = Duration::from_millis(self.shared.sql_ms);
        let budget = Budget { time, ..Budget::of(&self.shared.sql_limits) };
        let slot = self.slot.clone();
        if !self.in_turn {
            let read = super::lock(&slot.open).as_ref().map(|open| open.connection.run_if_read(statement, &budget));
            match read.ok_or(StoreError::Closed)? {
                Ok(Some(result)) => return Ok(result),
                // Several statements have a way of their own, below.
                Ok(None) | Err(SqlError::Statement(_)) => {}
                Err(error) => return Err(self.refused(error)),
            }
            self.enter()?;
        }
        let run = |connection: &TenantConnection| connection.bounded(|| run(connection, statement, &budget));
        let run = super::lock(&slot.open).as_ref().map(|open| run(&open.connection));
        run.ok_or(StoreError::Closed)?.map_err(|error| self.refused(error))
    }

    fn begin(&mut self) -> Result<(), ObjectError> {
        self.write(|connection| connection.execute_batch("SAVEPOINT _selvedge_part"))?;
        self.parts += 1;
        Ok(())
    }

    fn end(&mut self, keep: bool) -> Result<(), ObjectError> {
        if self.parts == 0 {
            return Ok(());
        }
        self.parts -= 1;
        if !keep {
            // What was put before it began is written.
            self.pending.forget();
        }
        let undo = if keep { "" } else { "ROLLBACK TO _selvedge_part;" };
        self.write(|connection| connection.execute_batch(&format!("{undo} RELEASE _selvedge_part")))?;
        if !keep {
            self.recent.forget_all();
            // It may have been set in what was undone.
            self.alarm = Some(self.alarm()?.map(|alarm| alarm.due_ms));
        }
        Ok(())
    }

    fn bytes(&mut self) -> Result<u64, ObjectError> {
        let pages = self.read(|connection| {
            let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
            Ok(number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?))
        })?;
        Ok(pages.unwrap_or(0) as u64 * PAGE_BYTES)
    }

    fn durability(&self) -> Durability {
        Durability::Fsync
    }

    fn bookmark(&mut self) -> Result<u64, ObjectError> {
        self.check()?;
        // One that stores nothing has a past from here on, if it stores something later.
        self.make()?;
        let mut open = super::lock(&self.slot.open);
        Ok(open.as_mut().ok_or(StoreError::Closed)?.journal.mark())
    }

    fn restore_next(&mut self, at_ms: u64) -> Result<u32, ObjectError> {
        if at_ms > self.shared.root.options.clock.unix_ms().saturating_add(AHEAD_MS) {
            return Err(ObjectError::Past("the moment is yet to come".into()));
        }
        self.write(|connection| past::ask(connection, at_ms))
    }

    fn before_restore(&mut self, number: u32) -> Result<Option<u64>, ObjectError> {
        Ok(self.read(|connection| past::before(connection, number))?.flatten())
    }

    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError> {
        self.check()?;
        if !self.in_turn {
            return Ok(None);
        }
        self.write_pending()?;
        self.in_turn = false;
        self.parts = 0;
        let (alarm, shared) = (self.alarm.take(), self.shared.clone());
        let slot = self.slot.clone();
        let mut open = super::lock(&slot.open);
        // Looked at once more: who takes the object over takes the connection.
        self.check()?;
        let Some(Open { journal, connection }) = &mut *open else { return Ok(None) };
        let committed = connection.trusted(|connection| {
            connection.prepare_cached(&shared.statements.commit)?.execute([])?;
            Ok(journal.committed(connection))
        });
        // A foreign key that was to be looked at last: what was written breaks it, and nothing failed here.
        let broken = committed.as_ref().err().filter(|error| matches!(error, SqlError::Constraint(_))).cloned();
        let ticket = match committed.map_err(|error| file::own(&self.path, error)).and_then(|ticket| ticket) {
            Ok(ticket) => ticket,
            Err(error) => {
                // If it can't be undone either, it goes with the connection.
                let _ = connection.trusted(|connection| connection.execute_batch("ROLLBACK"));
                self.spent = Some(error.clone());
                return Err(broken.map_or(ObjectError::Store(error), ObjectError::Undone));
            }
        };
        Ok(Some(match alarm {
            None => Ticket::of(ticket),
            Some(due_ms) => {
                let indexed = self.shared.alarms.set(&self.key, due_ms);
                Ticket::of(async move {
                    indexed.await?;
                    ticket.await
                })
            }
        }))
    }

    fn roll_back(&mut self) {
        (self.parts, self.alarm) = (0, None);
        self.recent.forget_all();
        self.pending.forget();
        if !std::mem::take(&mut self.in_turn) || self.check().is_err() {
            return;
        }
        let open = super::lock(&self.slot.open);
        let in_transaction = open.as_ref().filter(|open| open.connection.in_transaction());
        let undone = in_transaction.map(|open| open.connection.trusted(|c| c.execute_batch("ROLLBACK")));
        if let Some(Err(error)) = undone {
            self.spent = Some(file::own(&self.path, error));
        }
    }
}

/// One statement; or several, of which the last has the values and the rows. Text that is no single statement
/// fails in ways of its own, so what fails is tried as several.
fn run(connection: &TenantConnection, statement: &SqlStatement, budget: &Budget) -> Result<SqlResult, SqlError> {
    let failed = match connection.run(statement, budget) {
        Err(error @ SqlError::Statement(_)) => error,
        answered => return answered,
    };
    let control = |sql: &str| connection.trusted(|connection| connection.execute_batch(sql));
    control("SAVEPOINT _selvedge_script")?;
    let outcome = connection.run_several(statement, budget).unwrap_or(Err(failed));
    let undo = if outcome.is_ok() { "" } else { "ROLLBACK TO _selvedge_script; " };
    if connection.in_transaction() {
        control(&format!("{undo}RELEASE _selvedge_script"))?;
    }
    outcome
}

fn put_all(connection: &Connection, shared: &Shared, entries: &[(Box<str>, Bytes)]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&shared.statements.put)?;
    entries.iter().try_for_each(|(key, value)| statement.execute(params![key, &**value]).map(drop))
}

/// The first byte string after all that start with a prefix. No byte of UTF-8 is 0xff.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

impl Drop for LocalStorage {
    /// To close takes a flush, so it is done elsewhere; whoever opens the file next waits for it.
    fn drop(&mut self) {
        self.roll_back();
        let (shared, key, path, slot) = (self.shared.clone(), self.key.clone(), self.path.clone(), self.slot.clone());
        let (fence, opening, in_doubt) = (self.fence, self.opening, self.spent.is_some());
        let pool = shared.pool.clone();
        let close = move || {
            let turn = super::lock(&slot.gate);
            // Somebody else's by now, it stays open.
            let is_ours = slot.fence.load(Ordering::SeqCst) == fence && slot.opened.load(Ordering::SeqCst) == opening;
            let open = if is_ours { super::lock(&slot.open).take() } else { None };
            if let Some(open) = open
                && let Err(error) = file::close(&shared, &path, open, in_doubt)
            {
                tracing::warn!(%error, "an object did not close well; it recovers when it is opened again");
            }
            drop(turn);
            shared.leave(&key, slot);
        };
        // Where no thread takes it, the node stops; what was committed stands in the ledger.
        if let Err(error) = pool.spawn(crate::pool::Lane::default(), close) {
            tracing::debug!(%error, "an object was closed while the node stopped");
        }
    }
}
