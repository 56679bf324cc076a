//! The index: which responses there are, under which keys.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cache::{Amount, KEYS_MAX, Key, Purge, Purged, StoreError, Stored, VARIANTS_MAX};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::ResponseLimits;
use super::body::Written;
use super::{mark, room};

/// What an error begins with that tells of a damaged file.
pub const DAMAGE: &str = "damage: ";

/// What a row takes up besides its head and its body.
const ROW_BYTES: u64 = 512;
const BLOCK_BYTES: u64 = 4_096;
/// The layout; another one is cleared away.
const LAYOUT: u32 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS response (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, cache TEXT, url TEXT NOT NULL, generation INTEGER NOT NULL,
    vary BLOB NOT NULL, head BLOB NOT NULL, stored_at_ms INTEGER NOT NULL, initial_age_s INTEGER NOT NULL,
    lifetime_s INTEGER NOT NULL, body_id INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB, file TEXT,
    sums BLOB NOT NULL, weight INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS response_key ON response (app, url, cache);
CREATE INDEX IF NOT EXISTS response_used ON response (used);
CREATE INDEX IF NOT EXISTS response_share ON response (app, generation, used, weight);
CREATE INDEX IF NOT EXISTS response_file ON response (file) WHERE file IS NOT NULL;
CREATE TABLE IF NOT EXISTS tag (app TEXT, tag TEXT, id INTEGER, PRIMARY KEY (app, tag, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tag_id ON tag (id);
CREATE TABLE IF NOT EXISTS app (app TEXT PRIMARY KEY, generation INTEGER NOT NULL, stale_id INTEGER NOT NULL,
    stale_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS purges (count INTEGER NOT NULL);
INSERT INTO purges SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM purges);
";

/// A response as it lies in the index.
pub struct Row {
    pub id: i64,
    /// Without its body.
    pub stored: Stored,
    pub bytes: u64,
    pub inline: Option<Bytes>,
    pub file: Option<String>,
    pub sums: Vec<u8>,
}

/// What a purge did.
#[derive(Default)]
pub struct PurgeDone {
    pub count: u64,
    pub files: Vec<String>,
    /// Rows are there that are no longer found.
    pub leaves_rows: bool,
}

/// One connection, with the numbers that are kept beside it.
pub struct Index {
    pub(super) connection: Connection,
    /// What each app has that is found.
    pub(super) amounts: HashMap<String, Amount>,
    /// What all rows take up, found or not.
    pub(super) bytes: u64,
    next_use: i64,
}

pub(super) fn failed(error: &rusqlite::Error) -> StoreError {
    let damaged = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    StoreError::Failed(format!("{}{error}", if damaged { DAMAGE } else { "" }))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;")?;
    Ok(connection)
}

impl Index {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || -> rusqlite::Result<Option<Self>> {
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
            let layout: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if layout != 0 && layout != LAYOUT {
                return Ok(None);
            }
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch(mark::SCHEMA)?;
            connection.pragma_update(None, "user_version", LAYOUT)?;
            let mut index = Self { connection, amounts: HashMap::new(), bytes: 0, next_use: 0 };
            index.count()?;
            Ok(Some(index))
        };
        match open() {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Err(StoreError::Failed(format!("{} has another layout", path.display()))),
            Err(error) => Err(failed(&error)),
        }
    }

    pub fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| failed(&error))?;
        Ok(Self { connection, amounts: HashMap::new(), bytes: 0, next_use: 0 })
    }

    /// Counts what there is, by an index that has the numbers.
    fn count(&mut self) -> rusqlite::Result<()> {
        let mut all = self.connection.prepare(
            "SELECT r.app, r.generation = coalesce(a.generation, 0), count(*), sum(r.weight), max(r.used)
             FROM response r LEFT JOIN app a ON a.app = r.app GROUP BY r.app, r.generation",
        )?;
        let mut rows = all.query([])?;
        let (mut bytes, mut next_use) = (0, 0);
        while let Some(row) = rows.next()? {
            let amount = Amount { entries: row.get::<_, i64>(2)? as u64, bytes: row.get::<_, i64>(3)? as u64 };
            bytes += amount.bytes;
            next_use = i64::max(next_use, row.get::<_, i64>(4)? + 1);
            if row.get(1)? {
                self.amounts.insert(row.get(0)?, amount);
            }
        }
        (self.bytes, self.next_use) = (bytes, next_use);
        Ok(())
    }

    /// What an app has, or all together.
    pub fn amount(&self, app: Option<&str>) -> Amount {
        match app {
            Some(app) => self.amounts.get(app).copied().unwrap_or_default(),
            None => self.amounts.values().fold(Amount::default(), |sum, one| Amount {
                entries: sum.entries + one.entries,
                bytes: sum.bytes + one.bytes,
            }),
        }
    }

    pub fn find(&self, key: &Key) -> Result<Vec<Row>, StoreError> {
        let find = || -> rusqlite::Result<Vec<Row>> {
            let mut find = self.connection.prepare_cached(&format!(
                "SELECT r.id, r.head, r.lifetime_s, r.bytes, r.body, r.file, r.sums,
                        CASE WHEN r.id <= a.stale_id THEN a.stale_at_ms END, {}
                 FROM response r LEFT JOIN app a ON a.app = r.app
                 WHERE r.app = ?1 AND r.url = ?2 AND r.cache IS ?3 AND r.generation = coalesce(a.generation, 0)",
                mark::SAID
            ))?;
            let mut rows = find.query(params![&*key.app, &*key.url, key.cache.as_deref()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let said: Option<i64> = row.get(8)?;
                if said == Some(-1) {
                    continue;
                }
                let head: Vec<u8> = row.get(1)?;
                let Some(mut stored) = Stored::decode_head(&head) else { continue };
                stored.lifetime_s = row.get::<_, i64>(2)? as u64;
                for at_ms in [row.get::<_, Option<i64>>(7)?, said].into_iter().flatten() {
                    stored = stored.staled(at_ms as u64);
                }
                let inline: Option<Vec<u8>> = row.get(4)?;
                found.push(Row {
                    id: row.get(0)?,
                    stored,
                    bytes: row.get::<_, i64>(3)? as u64,
                    inline: inline.map(Bytes::from),
                    file: row.get(5)?,
                    sums: row.get(6)?,
                });
            }
            Ok(found)
        };
        find().map_err(|error| failed(&error))
    }

    /// Whether the body of this name lies under a key already.
    pub fn has_body(&self, key: &Key, vary: &[u8], body_id: u64, bytes: u64) -> Result<bool, StoreError> {
        let find = || {
            let mut find = self.connection.prepare_cached(&format!(
                "SELECT 1 FROM response r WHERE r.app = ?1 AND r.url = ?2 AND r.cache IS ?3 AND r.vary = ?4
                 AND r.body_id = ?5 AND r.bytes = ?6 AND {} IS NOT -1",
                mark::SAID
            ))?;
            let asked = params![&*key.app, &*key.url, key.cache.as_deref(), vary, body_id as i64, bytes as i64];
            find.exists(asked)
        };
        find().map_err(|error| failed(&error))
    }

    pub fn keys(&self, app: &str, url: &str) -> Result<Vec<Key>, StoreError> {
        let purge = Purge { app: app.into(), what: Purged::Url(url.into()), stale_at_ms: None, durable: false };
        let find = || -> rusqlite::Result<Vec<Key>> {
            let mut keys: Vec<Key> = Vec::new();
            for (_, key) in hit(&self.connection, &purge)? {
                if keys.len() < KEYS_MAX && !keys.contains(&key) {
                    keys.push(key);
                }
            }
            Ok(keys)
        };
        find().map_err(|error| failed(&error))
    }

    /// Puts a response, with a body or with the one that lies there under its name; answers the files
    /// that are nobody's any more.
    pub fn put(
        &mut self,
        key: &Key,
        response: &Stored,
        body: Option<Written>,
        limits: &ResponseLimits,
        used: &HashSet<Key>,
    ) -> Result<Vec<String>, StoreError> {
        let mut next_use = self.next_use;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut change = Change::begin(transaction.map_err(|error| failed(&error))?);
        let put = || -> rusqlite::Result<bool> {
            for key in used {
                next_use += 1;
                change.mark_used(key, next_use)?;
            }
            next_use += 1;
            if !change.insert(key, response, body, next_use)? {
                return Ok(false);
            }
            let bytes = self.bytes.saturating_add_signed(change.bytes);
            let share = self.amounts.get(&*key.app).map_or(0, |amount| amount.bytes);
            room::make(&mut change, key, bytes, share, limits)?;
            Ok(true)
        };
        match put() {
            Ok(true) => {}
            // Its body went meanwhile.
            Ok(false) => return Err(StoreError::Busy("what was to be renewed has been removed".to_owned())),
            Err(error) => return Err(failed(&error)),
        }
        let done = change.commit().map_err(|error| failed(&error))?;
        self.next_use = next_use;
        Ok(self.settle(done))
    }

    pub fn delete(&mut self, key: &Key) -> Result<Vec<Option<String>>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut change = Change::begin(transaction.map_err(|error| failed(&error))?);
        let delete = |change: &mut Change<'_>| -> rusqlite::Result<usize> {
            let ids = change.ids(key)?;
            for id in &ids {
                change.remove(*id)?;
            }
            Ok(ids.len())
        };
        let count = delete(&mut change).map_err(|error| failed(&error))?;
        let done = change.commit().map_err(|error| failed(&error))?;
        let files = self.settle(done);
        let mut removed: Vec<Option<String>> = files.into_iter().map(Some).collect();
        removed.resize_with(count.max(removed.len()), || None);
        Ok(removed)
    }

    /// Removes rows, whosever they are; answers their files.
    pub fn remove(&mut self, ids: &[i64]) -> Result<Vec<String>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut change = Change::begin(transaction.map_err(|error| failed(&error))?);
        ids.iter().try_for_each(|id| change.remove(*id)).map_err(|error| failed(&error))?;
        let done = change.commit().map_err(|error| failed(&error))?;
        Ok(self.settle(done))
    }

    /// Makes rows stale from a moment on.
    pub fn make_stale(&mut self, ids: &[i64], at_ms: u64) -> Result<Vec<String>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let change = Change::begin(transaction.map_err(|error| failed(&error))?);
        ids.iter().try_for_each(|id| change.make_stale(*id, at_ms)).map_err(|error| failed(&error))?;
        let done = change.commit().map_err(|error| failed(&error))?;
        Ok(self.settle(done))
    }

    pub fn purge(&mut self, purge: &Purge) -> Result<PurgeDone, StoreError> {
        if purge.durable {
            self.synchronous("FULL")?;
        }
        let outcome = match &purge.what {
            Purged::All => self.purge_all(purge).map_err(|error| failed(&error)),
            _ => match self.mark(purge) {
                Ok(Some(done)) => Ok(done),
                Ok(None) => self.purge_some(purge).map_err(|error| failed(&error)),
                Err(error) => Err(failed(&error)),
            },
        };
        if purge.durable {
            self.synchronous("NORMAL")?;
        }
        outcome
    }

    fn synchronous(&self, how: &str) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "synchronous", how).map_err(|error| failed(&error))
    }

    fn purge_all(&mut self, purge: &Purge) -> rusqlite::Result<PurgeDone> {
        let count = self.amount(Some(&purge.app)).entries;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("INSERT OR IGNORE INTO app VALUES (?1, 0, 0, 0)", [&*purge.app])?;
        match purge.stale_at_ms {
            Some(at_ms) => {
                let stale = "UPDATE app SET stale_at_ms = ?2,
                    stale_id = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'response'), 0) WHERE app = ?1";
                transaction.execute(stale, params![&*purge.app, at_ms as i64])?;
            }
            None => {
                transaction.execute("UPDATE app SET generation = generation + 1 WHERE app = ?1", [&*purge.app])?;
            }
        }
        transaction.execute("UPDATE purges SET count = count + 1", [])?;
        transaction.commit()?;
        if purge.stale_at_ms.is_none() {
            self.amounts.remove(&*purge.app);
        }
        Ok(PurgeDone { count, files: Vec::new(), leaves_rows: purge.stale_at_ms.is_none() && count > 0 })
    }

    fn purge_some(&mut self, purge: &Purge) -> rusqlite::Result<PurgeDone> {
        let hit = hit(&self.connection, purge)?;
        if hit.is_empty() && !purge.durable {
            return Ok(PurgeDone::default());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Written even if it finds nothing: what was removed before may still be on its way to the disk.
        transaction.execute("UPDATE purges SET count = count + 1", [])?;
        let mut change = Change::begin(transaction);
        for (id, _) in &hit {
            match purge.stale_at_ms {
                Some(at_ms) => change.make_stale(*id, at_ms)?,
                None => change.remove(*id)?,
            }
        }
        let done = change.commit()?;
        Ok(PurgeDone { count: hit.len() as u64, files: self.settle(done), leaves_rows: false })
    }

    pub(super) fn settle(&mut self, done: Done) -> Vec<String> {
        self.bytes = self.bytes.saturating_add_signed(done.bytes);
        for (app, (entries, bytes)) in done.apps {
            let amount = self.amounts.entry(app).or_default();
            amount.entries = amount.entries.saturating_add_signed(entries);
            amount.bytes = amount.bytes.saturating_add_signed(bytes);
        }
        self.amounts.retain(|_, amount| amount.entries > 0);
        done.files
    }
}

/// The rows that a purge is about, with their keys.
fn hit(connection: &Connection, purge: &Purge) -> rusqlite::Result<Vec<(i64, Key)>> {
    const FOUND: &str = "SELECT r.id, r.url, r.cache FROM response r LEFT JOIN app a ON a.app = r.app
        WHERE r.app = ?1 AND r.generation = coalesce(a.generation, 0) AND ";
    let said = mark::SAID;
    let (condition, first, last) = match &purge.what {
        Purged::Url(url) | Purged::Prefix(url) | Purged::Entry { url, .. } => {
            ("r.url >= ?2 AND r.url < ?3", url.to_string(), format!("{url}\u{10FFFF}"))
        }
        Purged::Tag(tag) => {
            ("r.id IN (SELECT id FROM tag WHERE app = ?1 AND tag = ?2) AND ?3 = ''", tag.to_string(), String::new())
        }
        Purged::All => ("?2 = ?3", String::new(), String::new()),
    };
    let mut find = connection.prepare_cached(&format!("{FOUND}{condition} AND {said} IS NOT -1"))?;
    let mut rows = find.query(params![&*purge.app, first, last])?;
    let mut hit = Vec::new();
    while let Some(row) = rows.next()? {
        let (url, cache): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let key = Key { app: purge.app.clone(), cache: cache.map(Into::into), url: url.into() };
        if purge.hits_key(&key) {
            hit.push((row.get(0)?, key));
        }
    }
    Ok(hit)
}

/// What a transaction does, with its sums.
pub(super) struct Change<'c> {
    pub transaction: Transaction<'c>,
    pub bytes: i64,
    done: Done,
}

/// What a transaction did.
#[derive(Default)]
pub(super) struct Done {
    pub bytes: i64,
    /// Entries and bytes, of what was found before.
    pub apps: HashMap<String, (i64, i64)>,
    pub files: Vec<String>,
}

impl<'c> Change<'c> {
    pub fn begin(transaction: Transaction<'c>) -> Self {
        Self { transaction, bytes: 0, done: Done::default() }
    }

    pub fn commit(self) -> rusqlite::Result<Done> {
        self.transaction.commit()?;
        Ok(Done { bytes: self.bytes, ..self.done })
    }

    /// By how much an app has more bytes than before.
    pub fn app_bytes(&self, app: &str) -> i64 {
        self.done.apps.get(app).map_or(0, |(_, bytes)| *bytes)
    }

    fn counted(&mut self, app: &str, entries: i64, bytes: i64) {
        let amount = self.done.apps.entry(app.to_owned()).or_default();
        amount.0 += entries;
        amount.1 += bytes;
    }

    fn ids(&self, key: &Key) -> rusqlite::Result<Vec<i64>> {
        let mut find = self.transaction.prepare_cached(
            "SELECT r.id FROM response r LEFT JOIN app a ON a.app = r.app
             WHERE r.app = ?1 AND r.url = ?2 AND r.cache IS ?3 AND r.generation = coalesce(a.generation, 0)",
        )?;
        find.query_map(params![&*key.app, &*key.url, key.cache.as_deref()], |row| row.get(0))?.collect()
    }

    fn mark_used(&self, key: &Key, at: i64) -> rusqlite::Result<()> {
        let mut mark = self
            .transaction
            .prepare_cached("UPDATE response SET used = ?4 WHERE app = ?1 AND url = ?2 AND cache IS ?3")?;
        mark.execute(params![&*key.app, &*key.url, key.cache.as_deref(), at])?;
        Ok(())
    }

    fn make_stale(&self, id: i64, at_ms: u64) -> rusqlite::Result<()> {
        let mut stale = self.transaction.prepare_cached(
            "UPDATE response SET lifetime_s = min(lifetime_s, initial_age_s + max(0, ?2 - stored_at_ms) / 1000)
             WHERE id = ?1",
        )?;
        stale.execute(params![id, at_ms as i64])?;
        Ok(())
    }

    /// Takes a row away, and its file unless it is kept for its successor.
    pub fn remove(&mut self, id: i64) -> rusqlite::Result<()> {
        if let Some(file) = self.remove_row(id)?.and_then(|removed| removed.file) {
            self.done.files.push(file);
        }
        Ok(())
    }

    fn remove_row(&mut self, id: i64) -> rusqlite::Result<Option<Removed>> {
        let mut delete = self
            .transaction
            .prepare_cached("DELETE FROM response WHERE id = ?1 RETURNING app, weight, file, body, sums, generation")?;
        let removed = delete
            .query_row([id], |row| {
                Ok(Removed {
                    app: row.get(0)?,
                    weight: row.get(1)?,
                    file: row.get(2)?,
                    inline: row.get(3)?,
                    sums: row.get(4)?,
                    generation: row.get(5)?,
                })
            })
            .optional()?;
        drop(delete);
        self.transaction.prepare_cached("DELETE FROM tag WHERE id = ?1")?.execute([id])?;
        let Some(removed) = removed else { return Ok(None) };
        self.bytes -= removed.weight;
        if removed.generation == self.generation(&removed.app)? {
            self.counted(&removed.app, -1, -removed.weight);
        }
        Ok(Some(removed))
    }

    fn generation(&self, app: &str) -> rusqlite::Result<i64> {
        let mut find = self.transaction.prepare_cached("SELECT generation FROM app WHERE app = ?1")?;
        Ok(find.query_row([app], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Puts a row in the place of its like. False if its body should be there, and is not.
    fn insert(&mut self, key: &Key, response: &Stored, body: Option<Written>, used: i64) -> rusqlite::Result<bool> {
        let vary = response.vary.encode();
        let like: Option<(i64, i64)> = self
            .transaction
            .prepare_cached(
                "SELECT r.id, r.body_id FROM response r LEFT JOIN app a ON a.app = r.app
                 WHERE r.app = ?1 AND r.url = ?2 AND r.cache IS ?3 AND r.vary = ?4
                 AND r.generation = coalesce(a.generation, 0)",
            )?
            .query_row(params![&*key.app, &*key.url, key.cache.as_deref(), vary], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (bytes, inline, file, sums) = match (body, like) {
            (Some(written), like) => {
                if let Some((id, _)) = like {
                    self.remove(id)?;
                }
                (written.bytes, written.inline.map(Vec::from), written.file, written.sums)
            }
            (None, Some((id, body_id))) if body_id == response.body_id as i64 => {
                let Some(old) = self.remove_row(id)? else { return Ok(false) };
                (response.body.len(), old.inline, old.file, old.sums)
            }
            (None, _) => return Ok(false),
        };
        self.make_way(key)?;
        let head = response.encode_head();
        let on_disk = if file.is_some() { bytes.next_multiple_of(BLOCK_BYTES) } else { bytes };
        let weight = (ROW_BYTES + on_disk + (head.len() + sums.len() + 2 * key.bytes()) as u64) as i64;
        let generation = self.generation(&key.app)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO response (app, cache, url, generation, vary, head, stored_at_ms, initial_age_s, lifetime_s,
                    body_id, bytes, body, file, sums, weight, used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                &*key.app,
                key.cache.as_deref(),
                &*key.url,
                generation,
                vary,
                head,
                response.stored_at_ms as i64,
                response.initial_age_s as i64,
                response.lifetime_s.min(i64::MAX as u64) as i64,
                response.body_id as i64,
                bytes as i64,
                inline,
                file,
                sums,
                weight,
                used
            ])?;
        let id = self.transaction.last_insert_rowid();
        for tag in response.tags.iter() {
            self.transaction
                .prepare_cached("INSERT OR IGNORE INTO tag VALUES (?1, ?2, ?3)")?
                .execute(params![&*key.app, tag, id])?;
        }
        self.bytes += weight;
        self.counted(&key.app, 1, weight);
        Ok(true)
    }

    /// Keeps a key to its number of variants: the one stored longest ago goes.
    fn make_way(&mut self, key: &Key) -> rusqlite::Result<()> {
        let ids = self.ids(key)?;
        if ids.len() < VARIANTS_MAX {
            return Ok(());
        }
        let oldest = "SELECT id FROM response WHERE app = ?1 AND url = ?2 AND cache IS ?3 AND generation = ?4
            ORDER BY stored_at_ms LIMIT 1";
        let generation = self.generation(&key.app)?;
        let oldest: Option<i64> = self
            .transaction
            .prepare_cached(oldest)?
            .query_row(params![&*key.app, &*key.url, key.cache.as_deref(), generation], |row| row.get(0))
            .optional()?;
        oldest.map_or(Ok(()), |id| self.remove(id))
    }
}

/// A row that was taken away.
struct Removed {
    app: String,
    weight: i64,
    file: Option<String>,
    inline: Option<Vec<u8>>,
    sums: Vec<u8>,
    generation: i64,
}
