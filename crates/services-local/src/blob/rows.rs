//! The rows of a file of blobs, and the statements that read and change them.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};
use serde::{Deserialize, Serialize};
use services::blob::{BlobInfo, Checksum, HttpMetadata, Map, Settings, Version, VersionId};

use super::pieces::{NewPiece, NewPlace, Piece};
use super::sealing::sealed_size;
use crate::content::ContentId;
use crate::database::{Kind, Tx};

pub const KIND: Kind = Kind { application_id: 0x534c_5642, migrations: &[SCHEMA_1] };

/// Keys are blobs, so that their order is that of their bytes, whatever they hold. A version's
/// number is its primary key and comes from the file's sequence; sealed content is the last column
/// of its table.
const SCHEMA_1: &str = "
    CREATE TABLE bucket (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        settings TEXT NOT NULL
    ) STRICT;
    CREATE TABLE version (
        number INTEGER PRIMARY KEY,
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        is_null INTEGER NOT NULL,
        latest INTEGER NOT NULL,
        marker INTEGER NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        uploaded_ms INTEGER NOT NULL,
        -- When it stopped being the latest.
        replaced_ms INTEGER,
        head TEXT NOT NULL,
        tags TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX version_latest ON version (bucket, key) WHERE latest = 1;
    CREATE INDEX version_key ON version (bucket, key, number DESC);
    CREATE TABLE upload (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        bucket INTEGER NOT NULL,
        key BLOB NOT NULL,
        started_ms INTEGER NOT NULL,
        options TEXT NOT NULL
    ) STRICT;
    CREATE INDEX upload_key ON upload (bucket, key, started_ms, name);
    CREATE TABLE part (
        upload INTEGER NOT NULL,
        number INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        checksum TEXT NOT NULL,
        uploaded_ms INTEGER NOT NULL,
        PRIMARY KEY (upload, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE segment (
        version INTEGER NOT NULL,
        number INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        PRIMARY KEY (version, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE piece (
        id INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        -- How many segments and parts name it.
        users INTEGER NOT NULL,
        -- Null if it is a content file.
        sealed BLOB
    ) STRICT;
    -- Bytes of all versions and parts.
    CREATE TABLE usage (bytes INTEGER NOT NULL) STRICT;
    INSERT INTO usage VALUES (0);
    -- The key that pieces are sealed under, itself sealed with the node key: at most one row.
    CREATE TABLE app_key (nonce BLOB NOT NULL, sealed BLOB NOT NULL) STRICT;
";

// The plus before a parameter of a condition keeps SQLite from planning by its value: it would compile
// the statement anew for each.

/// What is kept of a version as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    pub http: HttpMetadata,
    pub custom: Map,
    pub checksum: Option<Checksum>,
    pub parts: Option<u32>,
}

pub struct BucketRow {
    pub id: i64,
    pub name: String,
    pub created_ms: u64,
    pub settings: Settings,
}

/// JSON of a column. What was written by this crate reads back.
pub fn json<T: serde::de::DeserializeOwned>(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

pub fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read_bucket(row: &SqlRow<'_>) -> rusqlite::Result<BucketRow> {
    Ok(BucketRow {
        id: row.get(0)?,
        name: row.get(1)?,
        created_ms: row.get::<_, i64>(2)? as u64,
        settings: json(row, 3)?,
    })
}

pub fn bucket(connection: &Connection, name: &str) -> rusqlite::Result<Option<BucketRow>> {
    let mut statement =
        connection.prepare_cached("SELECT id, name, created_ms, settings FROM bucket WHERE name = +?1")?;
    statement.query_row([name], read_bucket).optional()
}

pub fn buckets(connection: &Connection) -> rusqlite::Result<Vec<BucketRow>> {
    let mut statement = connection.prepare_cached("SELECT id, name, created_ms, settings FROM bucket ORDER BY name")?;
    statement.query_map([], read_bucket)?.collect()
}

pub fn insert_bucket(tx: &Tx<'_>, name: &str, now_ms: u64) -> rusqlite::Result<BucketRow> {
    let settings = Settings::default();
    tx.prepare("INSERT INTO bucket (name, created_ms, settings) VALUES (?1, ?2, ?3)")?.execute(params![
        name,
        now_ms as i64,
        to_json(&settings)?
    ])?;
    let id = tx.connection().last_insert_rowid();
    Ok(BucketRow { id, name: name.into(), created_ms: now_ms, settings })
}

/// The columns of [`read_version`], in its order.
pub const VERSION: &str = "version.number, version.key, is_null, latest, marker, version.size, version.etag,
    version.uploaded_ms, head, version.tags";

pub fn read_version(row: &SqlRow<'_>) -> rusqlite::Result<BlobInfo> {
    let head: Head = json(row, 8)?;
    Ok(BlobInfo {
        // Keys come in as strings, so this never replaces anything.
        key: String::from_utf8_lossy(row.get_ref(1)?.as_blob()?).into_owned(),
        version: Version { number: row.get::<_, i64>(0)? as u64, null: row.get(2)? },
        latest: row.get(3)?,
        marker: row.get(4)?,
        size: row.get::<_, i64>(5)? as u64,
        etag: row.get(6)?,
        uploaded_ms: row.get::<_, i64>(7)? as u64,
        http: head.http,
        custom: head.custom,
        tags: json(row, 9)?,
        checksum: head.checksum,
        parts: head.parts,
    })
}

/// The version that is asked for; the latest, a marker too, if none is.
pub fn find(
    connection: &Connection,
    bucket: i64,
    key: &str,
    version: Option<VersionId>,
) -> rusqlite::Result<Option<BlobInfo>> {
    let (which, number) = which(version);
    let sql = format!("SELECT {VERSION} FROM version WHERE bucket = +?1 AND key = +?2 AND {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![bucket, key.as_bytes(), number], read_version).optional()
}

/// What picks a version, and the number that this wants as its third parameter.
fn which(version: Option<VersionId>) -> (&'static str, i64) {
    match version {
        None => ("latest = 1 AND +?3 = 0", 0),
        Some(VersionId::Null) => ("is_null = 1 AND +?3 = 0", 0),
        Some(VersionId::Number(number)) => ("is_null = 0 AND version.number = +?3", number as i64),
    }
}

/// The same of a bucket that is known by its name.
pub fn find_named(
    connection: &Connection,
    bucket: &str,
    key: &str,
    version: Option<VersionId>,
) -> rusqlite::Result<Option<BlobInfo>> {
    let (which, number) = which(version);
    let mut statement = connection.prepare_cached(&find_named_sql(which))?;
    statement.query_row(params![bucket, key.as_bytes(), number], read_version).optional()
}

fn find_named_sql(which: &str) -> String {
    format!(
        "SELECT {VERSION} FROM bucket CROSS JOIN version ON version.bucket = bucket.id
        WHERE bucket.name = +?1 AND version.key = +?2 AND {which}"
    )
}

/// The same with its pieces, in their order: one statement, and so one view. The outer loops find a
/// row each, so that the order is that of the segments' own key.
pub fn read(
    connection: &Connection,
    bucket: &str,
    key: &str,
    version: Option<VersionId>,
) -> rusqlite::Result<Option<(BlobInfo, Vec<Piece>)>> {
    let (which, number) = which(version);
    let mut statement = connection.prepare_cached(&read_sql(which))?;
    let mut rows = statement.query(params![bucket, key.as_bytes(), number])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let info = read_version(row)?;
    let mut pieces: Vec<Piece> = read_piece(row, 10)?.into_iter().collect();
    while let Some(row) = rows.next()? {
        pieces.extend(read_piece(row, 10)?);
    }
    Ok(Some((info, pieces)))
}

fn read_sql(which: &str) -> String {
    format!(
        "SELECT {VERSION}, piece.name, piece.size, piece.sealed
        FROM bucket CROSS JOIN version ON version.bucket = bucket.id
        LEFT JOIN segment ON segment.version = version.number LEFT JOIN piece ON piece.id = segment.piece
        WHERE bucket.name = +?1 AND version.key = +?2 AND {which} ORDER BY segment.number"
    )
}

/// A piece whose columns begin at `from`, if there is one.
fn read_piece(row: &SqlRow<'_>, from: usize) -> rusqlite::Result<Option<Piece>> {
    let Some(name) = row.get(from)? else { return Ok(None) };
    Ok(Some(Piece {
        name: ContentId(name),
        size: row.get::<_, i64>(from + 1)? as u64,
        inline: row.get::<_, Option<Vec<u8>>>(from + 2)?.map(Bytes::from),
    }))
}

/// The number of a key's version that was written without versioning.
pub fn null_version(connection: &Connection, bucket: i64, key: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement =
        connection.prepare_cached("SELECT number FROM version WHERE bucket = +?1 AND key = +?2 AND is_null = 1")?;
    let number = statement.query_row(params![bucket, key.as_bytes()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(number.map(|number| number as u64))
}

const PIECES: &str = "
    SELECT piece.name, piece.size, piece.sealed FROM segment JOIN piece ON piece.id = segment.piece
    WHERE segment.version = +?1 ORDER BY segment.number";

/// The pieces of a version, in their order.
pub fn pieces(connection: &Connection, version: u64) -> rusqlite::Result<Vec<Piece>> {
    let mut statement = connection.prepare_cached(PIECES)?;
    let rows = statement.query_map([version as i64], |row| read_piece(row, 0))?;
    rows.filter_map(Result::transpose).collect()
}

/// Whether a version is still there.
pub fn exists(connection: &Connection, version: u64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM version WHERE number = +?1")?.exists([version as i64])
}

/// Every content file that a row names, with its size.
pub fn contents(connection: &Connection) -> rusqlite::Result<Vec<(ContentId, u64)>> {
    let mut statement = connection.prepare_cached("SELECT name, size FROM piece WHERE sealed IS NULL")?;
    let rows = statement.query_map([], |row| {
        let size = sealed_size(row.get::<_, i64>(1)? as u64);
        Ok((ContentId(row.get(0)?), size))
    })?;
    rows.collect()
}

/// Inserts a piece that one segment or part is about to name.
pub fn insert_piece(tx: &Tx<'_>, piece: &NewPiece) -> rusqlite::Result<i64> {
    let sealed = match &piece.place {
        NewPlace::Inline(sealed) => Some(sealed),
        NewPlace::File(_) => None,
    };
    tx.prepare("INSERT INTO piece (name, size, users, sealed) VALUES (?1, ?2, 1, ?3)")?.execute(params![
        piece.name.0,
        piece.size as i64,
        sealed
    ])?;
    Ok(tx.connection().last_insert_rowid())
}

/// Adds a user to each of these pieces.
pub fn hold_pieces(tx: &Tx<'_>, pieces: &[i64]) -> rusqlite::Result<()> {
    pieces.iter().try_for_each(|piece| {
        tx.prepare("UPDATE piece SET users = users + 1 WHERE id = +?1")?.execute([piece]).map(drop)
    })
}

/// The latest version of a key is so no longer.
pub fn replace_latest(tx: &Tx<'_>, bucket: i64, key: &str, now_ms: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE version SET latest = 0, replaced_ms = ?3 WHERE bucket = +?1 AND key = +?2 AND latest = 1";
    tx.prepare(sql)?.execute(params![bucket, key.as_bytes(), now_ms as i64]).map(drop)
}

/// Inserts a version over these pieces, which have a user for it. No other is the latest of its key.
pub fn insert_version(tx: &Tx<'_>, bucket: i64, info: &BlobInfo, pieces: &[i64]) -> rusqlite::Result<()> {
    let head = Head {
        http: info.http.clone(),
        custom: info.custom.clone(),
        checksum: info.checksum.clone(),
        parts: info.parts,
    };
    let sql = "INSERT INTO version VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, NULL, ?9, ?10)";
    let number = info.version.number as i64;
    tx.prepare(sql)?.execute(params![
        number,
        bucket,
        info.key.as_bytes(),
        info.version.null,
        info.marker,
        info.size as i64,
        info.etag,
        info.uploaded_ms as i64,
        to_json(&head)?,
        to_json(&info.tags)?,
    ])?;
    for (n, piece) in pieces.iter().enumerate() {
        tx.prepare("INSERT INTO segment VALUES (?1, ?2, ?3)")?.execute(params![number, n as i64, piece])?;
    }
    Ok(())
}

/// Removes a version for good; answers its size, and its pieces, which have a user too many then.
pub fn remove_version(tx: &Tx<'_>, number: u64) -> rusqlite::Result<(u64, Vec<i64>)> {
    let number = number as i64;
    let mut removed = tx.prepare("DELETE FROM version WHERE number = +?1 RETURNING size")?;
    let size: i64 = removed.query_row([number], |row| row.get(0))?;
    let mut segments = tx.prepare("SELECT piece FROM segment WHERE version = +?1")?;
    let pieces: Vec<i64> = segments.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    tx.prepare("DELETE FROM segment WHERE version = +?1")?.execute([number])?;
    Ok((size as u64, pieces))
}

/// Takes a user from each of these pieces; answers the content files of those that have none left.
pub fn release_pieces(tx: &Tx<'_>, pieces: &[i64]) -> rusqlite::Result<Vec<ContentId>> {
    let mut dropped = Vec::new();
    for piece in pieces {
        // To change a row is to write its content anew, so the last user is known beforehand.
        let mut statement = tx.prepare("SELECT users, name, sealed IS NULL FROM piece WHERE id = +?1")?;
        let read = |row: &SqlRow<'_>| Ok((row.get::<_, i64>(0)?, ContentId(row.get(1)?), row.get::<_, bool>(2)?));
        match statement.query_row([piece], read).optional()? {
            Some((..=1, name, is_file)) => {
                tx.prepare("DELETE FROM piece WHERE id = +?1")?.execute([piece])?;
                dropped.extend(is_file.then_some(name));
            }
            Some(_) => {
                tx.prepare("UPDATE piece SET users = users - 1 WHERE id = +?1")?.execute([piece])?;
            }
            None => {}
        }
    }
    Ok(dropped)
}

/// After a removal: the newest version that is left is the latest.
pub fn settle(tx: &Tx<'_>, bucket: i64, key: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE version SET latest = 1, replaced_ms = NULL
        WHERE number = (SELECT max(number) FROM version WHERE bucket = +?1 AND key = +?2) AND latest = 0";
    tx.prepare(sql)?.execute(params![bucket, key.as_bytes()]).map(drop)
}

pub fn use_bytes(tx: &Tx<'_>, bytes: i64) -> rusqlite::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    tx.prepare("UPDATE usage SET bytes = bytes + ?1")?.execute([bytes]).map(drop)
}

pub fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT bytes FROM usage")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(|bytes| bytes as u64)
}

pub fn is_empty(connection: &Connection, bucket: i64) -> rusqlite::Result<bool> {
    let held = connection.prepare_cached("SELECT 1 FROM version WHERE bucket = +?1 LIMIT 1")?.exists([bucket])?;
    let begun = connection.prepare_cached("SELECT 1 FROM upload WHERE bucket = +?1 LIMIT 1")?.exists([bucket])?;
    Ok(!held && !begun)
}

#[cfg(test)]
mod tests;
