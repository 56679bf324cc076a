//! SQL as a worker's binding opens it: which database a call means, that its migrations were applied,
//! and what an invocation has open there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use services::sql::{Migration, Sql, SqlDatabase, SqlError, SqlFamily, SqlName, SqlStream, SqlTransaction};

/// A binding to one database, or to a family of them.
pub struct SqlBinding {
    pub provider: Arc<dyn Sql>,
    pub target: SqlTarget,
    /// Of each database of a family, applied before its first use by this deployment. Those of a
    /// single database were applied before the deployment was released.
    migrations: Arc<[Migration]>,
    migrated: Mutex<HashSet<SqlName>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlTarget {
    One(SqlDatabase),
    Family(SqlFamily),
}

impl SqlBinding {
    pub fn new(provider: Arc<dyn Sql>, target: SqlTarget, migrations: Arc<[Migration]>) -> Self {
        Self { provider, target, migrations, migrated: Mutex::default() }
    }

    /// The database that a call means, ready for use. A family wants a key.
    pub async fn database(&self, key: Option<&str>) -> Result<Cow<'_, SqlDatabase>, SqlError> {
        let family = match (&self.target, key) {
            (SqlTarget::One(database), _) => return Ok(Cow::Borrowed(database)),
            (SqlTarget::Family(family), key) => family.database(key.unwrap_or(""))?,
        };
        if !self.migrations.is_empty() && !self.migrated().contains(&family.name) {
            self.provider.migrate(&family, self.migrations.clone()).await?;
            self.migrated().insert(family.name.clone());
        }
        Ok(Cow::Owned(family))
    }

    /// The same, if nothing is to be done for it first.
    pub fn ready(&self, key: Option<&str>) -> Option<Cow<'_, SqlDatabase>> {
        let family = match &self.target {
            SqlTarget::One(database) => return Some(Cow::Borrowed(database)),
            SqlTarget::Family(family) => family.database(key.unwrap_or("")).ok()?,
        };
        let is_ready = self.migrations.is_empty() || self.migrated().contains(&family.name);
        is_ready.then_some(Cow::Owned(family))
    }

    fn migrated(&self) -> MutexGuard<'_, HashSet<SqlName>> {
        self.migrated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an invocation has open in databases, by number. Dropping it ends the statements and rolls
/// the transactions back.
#[derive(Default)]
pub struct SqlHeld(Mutex<Held>);

#[derive(Default)]
struct Held {
    last: u32,
    transactions: HashMap<u32, Box<dyn SqlTransaction>>,
    streams: HashMap<u32, Box<dyn SqlStream>>,
}

impl std::fmt::Debug for SqlHeld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.held();
        f.debug_struct("SqlHeld")
            .field("transactions", &held.transactions.len())
            .field("streams", &held.streams.len())
            .finish()
    }
}

impl SqlHeld {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a transaction, and answers its number.
    pub fn keep_transaction(&self, transaction: Box<dyn SqlTransaction>) -> u32 {
        let mut held = self.held();
        held.last += 1;
        let number = held.last;
        held.transactions.insert(number, transaction);
        number
    }

    /// Takes it out, for as long as something runs in it.
    pub fn take_transaction(&self, number: u32) -> Option<Box<dyn SqlTransaction>> {
        self.held().transactions.remove(&number)
    }

    pub fn put_transaction(&self, number: u32, transaction: Box<dyn SqlTransaction>) {
        self.held().transactions.insert(number, transaction);
    }

    pub fn keep_stream(&self, stream: Box<dyn SqlStream>) -> u32 {
        let mut held = self.held();
        held.last += 1;
        let number = held.last;
        held.streams.insert(number, stream);
        number
    }

    pub fn take_stream(&self, number: u32) -> Option<Box<dyn SqlStream>> {
        self.held().streams.remove(&number)
    }

    pub fn put_stream(&self, number: u32, stream: Box<dyn SqlStream>) {
        self.held().streams.insert(number, stream);
    }
}
