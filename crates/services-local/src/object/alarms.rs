//! The index of alarms: which objects are to be woken when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{AppName, ClassName, TenantName};
use futures_util::FutureExt as _;
use rusqlite::{OptionalExtension as _, params};
use services::object::{ObjectClass, ObjectId, ObjectKey};
use services::{AppId, BoxFuture, StoreError};
use tokio::sync::Notify;

use crate::data_dir::Root;
use crate::database::{Database, Kind};
use crate::maintenance::block_on;

const KIND: Kind = Kind { application_id: 0x534c_564c, migrations: &[SCHEMA_1] };

const SCHEMA_1: &str = "
    CREATE TABLE alarm (
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        class TEXT NOT NULL,
        id BLOB NOT NULL,
        due_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, app, class, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alarm_due ON alarm (due_ms);
";

const NONE: u64 = u64::MAX;

pub struct Alarms {
    database: Arc<Database>,
    /// A lower bound of all that are due.
    next: Arc<AtomicU64>,
    changed: Arc<Notify>,
}

impl Alarms {
    pub fn open(root: &Root) -> Result<Self, StoreError> {
        let path = root.path.join("objects").join("alarms.db");
        let database = Database::open(&path, KIND, root.options.clock.clone(), root.writers())?;
        let alarms = Self { database, next: Arc::new(AtomicU64::new(NONE)), changed: Arc::default() };
        alarms.next.store(alarms.earliest()?, Ordering::SeqCst);
        Ok(alarms)
    }

    fn earliest(&self) -> Result<u64, StoreError> {
        let earliest: Option<i64> =
            self.database.read(|c| c.query_row("SELECT min(due_ms) FROM alarm", [], |row| row.get(0)))?;
        Ok(earliest.map_or(NONE, |due_ms| due_ms as u64))
    }

    /// Sees to it that the index has the alarm of an object that wakes: a crash may have left it out. As a
    /// rule it is there, and then nothing is written, which a full disk would refuse. Blocks. Not for a
    /// thread that commits.
    pub fn restore(&self, key: &ObjectKey, due_ms: u64) -> Result<(), StoreError> {
        let ObjectKey { class: ObjectClass { app, name }, id } = key;
        let indexed = self.database.read(|c| {
            const OF: &str = "SELECT due_ms FROM alarm WHERE tenant = ?1 AND app = ?2 AND class = ?3 AND id = ?4";
            let named = params![app.tenant.as_str(), app.app.as_str(), name.as_str(), id.as_bytes()];
            c.prepare_cached(OF)?.query_row(named, |row| row.get::<_, i64>(0)).optional()
        })?;
        match indexed == Some(due_ms as i64) {
            true => Ok(()),
            false => self.set_now(key, Some(due_ms)),
        }
    }

    /// Blocks until it is durable. Not for a thread that commits: one of those is waited for.
    pub fn set_now(&self, key: &ObjectKey, due_ms: Option<u64>) -> Result<(), StoreError> {
        block_on(self.set(key, due_ms))
    }

    /// What the index is to say of an object; resolves when it is durable.
    pub fn set(
        &self,
        key: &ObjectKey,
        due_ms: Option<u64>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let (key, database, next, changed) =
            (key.clone(), self.database.clone(), self.next.clone(), self.changed.clone());
        async move {
            write(&database, key, due_ms).await?;
            if let Some(due_ms) = due_ms {
                next.fetch_min(due_ms, Ordering::SeqCst);
                changed.notify_waiters();
            }
            Ok(())
        }
    }

    pub fn due(&self, now_ms: u64, limit: usize) -> Result<Vec<(ObjectKey, u64)>, StoreError> {
        const DUE: &str =
            "SELECT tenant, app, class, id, due_ms FROM alarm WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2";
        // Set first, and lowered by whatever is written meanwhile.
        self.next.store(NONE, Ordering::SeqCst);
        let rows = self.database.read(|c| {
            let mut statement = c.prepare_cached(DUE)?;
            let rows = statement.query_map(params![now_ms as i64, limit as i64], |row| {
                let text = |column| row.get::<_, String>(column);
                Ok((text(0)?, text(1)?, text(2)?, row.get::<_, [u8; 32]>(3)?, row.get::<_, i64>(4)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        self.next.fetch_min(self.earliest()?, Ordering::SeqCst);
        let key = |(tenant, app, class, id, due_ms): (String, String, String, [u8; 32], i64)| {
            let app = AppId::new(TenantName::parse(&tenant).ok()?, AppName::parse(&app).ok()?);
            let class = ObjectClass::new(app, ClassName::parse(&class).ok()?);
            Some((ObjectKey { class, id: ObjectId::from_bytes(id) }, due_ms as u64))
        };
        Ok(rows.into_iter().filter_map(key).collect())
    }

    pub fn next(&self) -> Option<u64> {
        Some(self.next.load(Ordering::SeqCst)).filter(|&next| next != NONE)
    }

    pub fn changed(&self) -> BoxFuture<'static, ()> {
        let changed = self.changed.clone();
        async move { changed.notified().await }.boxed()
    }
}

async fn write(database: &Arc<Database>, key: ObjectKey, due_ms: Option<u64>) -> Result<(), StoreError> {
    let write = database.write::<(), StoreError, _>(256, move |tx| {
        let ObjectKey { class: ObjectClass { app, name }, id } = &key;
        let due_ms = due_ms.map(|ms| ms as i64);
        let named = params![app.tenant.as_str(), app.app.as_str(), name.as_str(), id.as_bytes(), due_ms];
        let statement = match due_ms {
            Some(_) => "INSERT OR REPLACE INTO alarm (tenant, app, class, id, due_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            None => "DELETE FROM alarm WHERE tenant = ?1 AND app = ?2 AND class = ?3 AND id = ?4 AND ?5 IS NULL",
        };
        tx.prepare(statement)?.execute(named)?;
        Ok(())
    });
    write.await
}
