//! The rows of a KV file, and every statement that touches them.

use base::ResourceName;
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};
use services::kv::LISTED_VALUE_BYTES;
use services::{KvUsage, ListedKey, NamespaceUsage, PutOptions};

use crate::content::ContentId;
use crate::database::{Kind, Tx};

pub const KIND: Kind = Kind { application_id: 0x534c_564b, migrations: &[SCHEMA_1, SCHEMA_2] };

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

/// What is stored is counted, and what changed is kept for a while. A change has the revision of
/// its write and a place among those of the same write; `change_floor` is the highest revision of
/// which something is forgotten, at first all that was written before there were changes.
const SCHEMA_2: &str = "
    ALTER TABLE namespace ADD COLUMN keys INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE namespace ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    UPDATE namespace SET
        keys = (SELECT count(*) FROM entry WHERE entry.namespace = namespace.id),
        bytes = (SELECT coalesce(sum(length(key) + coalesce(octet_length(metadata), 0) + size), 0)
                 FROM entry WHERE entry.namespace = namespace.id);
    CREATE TABLE change (
        revision INTEGER NOT NULL,
        place INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        -- The place in ChangeKind::ALL.
        kind INTEGER NOT NULL,
        key BLOB NOT NULL,
        PRIMARY KEY (revision, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change_floor (revision INTEGER NOT NULL) STRICT;
    INSERT INTO change_floor SELECT value FROM sequence;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: i64,
    pub revision: u64,
    pub content: Option<ContentId>,
    pub usage: KvUsage,
    expires_at_ms: Option<u64>,
}

impl Found {
    /// What is found under the key of this one once a value that lies in the row took its place.
    pub fn replaced(self, usage: KvUsage, revision: u64, options: &PutOptions) -> Self {
        Self { id: self.id, revision, content: None, usage, expires_at_ms: options.expires_at_ms }
    }

    pub fn visible(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|at| now_ms < at)
    }
}

#[cfg(test)]
impl Found {
    pub fn of(id: i64) -> Self {
        Self { id, revision: 1, content: None, usage: KvUsage::default(), expires_at_ms: None }
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
    SELECT key, expires_at_ms, metadata, revision, CASE WHEN ?8 AND size <= ?9 THEN value END FROM entry
    WHERE namespace = (SELECT id FROM namespace WHERE name = ?1)
      AND key >= ?2 AND key > ?3 AND key < ?4
      AND (expires_at_ms IS NULL OR expires_at_ms > ?5) AND revision > ?7
    ORDER BY key LIMIT ?6";

/// Which rows a page wants.
pub struct Wanted {
    pub namespace: ResourceName,
    pub prefix: String,
    pub after: Option<String>,
    pub after_revision: u64,
    pub limit: usize,
    /// With values, of so many bytes in all.
    pub value_bytes: Option<usize>,
}

/// The rows of one page and whether there are more, and the revision of the file.
pub fn list(connection: &Connection, wanted: &Wanted, now_ms: u64) -> rusqlite::Result<(Vec<ListedKey>, bool, u64)> {
    let view = connection.unchecked_transaction()?;
    let revision = sequence(&view)?;
    let mut statement = view.prepare_cached(LIST)?;
    let mut rows = statement.query(params![
        wanted.namespace.as_str(),
        wanted.prefix.as_bytes(),
        wanted.after.as_deref().unwrap_or("").as_bytes(),
        end_of(&wanted.prefix),
        now_ms as i64,
        // One more than the page shows whether there is another.
        wanted.limit as i64 + 1,
        wanted.after_revision as i64,
        wanted.value_bytes.is_some(),
        LISTED_VALUE_BYTES as i64,
    ])?;
    let (mut keys, mut bytes): (Vec<ListedKey>, usize) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let value = row.get_ref(4)?.as_blob_or_null()?.map(Bytes::copy_from_slice);
        bytes += value.as_ref().map_or(0, Bytes::len);
        let is_full = !keys.is_empty() && bytes > wanted.value_bytes.unwrap_or(usize::MAX);
        if keys.len() == wanted.limit || is_full {
            return Ok((keys, true, revision));
        }
        keys.push(ListedKey {
            name: read_key(row, 0)?,
            expires_at_ms: row.get::<_, Option<i64>>(1)?.map(|at| at as u64),
            metadata: row.get(2)?,
            revision: row.get::<_, i64>(3)? as u64,
            value,
        });
    }
    Ok((keys, false, revision))
}

/// Keys come in as strings, so this never replaces anything.
pub fn read_key(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_blob()?).into_owned())
}

/// The revision of the last write that is committed.
pub fn sequence(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT value FROM sequence")?;
    statement.query_row([], |row| row.get::<_, i64>(0)).map(|value| value as u64)
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

/// A namespace that holds something, or did.
#[derive(Clone, Copy)]
pub struct Namespace {
    pub id: i64,
    pub usage: KvUsage,
}

pub fn namespace(tx: &Tx<'_>, ns: &ResourceName) -> rusqlite::Result<Option<Namespace>> {
    let mut statement = tx.prepare("SELECT id, keys, bytes FROM namespace WHERE name = ?1")?;
    statement.query_row([ns.as_str()], |row| Ok(Namespace { id: row.get(0)?, usage: read_usage(row, 1)? })).optional()
}

pub fn create_namespace(tx: &Tx<'_>, ns: &ResourceName) -> rusqlite::Result<Namespace> {
    tx.prepare("INSERT INTO namespace (name) VALUES (?1)")?.execute([ns.as_str()])?;
    Ok(Namespace { id: tx.connection().last_insert_rowid(), usage: KvUsage::default() })
}

pub fn set_usage(tx: &Tx<'_>, namespace: i64, usage: KvUsage) -> rusqlite::Result<()> {
    let mut statement = tx.prepare("UPDATE namespace SET keys = ?2, bytes = ?3 WHERE id = ?1")?;
    statement.execute(params![namespace, usage.keys as i64, usage.bytes as i64]).map(drop)
}

/// What all namespaces store together.
pub fn total(connection: &Connection) -> rusqlite::Result<KvUsage> {
    let sums = "SELECT coalesce(sum(keys), 0), coalesce(sum(bytes), 0) FROM namespace";
    connection.query_row(sums, [], |row| read_usage(row, 0))
}

pub fn usage(connection: &Connection) -> rusqlite::Result<Vec<NamespaceUsage>> {
    let mut statement = connection.prepare_cached("SELECT name, keys, bytes FROM namespace ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let name: String = row.get(0)?;
        let damaged = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
        Ok(NamespaceUsage { namespace: ResourceName::parse(&name).map_err(damaged)?, usage: read_usage(row, 1)? })
    })?;
    rows.collect()
}

fn read_usage(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<KvUsage> {
    let number = |column| row.get::<_, i64>(column).map(|value| value.max(0) as u64);
    Ok(KvUsage { keys: number(column)?, bytes: number(column + 1)? })
}

const FIND: &str = "
    SELECT id, revision, content, expires_at_ms, length(key) + coalesce(octet_length(metadata), 0) + size FROM entry
    WHERE namespace = ?1 AND key = ?2";

/// The row under a key, expired or not.
pub fn find(tx: &Tx<'_>, namespace: i64, key: &str) -> rusqlite::Result<Option<Found>> {
    let mut statement = tx.prepare(FIND)?;
    let found = statement.query_row(params![namespace, key.as_bytes()], |row| {
        Ok(Found {
            id: row.get(0)?,
            revision: row.get::<_, i64>(1)? as u64,
            content: read_content(row, 2)?,
            expires_at_ms: row.get::<_, Option<i64>>(3)?.map(|at| at as u64),
            usage: KvUsage { keys: 1, bytes: row.get::<_, i64>(4)? as u64 },
        })
    });
    found.optional()
}

/// What a row holds, all but its place.
pub struct NewRow<'a> {
    pub value: Option<&'a [u8]>,
    pub content: Option<ContentId>,
    pub size: u64,
    pub options: &'a PutOptions,
    pub revision: u64,
}

const INSERT: &str = "
    INSERT INTO entry (namespace, key, revision, expires_at_ms, metadata, size, content, value)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const REPLACE: &str = "
    UPDATE entry SET revision = ?2, expires_at_ms = ?3, metadata = ?4, size = ?5, content = ?6, value = ?7
    WHERE id = ?1";

/// Writes a row in place of the one that was found under this key.
pub fn put(tx: &Tx<'_>, namespace: i64, key: &str, old: Option<&Found>, new: &NewRow<'_>) -> rusqlite::Result<()> {
    let expires_at_ms = new.options.expires_at_ms.map(|at| at as i64);
    let (revision, size, content) = (new.revision as i64, new.size as i64, new.content.map(|id| id.0));
    let (metadata, value) = (&new.options.metadata, new.value);
    match old {
        Some(old) => tx
            .prepare(REPLACE)?
            .execute(params![old.id, revision, expires_at_ms, metadata, size, content, value])
            .map(drop),
        None => tx
            .prepare(INSERT)?
            .execute(params![namespace, key.as_bytes(), revision, expires_at_ms, metadata, size, content, value])
            .map(drop),
    }
}

/// The value of a row, its expiry and its metadata, for an addition.
pub fn counter(tx: &Tx<'_>, id: i64) -> rusqlite::Result<(Option<Vec<u8>>, PutOptions)> {
    let mut statement = tx.prepare("SELECT value, expires_at_ms, metadata FROM entry WHERE id = ?1")?;
    statement.query_row([id], |row| {
        let expires_at_ms = row.get::<_, Option<i64>>(1)?.map(|at| at as u64);
        let options = PutOptions { expires_at_ms, metadata: row.get(2)?, ..PutOptions::default() };
        Ok((row.get(0)?, options))
    })
}

pub fn delete(tx: &Tx<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare("DELETE FROM entry WHERE id = ?1")?.execute([id]).map(drop)
}

const EXPIRED: &str = "
    SELECT id, content, namespace, key, length(key) + coalesce(octet_length(metadata), 0) + size FROM entry
    WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2";

/// A row whose time has come.
pub struct Expired {
    pub id: i64,
    pub content: Option<ContentId>,
    pub namespace: i64,
    pub key: Vec<u8>,
    pub usage: KvUsage,
}

pub fn expired(tx: &Tx<'_>, now_ms: u64, limit: usize) -> rusqlite::Result<Vec<Expired>> {
    let mut statement = tx.prepare(EXPIRED)?;
    let rows = statement.query_map(params![now_ms as i64, limit as i64], |row| {
        Ok(Expired {
            id: row.get(0)?,
            content: read_content(row, 1)?,
            namespace: row.get(2)?,
            key: row.get(3)?,
            usage: KvUsage { keys: 1, bytes: row.get::<_, i64>(4)? as u64 },
        })
    })?;
    rows.collect()
}

/// Pages of the file that hold nothing.
pub fn free_pages(connection: &Connection) -> rusqlite::Result<u64> {
    connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0)).map(|count| count as u64)
}

/// Gives some of them back to the file system.
pub fn give_back(tx: &Tx<'_>, pages: u64) -> rusqlite::Result<()> {
    tx.connection().execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))
}

/// Every content file that a row names, with its size.
pub fn contents(connection: &Connection) -> rusqlite::Result<Vec<(ContentId, u64)>> {
    let mut statement = connection.prepare_cached("SELECT content, size FROM entry WHERE content IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((ContentId(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
    rows.collect()
}
