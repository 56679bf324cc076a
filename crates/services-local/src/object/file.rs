//! The file of an object: how it is made, opened, looked at and closed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use services::object::{ObjectInfo, ObjectKey};
use services::{SqlError, StoreError};

use super::{Shared, past};
use crate::database::store_error;
use crate::disk;
use crate::ledger::{Journal, LOG_BYTES_KEPT};
use crate::tenant_sql::{RESERVED_PREFIX, TenantConnection};

/// Written into the header, so that a file in the wrong place is noticed.
pub const APPLICATION_ID: u32 = 0x534c_564f;
pub const SCHEMA_VERSION: u32 = 1;
pub const PAGE_BYTES: u64 = 4_096;
const CACHE_KIB: u32 = 512;

/// What the platform keeps; a tenant's statements see none of it.
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

/// The platform's own statements, which a tenant can't write: each begins with a comment that nobody
/// knows. So one that is compiled with the platform's rights is never found in the connection's
/// cache by a tenant's text.
pub struct Statements {
    pub get: String,
    pub put: String,
    pub delete: String,
    pub list: String,
    pub list_reversed: String,
    pub name: String,
    pub set_name: String,
    pub alarm: String,
    pub set_alarm: String,
    pub begin: String,
    pub commit: String,
}

impl Statements {
    pub fn new(secret: [u8; 16]) -> Self {
        let mark = format!("/* {} */ ", hex::encode(secret));
        let list = |order: &str| {
            // Bounds that are not there compare with what every key is within.
            format!(
                "{mark}SELECT key, value FROM _selvedge_entry
                 WHERE key >= ?1 AND key > ?2 AND (?3 IS NULL OR key < ?3) AND key >= ?4
                   AND (?5 IS NULL OR CAST(key AS BLOB) < ?5)
                 ORDER BY key {order} LIMIT ?6"
            )
        };
        let own = |sql: &str| format!("{mark}{sql}");
        Self {
            list: list("ASC"),
            list_reversed: list("DESC"),
            get: own("SELECT value FROM _selvedge_entry WHERE key = ?1"),
            put: own("INSERT INTO _selvedge_entry (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
            delete: own("DELETE FROM _selvedge_entry WHERE key = ?1"),
            name: own("SELECT name FROM _selvedge_object"),
            set_name: own("UPDATE _selvedge_object SET name = ?1"),
            alarm: own("SELECT due_ms, scheduled_ms, tries FROM _selvedge_object"),
            set_alarm: own("UPDATE _selvedge_object SET due_ms = ?1, scheduled_ms = ?2, tries = ?3"),
            begin: own("BEGIN IMMEDIATE"),
            commit: own("COMMIT"),
        }
    }
}

/// An object's file, open for its owner.
pub struct Open {
    /// Goes before the connection does.
    pub journal: Journal,
    pub connection: TenantConnection,
}

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

/// Makes the file of an object, durably. Blocks.
pub fn create(shared: &Shared, key: &ObjectKey, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    make_dir(shared, key, path)?;
    // Before it is there, so that it is not measured, too.
    shared.ledger.made(path, bytes.len() as u64)?;
    disk::write_whole(&path.with_extension("new"), path, bytes).map_err(|error| disk::store_error(path, &error))
}

fn make_dir(shared: &Shared, key: &ObjectKey, path: &Path) -> Result<(), StoreError> {
    let class = &key.class;
    if path.parent().is_some_and(Path::is_dir) {
        return Ok(());
    }
    let names = ["objects", class.app.tenant.as_str(), class.app.app.as_str(), class.name.as_str()];
    shared.root.create_dir(&names).map(drop).map_err(|error| disk::store_error(path, &error))
}

/// Gives an object that stores something for the first time a file, and opens it. Blocks for the
/// first object of a class, and where more are made than the stock keeps up with.
pub fn make(shared: &Shared, key: &ObjectKey, path: &Path) -> Result<Open, StoreError> {
    let Some(ready) = shared.stock.take() else {
        create(shared, key, path, &shared.template)?;
        return open(shared, path);
    };
    make_dir(shared, key, path)?;
    shared.ledger.made(path, shared.template.len() as u64)?;
    fs::rename(&ready, path).map_err(|error| disk::store_error(path, &error))?;
    let connection = connect(path)?;
    let journal = shared.ledger.adopt_born(path, &connection, &shared.template)?;
    opened(shared, path, connection, journal)
}

/// Opens a file that is there, for its owner, and puts it back first if it asked for that. Blocks.
pub fn open(shared: &Shared, path: &Path) -> Result<Open, StoreError> {
    let (mut connection, mut journal) = journaled(shared, path)?;
    past::fulfil(shared, path, &mut connection, &mut journal)?;
    opened(shared, path, connection, journal)
}

/// The connection that writes. Blocks.
pub fn journaled(shared: &Shared, path: &Path) -> Result<(Connection, Journal), StoreError> {
    let connection = connect(path)?;
    check_header(&connection, path)?;
    let journal = shared.ledger.adopt(path, &connection)?;
    Ok((connection, journal))
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let sql = |error: rusqlite::Error| store_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    let setup = format!("PRAGMA journal_size_limit = {LOG_BYTES_KEPT}; PRAGMA cache_size = -{CACHE_KIB};");
    connection.execute_batch(&setup).map_err(sql)?;
    Ok(connection)
}

/// The same, fit for a tenant's statements.
pub fn opened(shared: &Shared, path: &Path, connection: Connection, journal: Journal) -> Result<Open, StoreError> {
    let sql = |error: rusqlite::Error| store_error(path, &error);
    let clock = shared.root.options.clock.clone();
    let connection = TenantConnection::new(connection, path, shared.sql_limits.clone(), clock);
    let connection = connection.and_then(TenantConnection::with_headroom).map_err(sql)?;
    Ok(Open { journal, connection })
}

pub fn check_header(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u32>(0));
    let read = || Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?));
    let found = read().map_err(|error: rusqlite::Error| store_error(path, &error))?;
    if found == (APPLICATION_ID, SCHEMA_VERSION) {
        return Ok(());
    }
    let (application, version) = found;
    let what = format!("{}: no object of this version ({application:#x}, {version})", path.display());
    Err(StoreError::Corrupt(what))
}

/// Closes it, and removes it if it holds nothing. Blocks.
pub fn close(shared: &Shared, path: &Path, open: Open, in_doubt: bool) -> Result<(), StoreError> {
    let Open { journal, connection } = open;
    if in_doubt {
        // The ledger goes on holding what the file lacks.
        return Ok(());
    }
    let empty = connection.trusted(is_empty).unwrap_or(false);
    let closed = connection.trusted(|connection| Ok(journal.close(connection))).map_err(|error| own(path, error))?;
    let ticket = closed?;
    drop(connection);
    if empty {
        return shared.ledger.remove(path);
    }
    ticket.wait()
}

/// Nothing is stored: neither entries, nor an alarm, nor tables of its own; and nothing is to come.
fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let anything = format!(
        "SELECT EXISTS (SELECT 1 FROM _selvedge_entry)
            OR EXISTS (SELECT 1 FROM _selvedge_object WHERE due_ms IS NOT NULL)
            OR EXISTS (SELECT 1 FROM sqlite_schema WHERE substr(tbl_name, 1, {}) <> '{RESERVED_PREFIX}'
                AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\')",
        RESERVED_PREFIX.len()
    );
    let anything = connection.query_row(&anything, [], |row| row.get::<_, bool>(0))?;
    Ok(!anything && past::wish(connection)?.is_none())
}

/// What the platform's own statement failed with is the store's.
pub fn own(path: &Path, error: SqlError) -> StoreError {
    match error {
        SqlError::Store(error) => error,
        other => StoreError::Failed(format!("{}: {other}", path.display())),
    }
}

/// A connection that only looks, at what was committed. Blocks.
fn look<T>(path: &Path, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>, StoreError> {
    if !path.try_exists().map_err(|error| disk::store_error(path, &error))? {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let looked = Connection::open_with_flags(path, flags).and_then(|connection| read(&connection));
    looked.map(Some).map_err(|error| store_error(path, &error))
}

pub fn info(path: &Path) -> Result<Option<ObjectInfo>, StoreError> {
    look(path, |connection| {
        let view = connection.unchecked_transaction()?;
        let number = |sql: &str| view.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|number| number as u64);
        let mut tables = view.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               AND name NOT LIKE '\\_selvedge%' ESCAPE '\\' ORDER BY name",
        )?;
        let tables = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let (name, due): (Option<String>, Option<i64>) =
            view.query_row("SELECT name, due_ms FROM _selvedge_object", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(ObjectInfo {
            name,
            alarm_ms: due.map(|due| due as u64),
            entries: number("SELECT count(*) FROM _selvedge_entry")?,
            bytes: number("PRAGMA page_count")? * PAGE_BYTES,
            tables,
        })
    })
}

/// The whole object as one SQLite file, without what is free in it.
pub fn export(path: &Path, temporary: &Path) -> Result<Option<Bytes>, StoreError> {
    let fail = |error: io::Error| disk::store_error(temporary, &error);
    disk::remove(temporary).map_err(fail)?;
    let name = temporary.to_string_lossy().into_owned();
    let copied = look(path, |connection| connection.execute("VACUUM INTO ?1", [name]).map(drop))?;
    let Some(()) = copied else { return Ok(None) };
    let bytes = fs::read(temporary).map_err(fail)?;
    disk::remove(temporary).map_err(fail)?;
    Ok(Some(bytes.into()))
}

/// Whether bytes are an object, whole and sound, and when its alarm is due.
pub fn check(temporary: &Path, bytes: &[u8]) -> Result<Option<u64>, Unsound> {
    let fail = |error: io::Error| Unsound::Store(disk::store_error(temporary, &error));
    fs::write(temporary, bytes).map_err(fail)?;
    let checked = check_file(temporary);
    let removed = [temporary.to_owned(), beside(temporary, "-wal"), beside(temporary, "-shm")];
    removed.iter().try_for_each(|file| disk::remove(file).map(drop)).map_err(fail)?;
    checked
}

/// Why a file can't become an object.
pub enum Unsound {
    Foreign(String),
    Store(StoreError),
}

fn check_file(path: &Path) -> Result<Option<u64>, Unsound> {
    let foreign = |error: rusqlite::Error| Unsound::Foreign(error.to_string());
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(foreign)?;
    let not_ours = |error: StoreError| Unsound::Foreign(error.to_string());
    check_header(&connection, path).map_err(not_ours)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(foreign)?;
    if verdict != "ok" {
        return Err(Unsound::Foreign(verdict));
    }
    let due: Option<Option<i64>> = connection
        .query_row("SELECT due_ms FROM _selvedge_object", [], |row| row.get(0))
        .optional()
        .map_err(foreign)?;
    connection.query_row("SELECT count(*) FROM _selvedge_entry", [], |row| row.get::<_, i64>(0)).map_err(foreign)?;
    Ok(due.flatten().map(|due| due as u64))
}

pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
