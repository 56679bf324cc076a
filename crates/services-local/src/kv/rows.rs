//! The rows of a KV file, and every statement that touches them.

use base::ResourceName;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};
use services::{ListedKey, PutOptions};

use crate::content::ContentId;
use crate::database::{Kind, Tx};

pub const KIND: Kind = Kind { application_id: 0x534c_564b, migrations: &[SCHEMA_1] };

/// Keys are blobs, so that their order is that of their bytes, whatever they hold. The value is
/// the last column: a list never reads the pages it overflows to.
const SCHEMA_1: &str = "
    CREATE TABLE namespace (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL,
        key BLOB NOT NULL,
        revision INTEGER NOT NULL,
        expires_at_ms INTEGER,
        metadata TEXT,
        size INTEGER NOT NULL,
        -- Either the name of a content file, or the value.
        content BLOB,
        value BLOB,
        UNIQUE (namespace, key),
        CHECK ((content IS NULL) <> (value IS NULL))
    ) STRICT;
    CREATE INDEX entry_expiry ON entry (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
    CREATE INDEX entry_content ON entry (content) WHERE content IS NOT NULL;
";

/// A visible entry.
pub struct Row {
    pub place: Place,
    pub size: u64,
    pub metadata: Option<String>,
    pub expires_at_ms: Option<u64>,
    pub revision: u64,
}

/// Where a value lies.
pub enum Place {
    Inline(Bytes),
    Content(ContentId),
}

/// What a write needs to know of the row it replaces.
pub struct Found {
    pub id: i64,
    pub revision: u64,
    pub content: Option<ContentId>,
    expires_at_ms: Option<u64>,
}

impl Found {
    pub fn visible(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at| now_ms < at)
    }
}

const GET: &str = "
    SELECT revision, expires_at_ms, metadata, size, content, value FROM entry
    WHERE namespace = (SELECT id FROM namespace WHERE name = ?1) AND key = ?2
      AND (expires_at_ms IS NULL OR expires_at_ms > ?3)";

pub fn get(connection: &Connection, ns: &ResourceName, key: &str, now_ms: u64) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare_cached(GET)?;
    statement.query_row(params![ns.as_str(), key.as_bytes(), now_ms as i64], read_row).optional()
}

pub fn get_many(
    connection: &Connection,
    ns: &ResourceName,
    keys: &[String],
    now_ms: u64,
) -> rusqlite::Result<Vec<Option<Row>>> {
    let view = connection.unchecked_transaction()?;
    keys.iter().map(|key| get(&view, ns, key, now_ms)).collect()
}

fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let place = match read_content(row, 4)? {
        Some(id) => Place::Content(id),
        None => Place::Inline(Bytes::copy_from_slice(row.get_ref(5)?.as_blob()?)),
    };
    Ok(Row {
        place,
        size: row.get::<_, i64>(3)? as u64,
        metadata: row.get(2)?,
        expires_at_ms: row.get::<_, Option<i64>>(1)?.map(|at| at as u64),
        revision: row.get::<_, i64>(0)? as u64,
    })
}

fn read_content(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Option<ContentId>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(ContentId))
}

const LIST: &str = "
    SELECT key, expires_at_ms, metadata, revision FROM entry
    WHERE namespace = (SELECT id FROM namespace WHERE name = ?1)
      AND key >= ?2 AND key > ?3 AND key < ?4
      AND (expires_at_ms IS NULL OR expires_at_ms > ?5)
    ORDER BY key LIMIT ?6";

pub fn list(
    connection: &Connection,
    ns: &ResourceName,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    now_ms: u64,
) -> rusqlite::Result<Vec<ListedKey>> {
    let mut statement = connection.prepare_cached(LIST)?;
    let after = after.unwrap_or("");
    let bounds = params![ns.as_str(), prefix.as_bytes(), after.as_bytes(), end_of(prefix), now_ms as i64, limit as i64];
    let rows = statement.query_map(bounds, |row| {
        let key = row.get_ref(0)?.as_blob()?;
        Ok(ListedKey {
            // Keys come in as strings, so this never replaces anything.
            name: String::from_utf8_lossy(key).into_owned(),
            expires_at_ms: row.get::<_, Option<i64>>(1)?.map(|at| at as u64),
            metadata: row.get(2)?,
            revision: row.get::<_, i64>(3)? as u64,
        })
    })?;
    rows.collect()
}

/// The first byte string after all that start with `prefix`. No byte of UTF-8 is 0xff.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0xff),
    }
    end
}

const FIND: &str = "
    SELECT id, revision, content, expires_at_ms FROM entry
    WHERE namespace = (SELECT id FROM namespace WHERE name = ?1) AND key = ?2";

/// The row under a key, expired or not.
pub fn find(tx: &Tx<'_>, ns: &ResourceName, key: &str) -> rusqlite::Result<Option<Found>> {
    let mut statement = tx.prepare(FIND)?;
    let found = statement.query_row(params![ns.as_str(), key.as_bytes()], |row| {
        Ok(Found {
            id: row.get(0)?,
            revision: row.get::<_, i64>(1)? as u64,
            content: read_content(row, 2)?,
            expires_at_ms: row.get::<_, Option<i64>>(3)?.map(|at| at as u64),
        })
    });
    found.optional()
}

const PUT: &str = "
    INSERT INTO entry (namespace, key, revision, expires_at_ms, metadata, size, content, value)
    VALUES ((SELECT id FROM namespace WHERE name = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (namespace, key) DO UPDATE SET
        revision = excluded.revision, expires_at_ms = excluded.expires_at_ms, metadata = excluded.metadata,
        size = excluded.size, content = excluded.content, value = excluded.value";

#[allow(clippy::too_many_arguments)] // The columns of one statement.
pub fn put(
    tx: &Tx<'_>,
    ns: &ResourceName,
    key: &str,
    value: Option<&[u8]>,
    content: Option<ContentId>,
    size: u64,
    options: &PutOptions,
    revision: u64,
) -> rusqlite::Result<()> {
    tx.prepare("INSERT OR IGNORE INTO namespace (name) VALUES (?1)")?.execute([ns.as_str()])?;
    tx.prepare(PUT)?.execute(params![
        ns.as_str(),
        key.as_bytes(),
        revision as i64,
        options.expires_at_ms.map(|at| at as i64),
        options.metadata,
        size as i64,
        content.map(|id| id.0),
        value,
    ])?;
    Ok(())
}

pub fn delete(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare("DELETE FROM entry WHERE id = ?1")?.execute([id]).map(drop)
}

const EXPIRED: &str = "SELECT id, content FROM entry WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2";

/// Removes expired rows; answers how many, and the content files that they named.
pub fn delete_expired(tx: &Tx<'_>, now_ms: u64, limit: usize) -> rusqlite::Result<(usize, Vec<ContentId>)> {
    let mut statement = tx.prepare(EXPIRED)?;
    let rows = statement
        .query_map(params![now_ms as i64, limit as i64], |row| Ok((row.get::<_, i64>(0)?, read_content(row, 1)?)))?;
    let expired: Vec<(i64, Option<ContentId>)> = rows.collect::<rusqlite::Result<_>>()?;
    expired.iter().try_for_each(|&(id, _)| delete(tx, id))?;
    Ok((expired.len(), expired.into_iter().filter_map(|(_, content)| content).collect()))
}

/// Every content file that a row names, with its size.
pub fn contents(connection: &Connection) -> rusqlite::Result<Vec<(ContentId, u64)>> {
    let mut statement = connection.prepare_cached("SELECT content, size FROM entry WHERE content IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((ContentId(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
    rows.collect()
}
