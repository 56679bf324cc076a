//! The change feed in a KV file: a row for each change, in the transaction that makes it.

use base::ResourceName;
use rusqlite::{Connection, params};
use services::kv::{PAGE_CHANGES, PAGE_SCANNED};
use services::{Change, ChangeKind};

use super::rows::{read_key, sequence};
use crate::database::Tx;

/// Changes beyond the limit that are let stand until they are worth a deletion.
const SLACK: u64 = 256;

fn number(kind: ChangeKind) -> i64 {
    ChangeKind::ALL.iter().position(|&known| known == kind).unwrap_or_default() as i64
}

/// Tells of one change; `place` is its number among those of the same revision.
pub fn tell(
    tx: &Tx<'_>,
    namespace: i64,
    key: &[u8],
    kind: ChangeKind,
    revision: u64,
    place: usize,
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![revision as i64, place as i64, namespace, number(kind), key]).map(drop)
}

/// How many changes are kept.
pub fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM change", [], |row| row.get::<_, i64>(0)).map(|count| count as u64)
}

/// Forgets the oldest of `count` changes, now and then, and whole revisions of them. Answers how
/// many are left.
pub fn forget(tx: &Tx<'_>, count: u64, keep: u64) -> rusqlite::Result<u64> {
    if count <= keep + SLACK {
        return Ok(count);
    }
    let last = "SELECT revision FROM change ORDER BY revision, place LIMIT 1 OFFSET ?1";
    let last: i64 = tx.prepare(last)?.query_row([(count - keep - 1) as i64], |row| row.get(0))?;
    let gone = tx.prepare("DELETE FROM change WHERE revision <= ?1")?.execute([last])?;
    tx.prepare("UPDATE change_floor SET revision = ?1")?.execute([last])?;
    Ok(count.saturating_sub(gone as u64))
}

/// Everything through this revision is forgotten.
pub fn floor(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT revision FROM change_floor", [], |row| row.get::<_, i64>(0)).map(|at| at as u64)
}

/// What a read of the feed found.
pub struct Page {
    pub floor: u64,
    /// The newest revision.
    pub last: u64,
    pub changes: Vec<Change>,
    pub through: u64,
}

const CHANGES: &str = "
    SELECT change.revision, change.kind, change.key, namespace.name = ?2
    FROM change JOIN namespace ON namespace.id = change.namespace
    WHERE change.revision > ?1 ORDER BY change.revision, change.place";

/// One page of what has a higher revision than `since`; without it, only where now is.
pub fn read(connection: &Connection, ns: &ResourceName, prefix: &str, since: Option<u64>) -> rusqlite::Result<Page> {
    let view = connection.unchecked_transaction()?;
    let (floor, now) = (floor(&view)?, sequence(&view)?);
    let mut page = Page { floor, last: now, changes: Vec::new(), through: now };
    let Some(since) = since.filter(|since| (floor..=now).contains(since)) else { return Ok(page) };
    let (mut scanned, mut last) = (0, since);
    let mut statement = view.prepare_cached(CHANGES)?;
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![since, ns.as_str()])?;
    while let Some(row) = rows.next()? {
        let revision = row.get::<_, i64>(0)? as u64;
        let is_full = page.changes.len() >= PAGE_CHANGES || scanned >= PAGE_SCANNED;
        if is_full && revision != last {
            page.through = last;
            break;
        }
        (scanned, last) = (scanned + 1, revision);
        if !row.get::<_, bool>(3)? || !row.get_ref(2)?.as_blob()?.starts_with(prefix.as_bytes()) {
            continue;
        }
        let kind = usize::try_from(row.get::<_, i64>(1)?).ok().and_then(|at| ChangeKind::ALL.get(at).copied());
        let Some(kind) = kind else { continue };
        page.changes.push(Change { key: read_key(row, 2)?, kind, revision });
    }
    Ok(page)
}
