//! Making room, and removing what is found no longer.

use cache::Key;

use super::index::{Change, failed};
use super::{ResponseLimits, Shelf, lock};

/// Rows that one transaction removes in the background, so that puts get their turn.
const SWEPT_AT_ONCE: usize = 500;
/// Rows looked at together when room is made.
const CANDIDATES: usize = 32;

/// Removes what was used longest ago until the app keeps to its share, and all to the whole. `bytes` is
/// what all has now, `share` what the app had before the change.
pub(super) fn make(
    change: &mut Change<'_>,
    key: &Key,
    bytes: u64,
    share: u64,
    limits: &ResponseLimits,
) -> rusqlite::Result<()> {
    let before = change.bytes;
    loop {
        let all = bytes.saturating_add_signed(change.bytes - before);
        let own = share.saturating_add_signed(change.app_bytes(&key.app));
        let candidates = if own > limits.app_bytes {
            candidates(change, "SELECT id FROM response WHERE app = ?1 ORDER BY generation, used LIMIT ?2", &key.app)?
        } else if all > limits.bytes {
            candidates(change, "SELECT id FROM response WHERE ?1 <> '' ORDER BY used LIMIT ?2", &key.app)?
        } else {
            return Ok(());
        };
        if candidates.is_empty() {
            return Ok(());
        }
        for id in candidates {
            let all = bytes.saturating_add_signed(change.bytes - before);
            let own = share.saturating_add_signed(change.app_bytes(&key.app));
            if own <= limits.app_bytes && all <= limits.bytes {
                return Ok(());
            }
            change.remove(id)?;
        }
    }
}

fn candidates(change: &Change<'_>, ask: &str, app: &str) -> rusqlite::Result<Vec<i64>> {
    let mut find = change.transaction.prepare_cached(ask)?;
    find.query_map(rusqlite::params![app, CANDIDATES as i64], |row| row.get(0))?.collect()
}

impl Shelf {
    /// Removes what an earlier process left: rows that are found no longer, and files without a row.
    pub(super) fn sweep(&self) {
        self.sweep_rows();
        let is_named = |name: &str| {
            self.read(|index| {
                let mut find = index.connection.prepare_cached("SELECT 1 FROM response WHERE file = ?1");
                let found = find.as_mut().map_err(|error| failed(error))?.exists([name]);
                found.map_err(|error| failed(&error))
            })
        };
        match self.bodies.sweep(is_named) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "the cache had files that nothing named"),
            Err(error) => tracing::warn!(%error, "files of the cache were not swept"),
        }
    }

    /// Removes rows of earlier generations, and what purges left to be done.
    pub(super) fn sweep_rows(&self) {
        loop {
            let outcome = self.read(|index| {
                let find = || -> rusqlite::Result<Vec<i64>> {
                    let mut find = index.connection.prepare_cached(
                        "SELECT r.id FROM app a JOIN response r ON r.app = a.app AND r.generation < a.generation LIMIT ?1",
                    )?;
                    find.query_map([SWEPT_AT_ONCE as i64], |row| row.get(0))?.collect()
                };
                find().map_err(|error| failed(&error))
            });
            let outcome = outcome.and_then(|ids| match ids.is_empty() {
                true => Ok(None),
                false => lock(&self.index).remove(&ids).map(Some),
            });
            match outcome {
                Ok(None) => break,
                Ok(Some(files)) => self.bodies.remove(files),
                Err(error) => return tracing::warn!(%error, "purged responses were not removed from the disk"),
            }
        }
        if let Err(error) = self.sweep_marks() {
            tracing::warn!(%error, "purged responses were not removed from the disk");
        }
    }
}
