//! Purges of a prefix or a tag that find too much to be removed at once.
//!
//! To remove a hundred thousand rows takes seconds, in which nothing else is written. So such a purge writes
//! down what it is about and up to which row: from then on those are not found (or are stale, if that is
//! what was asked for), and they are removed in the background, a few at a time. What is put later has a
//! larger number, and is not meant.

use cache::{Purge, Purged, StoreError};
use rusqlite::{Connection, TransactionBehavior, params};

use super::index::{Index, PurgeDone, failed};
use super::{Shelf, lock};

/// A purge that finds more is written down.
const AT_ONCE_MAX: u64 = 256;
/// Purges that are written down at once, each of which costs every look-up; one more is done as it comes.
const MARKS_MAX: u64 = 64;
/// Rows that one transaction changes in the background, so that everybody else gets their turn.
const SWEPT_AT_ONCE: usize = 100;

/// `through` is the last row that there was; `first` and `last` are the bounds of a prefix.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS mark (number INTEGER PRIMARY KEY, app TEXT NOT NULL, tag TEXT, first TEXT NOT NULL,
    last TEXT NOT NULL, through INTEGER NOT NULL, stale_at_ms INTEGER);
";

/// What marks say of a row `r`: nothing, since when it is stale, or -1 if it is not there any more.
pub(super) const SAID: &str = "(SELECT min(coalesce(m.stale_at_ms, -1)) FROM mark m WHERE m.app = r.app
    AND r.id <= m.through AND CASE WHEN m.tag IS NULL THEN r.url >= m.first AND r.url < m.last
    ELSE EXISTS (SELECT 1 FROM tag t WHERE t.app = m.app AND t.tag = m.tag AND t.id = r.id) END)";

/// What a purge is about, as its mark has it.
struct About {
    tag: Option<String>,
    first: String,
    last: String,
}

impl About {
    fn of(purge: &Purge) -> Option<Self> {
        match &purge.what {
            Purged::Prefix(prefix) => {
                Some(Self { tag: None, first: prefix.to_string(), last: format!("{prefix}\u{10FFFF}") })
            }
            Purged::Tag(tag) => Some(Self { tag: Some(tag.to_string()), first: String::new(), last: String::new() }),
            Purged::Url(_) | Purged::Entry { .. } | Purged::All => None,
        }
    }

    /// Counts rows beyond `after`, up to `max` of them, by indexes that hold all that it takes.
    fn count(&self, connection: &Connection, app: &str, after: i64, max: u64) -> rusqlite::Result<u64> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let found: i64 = match &self.tag {
            Some(tag) => connection
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM tag WHERE app = ?1 AND tag = ?2 AND id > ?3 LIMIT ?4)",
                )?
                .query_row(params![app, tag, after, max], |row| row.get(0))?,
            None => connection
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM response INDEXED BY response_key
                     WHERE app = ?1 AND url >= ?2 AND url < ?3 AND id > ?4 LIMIT ?5)",
                )?
                .query_row(params![app, self.first, self.last, after, max], |row| row.get(0))?,
        };
        Ok(found as u64)
    }
}

impl Index {
    /// Writes a purge down, if it finds much; `None` if it is to be done at once.
    pub(super) fn mark(&mut self, purge: &Purge) -> rusqlite::Result<Option<PurgeDone>> {
        let Some(about) = About::of(purge) else { return Ok(None) };
        let marks: i64 = self.connection.query_row("SELECT count(*) FROM mark", [], |row| row.get(0))?;
        let is_large = about.count(&self.connection, &purge.app, 0, AT_ONCE_MAX + 1)? > AT_ONCE_MAX;
        if !is_large || marks as u64 >= MARKS_MAX {
            return Ok(None);
        }
        // What the same purge was about before is gone already.
        let before: i64 = self.connection.query_row(
            "SELECT coalesce(max(through), 0) FROM mark
             WHERE app = ?1 AND tag IS ?2 AND first = ?3 AND stale_at_ms IS NULL",
            params![&*purge.app, about.tag, about.first],
            |row| row.get(0),
        )?;
        let count = about.count(&self.connection, &purge.app, before, u64::MAX)?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO mark (app, tag, first, last, through, stale_at_ms)
             VALUES (?1, ?2, ?3, ?4, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'response'), 0), ?5)",
            params![&*purge.app, about.tag, about.first, about.last, purge.stale_at_ms.map(|at_ms| at_ms as i64)],
        )?;
        transaction.execute("UPDATE purges SET count = count + 1", [])?;
        transaction.commit()?;
        Ok(Some(PurgeDone { count, files: Vec::new(), leaves_rows: true }))
    }

    /// The oldest mark: its number, since when its rows are stale, and all of them.
    fn marked(&self) -> rusqlite::Result<Option<(i64, Option<u64>, Vec<i64>)>> {
        let mut oldest = self.connection.prepare_cached(
            "SELECT number, app, tag, first, last, through, stale_at_ms FROM mark ORDER BY number LIMIT 1",
        )?;
        let mut rows = oldest.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (number, app, tag): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (first, last, through): (String, String, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let stale_at_ms = row.get::<_, Option<i64>>(6)?.map(|at_ms| at_ms as u64);
        let ids = match tag {
            Some(tag) => self
                .connection
                .prepare_cached("SELECT id FROM tag WHERE app = ?1 AND tag = ?2 AND id <= ?3")?
                .query_map(params![app, tag, through], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?,
            None => self
                .connection
                .prepare_cached(
                    "SELECT id FROM response INDEXED BY response_key
                     WHERE app = ?1 AND url >= ?2 AND url < ?3 AND id <= ?4",
                )?
                .query_map(params![app, first, last, through], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?,
        };
        Ok(Some((number, stale_at_ms, ids)))
    }

    fn unmark(&self, number: i64) -> Result<(), StoreError> {
        let removed = self.connection.execute("DELETE FROM mark WHERE number = ?1", [number]);
        removed.map(drop).map_err(|error| failed(&error))
    }
}

impl Shelf {
    /// Does what was only written down. Marks that come meanwhile are next.
    pub(super) fn sweep_marks(&self) -> Result<(), StoreError> {
        loop {
            let marked = self.read(|index| index.marked().map_err(|error| failed(&error)))?;
            let Some((number, stale_at_ms, ids)) = marked else { return Ok(()) };
            for some in ids.chunks(SWEPT_AT_ONCE) {
                let files = match stale_at_ms {
                    Some(at_ms) => lock(&self.index).make_stale(some, at_ms)?,
                    None => lock(&self.index).remove(some)?,
                };
                self.bodies.remove(files);
                std::thread::yield_now();
            }
            lock(&self.index).unmark(number)?;
        }
    }
}
