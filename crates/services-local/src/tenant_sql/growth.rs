//! How large a tenant's database may become, and what becomes of the statement that makes it larger.
//!
//! To SQLite its own bound (`max_page_count`) is a full disk: everything that the transaction did before
//! may go with the statement that meets it. Where a transaction is a batch that fails as a whole, as in
//! SQL databases, nothing else is wanted. The turn of an object is to go on without the statement. So
//! there the bound lies [`HEADROOM_BYTES`] beyond the limit; near the limit each statement runs in a
//! savepoint, and is taken back if the database is too large after it. Far from it, all that this costs
//! is a look at the size.

use std::cell::Cell;

use services::{SqlError, StoreError};

use super::{PAGE_BYTES, TenantConnection};
use crate::database::store_error;
use crate::disk;

/// By how much one statement may go beyond the limit of an object while it runs.
const HEADROOM_BYTES: u64 = 64 << 20;
/// Pages that a write may need besides its bytes.
const SPLIT_PAGES: u64 = 8;
/// A disk with so much left is not full.
const FREE_BYTES: u64 = 64 << 20;
const PAGES_MAX: u64 = u32::MAX as u64 - 1;

/// What a database may have.
pub struct Growth {
    /// By its own limit.
    own_pages: u64,
    headroom_pages: u64,
    /// Pages that it may have by the quota of its app, if that is less; and the quota.
    quota: Cell<Option<(u64, u64)>>,
    /// So many pages may be written before the size has to be looked at again.
    left_pages: Cell<u64>,
}

impl Growth {
    pub fn new(bytes_max: u64) -> Self {
        let own_pages = (bytes_max / PAGE_BYTES).min(PAGES_MAX);
        Self { own_pages, headroom_pages: 0, quota: Cell::new(None), left_pages: Cell::new(0) }
    }

    fn pages_max(&self) -> u64 {
        self.quota.get().map_or(self.own_pages, |(pages, _)| pages)
    }
}

impl TenantConnection {
    /// Lets a statement go beyond the limit while it runs, for [`Self::bounded`] to take back.
    pub fn with_headroom(mut self) -> rusqlite::Result<Self> {
        self.growth.headroom_pages = HEADROOM_BYTES / PAGE_BYTES;
        self.unfenced(|connection| set_bound(connection, self.growth.own_pages + self.growth.headroom_pages))?;
        Ok(self)
    }

    /// Lets the file grow by so many bytes, besides its own limit, until this is called again. What is
    /// free in it can be written anew.
    pub fn allow_growth(&self, bytes: u64, quota: u64) -> Result<(), StoreError> {
        let growth = &self.growth;
        let (own, room, bound) = (growth.own_pages, bytes / PAGE_BYTES, growth.quota.get().is_some());
        // Far from the quota, as nearly always, there is nothing to do.
        if room >= own && !bound {
            return Ok(());
        }
        let bounded = self.unfenced(|connection| -> rusqlite::Result<u64> {
            let now = connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? as u64;
            let pages = now.saturating_add(room).clamp(1, own.max(now));
            set_bound(connection, pages + growth.headroom_pages)?;
            Ok(pages)
        });
        let pages = bounded.map_err(|error| store_error(&self.path, &error))?;
        growth.quota.set((pages < own).then_some((pages, quota)));
        Ok(())
    }

    /// A transaction begins, on a database of so many bytes.
    pub fn note_size(&self, bytes: u64) {
        self.growth.left_pages.set(self.growth.pages_max().saturating_sub(bytes / PAGE_BYTES));
    }

    /// Refuses a write of so many bytes for which there may be no room, so that SQLite is not asked.
    pub fn check_growth(&self, bytes: u64) -> Result<(), SqlError> {
        let (growth, wanted) = (&self.growth, bytes / PAGE_BYTES + SPLIT_PAGES);
        if let Some(left) = growth.left_pages.get().checked_sub(wanted)
            && left >= growth.headroom_pages
        {
            growth.left_pages.set(left);
            return Ok(());
        }
        let (count, max) = (self.pages()?, growth.pages_max());
        growth.left_pages.set(max.saturating_sub(count));
        let free = self.trusted(|connection| {
            connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).map(|free| free as u64)
        })?;
        match count.saturating_sub(free) + wanted > max {
            true => Err(self.beyond()),
            false => Ok(()),
        }
    }

    /// Runs what may write inside of a transaction. If the database is larger than it may be after it,
    /// that alone is undone and refused.
    pub fn bounded<T>(&self, work: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
        let (growth, before) = (&self.growth, self.pages()?);
        growth.left_pages.set(0);
        if before + growth.headroom_pages <= growth.pages_max() {
            return work();
        }
        self.control("SAVEPOINT _selvedge_bound")?;
        let outcome = work();
        if !self.in_transaction() {
            return outcome;
        }
        let outcome = outcome.and_then(|done| match self.pages()? > growth.pages_max().max(before) {
            true => Err(self.beyond()),
            false => Ok(done),
        });
        if outcome.is_err() {
            self.control("ROLLBACK TO _selvedge_bound")?;
        }
        self.control("RELEASE _selvedge_bound")?;
        outcome
    }

    fn pages(&self) -> Result<u64, SqlError> {
        Ok(self.size_bytes()? / PAGE_BYTES)
    }

    fn beyond(&self) -> SqlError {
        match self.growth.quota.get() {
            Some((_, bytes_max)) => SqlError::AppFull { bytes_max },
            None => SqlError::DatabaseFull { bytes_max: self.limits.sql_database_bytes },
        }
    }

    /// What SQLite's own bound means, where it and not the disk was met. The statement that failed is
    /// undone by now, so the pages that it had are not counted any more.
    pub(super) fn met_bound(&self) -> Option<SqlError> {
        let undone = 2 * self.limits.sql_value_bytes / PAGE_BYTES;
        let is_near = |count: u64| {
            let max = self.growth.pages_max() + self.growth.headroom_pages;
            count + undone >= max || (self.growth.quota.get().is_none() && count >= max / 2)
        };
        (disk::free_bytes(&self.path) >= FREE_BYTES || self.pages().is_ok_and(is_near)).then(|| self.beyond())
    }
}

fn set_bound(connection: &rusqlite::Connection, pages: u64) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA max_page_count = {}", pages.min(PAGES_MAX)), [], |_| Ok(()))
}
