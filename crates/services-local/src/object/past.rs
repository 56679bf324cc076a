//! An object is put back to what it was: from the ledger's archive, as one commit.
//!
//! The past is built in a file beside the object's (`ledger::restore`), and then copied into the
//! object's own, page by page, by SQLite's backup: one transaction, which the ledger keeps like any
//! other. So a crash leaves the object as it was before or as it was put back, readers see one or
//! the other, and what was there before is a part of the past, to which it can be put back again.
//!
//! A guest asks for it ahead of time: a row of a table of the platform's in the object's own file, part
//! of the turn that asked. Whoever opens the file next carries it out before anything is read.
//! What was asked for and can't be had (the archive does not reach so far) is dropped with a line in the
//! log: an object that can't be opened any more would be worse.

use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use services::StoreError;
use services::object::{ObjectError, RESTORES_KEPT};

use super::Shared;
use super::file::{beside, check_header};
use crate::database::store_error;
use crate::disk;
use crate::ledger::{Journal, RestoreError, Restored};

/// Made when it is needed first, so that a file of an earlier version does.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS _selvedge_restore (
        number INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        before_ms INTEGER
    ) STRICT";

/// What an object is to be put back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// By which the object knows it, if it asked by itself.
    pub number: Option<u32>,
    pub at_ms: u64,
}

/// Why an object was not put back.
#[derive(Debug)]
pub enum NotPutBack {
    /// What is asked for is not there.
    Past(String),
    Store(StoreError),
}

impl From<StoreError> for NotPutBack {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NotPutBack> for ObjectError {
    fn from(error: NotPutBack) -> Self {
        match error {
            NotPutBack::Past(why) => ObjectError::Past(why),
            NotPutBack::Store(error) => ObjectError::Store(error),
        }
    }
}

impl From<RestoreError> for NotPutBack {
    fn from(error: RestoreError) -> Self {
        Self::Past(match error {
            RestoreError::Store(error) => return Self::Store(error),
            RestoreError::Unknown(_) => "nothing of the object is archived".into(),
            RestoreError::TooEarly { earliest_ms, .. } => {
                format!("the archive of the object begins at {earliest_ms} ms; ask for a later moment")
            }
            RestoreError::ToCome => "the moment is yet to come".into(),
            RestoreError::NoArchive => "this node keeps no archive (archive_days = 0)".into(),
        })
    }
}

fn has_table(connection: &Connection) -> rusqlite::Result<bool> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_selvedge_restore')";
    connection.query_row(there, [], |row| row.get(0))
}

/// What was asked for and is yet to be done.
pub fn wish(connection: &Connection) -> rusqlite::Result<Option<Wish>> {
    if !has_table(connection)? {
        return Ok(None);
    }
    let wish = "SELECT number, at_ms FROM _selvedge_restore WHERE before_ms IS NULL";
    let read = |row: &rusqlite::Row<'_>| Ok(Wish { number: Some(row.get(0)?), at_ms: row.get::<_, i64>(1)? as u64 });
    connection.query_row(wish, [], read).optional()
}

/// Asks for it, instead of what was asked for before; answers its number.
pub fn ask(connection: &Connection, at_ms: u64) -> rusqlite::Result<u32> {
    connection.execute_batch(TABLE)?;
    let next = "SELECT coalesce(max(number), 0) + 1 FROM _selvedge_restore";
    let number: u32 = connection.query_row(next, [], |row| row.get(0))?;
    connection.execute("DELETE FROM _selvedge_restore WHERE before_ms IS NULL", [])?;
    let insert = "INSERT INTO _selvedge_restore (number, at_ms) VALUES (?1, ?2)";
    connection.execute(insert, params![number, at_ms as i64])?;
    Ok(number)
}

/// The moment before it was done.
pub fn before(connection: &Connection, number: u32) -> rusqlite::Result<Option<u64>> {
    if !has_table(connection)? {
        return Ok(None);
    }
    let before = "SELECT before_ms FROM _selvedge_restore WHERE number = ?1";
    let found = connection.query_row(before, [number], |row| row.get::<_, Option<i64>>(0)).optional()?;
    Ok(found.flatten().map(|ms| ms as u64))
}

/// When the alarm is due that is set.
pub fn alarm(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let due: Option<i64> = connection.query_row("SELECT due_ms FROM _selvedge_object", [], |row| row.get(0))?;
    Ok(due.map(|due| due as u64))
}

/// Does what was asked for, if anything was. Blocks.
pub fn fulfil(
    shared: &Shared,
    path: &Path,
    connection: &mut Connection,
    journal: &mut Journal,
) -> Result<(), StoreError> {
    let Some(wish) = wish(connection).map_err(|error| store_error(path, &error))? else { return Ok(()) };
    match put_back(shared, path, connection, journal, wish) {
        Ok(time_ms) => {
            tracing::info!(object = %path.display(), time_ms, "the object was put back to what it was");
            Ok(())
        }
        Err(NotPutBack::Store(error)) => Err(error),
        Err(NotPutBack::Past(why)) => {
            tracing::error!(object = %path.display(), at_ms = wish.at_ms, why, "the object can't be put back");
            journal.ready(connection)?;
            let dropped = connection.execute("DELETE FROM _selvedge_restore WHERE before_ms IS NULL", []);
            dropped.map_err(|error| store_error(path, &error))?;
            journal.committed(connection)?.wait()
        }
    }
}

fn put_back(
    shared: &Shared,
    path: &Path,
    connection: &mut Connection,
    journal: &mut Journal,
    wish: Wish,
) -> Result<u64, NotPutBack> {
    let restored = build(shared, path, wish.at_ms)?;
    install(path, connection, journal, wish)?;
    Ok(restored.time_ms)
}

fn built_at(path: &Path) -> PathBuf {
    path.with_extension("past.tmp")
}

/// Builds what the object was, beside it; it may be gone, and is not touched. Blocks.
pub fn build(shared: &Shared, path: &Path, at_ms: u64) -> Result<Restored, NotPutBack> {
    // What a crash left.
    remove(path)?;
    Ok(shared.ledger.restore(path, at_ms, &built_at(path))?)
}

/// Makes the object what was built. Blocks.
pub fn install(path: &Path, connection: &mut Connection, journal: &mut Journal, wish: Wish) -> Result<(), StoreError> {
    journal.ready(connection)?;
    let before_ms = journal.mark();
    let copied = copy(&built_at(path), path, connection, wish, before_ms);
    copied.and_then(|()| journal.committed(connection)?.wait())?;
    remove(path)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let built = built_at(path);
    let files = [built.clone(), beside(&built, "-wal"), beside(&built, "-shm")];
    let removed = files.iter().try_for_each(|file| disk::remove(file).map(drop));
    removed.map_err(|error| disk::store_error(&built, &error))
}

/// Puts what was built in the place of what is there; what the object knows of restores comes along.
fn copy(built: &Path, path: &Path, connection: &mut Connection, wish: Wish, before_ms: u64) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| store_error(path, &error);
    let past = Connection::open_with_flags(built, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fail)?;
    check_header(&past, built)?;
    carry_over(connection, &past, wish, before_ms).map_err(fail)?;
    // All pages at once, in one transaction.
    match Backup::new(&past, connection).and_then(|backup| backup.step(-1)).map_err(fail)? {
        StepResult::Done => Ok(()),
        other => Err(StoreError::Failed(format!("{}: it was not put back: {other:?}", path.display()))),
    }
}

fn carry_over(from: &Connection, to: &Connection, wish: Wish, before_ms: u64) -> rusqlite::Result<()> {
    let mut known: Vec<(u32, i64, i64)> = Vec::new();
    if has_table(from)? {
        let done = "SELECT number, at_ms, before_ms FROM _selvedge_restore WHERE before_ms IS NOT NULL ORDER BY number";
        let mut done = from.prepare(done)?;
        let rows = done.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        known = rows.collect::<rusqlite::Result<_>>()?;
    }
    let number = wish.number.unwrap_or_else(|| known.last().map_or(1, |(number, ..)| number + 1));
    known.push((number, wish.at_ms as i64, before_ms as i64));
    let surplus = known.len().saturating_sub(RESTORES_KEPT);
    let transaction = to.unchecked_transaction()?;
    transaction.execute_batch(TABLE)?;
    transaction.execute("DELETE FROM _selvedge_restore", [])?;
    for (number, at_ms, before_ms) in known.into_iter().skip(surplus) {
        transaction.execute("INSERT INTO _selvedge_restore VALUES (?1, ?2, ?3)", params![number, at_ms, before_ms])?;
    }
    transaction.commit()
}
