//! A database is put back in its place to what it was, as one commit.
//!
//! The past is built in a file beside it, from the ledger's archive, and copied over the database page by
//! page, by SQLite's backup: one transaction, which the ledger keeps like any other. So a crash leaves what was
//! there before or what was asked for, and what was there before is a part of the past, to which the
//! database can be put back again. Its migrations are those of that moment; what came later is applied by the
//! next deployment. Its change feed goes on after every position that it ever told, and says that what lies
//! between is not known.
//!
//! The caller keeps others from opening the database meanwhile.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use services::sql::Copied;
use services::{SqlError, StoreError};

use super::writer::open_journaled;
use super::{Settings, feed};
use crate::database::store_error;
use crate::disk;
use crate::ledger::{Journal, RestoreError, Restored};

/// What can't be restored is the caller's to know.
pub fn refused(error: RestoreError) -> SqlError {
    match error {
        RestoreError::Store(error) => SqlError::Store(error),
        other => SqlError::Copy(other.to_string()),
    }
}

/// Puts back a database that no connection is open to. Blocks.
pub fn put_back(path: &Path, at_ms: u64, quota: u64, settings: &Settings) -> Result<Copied, SqlError> {
    // What a crash left.
    remove(path)?;
    let restored = settings.ledger.restore(path, at_ms, &built_at(path)).map_err(refused)?;
    let done = check_room(path, &restored, quota, settings).and_then(|()| install(path, settings));
    remove(path)?;
    done.map(|()| Copied { time_ms: Some(restored.time_ms), bytes: restored.bytes })
}

/// No name of a database has this sign in it.
fn built_at(path: &Path) -> PathBuf {
    path.with_extension("db~past.tmp")
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let built = built_at(path);
    let removed =
        ["tmp", "tmp-wal", "tmp-shm"].iter().try_for_each(|end| disk::remove(&built.with_extension(end)).map(drop));
    removed.map_err(|error| disk::store_error(&built, &error))
}

fn check_room(path: &Path, restored: &Restored, quota: u64, settings: &Settings) -> Result<(), SqlError> {
    let bytes = path.metadata().map_err(|error| disk::store_error(path, &error))?.len();
    match settings.ledger.used(path)?.saturating_sub(bytes).saturating_add(restored.bytes) > quota {
        true if restored.bytes > bytes => Err(SqlError::AppFull { bytes_max: quota }),
        _ => Ok(()),
    }
}

fn install(path: &Path, settings: &Settings) -> Result<(), SqlError> {
    let (mut connection, mut journal) = open_journaled(path, settings)?;
    journal.ready(&connection)?;
    let copied = copy(path, &mut connection, settings.clock.unix_ms());
    copied.and_then(|()| journal.committed(&connection)?.wait())?;
    close(journal, &connection);
    Ok(())
}

/// The commit is durable; a file that can't be made whole now is made so by the ledger.
fn close(journal: Journal, connection: &Connection) {
    if let Err(error) = journal.close(connection) {
        tracing::warn!(%error, "a database could not be made whole when it closed; its commits stay in the ledger");
    }
}

fn copy(path: &Path, connection: &mut Connection, now_ms: u64) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| store_error(path, &error);
    let past = Connection::open(built_at(path)).map_err(fail)?;
    if let Some(newest) = feed::newest(connection).map_err(fail)? {
        feed::begin_after(&past, newest, now_ms).map_err(fail)?;
    }
    // All pages at once, in one transaction.
    match Backup::new(&past, connection).and_then(|backup| backup.step(-1)).map_err(fail)? {
        StepResult::Done => Ok(()),
        other => Err(StoreError::Failed(format!("{}: it was not put back: {other:?}", path.display()))),
    }
}
