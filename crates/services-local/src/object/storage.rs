//! The file of one object, opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use services::StoreError;
use services::object::{Alarm, ListOptions, ObjectError, ObjectKey, ObjectStorage, Ticket};

use super::sync::Syncer;
use super::{Shared, Slot};
use crate::database::store_error;
use crate::disk;

/// Written into the header, so that a file in the wrong place is noticed.
const APPLICATION_ID: u32 = 0x534c_564f;
const SCHEMA_VERSION: u32 = 1;
const PAGE_BYTES: u64 = 4_096;
/// Pages of the log before it is copied into the file, and bytes that it keeps after that.
const CHECKPOINT_PAGES: u32 = 1_000;
const LOG_BYTES_KEPT: u32 = 4 << 20;
const CACHE_KIB: u32 = 512;

/// Names with this prefix are the platform's.
const SCHEMA: &str = "
    CREATE TABLE _selvedge_entry (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE _selvedge_object (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        name TEXT,
        due_ms INTEGER,
        scheduled_ms INTEGER,
        tries INTEGER
    ) STRICT;
    INSERT INTO _selvedge_object (one) VALUES (1);
";

/// The bytes of an empty object's file. Blocks.
pub fn template(dir: &Path) -> Result<Vec<u8>, StoreError> {
    let path = dir.join("template.db");
    let sql = |error: rusqlite::Error| store_error(&path, &error);
    let file = |error: io::Error| disk::store_error(&path, &error);
    disk::remove(&path).map_err(file)?;
    let connection = Connection::open(&path).map_err(sql)?;
    let setup = format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {SCHEMA} COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&setup).map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))?;
    let bytes = fs::read(&path).map_err(file)?;
    disk::remove(&path).map_err(file)?;
    Ok(bytes)
}

pub struct LocalStorage {
    shared: Arc<Shared>,
    key: ObjectKey,
    /// Until it is closed.
    slot: Option<Arc<Slot>>,
    fence: u64,
    path: PathBuf,
    /// `None` while nothing is stored.
    open: Option<Open>,
    /// A transaction is open.
    in_turn: bool,
    parts: u32,
    /// Stored with the next write.
    name: Option<String>,
    /// The alarm of this turn, if it was changed.
    alarm: Option<Option<u64>>,
    spent: Option<StoreError>,
}

struct Open {
    connection: Connection,
    syncer: Arc<Syncer>,
}

impl LocalStorage {
    /// Blocks: opens the file, if there is one.
    pub fn open(shared: Arc<Shared>, key: ObjectKey, slot: Arc<Slot>, fence: u64) -> Result<Self, ObjectError> {
        let gate = slot.clone();
        // One who closes or opens it is waited for.
        let _turn = super::lock(&gate.gate);
        if slot.fence.fetch_max(fence, Ordering::SeqCst) > fence {
            shared.leave(&key, slot);
            return Err(ObjectError::Fenced);
        }
        let path = shared.file(&key);
        let mut storage = Self {
            shared,
            key,
            slot: Some(slot),
            fence,
            path,
            open: None,
            in_turn: false,
            parts: 0,
            name: None,
            alarm: None,
            spent: None,
        };
        if storage.path.try_exists().map_err(|error| disk::store_error(&storage.path, &error))? {
            storage.open = Some(storage.connect()?);
            storage.mend_index()?;
        }
        Ok(storage)
    }

    fn connect(&self) -> Result<Open, StoreError> {
        let sql = |error: rusqlite::Error| store_error(&self.path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(sql)?;
        connection.set_prepared_statement_cache_capacity(32);
        let in_doubt = self.slot.as_ref().is_some_and(|slot| slot.in_doubt.load(Ordering::Acquire));
        if in_doubt {
            let recovery = "PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);";
            connection.execute_batch(recovery).map_err(sql)?;
        }
        let pages = (self.shared.limits.object_bytes / PAGE_BYTES).max(16);
        let setup = format!(
            "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {LOG_BYTES_KEPT}; PRAGMA cache_size = -{CACHE_KIB};
             PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;
             PRAGMA max_page_count = {pages};"
        );
        connection.execute_batch(&setup).map_err(sql)?;
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
        let application: u32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sql)?;
        if (application, version) != (APPLICATION_ID, SCHEMA_VERSION) {
            let what = format!("{}: no object of this version ({application:#x}, {version})", self.path.display());
            return Err(StoreError::Corrupt(what));
        }
        if in_doubt && let Some(slot) = &self.slot {
            slot.in_doubt.store(false, Ordering::Release);
        }
        let log = open_log(&self.path).map_err(|error| disk::store_error(&self.path, &error))?;
        let slot = self.slot.clone().unwrap_or_default();
        Ok(Open { connection, syncer: Syncer::new(log, self.path.clone(), self.key.clone(), slot) })
    }

    /// What a crash left the index without.
    fn mend_index(&mut self) -> Result<(), ObjectError> {
        match self.alarm()? {
            Some(alarm) => Ok(self.shared.alarms.set(&self.key, Some(alarm.due_ms))?),
            None => Ok(()),
        }
    }

    /// Makes the file of an object that stores something for the first time.
    fn create(&mut self) -> Result<(), StoreError> {
        let fail = |error| disk::store_error(&self.path, &error);
        let class = &self.key.class;
        let names = ["objects", class.app.tenant.as_str(), class.app.app.as_str(), class.name.as_str()];
        if !self.path.parent().is_some_and(Path::is_dir) {
            self.shared.root.create_dir(&names).map_err(fail)?;
        }
        disk::write_whole(&self.path.with_extension("new"), &self.path, &self.shared.template).map_err(fail)?;
        self.open = Some(self.connect()?);
        Ok(())
    }

    fn check(&self) -> Result<(), ObjectError> {
        self.spent.as_ref().map_or(Ok(()), |error| Err(ObjectError::Spent(error.clone())))
    }

    /// Reads, if anything is stored.
    fn read<T>(&mut self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>, ObjectError> {
        self.check()?;
        let Some(open) = &self.open else { return Ok(None) };
        match run(&open.connection) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Writes in this turn, which begins with the first write.
    fn write<T>(&mut self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ObjectError> {
        self.check()?;
        self.enter()?;
        let Some(open) = &self.open else { return Err(StoreError::Closed.into()) };
        let named = match self.name.take() {
            Some(name) => open.connection.execute("UPDATE _selvedge_object SET name = ?1", [name]).map(drop),
            None => Ok(()),
        };
        match named.and_then(|()| run(&open.connection)) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn enter(&mut self) -> Result<(), ObjectError> {
        if self.in_turn {
            return Ok(());
        }
        if self.open.is_none() {
            self.create()?;
        }
        let Some(open) = &self.open else { return Err(StoreError::Closed.into()) };
        if let Err(error) = open.connection.execute_batch("BEGIN IMMEDIATE") {
            return Err(self.failed(&error));
        }
        self.in_turn = true;
        Ok(())
    }

    /// What a failed statement means. Where the transaction went with it, so did the turn.
    fn failed(&mut self, error: &rusqlite::Error) -> ObjectError {
        let failed = store_error(&self.path, error);
        let Some(open) = &self.open else { return failed.into() };
        let turn_is_lost = self.in_turn && open.connection.is_autocommit();
        if let (StoreError::Full(_), false) = (&failed, turn_is_lost) {
            let pages: i64 = open.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap_or(0);
            if pages as u64 + 1 >= self.shared.limits.object_bytes / PAGE_BYTES {
                return ObjectError::Full { max: self.shared.limits.object_bytes };
            }
        }
        self.spent = Some(failed.clone());
        failed.into()
    }
}

/// The log has a name as soon as somebody has written; it is made here if nobody has.
fn open_log(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let log = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name)?;
    disk::sync_dir(path.parent().unwrap_or(path))?;
    Ok(log)
}

impl ObjectStorage for LocalStorage {
    fn name(&mut self) -> Result<Option<String>, ObjectError> {
        if self.name.is_some() {
            return Ok(self.name.clone());
        }
        let stored = self.read(|c| c.query_row("SELECT name FROM _selvedge_object", [], |row| row.get(0)))?;
        Ok(stored.flatten())
    }

    fn set_name(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    fn get(&mut self, keys: &[&str]) -> Result<Vec<Option<Bytes>>, ObjectError> {
        keys.iter().try_for_each(|key| self.shared.limits.check_key(key))?;
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT value FROM _selvedge_entry WHERE key = ?1")?;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = statement.query_row([key], |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?)));
                values.push(value.optional()?);
            }
            Ok(values)
        })?;
        Ok(found.unwrap_or_else(|| vec![None; keys.len()]))
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ObjectError> {
        const PUT: &str = "INSERT INTO _selvedge_entry (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.shared.limits.check_key(key)?;
        self.shared.limits.check_value(value)?;
        self.write(|connection| connection.prepare_cached(PUT)?.execute(params![key, value]).map(drop))
    }

    fn delete(&mut self, key: &str) -> Result<bool, ObjectError> {
        self.shared.limits.check_key(key)?;
        if self.get(&[key])?.iter().all(Option::is_none) {
            return Ok(false);
        }
        self.write(|connection| {
            connection.prepare_cached("DELETE FROM _selvedge_entry WHERE key = ?1")?.execute([key]).map(|rows| rows > 0)
        })
    }

    fn list(&mut self, options: &ListOptions<'_>) -> Result<Vec<(String, Bytes)>, ObjectError> {
        let order = if options.reverse { "DESC" } else { "ASC" };
        let prefix_end = options.prefix.filter(|prefix| !prefix.is_empty()).map(after_prefix);
        // Bounds that are not there compare with what every key is within.
        let sql = format!(
            "SELECT key, value FROM _selvedge_entry
             WHERE key >= ?1 AND key > ?2 AND (?3 IS NULL OR key < ?3) AND key >= ?4
               AND (?5 IS NULL OR CAST(key AS BLOB) < ?5)
             ORDER BY key {order} LIMIT ?6"
        );
        let limit = options.limit.map_or(-1, |limit| limit as i64);
        let bounds = params![
            options.start.unwrap_or(""),
            options.start_after.unwrap_or(""),
            options.end,
            options.prefix.unwrap_or(""),
            prefix_end,
            limit
        ];
        let listed = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(bounds, |row| {
                Ok((row.get::<_, String>(0)?, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(listed.unwrap_or_default())
    }

    fn delete_all(&mut self) -> Result<(), ObjectError> {
        if self.open.is_none() {
            return self.check();
        }
        self.write(|connection| connection.execute_batch("DELETE FROM _selvedge_entry"))
    }

    fn alarm(&mut self) -> Result<Option<Alarm>, ObjectError> {
        let alarm = self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT due_ms, scheduled_ms, tries FROM _selvedge_object")?;
            statement.query_row([], |row| {
                let (due, scheduled, tries) = (row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?);
                let tries: Option<u32> = tries;
                Ok(due.map(|due| Alarm {
                    due_ms: due as u64,
                    scheduled_ms: scheduled.unwrap_or(due) as u64,
                    tries: tries.unwrap_or(0),
                }))
            })
        })?;
        Ok(alarm.flatten())
    }

    fn set_alarm(&mut self, alarm: Option<Alarm>) -> Result<(), ObjectError> {
        if self.alarm()? == alarm {
            return Ok(());
        }
        let due_ms = alarm.map(|alarm| alarm.due_ms);
        self.write(|connection| {
            let mut statement = connection
                .prepare_cached("UPDATE _selvedge_object SET due_ms = ?1, scheduled_ms = ?2, tries = ?3")?;
            let scheduled = alarm.map(|alarm| alarm.scheduled_ms as i64);
            statement.execute(params![due_ms.map(|ms| ms as i64), scheduled, alarm.map(|alarm| alarm.tries)]).map(drop)
        })?;
        self.alarm = Some(due_ms);
        Ok(())
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
        let undo = if keep { "" } else { "ROLLBACK TO _selvedge_part;" };
        self.write(|connection| connection.execute_batch(&format!("{undo} RELEASE _selvedge_part")))?;
        if !keep {
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

    fn commit(&mut self) -> Result<Option<Ticket>, ObjectError> {
        self.check()?;
        if !std::mem::take(&mut self.in_turn) {
            return Ok(None);
        }
        self.parts = 0;
        let alarm = self.alarm.take();
        let Some(open) = &self.open else { return Ok(None) };
        let owned = self.slot.as_ref().is_some_and(|slot| slot.fence.load(Ordering::SeqCst) == self.fence);
        if !owned {
            // The connection is given up, and the transaction with it.
            self.spent = Some(StoreError::Closed);
            return Err(ObjectError::Fenced);
        }
        if let Err(error) = open.connection.execute_batch("COMMIT") {
            let failed = store_error(&self.path, &error);
            // If it can't be undone either, it goes with the connection.
            let _ = open.connection.execute_batch("ROLLBACK");
            self.spent = Some(failed.clone());
            return Err(failed.into());
        }
        match open.syncer.flush(&self.shared, alarm) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(error) => {
                self.spent = Some(error.clone());
                Err(error.into())
            }
        }
    }

    fn roll_back(&mut self) {
        (self.parts, self.alarm) = (0, None);
        if std::mem::take(&mut self.in_turn)
            && let Some(open) = &self.open
            && let Err(error) = open.connection.execute_batch("ROLLBACK")
        {
            self.spent = Some(store_error(&self.path, &error));
        }
    }
}

/// The first byte string after all that start with a prefix. No byte of UTF-8 is 0xff.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// Nothing is stored: neither entries, nor an alarm, nor tables of its own.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    const ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM _selvedge_entry)
        OR EXISTS (SELECT 1 FROM _selvedge_object WHERE due_ms IS NOT NULL)
        OR EXISTS (SELECT 1 FROM sqlite_schema WHERE tbl_name NOT LIKE '\\_selvedge\\_%' ESCAPE '\\')";
    connection.query_row(ANYTHING, [], |row| row.get::<_, bool>(0)).map(|anything| !anything)
}

impl Drop for LocalStorage {
    /// To close takes a flush, so it is done elsewhere; whoever opens the file next waits for it.
    fn drop(&mut self) {
        self.roll_back();
        let Some(slot) = self.slot.take() else { return };
        let (shared, key, path) = (self.shared.clone(), self.key.clone(), self.path.clone());
        let open = self.open.take();
        let pool = shared.pool.clone();
        let close = move || {
            let turn = super::lock(&slot.gate);
            if let Some(Open { connection, syncer }) = open {
                close(connection, &path, syncer.failed().is_some());
            }
            drop(turn);
            shared.leave(&key, slot);
        };
        // Where no thread takes it, the node stops; what was committed stands in the log.
        let lane = crate::pool::Lane::default();
        if let Err(error) = pool.spawn(lane, close) {
            tracing::debug!(%error, "an object was closed while the node stopped");
        }
    }
}

fn close(connection: Connection, path: &Path, in_doubt: bool) {
    let empty = !in_doubt && is_empty(&connection).unwrap_or(false);
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "{} did not close well; it recovers when it is opened again", path.display());
        return;
    }
    if empty && let Err(error) = remove(path) {
        tracing::warn!(%error, "{} is empty and could not be removed", path.display());
    }
}

/// Removes the file of an object that holds nothing. Its log was folded into it and is gone.
fn remove(path: &Path) -> io::Result<()> {
    disk::remove(path)?;
    disk::sync_dir(path.parent().unwrap_or(path))
}
